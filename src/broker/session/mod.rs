//! One connection of a client.
//!
//! * `handshake` — who is there, and what both sides speak.
//! * `reader` — decodes what arrives and has it handled; pings, limits, expiry of credentials.
//! * `outbox`, `writer` — what waits to be written, and its way out: one write per burst.
//! * `attached` — the connection's producers and consumers.
//! * `server_error` — our kinds of errors as Pulsar's codes.

mod attached;
pub mod handshake;
mod outbox;
mod reader;
pub mod server_error;
#[cfg(test)]
mod tests;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};

pub use self::attached::Attached;
use self::handshake::{Authentication, Greeting};
use self::outbox::Outbox;
use super::core::Core;
use super::entry::Entry;
use super::outlet::{Outlet, Peer};
use crate::protocol::proto::{BaseCommand, Command, CommandMessage};

/// A connection past its handshake. Topics hold it as their `Outlet`.
pub struct Session {
    id: u64,
    peer: Peer,
    /// The host that the client came by, for lookups.
    host: String,
    pub core: Arc<Core>,
    outbox: Outbox,
    pub attached: Mutex<Attached>,
    authentication: Mutex<Authentication>,
    /// A fault: what the client sends is left unread.
    deaf: AtomicBool,
    listen: Notify,
    /// Commands are left unread until then, since the client publishes too fast; in milliseconds since 1970.
    paused_until: AtomicU64,
    end: watch::Sender<Option<End>>,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// What is queued is still written.
    Flush,
    /// At once and without a word, as when a cable is pulled.
    Cut,
}

impl Session {
    pub fn new(id: u64, core: Arc<Core>, greeting: Greeting) -> Arc<Self> {
        Arc::new(Self {
            id,
            peer: greeting.peer,
            host: greeting.host,
            outbox: Outbox::default(),
            attached: Mutex::new(Attached::new(core.options.limits.handles_per_connection)),
            authentication: Mutex::new(greeting.authentication),
            deaf: AtomicBool::new(false),
            listen: Notify::new(),
            paused_until: AtomicU64::new(0),
            end: watch::Sender::new(None),
            core,
        })
    }

    /// Serves the client until it goes, or `end` is called; then lets go of all that it had.
    pub async fn run(
        self: Arc<Self>,
        read: impl AsyncRead + Unpin,
        write: impl AsyncWrite + Unpin + Send + 'static,
        buffer: BytesMut,
    ) {
        let writer = tokio::spawn(writer::run(Arc::clone(&self), write));
        reader::run(&self, read, buffer).await;
        self.end(End::Flush);
        self.detach_all();
        // The writer ends by itself: it has a time limit.
        let _ = writer.await;
    }

    /// Ends the connection. The first call decides how.
    pub fn end(&self, how: End) {
        self.end.send_if_modified(|end| {
            let first = end.is_none();
            if first {
                *end = Some(how);
            }
            first
        });
        self.outbox.close();
    }

    async fn ended(&self) -> End {
        let mut end = self.end.subscribe();
        let ended = end.wait_for(Option::is_some).await;
        ended.ok().and_then(|end| *end).unwrap_or(End::Cut)
    }

    /// A fault: leaves unread what the client sends, or reads again.
    pub fn set_deaf(&self, deaf: bool) {
        self.deaf.store(deaf, Ordering::Release);
        self.listen.notify_one();
    }

    /// The host that lookups answer with.
    pub fn host(&self) -> &str {
        &self.host
    }

    fn detach_all(&self) {
        self.core.registry.unwatch_all(self.id);
        let (producers, consumers) = self.attached.lock().drain();
        for (id, topic) in producers {
            topic.remove_producer(self.id, id);
        }
        for (id, topic) in consumers {
            topic.remove_consumer(self.id, id);
        }
    }

    /// There is room again: consumers that waited for it go on.
    fn resume_deliveries(&self) {
        let consumers = self.attached.lock().consumers();
        for (id, topic) in consumers {
            topic.writable(self.id, id);
        }
    }
}

impl Outlet for Session {
    fn id(&self) -> u64 {
        self.id
    }

    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn send(&self, command: &BaseCommand) {
        // What a topic closes by itself, the session forgets.
        match &command.command {
            Some(Command::CloseProducer(close)) => {
                drop(self.attached.lock().remove_producer(close.producer_id));
            }
            Some(Command::CloseConsumer(close)) => {
                drop(self.attached.lock().remove_consumer(close.consumer_id));
            }
            _ => {}
        }
        self.outbox.push(command);
    }

    fn deliver(&self, command: CommandMessage, entry: &Arc<Entry>) {
        let consumer_id = command.consumer_id;
        let topic = || self.attached.lock().consumer(consumer_id).map(|topic| topic.name().to_string());
        let command = BaseCommand::from(command);
        if self.core.faults.corrupts(topic) {
            self.outbox.push_delivery(&command, entry.checksum, &damaged(&entry.bytes));
        } else {
            self.outbox.push_delivery(&command, entry.checksum, &entry.bytes);
        }
    }

    fn is_writable(&self) -> bool {
        self.outbox.is_writable()
    }

    fn pause_reading(&self, pause: Duration) {
        let millis = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.paused_until.fetch_max(self.core.clock.unix_millis().saturating_add(millis), Ordering::AcqRel);
    }

    fn speaks(&self, protocol_version: i32) -> bool {
        self.peer.protocol_version >= protocol_version
    }
}

/// The bytes with the last one changed: the end of the body, or of the metadata where there is none.
fn damaged(bytes: &Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    if let Some(last) = bytes.last_mut() {
        *last ^= 0xff;
    }
    bytes.into()
}
