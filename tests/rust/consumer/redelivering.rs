//! Negative acknowledgements and the ack timeout.

use std::time::Duration;

use fastapi_pulsar_core::client::options::{ConsumerOptions, SubscriptionKind};
use fastapi_pulsar_core::protocol::proto::CommandMessage;

use crate::expect;
use crate::scene::{Scene, id, message, one_topic, text};
use crate::support::peer::metadata;

fn shared() -> ConsumerOptions {
    ConsumerOptions { r#type: SubscriptionKind::Shared, ..one_topic() }
}

#[tokio::test]
async fn a_negative_acknowledgement_asks_for_the_entry_after_its_delay() {
    let mut scene = Scene::flowing(shared()).await;
    scene.deliver(0).await;
    scene.deliver(1).await;
    let first = scene.receive().await;
    scene.consumer.negative_acknowledge(&first).unwrap();
    scene.clock.advance(Duration::from_millis(1001));
    let redeliver = expect!(scene.wire, RedeliverUnacknowledgedMessages);
    assert_eq!((redeliver.message_ids, redeliver.consumer_epoch), (vec![id(0)], None));

    // The delay doubles with each redelivery.
    let again = CommandMessage { redelivery_count: Some(2), ..message(0) };
    scene.wire.deliver(again, &metadata("p", 0), b"again").await;
    assert_eq!(scene.texts(1).await, ["1"]);
    let again = scene.receive().await;
    assert_eq!(again.redelivery_count(), 2);
    scene.consumer.negative_acknowledge(&again).unwrap();
    scene.consumer.negative_acknowledge_id(&again.id(), None, None).unwrap();
    scene.clock.advance(Duration::from_millis(3900));
    assert_eq!(scene.consumer.stats().redeliveries_requested, 1);
    scene.clock.advance(Duration::from_millis(200));
    assert_eq!(expect!(scene.wire, RedeliverUnacknowledgedMessages).message_ids, [id(0)]);
}

#[tokio::test]
async fn what_is_queued_of_a_redelivered_batch_is_not_handed_out_twice() {
    let mut scene = Scene::flowing(shared()).await;
    scene.deliver_batch(0, 4).await;
    let (first, second) = (scene.receive().await, scene.receive().await);
    scene.consumer.acknowledge(&first).unwrap();
    scene.consumer.negative_acknowledge(&second).unwrap();
    scene.clock.advance(Duration::from_secs(2));
    expect!(scene.wire, RedeliverUnacknowledgedMessages);
    scene.deliver_batch(0, 4).await;
    assert_eq!(scene.texts(3).await, ["0:1", "0:2", "0:3"]);
    assert_eq!(scene.consumer.queued(), 0);
}

#[tokio::test]
async fn an_acknowledgement_takes_a_negative_one_back() {
    let mut scene = Scene::flowing(shared()).await;
    scene.deliver(0).await;
    scene.deliver(1).await;
    let (first, second) = (scene.receive().await, scene.receive().await);
    scene.consumer.negative_acknowledge(&first).unwrap();
    scene.consumer.negative_acknowledge(&second).unwrap();
    scene.consumer.acknowledge(&first).unwrap();
    scene.clock.advance(Duration::from_secs(2));
    assert_eq!(expect!(scene.wire, RedeliverUnacknowledgedMessages).message_ids, [id(1)]);
}

#[tokio::test]
async fn on_exclusive_everything_unacknowledged_comes_again_in_a_new_epoch() {
    let mut scene = Scene::flowing(one_topic()).await;
    for entry in 0..3 {
        scene.deliver(entry).await;
    }
    let (first, second) = (scene.receive().await, scene.receive().await);
    scene.consumer.acknowledge(&first).unwrap();
    scene.consumer.negative_acknowledge(&second).unwrap();
    scene.clock.advance(Duration::from_secs(2));
    assert_eq!(scene.acked().await, [0], "the broker hears first what is acknowledged");
    let redeliver = expect!(scene.wire, RedeliverUnacknowledgedMessages);
    assert_eq!((redeliver.message_ids.len(), redeliver.consumer_epoch), (0, Some(1)));
    for (epoch, text) in [(0, "stale"), (1, "fresh")] {
        let command = CommandMessage { consumer_epoch: Some(epoch), ..message(1) };
        scene.wire.deliver(command, &metadata("p", 1), text.as_bytes()).await;
    }
    assert_eq!(text(&scene.receive().await), "fresh");
}

#[tokio::test]
async fn the_ack_timeout_runs_from_hand_over_and_grows() {
    let options = ConsumerOptions {
        ack_timeout: Duration::from_secs(10),
        ack_timeout_backoff: Some(fastapi_pulsar_core::client::options::DelayOptions {
            initial: Duration::from_secs(1),
            max: Duration::from_mins(1),
            multiplier: 3.0,
        }),
        ..shared()
    };
    let mut scene = Scene::flowing(options).await;
    scene.deliver(0).await;
    scene.deliver(1).await;
    scene.deliver(2).await;
    let (_first, second) = (scene.receive().await, scene.receive().await);
    scene.consumer.acknowledge(&second).unwrap();
    scene.clock.advance(Duration::from_secs(11));
    assert_eq!(
        expect!(scene.wire, RedeliverUnacknowledgedMessages).message_ids,
        [id(0)],
        "2 is still queued"
    );
    assert_eq!(scene.texts(1).await, ["2"]);
    assert_eq!(scene.consumer.stats().ack_timeouts, 1);

    let again = CommandMessage { redelivery_count: Some(1), ..message(3) };
    scene.wire.deliver(again, &metadata("p", 3), b"3").await;
    assert_eq!(scene.texts(1).await, ["3"]);
    scene.clock.advance(Duration::from_secs(11));
    assert_eq!(expect!(scene.wire, RedeliverUnacknowledgedMessages).message_ids, [id(2)]);
    scene.clock.advance(Duration::from_secs(20));
    assert_eq!(expect!(scene.wire, RedeliverUnacknowledgedMessages).message_ids, [id(3)]);
}

#[tokio::test]
async fn redelivering_on_demand_asks_for_everything() {
    let mut scene = Scene::flowing(shared()).await;
    scene.deliver(0).await;
    scene.receive().await;
    scene.deliver(1).await;
    scene.consumer.redeliver_unacknowledged().unwrap();
    let redeliver = expect!(scene.wire, RedeliverUnacknowledgedMessages);
    assert_eq!((redeliver.message_ids.len(), redeliver.consumer_epoch), (0, None));
}
