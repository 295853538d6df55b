//! The reader task: decodes what arrives and calls whom it is for; keeps the connection alive.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::handshake::auth_response;
use super::server_error::server_error;
use super::sinks::Disconnect;
use super::{Inner, answers};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::frame::{self, FRAME_OVERHEAD, Frame};

use crate::protocol::proto::{
    Command, CommandPing, CommandPong, CommandTopicMigrated, MigratedResource, ServerError,
};

/// Room made for one read: messages share this buffer until the last of them is dropped.
const READ_SIZE: usize = 64 * 1024;
/// Frames handled before other tasks get a turn, when the socket never runs dry.
const FRAMES_PER_TURN: usize = 256;

pub(super) async fn run(connection: Arc<Inner>, mut socket: impl AsyncRead + Unpin, mut buffer: BytesMut) {
    let mut keep_alive = KeepAlive::new(&connection);
    let mut closed = connection.closed.subscribe();
    let reason = loop {
        match dispatch_all(&connection, &mut buffer).await {
            Ok(()) => {}
            Err(error) => break error,
        }
        make_room(&mut buffer);
        tokio::select! {
            biased;
            _ = closed.wait_for(Option::is_some) => break connection.reason(),
            read = socket.read_buf(&mut buffer) => match read {
                Ok(0) => break lost(&connection, io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => keep_alive.heard(),
                Err(error) => break lost(&connection, error),
            },
            kept = keep_alive.run() => if let Err(error) = kept { break error },
        }
    };
    connection.close(reason);
    let reason = connection.reason();
    connection.requests.fail(&reason);
    connection.settings.counters.disconnected(&reason);
    connection.registry.disconnect(connection.id, &Disconnect::Lost(reason));
}

fn lost(connection: &Inner, error: io::Error) -> Error {
    Error::new(ErrorKind::Connection, format!("lost the connection to {}", connection.target))
        .caused_by(error)
}

/// Keeps the buffer large enough for the frame that has begun, so that a large one is not read in small steps.
fn make_room(buffer: &mut BytesMut) {
    let begun = buffer.first_chunk::<4>().map_or(0, |size| u32::from_be_bytes(*size) as usize + 4);
    let missing = begun.saturating_sub(buffer.len());
    if missing > buffer.capacity() - buffer.len() || buffer.capacity() - buffer.len() < READ_SIZE / 4 {
        buffer.reserve(missing.max(READ_SIZE));
    }
}

async fn dispatch_all(connection: &Arc<Inner>, buffer: &mut BytesMut) -> Result<()> {
    let limit = connection.greeting.max_message_size.saturating_add(FRAME_OVERHEAD);
    let mut handled = 0;
    while let Some(frame) = frame::decode(buffer, limit)? {
        dispatch(connection, frame)?;
        handled += 1;
        if handled % FRAMES_PER_TURN == 0 {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

fn dispatch(connection: &Arc<Inner>, frame: Frame) -> Result<()> {
    let id = connection.id;
    let registry = &connection.registry;
    // A command that is newer than this client: nothing that we asked for.
    let Some(command) = frame.command.command else { return Ok(()) };
    match command {
        Command::Message(message) => {
            if let Some(consumer) = registry.consumer(message.consumer_id) {
                let payload = frame.payload.unwrap_or_else(|| {
                    Err(Error::new(ErrorKind::Decode, "the broker sent a message without a payload"))
                });
                consumer.message(id, message, payload);
            }
        }
        Command::SendReceipt(receipt) => {
            if let Some(producer) = registry.producer(receipt.producer_id) {
                producer.receipt(id, receipt);
            }
        }
        Command::SendError(refused) => {
            if let Some(producer) = registry.producer(refused.producer_id) {
                producer.send_error(id, refused.sequence_id, server_error(refused.error, &refused.message));
            }
        }
        Command::Ping(_) => {
            connection.queue.try_push_control(&CommandPong {}.into());
        }
        Command::AuthChallenge(_) => answer_challenge(connection),
        Command::CloseProducer(close) => {
            if let Some(producer) = registry.remove_producer(close.producer_id) {
                let assigned =
                    connection.own(close.assigned_broker_service_url, close.assigned_broker_service_url_tls);
                producer.disconnected(id, Disconnect::ClosedByBroker { assigned });
            }
        }
        Command::CloseConsumer(close) => {
            if let Some(consumer) = registry.remove_consumer(close.consumer_id) {
                let assigned =
                    connection.own(close.assigned_broker_service_url, close.assigned_broker_service_url_tls);
                consumer.disconnected(id, Disconnect::ClosedByBroker { assigned });
            }
        }
        Command::TopicMigrated(migrated) => topic_migrated(connection, migrated),
        Command::ActiveConsumerChange(change) => {
            if let Some(consumer) = registry.consumer(change.consumer_id) {
                consumer.active_changed(id, change.is_active.unwrap_or_default());
            }
        }
        Command::ReachedEndOfTopic(end) => {
            if let Some(consumer) = registry.consumer(end.consumer_id) {
                consumer.end_of_topic(id);
            }
        }
        answer => return take_answer(connection, answer),
    }
    Ok(())
}

fn take_answer(connection: &Inner, answer: Command) -> Result<()> {
    let Some(request) = answers::request_id(&answer) else { return Ok(()) };
    let refused = match &answer {
        Command::Error(error) if error.error == ServerError::AuthenticationError as i32 => {
            Some(server_error(error.error, &error.message))
        }
        _ => None,
    };
    if !connection.requests.answer(request, answer)
        && let Some(error) = refused
    {
        // Nobody asked: the credentials of the connection itself are refused, and the broker closes it.
        return Err(error);
    }
    Ok(())
}

fn topic_migrated(connection: &Inner, migrated: CommandTopicMigrated) {
    let url = connection.own(migrated.broker_service_url, migrated.broker_service_url_tls);
    let reason = Disconnect::TopicMigrated { url };
    if migrated.resource_type == MigratedResource::Producer as i32 {
        if let Some(producer) = connection.registry.remove_producer(migrated.resource_id) {
            producer.disconnected(connection.id, reason);
        }
    } else if let Some(consumer) = connection.registry.remove_consumer(migrated.resource_id) {
        consumer.disconnected(connection.id, reason);
    }
}

/// Gives the broker fresh credentials, from a task of its own: a supplier may take its time.
fn answer_challenge(connection: &Arc<Inner>) {
    let connection = Arc::clone(connection);
    tokio::spawn(async move {
        let settings = &connection.settings;
        let deadline = settings.clock.now() + settings.operation_timeout;
        let fresh = tokio::select! {
            fresh = auth_response(settings.authentication.as_ref()) => fresh,
            () = settings.clock.sleep_until(deadline) => Err(Error::new(
                ErrorKind::Authentication,
                format!("no fresh credentials within {:?}", settings.operation_timeout),
            )),
        };
        match fresh {
            Ok(response) => {
                settings.counters.auth_refreshes.add(1);
                connection.queue.push_control(&response.into()).await;
            }
            Err(error) => connection.close(error),
        }
    });
}

impl Inner {
    /// The URL that fits this connection, of the two that a broker names.
    fn own(&self, plain: Option<String>, tls: Option<String>) -> Option<String> {
        if self.target.tls { tls } else { plain }.filter(|url| !url.is_empty())
    }
}

/// A ping after silence; an error when the silence lasts twice as long.
struct KeepAlive<'a> {
    connection: &'a Inner,
    heard_at: Instant,
    pinged: bool,
}

impl<'a> KeepAlive<'a> {
    fn new(connection: &'a Inner) -> Self {
        Self { connection, heard_at: connection.settings.clock.now(), pinged: false }
    }

    fn heard(&mut self) {
        self.heard_at = self.connection.settings.clock.now();
        self.pinged = false;
    }

    fn interval(&self) -> Duration {
        self.connection.settings.keep_alive_interval
    }

    /// Returns when there is something to say or to give up.
    async fn run(&mut self) -> Result<()> {
        if self.interval().is_zero() {
            return std::future::pending().await;
        }
        let clock = &self.connection.settings.clock;
        if !self.pinged {
            clock.sleep_until(self.heard_at + self.interval()).await;
            self.connection.queue.try_push_control(&CommandPing {}.into());
            self.pinged = true;
            return Ok(());
        }
        clock.sleep_until(self.heard_at + 2 * self.interval()).await;
        let context =
            format!("no sign of life from {} for {:?}", self.connection.target, 2 * self.interval());
        Err(Error::new(ErrorKind::Connection, context))
    }
}
