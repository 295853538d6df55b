//! Faults on demand, so that tests can see what a client makes of them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{Command, ServerError};

/// What is to go wrong next.
#[derive(Debug, Default)]
pub struct Faults {
    /// How many rules there are: none, nearly always, and then nothing is locked.
    armed: AtomicUsize,
    rules: Mutex<Vec<Rule>>,
}

/// One kind of fault and how often it is still to happen.
#[derive(Clone, Debug)]
struct Rule {
    target: Target,
    /// Only what concerns this topic.
    topic: Option<String>,
    left: u32,
    action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    /// Commands of this name.
    Command(&'static str),
    Delivery,
}

/// What happens to a command instead of, or before, being carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It is refused with this error.
    Fail(ServerError),
    /// It, and what its connection sends behind it, waits this long by the broker's clock.
    Delay(Duration),
    /// It is never answered.
    Ignore,
    /// Deliveries only: a byte of the payload changes on its way.
    Corrupt,
}

/// The commands that clients send, by their names in the protocol.
const COMMANDS: &[&str] = &[
    "Connect",
    "Subscribe",
    "Producer",
    "Send",
    "Ack",
    "Flow",
    "Unsubscribe",
    "CloseProducer",
    "CloseConsumer",
    "Ping",
    "RedeliverUnacknowledgedMessages",
    "PartitionedTopicMetadata",
    "LookupTopic",
    "ConsumerStats",
    "Seek",
    "GetLastMessageId",
    "GetTopicsOfNamespace",
    "GetSchema",
    "GetOrCreateSchema",
    "AuthResponse",
    "WatchTopicList",
    "WatchTopicListClose",
];

impl Faults {
    /// What happens to the next `count` commands of this name (`Lookup` for short), of all or on one topic.
    pub fn on_next(&self, command: &str, count: u32, topic: Option<&str>, action: Action) -> Result<()> {
        let wanted = if command == "Lookup" { "LookupTopic" } else { command };
        let name = COMMANDS.iter().find(|name| **name == wanted).ok_or_else(|| {
            let known = COMMANDS.join(", ");
            Error::new(ErrorKind::InvalidOption, format!("clients send no command {command:?}: {known}"))
        })?;
        self.add(Rule {
            target: Target::Command(name),
            topic: topic.map(str::to_owned),
            left: count,
            action,
        });
        Ok(())
    }

    /// The next `count` deliveries, of all or of one topic, arrive damaged.
    pub fn corrupt_next(&self, count: u32, topic: Option<&str>) {
        let topic = topic.map(str::to_owned);
        self.add(Rule { target: Target::Delivery, topic, left: count, action: Action::Corrupt });
    }

    /// Takes back all that has not happened yet.
    pub fn heal(&self) {
        let mut rules = self.rules.lock();
        rules.clear();
        self.armed.store(0, Ordering::Release);
    }

    fn add(&self, rule: Rule) {
        if rule.left > 0 {
            let mut rules = self.rules.lock();
            rules.push(rule);
            self.armed.store(rules.len(), Ordering::Release);
        }
    }

    /// What is to happen to this command; `topic` finds the topic that it concerns, if that matters.
    pub fn of_command(&self, command: &Command, topic: impl Fn() -> Option<String>) -> Option<Action> {
        if self.armed.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.hit(&Target::Command(command.name()), topic)
    }

    /// Whether this delivery is to be damaged.
    pub fn corrupts(&self, topic: impl Fn() -> Option<String>) -> bool {
        self.armed.load(Ordering::Acquire) > 0 && self.hit(&Target::Delivery, topic).is_some()
    }

    fn hit(&self, target: &Target, topic: impl Fn() -> Option<String>) -> Option<Action> {
        let mut rules = self.rules.lock();
        let concerns = |rule: &Rule| match &rule.topic {
            None => true,
            Some(wanted) => topic().is_some_and(|topic| topic == *wanted),
        };
        let index = rules.iter().position(|rule| rule.target == *target && concerns(rule))?;
        let rule = rules.get_mut(index)?;
        rule.left -= 1;
        let (action, spent) = (rule.action, rule.left == 0);
        if spent {
            rules.remove(index);
            self.armed.store(rules.len(), Ordering::Release);
        }
        Some(action)
    }
}

/// A server error by its name in the protocol, such as `ServiceNotReady`.
pub fn server_error_named(name: &str) -> Result<ServerError> {
    (0..=25)
        .filter_map(|code| ServerError::try_from(code).ok())
        .find(|error| format!("{error:?}") == name)
        .ok_or_else(|| {
            Error::new(ErrorKind::InvalidOption, format!("{name:?} is not a server error of Pulsar"))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::proto::CommandPing;

    #[test]
    fn a_fault_happens_as_often_as_it_was_asked_for() {
        let faults = Faults::default();
        let ping = Command::from(CommandPing {});
        let of_ping = || faults.of_command(&ping, || None);
        assert_eq!(of_ping(), None);
        faults.on_next("Ping", 2, None, Action::Ignore).unwrap();
        faults.on_next("Send", 1, None, Action::Ignore).unwrap();
        assert_eq!([of_ping(), of_ping(), of_ping()], [Some(Action::Ignore), Some(Action::Ignore), None]);
    }

    #[test]
    fn a_fault_of_one_topic_spares_the_others_and_can_be_taken_back() {
        let faults = Faults::default();
        let name = "persistent://public/default/a";
        faults.corrupt_next(5, Some(name));
        assert!(!faults.corrupts(|| None));
        assert!(!faults.corrupts(|| Some("persistent://public/default/b".into())));
        assert!(faults.corrupts(|| Some(name.into())));
        faults.heal();
        assert!(!faults.corrupts(|| Some(name.into())));
    }

    #[test]
    fn what_the_protocol_does_not_know_is_refused() {
        let unknown = Faults::default().on_next("Dance", 1, None, Action::Ignore).unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::InvalidOption);
        assert_eq!(server_error_named("TooManyRequests").unwrap(), ServerError::TooManyRequests);
        assert_eq!(server_error_named("Nonsense").unwrap_err().kind(), ErrorKind::InvalidOption);
        for command in Command::of_each_type() {
            assert!(!command.name().is_empty());
        }
    }
}
