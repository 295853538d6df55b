//! The end of a topic, unloading, deletion, and topics that keep nothing.

use super::support::{Bench, MEGABYTE, producer};
use crate::broker::policies::Policies;
use crate::error::ErrorKind;
use crate::protocol::proto::ProducerAccessMode;

#[test]
fn consumers_of_a_terminated_topic_are_told_when_they_have_acknowledged_all() {
    let bench = Bench::new(Policies::default());
    let line = bench.producer("p");
    bench.send(&line, 0, None, b"x");
    let consumer = bench.consumer("s");
    let last = bench.topic.terminate();
    assert_eq!(last.entry, 0);
    assert!(consumer.names().is_empty());
    let (id, _) = consumer.delivered().remove(0);
    bench.acknowledge_up_to(&consumer, id);
    assert_eq!(consumer.names(), ["ReachedEndOfTopic"]);
    let refused = bench.produce(&line, producer(2, "q", ProducerAccessMode::Shared)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TopicTerminated);
    assert_eq!(bench.topic.terminate(), last);
}

#[test]
fn a_topic_that_is_unloaded_closes_everybody_and_goes_on_in_a_new_ledger() {
    let bench = Bench::new(Policies::default());
    let line = bench.producer("p");
    let consumer = bench.consumer("s");
    bench.send(&line, 0, None, b"x");
    line.take();
    bench.topic.unload();
    assert_eq!((line.names(), consumer.names()), (vec!["CloseProducer"], vec!["CloseConsumer"]));
    bench.send(&line, 1, None, b"lost");
    assert!(line.names().is_empty(), "its client has been told, and sends it again");
    let line = bench.producer("p");
    bench.send(&line, 1, None, b"y");
    let consumer = bench.consumer("s");
    let ids: Vec<_> = consumer.delivered().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 2);
    assert!(ids[0].ledger_id < ids[1].ledger_id);
}

#[test]
fn a_topic_in_use_is_deleted_by_force_only() {
    let bench = Bench::new(Policies::default());
    let line = bench.producer("p");
    bench.send(&line, 0, None, b"x");
    line.take();
    assert_eq!(bench.topic.delete(false).unwrap_err().kind(), ErrorKind::NotAllowed);
    bench.topic.delete(true).unwrap();
    assert_eq!(line.names(), ["CloseProducer"]);
    assert_eq!(bench.services.memory().0, 0);
    let late = bench.produce(&line, producer(1, "p", ProducerAccessMode::Shared)).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::ServiceNotReady);
}

#[test]
fn a_topic_that_is_not_persistent_delivers_now_or_never() {
    let bench = Bench::with("non-persistent://public/default/n", Policies::default(), MEGABYTE);
    let line = bench.producer("p");
    bench.send(&line, 0, None, b"before");
    let consumer = bench.consumer("s");
    bench.send(&line, 1, None, b"now");
    assert_eq!(consumer.texts(), ["now"]);
    assert_eq!(line.names(), ["SendReceipt", "SendReceipt"]);
    assert_eq!((bench.topic.stats().entries, bench.services.memory().0), (0, 0));
}
