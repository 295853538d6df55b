//! Seek, unsubscribe, statistics and the last message id, with a full queue too.

use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::message_id::MessageId;
use fastapi_pulsar_core::protocol::proto::{
    CommandCloseConsumer, CommandConsumerStatsResponse, CommandError, CommandGetLastMessageIdResponse,
    CommandSeek, EncryptionKeys, MessageMetadata, ServerError,
};

use crate::expect;
use crate::scene::{Scene, accept, id, message, one_topic, succeed};
use crate::support::peer::metadata;

/// As the broker does: it closes the consumer, then answers.
async fn answer_seek(scene: &mut Scene) -> CommandSeek {
    let seek = *expect!(scene.wire, Seek);
    let consumer_id = seek.consumer_id;
    scene.wire.send(CommandCloseConsumer { consumer_id, request_id: 0, ..Default::default() }).await;
    succeed(&mut scene.wire, seek.request_id).await;
    accept(&mut scene.wire).await;
    scene.permits().await;
    seek
}

async fn full() -> Scene {
    let mut scene = Scene::flowing(one_topic()).await;
    for entry in 0..10 {
        scene.deliver(entry).await;
    }
    // All ten have arrived when the first has been handed out and the rest is counted.
    scene.receive().await;
    while scene.consumer.queued() < 9 {
        tokio::task::yield_now().await;
    }
    scene
}

#[tokio::test]
async fn fault_4_seek_on_exclusive_ends_and_what_was_queued_is_stale() {
    let mut scene = full().await;
    let seeking = scene.call(|consumer| async move { consumer.seek_id(&MessageId::new(1, 3), None).await });
    let seek = answer_seek(&mut scene).await;
    assert_eq!(seek.message_id.unwrap(), id(3));
    seeking.done().await.unwrap();
    assert_eq!(scene.consumer.queued(), 0);
    scene.deliver(3).await;
    scene.deliver(4).await;
    assert_eq!(scene.texts(1).await, ["4"], "behind the message that was sought");
}

#[tokio::test]
async fn a_seek_by_time_and_acknowledgements_of_before_are_void() {
    let mut scene = Scene::flowing(one_topic()).await;
    scene.deliver(0).await;
    let old = scene.receive().await;
    scene.consumer.acknowledge(&old).unwrap();
    let seeking = scene.call(|consumer| async move { consumer.seek_time(1234).await });
    assert_eq!(answer_seek(&mut scene).await.message_publish_time, Some(1234));
    seeking.done().await.unwrap();
    scene.consumer.acknowledge_cumulative(&old).unwrap();
    assert_eq!(scene.consumer.stats().pending_acks, 0);
    scene.deliver(0).await;
    let again = scene.receive().await;
    scene.consumer.acknowledge(&again).unwrap();
    assert_eq!(scene.consumer.stats().pending_acks, 1);
}

#[tokio::test]
async fn a_broker_that_keeps_the_consumer_over_a_seek_is_asked_to_close_it() {
    let mut scene = full().await;
    let seeking = scene.call(|consumer| async move { consumer.seek_id(&MessageId::EARLIEST, None).await });
    let seek = expect!(scene.wire, Seek);
    succeed(&mut scene.wire, seek.request_id).await;
    let close = expect!(scene.wire, CloseConsumer);
    succeed(&mut scene.wire, close.request_id).await;
    accept(&mut scene.wire).await;
    seeking.done().await.unwrap();
    scene.permits().await;
    scene.deliver(0).await;
    assert_eq!(scene.texts(1).await, ["0"]);
}

#[tokio::test]
async fn a_seek_goes_on_after_a_lost_connection() {
    let mut scene = Scene::flowing(one_topic()).await;
    let seeking = scene.call(|consumer| async move { consumer.seek_time(1).await });
    expect!(scene.wire, Seek);
    scene.reconnect().await;
    scene.permits().await;
    answer_seek(&mut scene).await;
    seeking.done().await.unwrap();
}

#[tokio::test]
async fn a_refused_seek_leaves_the_consumer_as_it_was() {
    let mut scene = full().await;
    let seeking = scene.call(|consumer| async move { consumer.seek_time(1).await });
    let request_id = expect!(scene.wire, Seek).request_id;
    let refusal =
        CommandError { request_id, error: ServerError::NotAllowedError as i32, message: "no".into() };
    scene.wire.send(refusal).await;
    assert_eq!(seeking.done().await.unwrap_err().kind(), ErrorKind::NotAllowed);
    assert_eq!(scene.consumer.queued(), 9);
}

#[tokio::test]
async fn fault_5_a_full_queue_holds_up_nothing() {
    let mut scene = full().await;
    let stats = scene.call(|consumer| async move { consumer.broker_stats().await });
    let request_id = expect!(scene.wire, ConsumerStats).request_id;
    let answer = CommandConsumerStatsResponse { request_id, msg_backlog: Some(7), ..Default::default() };
    scene.wire.send(answer).await;
    assert_eq!(stats.done().await.unwrap()[0].stats.msg_backlog, Some(7));

    let last = scene.call(|consumer| async move { consumer.last_message_id().await });
    let request_id = expect!(scene.wire, GetLastMessageId).request_id;
    let answer = CommandGetLastMessageIdResponse { last_message_id: id(9), request_id, ..Default::default() };
    scene.wire.send(answer).await;
    assert_eq!(last.done().await.unwrap(), Some(MessageId::new(1, 9)));

    scene.consumer.acknowledge_id(&MessageId::new(1, 0), None).unwrap();
    scene.consumer.flush_acks().await.unwrap();
    assert_eq!(scene.acked().await, [0]);

    let leaving = scene.call(|consumer| async move { consumer.unsubscribe(true).await });
    let unsubscribe = expect!(scene.wire, Unsubscribe);
    assert_eq!(unsubscribe.force, Some(true));
    succeed(&mut scene.wire, unsubscribe.request_id).await;
    let close = expect!(scene.wire, CloseConsumer);
    succeed(&mut scene.wire, close.request_id).await;
    leaving.done().await.unwrap();
    assert!(scene.consumer.is_closed());
}

#[tokio::test]
async fn an_empty_topic_has_no_last_message() {
    let mut scene = Scene::flowing(one_topic()).await;
    let last = scene.call(|consumer| async move { consumer.last_message_id().await });
    let request_id = expect!(scene.wire, GetLastMessageId).request_id;
    let answer =
        CommandGetLastMessageIdResponse { last_message_id: id(u64::MAX), request_id, ..Default::default() };
    scene.wire.send(answer).await;
    assert_eq!(last.done().await.unwrap(), None);
}

#[tokio::test]
async fn a_seek_passes_an_encrypted_message() {
    let mut scene = Scene::flowing(one_topic()).await;
    let keys = vec![EncryptionKeys::default()];
    let encrypted = MessageMetadata { encryption_keys: keys, ..metadata("p", 0) };
    scene.wire.deliver(message(0), &encrypted, b"secret").await;
    for _ in 0..2 {
        let refused = scene.call(|consumer| async move { consumer.receive().await }).done().await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Encrypted);
    }
    let seeking = scene.call(|consumer| async move { consumer.seek_id(&MessageId::new(1, 0), None).await });
    answer_seek(&mut scene).await;
    seeking.done().await.unwrap();
    scene.deliver(1).await;
    assert_eq!(scene.texts(1).await, ["1"]);
    assert_eq!(scene.consumer.stats().messages_unsupported, 1);
}
