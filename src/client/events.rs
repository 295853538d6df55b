//! What an operator would want to read in a log, kept until Python fetches it: no thread of the engine calls Python for a line.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde::Serialize;

use crate::error::{Error, ErrorKind};
use crate::protocol::topic::TopicName;

/// Events kept. Of more the oldest go, and are counted.
const MOST: usize = 1000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    Info,
    Warning,
    Error,
}

impl Level {
    /// Waiting cures a warning; an error needs somebody to act.
    fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Authentication | ErrorKind::Authorization => Self::Error,
            _ => Self::Warning,
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Event {
    pub level: Level,
    pub text: String,
    pub topic: Option<String>,
    pub subscription: Option<String>,
    pub message_id: Option<String>,
}

impl Event {
    pub(super) fn new(level: Level, text: impl Into<String>) -> Self {
        Self { level, text: text.into(), topic: None, subscription: None, message_id: None }
    }

    /// Something went wrong; the error's own text tells what.
    pub(super) fn failure(what: &str, error: &Error) -> Self {
        Self::new(Level::of(error), format!("{what}: {error}"))
    }

    pub(super) fn on(self, topic: &TopicName, subscription: Option<&str>) -> Self {
        Self { topic: Some(topic.to_string()), subscription: subscription.map(Into::into), ..self }
    }
}

/// The events of one client.
#[derive(Debug, Default)]
pub struct Events(Mutex<Taken>);

/// What was fetched.
#[derive(Debug, Default, Serialize)]
pub struct Taken {
    pub events: VecDeque<Event>,
    /// Older ones, which nobody fetched in time.
    pub lost: u64,
}

impl Events {
    pub(super) fn push(&self, event: Event) {
        let mut kept = self.0.lock();
        if kept.events.len() == MOST {
            kept.events.pop_front();
            kept.lost += 1;
        }
        kept.events.push_back(event);
    }

    /// All that there is, the oldest first.
    pub fn take(&self) -> Taken {
        std::mem::take(&mut *self.0.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_bounded_the_newest_stay_and_the_others_are_counted() {
        let events = Events::default();
        for number in 0..MOST + 3 {
            events.push(Event::new(Level::Info, number.to_string()));
        }
        let taken = events.take();
        assert_eq!((taken.events.len(), taken.lost, &*taken.events[0].text), (MOST, 3, "3"));
        let rest = events.take();
        assert_eq!((rest.events.len(), rest.lost), (0, 0));
    }

    #[test]
    fn refused_credentials_are_an_error_a_broken_connection_a_warning() {
        let level = |kind| Event::failure("cannot connect", &Error::new(kind, "no")).level;
        assert_eq!(level(ErrorKind::Authentication), Level::Error);
        assert_eq!(level(ErrorKind::Connection), Level::Warning);
    }
}
