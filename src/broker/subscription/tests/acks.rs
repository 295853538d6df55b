//! Exclusive: order, permits, acknowledgements of all sorts, the cursor.

use std::sync::atomic::Ordering;

use crate::broker::position::Position;
use crate::broker::subscription::test_support::{LEDGER, Topic, at, counts, id, subscribe};
use crate::broker::subscription::{NewConsumer, Options, Subscription};
use crate::error::ErrorKind;
use crate::protocol::proto::AckType::{Cumulative, Individual};
use crate::protocol::proto::SubscriptionType::{Exclusive, Shared};

#[test]
fn deliveries_stop_without_permits_and_count_messages() {
    let mut topic = Topic::new(Exclusive);
    let client = topic.join(Exclusive, 5);
    topic.publish(1);
    topic.publish_batch(3);
    topic.publish_batch(3);
    topic.publish(1);
    assert_eq!(client.entries(), [0, 1, 2], "the last permit let a batch of three through");
    topic.flow(&client, 2);
    assert!(client.entries().is_empty(), "two permits are owed");
    topic.flow(&client, 1);
    assert_eq!(client.entries(), [3]);
}

#[test]
fn a_full_connection_is_left_alone_until_it_is_writable() {
    for kind in [Exclusive, Shared] {
        let mut topic = Topic::new(kind);
        let client = topic.join(kind, 10);
        client.writable.store(false, Ordering::Relaxed);
        topic.publish(2);
        assert!(client.entries().is_empty());
        client.writable.store(true, Ordering::Relaxed);
        topic.subscription.writable(&topic.log, topic.now);
        assert_eq!(client.entries(), [0, 1]);
    }
}

#[test]
fn exclusive_has_one_consumer() {
    let mut topic = Topic::new(Exclusive);
    let client = topic.join(Exclusive, 1);
    let kind = |topic: &mut Topic, kind| topic.join_as(subscribe(0, kind), 1).map(drop).unwrap_err().kind();
    assert_eq!(kind(&mut topic, Exclusive), ErrorKind::ConsumerBusy);
    assert_eq!(kind(&mut topic, Shared), ErrorKind::ConsumerBusy);
    topic.leave(&client);
    topic.join(Shared, 1);
    assert_eq!(topic.subscription.kind(), Shared);
}

#[test]
fn individual_acknowledgements_move_the_cursor_over_what_is_complete() {
    let mut topic = Topic::new(Exclusive);
    let client = topic.join(Exclusive, 10);
    topic.publish(5);
    let acked = topic.ack(&client, &[1, 3]);
    assert!(acked.changed && !acked.advanced);
    assert_eq!((topic.backlog(), topic.subscription.first_unacked()), (3, at(0)));
    assert_eq!(topic.subscription.mark_delete().entry_id.cast_signed(), -1);
    let acked = topic.ack(&client, &[0]);
    assert!(acked.changed && acked.advanced);
    assert_eq!(topic.subscription.first_unacked(), at(2));
    assert_eq!(topic.subscription.mark_delete(), id(1));
    assert!(!topic.ack(&client, &[0, 1, 9]).changed, "known, or no entry at all");
    let next = topic.join_after(&client);
    assert_eq!(next.entries(), [2, 4]);
}

#[test]
fn the_cursor_moves_over_the_end_of_a_ledger() {
    let mut topic = Topic::new(Exclusive);
    let client = topic.join(Exclusive, 10);
    topic.publish(2);
    topic.log.roll(LEDGER + 2);
    topic.publish(2);
    let second = |entry| Position::new(LEDGER + 2, entry).to_proto();
    topic.ack_ids(&client, Individual, vec![second(0), id(1)]).unwrap();
    topic.ack(&client, &[0]);
    assert_eq!(topic.subscription.first_unacked(), Position::new(LEDGER + 2, 1));
    assert_eq!(topic.backlog(), 1);
}

