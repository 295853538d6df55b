//! Topics as clients meet them: unloading, the end, exclusive access, delays, quotas.

use std::sync::Arc;
use std::time::Duration;

use fastapi_pulsar_core::broker::config::{BrokerOptions, Limits};
use fastapi_pulsar_core::broker::topic::Topic;
use fastapi_pulsar_core::client::OutgoingMessage;
use fastapi_pulsar_core::client::options::{AccessMode, ConsumerOptions, ProducerOptions, SubscriptionKind};
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::topic::TopicName;

use crate::house::{House, acknowledge, receive, send, subscription, text};
use crate::support::peer::soon;

fn topic(house: &House, name: &str) -> Arc<Topic> {
    let core = house.broker.core().unwrap();
    core.registry.existing(&TopicName::parse(name).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_come_back_after_an_unload() {
    let house = House::new();
    let (producer, consumer) = (house.producer("t").await, house.consumer("t").await);
    send(&producer, "before").await;
    let message = receive(&consumer).await;
    acknowledge(&consumer, &message).await;
    topic(&house, "t").unload();
    send(&producer, "after").await;
    assert_eq!(text(&receive(&consumer).await), "after");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_topic_takes_no_more() {
    let house = House::new();
    let producer = house.producer("t").await;
    send(&producer, "last").await;
    topic(&house, "t").terminate();
    let late = OutgoingMessage { payload: b"late".as_slice().into(), ..OutgoingMessage::default() };
    let refused = soon("a refusal", producer.send_and_wait(late)).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TopicTerminated);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_producer_has_exclusive_access_and_another_waits_for_it() {
    let house = House::new();
    let options =
        |access_mode| ProducerOptions { topic: "t".into(), access_mode, ..ProducerOptions::default() };
    let first = soon("a producer", house.client.producer(options(AccessMode::Exclusive))).await.unwrap();
    let refused = soon("a refusal", house.client.producer(options(AccessMode::Exclusive))).await;
    assert_eq!(refused.err().unwrap().kind(), ErrorKind::ProducerFenced);
    let client = house.client.clone();
    let waiting = tokio::spawn(async move { client.producer(options(AccessMode::WaitForExclusive)).await });
    let queued = async {
        while topic(&house, "t").stats().waiting_producers == 0 {
            tokio::task::yield_now().await;
        }
    };
    soon("a producer in line", queued).await;
    soon("an end", first.close()).await.unwrap();
    let second = soon("exclusive access", waiting).await.unwrap().unwrap();
    send(&second, "mine").await;
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_message_is_delivered_when_the_clock_says_so() {
    let house = House::new();
    let producer = house.producer("t").await;
    let options = ConsumerOptions { r#type: SubscriptionKind::Shared, ..subscription("t") };
    let consumer = soon("a consumer", house.client.consumer(options)).await.unwrap();
    let at = i64::try_from(house.clock.unix_millis()).unwrap() + 3_600_000;
    let later = OutgoingMessage {
        payload: b"later".as_slice().into(),
        deliver_at: Some(at),
        ..OutgoingMessage::default()
    };
    soon("a receipt", producer.send_and_wait(later)).await.unwrap();
    send(&producer, "now").await;
    assert_eq!(text(&receive(&consumer).await), "now");
    house.broker.advance(Duration::from_secs(3601));
    assert_eq!(text(&receive(&consumer).await), "later");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn producers_are_held_while_the_memory_is_full_and_go_on_when_it_is_not() {
    let limits = Limits { memory: 1 << 20, ..Limits::default() };
    let house = House::with(BrokerOptions { limits, ..BrokerOptions::default() });
    let (producer, consumer) = (house.producer("t").await, house.consumer("t").await);
    let payload = vec![0; 100 << 10];
    let message = || OutgoingMessage { payload: payload[..].into(), ..OutgoingMessage::default() };
    let publish = async {
        for _ in 0..30 {
            producer.send_and_wait(message()).await.unwrap();
        }
    };
    let consume = async {
        for _ in 0..30 {
            let message = receive(&consumer).await;
            acknowledge(&consumer, &message).await;
        }
    };
    soon("all messages", async { tokio::join!(publish, consume) }).await;
    house.close().await;
}
