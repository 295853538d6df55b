//! A producer on a scripted wire, and what it sends, taken apart.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastapi_pulsar_core::client::auth::NoAuthentication;
use fastapi_pulsar_core::client::options::{ClientOptions, ProducerOptions};
use fastapi_pulsar_core::client::{Client, Completion, OutgoingMessage, Producer, SendTicket};
use fastapi_pulsar_core::clock::Clock;
use fastapi_pulsar_core::error::Result;
use fastapi_pulsar_core::protocol::batch::BatchIter;
use fastapi_pulsar_core::protocol::compression::Compression;
use fastapi_pulsar_core::protocol::message_id::MessageId;
use fastapi_pulsar_core::protocol::proto::{
    Command, CommandProducer, CommandProducerSuccess, CommandSend, MessageMetadata, SingleMessageMetadata,
};
use tokio::sync::oneshot;

use crate::expect;
use crate::support::peer::{Peer, Wire, message_id, soon};
use crate::support::setup;

pub const HOUR: Duration = Duration::from_hours(1);

/// A producer, its broker, and the clock of both.
pub struct Bench {
    pub peer: Peer,
    pub wire: Wire,
    pub client: Client,
    pub clock: Clock,
    pub producer: Producer,
    pub producer_id: u64,
}

/// Nothing happens by time, unless the test moves the clock.
pub fn options() -> ProducerOptions {
    ProducerOptions {
        topic: "t".into(),
        batch_max_delay: 100 * HOUR,
        batch_when_idle: true,
        send_timeout: Duration::ZERO,
        ..ProducerOptions::default()
    }
}

pub fn client_options(peer: &Peer) -> ClientOptions {
    ClientOptions {
        keep_alive_interval: 1000 * HOUR,
        operation_timeout: 1000 * HOUR,
        ..setup::options(&peer.url())
    }
}

impl Bench {
    pub async fn new(options: ProducerOptions) -> Self {
        let peer = Peer::start().await;
        let client_options = client_options(&peer);
        Self::with(peer, client_options, options).await
    }

    pub async fn with(peer: Peer, client_options: ClientOptions, options: ProducerOptions) -> Self {
        let clock = Clock::default();
        let client = setup::client_with(client_options, NoAuthentication, &clock);
        let creating = tokio::spawn({
            let client = client.clone();
            async move { client.producer(options).await }
        });
        let mut wire = peer.connect().await;
        let create = *expect!(wire, Producer);
        wire.send(success(&create, -1)).await;
        let producer = soon("a producer", creating).await.unwrap().unwrap();
        Self { peer, wire, client, clock, producer, producer_id: create.producer_id }
    }

    /// Sends, and returns how to wait for the outcome.
    pub fn send(&self, message: OutgoingMessage<'_>) -> Result<Sent> {
        let (sender, receiver) = oneshot::channel();
        let callback = move |outcome| drop(sender.send(outcome));
        let ticket = self.producer.send(message, Completion::Callback(Box::new(callback)))?;
        Ok(Sent { ticket, outcome: receiver })
    }

    /// The next entry on the wire.
    pub async fn entry(&mut self) -> Entry {
        entry(&mut self.wire).await
    }

    /// Confirms an entry, as stored under its sequence id.
    pub async fn confirm(&mut self, sequence_id: u64) {
        self.wire.receipt(self.producer_id, sequence_id, message_id(1, sequence_id)).await;
    }

    /// Takes the next entry and confirms it.
    pub async fn store(&mut self) -> Entry {
        let entry = self.entry().await;
        self.confirm(entry.command.sequence_id).await;
        entry
    }

    /// Checks that nothing but what the test already took is on the wire: an orderly close is the next thing.
    pub async fn close(mut self) {
        let producer = self.producer.clone();
        let closing = tokio::spawn(async move { producer.close().await });
        let close = expect!(self.wire, CloseProducer);
        assert_eq!(close.producer_id, self.producer_id);
        self.wire.send(done(close.request_id)).await;
        soon("closing", closing).await.unwrap().unwrap();
    }
}

pub struct Sent {
    pub ticket: SendTicket,
    outcome: oneshot::Receiver<Result<MessageId>>,
}

impl Sent {
    pub async fn outcome(self) -> Result<MessageId> {
        soon("an outcome", self.outcome)
            .await
            .expect("a completion is called, unless its message is taken back")
    }

    /// Checks that the completion is dropped without being called.
    pub async fn dropped(self) {
        assert!(soon("the completion's end", self.outcome).await.is_err());
    }

    pub fn is_open(&mut self) -> bool {
        matches!(self.outcome.try_recv(), Err(oneshot::error::TryRecvError::Empty))
    }
}

/// What was sent as one entry.
pub struct Entry {
    pub command: CommandSend,
    pub metadata: MessageMetadata,
    pub messages: Vec<(SingleMessageMetadata, Bytes)>,
    /// As it was on the wire.
    pub body: Bytes,
}

impl Entry {
    pub fn payloads(&self) -> Vec<String> {
        self.messages.iter().map(|(_, payload)| String::from_utf8_lossy(payload).into_owned()).collect()
    }
}

pub async fn entry(wire: &mut Wire) -> Entry {
    let frame = wire.next().await;
    let Some(Command::Send(command)) = frame.command.command else {
        panic!("expected Send, got {}", frame.command.name())
    };
    let payload = frame.payload.unwrap().unwrap();
    let metadata = MessageMetadata::clone(&payload.metadata);
    let compression = Compression::of(&metadata).unwrap();
    let body = compression.decompress(&payload.body, metadata.uncompressed_size(), 1 << 24).unwrap();
    let messages = match metadata.num_messages_in_batch {
        Some(count) => BatchIter::new(body, usize::try_from(count).unwrap()).collect::<Result<_>>().unwrap(),
        None => vec![(SingleMessageMetadata::default(), body)],
    };
    Entry { command, metadata, messages, body: payload.body }
}

pub fn success(create: &CommandProducer, last_sequence_id: i64) -> CommandProducerSuccess {
    CommandProducerSuccess {
        request_id: create.request_id,
        producer_name: create.producer_name.clone().unwrap_or_else(|| "chosen".into()),
        last_sequence_id: Some(last_sequence_id),
        ..Default::default()
    }
}

pub fn done(request_id: u64) -> fastapi_pulsar_core::protocol::proto::CommandSuccess {
    fastapi_pulsar_core::protocol::proto::CommandSuccess { request_id, schema: None }
}

pub fn text(payload: &str) -> OutgoingMessage<'_> {
    OutgoingMessage { payload: payload.as_bytes().into(), ..Default::default() }
}

pub fn keyed<'a>(key: &str, payload: &'a str) -> OutgoingMessage<'a> {
    OutgoingMessage { key: Some(fastapi_pulsar_core::client::Key::Text(key.into())), ..text(payload) }
}

/// A completion that reports into a list, to see the order.
pub fn recording<T: Send + 'static>(list: &Arc<std::sync::Mutex<Vec<T>>>, value: T) -> Completion {
    let list = Arc::clone(list);
    Completion::Callback(Box::new(move |outcome| {
        outcome.unwrap();
        list.lock().unwrap().push(value);
    }))
}
