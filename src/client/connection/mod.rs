//! One connection to one broker: requests and their answers, data out, deliveries in.
//!
//! A reader task decodes what arrives and calls the producers and consumers directly; a writer task sends what was
//! queued, in bursts. Handles are cheap to clone; the tasks end when `close` is called or the socket breaks.

mod answers;
mod dial;
mod handshake;
mod reader;
mod registry;
mod requests;
mod server_error;
mod sinks;
mod write_queue;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

pub use self::sinks::{ConsumerSink, Disconnect, ProducerSink};
pub use self::write_queue::OutFrame;

pub(super) use self::dial::{Dialer, Target};
use self::handshake::Greeting;
use self::registry::Registry;
use self::requests::Requests;
use self::write_queue::WriteQueue;
use super::auth::Authentication;
use super::service_url::Address;
use super::stats::Counters;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{BaseCommand, Command, FeatureFlags};

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A connection that has been greeted by the broker.
#[derive(Clone)]
pub struct Connection(Arc<Inner>);

struct Inner {
    /// Unique in the process, to tell stale events apart.
    id: u64,
    target: Target,
    /// The target in words, for messages.
    address: String,
    greeting: Greeting,
    settings: Settings,
    queue: WriteQueue,
    requests: Requests,
    registry: Registry,
    /// Why the connection is closed; `None` while it is open.
    closed: watch::Sender<Option<Error>>,
}

/// What all connections of a client share.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) clock: Clock,
    pub(super) operation_timeout: Duration,
    pub(super) keep_alive_interval: Duration,
    pub(super) authentication: Arc<dyn Authentication>,
    pub(super) counters: Arc<Counters>,
}

impl Connection {
    /// Unique in the process, to tell stale events apart.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    pub fn is_open(&self) -> bool {
        self.0.closed.borrow().is_none()
    }

    /// The largest message that the broker accepts, in bytes.
    pub fn max_message_size(&self) -> usize {
        self.0.greeting.max_message_size
    }

    pub fn protocol_version(&self) -> i32 {
        self.0.greeting.protocol_version
    }

    /// What the broker is able to do beyond its protocol version.
    pub fn features(&self) -> &FeatureFlags {
        &self.0.greeting.features
    }

    /// Where the connection leads, as `host:port`.
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// The address that was dialled: the broker's, or a proxy's.
    pub(super) fn dialled(&self) -> &Address {
        &self.0.target.dialled
    }

    /// Sends a request and waits for its answer, for at most the client's operation timeout. An error that the broker
    /// reports is an `Err` of the right kind. May be cancelled: a late answer is dropped.
    ///
    /// A producer that has to wait for exclusive access is answered only when it has it, whatever the timeout.
    pub async fn request(&self, make: impl FnOnce(u64) -> BaseCommand) -> Result<Command> {
        let deadline = self.0.settings.clock.now() + self.0.settings.operation_timeout;
        let mut ticket = self.0.requests.begin()?;
        let command = make(ticket.id);
        let exchange = async {
            self.send_command(&command).await?;
            (&mut ticket.answer).await.unwrap_or_else(|_| Err(self.reason()))
        };
        tokio::select! {
            biased;
            answer = exchange => return answer,
            () = self.0.settings.clock.sleep_until(deadline) => {}
        }
        if ticket.is_postponed() {
            return (&mut ticket.answer).await.unwrap_or_else(|_| Err(self.reason()));
        }
        self.0.settings.counters.request_timeouts.add(1);
        Err(Error::new(
            ErrorKind::Timeout,
            format!(
                "no answer to {} from {} within {:?}",
                command.name(),
                self.address(),
                self.0.settings.operation_timeout
            ),
        ))
    }

    /// Queues a data frame, waiting for room in the bounded queue.
    pub async fn send(&self, frame: OutFrame) -> Result<()> {
        if self.0.queue.push(frame).await { Ok(()) } else { Err(self.reason()) }
    }

    /// Queues a data frame, or gives it back if there is no room or the connection is closed.
    pub fn try_send(&self, frame: OutFrame) -> Result<(), OutFrame> {
        self.0.queue.try_push(frame)
    }

    /// Queues a control command, which never waits behind data.
    pub async fn send_command(&self, command: &BaseCommand) -> Result<()> {
        if self.0.queue.push_control(command).await { Ok(()) } else { Err(self.reason()) }
    }

    /// Queues a control command; false if there is no room or the connection is closed.
    pub fn try_send_command(&self, command: &BaseCommand) -> bool {
        self.0.queue.try_push_control(command)
    }

    /// Routes the producer's receipts to `sink`. On a connection that is closed already, nothing happens: the request
    /// that follows fails.
    pub fn register_producer(&self, id: u64, sink: Arc<dyn ProducerSink>) {
        self.0.registry.add_producer(id, sink);
    }

    pub fn unregister_producer(&self, id: u64) {
        self.0.registry.remove_producer(id);
    }

    /// Routes the consumer's deliveries to `sink`, as `register_producer` does for a producer.
    pub fn register_consumer(&self, id: u64, sink: Arc<dyn ConsumerSink>) {
        self.0.registry.add_consumer(id, sink);
    }

    pub fn unregister_consumer(&self, id: u64) {
        self.0.registry.remove_consumer(id);
    }

    /// Returns, with the reason, when the connection is gone.
    pub async fn closed(&self) -> Error {
        let mut closed = self.0.closed.subscribe();
        // The sender lives as long as `self`, so that the wait cannot fail.
        let _ = closed.wait_for(Option::is_some).await;
        self.reason()
    }

    /// Closes the connection for `reason`; the first reason given stays. What is queued is still written if possible.
    pub fn close(&self, reason: Error) {
        self.0.close(reason);
    }

    fn reason(&self) -> Error {
        self.0.reason()
    }
}

impl Inner {
    fn close(&self, reason: Error) {
        let first = self.closed.send_if_modified(|closed| {
            let first = closed.is_none();
            closed.get_or_insert(reason);
            first
        });
        if first {
            self.queue.close();
        }
    }

    fn reason(&self) -> Error {
        self.closed.borrow().clone().unwrap_or_else(|| {
            Error::new(ErrorKind::Connection, format!("the connection to {} is closed", self.target))
        })
    }
}

/// Dials, greets and starts the tasks, all within `dialer`'s connection timeout. Must run on the client's runtime.
pub(super) async fn connect(dialer: &Dialer, target: &Target, settings: &Settings) -> Result<Connection> {
    let deadline = settings.clock.now() + dialer.timeout();
    let attempt = async {
        let (mut reader, mut writer) = dialer.dial(target).await?;
        let authentication = settings.authentication.as_ref();
        let (greeting, rest) = handshake::greet(&mut reader, &mut writer, target, authentication).await?;
        let inner = Arc::new(Inner {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            address: target.to_string(),
            target: target.clone(),
            greeting,
            settings: settings.clone(),
            queue: WriteQueue::new(),
            requests: Requests::default(),
            registry: Registry::default(),
            closed: watch::Sender::new(None),
        });
        tokio::spawn(writer::run(Arc::clone(&inner), writer));
        tokio::spawn(reader::run(Arc::clone(&inner), reader, rest));
        Ok(Connection(inner))
    };
    tokio::select! {
        biased;
        connected = attempt => connected,
        () = settings.clock.sleep_until(deadline) => Err(Error::new(
            ErrorKind::Connection,
            format!("no connection to {target} within {:?}", dialer.timeout()),
        )),
    }
}
