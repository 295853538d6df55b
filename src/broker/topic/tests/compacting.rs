//! Compaction, and who reads what it left.

use std::sync::Arc;

use super::support::{Bench, Line};
use crate::broker::policies::Policies;
use crate::broker::subscription::SeekTo;
use crate::protocol::batch::{BatchBuilder, BatchIter};
use crate::protocol::frame::decode_payload;
use crate::protocol::proto::{
    CommandSubscribe, InitialPosition, MessageIdData, MessageMetadata, SingleMessageMetadata,
    SubscriptionType,
};

fn compacted(bench: &Bench, subscription: &str) -> Arc<Line> {
    let command = CommandSubscribe {
        topic: "t".into(),
        subscription: subscription.into(),
        sub_type: SubscriptionType::Exclusive as i32,
        consumer_id: 7,
        read_compacted: Some(true),
        initial_position: Some(InitialPosition::Earliest as i32),
        ..CommandSubscribe::default()
    };
    bench.subscribe(&command).unwrap()
}

#[test]
fn compaction_keeps_the_last_message_of_each_key() {
    let bench = Bench::new(Policies::default());
    let line = bench.producer("p");
    for (sequence_id, (key, text)) in
        [(Some("a"), "a1"), (Some("b"), "b1"), (None, "no key"), (Some("a"), "a2"), (Some("b"), "")]
            .into_iter()
            .enumerate()
    {
        bench.send(&line, sequence_id as u64, key, text.as_bytes());
    }
    bench.topic.compact();
    bench.send(&line, 5, Some("a"), b"a3");
    assert_eq!(compacted(&bench, "c").texts(), ["a2", "a3"], "behind the horizon all is read");
    assert_eq!(bench.consumer("s").texts().len(), 6);
    bench.topic.compact();
    assert_eq!(compacted(&bench, "d").texts(), ["a3"]);
    let stats = bench.topic.stats().compaction;
    assert_eq!((stats.entries, stats.removed, stats.running), (1, 1, false));
}

#[test]
fn compaction_empties_messages_of_a_batch_and_keeps_their_places() {
    let bench = Bench::new(Policies::default());
    let line = bench.producer("p");
    let mut batch = BatchBuilder::new();
    for (key, text) in [("a", "a1"), ("b", "b1"), ("a", "a2")] {
        let single = SingleMessageMetadata { partition_key: Some(key.into()), ..Default::default() };
        batch.push(&single, text.as_bytes());
    }
    let metadata = MessageMetadata {
        producer_name: "p".into(),
        num_messages_in_batch: Some(3),
        ..MessageMetadata::default()
    };
    bench.send_as(&line, metadata, &batch.finish());
    bench.topic.compact();
    let (_, bytes) = compacted(&bench, "c").delivered().remove(0);
    let payload = decode_payload(bytes).unwrap();
    let messages: Vec<_> = BatchIter::new(payload.body, 3).map(|message| message.unwrap()).collect();
    let out: Vec<bool> = messages.iter().map(|(single, _)| single.compacted_out()).collect();
    assert_eq!(out, [true, false, false]);
    assert_eq!((&messages[1].1[..], &messages[2].1[..]), (&b"b1"[..], &b"a2"[..]));
}

fn send_keys(bench: &Bench, line: &Line, texts: &[&str]) {
    for (sequence_id, text) in texts.iter().enumerate() {
        bench.send(line, sequence_id as u64, Some(&text[..1]), text.as_bytes());
    }
}

#[test]
fn compaction_starts_by_itself_when_enough_has_come() {
    let policies = Policies { compaction_threshold: Some(100), ..Policies::default() };
    let bench = Bench::new(policies);
    let line = bench.producer("p");
    send_keys(&bench, &line, &["a1", "a2"]);
    bench.advance(0);
    assert_eq!(bench.topic.stats().compaction.ran_at, None, "below the threshold");
    send_keys(&bench, &line, &["a3", "a4", "a5", "a6", "b1"]);
    bench.advance(0);
    assert_eq!(compacted(&bench, "c").texts(), ["a6", "b1"]);
    let ran_at = bench.topic.stats().compaction.ran_at;
    bench.advance(5);
    assert_eq!(bench.topic.stats().compaction.ran_at, ran_at, "nothing has come since");
    send_keys(&bench, &line, &["b2"; 9]);
    bench.advance(0);
    assert_eq!(compacted(&bench, "d").texts(), ["a6", "b2"]);
}

#[test]
fn a_threshold_that_is_set_later_counts_what_is_there() {
    let bench = Bench::new(Policies::default());
    let line = bench.producer("p");
    send_keys(&bench, &line, &["a1"; 9]);
    bench.advance(0);
    assert_eq!(bench.topic.stats().compaction.ran_at, None);
    bench.topic.set_policies(Policies { compaction_threshold: Some(100), ..Policies::default() });
    bench.advance(0);
    assert_eq!(compacted(&bench, "c").texts(), ["a1"]);
}

#[test]
fn what_compaction_has_not_seen_is_kept_for_it() {
    let bench = Bench::new(Policies::default());
    let line = bench.producer("p");
    send_keys(&bench, &line, &["a1"]);
    bench.topic.compact();
    send_keys(&bench, &line, &["b1"]);
    let consumer = bench.consumer("s");
    let (last, _) = consumer.delivered().pop().unwrap();
    bench.acknowledge_up_to(&consumer, last);
    bench.topic.unload();
    assert_eq!(bench.topic.stats().entries, 1, "a1 is in the compacted view");
    bench.topic.compact();
    assert_eq!(bench.topic.stats().entries, 0);
    assert_eq!(compacted(&bench, "c").texts(), ["a1", "b1"]);
}

#[test]
fn a_compacted_subscription_goes_back_to_what_the_log_has_no_more() {
    let bench = Bench::new(Policies::default());
    let line = bench.producer("p");
    send_keys(&bench, &line, &["a1", "a2", "b1"]);
    bench.topic.compact();
    let earliest = MessageIdData { ledger_id: u64::MAX, entry_id: u64::MAX, ..MessageIdData::default() };
    let consumer = compacted(&bench, "s");
    let (last, _) = consumer.delivered().pop().unwrap();
    bench.acknowledge_up_to(&consumer, last);
    bench.topic.unload();
    assert_eq!(bench.topic.stats().entries, 0);
    for to in [SeekTo::Message(earliest), SeekTo::Time(0)] {
        let consumer = compacted(&bench, "s");
        assert_eq!(consumer.texts(), [""; 0]);
        bench.topic.seek(consumer.id, 7, &to).unwrap();
        assert_eq!(consumer.names(), ["CloseConsumer"]);
        let consumer = compacted(&bench, "s");
        let delivered = consumer.delivered();
        assert_eq!(delivered.iter().map(|(id, _)| id.entry_id).collect::<Vec<_>>(), [1, 2]);
        bench.acknowledge_up_to(&consumer, delivered[1].0.clone());
        bench.topic.unload();
    }
}
