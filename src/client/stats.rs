//! Counts of what happened, for health checks and metrics.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::Serialize;

use super::events::{Event, Events, Level};
use crate::error::{Error, ErrorKind};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a client's connections count.
#[derive(Debug, Default)]
pub struct Counters {
    pub connections_opened: Counter,
    pub connections_lost: Counter,
    pub connect_failures: Counter,
    pub authentication_failures: Counter,
    pub auth_refreshes: Counter,
    pub lookups: Counter,
    pub lookup_failures: Counter,
    pub request_timeouts: Counter,
    /// Why the last connection could not be opened; `None` again when one could.
    connect_error: Mutex<Option<Error>>,
    pub events: Arc<Events>,
}

impl Counters {
    pub(super) fn connected(&self, place: impl Display) {
        self.connections_opened.add(1);
        self.events.push(Event::new(Level::Info, format!("connected to {place}")));
        *self.connect_error.lock() = None;
    }

    pub(super) fn not_connected(&self, error: &Error) {
        self.connect_failures.add(1);
        if error.kind() == ErrorKind::Authentication {
            self.authentication_failures.add(1);
        }
        self.events.push(Event::failure("cannot connect", error));
        *self.connect_error.lock() = Some(error.clone());
    }

    /// A connection ended; that a client closed its own is no loss.
    pub(super) fn disconnected(&self, reason: &Error) {
        if reason.kind() != ErrorKind::Closed {
            self.connections_lost.add(1);
            self.events.push(Event::failure("disconnected", reason));
        }
    }

    pub(super) fn connect_error(&self) -> Option<String> {
        self.connect_error.lock().as_ref().map(ToString::to_string)
    }
}

/// A client at one moment. The counts grow from the client's making on.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ClientStats {
    /// Open now.
    pub connections: usize,
    pub connections_opened: u64,
    pub connections_lost: u64,
    pub connect_failures: u64,
    pub authentication_failures: u64,
    /// Fresh credentials given on an open connection, because the broker asked.
    pub auth_refreshes: u64,
    /// Why the last attempt to connect failed; `None` if it did not.
    pub connect_error: Option<String>,
    pub lookups: u64,
    pub lookup_failures: u64,
    pub request_timeouts: u64,
    /// Bytes of unconfirmed payloads.
    pub memory_used: u64,
    /// 0 means no limit.
    pub memory_limit: u64,
    pub producers: Vec<ProducerStats>,
    pub consumers: Vec<ConsumerStats>,
    /// What those counted that are gone, summed by topic, or by topics and subscription.
    pub gone_producers: Vec<ProducerStats>,
    pub gone_consumers: Vec<ConsumerStats>,
}

/// A producer, all partitions together, at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ProducerStats {
    pub topic: String,
    pub name: String,
    pub connected: bool,
    /// It was closed, or is closing.
    pub closed: bool,
    pub partitions: usize,
    /// Messages admitted and not yet confirmed.
    pub pending_messages: usize,
    /// Calls of `send` that wait for room.
    pub waiting: usize,
    pub messages_sent: u64,
    pub bytes_sent: u64,
    pub messages_confirmed: u64,
    pub messages_failed: u64,
    pub reconnects: u64,
    /// Why it is not connected, or why the last reconnect failed.
    pub last_error: Option<String>,
}

/// A consumer or reader, all topics and partitions together, at one moment.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ConsumerStats {
    pub topics: Vec<String>,
    pub subscription: String,
    /// A reader, whose subscription is a random name.
    pub reader: bool,
    pub name: String,
    pub connected: bool,
    /// It was closed, or is closing.
    pub closed: bool,
    pub partitions: usize,
    /// Messages that wait in the receive queue.
    pub queued_messages: usize,
    /// Acknowledgements that wait to be sent.
    pub pending_acks: usize,
    pub messages_received: u64,
    pub bytes_received: u64,
    pub messages_acknowledged: u64,
    pub messages_negatively_acknowledged: u64,
    pub ack_timeouts: u64,
    /// Times that the broker was asked to deliver an entry again.
    pub redeliveries_requested: u64,
    /// Damaged messages that were discarded with a validation error.
    pub messages_discarded: u64,
    /// Encrypted messages, which were not handed out.
    pub messages_unsupported: u64,
    /// Chunks of messages that could not be completed.
    pub chunks_given_up: u64,
    pub reconnects: u64,
    /// Why it is not connected, or why the last reconnect failed.
    pub last_error: Option<String>,
}
