//! What all topics of a broker share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::memory::Memory;
use super::ticker::Ticker;
use crate::broker::storage::Storage;
use crate::clock::Clock;

/// Given to each topic by the registry, behind an `Arc`.
pub struct Services {
    pub clock: Clock,
    pub storage: Arc<dyn Storage>,
    /// The largest entry taken, in bytes.
    pub max_message_size: usize,
    pub(super) memory: Memory,
    pub(super) ticker: Ticker,
    next_ledger: AtomicU64,
    next_producer: AtomicU64,
}

impl Services {
    /// `memory` is how many bytes of messages all topics may hold together; no ledger has `next_ledger` or a higher id.
    pub fn new(
        clock: Clock,
        storage: Arc<dyn Storage>,
        max_message_size: usize,
        memory: u64,
        next_ledger: u64,
    ) -> Self {
        Self {
            clock,
            storage,
            max_message_size,
            memory: Memory::new(memory),
            ticker: Ticker::default(),
            next_ledger: AtomicU64::new(next_ledger),
            next_producer: AtomicU64::new(0),
        }
    }

    /// Wakes topics at the times that they asked for. Runs until it is dropped.
    pub async fn run(self: Arc<Self>) {
        self.ticker.run(&self.clock).await;
    }

    /// Bytes of messages that all topics hold, and how many they may.
    pub fn memory(&self) -> (u64, u64) {
        (self.memory.used(), self.memory.limit())
    }

    pub(super) fn next_ledger(&self) -> u64 {
        self.next_ledger.fetch_add(1, Ordering::Relaxed)
    }

    /// A producer name that nobody else has, in this or an earlier run.
    pub(super) fn next_producer_name(&self) -> String {
        let number = self.next_producer.fetch_add(1, Ordering::Relaxed);
        format!("standalone-{}-{number}", std::process::id())
    }
}
