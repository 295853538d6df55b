//! Room: pending messages, memory, size and time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastapi_pulsar_core::client::options::{
    Batching, ClientOptions, CompressionKind, OnFull, ProducerOptions,
};
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::proto::{CommandSendError, ServerError};

use crate::bench::{Bench, client_options, options, recording, text};
use crate::support::peer::{MAX_MESSAGE_SIZE, Peer, soon};

fn unbatched() -> ProducerOptions {
    ProducerOptions { batching: Batching::Off, ..options() }
}

#[tokio::test]
async fn a_full_queue_refuses_at_once_and_leaks_nothing() {
    let options = ProducerOptions { max_pending_messages: 2, on_full: OnFull::Error, ..unbatched() };
    let mut bench = Bench::new(options).await;
    let sent = ["a", "b"].map(|payload| bench.send(text(payload)).unwrap());
    for _ in 0..10_000 {
        assert_eq!(bench.send(text("refused")).err().unwrap().kind(), ErrorKind::QueueFull);
    }
    let stats = bench.producer.stats();
    assert_eq!((stats.pending_messages, stats.waiting, stats.messages_sent), (2, 0, 2));
    assert_eq!(bench.client.stats().memory_used, 2);
    bench.store().await;
    bench.store().await;
    for sent in sent {
        sent.outcome().await.unwrap();
    }
    assert_eq!((bench.producer.stats().pending_messages, bench.client.stats().memory_used), (0, 0));
    bench.close().await;
}

#[tokio::test]
async fn those_who_wait_are_admitted_in_order_and_who_is_cancelled_is_never_sent() {
    let mut bench = Bench::new(ProducerOptions { max_pending_messages: 1, ..unbatched() }).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let send =
        |payload: &'static str| bench.producer.send(text(payload), recording(&order, payload)).unwrap();
    let (a, b) = (send("a"), send("b"));
    let cancelled = bench.send(text("c")).unwrap();
    let d = bench.producer.send(text("d"), recording(&order, "d")).unwrap();
    assert_eq!(bench.producer.stats().waiting, 3);
    assert!(!bench.producer.cancel(a), "it is admitted, and will be sent");
    assert!(bench.producer.cancel(cancelled.ticket));
    assert!(!bench.producer.cancel(cancelled.ticket));
    cancelled.dropped().await;
    for payload in ["a", "b", "d"] {
        assert_eq!(bench.store().await.payloads(), [payload]);
    }
    soon("the rest", bench.producer.flush()).await.unwrap();
    assert_eq!(*order.lock().unwrap(), ["a", "b", "d"]);
    assert!(!bench.producer.cancel(b) && !bench.producer.cancel(d));
    bench.close().await;
}

#[tokio::test]
async fn a_cancelled_future_takes_its_waiting_message_back() {
    let mut bench = Bench::new(ProducerOptions { max_pending_messages: 1, ..unbatched() }).await;
    let admitted = bench.send(text("a")).unwrap();
    let producer = bench.producer.clone();
    let waiting = tokio::spawn(async move { producer.send_and_wait(text("never")).await });
    while bench.producer.stats().waiting == 0 {
        tokio::task::yield_now().await;
    }
    waiting.abort();
    assert!(waiting.await.is_err());
    assert_eq!(bench.producer.stats().waiting, 0);
    bench.store().await;
    admitted.outcome().await.unwrap();
    bench.close().await;
}

#[tokio::test]
async fn memory_is_shared_by_all_producers_first_come_first_served() {
    let peer = Peer::start().await;
    let client_options = ClientOptions { memory_limit: 100, ..client_options(&peer) };
    let mut bench = Bench::with(peer, client_options, unbatched()).await;
    let other = {
        let client = bench.client.clone();
        let creating = tokio::spawn(async move { client.producer(unbatched()).await });
        let create = *crate::expect!(bench.wire, Producer);
        bench.wire.send(crate::bench::success(&create, -1)).await;
        soon("a second producer", creating).await.unwrap().unwrap()
    };
    let large = "x".repeat(60);
    let order = Arc::new(Mutex::new(Vec::new()));
    bench.producer.send(text(&large), recording(&order, 0)).unwrap();
    other.send(text(&large), recording(&order, 1)).unwrap();
    bench.producer.send(text(&large), recording(&order, 2)).unwrap();
    other.send(text("small"), recording(&order, 3)).unwrap();
    assert_eq!((bench.client.stats().memory_used, other.stats().waiting), (60, 2));
    for _ in 0..4 {
        let entry = bench.entry().await;
        let id = entry.command.producer_id;
        bench.wire.receipt(id, entry.command.sequence_id, crate::support::peer::message_id(1, 1)).await;
    }
    soon("flush", bench.producer.flush()).await.unwrap();
    soon("flush", other.flush()).await.unwrap();
    assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3], "the small one overtakes nobody, though it would fit");
    assert_eq!(bench.client.stats().memory_used, 0);
}

