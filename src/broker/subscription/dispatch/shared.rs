//! Shared: each entry goes to one of the consumers, in turn; the chunks of one message go to the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::delays::Delays;
use super::hash_of;
use super::in_flight::InFlight;
use crate::broker::entry::Entry;
use crate::broker::position::Position;
use crate::broker::subscription::consumer::Consumer;
use crate::broker::subscription::state::{Pending, State};
use crate::broker::topic::log::Log;

/// Chunks that may wait for the consumer of their message while other entries are read.
const LOOK_AHEAD: usize = 1000;

#[derive(Default)]
pub(in crate::broker::subscription) struct Shared {
    /// Entries to deliver again, or late.
    again: BTreeSet<Position>,
    delays: Delays,
    /// Who has chunks of which message.
    chunks: InFlight,
    /// The index of the consumer whose turn it is.
    turn: usize,
}

impl Shared {
    pub(super) fn joined(state: &mut State) {
        state.consumers.sort_by_key(|consumer| consumer.priority);
    }

    pub(super) fn again(&mut self, taken: &[(Position, Pending)]) {
        for (position, pending) in taken {
            self.again.insert(*position);
            if let Some(hash) = pending.hash {
                self.chunks.remove(hash);
            }
        }
    }

    /// A chunk was acknowledged; whether its message has none left.
    pub(super) fn release(&mut self, hash: u16) -> bool {
        self.chunks.remove(hash)
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.delays.next_deadline()
    }

    pub(super) fn delayed(&self) -> usize {
        self.delays.len()
    }

    pub(super) fn dispatch(&mut self, state: &mut State, log: &Log, now: u64) {
        while let Some(due) = self.delays.pop_due(now) {
            self.again.insert(due);
        }
        let mut stuck = Vec::new();
        while let Some(position) = self.again.first().copied() {
            let Some(next) = self.next_taker(state) else { break };
            self.again.pop_first();
            if let Some(entry) = state.wanted(log, position)
                && !self.lend(state, next, entry)
            {
                stuck.push(position);
            }
        }
        self.again.extend(stuck);
        self.read(state, log, now);
    }

    fn read(&mut self, state: &mut State, log: &Log, now: u64) {
        for entry in log.from(state.read) {
            if self.again.len() >= LOOK_AHEAD {
                return;
            }
            let Some(next) = self.next_taker(state) else { return };
            state.read = entry.position.next();
            if state.cursor.is_acked(entry.position) {
                continue;
            }
            if let Some(until) = state.delay(entry, now) {
                self.delays.hold(entry.position, until);
            } else if !self.lend(state, next, entry) {
                self.again.insert(entry.position);
            }
        }
    }

    /// Sends an entry to the consumer whose turn it is, or a chunk to the one that has others of its message. False: that
    /// one cannot take it now.
    fn lend(&mut self, state: &mut State, next: usize, entry: &Arc<Entry>) -> bool {
        if !entry.facts.is_chunk {
            self.turn = next + 1;
            state.lend(next, entry, None);
            return true;
        }
        let hash = hash_of(entry);
        let holder = self.chunks.holder(hash);
        let index = holder.and_then(|serial| state.consumers.iter().position(|other| other.serial == serial));
        let index = index.unwrap_or(next);
        if !state.consumers.get(index).is_some_and(Consumer::takes) {
            return false;
        }
        if let Some(serial) = state.lend(index, entry, Some(hash)) {
            self.chunks.add(hash, serial);
        }
        true
    }

    /// Among the consumers that can take an entry, those of the best priority take turns.
    fn next_taker(&self, state: &State) -> Option<usize> {
        if state.blocked {
            return None;
        }
        let consumers = &state.consumers;
        let best = consumers.iter().find(|consumer| consumer.takes())?.priority;
        let start = consumers.partition_point(|consumer| consumer.priority < best);
        let end = consumers.partition_point(|consumer| consumer.priority <= best);
        let turn = if (start..end).contains(&self.turn) { self.turn } else { start };
        let takes = |index: &usize| consumers.get(*index).is_some_and(Consumer::takes);
        (turn..end).chain(start..turn).find(takes)
    }
}
