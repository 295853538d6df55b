//! Readers: where they start, where they go on, and what is available.

use fastapi_pulsar_core::client::options::{Position, ReaderOptions};
use fastapi_pulsar_core::client::{Client, Reader};
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::message_id::MessageId;
use fastapi_pulsar_core::protocol::proto::{
    CommandCloseConsumer, CommandGetLastMessageIdResponse, CommandSubscribe, MessageIdData,
};

use crate::expect;
use crate::scene::{accept, batch, id, message, succeed, text};
use crate::support::peer::{Peer, Wire, metadata, soon};
use crate::support::setup::client;

struct Scene {
    peer: Peer,
    _client: Client,
    reader: Reader,
    wire: Wire,
    subscribe: CommandSubscribe,
}

fn options() -> ReaderOptions {
    ReaderOptions { topic: "t".into(), receiver_queue_size: 10, ..ReaderOptions::default() }
}

async fn start(options: ReaderOptions) -> Scene {
    let peer = Peer::start().await;
    let client = client(&peer.url());
    let creating = tokio::spawn({
        let client = client.clone();
        async move { client.reader(options).await }
    });
    let mut wire = peer.connect().await;
    let subscribe = accept(&mut wire).await;
    expect!(wire, Flow);
    let reader = soon("the reader", creating).await.unwrap().unwrap();
    Scene { peer, _client: client, reader, wire, subscribe }
}

impl Scene {
    async fn texts(&self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        for _ in 0..count {
            texts.push(text(&soon("a message", self.reader.receive()).await.unwrap()));
        }
        texts
    }

    async fn reconnect(&mut self) -> CommandSubscribe {
        self.wire = Wire::new(tokio::io::empty(), String::new());
        self.wire = self.peer.connect().await;
        let subscribe = accept(&mut self.wire).await;
        expect!(self.wire, Flow);
        subscribe
    }

    /// Whether something is available, when the broker's last message is this one.
    async fn available(&mut self, last: MessageIdData, mark_delete: Option<MessageIdData>) -> bool {
        let reader = self.reader.clone();
        let asking = tokio::spawn(async move { reader.has_message_available().await });
        let request_id = expect!(self.wire, GetLastMessageId).request_id;
        let answer = CommandGetLastMessageIdResponse {
            last_message_id: last,
            request_id,
            consumer_mark_delete_position: mark_delete,
        };
        self.wire.send(answer).await;
        soon("an answer", asking).await.unwrap().unwrap()
    }

    async fn deliver(&mut self, entry: u64) {
        self.wire.deliver(message(entry), &metadata("p", entry), entry.to_string().as_bytes()).await;
    }
}

fn batched(entry: u64, batch_index: i32) -> MessageIdData {
    MessageIdData { batch_index: Some(batch_index), ..id(entry) }
}

#[tokio::test]
async fn a_reader_is_an_exclusive_subscription_that_is_not_durable() {
    let scene = start(options()).await;
    assert_eq!((scene.subscribe.durable, scene.subscribe.sub_type), (Some(false), 0));
    assert!(scene.subscribe.subscription.starts_with("reader-"));
    let start_id = scene.subscribe.start_message_id.as_ref().unwrap();
    assert_eq!(MessageId::from(start_id), MessageId::EARLIEST);
    let latest = start(ReaderOptions { start: Position::Latest, ..options() }).await;
    assert_eq!(MessageId::from(&latest.subscribe.start_message_id.unwrap()), MessageId::LATEST);
}