#[tokio::test]
async fn who_waits_for_memory_and_is_cancelled_leaves_its_claim() {
    let peer = Peer::start().await;
    let client_options = ClientOptions { memory_limit: 100, ..client_options(&peer) };
    let mut bench = Bench::with(peer, client_options, unbatched()).await;
    let large = "x".repeat(90);
    let first = bench.send(text(&large)).unwrap();
    let second = bench.send(text(&large)).unwrap();
    let third = bench.send(text("small")).unwrap();
    assert!(bench.producer.cancel(second.ticket));
    assert_eq!(bench.store().await.payloads(), [large.as_str()]);
    assert_eq!(bench.store().await.payloads(), ["small"]);
    first.outcome().await.unwrap();
    third.outcome().await.unwrap();
    assert_eq!(bench.client.stats().memory_used, 0);
    bench.close().await;
}

#[tokio::test]
async fn a_send_times_out_whether_it_waits_in_line_or_for_its_receipt() {
    let timeout = Duration::from_secs(30);
    let options = ProducerOptions { send_timeout: timeout, max_pending_messages: 1, ..unbatched() };
    let mut bench = Bench::new(options).await;
    let sent = bench.send(text("sent")).unwrap();
    let waiting = bench.send(text("waiting")).unwrap();
    assert_eq!(bench.entry().await.payloads(), ["sent"]);
    bench.clock.advance(timeout + Duration::from_secs(1));
    let error = sent.outcome().await.unwrap_err();
    assert_eq!((error.kind(), error.topic()), (ErrorKind::Timeout, Some("persistent://public/default/t")));
    assert_eq!(waiting.outcome().await.unwrap_err().kind(), ErrorKind::Timeout);
    bench.confirm(0).await;
    let next = bench.send(text("next")).unwrap();
    let entry = bench.store().await;
    assert_eq!(entry.payloads(), ["next"], "neither the line's message nor anything twice");
    next.outcome().await.unwrap();
    let stats = bench.producer.stats();
    assert_eq!((stats.pending_messages, stats.messages_failed, stats.messages_confirmed), (0, 2, 1));
    assert_eq!(bench.client.stats().memory_used, 0);
    bench.close().await;
}

#[tokio::test]
async fn only_what_is_over_its_time_fails() {
    let timeout = Duration::from_secs(30);
    let mut bench = Bench::new(ProducerOptions { send_timeout: timeout, ..unbatched() }).await;
    let old = bench.send(text("old")).unwrap();
    bench.entry().await;
    bench.clock.advance(Duration::from_secs(20));
    let young = bench.send(text("young")).unwrap();
    bench.entry().await;
    bench.clock.advance(Duration::from_secs(20));
    assert_eq!(old.outcome().await.unwrap_err().kind(), ErrorKind::Timeout);
    bench.confirm(0).await;
    bench.confirm(1).await;
    young.outcome().await.unwrap();
    bench.close().await;
}

#[tokio::test]
async fn a_message_over_the_limit_fails_alone_and_at_once() {
    let mut bench = Bench::new(options()).await;
    let before = bench.send(text("before")).unwrap();
    let huge = "x".repeat(MAX_MESSAGE_SIZE + 1);
    let error = bench.send(text(&huge)).err().unwrap();
    assert_eq!((error.kind(), error.retryable()), (ErrorKind::MessageTooLarge, false));
    // This one fits only without its metadata: it is found out when it is encoded.
    let nearly = bench.send(text(&huge[..MAX_MESSAGE_SIZE])).unwrap();
    assert_eq!(bench.store().await.payloads(), ["before"]);
    assert_eq!(nearly.outcome().await.unwrap_err().kind(), ErrorKind::MessageTooLarge);
    before.outcome().await.unwrap();
    assert_eq!(bench.client.stats().memory_used, 0);
    bench.close().await;
}

#[tokio::test]
async fn a_message_that_compresses_below_the_limit_is_sent() {
    let options = ProducerOptions { compression: CompressionKind::Zstd, ..options() };
    let mut bench = Bench::new(options).await;
    let huge = "x".repeat(MAX_MESSAGE_SIZE + 1);
    let sent = bench.send(text(&huge)).unwrap();
    let entry = bench.store().await;
    assert!(entry.body.len() < 10_000 && entry.payloads() == [huge]);
    sent.outcome().await.unwrap();
}

#[tokio::test]
async fn what_the_broker_refuses_fails_alone() {
    let mut bench = Bench::new(unbatched()).await;
    let refused = bench.send(text("refused")).unwrap();
    let accepted = bench.send(text("accepted")).unwrap();
    bench.entry().await;
    bench.entry().await;
    bench
        .wire
        .send(CommandSendError {
            producer_id: bench.producer_id,
            sequence_id: 0,
            error: ServerError::NotAllowedError as i32,
            message: "not this one".into(),
        })
        .await;
    bench.confirm(1).await;
    let error = refused.outcome().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAllowed);
    assert!(error.to_string().contains("not this one"));
    accepted.outcome().await.unwrap();
    bench.close().await;
}
