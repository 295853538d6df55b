//! Outages: the subscription resumes, nothing is lost and nothing stale is handed out.

use std::time::Duration;

use fastapi_pulsar_core::client::auth::NoAuthentication;
use fastapi_pulsar_core::client::options::{ConsumerOptions, SubscriptionKind};
use fastapi_pulsar_core::clock::Clock;
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::proto::{
    CommandActiveConsumerChange, CommandCloseConsumer, CommandError, CommandReachedEndOfTopic, ServerError,
};

use crate::expect;
use crate::scene::{Scene, accept, one_topic, succeed};
use crate::support::peer::{Peer, Wire, soon};
use crate::support::setup::{client_with, options};

#[tokio::test]
async fn a_lost_connection_is_made_again_and_what_was_queued_is_stale() {
    let mut scene = Scene::flowing(one_topic()).await;
    for entry in 0..3 {
        scene.deliver(entry).await;
    }
    let first = scene.receive().await;
    scene.consumer.acknowledge(&first).unwrap();
    let subscribe = scene.reconnect().await;
    assert_eq!(subscribe.consumer_id, scene.subscribe.consumer_id);
    assert_eq!(scene.permits().await, 10, "the queue is empty again");
    assert_eq!(scene.consumer.queued(), 0);
    for entry in 0..3 {
        scene.deliver(entry).await;
    }
    assert_eq!(scene.texts(2).await, ["1", "2"], "0 is acknowledged, though the broker does not know yet");
    scene.consumer.flush_acks().await.unwrap();
    assert_eq!(scene.acked().await, [0]);
    assert_eq!(scene.consumer.stats().reconnects, 1);
}

#[tokio::test]
async fn a_consumer_closed_by_the_broker_subscribes_again() {
    let mut scene = Scene::flowing(one_topic()).await;
    let waiting = scene.call(|consumer| async move { consumer.receive().await });
    scene.close_by_broker().await;
    assert_eq!(scene.permits().await, 10);
    scene.deliver(5).await;
    assert_eq!(waiting.done().await.unwrap().payload(), "5");
}

#[tokio::test]
async fn a_subscription_that_met_an_unload_and_is_not_served_is_made_again_once() {
    let mut scene = Scene::flowing(one_topic()).await;
    scene.close_by_broker().await;
    scene.permits().await;
    scene.clock.advance(Duration::from_secs(2));
    let close = expect!(scene.wire, CloseConsumer);
    assert_eq!(close.consumer_id, scene.subscribe.consumer_id);
    succeed(&mut scene.wire, close.request_id).await;
    accept(&mut scene.wire).await;
    scene.permits().await;
    scene.clock.advance(Duration::from_secs(5));
    scene.deliver(1).await;
    assert_eq!(scene.texts(1).await, ["1"]);
    let closing = scene.call(|consumer| async move { consumer.close().await });
    let close = expect!(scene.wire, CloseConsumer);
    succeed(&mut scene.wire, close.request_id).await;
    closing.done().await.unwrap();
    assert_eq!(scene.consumer.stats().reconnects, 2);
}

#[tokio::test]
async fn a_subscription_that_met_an_unload_and_is_served_stays() {
    let mut scene = Scene::flowing(one_topic()).await;
    scene.close_by_broker().await;
    scene.permits().await;
    scene.deliver(1).await;
    assert_eq!(scene.texts(1).await, ["1"]);
    scene.clock.advance(Duration::from_secs(2));
    scene.deliver(2).await;
    assert_eq!(scene.texts(1).await, ["2"]);
    assert_eq!(scene.consumer.stats().reconnects, 1);
}

#[tokio::test]
async fn fault_6_a_broker_that_accepts_and_closes_is_tried_for_ever() {
    let mut scene = Scene::flowing(one_topic()).await;
    let waiting = scene.call(|consumer| async move { consumer.receive().await });
    scene.wire = Wire::new(tokio::io::empty(), String::new());
    for _ in 0..20 {
        drop(scene.peer.socket().await);
    }
    for _ in 0..5 {
        drop(scene.peer.connect().await);
    }
    for _ in 0..5 {
        let mut wire = scene.peer.connect().await;
        accept(&mut wire).await;
    }
    scene.clock.advance(Duration::from_mins(5));
    scene.wire = scene.peer.connect().await;
    for error in [ServerError::ServiceNotReady, ServerError::ConsumerBusy, ServerError::AuthorizationError] {
        let request_id = expect!(scene.wire, Subscribe).request_id;
        scene.wire.send(CommandError { request_id, error: error as i32, message: "not now".into() }).await;
    }
    accept(&mut scene.wire).await;
    scene.permits().await;
    scene.deliver(1).await;
    assert_eq!(waiting.done().await.unwrap().payload(), "1");
}

