//! A topic as it is found at start.

use std::sync::Arc;

use parking_lot::Mutex;

use super::records::{SubscriptionRecord, TopicRecord, decode};
use super::state::State;
use super::{Log, Services, Topic};
use crate::broker::policies::Policies;
use crate::broker::storage::StoredTopic;
use crate::broker::subscription::Subscription;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::SubscriptionType;
use crate::protocol::topic::TopicName;

impl Topic {
    /// The topic as it was stored. `policies` are those of its namespace over the broker's. What is published from now on
    /// goes to a new ledger.
    pub fn restore(
        name: TopicName,
        policies: Policies,
        services: Arc<Services>,
        stored: StoredTopic,
    ) -> Result<Arc<Self>> {
        let record: TopicRecord = decode(&stored.value).map_err(|error| error.on_topic(&name))?;
        let first = stored.entries.first().map_or(record.ledger, |entry| entry.position.ledger);
        let mut state = State::new(first, policies);
        if !record.policies.is_empty() {
            state.own_policies = serde_json::from_str(&record.policies).map_err(|error| {
                let context = "the data directory holds policies of the topic that are damaged";
                Error::new(ErrorKind::Persistence, context).on_topic(&name).caused_by(error)
            })?;
            state.policies = state.own_policies.over(&state.namespace_policies);
            state.dedup.enable(state.policies.deduplication.unwrap_or_default());
        }
        state.log = Log::of(stored.entries, record.ledger);
        for entry in state.log.from(crate::broker::position::Position::new(0, 0)) {
            services.memory.take(entry);
            state.uncompacted += entry.bytes.len() as u64;
            state.dedup.recover(&entry.facts.producer, entry.facts.highest_sequence_id);
        }
        for (producer, sequence_id) in &stored.sequences {
            state.dedup.recover(producer, *sequence_id);
        }
        state.terminated = record.terminated.map(Into::into);
        state.producers.epoch = record.epoch;
        let topic = Self { name, services, state: Mutex::new(state) };
        topic.restore_subscriptions(&stored.cursors)?;
        let topic = Arc::new(topic);
        let mut guard = topic.lock();
        let state = &mut *guard;
        if let Some(horizon) = record.horizon {
            topic.compact_before(state, horizon.into());
        }
        topic.roll(state);
        topic.store_topic(state);
        topic.plan(state, topic.now());
        drop(guard);
        Ok(topic)
    }

    fn restore_subscriptions(
        &self,
        cursors: &std::collections::BTreeMap<String, bytes::Bytes>,
    ) -> Result<()> {
        let mut state = self.lock();
        for (name, value) in cursors {
            let record: SubscriptionRecord = decode(value).map_err(|error| error.on_topic(&self.name))?;
            let kind = SubscriptionType::try_from(record.kind).unwrap_or(SubscriptionType::Exclusive);
            let properties = record.properties();
            let options = self.subscription_options(&state);
            let mut subscription = Subscription::restore(name, kind, record.into_cursor(), options);
            subscription.set_properties(properties);
            state.subscriptions.insert(name.clone(), subscription);
        }
        Ok(())
    }
}
