//! Acknowledgements: grouped, cumulative, by id, with receipts; and permits.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use fastapi_pulsar_core::client::consumer::{Batch, PollMany};
use fastapi_pulsar_core::client::options::{ConsumerOptions, SubscriptionKind};
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::frame::encode_delivery_header;
use fastapi_pulsar_core::protocol::message_id::MessageId;
use fastapi_pulsar_core::protocol::proto::{
    AckType, CommandAckResponse, CompressionType, MessageMetadata, ServerError, ValidationError,
};
use tokio::sync::Notify;

use crate::expect;
use crate::scene::{Scene, batch, entries, message, one_topic, text};
use crate::support::peer::{metadata, soon};

#[tokio::test]
async fn acknowledgements_are_grouped_by_count() {
    let mut scene = Scene::flowing(ConsumerOptions { ack_group_max: 3, ..one_topic() }).await;
    for entry in 0..3 {
        scene.deliver(entry).await;
        scene.consumer.acknowledge(&scene.receive().await).unwrap();
    }
    assert_eq!(scene.acked().await, [0, 1, 2]);
}

#[tokio::test]
async fn acknowledgements_are_grouped_by_time() {
    let options = ConsumerOptions { ack_group_delay: Duration::from_millis(20), ..one_topic() };
    let mut scene = Scene::flowing(options).await;
    scene.deliver(7).await;
    scene.consumer.acknowledge(&scene.receive().await).unwrap();
    assert_eq!(scene.acked().await, [7]);
}

#[tokio::test]
async fn a_batch_counts_by_its_messages() {
    let mut scene = Scene::flowing(ConsumerOptions { ack_group_max: 6, ..one_topic() }).await;
    for entry in 0..2 {
        scene.deliver_batch(entry, 3).await;
        for _ in 0..3 {
            scene.consumer.acknowledge(&scene.receive().await).unwrap();
        }
    }
    assert_eq!(scene.permits().await, 5);
    assert_eq!(scene.acked().await, [0, 1]);
}

#[tokio::test]
async fn flush_sends_what_is_grouped() {
    let mut scene = Scene::flowing(one_topic()).await;
    scene.consumer.flush_acks().await.unwrap();
    scene.deliver(4).await;
    scene.consumer.acknowledge(&scene.receive().await).unwrap();
    scene.consumer.flush_acks().await.unwrap();
    assert_eq!(scene.acked().await, [4]);
}

#[tokio::test]
async fn a_batch_is_acknowledged_when_all_of_it_is() {
    let mut scene = Scene::flowing(ConsumerOptions { ack_group_max: 1, ..one_topic() }).await;
    scene.deliver_batch(0, 3).await;
    scene.deliver(1).await;
    let mut batch = Vec::new();
    for _ in 0..3 {
        batch.push(scene.receive().await);
    }
    scene.consumer.acknowledge(&batch[0]).unwrap();
    scene.consumer.acknowledge_id(&batch[2].id(), None).unwrap();
    scene.consumer.acknowledge(&scene.receive().await).unwrap();
    assert_eq!(scene.acked().await, [1], "two of three are not the batch");
    scene.consumer.acknowledge(&batch[1]).unwrap();
    assert_eq!(scene.acked().await, [0]);
}

#[tokio::test]
async fn bit_sets_are_sent_where_the_consumer_wants_them() {
    let mut scene = Scene::flowing(ConsumerOptions { batch_index_ack: true, ..one_topic() }).await;
    scene.deliver_batch(0, 3).await;
    scene.consumer.acknowledge(&scene.receive().await).unwrap();
    scene.consumer.flush_acks().await.unwrap();
    let ack = expect!(scene.wire, Ack);
    assert_eq!((&ack.message_id[0].ack_set, ack.message_id[0].batch_size), (&vec![0b110], Some(3)));
}

#[tokio::test]
async fn cumulative_stays_before_an_unfinished_batch() {
    let mut scene = Scene::flowing(one_topic()).await;
    scene.deliver(4).await;
    scene.deliver_batch(5, 2).await;
    let first = scene.receive().await;
    scene.consumer.acknowledge(&first).unwrap();
    let inside = scene.receive().await;
    scene.consumer.acknowledge_cumulative(&inside).unwrap();
    scene.consumer.flush_acks().await.unwrap();
    let ack = expect!(scene.wire, Ack);
    assert_eq!((ack.ack_type, entries(&ack)), (AckType::Cumulative as i32, vec![4]));
    scene.consumer.acknowledge_cumulative_id(&scene.receive().await.id(), None).unwrap();
    scene.consumer.flush_acks().await.unwrap();
    assert_eq!(scene.acked().await, [5]);
}

