use bytes::Bytes;

use super::queue::Poll;
use super::read_position::Start;
use super::test_support::{Bench, batch, command, payload};
use crate::client::connection::ConsumerSink;
use crate::client::options::{ConsumerOptions, OnUnsupported, SubscriptionKind};
use crate::error::{Error, ErrorKind};
use crate::protocol::batch::BatchBuilder;
use crate::protocol::chunk::Chunk;
use crate::protocol::compression::Compression;
use crate::protocol::message_id::MessageId;
use crate::protocol::proto::{
    CommandMessage, CompressionType, EncryptionKeys, KeyValue, MessageMetadata, SingleMessageMetadata,
};

fn bench() -> Bench {
    Bench::new(ConsumerOptions { receiver_queue_size: 10, ..ConsumerOptions::default() })
}

fn take(bench: &Bench) -> Vec<super::Message> {
    bench.queue.take(usize::MAX, usize::MAX).unwrap()
}

#[test]
fn fault_1_acking_one_of_a_batch_acks_one_of_a_batch() {
    let bench = bench();
    bench.deliver_batch(0, 10);
    let messages = take(&bench);
    bench.partition.acknowledge(&messages[3].entry().acks, Some(3));
    assert_eq!(bench.partition.unsettled.lock().acks.grouped(), 0);
    bench.deliver_batch(0, 10);
    let again = take(&bench);
    assert_eq!(again.len(), 9, "the entry comes again without the message that was acknowledged");
    assert!(again.iter().all(|message| message.index() != 3));
    for message in &messages {
        bench.partition.acknowledge(&message.entry().acks, Some(message.index()));
    }
    assert_eq!(bench.partition.unsettled.lock().acks.grouped(), 1);
    bench.deliver_batch(0, 10);
    assert_eq!(take(&bench).len(), 0, "acknowledged, and the broker does not know yet");
}

#[test]
fn an_ack_set_in_a_delivery_is_honoured_and_its_permits_come_back() {
    let bench = bench();
    let (metadata, body) = batch(0, 4);
    bench.sink.message(
        0,
        CommandMessage { ack_set: vec![0b1010], ..command(0) },
        Ok(payload(metadata, body)),
    );
    assert_eq!(bench.texts(), ["0:1", "0:3"]);
    assert_eq!(bench.owed(), 4);
}

#[test]
fn a_damaged_message_is_discarded_and_its_permits_come_back() {
    let bench = bench();
    bench.sink.message(0, command(0), Err(Error::new(ErrorKind::Checksum, "damaged")));
    assert_eq!(bench.owed(), 10, "nothing is known about its size: as many as the queue holds");
    let (metadata, body) = batch(1, 3);
    bench.deliver(
        1,
        MessageMetadata { num_messages_in_batch: Some(i32::MAX), ..metadata.clone() },
        body.clone(),
    );
    bench.deliver(2, MessageMetadata { num_messages_in_batch: Some(-1), ..metadata.clone() }, body.clone());
    let lz4 = MessageMetadata { compression: Some(CompressionType::Lz4 as i32), ..metadata };
    bench.deliver(3, MessageMetadata { uncompressed_size: Some(100), ..lz4.clone() }, body.clone());
    bench.deliver(4, MessageMetadata { uncompressed_size: Some(u32::MAX), ..lz4 }, body);
    assert_eq!(bench.queue.len(), 0);
    assert_eq!(bench.partition.common.counters.discarded.get(), 5);
}

#[test]
fn a_batch_that_breaks_in_the_middle_is_discarded_there() {
    let bench = bench();
    let (metadata, body) = batch(0, 4);
    bench.deliver(0, metadata, body.slice(..body.len() - 1));
    bench.deliver_batch(1, 1);
    assert_eq!(bench.texts(), ["0:0", "0:1", "0:2", "1:0"]);
    assert_eq!(bench.queue.len(), 0);
    assert_eq!(bench.owed(), 5);
    assert_eq!(bench.partition.common.counters.discarded.get(), 1);
}

