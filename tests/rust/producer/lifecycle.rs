//! Making and closing producers.

use fastapi_pulsar_core::client::options::{AccessMode, ProducerOptions, SchemaOptions};
use fastapi_pulsar_core::client::{Client, Producer};
use fastapi_pulsar_core::error::{Error, ErrorKind, Result};
use fastapi_pulsar_core::protocol::proto::{
    CommandError, CommandProducer, CommandProducerSuccess, ProducerAccessMode, ServerError,
};
use tokio::task::JoinHandle;

use crate::bench::{Bench, done, options, success, text};
use crate::expect;
use crate::support::peer::{Peer, Wire, soon};
use crate::support::setup;

/// Begins to make a producer; what the broker is asked for.
async fn begin(options: ProducerOptions) -> (Client, Wire, CommandProducer, JoinHandle<Result<Producer>>) {
    let peer = Peer::start().await;
    let client = setup::client(&peer.url());
    let creating = tokio::spawn({
        let client = client.clone();
        async move { client.producer(options).await }
    });
    let mut wire = peer.connect().await;
    let create = *expect!(wire, Producer);
    (client, wire, create, creating)
}

async fn refusal(creating: JoinHandle<Result<Producer>>) -> Error {
    soon("a refusal", creating).await.unwrap().err().expect("a refusal")
}

#[tokio::test]
async fn the_broker_is_told_all_options() {
    let (_client, mut wire, create, creating) = begin(ProducerOptions {
        name: Some("mine".into()),
        properties: [("p".to_string(), "v".to_string())].into(),
        access_mode: AccessMode::ExclusiveWithFencing,
        initial_subscription: Some("s".into()),
        schema: Some(SchemaOptions {
            name: "Order".into(),
            r#type: "JSON".into(),
            data: "{}".into(),
            properties: [].into(),
        }),
        ..options()
    })
    .await;
    assert_eq!(create.topic, "persistent://public/default/t");
    assert_eq!((create.producer_name.as_deref(), create.user_provided_producer_name()), (Some("mine"), true));
    assert_eq!(create.producer_access_mode(), ProducerAccessMode::ExclusiveWithFencing);
    assert_eq!(create.initial_subscription_name.as_deref(), Some("s"));
    assert_eq!(create.metadata[0].key, "p");
    assert_eq!(create.schema.as_ref().unwrap().schema_data, "{}");
    let version = bytes::Bytes::from_static(&[0, 0, 0, 0, 0, 0, 0, 5]);
    wire.send(CommandProducerSuccess { schema_version: Some(version.clone()), ..success(&create, -1) }).await;
    let producer = soon("a producer", creating).await.unwrap().unwrap();
    assert_eq!((producer.name().as_str(), producer.is_connected()), ("mine", true));
    let flushing = tokio::spawn(async move {
        producer.send(text("x"), fastapi_pulsar_core::client::Completion::Ignore).unwrap();
        producer.flush().await
    });
    let entry = crate::bench::entry(&mut wire).await;
    assert_eq!(entry.metadata.schema_version, Some(version));
    flushing.abort();
}

#[tokio::test]
async fn sequence_ids_continue_from_the_brokers_or_from_the_given_one() {
    for (given, first) in [(None, 42), (Some(99), 100)] {
        let options = ProducerOptions { initial_sequence_id: given, batch_max_messages: 2, ..options() };
        let (_client, mut wire, create, creating) = begin(options).await;
        wire.send(success(&create, 41)).await;
        let producer = soon("a producer", creating).await.unwrap().unwrap();
        assert_eq!(producer.last_sequence_id(), 41);
        for _ in 0..2 {
            producer.send(text("x"), fastapi_pulsar_core::client::Completion::Ignore).unwrap();
        }
        assert_eq!(crate::bench::entry(&mut wire).await.command.sequence_id, first);
    }
}

#[tokio::test]
async fn a_refusal_is_raised_at_once() {
    for (error, kind) in [
        (ServerError::AuthorizationError, ErrorKind::Authorization),
        (ServerError::IncompatibleSchema, ErrorKind::IncompatibleSchema),
        (ServerError::ProducerBusy, ErrorKind::ProducerBusy),
        (ServerError::ProducerFenced, ErrorKind::ProducerFenced),
        (ServerError::TopicNotFound, ErrorKind::TopicNotFound),
    ] {
        let (_client, mut wire, create, creating) = begin(options()).await;
        let (request_id, message) = (create.request_id, "no".into());
        wire.send(CommandError { request_id, error: error as i32, message }).await;
        let error = refusal(creating).await;
        assert_eq!((error.kind(), error.topic()), (kind, Some("persistent://public/default/t")));
    }
}

