//! Backlog quotas and the memory that all topics share: what happens when there is too much.

use std::sync::Arc;

use super::Topic;
use super::producing::{close, refuse};
use super::state::State;
use crate::broker::policies::{BacklogQuota, QuotaKind, QuotaPolicy};
use crate::broker::position::Position;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::ServerError;

/// Evicting stops at this share of a limit, so that it need not begin again with the next message.
const EVICT_TO: (u64, u64) = (9, 10);
/// A backlog is measured again after it may have grown by this share of its limit.
const MEASURE_AFTER: u64 = 20;

impl Topic {
    /// Before an entry is taken: keeps the backlog to its quotas and all topics to their memory. False: the producers
    /// are closed, and their clients send again what was not answered.
    pub(super) fn make_room(self: &Arc<Self>, state: &mut State, now: u64) -> bool {
        if self.services.memory.is_tight() {
            self.trim(state);
        }
        let full = self.services.memory.is_full();
        if full && quota(state, QuotaKind::DestinationStorage).policy == QuotaPolicy::ConsumerBacklogEviction
        {
            self.evict(state, state.log.bytes() as u64 / 2, now);
        } else if full {
            close_producers(state);
            return false;
        }
        self.enforce_quota(state, now)
    }

    /// Applies the quotas to what there is. Whether producers may go on.
    pub(super) fn enforce_quota(self: &Arc<Self>, state: &mut State, now: u64) -> bool {
        let Some(exceeded) = exceeded(state, now) else { return true };
        let quota = quota(state, exceeded);
        match (quota.policy, exceeded) {
            (QuotaPolicy::ConsumerBacklogEviction, QuotaKind::DestinationStorage) => {
                let limit = u64::try_from(quota.limit_size).unwrap_or_default();
                self.evict(state, limit / EVICT_TO.1 * EVICT_TO.0, now);
                true
            }
            (QuotaPolicy::ConsumerBacklogEviction, QuotaKind::MessageAge) => {
                let age = u64::try_from(quota.limit_time).unwrap_or_default();
                self.expire_before(state, now.saturating_sub(age.saturating_mul(1000)), now);
                true
            }
            _ => {
                close_producers(state);
                false
            }
        }
    }

    /// Refuses a new producer while there is too much. Our error says which of the two policies it is: `QueueFull`, to be
    /// tried again, or `QuotaExceeded`.
    pub(super) fn check_quota(&self, state: &mut State, now: u64) -> Result<()> {
        if self.services.memory.is_full() {
            self.trim(state);
        }
        state.measured = None;
        let (kind, reason) = if self.services.memory.is_full() {
            (
                QuotaKind::DestinationStorage,
                "the broker's memory is full of messages: acknowledge or expire some",
            )
        } else {
            match exceeded(state, now) {
                Some(kind) => (kind, "the topic's backlog is over its quota: acknowledge or expire messages"),
                None => return Ok(()),
            }
        };
        match quota(state, kind).policy {
            QuotaPolicy::ConsumerBacklogEviction => Ok(()),
            QuotaPolicy::ProducerRequestHold => Err(Error::new(ErrorKind::QueueFull, reason)),
            QuotaPolicy::ProducerException => Err(Error::new(ErrorKind::QuotaExceeded, reason)),
        }
    }

    /// Gives up the oldest messages, until the backlog is no larger than this many bytes.
    fn evict(self: &Arc<Self>, state: &mut State, target: u64, now: u64) {
        let mut bytes = state.backlog_bytes();
        let mut bound = None;
        for entry in state.log.from(state.acked_by_all()) {
            if bytes <= target {
                break;
            }
            bytes -= entry.bytes.len() as u64;
            bound = Some(entry.position.next());
        }
        state.measured = None;
        if let Some(bound) = bound {
            self.skip_before(state, bound, now);
        }
    }

    /// Acknowledges everything before a position, for every subscription.
    pub(super) fn skip_before(self: &Arc<Self>, state: &mut State, bound: Position, now: u64) {
        let names: Vec<String> = state.subscriptions.keys().cloned().collect();
        for name in names {
            self.skip_one_before(state, &name, bound, now);
        }
        self.trim(state);
    }
}

fn exceeded(state: &mut State, now: u64) -> Option<QuotaKind> {
    let size = quota(state, QuotaKind::DestinationStorage).limit_size;
    let over_size = u64::try_from(size).is_ok_and(|limit| state.backlog_reaches(limit));
    if over_size {
        return Some(QuotaKind::DestinationStorage);
    }
    let deadline = state.age_deadline();
    deadline.filter(|deadline| *deadline <= now).map(|_| QuotaKind::MessageAge)
}

fn close_producers(state: &mut State) {
    let (connected, waiting) = state.producers.drain();
    for producer in &connected {
        close(producer);
    }
    for producer in &waiting {
        let reason = "the topic's backlog is over its quota";
        refuse(producer, ServerError::ProducerBlockedQuotaExceededError, reason);
    }
}

/// A backlog that was found to be small enough: not before the log has this many bytes is it measured again.
pub(super) type Measured = u64;

impl State {
    fn backlog_reaches(&mut self, limit: u64) -> bool {
        let bytes = self.log.bytes() as u64;
        if bytes < limit || self.measured.is_some_and(|again| bytes < again) {
            return false;
        }
        if self.backlog_bytes() >= limit {
            return true;
        }
        self.measured = Some(bytes + limit / MEASURE_AFTER);
        false
    }

    /// Bytes of what the slowest subscription has not acknowledged.
    pub(super) fn backlog_bytes(&self) -> u64 {
        if self.subscriptions.is_empty() {
            return 0;
        }
        self.log.from(self.acked_by_all()).map(|entry| entry.bytes.len() as u64).sum()
    }

    /// When the oldest unacknowledged message is as old as the quota lets it be.
    pub(super) fn age_deadline(&self) -> Option<u64> {
        let limit = quota(self, QuotaKind::MessageAge).limit_time;
        let limit = u64::try_from(limit).ok().filter(|limit| *limit > 0)?;
        let oldest = self.log.from(self.acked_by_all()).next()?;
        Some(oldest.stored_at.saturating_add(limit.saturating_mul(1000)))
    }
}

/// The quota in effect; without one there is no limit, and what holds for the memory is Pulsar's default policy.
fn quota(state: &State, kind: QuotaKind) -> BacklogQuota {
    let unlimited = BacklogQuota { limit_size: -1, limit_time: -1, policy: QuotaPolicy::default() };
    state.policies.backlog_quotas.get(&kind).copied().unwrap_or(unlimited)
}
