//! One subscription of a topic: what was acknowledged, who is connected, who gets what next.
//!
//! A pure state machine, owned by its topic and called under the topic's lock. Whatever concerns entries takes the
//! topic's log; `now` is in milliseconds since 1970.
//!
//! * `cursor`, `ranges`, `ack_set` — what is acknowledged.
//! * `state`, `consumer` — what all kinds of subscription have in common.
//! * `dispatch` — who gets what next, by kind.
//! * `acks` — acknowledging.
//! * `admin` — skipping, expiring, looking.
//! * `stats` — what it tells of itself.

mod ack_set;
mod acks;
mod admin;
mod consumer;
mod cursor;
mod dispatch;
mod new_consumer;
mod options;
mod ranges;
mod state;
mod stats;
mod sticky;
#[cfg(test)]
mod test_support;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::consumer::Consumer;
use self::cursor::Cursor;
use self::dispatch::Dispatcher;
use self::state::State;

pub use self::acks::Acked;
pub use self::consumer::Counters;
pub use self::cursor::CursorState;
pub use self::new_consumer::{KeyShared, NewConsumer, SeekTo};
pub use self::options::Options;
pub use self::stats::{ConsumerStats, SubscriptionStats, type_name};
pub use self::sticky::HashRange;
use super::outlet::Outlet;
use super::position::Position;
use super::topic::log::Log;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{
    CommandCloseConsumer, CommandRedeliverUnacknowledgedMessages, MessageIdData, SubscriptionType,
};

/// A subscription of one topic.
pub struct Subscription {
    name: String,
    kind: SubscriptionType,
    durable: bool,
    properties: BTreeMap<String, String>,
    state: State,
    dispatcher: Dispatcher,
    next_serial: u64,
}

impl Subscription {
    /// `start` is the first entry to deliver.
    pub fn new(name: &str, kind: SubscriptionType, durable: bool, start: Position, options: Options) -> Self {
        Self::with_cursor(name, kind, durable, Cursor::new(start), options)
    }

    /// A durable subscription as it was stored.
    pub fn restore(name: &str, kind: SubscriptionType, cursor: CursorState, options: Options) -> Self {
        Self::with_cursor(name, kind, true, cursor.into(), options)
    }