#[tokio::test]
async fn a_deleted_topic_ends_the_consumer() {
    let mut scene = Scene::flowing(one_topic()).await;
    let waiting = scene.call(|consumer| async move { consumer.receive().await });
    let consumer_id = scene.subscribe.consumer_id;
    scene.wire.send(CommandCloseConsumer { consumer_id, request_id: 0, ..Default::default() }).await;
    let request_id = expect!(scene.wire, Subscribe).request_id;
    let gone = CommandError { request_id, error: ServerError::TopicNotFound as i32, message: "gone".into() };
    scene.wire.send(gone).await;
    assert_eq!(waiting.done().await.unwrap_err().kind(), ErrorKind::TopicNotFound);
}

#[tokio::test]
async fn closing_during_an_outage_does_not_wait_for_its_end() {
    let mut scene = Scene::flowing(one_topic()).await;
    scene.wire = Wire::new(tokio::io::empty(), String::new());
    drop(scene.peer.socket().await);
    scene.call(|consumer| async move { consumer.close().await }).done().await.unwrap();
}

#[tokio::test]
async fn acknowledgements_made_during_an_outage_are_sent_after_it() {
    let mut scene = Scene::flowing(one_topic()).await;
    scene.deliver(0).await;
    let message = scene.receive().await;
    scene.wire = Wire::new(tokio::io::empty(), String::new());
    let mut wire = scene.peer.accept().await;
    scene.consumer.acknowledge(&message).unwrap();
    let flushing = scene.call(|consumer| async move { consumer.flush_acks().await });
    wire.greet().await;
    accept(&mut wire).await;
    expect!(wire, Flow);
    assert_eq!(expect!(wire, Ack).message_id[0].entry_id, 0);
    flushing.done().await.unwrap();
}

#[tokio::test]
async fn activity_of_a_failover_consumer_is_known() {
    let options = ConsumerOptions { r#type: SubscriptionKind::Failover, ..one_topic() };
    let mut scene = Scene::flowing(options).await;
    assert!(!scene.consumer.is_active());
    let consumer_id = scene.subscribe.consumer_id;
    scene.wire.send(CommandActiveConsumerChange { consumer_id, is_active: Some(true) }).await;
    scene.deliver(0).await;
    scene.receive().await;
    assert!(scene.consumer.is_active() && scene.consumer.is_connected());
}

/// A broker tells both as soon as it has the consumer, which may be before it has answered.
#[tokio::test]
async fn what_is_told_before_the_answer_counts() {
    let peer = Peer::start().await;
    let client = client_with(options(&peer.url()), NoAuthentication, &Clock::default());
    let consumer = ConsumerOptions { r#type: SubscriptionKind::Failover, ..one_topic() };
    let creating = tokio::spawn({
        let client = client.clone();
        async move { client.consumer(consumer).await }
    });
    let mut wire = peer.connect().await;
    let subscribe = expect!(wire, Subscribe);
    let consumer_id = subscribe.consumer_id;
    wire.send(CommandActiveConsumerChange { consumer_id, is_active: Some(true) }).await;
    wire.send(CommandReachedEndOfTopic { consumer_id }).await;
    succeed(&mut wire, subscribe.request_id).await;
    let consumer = soon("the consumer", creating).await.unwrap().unwrap();
    assert!(consumer.is_active());
    let ended = soon("the end of the topic", consumer.receive()).await;
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::TopicTerminated);
}

#[tokio::test]
async fn the_end_of_a_terminated_topic_comes_after_its_messages() {
    let mut scene = Scene::flowing(one_topic()).await;
    scene.deliver(0).await;
    scene.wire.send(CommandReachedEndOfTopic { consumer_id: scene.subscribe.consumer_id }).await;
    assert_eq!(scene.texts(1).await, ["0"]);
    let ended = scene.call(|consumer| async move { consumer.receive().await }).done().await;
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::TopicTerminated);
    let closing = scene.call(|consumer| async move { consumer.close().await });
    let close = expect!(scene.wire, CloseConsumer);
    succeed(&mut scene.wire, close.request_id).await;
    closing.done().await.unwrap();
}
