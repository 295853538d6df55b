//! How messages become entries.

use fastapi_pulsar_core::client::OutgoingMessage;
use fastapi_pulsar_core::client::options::{Batching, CompressionKind, ProducerOptions};
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::message_id::MessageId;
use fastapi_pulsar_core::protocol::proto::{CommandSendError, ServerError};

use crate::bench::{Bench, HOUR, keyed, options, text};
use crate::support::peer::soon;

#[tokio::test]
async fn a_batch_is_closed_by_count_and_each_message_gets_its_id() {
    let mut bench = Bench::new(ProducerOptions { batch_max_messages: 3, ..options() }).await;
    let sent = ["a", "b", "c"].map(|payload| bench.send(text(payload)).unwrap());
    let entry = bench.store().await;
    assert_eq!(entry.payloads(), ["a", "b", "c"]);
    assert_eq!(
        (entry.command.sequence_id, entry.command.highest_sequence_id(), entry.command.num_messages()),
        (0, 2, 3)
    );
    assert_eq!((entry.metadata.producer_name.as_str(), entry.metadata.highest_sequence_id()), ("chosen", 2));
    let ids: Vec<u64> = entry.messages.iter().map(|(message, _)| message.sequence_id()).collect();
    assert_eq!(ids, [0, 1, 2]);
    for (index, sent) in (0..).zip(sent) {
        let id = sent.outcome().await.unwrap();
        assert_eq!(id, MessageId { batch_index: index, ..MessageId::new(1, 0) });
        assert_eq!(id.batch_size, 3);
    }
    assert_eq!(bench.producer.last_sequence_id(), 2);
    bench.close().await;
}

#[tokio::test]
async fn a_batch_is_closed_by_bytes() {
    let mut bench = Bench::new(ProducerOptions { batch_max_bytes: 1000, ..options() }).await;
    let large = "x".repeat(600);
    let first = bench.send(text(&large)).unwrap();
    bench.send(text(&large)).unwrap();
    assert_eq!(bench.store().await.messages.len(), 1, "both together are over the limit");
    first.outcome().await.unwrap();
}

#[tokio::test]
async fn a_batch_is_closed_by_time() {
    let mut bench = Bench::new(ProducerOptions { batch_max_delay: HOUR, ..options() }).await;
    let sent = ["a", "b"].map(|payload| bench.send(text(payload)).unwrap());
    bench.clock.advance(HOUR);
    assert_eq!(bench.store().await.payloads(), ["a", "b"]);
    for sent in sent {
        sent.outcome().await.unwrap();
    }
    bench.close().await;
}

#[tokio::test]
async fn a_batch_waits_behind_others_only() {
    let mut bench = Bench::new(ProducerOptions { batch_when_idle: false, ..options() }).await;
    let first = bench.send(text("a")).unwrap();
    let alone = bench.entry().await;
    assert_eq!(alone.payloads(), ["a"]);
    let behind = ["b", "c"].map(|payload| bench.send(text(payload)).unwrap());
    bench.confirm(alone.command.sequence_id).await;
    first.outcome().await.unwrap();
    assert_eq!(bench.store().await.payloads(), ["b", "c"]);
    for sent in behind {
        sent.outcome().await.unwrap();
    }
    bench.close().await;
}

#[tokio::test]
async fn a_batch_waits_no_longer_when_what_was_before_it_is_refused() {
    let mut bench = Bench::new(ProducerOptions { batch_when_idle: false, ..options() }).await;
    let first = bench.send(text("a")).unwrap();
    let alone = bench.entry().await;
    let behind = bench.send(text("b")).unwrap();
    let command = CommandSendError {
        producer_id: bench.producer_id,
        sequence_id: alone.command.sequence_id,
        error: ServerError::NotAllowedError as i32,
        message: "unwanted".into(),
    };
    bench.wire.send(command).await;
    assert_eq!(first.outcome().await.unwrap_err().kind(), ErrorKind::NotAllowed);
    assert_eq!(bench.store().await.payloads(), ["b"]);
    behind.outcome().await.unwrap();
    bench.close().await;
}

#[tokio::test]
async fn a_flush_closes_batches_and_waits_for_their_receipts() {
    let mut bench = Bench::new(options()).await;
    soon("flushing nothing", bench.producer.flush()).await.unwrap();
    let mut sent = bench.send(text("a")).unwrap();
    let flushing = tokio::spawn({
        let producer = bench.producer.clone();
        async move { producer.flush().await }
    });
    let entry = bench.entry().await;
    assert!(!flushing.is_finished() && sent.is_open());
    bench.confirm(entry.command.sequence_id).await;
    soon("the flush", flushing).await.unwrap().unwrap();
    sent.outcome().await.unwrap();
}

