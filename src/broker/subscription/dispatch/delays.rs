//! Entries that asked to be delivered later.

use std::collections::BTreeSet;

use crate::broker::position::Position;

#[derive(Default)]
pub(super) struct Delays(BTreeSet<(u64, Position)>);

impl Delays {
    /// Holds an entry back until a time in milliseconds since 1970.
    pub(super) fn hold(&mut self, position: Position, until: u64) {
        self.0.insert((until, position));
    }

    /// Takes out an entry that is due.
    pub(super) fn pop_due(&mut self, now: u64) -> Option<Position> {
        self.next_deadline().filter(|at| *at <= now)?;
        self.0.pop_first().map(|(_, position)| position)
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.0.first().map(|(at, _)| *at)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
