//! What of a topic one subscription has acknowledged.

use std::collections::BTreeMap;

use super::ack_set::AckSet;
use super::ranges::Ranges;
use crate::broker::entry::Entry;
use crate::broker::position::Position;
use crate::broker::topic::log::Log;

/// Messages of the largest batch of which parts can be acknowledged: a bound on the memory that a producer's word costs.
const MAX_BATCH: u32 = 1 << 20;

/// Everything before a position, single entries behind it, and parts of batches.
#[derive(Clone, Debug)]
pub struct Cursor {
    /// Everything before is acknowledged: the place right behind Pulsar's mark-delete position.
    first_unacked: Position,
    /// Entries at or behind `first_unacked` that are acknowledged.
    acked: Ranges,
    /// Batches of which a part is acknowledged.
    partial: BTreeMap<Position, AckSet>,
}

/// A cursor as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CursorState {
    pub first_unacked: Position,
    /// Ranges that are acknowledged behind it: the first position, and the number of the entry behind the last.
    pub acked: Vec<(Position, u64)>,
    /// Batches of which a part is acknowledged: a bit for each message that is not.
    pub partial: Vec<(Position, Vec<u64>)>,
}

impl Cursor {
    pub fn new(first_unacked: Position) -> Self {
        Self { first_unacked, acked: Ranges::default(), partial: BTreeMap::new() }
    }

    pub fn first_unacked(&self) -> Position {
        self.first_unacked
    }

    pub fn is_acked(&self, position: Position) -> bool {
        position < self.first_unacked || (!self.acked.is_empty() && self.acked.contains(position))
    }

    /// What remains of a batch, if a part of it is acknowledged.
    pub fn remaining(&self, position: Position) -> Option<&AckSet> {
        self.partial.get(&position)
    }

    /// Acknowledges an entry; whether it was not before.
    pub fn ack(&mut self, log: &Log, position: Position) -> bool {
        if self.is_acked(position) {
            return false;
        }
        self.partial.remove(&position);
        if position == self.first_unacked {
            self.first_unacked = position.next();
        } else {
            self.acked.insert(position);
        }
        self.advance(log);
        true
    }

    /// Acknowledges what the bit set no longer holds of a batch; returns how many messages that were not before.
    pub fn ack_part(&mut self, log: &Log, entry: &Entry, bits: &[i64]) -> u32 {
        if self.is_acked(entry.position) || entry.facts.messages > MAX_BATCH {
            return 0;
        }
        let set = self.partial.entry(entry.position).or_insert_with(|| AckSet::full(entry.facts.messages));
        let acked = set.retain(bits);
        if set.remaining() == 0 {
            self.ack(log, entry.position);
        }
        acked
    }

    /// Acknowledges everything before a position; whether that is news.
    pub fn ack_before(&mut self, log: &Log, position: Position) -> bool {
        if position <= self.first_unacked {
            return false;
        }
        self.first_unacked = position;
        self.acked.remove_before(position);
        self.partial = self.partial.split_off(&position);
        self.advance(log);
        true
    }

    /// Goes to a position, forward or back: nothing behind it is acknowledged.
    pub fn reset(&mut self, first_unacked: Position) {
        *self = Self::new(first_unacked);
    }

    /// How many entries are unacknowledged.
    pub fn backlog(&self, log: &Log) -> u64 {
        log.count_from(self.first_unacked).saturating_sub(self.acked.count())
    }

    pub fn snapshot(&self) -> CursorState {
        let partial = self.partial.iter().map(|(position, set)| (*position, set.words().to_vec()));
        CursorState {
            first_unacked: self.first_unacked,
            acked: self.acked.iter().collect(),
            partial: partial.collect(),
        }
    }

    /// Moves over entries that are acknowledged, and over the ends of ledgers between them.
    fn advance(&mut self, log: &Log) {
        while !self.acked.is_empty() {
            let Some(end) =
                log.from(self.first_unacked).next().and_then(|entry| self.acked.end_of(entry.position))
            else {
                return;
            };
            self.first_unacked = end;
            self.acked.remove_before(end);
        }
    }
}

impl From<CursorState> for Cursor {
    fn from(state: CursorState) -> Self {
        let partial =
            state.partial.into_iter().map(|(position, words)| (position, AckSet::from_words(words)));
        Self {
            first_unacked: state.first_unacked,
            acked: state.acked.into_iter().collect(),
            partial: partial.collect(),
        }
    }
}
