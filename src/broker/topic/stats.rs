//! What a topic tells of itself.

use std::collections::BTreeMap;

use super::Topic;
use super::producers::Producer;
use crate::broker::outlet::Peer;
use crate::broker::position::Position;
use crate::broker::subscription::SubscriptionStats;
use crate::protocol::proto::ProducerAccessMode;

/// Counts since the topic was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub messages_in: u64,
    pub bytes_in: u64,
}

/// A topic, for the admin's statistics.
#[derive(Clone, Debug)]
pub struct TopicStats {
    pub counters: Counters,
    /// Entries that are stored.
    pub entries: u64,
    /// Bytes of them.
    pub storage_size: u64,
    /// Bytes of what the slowest subscription has not acknowledged.
    pub backlog_size: u64,
    /// When the oldest of that was stored, in milliseconds since 1970.
    pub oldest_backlog: Option<u64>,
    pub last: Option<Position>,
    /// Where the next entry goes.
    pub next: Position,
    pub ledgers: Vec<LedgerStats>,
    pub terminated: Option<Position>,
    pub deduplication: bool,
    pub topic_epoch: Option<u64>,
    pub waiting_producers: usize,
    pub publishers: Vec<PublisherStats>,
    pub subscriptions: BTreeMap<String, SubscriptionDetail>,
    pub compaction: CompactionStats,
}

/// A ledger, for the admin's statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerStats {
    pub id: u64,
    /// How many entries it ever had.
    pub entries: u64,
    /// Bytes of those that are still there.
    pub size: u64,
}

/// A subscription with its place in the log.
#[derive(Clone, Debug)]
pub struct SubscriptionDetail {
    pub stats: SubscriptionStats,
    /// Everything before is acknowledged.
    pub first_unacked: Position,
}

/// A producer, for the admin's statistics.
#[derive(Clone, Debug)]
pub struct PublisherStats {
    pub name: String,
    pub producer_id: u64,
    pub access_mode: ProducerAccessMode,
    /// Milliseconds since 1970.
    pub connected_at: u64,
    pub peer: Peer,
    pub metadata: BTreeMap<String, String>,
    pub messages: u64,
    pub bytes: u64,
}

/// What compaction has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactionStats {
    pub running: bool,
    /// The first entry that it has not seen, once it ran.
    pub horizon: Option<Position>,
    pub entries: u64,
    /// Messages that it left out, last time.
    pub removed: u64,
    /// When it last ran, in milliseconds since 1970.
    pub ran_at: Option<u64>,
    pub duration_millis: u64,
}

impl Topic {
    pub fn stats(&self) -> TopicStats {
        let mut guard = self.lock();
        let state = &mut *guard;
        let log = &state.log;
        let detail = |subscription: &crate::broker::subscription::Subscription| SubscriptionDetail {
            stats: subscription.stats(log),
            first_unacked: subscription.first_unacked(),
        };
        TopicStats {
            counters: state.counters,
            entries: log.len() as u64,
            storage_size: log.bytes() as u64,
            backlog_size: state.backlog_bytes(),
            oldest_backlog: state.oldest_unacked(),
            last: log.last().map(|entry| entry.position),
            next: log.next_position(),
            ledgers: log.ledgers().collect(),
            terminated: state.terminated,
            deduplication: state.dedup.is_enabled(),
            topic_epoch: state.producers.epoch,
            waiting_producers: state.producers.waiting(),
            publishers: state.producers.iter().map(PublisherStats::of).collect(),
            subscriptions: state.subscriptions.iter().map(|(name, s)| (name.clone(), detail(s))).collect(),
            compaction: state.compaction,
        }
    }
}

impl PublisherStats {
    fn of(producer: &Producer) -> Self {
        let metadata = producer.request.metadata.iter();
        Self {
            name: producer.name.to_string(),
            producer_id: producer.request.producer_id,
            access_mode: producer.request.access_mode,
            connected_at: producer.connected_at,
            peer: producer.outlet.peer().clone(),
            metadata: metadata.map(|pair| (pair.key.clone(), pair.value.clone())).collect(),
            messages: producer.messages,
            bytes: producer.bytes,
        }
    }
}