#[test]
fn a_waiter_is_not_fooled_by_a_batch_that_cannot_be_split() {
    let bench = bench();
    let (metadata, body) = batch(0, 2);
    bench.deliver(0, metadata, Bytes::from(vec![0xff; body.len()]));
    assert!(matches!(bench.queue.poll(None, || Box::new(|| {})), Poll::Waiting(_)));
    assert_eq!(bench.queue.len(), 0);
}

#[test]
fn compressed_batches_are_split() {
    let bench = bench();
    let (metadata, body) = batch(7, 3);
    let compressed = Compression::Zstd.compress(&body).unwrap();
    let metadata = MessageMetadata {
        compression: Some(CompressionType::Zstd as i32),
        uncompressed_size: Some(u32::try_from(body.len()).unwrap()),
        ..metadata
    };
    bench.deliver(7, metadata, compressed);
    assert_eq!(bench.texts(), ["7:0", "7:1", "7:2"]);
}

fn encrypted() -> MessageMetadata {
    MessageMetadata { encryption_keys: vec![EncryptionKeys::default()], ..MessageMetadata::default() }
}

#[test]
fn an_encrypted_message_pauses_or_is_skipped_and_is_never_data() {
    let paused = bench();
    paused.deliver(0, encrypted(), Bytes::from_static(b"secret"));
    paused.deliver_batch(1, 1);
    assert_eq!(paused.queue.take(9, 9).unwrap_err().kind(), ErrorKind::Encrypted);

    let skipping =
        Bench::new(ConsumerOptions { on_unsupported: OnUnsupported::Skip, ..ConsumerOptions::default() });
    skipping.deliver(0, encrypted(), Bytes::from_static(b"secret"));
    skipping.deliver_batch(1, 1);
    assert_eq!(skipping.texts(), ["1:0"]);
    assert_eq!(skipping.partition.common.counters.encrypted.get(), 1);
    assert_eq!(skipping.partition.unsettled.lock().acks.grouped(), 0, "it stays in the backlog");
}

fn chunk(bench: &Bench, entry: u64, index: u32) {
    let mut metadata = MessageMetadata::default();
    Chunk { uuid: "p-1", index, count: 3, total_size: 9 }.write_to(&mut metadata);
    bench.deliver(entry, metadata, Bytes::from_static(b"abc"));
}

#[test]
fn a_chunked_message_is_one_message_and_acknowledges_all_its_chunks() {
    let bench = bench();
    for (entry, index) in [(4, 0), (5, 1), (7, 2)] {
        chunk(&bench, entry, index);
    }
    let messages = take(&bench);
    let id = messages[0].id();
    assert_eq!(messages[0].payload(), "abcabcabc");
    assert_eq!((id.entry, id.first_chunk.unwrap().entry), (7, 4));
    assert_eq!(bench.owed(), 3);
    bench.partition.acknowledge(&messages[0].entry().acks, Some(0));
    assert_eq!(bench.partition.unsettled.lock().acks.grouped(), 3);
}

#[test]
fn the_last_chunk_of_what_was_left_behind_is_settled() {
    let bench = bench();
    bench.partition.sought(Start::at(MessageId::new(1, 7), false));
    chunk(&bench, 7, 2);
    assert_eq!(bench.partition.common.counters.chunks_given_up.get(), 0);
    assert_eq!(bench.partition.unsettled.lock().acks.grouped(), 1);
}

