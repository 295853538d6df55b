//! Shared: turns, priorities, counts, limits, delays, chunks.

use crate::broker::entry::Facts;
use crate::broker::subscription::Options;
use crate::broker::subscription::test_support::{Topic, at, counts};
use crate::protocol::proto::AckType::Individual;
use crate::protocol::proto::SubscriptionType::{Exclusive, Failover, KeyShared, Shared};

#[test]
fn consumers_take_turns() {
    let mut topic = Topic::new(Shared);
    let clients = [topic.join(Shared, 10), topic.join(Shared, 10), topic.join(Shared, 1)];
    topic.publish(6);
    let shares = clients.map(|client| client.entries());
    assert_eq!(shares, [vec![0, 3, 5], vec![1, 4], vec![2]]);
}

#[test]
fn a_better_priority_comes_first_while_it_has_permits() {
    let mut topic = Topic::new(Shared);
    let second = topic.join_named(Shared, "second", 1);
    let first = topic.join_named(Shared, "first", 0);
    topic.flow(&first, 3);
    topic.publish(105);
    assert_eq!((first.entries().len(), second.entries()), (103, vec![103, 104]));
    topic.flow(&first, 1);
    topic.publish(1);
    assert_eq!((first.entries(), second.entries()), (vec![105], vec![]));
}

#[test]
fn redeliveries_are_counted_and_forgotten_when_acknowledged() {
    for kind in [Shared, KeyShared] {
        let mut topic = Topic::new(kind);
        let client = topic.join(kind, 100);
        topic.publish(3);
        assert_eq!(counts(&client.take()), [(0, 0), (1, 0), (2, 0)]);
        topic.redeliver(&client, &[1], None);
        topic.redeliver(&client, &[1, 7], None);
        assert_eq!(counts(&client.take()), [(1, 1), (1, 2)]);
        topic.redeliver(&client, &[], None);
        assert_eq!(counts(&client.take()), [(0, 1), (1, 3), (2, 1)]);
        topic.ack(&client, &[0, 1]);
        topic.redeliver(&client, &[0, 1, 2], None);
        assert_eq!(counts(&client.take()), [(2, 2)]);
        assert_eq!((topic.stats_of(0).unacked_messages, topic.backlog()), (1, 1));
    }
}

#[test]
fn what_a_consumer_had_goes_to_others_and_counts_end_with_the_last_one() {
    let mut topic = Topic::new(Shared);
    let (first, second) = (topic.join(Shared, 2), topic.join(Shared, 2));
    topic.publish(4);
    topic.redeliver(&first, &[0], None);
    assert_eq!((first.entries(), second.entries()), (vec![0, 2], vec![1, 3]));
    topic.ack(&first, &[2]);
    topic.flow(&second, 10);
    assert_eq!(counts(&second.take()), [(0, 1)]);
    topic.leave(&first);
    assert!(second.entries().is_empty(), "it had nothing");
    topic.leave(&second);
    let third = topic.join(Shared, 100);
    assert_eq!(counts(&third.take()), [(0, 0), (1, 0), (3, 0)]);
}

#[test]
fn a_consumer_with_too_much_unacknowledged_waits_for_half_of_it() {
    for kind in [Shared, KeyShared] {
        let options = Options { max_unacked_per_consumer: 4, ..Options::default() };
        let mut topic = Topic::with(kind, options);
        let client = topic.join(kind, 100);
        topic.publish(10);
        assert_eq!(client.entries(), [0, 1, 2, 3]);
        assert!(topic.stats_of(0).blocked_on_unacked);
        topic.ack(&client, &[0]);
        assert!(client.entries().is_empty());
        topic.ack(&client, &[1]);
        assert_eq!(client.entries(), [4, 5]);
    }
}

#[test]
fn a_subscription_with_too_much_unacknowledged_waits_for_half_of_it() {
    for kind in [Shared, KeyShared] {
        let options = Options { max_unacked_per_subscription: 4, ..Options::default() };
        let mut topic = Topic::with(kind, options);
        let clients = [topic.join(kind, 100), topic.join(kind, 100)];
        topic.publish(10);
        let shares = clients.each_ref().map(|client| client.entries());
        assert_eq!(shares[0].len() + shares[1].len(), 4);
        assert!(topic.subscription.stats(&topic.log).blocked_on_unacked);
        topic.ack(&clients[0], &[0, 1]);
        assert_eq!(clients[0].entries().len() + clients[1].entries().len(), 2);
    }
}

