//! `Key_Shared`: all entries of a key go to one consumer, in order, while consumers come and go.
//!
//! A hash belongs to one consumer. When it moves to another, its entries wait until the one that had it before has
//! acknowledged, or given back, what it has of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::delays::Delays;
use super::hash_of;
use super::in_flight::InFlight;
use super::selector::Selector;
use crate::broker::entry::Entry;
use crate::broker::position::Position;
use crate::broker::subscription::consumer::Consumer;
use crate::broker::subscription::new_consumer::{KeyShared as Wish, NewConsumer};
use crate::broker::subscription::state::{Pending, State};
use crate::broker::subscription::sticky::HashRange;
use crate::broker::topic::log::Log;
use crate::error::{Error, ErrorKind, Result};

/// Entries that may wait for their consumers while others are read, as in Pulsar.
const LOOK_AHEAD: usize = 20_000;

pub(in crate::broker::subscription) struct KeyShared {
    selector: Selector,
    /// The order of a key may break while consumers come and go.
    out_of_order: bool,
    /// What consumers, by serial number, are to get as soon as they can take it.
    ready: HashMap<u64, BTreeMap<Position, u16>>,
    /// Entries of hashes that another consumer than the hash's own still has entries of, or that belong to nobody.
    held: HashMap<u16, BTreeSet<Position>>,
    /// How many entries of `ready` and `held` there are.
    waiting: usize,
    /// Who has entries of a hash.
    in_flight: InFlight,
    delays: Delays,
}

impl KeyShared {
    pub(super) fn new(wish: &Wish) -> Self {
        Self {
            selector: if wish.ranges.is_some() { Selector::sticky() } else { Selector::ring() },
            out_of_order: wish.out_of_order,
            ready: HashMap::new(),
            held: HashMap::new(),
            waiting: 0,
            in_flight: InFlight::default(),
            delays: Delays::default(),
        }
    }

    pub(super) fn admit(&self, new: &NewConsumer) -> Result<()> {
        if new.key_shared.out_of_order != self.out_of_order {
            return Err(Error::new(
                ErrorKind::ConsumerBusy,
                "the subscription's consumers differ in whether they allow delivery out of order; subscribe like them",
            ));
        }
        self.selector.admit(new)
    }

    pub(super) fn joined(&mut self, state: &State) {
        if let Some(consumer) = state.consumers.iter().max_by_key(|consumer| consumer.serial) {
            self.selector.add(consumer);
        }
        self.assign_anew();
    }

    pub(super) fn left(&mut self, serial: u64, had: &[(Position, Pending)]) {
        self.selector.remove(serial);
        self.again(had);
        self.assign_anew();
    }

    /// Takes note that entries were taken back, and that they are to be delivered again.
    pub(super) fn again(&mut self, taken: &[(Position, Pending)]) {
        for (position, pending) in taken {
            let hash = pending.hash.unwrap_or_default();
            self.release(hash);
            self.wait(*position, hash);
        }
    }

    /// Takes note that an entry of a hash is no longer with its consumer; whether others wait for that no more.
    pub(super) fn release(&mut self, hash: u16) -> bool {
        if !self.in_flight.remove(hash) {
            return false;
        }
        let Some(held) = self.held.remove(&hash) else { return false };
        self.waiting -= held.len();
        for position in held {
            self.wait(position, hash);
        }
        true
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.delays.next_deadline()
    }

    pub(super) fn delayed(&self) -> usize {
        self.delays.len()
    }

    pub(super) fn ranges_of(&self, serial: u64) -> Vec<HashRange> {
        self.selector.ranges_of(serial)
    }

    pub(super) fn dispatch(&mut self, state: &mut State, log: &Log, now: u64) {
        while let Some(due) = self.delays.pop_due(now) {
            if let Some(entry) = state.wanted(log, due) {
                self.wait(due, hash_of(entry));
            }
        }
        for index in 0..state.consumers.len() {
            self.dispatch_ready(state, log, index);
        }
        self.read(state, log, now);
    }

    /// Sends a consumer what waits for it.
    fn dispatch_ready(&mut self, state: &mut State, log: &Log, index: usize) {
        while !state.blocked
            && let Some(consumer) = state.consumers.get(index).filter(|consumer| consumer.takes())
        {
            let serial = consumer.serial;
            let Some(ready) = self.ready.get_mut(&serial) else { return };
            let Some((position, hash)) = ready.pop_first() else { return };
            self.waiting -= 1;
            if let Some(entry) = state.wanted(log, position) {
                self.lend(state, index, entry, hash);
            }
        }
    }

    /// Reads on, while somebody can take something.
    fn read(&mut self, state: &mut State, log: &Log, now: u64) {
        let mut takers = state.consumers.iter().filter(|consumer| consumer.takes()).count();
        for entry in log.from(state.read) {
            if takers == 0 || state.blocked || self.waiting >= LOOK_AHEAD {
                return;
            }
            state.read = entry.position.next();
            if state.cursor.is_acked(entry.position) {
                continue;
            }
            if let Some(until) = state.delay(entry, now) {
                self.delays.hold(entry.position, until);
                continue;
            }
            let hash = hash_of(entry);
            // Nothing may overtake what waits already.
            let free = |serial: &u64| self.ready.get(serial).is_none_or(BTreeMap::is_empty);
            let owner = self.owner(hash).filter(free);
            let taker = owner.and_then(|owner| {
                state.consumers.iter().position(|consumer| consumer.serial == owner && consumer.takes())
            });
            let Some(index) = taker else {
                self.wait(entry.position, hash);
                continue;
            };
            self.lend(state, index, entry, hash);
            if !state.consumers.get(index).is_some_and(Consumer::takes) {
                takers -= 1;
            }
        }
    }

    fn lend(&mut self, state: &mut State, index: usize, entry: &Arc<Entry>, hash: u16) {
        if let Some(serial) = state.lend(index, entry, Some(hash)).filter(|_| !self.out_of_order) {
            self.in_flight.add(hash, serial);
        }
    }

    /// The consumer that an entry of this hash may go to now.
    fn owner(&self, hash: u16) -> Option<u64> {
        let owner = self.selector.choose(hash)?;
        self.in_flight.holder(hash).is_none_or(|holder| holder == owner).then_some(owner)
    }

    /// Lets an entry wait for its consumer.
    fn wait(&mut self, position: Position, hash: u16) {
        let new = match self.owner(hash) {
            Some(owner) => self.ready.entry(owner).or_default().insert(position, hash).is_none(),
            None => self.held.entry(hash).or_default().insert(position),
        };
        self.waiting += usize::from(new);
    }

    /// Hashes belong to other consumers now: so does what waits.
    fn assign_anew(&mut self) {
        let ready = std::mem::take(&mut self.ready);
        let held = std::mem::take(&mut self.held);
        self.waiting = 0;
        for (position, hash) in ready.into_values().flatten() {
            self.wait(position, hash);
        }
        for (hash, positions) in held {
            for position in positions {
                self.wait(position, hash);
            }
        }
    }
}
