//! Consumers and readers on a real broker. Built with the feature `real-broker` only, and then a broker must be there.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use fastapi_pulsar_core::client::options::{
    Batching, ConsumerOptions, DelayOptions, Position, ProducerOptions, ReaderOptions, SubscriptionKind,
};
use fastapi_pulsar_core::client::{Client, Consumer, Key, Message, OutgoingMessage, Reader};
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::message_id::MessageId;

use support::broker::{admin, client, fresh_topic, numbered, producer, send_batch, soon};

fn options(topic: &str, kind: SubscriptionKind) -> ConsumerOptions {
    ConsumerOptions {
        topics: vec![topic.into()],
        subscription: "s".into(),
        r#type: kind,
        initial_position: Position::Earliest,
        negative_ack_delay: DelayOptions {
            initial: Duration::from_millis(100),
            max: Duration::from_secs(1),
            multiplier: 2.0,
        },
        ..ConsumerOptions::default()
    }
}

async fn consumer(client: &Client, topic: &str, kind: SubscriptionKind) -> Consumer {
    soon("a consumer", client.consumer(options(topic, kind))).await.unwrap()
}

async fn receive(consumer: &Consumer, count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    for _ in 0..count {
        messages.push(soon("a message", consumer.receive()).await.unwrap());
    }
    messages
}

async fn read(reader: &Reader, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    for _ in 0..count {
        texts.push(text(&soon("a message", reader.receive()).await.unwrap()));
    }
    texts
}

fn text(message: &Message) -> String {
    String::from_utf8(message.payload().to_vec()).unwrap()
}

fn texts(messages: &[Message]) -> Vec<String> {
    messages.iter().map(text).collect()
}

async fn nothing_more(consumer: &Consumer) {
    let more = tokio::time::timeout(Duration::from_millis(700), consumer.receive()).await;
    assert!(more.is_err(), "{more:?}");
}

