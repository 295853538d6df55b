//! Where subscriptions start, and where seeks go.

use crate::broker::subscription::test_support::{LEDGER, Topic, at, id, subscribe};
use crate::broker::subscription::{NewConsumer, SeekTo};
use crate::error::ErrorKind;
use crate::protocol::proto::SubscriptionType::{Exclusive, Shared};
use crate::protocol::proto::{InitialPosition, MessageIdData};

fn raw(ledger: i64, entry: i64) -> MessageIdData {
    MessageIdData {
        ledger_id: ledger.cast_unsigned(),
        entry_id: entry.cast_unsigned(),
        ..MessageIdData::default()
    }
}

#[test]
fn a_durable_subscription_starts_at_its_initial_position() {
    let mut topic = Topic::new(Exclusive);
    topic.publish(3);
    let start = |initial_position| {
        NewConsumer { initial_position, ..subscribe(0, Exclusive) }.start_in(&topic.log, topic.now)
    };
    assert_eq!(start(InitialPosition::Earliest), at(0));
    assert_eq!(start(InitialPosition::Latest), at(3));
}

#[test]
fn a_reader_starts_behind_its_start_id_or_within_its_batch() {
    let mut topic = Topic::new(Exclusive);
    topic.publish(3);
    let start = |id: MessageIdData| {
        let new = NewConsumer { start: Some(id), durable: false, ..subscribe(0, Exclusive) };
        new.start_in(&topic.log, topic.now)
    };
    assert_eq!(start(id(1)), at(2));
    assert_eq!(start(MessageIdData { batch_index: Some(0), ..id(1) }), at(1));
    assert_eq!(start(raw(-1, -1)), at(0), "earliest");
    assert_eq!(start(raw(i64::MAX, i64::MAX)), at(3), "latest");
    assert_eq!(start(raw(LEDGER.cast_signed(), -1)), at(0));
}

#[test]
fn a_start_in_the_past_goes_by_publish_time() {
    let mut topic = Topic::new(Exclusive);
    for _ in 0..3 {
        topic.publish(1);
        topic.now += 10_000;
    }
    let new = NewConsumer { rollback_seconds: 21, ..subscribe(0, Exclusive) };
    assert_eq!(new.start_in(&topic.log, topic.now), at(1));
}

#[test]
fn a_seek_disconnects_and_goes_there() {
    for kind in [Exclusive, Shared] {
        let mut topic = Topic::new(kind);
        let client = topic.join(kind, 100);
        for _ in 0..4 {
            topic.publish(1);
            topic.now += 1000;
        }
        topic.ack(&client, &[0, 1, 2, 3]);
        topic.subscription.seek(&topic.log, &SeekTo::Message(id(1)));
        assert_eq!((client.closes(), topic.backlog(), topic.subscription.has_consumers()), (1, 3, false));
        let gone = topic.ack_ids(&client, crate::protocol::proto::AckType::Individual, vec![id(2)]);
        assert_eq!(gone.unwrap_err().kind(), ErrorKind::ConsumerNotFound);
        assert_eq!(topic.join(kind, 100).entries(), [1, 2, 3]);
        for (to, expected) in [
            (SeekTo::Time(topic.now - 2000), vec![2, 3]),
            (SeekTo::Time(0), vec![0, 1, 2, 3]),
            (SeekTo::Time(u64::MAX), vec![]),
            (SeekTo::Message(raw(-1, -1)), vec![0, 1, 2, 3]),
            (SeekTo::Message(raw(i64::MAX, i64::MAX)), vec![]),
        ] {
            topic.subscription.seek(&topic.log, &to);
            assert_eq!(topic.join(kind, 100).entries(), expected, "{to:?}");
        }
    }
}

#[test]
fn a_seek_into_a_batch_delivers_the_rest_of_it() {
    let mut topic = Topic::new(Exclusive);
    topic.publish_batch(3);
    let client = topic.join(Exclusive, 100);
    topic.ack(&client, &[0]);
    topic.subscription.seek(&topic.log, &SeekTo::Message(MessageIdData { ack_set: vec![0b110], ..id(0) }));
    assert_eq!(topic.join(Exclusive, 100).take()[0].ack_set, [0b110]);
}

#[test]
fn the_only_consumer_may_unsubscribe() {
    let mut topic = Topic::new(Shared);
    topic.join(Shared, 1);
    assert!(topic.subscription.may_unsubscribe(1, 0, false).is_ok());
    topic.join(Shared, 1);
    let error = topic.subscription.may_unsubscribe(1, 0, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Metadata);
    assert!(topic.subscription.may_unsubscribe(1, 0, true).is_ok());
    assert!(topic.subscription.may_unsubscribe(9, 0, true).is_err());
}