#[tokio::test]
async fn fault_3_a_reader_goes_on_after_the_last_message_handed_out() {
    let mut scene = start(options()).await;
    let (metadata_0, body) = batch(0, 4);
    scene.wire.deliver(message(0), &metadata_0, &body).await;
    scene.deliver(1).await;
    assert_eq!(scene.texts(2).await, ["0:0", "0:1"]);
    let start_id = scene.reconnect().await.start_message_id.unwrap();
    assert_eq!((start_id.entry_id, start_id.batch_index), (0, Some(1)));
    scene.wire.deliver(message(0), &metadata_0, &body).await;
    scene.deliver(1).await;
    assert_eq!(scene.texts(3).await, ["0:2", "0:3", "1"]);
    let start_id = scene.reconnect().await.start_message_id.unwrap();
    assert_eq!((start_id.entry_id, start_id.batch_index.unwrap_or(-1)), (1, -1));
    scene.deliver(1).await;
    scene.deliver(2).await;
    assert_eq!(scene.texts(1).await, ["2"]);
}

#[tokio::test]
async fn a_start_inside_a_batch_may_include_its_message() {
    for (inclusive, expected) in [(true, "5:1"), (false, "5:2")] {
        let id = MessageId { batch_index: 1, batch_size: 3, ..MessageId::new(1, 5) };
        let mut scene = start(ReaderOptions {
            start_message_id: Some(id.to_bytes().to_vec()),
            start_message_id_inclusive: inclusive,
            ..options()
        })
        .await;
        let (metadata, body) = batch(5, 3);
        scene.wire.deliver(message(5), &metadata, &body).await;
        assert_eq!(scene.texts(1).await, [expected]);
    }
}

#[tokio::test]
async fn what_is_available_follows_the_last_message() {
    let mut scene = start(options()).await;
    assert!(!scene.available(id(u64::MAX), None).await, "an empty topic");
    assert!(scene.available(id(0), None).await);
    let (metadata_0, body) = batch(0, 2);
    scene.wire.deliver(message(0), &metadata_0, &body).await;
    assert_eq!(scene.texts(1).await, ["0:0"]);
    assert!(soon("an answer", scene.reader.has_message_available()).await.unwrap(), "it is queued here");
    assert_eq!(scene.texts(1).await, ["0:1"]);
    assert!(!scene.available(batched(0, 1), None).await);
    assert!(scene.available(id(1), None).await);
}

#[tokio::test]
async fn a_reader_from_latest_compares_with_where_the_broker_has_it() {
    let mut scene = start(ReaderOptions { start: Position::Latest, ..options() }).await;
    assert!(!scene.available(id(4), Some(id(4))).await);
    assert!(scene.available(id(5), Some(id(4))).await);
}

#[tokio::test]
async fn latest_inclusive_starts_with_the_last_message() {
    let peer = Peer::start().await;
    let client = client(&peer.url());
    let latest = ReaderOptions { start: Position::Latest, start_message_id_inclusive: true, ..options() };
    let creating = tokio::spawn({
        let client = client.clone();
        async move { client.reader(latest).await }
    });
    let mut wire = peer.connect().await;
    accept(&mut wire).await;
    expect!(wire, Flow);
    let request_id = expect!(wire, GetLastMessageId).request_id;
    let answer =
        CommandGetLastMessageIdResponse { last_message_id: batched(7, 1), request_id, ..Default::default() };
    wire.send(answer).await;
    let seek = expect!(wire, Seek);
    assert_eq!(seek.message_id.unwrap().entry_id, 7);
    let close = CommandCloseConsumer { consumer_id: seek.consumer_id, request_id: 0, ..Default::default() };
    wire.send(close).await;
    succeed(&mut wire, seek.request_id).await;
    accept(&mut wire).await;
    expect!(wire, Flow);
    let reader = soon("the reader", creating).await.unwrap().unwrap();
    let (metadata, body) = batch(7, 2);
    wire.deliver(message(7), &metadata, &body).await;
    assert_eq!(text(&soon("a message", reader.receive()).await.unwrap()), "7:1");
}

#[tokio::test]
async fn a_reader_needs_a_topic() {
    let peer = Peer::start().await;
    let refused = client(&peer.url()).reader(ReaderOptions::default()).await;
    assert_eq!(refused.err().unwrap().kind(), ErrorKind::InvalidOption);
}