#[tokio::test]
async fn what_cannot_be_acknowledged_is_refused_at_once() {
    let mut one = Scene::flowing(ConsumerOptions { r#type: SubscriptionKind::Shared, ..one_topic() }).await;
    let mut other = Scene::flowing(one_topic()).await;
    one.deliver(0).await;
    other.deliver(0).await;
    let (mine, foreign) = (one.receive().await, other.receive().await);
    let refused = one.consumer.acknowledge_cumulative(&mine).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::NotAllowed);
    assert_eq!(one.consumer.acknowledge(&foreign).err().unwrap().kind(), ErrorKind::InvalidMessageId);
    assert_eq!(one.consumer.negative_acknowledge(&foreign).unwrap_err().kind(), ErrorKind::InvalidMessageId);
    let of_partition = MessageId { partition: 3, ..mine.id() };
    for id in [of_partition, MessageId::EARLIEST, MessageId::LATEST] {
        assert_eq!(one.consumer.acknowledge_id(&id, None).err().unwrap().kind(), ErrorKind::InvalidMessageId);
    }
    let elsewhere = one.consumer.acknowledge_id(&mine.id(), Some("persistent://public/default/x"));
    assert_eq!(elsewhere.err().unwrap().kind(), ErrorKind::InvalidMessageId);
    assert!(one.consumer.acknowledge(&mine).unwrap().is_none());
}

#[tokio::test]
async fn receipts_carry_the_brokers_answer() {
    let mut scene = Scene::flowing(ConsumerOptions { ack_receipts: true, ..one_topic() }).await;
    for error in [None, Some(ServerError::AuthorizationError as i32)] {
        scene.deliver(0).await;
        let receipt = scene.consumer.acknowledge(&scene.receive().await).unwrap().unwrap();
        let flushing = scene.call(|consumer| async move { consumer.flush_acks().await });
        let ack = expect!(scene.wire, Ack);
        let answer = CommandAckResponse { request_id: ack.request_id, error, ..Default::default() };
        scene.wire.send(answer).await;
        flushing.done().await.unwrap();
        assert_eq!(receipt.wait().await.err().map(|e| e.kind()), error.map(|_| ErrorKind::Authorization));
    }
}

#[tokio::test]
async fn a_receipt_survives_a_lost_connection() {
    let mut scene =
        Scene::flowing(ConsumerOptions { ack_receipts: true, ack_group_max: 1, ..one_topic() }).await;
    scene.deliver(3).await;
    let receipt = scene.consumer.acknowledge(&scene.receive().await).unwrap().unwrap();
    expect!(scene.wire, Ack);
    scene.reconnect().await;
    scene.permits().await;
    let ack = expect!(scene.wire, Ack);
    assert_eq!(entries(&ack), [3]);
    scene.wire.send(CommandAckResponse { request_id: ack.request_id, ..Default::default() }).await;
    receipt.wait().await.unwrap();
}

#[tokio::test]
async fn a_damaged_message_is_discarded_and_the_connection_lives() {
    let mut scene = Scene::flowing(one_topic()).await;
    let (metadata_0, body) = (metadata("p", 0), b"damaged");
    let mut frame = BytesMut::from(encode_delivery_header(&message(0).into(), None, &metadata_0, body));
    frame.extend_from_slice(b"d4maged");
    scene.wire.raw(&frame).await;
    let ack = expect!(scene.wire, Ack);
    assert_eq!(
        (entries(&ack), ack.validation_error),
        (vec![0], Some(ValidationError::ChecksumMismatch as i32))
    );
    assert_eq!(scene.permits().await, 10);

    let (batch_1, body) = batch(1, 2);
    scene.wire.deliver(message(1), &batch_1, &body[..body.len() - 1]).await;
    let lz4 = MessageMetadata {
        compression: Some(CompressionType::Lz4 as i32),
        uncompressed_size: Some(100),
        ..metadata("p", 2)
    };
    scene.wire.deliver(message(2), &lz4, b"not lz4").await;
    scene.wire.deliver(message(3), &MessageMetadata { uncompressed_size: Some(u32::MAX), ..lz4 }, b"").await;
    scene.deliver(4).await;
    assert_eq!(scene.texts(2).await, ["1:0", "4"]);
    let mut reasons = Vec::new();
    for _ in 0..3 {
        let ack = expect!(scene.wire, Ack);
        reasons.push((entries(&ack)[0], ValidationError::try_from(ack.validation_error.unwrap()).unwrap()));
    }
    reasons.sort_unstable();
    let expected = [
        (1, ValidationError::BatchDeSerializeError),
        (2, ValidationError::DecompressionError),
        (3, ValidationError::UncompressedSizeCorruption),
    ];
    assert_eq!(reasons, expected);
    assert_eq!(scene.consumer.stats().messages_discarded, 4);
}

#[tokio::test]
async fn permits_follow_what_is_handed_out() {
    let mut scene = Scene::flowing(one_topic()).await;
    scene.deliver_batch(0, 10).await;
    assert_eq!(scene.texts(4).await.len(), 4);
    assert_eq!(scene.texts(1).await, ["0:4"]);
    assert_eq!(scene.permits().await, 5);
}

#[tokio::test]
async fn who_waits_for_a_full_queue_does_not_wait_for_permits_kept_back() {
    let mut scene = Scene::flowing(one_topic()).await;
    scene.deliver_batch(0, 9).await;
    scene.texts(4).await;
    let batch = Batch { min_messages: 1000, max_messages: 1000, max_bytes: usize::MAX };
    let woken = Arc::new(Notify::new());
    let waker = Arc::clone(&woken);
    let poll = scene.consumer.poll_receive_many(None, batch, || Box::new(move || waker.notify_one()));
    let PollMany::Waiting(ticket) = poll else { panic!("the queue of 10 holds 5: {poll:?}") };
    assert_eq!(scene.permits().await, 4, "less than half a queue");
    scene.deliver_batch(1, 5).await;
    soon("the wake-up", woken.notified()).await;
    let poll = scene.consumer.poll_receive_many(Some(ticket), batch, || Box::new(|| {}));
    assert!(matches!(&poll, PollMany::Ready(messages) if messages.len() == 10), "{poll:?}");
}

#[tokio::test]
async fn pausing_stops_the_flow_and_resuming_makes_up_for_it() {
    let mut scene = Scene::start(ConsumerOptions { start_paused: true, ..one_topic() }).await;
    assert!(scene.consumer.is_paused());
    scene.consumer.resume();
    assert_eq!(scene.permits().await, 10);
    scene.consumer.pause();
    scene.deliver_batch(0, 10).await;
    assert_eq!(scene.texts(10).await.len(), 10, "what was on its way still arrives");
    scene.deliver(1).await;
    assert_eq!(text(&scene.receive().await), "1");
    scene.consumer.resume();
    assert_eq!(scene.permits().await, 11);
}
