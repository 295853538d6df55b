//! Producers on a real broker. Built with the feature `real-broker` only, and then a broker must be there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use fastapi_pulsar_core::client::auth::NoAuthentication;
use fastapi_pulsar_core::client::options::{
    AccessMode, Batching, ClientOptions, CompressionKind, ConsumerOptions, Position, ProducerOptions,
    ReaderOptions, SchemaOptions, SubscriptionKind,
};
use fastapi_pulsar_core::client::{
    Client, Completion, GroupResults, Key, OutgoingMessage, Producer, SendGroup,
};
use fastapi_pulsar_core::clock::Clock;
use fastapi_pulsar_core::error::{ErrorKind, Result};
use fastapi_pulsar_core::protocol::message_id::MessageId;
use tokio::sync::oneshot;

use support::broker::{admin, client, fresh_topic, soon};
use support::setup;

fn options(topic: &str) -> ProducerOptions {
    ProducerOptions { topic: topic.into(), ..ProducerOptions::default() }
}

async fn create(client: &Client, options: ProducerOptions) -> Producer {
    soon("a producer", client.producer(options)).await.unwrap()
}

fn text(payload: &str) -> OutgoingMessage<'_> {
    OutgoingMessage { payload: payload.as_bytes().into(), ..OutgoingMessage::default() }
}

async fn send(producer: &Producer, message: OutgoingMessage<'_>) -> Result<MessageId> {
    soon("a receipt", producer.send_and_wait(message)).await
}

async fn send_all(producer: &Producer, payloads: &[String]) -> GroupResults {
    let (sender, receiver) = oneshot::channel();
    let len = u32::try_from(payloads.len()).unwrap();
    let group = SendGroup::new(len, move |results| drop(sender.send(results)));
    producer.send_group(&group, 0, payloads.iter().map(String::as_bytes)).unwrap();
    soon("the receipts", receiver).await.unwrap()
}

