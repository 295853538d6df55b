//! Acknowledging.

use super::Subscription;
use super::ack_set::AckSet;
use crate::broker::position::Position;
use crate::broker::topic::log::Log;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{AckType, CommandAck, MessageIdData, SubscriptionType};

/// What an acknowledgement changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acked {
    /// Whether the cursor is another now, and is to be stored.
    pub changed: bool,
    /// Whether the first unacknowledged entry moved, so that the topic may have entries to forget.
    pub advanced: bool,
}

impl Subscription {
    pub fn acknowledge(&mut self, log: &Log, outlet_id: u64, ack: &CommandAck, now: u64) -> Result<Acked> {
        let index = self.index_of(outlet_id, ack.consumer_id)?;
        if ack.txnid_most_bits.is_some() || ack.txnid_least_bits.is_some() {
            return Err(Error::new(ErrorKind::NotAllowed, "this broker has no transactions"));
        }
        let before = self.state.cursor.first_unacked();
        let changed = match ack.ack_type() {
            AckType::Cumulative => self.acknowledge_up_to(log, ack)?,
            AckType::Individual => {
                let mut changed = false;
                let mut freed = false;
                for id in &ack.message_id {
                    let (acked, free) = self.acknowledge_one(log, index, id);
                    changed |= acked;
                    freed |= free;
                }
                if freed {
                    self.dispatcher.dispatch(&mut self.state, log, now);
                }
                changed
            }
        };
        Ok(Acked { changed, advanced: self.state.cursor.first_unacked() > before })
    }

    fn acknowledge_up_to(&mut self, log: &Log, ack: &CommandAck) -> Result<bool> {
        if self.tracks() {
            return Err(Error::new(
                ErrorKind::NotAllowed,
                "a cumulative acknowledgement is for Exclusive and Failover subscriptions; acknowledge each message",
            ));
        }
        let [id] = &ack.message_id[..] else {
            return Err(Error::new(ErrorKind::NotAllowed, "a cumulative acknowledgement names one message"));
        };
        let position = Position::from(id);
        let (entry, part) = (log.get(position), !id.ack_set.is_empty());
        let end = if part { position } else { position.next() };
        let mut changed = self.state.cursor.ack_before(log, end.min(log.next_position()));
        if let Some(entry) = entry.filter(|_| part && self.state.options.batch_index_ack) {
            changed |= self.state.cursor.ack_part(log, entry, &id.ack_set) > 0;
        }
        // What was acknowledged without ever being delivered need not be.
        self.state.read = self.state.read.max(self.state.cursor.first_unacked());
        Ok(changed)
    }

    /// Whether anything changed, and whether something else may be delivered now.
    fn acknowledge_one(&mut self, log: &Log, index: usize, id: &MessageIdData) -> (bool, bool) {
        let position = Position::from(id);
        let entry = log.get(position);
        let cursor = &mut self.state.cursor;
        let messages = match entry {
            // Ids of entries that are gone, or never were, change nothing.
            None => 0,
            Some(entry) if id.ack_set.is_empty() => {
                let left = cursor.remaining(position).map_or(entry.facts.messages, AckSet::remaining);
                if cursor.ack(log, position) { left } else { 0 }
            }
            Some(entry) if self.state.options.batch_index_ack => cursor.ack_part(log, entry, &id.ack_set),
            Some(_) => return (false, false),
        };
        self.state.counters.messages_acked += u64::from(messages);
        if let Some(consumer) = self.state.consumers.get_mut(index) {
            consumer.counters.messages_acked += u64::from(messages);
        }
        // Even if it was acknowledged before, by a skip or because it expired, its consumer still had it.
        (messages > 0, self.tracks() && self.settle(position, messages, id.ack_set.is_empty()))
    }

    /// Takes an acknowledged entry, or part of it, off what its consumer has.
    fn settle(&mut self, position: Position, messages: u32, whole: bool) -> bool {
        if !whole && !self.state.cursor.is_acked(position) {
            let Some(pending) = self.state.pending.get_mut(&position) else { return false };
            pending.messages = pending.messages.saturating_sub(messages);
            let serial = pending.consumer;
            return self.state.settle(serial, messages);
        }
        if !self.state.redeliveries.is_empty() {
            self.state.redeliveries.remove(&position);
        }
        let Some(pending) = self.state.pending.remove(&position) else { return false };
        let freed = self.state.settle(pending.consumer, pending.messages);
        self.dispatcher.settled(pending) || freed
    }

    /// Whether each entry is one consumer's, who acknowledges it by itself.
    pub(super) fn tracks(&self) -> bool {
        matches!(self.kind, SubscriptionType::Shared | SubscriptionType::KeyShared)
    }
}
