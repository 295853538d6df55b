//! Consumers that come, go, acknowledge and give back at random: nothing is lost, nothing is with two of them, and the
//! order of a key holds.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use crate::broker::entry::Facts;
use crate::broker::subscription::Options;
use crate::broker::subscription::test_support::{Client, Topic};
use crate::protocol::proto::SubscriptionType::{self, KeyShared, Shared};

#[derive(Clone, Debug)]
enum Step {
    Publish { key: u8, delay: u64 },
    Join { name: u8, priority: i32 },
    Leave { client: usize },
    Flow { client: usize, permits: u32 },
    Acknowledge { client: usize, which: usize },
    GiveBack { client: usize, which: usize },
    GiveAllBack { client: usize },
    Writable { client: usize, is: bool },
    Wait { millis: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    let client = || 0_usize..8;
    prop_oneof![
        8 => (0_u8..6, prop_oneof![4 => Just(0), 1 => 1_u64..50])
            .prop_map(|(key, delay)| Step::Publish { key, delay }),
        2 => (0_u8..4, 0..2).prop_map(|(name, priority)| Step::Join { name, priority }),
        1 => client().prop_map(|client| Step::Leave { client }),
        3 => (client(), 1_u32..6).prop_map(|(client, permits)| Step::Flow { client, permits }),
        5 => (client(), 0_usize..8).prop_map(|(client, which)| Step::Acknowledge { client, which }),
        2 => (client(), 0_usize..8).prop_map(|(client, which)| Step::GiveBack { client, which }),
        1 => client().prop_map(|client| Step::GiveAllBack { client }),
        1 => (client(), any::<bool>()).prop_map(|(client, is)| Step::Writable { client, is }),
        1 => (0_u64..30).prop_map(|millis| Step::Wait { millis }),
    ]
}

struct World {
    kind: SubscriptionType,
    topic: Topic,
    clients: Vec<(Arc<Client>, BTreeSet<u64>)>,
    keys: HashMap<u64, u8>,
    delayed: BTreeSet<u64>,
    acked: BTreeSet<u64>,
    /// The last entry of each key that was delivered for the first time.
    last_first: BTreeMap<u8, u64>,
    seen: BTreeSet<u64>,
}

impl World {
    fn new(kind: SubscriptionType) -> Self {
        let options =
            Options { max_unacked_per_consumer: 5, max_unacked_per_subscription: 12, ..Options::default() };
        Self {
            kind,
            topic: Topic::with(kind, options),
            clients: Vec::new(),
            keys: HashMap::new(),
            delayed: BTreeSet::new(),
            acked: BTreeSet::new(),
            last_first: BTreeMap::new(),
            seen: BTreeSet::new(),
        }
    }

    fn run(&mut self, step: &Step) {
        let chosen = |client: usize| Some(client).filter(|client| *client < self.clients.len());
        match *step {
            Step::Publish { key, delay } => {
                let deliver_at = Some(self.topic.now + delay).filter(|_| delay > 0);
                let facts = Facts { key: Some(vec![key].into()), deliver_at, ..Facts::default() };
                let entry = self.topic.log.next_position().entry;
                self.keys.insert(entry, key);
                self.delayed.extend(deliver_at.map(|_| entry));
                self.topic.publish_as(facts);
            }
            Step::Join { name, priority } if self.clients.len() < 5 => {
                let client = self.topic.join_named(self.kind, &format!("c{name}"), priority);
                self.clients.push((client, BTreeSet::new()));
            }
            Step::Join { .. } => {}
            Step::Leave { client } => {
                if chosen(client).is_some() {
                    let (client, _) = self.clients.remove(client);
                    self.topic.leave(&client);
                    client.take();
                }
            }
            Step::Flow { client, permits } => {
                if let Some(client) = chosen(client) {
                    self.topic.flow(&self.clients[client].0.clone(), permits);
                }
            }
            Step::Acknowledge { client, which } => {
                if let Some((client, entry)) = self.outstanding(client, which) {
                    self.clients[client].1.remove(&entry);
                    self.acked.insert(entry);
                    self.topic.ack(&self.clients[client].0.clone(), &[entry]);
                }
            }
            Step::GiveBack { client, which } => {
                if let Some((client, entry)) = self.outstanding(client, which) {
                    self.clients[client].1.remove(&entry);
                    self.topic.redeliver(&self.clients[client].0.clone(), &[entry], None);
                }
            }
            Step::GiveAllBack { client } => {
                if let Some(client) = chosen(client) {
                    self.clients[client].1.clear();
                    self.topic.redeliver(&self.clients[client].0.clone(), &[], None);
                }
            }
            Step::Writable { client, is } => {
                if let Some(client) = chosen(client) {
                    self.clients[client].0.writable.store(is, Ordering::Relaxed);
                    self.topic.subscription.writable(&self.topic.log, self.topic.now);
                }
            }
            Step::Wait { millis } => {
                self.topic.now += millis;
                self.topic.tick();
            }
        }
        self.receive();
    }

    fn outstanding(&self, client: usize, which: usize) -> Option<(usize, u64)> {
        let (_, entries) = self.clients.get(client)?;
        entries.iter().nth(which).map(|entry| (client, *entry))
    }

    fn receive(&mut self) {
        let mut delivered = Vec::new();
        for (index, (client, _)) in self.clients.iter().enumerate() {
            delivered.extend(client.entries().into_iter().map(|entry| (index, entry)));
        }
        for (index, entry) in delivered {
            assert!(!self.acked.contains(&entry), "{entry} was acknowledged and came again");
            for (other, (_, entries)) in self.clients.iter().enumerate() {
                assert!(!entries.contains(&entry), "{entry} is with two consumers, or twice with one");
                if self.kind == KeyShared && other != index {
                    let key = self.keys[&entry];
                    let same = entries.iter().find(|have| self.keys[have] == key);
                    assert_eq!(
                        same, None,
                        "{entry} of key {key} went to {index}; {other} has one of that key"
                    );
                }
            }
            self.clients[index].1.insert(entry);
            if self.kind == KeyShared && self.seen.insert(entry) && !self.delayed.contains(&entry) {
                let last = self.last_first.insert(self.keys[&entry], entry);
                assert!(last < Some(entry), "{entry} came after {last:?}");
            }
        }
    }

    /// Acknowledges all that is left, with one more consumer that takes everything.
    fn finish(&mut self) {
        self.run(&Step::Wait { millis: 1000 });
        while !self.clients.is_empty() {
            self.run(&Step::Leave { client: 0 });
        }
        self.run(&Step::Join { name: 0, priority: 0 });
        self.run(&Step::Flow { client: 0, permits: 10_000 });
        while self.outstanding(0, 0).is_some() {
            self.run(&Step::Acknowledge { client: 0, which: 0 });
        }
        assert_eq!(self.acked.len(), self.keys.len());
        assert_eq!(self.topic.backlog(), 0);
        assert_eq!(self.topic.subscription.first_unacked(), self.topic.log.next_position());
        assert_eq!(self.topic.subscription.stats(&self.topic.log).unacked_messages, 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn everything_is_delivered_to_one_consumer_at_a_time(
        kind in prop_oneof![Just(Shared), Just(KeyShared)],
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut world = World::new(kind);
        for step in &steps {
            world.run(step);
        }
        world.finish();
    }
}
