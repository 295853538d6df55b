//! A consumer, and the broker's side of it.

use std::time::Duration;

use fastapi_pulsar_core::client::auth::NoAuthentication;
use fastapi_pulsar_core::client::options::ConsumerOptions;
use fastapi_pulsar_core::client::{Client, Consumer, Message};
use fastapi_pulsar_core::clock::Clock;
use fastapi_pulsar_core::error::Result;
use fastapi_pulsar_core::protocol::batch::BatchBuilder;
use fastapi_pulsar_core::protocol::proto::{
    CommandAck, CommandCloseConsumer, CommandMessage, CommandSubscribe, CommandSuccess, MessageIdData,
    MessageMetadata,
};

use crate::expect;
use crate::support::peer::{Peer, Wire, message_id, metadata, soon};
use crate::support::setup::{client_with, options};

pub struct Scene {
    pub peer: Peer,
    pub clock: Clock,
    pub client: Client,
    pub consumer: Consumer,
    pub wire: Wire,
    pub subscribe: CommandSubscribe,
}

/// Options for one topic; acknowledgements are sent when 100 are grouped or the test moves the clock.
pub fn one_topic() -> ConsumerOptions {
    ConsumerOptions {
        topics: vec!["t".into()],
        subscription: "s".into(),
        receiver_queue_size: 10,
        ack_group_max: 100,
        ack_group_delay: Duration::from_mins(10),
        ..ConsumerOptions::default()
    }
}

impl Scene {
    pub async fn start(consumer: ConsumerOptions) -> Self {
        let peer = Peer::start().await;
        let clock = Clock::default();
        let client = client_with(options(&peer.url()), NoAuthentication, &clock);
        let creating = tokio::spawn({
            let client = client.clone();
            async move { client.consumer(consumer).await }
        });
        let mut wire = peer.connect().await;
        let subscribe = accept(&mut wire).await;
        let consumer = soon("the consumer", creating).await.unwrap().unwrap();
        Self { peer, clock, client, consumer, wire, subscribe }
    }

    /// As `start`, and takes the first permits.
    pub async fn flowing(consumer: ConsumerOptions) -> Self {
        let mut scene = Self::start(consumer).await;
        scene.permits().await;
        scene
    }

    pub async fn permits(&mut self) -> u32 {
        expect!(self.wire, Flow).message_permits
    }

    /// Delivers an entry of a single message, named by its number.
    pub async fn deliver(&mut self, entry: u64) {
        let body = entry.to_string();
        self.wire.deliver(message(entry), &metadata("p", entry), body.as_bytes()).await;
    }

    /// Delivers a batch of messages `entry:index`.
    pub async fn deliver_batch(&mut self, entry: u64, size: usize) {
        let (metadata, body) = batch(entry, size);
        self.wire.deliver(message(entry), &metadata, &body).await;
    }

    pub async fn receive(&self) -> Message {
        soon("a message", self.consumer.receive()).await.unwrap()
    }

    /// The texts of the next messages.
    pub async fn texts(&self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(text(&self.receive().await));
        }
        texts
    }

    /// The broker loses the connection; the client comes back and subscribes.
    pub async fn reconnect(&mut self) -> CommandSubscribe {
        let wire = self.peer.connect();
        self.wire = {
            let old = std::mem::replace(&mut self.wire, Wire::new(tokio::io::empty(), String::new()));
            drop(old);
            wire.await
        };
        accept(&mut self.wire).await
    }

    /// The broker closes the consumer, which subscribes again on the same connection.
    pub async fn close_by_broker(&mut self) -> CommandSubscribe {
        let consumer_id = self.subscribe.consumer_id;
        self.wire.send(CommandCloseConsumer { consumer_id, request_id: 0, ..Default::default() }).await;
        accept(&mut self.wire).await
    }

    /// The next acknowledgement, as the entries it names.
    pub async fn acked(&mut self) -> Vec<u64> {
        entries(&expect!(self.wire, Ack))
    }

    /// Runs a call of the consumer beside the test.
    pub fn call<T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
        &self,
        call: impl FnOnce(Consumer) -> F,
    ) -> Call<T> {
        Call(tokio::spawn(call(self.consumer.clone())))
    }
}

/// A call under way.
pub struct Call<T>(tokio::task::JoinHandle<Result<T>>);

impl<T> Call<T> {
    pub async fn done(self) -> Result<T> {
        soon("the end of a call", self.0).await.unwrap()
    }
}

/// Takes a subscription and confirms it.
pub async fn accept(wire: &mut Wire) -> CommandSubscribe {
    let subscribe = *expect!(wire, Subscribe);
    succeed(wire, subscribe.request_id).await;
    subscribe
}

pub async fn succeed(wire: &mut Wire, request_id: u64) {
    wire.send(CommandSuccess { request_id, ..Default::default() }).await;
}

pub fn entries(ack: &CommandAck) -> Vec<u64> {
    ack.message_id.iter().map(|id| id.entry_id).collect()
}

pub fn message(entry: u64) -> CommandMessage {
    CommandMessage { consumer_id: 0, message_id: id(entry), ..Default::default() }
}

pub fn id(entry: u64) -> MessageIdData {
    message_id(1, entry)
}

pub fn text(message: &Message) -> String {
    String::from_utf8(message.payload().to_vec()).unwrap()
}

pub fn batch(entry: u64, size: usize) -> (MessageMetadata, Vec<u8>) {
    let mut batch = BatchBuilder::new();
    for index in 0..size {
        batch.push_plain(index as u64, format!("{entry}:{index}").as_bytes());
    }
    let size = i32::try_from(size).unwrap();
    (MessageMetadata { num_messages_in_batch: Some(size), ..metadata("p", entry) }, batch.finish().to_vec())
}
