//! What need not be kept: acknowledged by every subscription, and neither retained nor in the ledger that is written.

use std::sync::Arc;

use super::Topic;
use super::log::Log;
use super::state::State;
use crate::broker::policies::Retention;
use crate::broker::position::Position;
use crate::broker::storage::Op;
use crate::broker::subscription::Subscription;

/// A ledger with this many entries is closed, as Pulsar does.
const LEDGER_ENTRIES: usize = 50_000;
/// Or with this many bytes, so that what is acknowledged is soon forgotten.
const LEDGER_BYTES: usize = 16 << 20;

const MILLIS_PER_MINUTE: u64 = 60_000;

impl Topic {
    /// Later entries go to a new ledger, if this one is large. To be called while nothing is being written.
    ///
    /// Without a subscription a closed ledger is forgotten at once. Pulsar closes none in its first ten minutes, so that
    /// one may publish first and subscribe then; here only a lack of memory takes it.
    pub(super) fn roll_if_full(self: &Arc<Self>, state: &mut State) {
        if state.subscriptions.is_empty() {
            return;
        }
        let (entries, bytes) = state.log.open_ledger_size();
        if entries >= LEDGER_ENTRIES || bytes >= LEDGER_BYTES {
            self.roll(state);
            self.trim(state);
        }
    }

    pub(super) fn roll(&self, state: &mut State) {
        let ledger = self.services.next_ledger();
        state.log.roll(ledger);
        self.store(vec![Op::OpenLedger { topic: self.name.clone(), ledger }]);
    }

    /// A subscription has acknowledged more, or is gone: forgets what nobody needs any more.
    pub(super) fn trim(&self, state: &mut State) {
        let acked = state.acked_by_all();
        let bound = match state.policies.retention.filter(retains) {
            Some(retention) => acked.min(retained_from(&state.log, retention, self.now())),
            None if self.services.memory.is_tight() => acked,
            // A reader has no subscription while it reconnects: Pulsar, too, looks for what to forget only now and then.
            None if state.subscriptions.is_empty() => return,
            // What is acknowledged can be sought and read again until its ledger is closed.
            None => acked.min(state.log.open_ledger()),
        };
        let bound = match state.kept_for_compaction() {
            // The compacted view is made anew from the log after a restart.
            Some(_) if self.is_durable() => return,
            Some(unseen) => bound.min(unseen),
            None => bound,
        };
        self.forget_before(state, bound);
    }

    pub(super) fn forget_before(&self, state: &mut State, bound: Position) {
        let freed = state.log.trim_before(bound);
        if freed.is_empty() {
            return;
        }
        self.services.memory.give_back(freed.iter().map(|entry| &**entry));
        self.store(vec![Op::Trim { topic: self.name.clone(), before: bound }]);
    }

    /// Messages of a topic that is not persistent are delivered now or never.
    pub(super) fn forget_dispatched(&self, state: &mut State) {
        if !self.name.is_persistent() {
            let end = state.log.next_position();
            self.forget_before(state, end);
        }
    }
}

impl State {
    /// Everything before is acknowledged by every subscription.
    pub(super) fn acked_by_all(&self) -> Position {
        let slowest = self.subscriptions.values().map(Subscription::first_unacked).min();
        slowest.unwrap_or_else(|| self.log.next_position())
    }

    /// Whether an acknowledgement can let anything go: there is a closed ledger, or retention looks at single entries.
    pub(super) fn may_trim(&self) -> bool {
        self.log.has_closed_ledgers() || self.policies.retention.as_ref().is_some_and(retains)
    }

    /// When retention lets the oldest entry go.
    pub(super) fn retention_deadline(&self) -> Option<u64> {
        let minutes = self.policies.retention.filter(retains)?.retention_time_in_minutes;
        let first = self.log.first().filter(|first| first.position < self.acked_by_all())?;
        let minutes = u64::try_from(minutes).ok().filter(|minutes| *minutes > 0)?;
        Some(first.stored_at.saturating_add(minutes * MILLIS_PER_MINUTE))
    }
}

/// Whether anything is to be kept: a time or a size of 0 is nothing.
fn retains(retention: &Retention) -> bool {
    retention.retention_time_in_minutes != 0 && retention.retention_size_in_mb != 0
}

/// The first entry that is neither too old nor too much.
fn retained_from(log: &Log, retention: Retention, now: u64) -> Position {
    let time =
        u64::try_from(retention.retention_time_in_minutes).ok().map(|minutes| minutes * MILLIS_PER_MINUTE);
    let size = usize::try_from(retention.retention_size_in_mb).ok().map(|megabytes| megabytes << 20);
    let mut bytes = log.bytes();
    for entry in log.from(Position::new(0, 0)) {
        let too_old = time.is_some_and(|time| entry.stored_at.saturating_add(time) <= now);
        let too_much = size.is_some_and(|size| bytes > size);
        if !too_old && !too_much {
            return entry.position;
        }
        bytes -= entry.bytes.len();
    }
    log.next_position()
}
