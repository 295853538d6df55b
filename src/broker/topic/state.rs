//! All that changes about a topic, behind one lock.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use super::cursors::CursorWriting;
use super::dedup::Deduplication;
use super::log::Log;
use super::producers::Producers;
use super::publish::Writing;
use super::quota::Measured;
use super::rate::RateLimiter;
use super::stats::{CompactionStats, Counters};
use crate::broker::outlet::Outlet;
use crate::broker::policies::Policies;
use crate::broker::position::Position;
use crate::broker::subscription::Subscription;

/// A connection's id, and the id that it gave the consumer.
pub(super) type ConsumerKey = (u64, u64);

pub(super) struct State {
    pub(super) log: Log,
    /// Entries that are not stored yet, and answers behind them. Always empty without a data directory.
    pub(super) writing: VecDeque<Writing>,
    pub(super) producers: Producers,
    pub(super) subscriptions: BTreeMap<String, Subscription>,
    pub(super) cursors: HashMap<String, CursorWriting>,
    pub(super) consumers: HashMap<ConsumerKey, Attached>,
    pub(super) dedup: Deduplication,
    pub(super) own_policies: Policies,
    /// Those of the namespace over the broker's.
    pub(super) namespace_policies: Policies,
    /// In effect: the topic's own over its namespace's.
    pub(super) policies: Policies,
    /// The last position of a topic that takes no more.
    pub(super) terminated: Option<Position>,
    pub(super) deleted: bool,
    /// When `Topic::tick` is called next, as far as was asked for.
    pub(super) next_tick: Option<u64>,
    pub(super) measured: Option<Measured>,
    pub(super) rate: RateLimiter,
    pub(super) counters: Counters,
    pub(super) compaction: CompactionStats,
    /// Bytes of entries that compaction has not seen.
    pub(super) uncompacted: u64,
}

/// Where a consumer belongs.
pub(super) struct Attached {
    pub(super) subscription: String,
    pub(super) outlet: Arc<dyn Outlet>,
    /// Whether it was told that nothing more will come.
    pub(super) knows_end: bool,
}

impl State {
    pub(super) fn new(ledger: u64, policies: Policies) -> Self {
        let mut dedup = Deduplication::default();
        dedup.enable(policies.deduplication.unwrap_or_default());
        Self {
            log: Log::new(ledger),
            writing: VecDeque::new(),
            producers: Producers::default(),
            subscriptions: BTreeMap::new(),
            cursors: HashMap::new(),
            consumers: HashMap::new(),
            dedup,
            own_policies: Policies::default(),
            namespace_policies: policies.clone(),
            policies,
            terminated: None,
            deleted: false,
            next_tick: None,
            measured: None,
            rate: RateLimiter::default(),
            counters: Counters::default(),
            compaction: CompactionStats::default(),
            uncompacted: 0,
        }
    }

    /// A consumer's subscription, with the log that it reads.
    pub(super) fn subscription_of(&mut self, key: ConsumerKey) -> Option<(&mut Subscription, &Log)> {
        let name = &self.consumers.get(&key)?.subscription;
        Some((self.subscriptions.get_mut(name)?, &self.log))
    }

    /// Drops what is known of consumers that their subscription no longer has.
    pub(super) fn forget_detached(&mut self) {
        let subscriptions = &self.subscriptions;
        self.consumers.retain(|(outlet_id, consumer_id), consumer| {
            subscriptions
                .get(&consumer.subscription)
                .is_some_and(|subscription| subscription.has_consumer(*outlet_id, *consumer_id))
        });
    }
}