#[test]
fn cumulative_acknowledgements_are_for_ordered_kinds() {
    let mut topic = Topic::new(Exclusive);
    let client = topic.join(Exclusive, 10);
    topic.publish(5);
    topic.ack(&client, &[3]);
    topic.ack_ids(&client, Cumulative, vec![id(2)]).unwrap();
    assert_eq!((topic.backlog(), topic.subscription.first_unacked()), (1, at(4)));
    topic.ack_ids(&client, Cumulative, vec![id(99)]).unwrap();
    topic.publish(1);
    assert_eq!(topic.backlog(), 1, "nobody can acknowledge the future");

    let mut shared = Topic::new(Shared);
    let client = shared.join(Shared, 10);
    shared.publish(1);
    let error = shared.ack_ids(&client, Cumulative, vec![id(0)]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotAllowed);
}

#[test]
fn parts_of_batches_are_acknowledged_and_the_rest_is_delivered_with_its_bits() {
    for kind in [Exclusive, Shared] {
        let mut topic = Topic::new(kind);
        let client = topic.join(kind, 100);
        topic.publish_batch(4);
        assert!(topic.ack_bits(&client, Individual, 0, 0b1010).changed);
        assert!(!topic.ack_bits(&client, Individual, 0, 0b1110).changed);
        client.take();
        let next = topic.join_after(&client);
        let delivered = next.take();
        assert_eq!(delivered[0].ack_set, [0b1010], "{kind:?}");
        assert_eq!(topic.stats_of(0).available_permits, 98, "two messages were sent");
        assert!(topic.ack_bits(&next, Individual, 0, 0b0101).advanced);
        assert_eq!(topic.backlog(), 0);
    }
}

#[test]
fn a_cumulative_acknowledgement_within_a_batch_takes_what_is_before() {
    let mut topic = Topic::new(Exclusive);
    let client = topic.join(Exclusive, 100);
    topic.publish(2);
    topic.publish_batch(4);
    topic.ack_bits(&client, Cumulative, 2, 0b1100);
    assert_eq!(topic.subscription.first_unacked(), at(2));
    client.take();
    let next = topic.join_after(&client);
    assert_eq!(next.take()[0].ack_set, [0b1100]);
}

#[test]
fn switched_off_parts_of_batches_are_not_acknowledged() {
    let options = Options { batch_index_ack: false, ..Options::default() };
    let mut topic = Topic::with(Exclusive, options);
    let client = topic.join(Exclusive, 100);
    topic.publish(1);
    topic.publish_batch(2);
    assert!(!topic.ack_bits(&client, Individual, 1, 0).changed);
    topic.ack_bits(&client, Cumulative, 1, 0b10);
    client.take();
    let next = topic.join_after(&client);
    assert!(next.take()[0].ack_set.is_empty());
}

#[test]
fn a_redelivery_is_all_of_it_with_count_0_and_the_new_epoch() {
    let mut topic = Topic::new(Exclusive);
    let new = NewConsumer { epoch: Some(1), ..subscribe(0, Exclusive) };
    let client = topic.join_as(new, 100).unwrap();
    topic.publish(3);
    assert!(client.take().iter().all(|message| message.consumer_epoch == Some(1)));
    topic.ack(&client, &[1]);
    topic.redeliver(&client, &[2], None);
    let delivered = client.take();
    assert_eq!(counts(&delivered), [(0, 0), (2, 0)]);
    assert!(delivered.iter().all(|message| message.consumer_epoch == Some(1)));
    topic.redeliver(&client, &[], Some(4));
    assert!(client.take().iter().all(|message| message.consumer_epoch == Some(4)));
}

#[test]
fn a_cursor_is_restored_as_it_was() {
    let mut topic = Topic::new(Shared);
    let client = topic.join(Shared, 100);
    topic.publish(4);
    topic.publish_batch(3);
    topic.ack(&client, &[0, 2]);
    topic.ack_bits(&client, Individual, 4, 0b011);
    let state = topic.subscription.snapshot();
    topic.subscription = Subscription::restore("s", Shared, state.clone(), Options::default());
    assert_eq!(topic.subscription.snapshot(), state);
    assert_eq!(topic.backlog(), 3);
    let client = topic.join(Shared, 100);
    let delivered = client.take();
    assert_eq!(counts(&delivered), [(1, 0), (3, 0), (4, 0)]);
    assert_eq!(delivered[2].ack_set, [0b011]);
}
