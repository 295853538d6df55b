//! What is done to a subscription from outside: skipping, expiring, looking.

use std::sync::Arc;

use super::Subscription;
use crate::broker::entry::Entry;
use crate::broker::position::Position;
use crate::broker::topic::log::Log;

impl Subscription {
    /// Acknowledges the first so many unacknowledged entries; returns how many there were.
    pub fn skip(&mut self, log: &Log, count: u64, now: u64) -> u64 {
        let wanted = usize::try_from(count).unwrap_or(usize::MAX);
        let skipped = self.unacked(log).take(wanted).map(|entry| entry.position);
        let (count, last) = skipped.fold((0, None), |(count, _), position| (count + 1, Some(position)));
        if let Some(last) = last {
            self.skip_before(log, last.next(), now);
        }
        count
    }

    /// Acknowledges everything; returns how many entries that was.
    pub fn skip_all(&mut self, log: &Log, now: u64) -> u64 {
        let count = self.backlog(log);
        self.skip_before(log, log.next_position(), now);
        count
    }

    /// Acknowledges all before the first entry that was published at `time`, in milliseconds since 1970, or later.
    /// Returns how many entries expired so.
    pub fn expire(&mut self, log: &Log, time: u64, now: u64) -> u64 {
        let expired =
            log.from(self.first_unacked()).take_while(|entry| entry.facts.publish_time < time).last();
        let Some(last) = expired.map(|entry| entry.position) else { return 0 };
        let before = self.backlog(log);
        self.skip_before(log, last.next(), now);
        before - self.backlog(log)
    }

    /// The n-th unacknowledged entry, counted from 1.
    pub fn peek<'a>(&self, log: &'a Log, n: usize) -> Option<&'a Arc<Entry>> {
        self.unacked(log).nth(n.checked_sub(1)?)
    }

    /// The oldest unacknowledged entry.
    pub fn oldest<'a>(&self, log: &'a Log) -> Option<&'a Arc<Entry>> {
        log.from(self.first_unacked()).next()
    }

    fn unacked<'a>(&self, log: &'a Log) -> impl Iterator<Item = &'a Arc<Entry>> {
        log.from(self.first_unacked()).filter(|entry| !self.state.cursor.is_acked(entry.position))
    }

    /// Acknowledges everything before a position, whoever has it; whether that is news.
    pub fn skip_before(&mut self, log: &Log, position: Position, now: u64) -> bool {
        if !self.state.cursor.ack_before(log, position) {
            return false;
        }
        let skipped: Vec<Position> =
            self.state.pending.keys().filter(|pending| **pending < position).copied().collect();
        for pending in skipped.into_iter().filter_map(|position| self.state.take_back(position)) {
            self.dispatcher.settled(pending);
        }
        self.state.redeliveries.retain(|redelivered, _| *redelivered >= position);
        self.state.read = self.state.read.max(self.first_unacked());
        self.dispatcher.dispatch(&mut self.state, log, now);
        true
    }
}
