//! Who gets what next: one dispatcher for each kind of subscription.

mod delays;
mod in_flight;
mod key_shared;
mod selector;
mod shared;
mod single;

use self::key_shared::KeyShared;
use self::shared::Shared;
use self::single::Single;
use super::new_consumer::{KeyShared as Wish, NewConsumer};
use super::state::{Pending, State};
use super::sticky::HashRange;
use crate::broker::entry::Entry;
use crate::broker::position::Position;
use crate::broker::topic::log::Log;
use crate::error::Result;
use crate::protocol::proto::SubscriptionType;

pub(super) enum Dispatcher {
    Single(Single),
    Shared(Shared),
    KeyShared(KeyShared),
}

impl Dispatcher {
    /// For a subscription without consumers. `wish` is the first consumer's and concerns `Key_Shared` only.
    pub(super) fn new(kind: SubscriptionType, wish: &Wish) -> Self {
        match kind {
            SubscriptionType::Exclusive => Self::Single(Single::exclusive()),
            SubscriptionType::Failover => Self::Single(Single::failover()),
            SubscriptionType::Shared => Self::Shared(Shared::default()),
            SubscriptionType::KeyShared => Self::KeyShared(KeyShared::new(wish)),
        }
    }

    /// Whether a consumer may join.
    pub(super) fn admit(&self, state: &State, new: &NewConsumer) -> Result<()> {
        match self {
            Self::Single(single) => single.admit(state),
            Self::Shared(_) => Ok(()),
            Self::KeyShared(keys) => keys.admit(new),
        }
    }

    /// Takes note of the consumer that joined last.
    pub(super) fn joined(&mut self, state: &mut State) {
        match self {
            Self::Single(single) => single.joined(state),
            Self::Shared(_) => Shared::joined(state),
            Self::KeyShared(keys) => keys.joined(state),
        }
    }

    /// Takes note of a consumer that left, and of what it had.
    pub(super) fn left(&mut self, state: &mut State, serial: u64, had: &[(Position, Pending)]) {
        match self {
            Self::Single(single) => single.left(state),
            Self::Shared(shared) => shared.again(had),
            Self::KeyShared(keys) => keys.left(serial, had),
        }
    }

    /// Delivers again what was taken back.
    pub(super) fn again(&mut self, taken: &[(Position, Pending)]) {
        match self {
            Self::Single(_) => {}
            Self::Shared(shared) => shared.again(taken),
            Self::KeyShared(keys) => keys.again(taken),
        }
    }

    /// Takes note of an entry that was acknowledged; whether others waited for that.
    pub(super) fn settled(&mut self, pending: Pending) -> bool {
        match (self, pending.hash) {
            (Self::Shared(shared), Some(hash)) => shared.release(hash),
            (Self::KeyShared(keys), Some(hash)) => keys.release(hash),
            _ => false,
        }
    }

    /// Sends whatever can be sent.
    pub(super) fn dispatch(&mut self, state: &mut State, log: &Log, now: u64) {
        match self {
            Self::Single(single) => single.dispatch(state, log),
            Self::Shared(shared) => shared.dispatch(state, log, now),
            Self::KeyShared(keys) => keys.dispatch(state, log, now),
        }
    }

    /// When the next delayed entry is due, in milliseconds since 1970.
    pub(super) fn next_deadline(&self) -> Option<u64> {
        match self {
            Self::Single(_) => None,
            Self::Shared(shared) => shared.next_deadline(),
            Self::KeyShared(keys) => keys.next_deadline(),
        }
    }

    /// How many entries are delayed.
    pub(super) fn delayed(&self) -> usize {
        match self {
            Self::Single(_) => 0,
            Self::Shared(shared) => shared.delayed(),
            Self::KeyShared(keys) => keys.delayed(),
        }
    }

    /// The serial number of the consumer that gets everything.
    pub(super) fn active(&self) -> Option<u64> {
        match self {
            Self::Single(single) => single.active(),
            Self::Shared(_) | Self::KeyShared(_) => None,
        }
    }

    /// The hashes of keys that belong to a consumer.
    pub(super) fn ranges_of(&self, serial: u64) -> Vec<HashRange> {
        match self {
            Self::KeyShared(keys) => keys.ranges_of(serial),
            Self::Single(_) | Self::Shared(_) => Vec::new(),
        }
    }
}

/// The hash of an entry's key. Without a key, entries spread, and the chunks of one message stay together.
fn hash_of(entry: &Entry) -> u16 {
    let hash = match &entry.facts.key {
        Some(key) => selector::hash(key),
        None => selector::hash(format!("{}-{}", entry.facts.producer, entry.facts.sequence_id).as_bytes()),
    };
    hash.max(1) // as in Pulsar, where 0 is no hash
}
