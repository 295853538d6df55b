//! Retention, time to live, quotas and the memory of all topics.

use super::support::{Bench, Line, MEGABYTE, producer};
use crate::broker::policies::{BacklogQuota, Policies, PublishRate, QuotaKind, QuotaPolicy, Retention};
use crate::error::ErrorKind;
use crate::protocol::proto::ProducerAccessMode;

fn quota(kind: QuotaKind, limit_size: i64, limit_time: i64, policy: QuotaPolicy) -> Policies {
    let quota = BacklogQuota { limit_size, limit_time, policy };
    Policies { backlog_quotas: [(kind, quota)].into(), ..Policies::default() }
}

fn acknowledge_all(bench: &Bench, consumer: &Line) {
    let (id, _) = consumer.delivered().pop().unwrap();
    bench.acknowledge_up_to(consumer, id);
}

#[test]
fn what_is_acknowledged_is_retained_for_as_long_as_was_asked_for() {
    let retention = Retention { retention_time_in_minutes: 10, retention_size_in_mb: -1 };
    let bench = Bench::new(Policies { retention: Some(retention), ..Policies::default() });
    let line = bench.producer("p");
    bench.send(&line, 0, None, b"x");
    let consumer = bench.consumer("s");
    acknowledge_all(&bench, &consumer);
    bench.advance(9 * 60);
    assert_eq!(bench.topic.stats().entries, 1);
    bench.advance(2 * 60);
    assert_eq!((bench.topic.stats().entries, bench.services.memory().0), (0, 0));
    bench.send(&line, 1, None, b"y");
    bench.advance(60 * 60);
    assert_eq!(bench.topic.stats().entries, 1, "what is not acknowledged stays");
}

#[test]
fn retention_by_size_keeps_the_newest() {
    let retention = Retention { retention_time_in_minutes: -1, retention_size_in_mb: 1 };
    let bench = Bench::new(Policies { retention: Some(retention), ..Policies::default() });
    let line = bench.producer("p");
    let consumer = bench.consumer("s");
    for sequence_id in 0..4 {
        bench.send(&line, sequence_id, None, &vec![0; 400 << 10]);
    }
    acknowledge_all(&bench, &consumer);
    assert_eq!(bench.topic.stats().entries, 2);
}

#[test]
fn what_is_published_before_the_first_subscription_is_there_for_it() {
    let bench = Bench::new(Policies::default());
    let line = bench.producer("p");
    for sequence_id in 0..20 {
        bench.send(&line, sequence_id, None, &vec![0; 1 << 20]);
    }
    assert_eq!(bench.topic.stats().entries, 20, "though a ledger holds 16 MiB");
    let consumer = bench.consumer("s");
    assert_eq!(consumer.delivered().len(), 20);
}

#[test]
fn messages_expire_and_the_topic_asks_to_be_woken_for_it() {
    let bench = Bench::new(Policies { message_ttl_seconds: Some(60), ..Policies::default() });
    let line = bench.producer("p");
    bench.consumer("s");
    bench.send(&line, 0, None, b"x");
    assert_eq!(bench.topic.stats().subscriptions["s"].stats.backlog, 1);
    bench.advance(59);
    assert_eq!(bench.topic.stats().subscriptions["s"].stats.backlog, 1);
    bench.advance(2);
    assert_eq!(bench.topic.stats().subscriptions["s"].stats.backlog, 0);
}

#[test]
fn over_its_quota_a_topic_closes_producers_and_refuses_new_ones_until_there_is_room() {
    for (policy, kind) in [
        (QuotaPolicy::ProducerRequestHold, ErrorKind::QueueFull),
        (QuotaPolicy::ProducerException, ErrorKind::QuotaExceeded),
    ] {
        let bench = Bench::new(quota(QuotaKind::DestinationStorage, 1000, -1, policy));
        let line = bench.producer("p");
        let consumer = bench.consumer("s");
        for sequence_id in 0..3 {
            bench.send(&line, sequence_id, None, &[0; 500]);
        }
        assert_eq!(line.names(), ["SendReceipt", "SendReceipt", "CloseProducer"]);
        let again = || bench.produce(&line, producer(1, "p", ProducerAccessMode::Shared));
        assert_eq!(again().unwrap_err().kind(), kind);
        acknowledge_all(&bench, &consumer);
        again().unwrap();
        bench.send(&line, 2, None, &[0; 500]);
        assert_eq!(line.names(), ["SendReceipt"]);
    }
}

#[test]
fn eviction_gives_up_the_oldest_messages() {
    let bench =
        Bench::new(quota(QuotaKind::DestinationStorage, 10_000, -1, QuotaPolicy::ConsumerBacklogEviction));
    let line = bench.producer("p");
    bench.consumer("s");
    for sequence_id in 0..50 {
        bench.send(&line, sequence_id, None, &[0; 1000]);
    }
    assert!(line.names().iter().all(|name| *name == "SendReceipt"));
    let backlog = bench.topic.stats().subscriptions["s"].stats.backlog;
    assert!((8..=11).contains(&backlog), "{backlog}");
}

#[test]
fn a_backlog_that_is_too_old_stops_producers() {
    let policy = QuotaPolicy::ProducerException;
    let bench = Bench::new(quota(QuotaKind::MessageAge, -1, 60, policy));
    let line = bench.producer("p");
    bench.consumer("s");
    bench.send(&line, 0, None, b"x");
    line.take();
    bench.advance(61);
    assert_eq!(line.names(), ["CloseProducer"]);
    let refused = bench.produce(&line, producer(1, "p", ProducerAccessMode::Shared)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
}

#[test]
fn memory_is_bounded_and_what_is_acknowledged_is_freed() {
    let bench = Bench::with("t", Policies::default(), MEGABYTE);
    let line = bench.producer("p");
    let consumer = bench.consumer("s");
    let send = |sequence_id| bench.send(&line, sequence_id, None, &vec![0; 100 << 10]);
    (0..20).for_each(send);
    let (used, limit) = bench.services.memory();
    assert!(used <= limit + (200 << 10), "{used} of {limit} bytes");
    assert!(line.names().contains(&"CloseProducer"));
    let refused = bench.produce(&line, producer(1, "p", ProducerAccessMode::Shared)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QueueFull);
    acknowledge_all(&bench, &consumer);
    assert!(bench.services.memory().0 < limit / 4);
    bench.produce(&line, producer(1, "p", ProducerAccessMode::Shared)).unwrap();
}

#[test]
fn consumers_and_subscriptions_are_as_many_as_policies_allow() {
    let bench = Bench::new(Policies { max_subscriptions: Some(1), ..Policies::default() });
    bench.consumer("s");
    let command = crate::protocol::proto::CommandSubscribe {
        subscription: "other".into(),
        consumer_id: 7,
        ..Default::default()
    };
    assert_eq!(bench.subscribe(&command).err().unwrap().kind(), ErrorKind::NotAllowed);
}

#[test]
fn whoever_publishes_too_fast_is_left_unread_for_a_while() {
    let rate = PublishRate { publish_throttling_rate_in_msg: 10, publish_throttling_rate_in_byte: -1 };
    let bench = Bench::new(Policies { publish_rate: Some(rate), ..Policies::default() });
    let line = bench.producer("p");
    (0..12).for_each(|sequence_id| bench.send(&line, sequence_id, None, b"x"));
    assert_eq!(line.names().len(), 12, "what was read is taken");
    assert!(!line.pauses.lock().is_empty());
}
