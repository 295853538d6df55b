//! What all subscription types have in common: the cursor, the consumers, and what is on its way to whom.

use std::collections::HashMap;
use std::sync::Arc;

use super::ack_set::AckSet;
use super::consumer::{Consumer, Counters};
use super::cursor::Cursor;
use super::options::Options;
use crate::broker::entry::Entry;
use crate::broker::position::Position;
use crate::broker::topic::log::Log;
use crate::protocol::proto::CommandMessage;

pub(super) struct State {
    pub(super) options: Options,
    pub(super) cursor: Cursor,
    /// Those with the smallest priority level first.
    pub(super) consumers: Vec<Consumer>,
    /// The next entry to read: none at or behind it was delivered.
    pub(super) read: Position,
    /// Entries that a Shared or `Key_Shared` consumer has and has not acknowledged.
    pub(super) pending: HashMap<Position, Pending>,
    /// How often entries were asked for again.
    pub(super) redeliveries: HashMap<Position, u32>,
    /// Messages in `pending`.
    pub(super) unacked: u64,
    /// There are too many of them.
    pub(super) blocked: bool,
    pub(super) counters: Counters,
}

/// An entry that one consumer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pending {
    /// The consumer's serial number.
    pub(super) consumer: u64,
    /// Unacknowledged messages in the entry.
    pub(super) messages: u32,
    /// Entries of one hash stay with one consumer: those of a key, or the chunks of one message.
    pub(super) hash: Option<u16>,
}

impl State {
    pub(super) fn new(cursor: Cursor, options: Options) -> Self {
        Self {
            options,
            read: cursor.first_unacked(),
            cursor,
            consumers: Vec::new(),
            pending: HashMap::new(),
            redeliveries: HashMap::new(),
            unacked: 0,
            blocked: false,
            counters: Counters::default(),
        }
    }

    pub(super) fn index_of(&self, outlet_id: u64, consumer_id: u64) -> Option<usize> {
        self.consumers.iter().position(|consumer| consumer.is(outlet_id, consumer_id))
    }

    pub(super) fn by_serial(&mut self, serial: u64) -> Option<&mut Consumer> {
        self.consumers.iter_mut().find(|consumer| consumer.serial == serial)
    }

    /// Reads again whatever is unacknowledged.
    pub(super) fn rewind(&mut self) {
        self.read = self.cursor.first_unacked();
    }

    /// Sends an entry to the consumer at an index.
    pub(super) fn deliver(&mut self, index: usize, entry: &Arc<Entry>) {
        let Some(consumer) = self.consumers.get_mut(index) else { return };
        let position = entry.position;
        let remaining = self.cursor.remaining(position);
        let messages = remaining.map_or(entry.facts.messages, AckSet::remaining);
        let count =
            if self.redeliveries.is_empty() { None } else { self.redeliveries.get(&position).copied() };
        let mut message_id = position.to_proto();
        message_id.partition = self.options.partition.and_then(|partition| i32::try_from(partition).ok());
        let command = CommandMessage {
            consumer_id: consumer.id,
            message_id,
            redelivery_count: count,
            ack_set: remaining.map(AckSet::to_wire).unwrap_or_default(),
            consumer_epoch: consumer.epoch,
        };
        consumer.outlet.deliver(command, entry);
        consumer.permits -= i64::from(messages);
        for counters in [&mut consumer.counters, &mut self.counters] {
            counters.messages_out += u64::from(messages);
            counters.bytes_out += entry.bytes.len() as u64;
            counters.messages_redelivered += if count.is_some() { u64::from(messages) } else { 0 };
        }
    }

    /// Sends an entry to a consumer that has to acknowledge it by itself. Returns the consumer's serial number, unless
    /// nobody has to.
    pub(super) fn lend(&mut self, index: usize, entry: &Arc<Entry>, hash: Option<u16>) -> Option<u64> {
        self.deliver(index, entry);
        let consumer = self.consumers.get_mut(index).filter(|_| self.options.persistent)?;
        let serial = consumer.serial;
        let messages = self.cursor.remaining(entry.position).map_or(entry.facts.messages, AckSet::remaining);
        self.pending.insert(entry.position, Pending { consumer: serial, messages, hash });
        consumer.unacked = consumer.unacked.saturating_add(messages);
        let limit = self.options.max_unacked_per_consumer;
        consumer.blocked |= limit > 0 && consumer.unacked >= limit;
        self.unacked += u64::from(messages);
        let limit = u64::from(self.options.max_unacked_per_subscription);
        self.blocked |= limit > 0 && self.unacked >= limit;
        Some(serial)
    }

    /// Takes an entry back from whoever has it.
    pub(super) fn take_back(&mut self, position: Position) -> Option<Pending> {
        let pending = self.pending.remove(&position)?;
        self.settle(pending.consumer, pending.messages);
        Some(pending)
    }

    /// A consumer has fewer unacknowledged messages; whether it, or the subscription, may go on that could not.
    pub(super) fn settle(&mut self, serial: u64, messages: u32) -> bool {
        let limits = (self.options.max_unacked_per_consumer, self.options.max_unacked_per_subscription);
        let mut freed = false;
        if let Some(consumer) = self.by_serial(serial) {
            consumer.unacked = consumer.unacked.saturating_sub(messages);
            if consumer.blocked && consumer.unacked <= limits.0 / 2 {
                consumer.blocked = false;
                freed = true;
            }
        }
        self.unacked = self.unacked.saturating_sub(u64::from(messages));
        if self.blocked && self.unacked <= u64::from(limits.1 / 2) {
            self.blocked = false;
            freed = true;
        }
        freed
    }

    /// All that a consumer has, in order; it has nothing afterwards.
    pub(super) fn take_all_back(&mut self, serial: u64) -> Vec<(Position, Pending)> {
        let mut taken: Vec<_> = self.pending.extract_if(|_, pending| pending.consumer == serial).collect();
        taken.sort_unstable_by_key(|(position, _)| *position);
        for (_, pending) in &taken {
            self.settle(serial, pending.messages);
        }
        taken
    }

    /// The entry at a position, if it is there and unacknowledged.
    pub(super) fn wanted<'a>(&self, log: &'a Log, position: Position) -> Option<&'a Arc<Entry>> {
        if self.cursor.is_acked(position) { None } else { log.get(position) }
    }

    /// Until when an entry asks to be held back, if that is still to come.
    pub(super) fn delay(&self, entry: &Entry, now: u64) -> Option<u64> {
        entry.facts.deliver_at.filter(|at| self.options.delayed_delivery && *at > now)
    }
}
