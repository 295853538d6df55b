//! Partitioned topics and several topics, read as one.

use std::collections::BTreeMap;
use std::time::Duration;

use fastapi_pulsar_core::client::auth::NoAuthentication;
use fastapi_pulsar_core::client::options::{ClientOptions, ConsumerOptions};
use fastapi_pulsar_core::clock::Clock;
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::message_id::MessageId;
use fastapi_pulsar_core::protocol::proto::{Command, CommandMessage, InitialPosition};

use crate::expect;
use crate::scene::{message, one_topic, succeed, text};
use crate::support::peer::{Peer, Wire, metadata, soon};
use crate::support::setup::{client_with, options};

/// Accepts subscriptions and permits, until there are this many; the permits by topic, the numbers by topic.
async fn accept_all(wire: &mut Wire, count: usize) -> (BTreeMap<String, u64>, Vec<u32>) {
    let (mut consumers, mut permits) = (BTreeMap::new(), Vec::new());
    while consumers.len() < count || permits.len() < count {
        match wire.next().await.command.command.unwrap() {
            Command::Subscribe(subscribe) => {
                succeed(wire, subscribe.request_id).await;
                consumers.insert(subscribe.topic, subscribe.consumer_id);
            }
            Command::Flow(flow) => permits.push(flow.message_permits),
            other => panic!("{}", other.name()),
        }
    }
    (consumers, permits)
}

#[tokio::test]
async fn partitions_are_one_queue_and_new_ones_are_noticed() {
    let peer = Peer::start().await;
    let clock = Clock::default();
    let refreshing =
        ClientOptions { partition_refresh_interval: Duration::from_secs(5), ..options(&peer.url()) };
    let client = client_with(refreshing, NoAuthentication, &clock);
    let consumer = ConsumerOptions { max_total_receiver_queue_size: 8, ..one_topic() };
    let creating = tokio::spawn({
        let client = client.clone();
        async move { client.consumer(consumer).await }
    });
    let mut wire = peer.connect().await;
    wire.partitions = 2;
    let (consumers, permits) = accept_all(&mut wire, 2).await;
    assert_eq!(permits, [4, 4], "the whole is divided");
    let consumer = soon("the consumer", creating).await.unwrap().unwrap();

    for (topic, consumer_id) in &consumers {
        let command = CommandMessage { consumer_id: *consumer_id, ..message(0) };
        wire.deliver(command, &metadata("p", 0), topic.as_bytes()).await;
    }
    for _ in 0..2 {
        let received = soon("a message", consumer.receive()).await.unwrap();
        assert_eq!(text(&received), received.topic());
        assert!(received.topic().ends_with(&format!("-partition-{}", received.id().partition)));
        consumer.acknowledge(&received).unwrap();
    }
    let flushing = tokio::spawn({
        let consumer = consumer.clone();
        async move { consumer.flush_acks().await }
    });
    let mut acked = [expect!(wire, Ack).consumer_id, expect!(wire, Ack).consumer_id];
    acked.sort_unstable();
    assert_eq!(acked.to_vec(), consumers.values().copied().collect::<Vec<_>>());
    soon("the flush", flushing).await.unwrap().unwrap();

    wire.partitions = 3;
    clock.advance(Duration::from_secs(6));
    let subscribe = expect!(wire, Subscribe);
    assert!(subscribe.topic.ends_with("-partition-2"));
    assert_eq!(subscribe.initial_position, Some(InitialPosition::Earliest as i32));
    succeed(&mut wire, subscribe.request_id).await;
    assert_eq!(expect!(wire, Flow).message_permits, 2);
    let command = CommandMessage { consumer_id: subscribe.consumer_id, ..message(0) };
    wire.deliver(command, &metadata("p", 0), b"new").await;
    assert_eq!(text(&soon("a message", consumer.receive()).await.unwrap()), "new");
}

#[tokio::test]
async fn an_id_needs_its_topic_where_several_are_read() {
    let peer = Peer::start().await;
    let client = client_with(options(&peer.url()), NoAuthentication, &Clock::default());
    let consumer = ConsumerOptions { topics: vec!["a".into(), "b".into()], ..one_topic() };
    let creating = tokio::spawn({
        let client = client.clone();
        async move { client.consumer(consumer).await }
    });
    let mut wire = peer.connect().await;
    let (consumers, _) = accept_all(&mut wire, 2).await;
    let consumer = soon("the consumer", creating).await.unwrap().unwrap();
    let id = MessageId::new(1, 0);
    assert_eq!(consumer.acknowledge_id(&id, None).err().unwrap().kind(), ErrorKind::InvalidMessageId);
    let topic = "persistent://public/default/b";
    consumer.acknowledge_id(&id, Some(topic)).unwrap();
    consumer.flush_acks().await.unwrap();
    assert_eq!(expect!(wire, Ack).consumer_id, consumers[topic]);
}