/// Everything in the topic (or partition), from its beginning.
async fn read_all(client: &Client, topic: &str) -> Vec<String> {
    let reader = ReaderOptions { topic: topic.into(), start: Position::Earliest, ..Default::default() };
    let reader = soon("a reader", client.reader(reader)).await.unwrap();
    let mut texts = Vec::new();
    while soon("an answer", reader.has_message_available()).await.unwrap() {
        let message = soon("a message", reader.receive()).await.unwrap();
        texts.push(String::from_utf8(message.payload().to_vec()).unwrap());
    }
    texts
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_order_with_every_compression_and_batching() {
    let client = client();
    for compression in [
        CompressionKind::None,
        CompressionKind::Lz4,
        CompressionKind::Zlib,
        CompressionKind::Zstd,
        CompressionKind::Snappy,
    ] {
        for batching in [Batching::Off, Batching::Auto, Batching::Default, Batching::Key] {
            let topic = fresh_topic("order");
            let options =
                ProducerOptions { compression, batching, batch_max_messages: 30, ..options(&topic) };
            let producer = create(&client, options).await;
            let payloads = numbered(100);
            let ids: Vec<MessageId> =
                send_all(&producer, &payloads).await.iter().map(Result::unwrap).collect();
            assert!(ids.is_sorted_by(|a, b| a < b), "{compression:?} {batching:?}");
            assert_eq!(read_all(&client, &topic).await, payloads, "{compression:?} {batching:?}");
            soon("closing", producer.close()).await.unwrap();
        }
    }
}

/// A namespace with deduplication, and a topic in it.
async fn deduplicated_topic() -> String {
    let namespace = format!("namespaces://public/dedup-{:016x}", fastrand::u64(..));
    admin("PUT", &namespace, "", "{}").await;
    admin("POST", &namespace, "/deduplication", "true").await;
    namespace.replace("namespaces://", "persistent://") + "/t"
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_restart_sequence_ids_continue_and_repetitions_are_dropped() {
    let client = client();
    let topic = deduplicated_topic().await;
    let named = || ProducerOptions { name: Some("p".into()), batch_max_messages: 7, ..options(&topic) };
    let payloads = numbered(40);
    let first = create(&client, named()).await;
    assert!(send_all(&first, &payloads[..20]).await.all_confirmed());
    assert_eq!(first.last_sequence_id(), 19);
    soon("closing", first.close()).await.unwrap();

    let second = create(&client, named()).await;
    assert_eq!(second.last_sequence_id(), 19);
    let again = OutgoingMessage { sequence_id: Some(19), ..text("a repetition") };
    assert_eq!(send(&second, again).await.unwrap().ledger, u64::MAX, "stored before: no id of its own");
    assert!(send_all(&second, &payloads[20..]).await.all_confirmed());
    // Batches by key interleave the order of sending, and nothing of them may be taken for a repetition.
    for number in 0..20 {
        let key = Some(Key::Text((number % 3).to_string()));
        second.send(OutgoingMessage { key, ..text("keyed") }, Completion::Ignore).unwrap();
    }
    soon("a flush", second.flush()).await.unwrap();
    let stored = read_all(&client, &topic).await;
    assert_eq!(stored[..40], payloads);
    assert_eq!(stored.len(), 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn access_modes_exclude_wait_and_fence() {
    let client = client();
    let topic = fresh_topic("access");
    let with = |access_mode| ProducerOptions { access_mode, ..options(&topic) };
    let first = create(&client, with(AccessMode::Exclusive)).await;
    for mode in [AccessMode::Exclusive, AccessMode::Shared] {
        let refused = soon("a refusal", client.producer(with(mode))).await.err().unwrap();
        assert!([ErrorKind::ProducerBusy, ErrorKind::ProducerFenced].contains(&refused.kind()), "{refused}");
    }
    let waiting = tokio::spawn({
        let (client, options) = (client.clone(), with(AccessMode::WaitForExclusive));
        async move { client.producer(options).await }
    });
    send(&first, text("first")).await.unwrap();
    assert!(!waiting.is_finished());
    soon("closing", first.close()).await.unwrap();
    let second = soon("the turn of who waits", waiting).await.unwrap().unwrap();
    send(&second, text("second")).await.unwrap();

    soon("closing", second.close()).await.unwrap();

    let third = create(&client, with(AccessMode::Exclusive)).await;
    send(&third, text("third")).await.unwrap();
    let fourth = create(&client, with(AccessMode::ExclusiveWithFencing)).await;
    send(&fourth, text("fourth")).await.unwrap();
    let fenced = send(&third, text("never")).await.unwrap_err();
    assert_eq!(fenced.kind(), ErrorKind::ProducerFenced);
    assert_eq!(read_all(&client, &topic).await, ["first", "second", "third", "fourth"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_used_as_java_uses_them_and_new_ones_are_found() {
    let url = std::env::var("PULSAR_SERVICE_URL").expect("where the broker is");
    let client_options =
        ClientOptions { partition_refresh_interval: Duration::from_millis(200), ..setup::options(&url) };
    let client = setup::client_with(client_options, NoAuthentication, &Clock::default());
    let topic = fresh_topic("partitions");
    admin("PUT", &topic, "/partitions", "4").await;
    let producer = create(&client, options(&topic)).await;
    assert_eq!(producer.partitions(), 4);
    // `"EWR".hashCode()` is 69088.
    for (key, partition) in [("EWR", 69_088 % 4), ("a", 97 % 4), ("b", 98 % 4), ("c", 99 % 4)] {
        let key = Some(Key::Text(key.into()));
        let id = send(&producer, OutgoingMessage { key, ..text("x") }).await.unwrap();
        assert_eq!(id.partition, partition);
    }
    let mut spread = BTreeMap::new();
    for _ in 0..8 {
        *spread.entry(send(&producer, text("x")).await.unwrap().partition).or_insert(0) += 1;
    }
    assert_eq!(spread, (0..4).map(|partition| (partition, 2)).collect());

    admin("POST", &topic, "/partitions", "6").await;
    soon("new partitions", async {
        while producer.partitions() < 6 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let id = send(&producer, OutgoingMessage { partition: Some(5), ..text("x") }).await.unwrap();
    assert_eq!(id.partition, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unloaded_topic_loses_and_disorders_nothing() {
    let client = client();
    let topic = deduplicated_topic().await;
    let producer = create(
        &client,
        ProducerOptions { batch_max_messages: 10, max_pending_messages: 0, ..options(&topic) },
    )
    .await;
    let payloads = numbered(6000);
    for (unloads, part) in (0..).zip(payloads.chunks(2000)) {
        let (sent, ()) = tokio::join!(send_all(&producer, part), async {
            admin("PUT", &topic, "/unload", "").await;
        });
        assert!(sent.all_confirmed());
        soon("a reconnect", async {
            while producer.stats().reconnects <= unloads || !producer.is_connected() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
    }
    assert_eq!(read_all(&client, &topic).await, payloads);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_over_the_brokers_limit_fails_alone() {
    let client = client();
    let topic = fresh_topic("large");
    let producer = create(&client, options(&topic)).await;
    let limit = 5 * 1024 * 1024;
    let large = "x".repeat(limit);
    assert_eq!(send(&producer, text(&large)).await.unwrap_err().kind(), ErrorKind::MessageTooLarge);
    send(&producer, text(&large[..limit - 1000])).await.unwrap();
    send(&producer, text("small")).await.unwrap();
    assert_eq!((producer.stats().reconnects, producer.stats().messages_failed), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_message_arrives_after_its_time() {
    let client = client();
    let topic = fresh_topic("delayed");
    let consumer = ConsumerOptions {
        topics: vec![topic.clone()],
        subscription: "s".into(),
        r#type: SubscriptionKind::Shared,
        ..ConsumerOptions::default()
    };
    let consumer = soon("a consumer", client.consumer(consumer)).await.unwrap();
    let producer = create(&client, options(&topic)).await;
    let delay = Duration::from_secs(2);
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap() + delay;
    let started = Instant::now();
    let deliver_at = Some(i64::try_from(at.as_millis()).unwrap());
    send(&producer, OutgoingMessage { deliver_at, ..text("later") }).await.unwrap();
    send(&producer, text("now")).await.unwrap();
    for expected in ["now", "later"] {
        let message = soon("a message", consumer.receive()).await.unwrap();
        assert_eq!(message.payload(), expected);
    }
    assert!(started.elapsed() >= delay, "after {:?}", started.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_topic_and_an_incompatible_schema_are_named() {
    let client = client();
    let topic = fresh_topic("terminated");
    let producer = create(&client, options(&topic)).await;
    send(&producer, text("x")).await.unwrap();
    admin("POST", &topic, "/terminate", "").await;
    assert_eq!(send(&producer, text("y")).await.unwrap_err().kind(), ErrorKind::TopicTerminated);

    let topic = fresh_topic("schema");
    let record = |field: &str| SchemaOptions {
        name: "R".into(),
        r#type: "JSON".into(),
        data: format!(r#"{{"type":"record","name":"R","fields":[{{"name":"f","type":"{field}"}}]}}"#),
        properties: BTreeMap::new(),
    };
    let with = |field| ProducerOptions { schema: Some(record(field)), ..options(&topic) };
    let _first = create(&client, with("string")).await;
    let refused = soon("a refusal", client.producer(with("int"))).await.err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::IncompatibleSchema);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_million_messages_pass_within_the_memory_limit() {
    const COUNT: usize = 1_000_000;
    let client = client();
    let producer =
        create(&client, ProducerOptions { max_pending_messages: 50_000, ..options(&fresh_topic("million")) })
            .await;
    let payload = [b'x'; 100];
    let started = Instant::now();
    for _ in 0..COUNT / 10_000 {
        let (sender, receiver) = oneshot::channel();
        let group = SendGroup::new(10_000, move |results: GroupResults| drop(sender.send(results)));
        producer.send_group(&group, 0, std::iter::repeat_n(&payload[..], 10_000)).unwrap();
        assert!(client.stats().memory_used <= client.stats().memory_limit);
        assert!(soon("the receipts", receiver).await.unwrap().all_confirmed());
    }
    let stats = producer.stats();
    assert_eq!((stats.messages_confirmed, stats.pending_messages), (COUNT as u64, 0));
    assert_eq!(client.stats().memory_used, 0);
    println!("{COUNT} messages in {:?}", started.elapsed());
}