#[test]
fn delayed_messages_come_when_they_are_due() {
    for kind in [Shared, KeyShared] {
        let mut topic = Topic::new(kind);
        let client = topic.join(kind, 100);
        let due = topic.now + 3000;
        topic.publish_as(Facts { deliver_at: Some(due), ..Facts::default() });
        topic.publish_as(Facts { deliver_at: Some(due - 1000), ..Facts::default() });
        topic.publish_as(Facts { deliver_at: Some(topic.now), ..Facts::default() });
        assert_eq!(client.entries(), [2]);
        assert_eq!(topic.subscription.next_deadline(), Some(due - 1000));
        assert_eq!(topic.subscription.stats(&topic.log).delayed, 2);
        topic.now = due - 1;
        topic.tick();
        assert_eq!(client.entries(), [1]);
        topic.now = due;
        topic.tick();
        assert_eq!((client.entries(), topic.subscription.next_deadline()), (vec![0], None));
    }
}

#[test]
fn ordered_kinds_do_not_delay() {
    for kind in [Exclusive, Failover] {
        let mut topic = Topic::new(kind);
        let client = topic.join(kind, 100);
        topic.publish_as(Facts { deliver_at: Some(topic.now + 3000), ..Facts::default() });
        assert_eq!((client.entries(), topic.subscription.next_deadline()), (vec![0], None));
    }
}

#[test]
fn a_delayed_message_that_was_acknowledged_does_not_come() {
    let mut topic = Topic::new(Shared);
    let client = topic.join(Shared, 100);
    topic.publish_as(Facts { deliver_at: Some(topic.now + 10), ..Facts::default() });
    topic.subscription.skip_all(&topic.log, topic.now);
    topic.now += 10;
    topic.tick();
    assert!(client.entries().is_empty());
}

#[test]
fn chunks_of_one_message_go_to_one_consumer() {
    let mut topic = Topic::new(Shared);
    let (first, second) = (topic.join(Shared, 1), topic.join(Shared, 10));
    let chunk = |sequence_id| Facts { is_chunk: true, sequence_id, ..Facts::default() };
    topic.publish_as(chunk(1000));
    topic.publish_as(chunk(1001));
    topic.publish_as(chunk(1000));
    topic.publish_as(chunk(1001));
    topic.publish(1);
    assert_eq!((first.entries(), second.entries()), (vec![0], vec![1, 3, 4]), "the third waits");
    topic.flow(&first, 1);
    assert_eq!(first.entries(), [2]);
    topic.leave(&first);
    assert_eq!(second.entries(), [0, 2]);
}

#[test]
fn acknowledging_for_another_consumer_takes_it_off_that_one() {
    let mut topic = Topic::new(Shared);
    let (first, second) = (topic.join(Shared, 1), topic.join(Shared, 1));
    topic.publish(2);
    assert_eq!((first.entries(), second.entries()), (vec![0], vec![1]));
    topic.ack(&second, &[0]);
    assert_eq!((topic.stats_of(0).unacked_messages, topic.stats_of(1).unacked_messages), (0, 1));
    topic.publish_batch(4);
    topic.flow(&first, 4);
    topic.ack_bits(&first, Individual, 2, 0b0001);
    assert_eq!(topic.stats_of(0).unacked_messages, 1);
    assert_eq!(topic.subscription.first_unacked(), at(1));
}

#[test]
fn a_topic_that_is_not_persistent_waits_for_no_acknowledgement() {
    let options = Options { persistent: false, max_unacked_per_consumer: 1, ..Options::default() };
    for kind in [Shared, KeyShared] {
        let mut topic = Topic::with(kind, options.clone());
        let client = topic.join(kind, 10);
        topic.publish(3);
        assert_eq!(client.entries(), [0, 1, 2]);
        assert_eq!(topic.subscription.stats(&topic.log).unacked_messages, 0);
    }
}