async fn backlog(consumer: &Consumer) -> u64 {
    let stats = soon("statistics", consumer.broker_stats()).await.unwrap();
    stats.iter().map(|stats| stats.stats.msg_backlog.unwrap()).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_1_one_of_a_batch_is_acknowledged() {
    let (client, topic) = (client(), fresh_topic("batch"));
    let shared = consumer(&client, &topic, SubscriptionKind::Shared).await;
    let producer = producer(&client, &topic).await;
    send_batch(&producer, numbered("m", 10)).await;
    let messages = receive(&shared, 10).await;
    assert_eq!(messages[9].id().batch_size, 10);
    shared.acknowledge(&messages[0]).unwrap();
    shared.negative_acknowledge(&messages[5]).unwrap();
    let again = receive(&shared, 9).await;
    assert_eq!(texts(&again), numbered("m", 10).skip(1).collect::<Vec<_>>());
    assert!(again.iter().all(|message| message.redelivery_count() == 1));
    shared.close().await.unwrap();

    let next = consumer(&client, &topic, SubscriptionKind::Shared).await;
    let all = receive(&next, 10).await;
    for message in &all {
        next.acknowledge(message).unwrap();
    }
    next.flush_acks().await.unwrap();
    next.close().await.unwrap();
    let last = consumer(&client, &topic, SubscriptionKind::Shared).await;
    nothing_more(&last).await;
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_4_seek_on_exclusive_by_id_and_by_time_with_a_full_queue() {
    let (client, topic) = (client(), fresh_topic("seek"));
    let small = ConsumerOptions { receiver_queue_size: 10, ..options(&topic, SubscriptionKind::Exclusive) };
    let consumer = client.consumer(small).await.unwrap();
    let producer = producer(&client, &topic).await;
    let mut middle = 0;
    for number in 0..100 {
        if number == 50 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            middle = unix_millis();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        send_batch(&producer, [format!("m{number}")]).await;
    }
    let first = receive(&consumer, 31).await;
    let id = first[30].id();
    soon("a seek", consumer.seek_id(&id, None)).await.unwrap();
    assert_eq!(texts(&receive(&consumer, 2).await), ["m31", "m32"], "behind the message");
    for _ in 0..3 {
        soon("a seek", consumer.seek_time(middle)).await.unwrap();
        assert_eq!(texts(&receive(&consumer, 2).await), ["m50", "m51"]);
    }
    soon("a seek", consumer.seek_id(&MessageId::EARLIEST, None)).await.unwrap();
    let all = receive(&consumer, 100).await;
    assert_eq!(texts(&all), numbered("m", 100).collect::<Vec<_>>());
    consumer.acknowledge_cumulative(&all[99]).unwrap();
    consumer.flush_acks().await.unwrap();
    nothing_more(&consumer).await;
    assert_eq!(backlog(&consumer).await, 0);
    client.close().await.unwrap();
}

fn unix_millis() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn seek_inside_a_batch() {
    let (client, topic) = (client(), fresh_topic("seek-batch"));
    for (inclusive, expected) in [(false, "b4"), (true, "b3")] {
        let consumer = client
            .consumer(ConsumerOptions {
                subscription: format!("s-{inclusive}"),
                start_message_id_inclusive: inclusive,
                ..options(&topic, SubscriptionKind::Exclusive)
            })
            .await
            .unwrap();
        if !inclusive {
            let producer = producer(&client, &topic).await;
            send_batch(&producer, numbered("a", 5)).await;
            send_batch(&producer, numbered("b", 5)).await;
        }
        let messages = receive(&consumer, 10).await;
        soon("a seek", consumer.seek_id(&messages[8].id(), None)).await.unwrap();
        assert_eq!(text(&receive(&consumer, 1).await[0]), expected);
        let unbatched = MessageId { batch_index: -1, batch_size: 0, ..messages[8].id() };
        soon("a seek", consumer.seek_id(&unbatched, None)).await.unwrap();
        if inclusive {
            assert_eq!(text(&receive(&consumer, 1).await[0]), "b0");
        } else {
            nothing_more(&consumer).await;
        }
    }
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_5_a_full_queue_holds_up_nothing() {
    let (client, topic) = (client(), fresh_topic("full"));
    let small = ConsumerOptions { receiver_queue_size: 5, ..options(&topic, SubscriptionKind::Shared) };
    let consumer = client.consumer(small).await.unwrap();
    let producer = producer(&client, &topic).await;
    for number in 0..20 {
        send_batch(&producer, [format!("m{number}")]).await;
    }
    let first = &receive(&consumer, 1).await[0];
    consumer.acknowledge(first).unwrap();
    consumer.flush_acks().await.unwrap();
    assert_eq!(
        soon("the last id", consumer.last_message_id()).await.unwrap().unwrap().ledger,
        first.id().ledger
    );
    assert_eq!(backlog(&consumer).await, 19);
    soon("a seek", consumer.seek_id(&MessageId::EARLIEST, None)).await.unwrap();
    assert_eq!(texts(&receive(&consumer, 20).await).len(), 20);
    soon("unsubscribing", consumer.unsubscribe(false)).await.unwrap();
    assert_eq!(consumer.receive().await.unwrap_err().kind(), ErrorKind::Closed);
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_3_a_reader_resumes_inside_a_batch_when_the_topic_is_unloaded() {
    let (client, topic) = (client(), fresh_topic("reader"));
    let producer = producer(&client, &topic).await;
    for batch in 0..50 {
        send_batch(&producer, numbered(&format!("{batch}-"), 100)).await;
    }
    let reader =
        client.reader(ReaderOptions { topic: topic.clone(), ..ReaderOptions::default() }).await.unwrap();
    let mut all = Vec::new();
    for unloads in 1..=4 {
        all.extend(read(&reader, 1033).await);
        admin("PUT", &topic, "/unload", "").await;
        // Otherwise what is queued may be enough to read on, and two unloads are one.
        soon("the reader's return", async {
            while reader.stats().reconnects < unloads {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
    all.extend(read(&reader, 5000 - all.len()).await);
    let expected: Vec<_> =
        (0..50).flat_map(|batch| numbered(&format!("{batch}-"), 100).collect::<Vec<_>>()).collect();
    assert!(all == expected, "each message once and in order");
    assert!(!soon("an answer", reader.has_message_available()).await.unwrap());
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_reader_has_available() {
    let (client, topic) = (client(), fresh_topic("available"));
    let reader = |start, inclusive| {
        let options = ReaderOptions {
            topic: topic.clone(),
            start,
            start_message_id_inclusive: inclusive,
            ..ReaderOptions::default()
        };
        client.reader(options)
    };
    let (earliest, latest) =
        (reader(Position::Earliest, false).await.unwrap(), reader(Position::Latest, false).await.unwrap());
    for empty in [&earliest, &latest] {
        assert!(!soon("an answer", empty.has_message_available()).await.unwrap());
        assert_eq!(empty.last_message_id().await.unwrap(), None);
    }
    let producer = producer(&client, &topic).await;
    send_batch(&producer, numbered("m", 3)).await;
    for (reader, count) in [(&earliest, 3), (&latest, 3)] {
        for number in 0..count {
            assert!(soon("an answer", reader.has_message_available()).await.unwrap());
            assert_eq!(read(reader, 1).await, [format!("m{number}")]);
        }
        assert!(!soon("an answer", reader.has_message_available()).await.unwrap());
    }
    let late = reader(Position::Latest, false).await.unwrap();
    assert!(!soon("an answer", late.has_message_available()).await.unwrap());
    let last = soon("a reader", reader(Position::Latest, true)).await.unwrap();
    assert!(soon("an answer", last.has_message_available()).await.unwrap());
    assert_eq!(read(&last, 1).await, ["m2"]);
    assert!(!soon("an answer", last.has_message_available()).await.unwrap());
    soon("a seek", last.seek_id(&MessageId::EARLIEST)).await.unwrap();
    assert!(soon("an answer", last.has_message_available()).await.unwrap());
    assert_eq!(read(&last, 3).await, ["m0", "m1", "m2"]);
    soon("a seek", last.seek_time(0)).await.unwrap();
    assert_eq!(read(&last, 1).await, ["m0"]);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let later = unix_millis();
    send_batch(&producer, numbered("n", 2)).await;
    soon("a seek", last.seek_time(later)).await.unwrap();
    assert!(soon("an answer", last.has_message_available()).await.unwrap());
    admin("PUT", &topic, "/unload", "").await;
    assert_eq!(read(&last, 2).await, ["n0", "n1"], "the time holds over an unload");
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_starts_at_an_id() {
    let (client, topic) = (client(), fresh_topic("start"));
    let producer = producer(&client, &topic).await;
    send_batch(&producer, numbered("a", 4)).await;
    for number in 0..3 {
        send_batch(&producer, [format!("b{number}")]).await;
    }
    let all = consumer(&client, &topic, SubscriptionKind::Exclusive).await;
    let ids: Vec<_> = receive(&all, 7).await.iter().map(Message::id).collect();
    for (at, inclusive, expected) in
        [(1, false, "a2"), (1, true, "a1"), (4, false, "b1"), (4, true, "b0"), (3, false, "b0")]
    {
        let start_message_id = Some(ids[at].to_bytes().to_vec());
        let options = ReaderOptions {
            topic: topic.clone(),
            start_message_id,
            start_message_id_inclusive: inclusive,
            ..ReaderOptions::default()
        };
        let reader = client.reader(options).await.unwrap();
        assert!(soon("an answer", reader.has_message_available()).await.unwrap());
        assert_eq!(read(&reader, 1).await, [expected], "start {at}, inclusive {inclusive}");
    }
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn exclusive_redelivers_everything_unacknowledged_with_count_0() {
    let (client, topic) = (client(), fresh_topic("exclusive"));
    let consumer = consumer(&client, &topic, SubscriptionKind::Exclusive).await;
    let producer = producer(&client, &topic).await;
    for number in 0..5 {
        send_batch(&producer, [format!("m{number}")]).await;
    }
    let messages = receive(&consumer, 5).await;
    consumer.acknowledge(&messages[0]).unwrap();
    consumer.negative_acknowledge(&messages[3]).unwrap();
    let again = receive(&consumer, 4).await;
    assert_eq!(texts(&again), ["m1", "m2", "m3", "m4"]);
    assert!(again.iter().all(|message| message.redelivery_count() == 0));
    nothing_more(&consumer).await;
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ack_timeout_redelivers_on_shared() {
    let (client, topic) = (client(), fresh_topic("timeout"));
    let timely = ConsumerOptions {
        ack_timeout: Duration::from_millis(300),
        ..options(&topic, SubscriptionKind::Shared)
    };
    let consumer = client.consumer(timely).await.unwrap();
    let producer = producer(&client, &topic).await;
    for number in 0..3 {
        send_batch(&producer, [format!("m{number}")]).await;
    }
    let messages = receive(&consumer, 3).await;
    consumer.acknowledge(&messages[0]).unwrap();
    consumer.acknowledge(&messages[2]).unwrap();
    let again = receive(&consumer, 1).await;
    assert_eq!((texts(&again), again[0].redelivery_count()), (vec!["m1".to_owned()], 1));
    consumer.acknowledge(&again[0]).unwrap();
    nothing_more(&consumer).await;
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_are_read_as_one_and_survive_an_unload() {
    let (client, topic) = (client(), fresh_topic("partitions"));
    admin("PUT", &topic, "/partitions", "3").await;
    let consumer = consumer(&client, &topic, SubscriptionKind::Failover).await;
    let producer = client
        .producer(ProducerOptions {
            topic: topic.clone(),
            batch_max_messages: 7,
            ..ProducerOptions::default()
        })
        .await
        .unwrap();
    let mut all = BTreeSet::new();
    for round in 0..3 {
        send_batch(&producer, numbered(&format!("{round}-"), 300)).await;
        while all.len() < (round + 1) * 300 {
            let message = &receive(&consumer, 1).await[0];
            consumer.acknowledge(message).unwrap();
            all.insert(text(message));
        }
        admin("PUT", &topic, "/unload", "").await;
    }
    assert_eq!(all.len(), 900);
    assert!(consumer.stats().partitions == 3);
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn key_shared_gives_each_key_to_one_consumer() {
    let (client, topic) = (client(), fresh_topic("keys"));
    let one = consumer(&client, &topic, SubscriptionKind::KeyShared).await;
    let two = consumer(&client, &topic, SubscriptionKind::KeyShared).await;
    let producer = client
        .producer(ProducerOptions {
            topic: topic.clone(),
            batching: Batching::Key,
            ..ProducerOptions::default()
        })
        .await
        .unwrap();
    for number in 0..200 {
        let message = OutgoingMessage {
            key: Some(Key::Text(format!("k{}", number % 20))),
            payload: bytes::Bytes::from(number.to_string()).into(),
            ..OutgoingMessage::default()
        };
        producer.send(message, fastapi_pulsar_core::client::Completion::Ignore).unwrap();
    }
    producer.flush().await.unwrap();
    let mut keys = [BTreeSet::new(), BTreeSet::new()];
    let (mut received, since) = (0, Instant::now());
    while received < 200 {
        assert!(since.elapsed() < Duration::from_secs(30), "{received} of 200");
        for (consumer, keys) in [&one, &two].into_iter().zip(&mut keys) {
            for message in consumer.take(100, usize::MAX).unwrap() {
                keys.insert(message.key().unwrap().to_owned());
                consumer.acknowledge(&message).unwrap();
                received += 1;
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(keys[0].is_disjoint(&keys[1]), "{keys:?}");
    assert_eq!(keys[0].len() + keys[1].len(), 20);
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn receipts_and_bit_sets_are_accepted() {
    let (client, topic) = (client(), fresh_topic("receipts"));
    let asking = ConsumerOptions {
        ack_receipts: true,
        batch_index_ack: true,
        ..options(&topic, SubscriptionKind::Shared)
    };
    let consumer = client.consumer(asking).await.unwrap();
    let producer = producer(&client, &topic).await;
    send_batch(&producer, numbered("m", 5)).await;
    for message in &receive(&consumer, 5).await {
        let receipt = consumer.acknowledge(message).unwrap().unwrap();
        soon("a receipt", receipt.wait()).await.unwrap();
    }
    assert_eq!(backlog(&consumer).await, 0);
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_terminated_topic_is_told() {
    let (client, topic) = (client(), fresh_topic("terminated"));
    let consumer = consumer(&client, &topic, SubscriptionKind::Exclusive).await;
    let producer = producer(&client, &topic).await;
    send_batch(&producer, numbered("m", 3)).await;
    admin("POST", &topic, "/terminate", "").await;
    for message in &receive(&consumer, 3).await {
        consumer.acknowledge(message).unwrap();
    }
    let ended = soon("the end", consumer.receive()).await.unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::TopicTerminated);
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_excludes_is_reported_at_once() {
    let (client, topic) = (client(), fresh_topic("busy"));
    let first = consumer(&client, &topic, SubscriptionKind::Exclusive).await;
    let since = Instant::now();
    let busy = client.consumer(options(&topic, SubscriptionKind::Exclusive)).await.err().unwrap();
    assert_eq!(busy.kind(), ErrorKind::ConsumerBusy);
    assert!(since.elapsed() < Duration::from_secs(5));
    drop(first);
    let mut again = client.consumer(options(&topic, SubscriptionKind::Exclusive)).await;
    while again.is_err() && since.elapsed() < Duration::from_secs(20) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        again = client.consumer(options(&topic, SubscriptionKind::Exclusive)).await;
    }
    again.unwrap();
    client.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_messages_arrive_once_and_in_order() {
    const COUNT: usize = 100_000;
    let (client, topic) = (client(), fresh_topic("many"));
    let consumer = consumer(&client, &topic, SubscriptionKind::Exclusive).await;
    let producer = producer(&client, &topic).await;
    let sending = tokio::spawn(async move { send_batch(&producer, numbered("", COUNT)).await });
    let mut next = 0;
    while next < COUNT {
        let first = receive(&consumer, 1).await;
        let rest = consumer.take(1000, usize::MAX).unwrap();
        for message in first.iter().chain(&rest) {
            assert_eq!(text(message), next.to_string());
            consumer.acknowledge(message).unwrap();
            next += 1;
        }
    }
    soon("the sender", sending).await.unwrap();
    consumer.flush_acks().await.unwrap();
    assert_eq!(backlog(&consumer).await, 0);
    client.close().await.unwrap();
}
