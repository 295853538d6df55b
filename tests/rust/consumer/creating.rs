//! Making consumers, and letting them go.

use std::collections::BTreeMap;
use std::time::Duration;

use fastapi_pulsar_core::client::auth::NoAuthentication;
use fastapi_pulsar_core::client::options::{
    ConsumerOptions, KeySharedOptions, Position, SchemaOptions, SubscriptionKind,
};
use fastapi_pulsar_core::clock::Clock;
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::proto::{CommandError, KeySharedMode, SchemaType, ServerError};

use crate::expect;
use crate::scene::{Scene, accept, one_topic, succeed};
use crate::support::peer::{Peer, soon};
use crate::support::setup::{client, client_with, options};

#[tokio::test]
async fn options_travel_with_the_subscription() {
    let mut scene = Scene::start(ConsumerOptions {
        r#type: SubscriptionKind::KeyShared,
        name: Some("me".into()),
        initial_position: Position::Earliest,
        properties: [("a".into(), "b".into())].into(),
        subscription_properties: [("c".into(), "d".into())].into(),
        priority: 2,
        key_shared: KeySharedOptions { sticky_ranges: Some(vec![(0, 9)]), allow_out_of_order: true },
        schema: Some(SchemaOptions {
            name: "Order".into(),
            r#type: "JSON".into(),
            data: "{}".into(),
            properties: BTreeMap::new(),
        }),
        ..one_topic()
    })
    .await;
    let subscribe = &scene.subscribe;
    assert_eq!(subscribe.topic, "persistent://public/default/t");
    assert_eq!((subscribe.subscription.as_str(), subscribe.sub_type), ("s", 3));
    assert_eq!(subscribe.consumer_name.as_deref(), Some("me"));
    assert_eq!((subscribe.initial_position, subscribe.priority_level), (Some(1), Some(2)));
    assert_eq!((subscribe.durable, &subscribe.start_message_id), (Some(true), &None));
    assert_eq!(
        (subscribe.metadata[0].key.as_str(), subscribe.subscription_properties[0].key.as_str()),
        ("a", "c")
    );
    let meta = subscribe.key_shared_meta.as_ref().unwrap();
    assert_eq!((meta.key_shared_mode, meta.hash_ranges[0].end), (KeySharedMode::Sticky as i32, 9));
    assert_eq!(subscribe.schema.as_ref().unwrap().r#type, SchemaType::Json as i32);
    assert_eq!(scene.permits().await, 10);
}

#[tokio::test]
async fn who_is_busy_is_reported_at_once_and_what_passes_is_retried() {
    for (answer, kind) in [
        (ServerError::ConsumerBusy, ErrorKind::ConsumerBusy),
        (ServerError::ConsumerAssignError, ErrorKind::ConsumerAssign),
    ] {
        refused_at_once(answer, kind).await;
    }
}

async fn refused_at_once(answer: ServerError, kind: ErrorKind) {
    let peer = Peer::start().await;
    let client = client(&peer.url());
    let creating = tokio::spawn(async move { client.consumer(one_topic()).await });
    let mut wire = peer.connect().await;
    for (error, text) in [(ServerError::ServiceNotReady, "wait"), (answer, "taken")] {
        let request_id = expect!(wire, Subscribe).request_id;
        wire.send(CommandError { request_id, error: error as i32, message: text.into() }).await;
    }
    let error = soon("an error", creating).await.unwrap().err().unwrap();
    assert_eq!((error.kind(), error.topic()), (kind, Some("persistent://public/default/t")));
}

#[tokio::test]
async fn bad_options_are_refused_without_a_connection() {
    let peer = Peer::start().await;
    let client = client(&peer.url());
    let bad = ConsumerOptions { subscription: String::new(), ..one_topic() };
    assert_eq!(client.consumer(bad).await.err().unwrap().kind(), ErrorKind::InvalidOption);
    let bad = ConsumerOptions { topics: vec!["a/b".into()], ..one_topic() };
    assert_eq!(client.consumer(bad).await.err().unwrap().kind(), ErrorKind::InvalidTopic);
    peer.assert_idle().await;
}

#[tokio::test]
async fn a_subscription_without_an_answer_is_taken_back() {
    let peer = Peer::start().await;
    let clock = Clock::default();
    let client = client_with(options(&peer.url()), NoAuthentication, &clock);
    let creating = tokio::spawn(async move { client.consumer(one_topic()).await });
    let mut wire = peer.connect().await;
    let subscribe = expect!(wire, Subscribe);
    clock.advance(Duration::from_secs(31));
    assert_eq!(expect!(wire, CloseConsumer).consumer_id, subscribe.consumer_id);
    assert_eq!(soon("an error", creating).await.unwrap().err().unwrap().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_cancelled_creation_closes_what_it_began() {
    let peer = Peer::start().await;
    let client = client(&peer.url());
    let creating = tokio::spawn({
        let client = client.clone();
        async move { client.consumer(one_topic()).await }
    });
    let mut wire = peer.connect().await;
    let subscribe = expect!(wire, Subscribe);
    creating.abort();
    assert_eq!(expect!(wire, CloseConsumer).consumer_id, subscribe.consumer_id);
}

#[tokio::test]
async fn closing_is_orderly_and_idempotent() {
    let mut scene = Scene::flowing(one_topic()).await;
    scene.deliver(0).await;
    let message = scene.receive().await;
    scene.consumer.acknowledge(&message).unwrap();
    let waiting = scene.call(|consumer| async move { consumer.receive().await });
    let closing = scene.call(|consumer| async move { consumer.close().await });
    let again = scene.call(|consumer| async move { consumer.close().await });
    assert_eq!(scene.acked().await, [0]);
    let close = expect!(scene.wire, CloseConsumer);
    succeed(&mut scene.wire, close.request_id).await;
    closing.done().await.unwrap();
    again.done().await.unwrap();
    assert_eq!(waiting.done().await.unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(scene.consumer.acknowledge(&message).err().unwrap().kind(), ErrorKind::Closed);
    assert_eq!(scene.consumer.negative_acknowledge(&message).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(scene.consumer.flush_acks().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn closing_the_client_closes_its_consumers() {
    let mut scene = Scene::flowing(one_topic()).await;
    let closing = tokio::spawn({
        let client = scene.client.clone();
        async move { client.close().await }
    });
    let close = expect!(scene.wire, CloseConsumer);
    succeed(&mut scene.wire, close.request_id).await;
    soon("the client's end", closing).await.unwrap().unwrap();
    assert!(scene.consumer.is_closed());
}

/// Fault 10: with an ack timeout, too; and fault 9: outside of the runtime.
#[tokio::test]
async fn fault_10_dropping_the_last_handle_closes_the_consumer() {
    let options = ConsumerOptions { ack_timeout: Duration::from_secs(30), ..one_topic() };
    let mut scene = Scene::flowing(options).await;
    scene.deliver(0).await;
    let message = scene.receive().await;
    scene.consumer.acknowledge(&message).unwrap();
    let Scene { consumer, client, wire: mut broker, .. } = scene;
    let clone = consumer.clone();
    drop(consumer);
    std::thread::spawn(move || drop((clone, client))).join().unwrap();
    assert_eq!(expect!(broker, Ack).message_id.len(), 1);
    let goodbye = expect!(broker, CloseConsumer);
    succeed(&mut broker, goodbye.request_id).await;
    broker.closed().await;
}

#[tokio::test]
async fn a_failed_partition_fails_the_whole_and_closes_the_rest() {
    let peer = Peer::start().await;
    let client = client(&peer.url());
    let options = ConsumerOptions { topics: vec!["a".into(), "b".into()], ..one_topic() };
    let creating = tokio::spawn(async move { client.consumer(options).await });
    let mut wire = peer.connect().await;
    accept(&mut wire).await;
    let second = expect!(wire, Subscribe);
    let refusal = CommandError {
        request_id: second.request_id,
        error: ServerError::AuthorizationError as i32,
        message: "no".into(),
    };
    // The first permits may come before or after.
    wire.send(refusal).await;
    let close = loop {
        use fastapi_pulsar_core::protocol::proto::Command;
        match wire.next().await.command.command.unwrap() {
            Command::CloseConsumer(close) => break close,
            Command::Flow(_) => {}
            other => panic!("{}", other.name()),
        }
    };
    succeed(&mut wire, close.request_id).await;
    let error = soon("an error", creating).await.unwrap().err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Authorization);
}