#[tokio::test]
async fn keys_are_batched_apart_so_that_key_shared_holds() {
    let mut bench = Bench::new(ProducerOptions { batch_max_messages: 5, ..options() }).await;
    for (key, payload) in [("a", "a0"), ("b", "b0"), ("a", "a1"), ("b", "b1")] {
        bench.send(keyed(key, payload)).unwrap();
    }
    bench.send(text("none")).unwrap();
    let entries = [bench.store().await, bench.store().await, bench.store().await];
    let seen: Vec<_> = entries
        .iter()
        .map(|entry| (entry.metadata.partition_key.as_deref(), entry.payloads(), entry.command.sequence_id))
        .collect();
    let texts = |payloads: &[&str]| payloads.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(
        seen,
        [
            (None, texts(&["none"]), 0),
            (Some("a"), texts(&["a0", "a1"]), 1),
            (Some("b"), texts(&["b0", "b1"]), 3),
        ],
        "sequence ids grow from entry to entry, as deduplication needs"
    );
    bench.close().await;
}

#[tokio::test]
async fn the_default_batcher_joins_keys() {
    let options = ProducerOptions { batching: Batching::Default, batch_max_messages: 2, ..options() };
    let mut bench = Bench::new(options).await;
    bench.send(keyed("a", "1")).unwrap();
    bench.send(keyed("b", "2")).unwrap();
    let entry = bench.store().await;
    assert_eq!(entry.metadata.partition_key(), "a");
    let keys: Vec<_> = entry.messages.iter().map(|(message, _)| message.partition_key()).collect();
    assert_eq!(keys, ["a", "b"]);
}

#[tokio::test]
async fn a_delayed_message_goes_alone_behind_what_was_sent_before() {
    let mut bench = Bench::new(options()).await;
    bench.send(text("before")).unwrap();
    let delayed = bench.send(OutgoingMessage { deliver_at: Some(77), ..text("delayed") }).unwrap();
    assert_eq!(bench.store().await.payloads(), ["before"]);
    let entry = bench.store().await;
    assert_eq!((entry.metadata.deliver_at_time(), entry.metadata.num_messages_in_batch), (77, None));
    assert_eq!(delayed.outcome().await.unwrap().batch_index, -1);
    bench.close().await;
}

#[tokio::test]
async fn without_batching_each_message_is_an_entry_and_many_are_in_flight() {
    let mut bench = Bench::new(ProducerOptions { batching: Batching::Off, ..options() }).await;
    let sent: Vec<_> = (0..50).map(|_| bench.send(text("x")).unwrap()).collect();
    let mut sequence_ids = Vec::new();
    for _ in 0..50 {
        let entry = bench.entry().await;
        assert_eq!(entry.metadata.num_messages_in_batch, None);
        sequence_ids.push(entry.command.sequence_id);
    }
    assert!(sequence_ids.iter().copied().eq(0..50), "all are sent before the first is confirmed");
    for sequence_id in sequence_ids {
        bench.confirm(sequence_id).await;
    }
    for sent in sent {
        sent.outcome().await.unwrap();
    }
    bench.close().await;
}

#[tokio::test]
async fn a_batch_is_compressed_as_a_whole() {
    for compression in
        [CompressionKind::Lz4, CompressionKind::Zlib, CompressionKind::Zstd, CompressionKind::Snappy]
    {
        let mut bench = Bench::new(ProducerOptions { compression, batch_max_messages: 2, ..options() }).await;
        let payload = "compress me ".repeat(50);
        bench.send(text(&payload)).unwrap();
        bench.send(text(&payload)).unwrap();
        let entry = bench.store().await;
        assert_eq!(entry.payloads(), [payload.as_str(), &payload], "{compression:?}");
        assert!(entry.body.len() < payload.len() / 2, "{compression:?}");
    }
}

#[tokio::test]
async fn everything_a_message_has_is_sent() {
    for batching in [Batching::Off, Batching::Auto] {
        let mut bench = Bench::new(ProducerOptions { batching, batch_max_messages: 1, ..options() }).await;
        let message = OutgoingMessage {
            properties: vec![("p".into(), "v".into())],
            event_time: Some(5),
            ordering_key: Some("o".into()),
            tombstone: true,
            ..keyed("k", "ignored")
        };
        bench.send(message).unwrap();
        let entry = bench.store().await;
        let (metadata, payload) = &entry.messages[0];
        assert!(payload.is_empty());
        if batching == Batching::Off {
            let metadata = &entry.metadata;
            assert_eq!((metadata.partition_key(), metadata.event_time()), ("k", 5));
            assert_eq!((metadata.ordering_key(), metadata.null_value()), (&b"o"[..], true));
            assert_eq!(metadata.properties[0].value, "v");
        } else {
            assert_eq!((metadata.partition_key(), metadata.event_time()), ("k", 5));
            assert_eq!((metadata.ordering_key(), metadata.null_value()), (&b"o"[..], true));
            assert_eq!(metadata.properties[0].value, "v");
            assert_eq!(entry.metadata.ordering_key(), &b"o"[..], "the broker shares out by it");
        }
    }
}
