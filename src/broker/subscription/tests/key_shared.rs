//! `Key_Shared`: keys keep their consumer and their order.

use std::collections::BTreeMap;

use crate::broker::subscription::test_support::{Client, Topic, subscribe};
use crate::broker::subscription::{HashRange, KeyShared as Wish, NewConsumer};
use crate::error::ErrorKind;
use crate::protocol::proto::SubscriptionType::KeyShared;

fn sticky(ranges: &[(u16, u16)]) -> NewConsumer {
    let ranges = ranges.iter().map(|(start, end)| HashRange { start: *start, end: *end }).collect();
    NewConsumer { key_shared: Wish { ranges: Some(ranges), out_of_order: false }, ..subscribe(0, KeyShared) }
}

/// Publishes keys "0" to "49" in turn.
fn publish(topic: &mut Topic, count: usize) {
    for n in 0..count {
        topic.publish_key(&(n % 50).to_string());
    }
}

/// Delivered entries by key.
fn by_key(client: &Client) -> BTreeMap<u64, Vec<u64>> {
    let mut keys: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for entry in client.entries() {
        keys.entry(entry % 50).or_default().push(entry);
    }
    keys
}

#[test]
fn each_key_goes_to_one_consumer() {
    let mut topic = Topic::new(KeyShared);
    let clients = ["a", "b"].map(|name| topic.join_named(KeyShared, name, 0));
    publish(&mut topic, 100);
    let keys = clients.map(|client| by_key(&client));
    assert!(keys.iter().all(|keys| keys.len() > 5), "{keys:?}");
    assert!(keys[0].keys().all(|key| !keys[1].contains_key(key)));
    assert!(keys.iter().flat_map(BTreeMap::values).all(|entries| entries.len() == 2));
}

#[test]
fn a_key_that_moves_waits_until_its_old_consumer_is_done() {
    let mut topic = Topic::new(KeyShared);
    let old = topic.join_named(KeyShared, "a", 0);
    publish(&mut topic, 50);
    old.take();
    let new = topic.join_named(KeyShared, "b", 0);
    publish(&mut topic, 50);
    assert!(new.entries().is_empty(), "all keys still have an entry with the other consumer");
    let stayed: Vec<u64> = old.entries().into_iter().map(|entry| entry % 50).collect();
    let moved: Vec<u64> = (0..50).filter(|key| !stayed.contains(key)).collect();
    assert!(!stayed.is_empty() && !moved.is_empty());
    topic.ack(&old, &moved[..1]);
    assert_eq!(new.entries(), [50 + moved[0]]);
    topic.redeliver(&old, &moved[1..2], None);
    assert_eq!(new.entries(), [moved[1], 50 + moved[1]], "given back, it goes first");
    topic.leave(&old);
    let order: Vec<u64> = new.entries();
    let of_third: Vec<u64> = order.iter().copied().filter(|entry| entry % 50 == moved[2]).collect();
    assert_eq!(of_third, [moved[2], 50 + moved[2]]);
    assert_eq!(order.len(), 100 - 4, "all but one that is acknowledged and three that it has");
}

#[test]
fn out_of_order_delivery_does_not_wait() {
    let mut topic = Topic::new(KeyShared);
    let relaxed = |name: &str| NewConsumer {
        name: name.into(),
        key_shared: Wish { ranges: None, out_of_order: true },
        ..subscribe(0, KeyShared)
    };
    let old = topic.join_as(relaxed("a"), 100).unwrap();
    publish(&mut topic, 50);
    old.take();
    let new = topic.join_as(relaxed("b"), 100).unwrap();
    publish(&mut topic, 50);
    assert!(!new.entries().is_empty());
    let strict = topic.join_as(subscribe(0, KeyShared), 1).map(drop).unwrap_err();
    assert_eq!(strict.kind(), ErrorKind::ConsumerBusy);
}

#[test]
fn a_consumer_without_permits_does_not_hold_up_others() {
    let mut topic = Topic::new(KeyShared);
    let (slow, fast) = (topic.join_named(KeyShared, "a", 0), topic.join_named(KeyShared, "b", 0));
    topic.flow(&fast, 1000);
    publish(&mut topic, 500);
    let (at_first, others) = (slow.entries(), fast.entries());
    assert_eq!(at_first.len(), 100);
    topic.flow(&slow, 1000);
    let rest = slow.entries();
    assert_eq!(at_first.len() + rest.len() + others.len(), 500);
    assert!(rest.is_sorted() && at_first.last() < rest.first());
}

#[test]
fn sticky_ranges_are_kept_and_conflicts_refused() {
    let mut topic = Topic::new(KeyShared);
    let low = topic.join_as(sticky(&[(0, 20_000), (40_000, 50_000)]), 100).unwrap();
    let error = |topic: &mut Topic, new| topic.join_as(new, 1).map(drop).unwrap_err().kind();
    assert_eq!(error(&mut topic, sticky(&[(30_000, 40_000)])), ErrorKind::ConsumerAssign);
    assert_eq!(error(&mut topic, sticky(&[])), ErrorKind::ConsumerAssign);
    assert_eq!(error(&mut topic, sticky(&[(30_000, 30_009), (30_005, 30_006)])), ErrorKind::ConsumerAssign);
    assert_eq!(error(&mut topic, subscribe(0, KeyShared)), ErrorKind::ConsumerBusy);

    // The low 16 bits of the reference's Murmur3.
    topic.publish_key("test"); // 0xd213
    topic.publish_key("Hello, world!"); // 0x3e43
    topic.publish_key("The quick brown fox jumps over the lazy dog"); // 0xf723
    assert_eq!(low.entries(), [1]);
    let high = topic.join_as(sticky(&[(50_001, 60_000)]), 100).unwrap();
    assert_eq!(high.entries(), [0], "what belonged to nobody waited");
    topic.leave(&low);
    let rest = topic.join_as(sticky(&[(0, 50_000), (60_001, 65_535)]), 100).unwrap();
    assert_eq!(rest.entries(), [1, 2]);
    assert_eq!(topic.stats_of(1).hash_ranges.len(), 2);
}
