//! One topic.
//!
//! * `log` — its entries; `compaction` — the last one of each key.
//! * `producers`, `producing`, `publish`, `dedup`, `rate` — who may publish, and what becomes of what is published.
//! * `consumers`, `cursors` — its subscriptions, as sessions use them, and how they are stored.
//! * `retention`, `quota`, `memory`, `ticking`, `ticker` — what is not kept, and what happens as time passes.
//! * `admin` — what administrators do to its subscriptions.
//! * `lifecycle`, `restore`, `records`, `stats` — the topic as a whole.
//! * `services` — what all topics share.

mod admin;
mod compaction;
mod consumers;
mod cursors;
mod dedup;
mod lifecycle;
pub mod log;
mod memory;
mod producers;
mod producing;
mod publish;
mod quota;
mod rate;
mod records;
mod restore;
mod retention;
mod services;
mod state;
mod stats;
mod ticker;
mod ticking;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

pub use self::admin::Skip;
pub use self::log::Log;
pub use self::producers::NewProducer;
pub use self::publish::Publish;
pub use self::services::Services;
use self::state::State;
pub use self::stats::{
    CompactionStats, Counters, LedgerStats, PublisherStats, SubscriptionDetail, TopicStats,
};
use super::policies::Policies;
use super::storage::Op;
use super::subscription::Options;
use crate::protocol::topic::TopicName;

/// One topic, or one partition of a topic. Each call is short, and none waits.
pub struct Topic {
    name: TopicName,
    services: Arc<Services>,
    state: Mutex<State>,
}

impl Topic {
    /// A new, empty topic. `policies` are those of its namespace over the broker's.
    pub fn new(name: TopicName, policies: Policies, services: Arc<Services>) -> Arc<Self> {
        let ledger = services.next_ledger();
        let topic = Self { name, services, state: Mutex::new(State::new(ledger, policies)) };
        topic.store_topic(&topic.lock());
        topic.store(vec![Op::OpenLedger { topic: topic.name.clone(), ledger }]);
        Arc::new(topic)
    }

    pub fn name(&self) -> &TopicName {
        &self.name
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Milliseconds since 1970.
    fn now(&self) -> u64 {
        self.services.clock.unix_millis()
    }

    /// The policies as they concern a subscription.
    fn subscription_options(&self, state: &State) -> Options {
        let defaults = Options::default();
        let policies = &state.policies;
        Options {
            topic: self.name.to_string(),
            partition: self.name.partition(),
            max_unacked_per_consumer: policies
                .max_unacked_per_consumer
                .unwrap_or(defaults.max_unacked_per_consumer),
            max_unacked_per_subscription: policies
                .max_unacked_per_subscription
                .unwrap_or(defaults.max_unacked_per_subscription),
            delayed_delivery: policies.delayed_delivery.is_none_or(|delayed| delayed.active),
            persistent: self.name.is_persistent(),
            ..defaults
        }
    }
}
