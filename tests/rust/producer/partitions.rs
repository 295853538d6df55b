//! Topics with partitions.

use std::collections::BTreeMap;

use fastapi_pulsar_core::client::auth::NoAuthentication;
use fastapi_pulsar_core::client::options::{Batching, ClientOptions, ProducerOptions, Routing};
use fastapi_pulsar_core::client::{OutgoingMessage, Producer};
use fastapi_pulsar_core::clock::Clock;
use fastapi_pulsar_core::error::ErrorKind;

use crate::bench::{HOUR, client_options, entry, keyed, options, success, text};
use crate::expect;
use crate::support::peer::{Peer, Wire, message_id, soon};
use crate::support::setup;

struct Partitioned {
    _peer: Peer,
    wire: Wire,
    clock: Clock,
    producer: Producer,
    /// The partition of each producer id.
    partitions: BTreeMap<u64, u32>,
}

impl Partitioned {
    async fn new(count: u32, options: ProducerOptions) -> Self {
        let peer = Peer::start().await;
        let clock = Clock::default();
        let client_options = ClientOptions { partition_refresh_interval: HOUR, ..client_options(&peer) };
        let client = setup::client_with(client_options, NoAuthentication, &clock);
        let creating = tokio::spawn(async move { client.producer(options).await });
        let mut wire = peer.connect().await;
        wire.partitions = count;
        let mut partitions = BTreeMap::new();
        for _ in 0..count {
            accept(&mut wire, &mut partitions).await;
        }
        let producer = soon("a producer", creating).await.unwrap().unwrap();
        Self { _peer: peer, wire, clock, producer, partitions }
    }

    /// Takes the next entry and confirms it; its partition and payloads.
    async fn store(&mut self) -> (u32, Vec<String>) {
        let entry = entry(&mut self.wire).await;
        let id = entry.command.producer_id;
        self.wire.receipt(id, entry.command.sequence_id, message_id(1, entry.command.sequence_id)).await;
        (self.partitions[&id], entry.payloads())
    }
}

async fn accept(wire: &mut Wire, partitions: &mut BTreeMap<u64, u32>) {
    let create = *expect!(wire, Producer);
    let (_, number) = create.topic.rsplit_once("-partition-").unwrap();
    partitions.insert(create.producer_id, number.parse().unwrap());
    wire.send(success(&create, -1)).await;
}

fn unbatched() -> ProducerOptions {
    ProducerOptions { batching: Batching::Off, ..options() }
}

#[tokio::test]
async fn a_key_chooses_the_partition_as_in_java() {
    let mut topic = Partitioned::new(8, unbatched()).await;
    assert_eq!(topic.producer.partitions(), 8);
    let sending = tokio::spawn({
        let producer = topic.producer.clone();
        async move { producer.send_and_wait(keyed("EWR", "x")).await }
    });
    assert_eq!(topic.store().await.0, 0);
    assert_eq!(sending.await.unwrap().unwrap().partition, 0);
}

#[tokio::test]
async fn messages_without_a_key_move_on_with_each_batch() {
    let mut topic = Partitioned::new(3, ProducerOptions { batch_max_messages: 2, ..options() }).await;
    for payload in ["0", "1", "2", "3", "4", "5"] {
        topic.producer.send(text(payload), fastapi_pulsar_core::client::Completion::Ignore).unwrap();
    }
    let mut stored = [topic.store().await, topic.store().await, topic.store().await];
    let partitions: std::collections::BTreeSet<u32> =
        stored.iter().map(|(partition, _)| *partition).collect();
    assert_eq!(partitions.len(), 3, "each batch went to another partition");
    stored.sort_by(|(_, a), (_, b)| a.cmp(b));
    let payloads: Vec<_> = stored.iter().map(|(_, payloads)| payloads.concat()).collect();
    assert_eq!(payloads, ["01", "23", "45"]);
    assert_eq!((stored[0].0 + 1) % 3, stored[1].0);
}

#[tokio::test]
async fn single_routing_keeps_to_one_partition_and_a_given_one_wins() {
    let mut topic = Partitioned::new(3, ProducerOptions { routing: Routing::Single, ..unbatched() }).await;
    let send = |topic: &Partitioned, message: OutgoingMessage<'_>| {
        topic.producer.send(message, fastapi_pulsar_core::client::Completion::Ignore).map(drop)
    };
    let mut seen = Vec::new();
    for _ in 0..4 {
        send(&topic, text("x")).unwrap();
        seen.push(topic.store().await.0);
    }
    assert!(seen.iter().all(|partition| *partition == seen[0]), "{seen:?}");
    for partition in 0..3 {
        send(&topic, OutgoingMessage { partition: Some(partition), ..text("x") }).unwrap();
        assert_eq!(topic.store().await.0, partition);
    }
    let beyond = OutgoingMessage { partition: Some(3), ..text("x") };
    assert_eq!(send(&topic, beyond).unwrap_err().kind(), ErrorKind::InvalidOption);
}

#[tokio::test]
async fn new_partitions_are_taken_into_service() {
    let mut topic = Partitioned::new(2, unbatched()).await;
    topic.wire.partitions = 4;
    topic.clock.advance(HOUR);
    for _ in 0..2 {
        accept(&mut topic.wire, &mut topic.partitions).await;
    }
    while topic.producer.partitions() < 4 {
        tokio::task::yield_now().await;
    }
    let last = OutgoingMessage { partition: Some(3), ..text("x") };
    topic.producer.send(last, fastapi_pulsar_core::client::Completion::Ignore).unwrap();
    assert_eq!(topic.store().await.0, 3);
}

#[tokio::test]
async fn when_one_partition_is_refused_the_others_are_closed() {
    let peer = Peer::start().await;
    let client = setup::client(&peer.url());
    let creating = tokio::spawn({
        let client = client.clone();
        async move { client.producer(unbatched()).await }
    });
    let mut wire = peer.connect().await;
    wire.partitions = 2;
    let first = *expect!(wire, Producer);
    let second = *expect!(wire, Producer);
    wire.send(success(&first, -1)).await;
    wire.send(fastapi_pulsar_core::protocol::proto::CommandError {
        request_id: second.request_id,
        error: fastapi_pulsar_core::protocol::proto::ServerError::IncompatibleSchema as i32,
        message: "no".into(),
    })
    .await;
    let error = soon("the refusal", creating).await.unwrap().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::IncompatibleSchema);
    let close = expect!(wire, CloseProducer);
    assert_eq!(close.producer_id, first.producer_id);
}
