//! Skipping, expiring, looking; statistics.

use crate::broker::subscription::test_support::{Topic, at};
use crate::protocol::proto::SubscriptionType::{Exclusive, KeyShared, Shared};

#[test]
fn skipping_counts_what_is_unacknowledged() {
    let mut topic = Topic::new(Shared);
    let client = topic.join(Shared, 1);
    topic.publish(6);
    topic.ack(&client, &[1]);
    assert_eq!(topic.subscription.skip(&topic.log, 2, topic.now), 2);
    assert_eq!((topic.subscription.first_unacked(), topic.backlog()), (at(3), 3));
    client.take();
    assert_eq!(topic.stats_of(0).unacked_messages, 0, "the skipped one is off its consumer");
    topic.flow(&client, 1);
    assert_eq!(client.entries(), [3]);
    topic.ack(&client, &[0]);
    assert_eq!(topic.stats_of(0).unacked_messages, 1);
    assert_eq!(topic.subscription.skip_all(&topic.log, topic.now), 3);
    assert_eq!(topic.subscription.skip(&topic.log, 5, topic.now), 0);
}

#[test]
fn entries_expire_by_their_publish_time() {
    let mut topic = Topic::new(Exclusive);
    for _ in 0..4 {
        topic.publish(1);
        topic.now += 1000;
    }
    let client = topic.join(Exclusive, 0);
    topic.ack(&client, &[1]);
    assert_eq!(topic.subscription.expire(&topic.log, topic.now - 1999, topic.now), 2);
    assert_eq!(topic.subscription.expire(&topic.log, topic.now - 1999, topic.now), 0);
    assert_eq!(topic.subscription.oldest(&topic.log).map(|entry| entry.position), Some(at(3)));
    topic.flow(&client, 10);
    assert_eq!(client.entries(), [3]);
}

#[test]
fn peeking_changes_nothing() {
    let mut topic = Topic::new(Exclusive);
    topic.publish(4);
    let client = topic.join(Exclusive, 0);
    topic.ack(&client, &[1]);
    let peek = |n| topic.subscription.peek(&topic.log, n).map(|entry| entry.position.entry);
    assert_eq!([0, 1, 2, 3, 4].map(peek), [None, Some(0), Some(2), Some(3), None]);
    assert_eq!(topic.backlog(), 3);
}

#[test]
fn statistics_tell_what_happened() {
    let mut topic = Topic::new(Shared);
    let client = topic.join(Shared, 10);
    topic.publish_batch(4);
    topic.redeliver(&client, &[0], None);
    topic.ack(&client, &[0]);
    let stats = topic.subscription.stats(&topic.log);
    assert_eq!((stats.counters.messages_out, stats.counters.bytes_out), (8, 20));
    assert_eq!((stats.counters.messages_redelivered, stats.counters.messages_acked), (4, 4));
    assert_eq!(stats.consumers[0].available_permits, 2);
    topic.now += 2000;
    let answer = topic.subscription.consumer_stats(&topic.log, 1, 0, topic.now).unwrap();
    assert_eq!((answer.msg_rate_out, answer.r#type.as_deref()), (Some(4.0), Some("Shared")));
    assert!(topic.subscription.consumer_stats(&topic.log, 1, 9, topic.now).is_none());
}

#[test]
fn a_key_whose_entries_are_skipped_moves_on() {
    let mut topic = Topic::new(KeyShared);
    let old = topic.join_named(KeyShared, "a", 0);
    for key in 0..20 {
        topic.publish_key(&key.to_string());
    }
    let new = topic.join_named(KeyShared, "b", 0);
    for key in 0..20 {
        topic.publish_key(&key.to_string());
    }
    assert!(new.entries().is_empty(), "the other consumer has an entry of each key");
    topic.subscription.skip(&topic.log, 20, topic.now);
    old.take();
    assert!(!new.entries().is_empty());
}
