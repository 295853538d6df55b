//! Subscriptions of each kind, as our own client meets them.

use std::collections::BTreeSet;
use std::time::Duration;

use fastapi_pulsar_core::client::options::{ConsumerOptions, DelayOptions, SubscriptionKind};
use fastapi_pulsar_core::client::{Consumer, Key, OutgoingMessage, Producer};
use fastapi_pulsar_core::error::ErrorKind;

use crate::house::{House, acknowledge, receive, send, subscription, text};
use crate::support::peer::soon;

fn of_kind(kind: SubscriptionKind, name: &str) -> ConsumerOptions {
    let at_once = Duration::from_millis(1);
    ConsumerOptions {
        r#type: kind,
        name: Some(name.into()),
        negative_ack_delay: DelayOptions { initial: at_once, max: at_once, multiplier: 1.0 },
        ..subscription("t")
    }
}

async fn join(house: &House, options: ConsumerOptions) -> Consumer {
    soon("a consumer", house.client.consumer(options)).await.unwrap()
}

async fn send_key(producer: &Producer, key: &str, payload: &str) {
    let key = Some(Key::Text(key.to_owned()));
    let message = OutgoingMessage { payload: payload.as_bytes().into(), key, ..OutgoingMessage::default() };
    soon("a receipt", producer.send_and_wait(message)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn exclusive_refuses_a_second_consumer() {
    let house = House::new();
    let first = join(&house, of_kind(SubscriptionKind::Exclusive, "a")).await;
    let second = house.client.consumer(of_kind(SubscriptionKind::Exclusive, "b"));
    let error = soon("a refusal", second).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConsumerBusy);
    soon("the end", first.close()).await.unwrap();
    join(&house, of_kind(SubscriptionKind::Exclusive, "b")).await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_redelivers_what_is_given_back_and_counts() {
    let house = House::new();
    let producer = house.producer("t").await;
    let consumer = join(&house, of_kind(SubscriptionKind::Shared, "a")).await;
    send(&producer, "one").await;
    for count in 0..3 {
        let message = receive(&consumer).await;
        assert_eq!((text(&message), message.redelivery_count()), ("one".to_owned(), count));
        consumer.negative_acknowledge(&message).unwrap();
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn key_shared_keeps_each_key_with_one_consumer() {
    let house = House::new();
    let producer = house.producer("t").await;
    let consumers = [
        join(&house, of_kind(SubscriptionKind::KeyShared, "a")).await,
        join(&house, of_kind(SubscriptionKind::KeyShared, "b")).await,
    ];
    for number in 0..60 {
        send_key(&producer, &(number % 20).to_string(), &number.to_string()).await;
    }
    let mut keys = [BTreeSet::new(), BTreeSet::new()];
    let mut last = [None; 20];
    for _ in 0..60 {
        let (index, message) = tokio::select! {
            message = receive(&consumers[0]) => (0, message),
            message = receive(&consumers[1]) => (1, message),
        };
        let key: usize = message.key().unwrap().parse().unwrap();
        let number: u32 = text(&message).parse().unwrap();
        assert!(last[key] < Some(number), "{number} of key {key} after {:?}", last[key]);
        last[key] = Some(number);
        keys[index].insert(key);
        acknowledge(&consumers[index], &message).await;
    }
    assert!(keys[0].is_disjoint(&keys[1]), "{keys:?}");
    assert_eq!(keys[0].len() + keys[1].len(), 20);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failover_goes_on_with_the_next_consumer() {
    let house = House::new();
    let producer = house.producer("t").await;
    let first = join(&house, of_kind(SubscriptionKind::Failover, "a")).await;
    send(&producer, "one").await;
    assert_eq!(text(&receive(&first).await), "one");
    let second =
        join(&house, ConsumerOptions { priority: 1, ..of_kind(SubscriptionKind::Failover, "b") }).await;
    soon("the end", first.close()).await.unwrap();
    assert_eq!(text(&receive(&second).await), "one", "it was not acknowledged");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seek_goes_back() {
    let house = House::new();
    let producer = house.producer("t").await;
    let consumer = join(&house, of_kind(SubscriptionKind::Exclusive, "a")).await;
    for payload in ["one", "two", "three"] {
        send(&producer, payload).await;
    }
    let mut ids = Vec::new();
    for _ in 0..3 {
        let message = receive(&consumer).await;
        ids.push(message.id());
        acknowledge(&consumer, &message).await;
    }
    soon("a seek", consumer.seek_id(&ids[1], None)).await.unwrap();
    let next = receive(&consumer).await;
    assert!(["two", "three"].contains(&text(&next).as_str()));
    soon("a seek", consumer.seek_time(0)).await.unwrap();
    assert_eq!(text(&receive(&consumer).await), "one");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_message_comes_when_the_clock_is_moved() {
    let house = House::new();
    let producer = house.producer("t").await;
    let consumer = join(&house, of_kind(SubscriptionKind::Shared, "a")).await;
    let due = i64::try_from(house.clock.unix_millis()).unwrap() + 3_600_000;
    let late = OutgoingMessage {
        payload: b"late".as_slice().into(),
        deliver_at: Some(due),
        ..OutgoingMessage::default()
    };
    soon("a receipt", producer.send_and_wait(late)).await.unwrap();
    send(&producer, "now").await;
    let message = receive(&consumer).await;
    assert_eq!(text(&message), "now");
    acknowledge(&consumer, &message).await;
    house.clock.advance(Duration::from_secs(3601));
    assert_eq!(text(&receive(&consumer).await), "late");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_batch_are_acknowledged() {
    let house = House::new();
    let producer = house.producer("t").await;
    let options = ConsumerOptions { batch_index_ack: true, ..of_kind(SubscriptionKind::Shared, "a") };
    let consumer = join(&house, options.clone()).await;
    let message = |payload: &'static [u8]| OutgoingMessage { payload: payload.into(), ..Default::default() };
    let sends = async {
        tokio::join!(producer.send_and_wait(message(b"one")), producer.send_and_wait(message(b"two")))
    };
    let (one, two) = soon("receipts", sends).await;
    assert_eq!(one.unwrap().entry, two.unwrap().entry, "one batch");
    let first = receive(&consumer).await;
    acknowledge(&consumer, &first).await;
    soon("the end", consumer.close()).await.unwrap();
    let consumer = join(&house, options).await;
    assert_ne!(text(&receive(&consumer).await), text(&first));
    house.close().await;
}
