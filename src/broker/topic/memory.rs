//! How much memory the messages of all topics take.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::broker::entry::Entry;

/// What an entry takes beside its bytes: itself, its place in the log, its key and producer name.
const ENTRY_OVERHEAD: u64 = 256;

/// Counts bytes against a limit.
#[derive(Debug)]
pub(super) struct Memory {
    limit: u64,
    used: AtomicU64,
}

impl Memory {
    pub(super) fn new(limit: u64) -> Self {
        Self { limit, used: AtomicU64::new(0) }
    }

    pub(super) fn take(&self, entry: &Entry) {
        self.used.fetch_add(size(entry), Ordering::Relaxed);
    }

    pub(super) fn give_back<'a>(&self, entries: impl IntoIterator<Item = &'a Entry>) {
        let freed: u64 = entries.into_iter().map(size).sum();
        self.used.fetch_sub(freed, Ordering::Relaxed);
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    pub(super) fn limit(&self) -> u64 {
        self.limit
    }

    /// Whether nothing more fits.
    pub(super) fn is_full(&self) -> bool {
        self.used() >= self.limit
    }

    /// Whether it is time to forget what need not be kept.
    pub(super) fn is_tight(&self) -> bool {
        self.used() >= self.limit / 4 * 3
    }
}

fn size(entry: &Entry) -> u64 {
    entry.bytes.len() as u64 + ENTRY_OVERHEAD
}
