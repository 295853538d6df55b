//! What happens by itself as time passes: delayed deliveries, expiry, retention, old backlogs.

use std::sync::Arc;

use super::Topic;
use super::state::State;
use crate::broker::entry::Entry;
use crate::broker::position::Position;
use crate::broker::subscription::Subscription;

impl Topic {
    /// Does what is due, but for compaction, which takes long. `now` is in milliseconds since 1970.
    pub fn tick(self: &Arc<Self>, now: u64) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.next_tick = None;
        let limit = ttl(state).map(|ttl| now.saturating_sub(ttl));
        if let Some(limit) = limit {
            self.expire_before(state, limit, now);
        }
        if state.age_deadline().is_some_and(|deadline| deadline <= now) {
            self.enforce_quota(state, now);
        }
        self.trim(state);
        for subscription in state.subscriptions.values_mut() {
            subscription.tick(&state.log, now);
        }
        self.plan(state, now);
    }

    /// Asks to be woken when something is due next.
    pub(super) fn plan(self: &Arc<Self>, state: &mut State, now: u64) {
        let delayed = state.subscriptions.values().filter_map(Subscription::next_deadline).min();
        let deadlines = [
            delayed,
            state.expiry_deadline(),
            state.retention_deadline(),
            state.age_deadline(),
            state.compaction_deadline(),
        ];
        if let Some(at) = deadlines.into_iter().flatten().min() {
            // What could not be done at its time is tried again, but not at once.
            self.wake_at(state, if at > now { at } else { now + 1000 });
        }
    }

    fn wake_at(self: &Arc<Self>, state: &mut State, at: u64) {
        if state.next_tick.is_none_or(|next| at < next) {
            state.next_tick = Some(at);
            self.services.ticker.schedule(self, at);
        }
    }

    /// Acknowledges, for every subscription, what was stored at this time or before.
    pub(super) fn expire_before(self: &Arc<Self>, state: &mut State, limit: u64, now: u64) {
        let old = state.log.from(state.acked_by_all()).take_while(|entry| entry.stored_at <= limit).last();
        if let Some(bound) = old.map(|entry| entry.position.next()) {
            self.skip_before(state, bound, now);
        }
    }

    /// A new entry may have to be seen to earlier than anything before.
    pub(super) fn plan_for(self: &Arc<Self>, state: &mut State, entry: &Entry) {
        if let Some(at) = entry.facts.deliver_at.filter(|at| *at > entry.stored_at) {
            self.wake_at(state, at);
        }
        if let Some(at) = state.compaction_deadline() {
            self.wake_at(state, at.max(entry.stored_at));
        }
        let policies = &state.policies;
        if state.next_tick.is_none()
            && (ttl(state).is_some() || policies.retention.is_some() || !policies.backlog_quotas.is_empty())
        {
            self.plan(state, entry.stored_at);
        }
    }
}

impl State {
    /// When the oldest message that is not acknowledged expires.
    fn expiry_deadline(&self) -> Option<u64> {
        let ttl = ttl(self)?;
        let oldest = self.oldest_unacked()?;
        Some(oldest.saturating_add(ttl))
    }

    /// When the oldest message that is not acknowledged was stored.
    pub(super) fn oldest_unacked(&self) -> Option<u64> {
        let slowest: Position = self.subscriptions.values().map(Subscription::first_unacked).min()?;
        self.log.from(slowest).next().map(|entry| entry.stored_at)
    }
}

/// The time to live, in milliseconds.
fn ttl(state: &State) -> Option<u64> {
    state
        .policies
        .message_ttl_seconds
        .filter(|seconds| *seconds > 0)
        .map(|seconds| seconds.saturating_mul(1000))
}
