//! What a subscription tells of itself.

use std::collections::BTreeMap;

use super::Subscription;
use super::consumer::{Consumer, Counters};
use super::sticky::HashRange;
use crate::broker::outlet::Peer;
use crate::broker::topic::log::Log;
use crate::protocol::proto::{CommandConsumerStatsResponse, SubscriptionType};

/// A subscription, for the admin's statistics.
#[derive(Clone, Debug)]
pub struct SubscriptionStats {
    pub kind: SubscriptionType,
    pub durable: bool,
    pub properties: BTreeMap<String, String>,
    /// Entries that are not acknowledged.
    pub backlog: u64,
    /// Messages that consumers have and have not acknowledged; Shared and `Key_Shared` only.
    pub unacked_messages: u64,
    pub blocked_on_unacked: bool,
    /// Entries that wait for their time.
    pub delayed: u64,
    pub counters: Counters,
    /// The name of the consumer that gets everything; Exclusive and Failover only.
    pub active_consumer: Option<String>,
    pub allow_out_of_order: bool,
    pub consumers: Vec<ConsumerStats>,
}

/// A consumer, for the admin's statistics.
#[derive(Clone, Debug)]
pub struct ConsumerStats {
    pub name: String,
    pub consumer_id: u64,
    pub priority: i32,
    pub available_permits: i64,
    pub unacked_messages: u32,
    pub blocked_on_unacked: bool,
    /// Milliseconds since 1970.
    pub connected_at: u64,
    pub peer: Peer,
    pub properties: BTreeMap<String, String>,
    pub read_compacted: bool,
    /// The hashes of keys that belong to it; `Key_Shared` only.
    pub hash_ranges: Vec<HashRange>,
    pub counters: Counters,
}

impl Subscription {
    pub fn stats(&self, log: &Log) -> SubscriptionStats {
        let state = &self.state;
        let active = self.dispatcher.active();
        SubscriptionStats {
            kind: self.kind,
            durable: self.durable,
            properties: self.properties.clone(),
            backlog: self.backlog(log),
            unacked_messages: state.unacked,
            blocked_on_unacked: state.blocked,
            delayed: self.dispatcher.delayed() as u64,
            counters: state.counters,
            active_consumer: state
                .consumers
                .iter()
                .find(|consumer| Some(consumer.serial) == active)
                .map(|consumer| consumer.name.clone()),
            allow_out_of_order: state
                .consumers
                .first()
                .is_some_and(|consumer| consumer.key_shared.out_of_order),
            consumers: state.consumers.iter().map(|consumer| self.stats_of(consumer)).collect(),
        }
    }

    fn stats_of(&self, consumer: &Consumer) -> ConsumerStats {
        ConsumerStats {
            name: consumer.name.clone(),
            consumer_id: consumer.id,
            priority: consumer.priority,
            available_permits: consumer.permits,
            unacked_messages: consumer.unacked,
            blocked_on_unacked: consumer.blocked,
            connected_at: consumer.connected_at,
            peer: consumer.outlet.peer().clone(),
            properties: consumer.properties.clone(),
            read_compacted: consumer.read_compacted,
            hash_ranges: self.dispatcher.ranges_of(consumer.serial),
            counters: consumer.counters,
        }
    }

    /// What a consumer that asks is told; the session adds the request's id.
    pub fn consumer_stats(
        &self,
        log: &Log,
        outlet_id: u64,
        consumer_id: u64,
        now: u64,
    ) -> Option<CommandConsumerStatsResponse> {
        let index = self.state.index_of(outlet_id, consumer_id)?;
        let consumer = self.state.consumers.get(index)?;
        let counters = consumer.counters;
        let rate = |count: u64| per_second(count, now.saturating_sub(consumer.connected_at));
        Some(CommandConsumerStatsResponse {
            msg_rate_out: Some(rate(counters.messages_out)),
            msg_throughput_out: Some(rate(counters.bytes_out)),
            msg_rate_redeliver: Some(rate(counters.messages_redelivered)),
            consumer_name: Some(consumer.name.clone()),
            available_permits: Some(u64::try_from(consumer.permits).unwrap_or_default()),
            unacked_messages: Some(consumer.unacked.into()),
            blocked_consumer_on_unacked_msgs: Some(consumer.blocked),
            address: Some(consumer.outlet.peer().address.clone()),
            r#type: Some(type_name(self.kind).to_owned()),
            msg_rate_expired: Some(0.0),
            msg_backlog: Some(self.backlog(log)),
            message_ack_rate: Some(rate(counters.messages_acked)),
            ..CommandConsumerStatsResponse::default()
        })
    }
}

/// The kind's name as Pulsar writes it.
pub const fn type_name(kind: SubscriptionType) -> &'static str {
    match kind {
        SubscriptionType::Exclusive => "Exclusive",
        SubscriptionType::Shared => "Shared",
        SubscriptionType::Failover => "Failover",
        SubscriptionType::KeyShared => "Key_Shared",
    }
}

#[allow(clippy::cast_precision_loss, reason = "a rate need not be exact")]
fn per_second(count: u64, millis: u64) -> f64 {
    count as f64 * 1000.0 / millis.max(1) as f64
}