#[tokio::test]
async fn what_passes_is_tried_again_when_creating() {
    let (_client, mut wire, create, creating) = begin(options()).await;
    let error = ServerError::ServiceNotReady as i32;
    wire.send(CommandError { request_id: create.request_id, error, message: "later".into() }).await;
    let create = *expect!(wire, Producer);
    wire.send(success(&create, -1)).await;
    soon("a producer", creating).await.unwrap().unwrap();
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused_before_anything_is_connected() {
    let peer = Peer::start().await;
    let client = setup::client(&peer.url());
    for (options, kind) in [
        (ProducerOptions { topic: "a/b".into(), ..options() }, ErrorKind::InvalidTopic),
        (ProducerOptions { name: Some(String::new()), ..options() }, ErrorKind::InvalidOption),
        (ProducerOptions { initial_sequence_id: Some(-2), ..options() }, ErrorKind::InvalidOption),
    ] {
        assert_eq!(client.producer(options).await.err().unwrap().kind(), kind);
    }
    peer.assert_idle().await;
}

#[tokio::test]
async fn who_waits_for_exclusive_access_waits_until_it_has_it() {
    let options = ProducerOptions { access_mode: AccessMode::WaitForExclusive, ..options() };
    let (_client, mut wire, create, creating) = begin(options).await;
    wire.send(CommandProducerSuccess { producer_ready: Some(false), ..success(&create, -1) }).await;
    tokio::task::yield_now().await;
    assert!(!creating.is_finished());
    let ready = CommandProducerSuccess { topic_epoch: Some(7), ..success(&create, -1) };
    wire.send(ready).await;
    let producer = soon("a producer", creating).await.unwrap().unwrap();
    // After the broker closes it, it comes back with the epoch that it had.
    let close = fastapi_pulsar_core::protocol::proto::CommandCloseProducer {
        producer_id: create.producer_id,
        ..Default::default()
    };
    wire.send(close).await;
    assert_eq!(expect!(wire, Producer).topic_epoch, Some(7));
    drop(producer);
}

#[tokio::test]
async fn a_creation_given_up_leaves_no_producer_behind() {
    let (_client, mut wire, create, creating) = begin(options()).await;
    creating.abort();
    assert!(creating.await.is_err());
    assert_eq!(expect!(wire, CloseProducer).producer_id, create.producer_id);
}

#[tokio::test]
async fn closing_flushes_first_and_only_once() {
    let mut bench = Bench::new(options()).await;
    let sent = bench.send(text("a")).unwrap();
    let closing: Vec<_> = (0..2)
        .map(|_| {
            let producer = bench.producer.clone();
            tokio::spawn(async move { producer.close().await })
        })
        .collect();
    let entry = bench.entry().await;
    assert_eq!(entry.payloads(), ["a"]);
    assert_eq!(bench.send(text("late")).err().unwrap().kind(), ErrorKind::Closed);
    bench.confirm(0).await;
    sent.outcome().await.unwrap();
    let close = expect!(bench.wire, CloseProducer);
    bench.wire.send(done(close.request_id)).await;
    for closing in closing {
        soon("closing", closing).await.unwrap().unwrap();
    }
    soon("closing again", bench.producer.close()).await.unwrap();
    assert_eq!(bench.producer.flush().await.unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test]
async fn closing_the_client_closes_its_producers_and_sends_what_waits_in_line() {
    let mut bench = Bench::new(ProducerOptions { max_pending_messages: 1, ..options() }).await;
    let sent = ["a", "b"].map(|payload| bench.send(text(payload)).unwrap());
    let client = bench.client.clone();
    let closing = tokio::spawn(async move { client.close().await });
    assert_eq!(bench.store().await.payloads(), ["a"]);
    assert_eq!(bench.store().await.payloads(), ["b"]);
    for sent in sent {
        sent.outcome().await.unwrap();
    }
    let close = expect!(bench.wire, CloseProducer);
    bench.wire.send(done(close.request_id)).await;
    soon("closing", closing).await.unwrap().unwrap();
}

#[tokio::test]
async fn the_last_handle_dropped_on_any_thread_closes_in_the_background() {
    let mut bench = Bench::new(options()).await;
    bench.send(text("a")).unwrap();
    let (producer, other) = (bench.producer.clone(), bench.producer.clone());
    drop(other);
    let Bench { producer: last, .. } = &mut bench;
    let last = std::mem::replace(last, producer);
    std::thread::spawn(move || drop(last)).join().unwrap();
    assert_eq!(bench.producer.stats().pending_messages, 1, "one handle is left");
    let Bench { wire, producer, producer_id, .. } = bench;
    let (mut wire, id) = (wire, producer_id);
    std::thread::spawn(move || drop(producer)).join().unwrap();
    assert_eq!(crate::bench::entry(&mut wire).await.payloads(), ["a"], "it is flushed as well");
    wire.receipt(id, 0, crate::support::peer::message_id(1, 0)).await;
    assert_eq!(expect!(wire, CloseProducer).producer_id, id);
}

#[test]
fn a_handle_may_outlive_the_runtime() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let bench = runtime.block_on(Bench::new(options()));
    bench.send(text("a")).unwrap();
    drop(runtime);
    bench.producer.cancel(bench.send(text("b")).unwrap().ticket);
    drop(bench);
}