#[test]
fn chunks_without_a_beginning_are_asked_for_again_where_that_is_possible() {
    for (kind, expected) in [(SubscriptionKind::Shared, true), (SubscriptionKind::Exclusive, false)] {
        let bench = Bench::new(ConsumerOptions { r#type: kind, ..ConsumerOptions::default() });
        chunk(&bench, 5, 1);
        assert_eq!(bench.partition.unsettled.lock().redelivery.next().is_some(), expected);
        assert_eq!(bench.partition.common.counters.chunks_given_up.get(), 1);
    }
}

#[test]
fn fault_3_a_reader_goes_on_inside_the_batch() {
    let id = MessageId::EARLIEST;
    let options = ConsumerOptions { durable: false, ..ConsumerOptions::default() };
    let bench = Bench::starting_at(options, Start::at(id, false));
    bench.deliver_batch(0, 3);
    bench.deliver_batch(1, 5);
    assert_eq!(bench.queue.take(5, usize::MAX).unwrap().len(), 5);
    bench.queue.forget(&bench.partition, || {});
    let start = bench.partition.reading.lock().resume().unwrap();
    assert_eq!((start.entry, start.batch_index), (1, 1));
    bench.deliver_batch(0, 3);
    bench.deliver_batch(1, 5);
    assert_eq!(bench.texts(), ["1:2", "1:3", "1:4"]);
}

#[test]
fn after_a_seek_old_acknowledgements_are_void() {
    let bench = bench();
    bench.deliver_batch(0, 2);
    let old = take(&bench);
    bench.partition.acknowledge(&old[0].entry().acks, Some(0));
    bench.partition.sought(Start::at(MessageId::EARLIEST, false));
    assert_ne!(old[0].entry().seek, bench.partition.seeks());
    bench.deliver_batch(0, 2);
    assert_eq!(bench.texts(), ["0:0", "0:1"], "all of it again, what was acknowledged too");
}

#[test]
fn a_durable_seek_leaves_what_is_before_it_acknowledged() {
    let bench = bench();
    let id = MessageId::new(1, 3);
    bench.partition.sought(Start::at(id, false));
    bench.deliver(3, MessageMetadata::default(), Bytes::from_static(b"sought"));
    bench.deliver(4, MessageMetadata::default(), Bytes::from_static(b"next"));
    assert_eq!(bench.texts(), ["next"]);
    assert_eq!(bench.partition.unsettled.lock().acks.grouped(), 1);
}

#[test]
fn permits_come_in_halves_and_not_while_paused() {
    let bench = bench();
    bench.deliver_batch(0, 10);
    bench.queue.take(4, usize::MAX).unwrap();
    assert!(!bench.partition.owes_permits());
    bench.queue.take(1, usize::MAX).unwrap();
    assert!(bench.partition.owes_permits());
    bench.partition.common.paused.store(true, std::sync::atomic::Ordering::Release);
    assert!(!bench.partition.owes_permits());
    assert!(bench.partition.take_permits().is_none());
}

#[test]
fn deliveries_of_an_older_epoch_are_stale() {
    let bench = bench();
    bench.partition.epoch.store(2, std::sync::atomic::Ordering::Release);
    let (metadata, body) = batch(0, 3);
    for (epoch, expected) in [(1, 0), (2, 3)] {
        let command = CommandMessage { consumer_epoch: Some(epoch), ..command(0) };
        bench.sink.message(0, command, Ok(payload(metadata.clone(), body.clone())));
        assert_eq!(bench.queue.len(), expected);
    }
}

#[test]
fn a_message_of_a_batch_has_its_own_metadata() {
    let mut builder = BatchBuilder::new();
    let keyed = SingleMessageMetadata {
        partition_key: Some("k".into()),
        properties: vec![KeyValue { key: "a".into(), value: "b".into() }],
        event_time: Some(5),
        ..SingleMessageMetadata::default()
    };
    builder.push(&keyed, b"keyed");
    builder.push_plain(42, b"plain");
    builder.push(&SingleMessageMetadata { null_value: Some(true), ..SingleMessageMetadata::default() }, b"");
    let metadata = MessageMetadata {
        num_messages_in_batch: Some(3),
        partition_key: Some("of the entry".into()),
        sequence_id: 7,
        event_time: Some(9),
        ..MessageMetadata::default()
    };
    let bench = bench();
    bench.deliver(0, metadata.clone(), builder.finish());
    bench.deliver(1, MessageMetadata { num_messages_in_batch: None, ..metadata }, Bytes::new());
    let messages = take(&bench);
    let seen = |message: &super::Message| {
        let key = message.key().map(str::to_owned);
        (key, message.properties().len(), message.event_time(), message.sequence_id(), message.is_tombstone())
    };
    let expected = [
        (Some("k".to_owned()), 1, Some(5), 7, false),
        (None, 0, None, 42, false),
        (None, 0, None, 7, true),
        (Some("of the entry".to_owned()), 0, Some(9), 7, false),
    ];
    assert_eq!(messages.iter().map(seen).collect::<Vec<_>>(), expected);
    assert!(size_of::<super::Message>() <= 96, "{}", size_of::<super::Message>());
}