    fn with_cursor(
        name: &str,
        kind: SubscriptionType,
        durable: bool,
        cursor: Cursor,
        options: Options,
    ) -> Self {
        Self {
            name: name.to_owned(),
            kind,
            durable,
            properties: BTreeMap::new(),
            state: State::new(cursor, options),
            dispatcher: Dispatcher::new(kind, &KeyShared::default()),
            next_serial: 0,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind that its consumers gave it; without consumers, the last.
    pub fn kind(&self) -> SubscriptionType {
        self.kind
    }

    pub fn is_durable(&self) -> bool {
        self.durable
    }

    pub fn properties(&self) -> &BTreeMap<String, String> {
        &self.properties
    }

    pub fn set_properties(&mut self, properties: BTreeMap<String, String>) {
        self.properties = properties;
    }

    pub fn set_options(&mut self, options: Options) {
        self.state.options = options;
    }

    pub fn has_consumers(&self) -> bool {
        !self.state.consumers.is_empty()
    }

    pub fn has_consumer(&self, outlet_id: u64, consumer_id: u64) -> bool {
        self.state.index_of(outlet_id, consumer_id).is_some()
    }

    /// A consumer joins. A subscription without consumers takes the kind of the first one that comes.
    pub fn add_consumer(
        &mut self,
        log: &Log,
        consumer: NewConsumer,
        outlet: Arc<dyn Outlet>,
        now: u64,
    ) -> Result<()> {
        if !self.has_consumers() {
            self.kind = consumer.kind;
            self.start_afresh(&consumer.key_shared);
        } else if consumer.kind != self.kind {
            return Err(Error::new(
                ErrorKind::ConsumerBusy,
                format!(
                    "the subscription is {:?} while it has consumers; subscribe so, or close them",
                    self.kind
                ),
            ));
        }
        self.dispatcher.admit(&self.state, &consumer)?;
        let serial = self.next_serial;
        self.next_serial += 1;
        self.state.consumers.push(Consumer::new(serial, consumer, outlet, now));
        self.dispatcher.joined(&mut self.state);
        self.dispatcher.dispatch(&mut self.state, log, now);
        Ok(())
    }

    /// Forgets who had what: all that is unacknowledged is to be read again.
    fn start_afresh(&mut self, wish: &KeyShared) {
        self.dispatcher = Dispatcher::new(self.kind, wish);
        self.state.pending.clear();
        self.state.redeliveries.clear();
        self.state.unacked = 0;
        self.state.blocked = false;
        self.state.rewind();
    }

    /// A consumer leaves; others get what it had. Whether it was there.
    pub fn remove_consumer(&mut self, log: &Log, outlet_id: u64, consumer_id: u64, now: u64) -> bool {
        let Some(index) = self.state.index_of(outlet_id, consumer_id) else { return false };
        let serial = self.state.consumers.remove(index).serial;
        if self.has_consumers() {
            let had = self.state.take_all_back(serial);
            self.dispatcher.left(&mut self.state, serial, &had);
            self.dispatcher.dispatch(&mut self.state, log, now);
        } else {
            self.start_afresh(&KeyShared::default());
        }
        true
    }

    /// A consumer may be sent so many more messages.
    pub fn flow(&mut self, log: &Log, outlet_id: u64, consumer_id: u64, permits: u32, now: u64) {
        let Some(index) = self.state.index_of(outlet_id, consumer_id) else { return };
        if let Some(consumer) = self.state.consumers.get_mut(index) {
            consumer.permits = consumer.permits.saturating_add(i64::from(permits));
        }
        self.dispatcher.dispatch(&mut self.state, log, now);
    }

    /// A connection has room again.
    pub fn writable(&mut self, log: &Log, now: u64) {
        self.dispatcher.dispatch(&mut self.state, log, now);
    }

    /// The log has new entries.
    pub fn appended(&mut self, log: &Log, now: u64) {
        self.dispatcher.dispatch(&mut self.state, log, now);
    }

    /// Delivers what was delayed until now.
    pub fn tick(&mut self, log: &Log, now: u64) {
        self.dispatcher.dispatch(&mut self.state, log, now);
    }

    /// When the next delayed message is due, in milliseconds since 1970.
    pub fn next_deadline(&self) -> Option<u64> {
        self.dispatcher.next_deadline()
    }

    /// A consumer asks for messages again: those named, or all that it has.
    pub fn redeliver(
        &mut self,
        log: &Log,
        outlet_id: u64,
        command: &CommandRedeliverUnacknowledgedMessages,
        now: u64,
    ) {
        let Some(index) = self.state.index_of(outlet_id, command.consumer_id) else { return };
        let Some(consumer) = self.state.consumers.get_mut(index) else { return };
        let serial = consumer.serial;
        if command.message_ids.is_empty() {
            consumer.epoch = consumer.epoch.max(command.consumer_epoch);
        }
        if !self.tracks() {
            if self.dispatcher.active() == Some(serial) {
                self.state.rewind();
                self.dispatcher.dispatch(&mut self.state, log, now);
            }
            return;
        }
        let taken = if command.message_ids.is_empty() {
            self.state.take_all_back(serial)
        } else {
            let positions = command.message_ids.iter().map(Position::from);
            positions.filter_map(|at| Some((at, self.state.take_back(at)?))).collect()
        };
        for (position, _) in &taken {
            *self.state.redeliveries.entry(*position).or_default() += 1;
        }
        self.dispatcher.again(&taken);
        self.dispatcher.dispatch(&mut self.state, log, now);
    }

    /// Goes elsewhere. The consumers are told to close and are gone: clients come back by themselves.
    pub fn seek(&mut self, log: &Log, to: &SeekTo) {
        self.disconnect();
        let start = to.place_in(log);
        self.state.cursor.reset(start);
        if let (SeekTo::Message(id), Some(entry)) = (to, log.get(start))
            && self.state.options.batch_index_ack
            && !id.ack_set.is_empty()
        {
            self.state.cursor.ack_part(log, entry, &id.ack_set);
        }
        self.start_afresh(&KeyShared::default());
    }

    /// Tells all consumers to close, and forgets them.
    pub fn disconnect(&mut self) {
        for consumer in self.state.consumers.drain(..) {
            let command =
                CommandCloseConsumer { consumer_id: consumer.id, ..CommandCloseConsumer::default() };
            consumer.outlet.send(&command.into());
        }
        self.start_afresh(&KeyShared::default());
    }

    /// Whether a consumer may unsubscribe: it has to be the only one, unless it insists.
    pub fn may_unsubscribe(&self, outlet_id: u64, consumer_id: u64, force: bool) -> Result<()> {
        self.index_of(outlet_id, consumer_id)?;
        if force || self.state.consumers.len() == 1 {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Metadata,
            "the subscription has other consumers; close them first, or unsubscribe with force",
        ))
    }

    /// All entries before are acknowledged.
    pub fn first_unacked(&self) -> Position {
        self.state.cursor.first_unacked()
    }

    /// Pulsar's mark-delete position: the last entry before the first unacknowledged one. An entry id of -1 is before
    /// the ledger's first.
    pub fn mark_delete(&self) -> MessageIdData {
        let first = self.first_unacked();
        Position::new(first.ledger, first.entry.wrapping_sub(1)).to_proto()
    }

    /// How many entries are unacknowledged, as Pulsar counts a backlog.
    pub fn backlog(&self, log: &Log) -> u64 {
        self.state.cursor.backlog(log)
    }

    /// The cursor, to be stored.
    pub fn snapshot(&self) -> CursorState {
        self.state.cursor.snapshot()
    }

    fn index_of(&self, outlet_id: u64, consumer_id: u64) -> Result<usize> {
        self.state.index_of(outlet_id, consumer_id).ok_or_else(|| {
            Error::new(ErrorKind::ConsumerNotFound, "the subscription has no such consumer; subscribe again")
        })
    }
}
