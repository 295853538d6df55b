//! One consumer of a subscription.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::new_consumer::{KeyShared, NewConsumer};
use crate::broker::outlet::Outlet;

/// Counts what passed through a consumer or a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub messages_out: u64,
    pub bytes_out: u64,
    pub messages_redelivered: u64,
    pub messages_acked: u64,
}

pub(super) struct Consumer {
    /// Counts the consumers of the subscription: names this one for as long as the subscription lives.
    pub(super) serial: u64,
    pub(super) id: u64,
    pub(super) outlet: Arc<dyn Outlet>,
    pub(super) name: String,
    pub(super) priority: i32,
    pub(super) properties: BTreeMap<String, String>,
    pub(super) read_compacted: bool,
    pub(super) key_shared: KeyShared,
    pub(super) epoch: Option<u64>,
    /// Milliseconds since 1970.
    pub(super) connected_at: u64,
    /// Messages that it may be sent; below 0 after a batch that is larger than what it had.
    pub(super) permits: i64,
    /// Messages that it was sent and has not acknowledged.
    pub(super) unacked: u32,
    /// Has too many of them.
    pub(super) blocked: bool,
    pub(super) counters: Counters,
}

impl Consumer {
    pub(super) fn new(serial: u64, new: NewConsumer, outlet: Arc<dyn Outlet>, now: u64) -> Self {
        Self {
            serial,
            id: new.consumer_id,
            outlet,
            name: new.name,
            priority: new.priority,
            properties: new.properties,
            read_compacted: new.read_compacted,
            key_shared: new.key_shared,
            epoch: new.epoch,
            connected_at: now,
            permits: 0,
            unacked: 0,
            blocked: false,
            counters: Counters::default(),
        }
    }

    pub(super) fn is(&self, outlet_id: u64, consumer_id: u64) -> bool {
        self.id == consumer_id && self.outlet.id() == outlet_id
    }

    /// Whether it may be sent another entry.
    pub(super) fn takes(&self) -> bool {
        self.permits > 0 && !self.blocked && self.outlet.is_writable()
    }
}
