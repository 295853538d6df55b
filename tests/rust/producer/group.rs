//! Many messages with one answer.

use std::sync::Arc;

use fastapi_pulsar_core::client::options::{OnFull, ProducerOptions};
use fastapi_pulsar_core::client::{GroupResults, SendGroup, SendTicket};
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::message_id::MessageId;
use tokio::sync::oneshot;

use crate::bench::{Bench, options, text};
use crate::support::peer::{MAX_MESSAGE_SIZE, soon};

fn send(bench: &Bench, payloads: &[&str]) -> (SendTicket, oneshot::Receiver<GroupResults>) {
    let (sender, receiver) = oneshot::channel();
    let group =
        SendGroup::new(u32::try_from(payloads.len()).unwrap(), move |results| drop(sender.send(results)));
    let ticket =
        bench.producer.send_group(&group, 0, payloads.iter().map(|payload| payload.as_bytes())).unwrap();
    (ticket, receiver)
}

fn batched(entry: u64, batch_index: i32) -> MessageId {
    MessageId { batch_index, ..MessageId::new(1, entry) }
}

#[tokio::test]
async fn ids_come_in_order_and_what_does_not_fit_waits() {
    let options = ProducerOptions { batch_max_messages: 2, max_pending_messages: 4, ..options() };
    let mut bench = Bench::new(options).await;
    let (_, results) = send(&bench, &["0", "1", "2", "3", "4", "5"]);
    assert_eq!((bench.producer.stats().pending_messages, bench.producer.stats().waiting), (4, 1));
    for payloads in [["0", "1"], ["2", "3"], ["4", "5"]] {
        assert_eq!(bench.store().await.payloads(), payloads);
    }
    let results = soon("results", results).await.unwrap();
    assert!(results.all_confirmed());
    let ids: Vec<MessageId> = results.iter().map(Result::unwrap).collect();
    assert_eq!(
        ids,
        [(0, 0), (0, 1), (2, 0), (2, 1), (4, 0), (4, 1)].map(|(entry, index)| batched(entry, index))
    );
    assert_eq!(bench.client.stats().memory_used, 0);
    bench.close().await;
}

#[tokio::test]
async fn one_too_large_fails_alone() {
    let mut bench = Bench::new(ProducerOptions { batch_max_messages: 2, ..options() }).await;
    let huge = "x".repeat(MAX_MESSAGE_SIZE + 1);
    let (_, results) = send(&bench, &["0", &huge, "2"]);
    assert_eq!(bench.store().await.payloads(), ["0", "2"]);
    let results = soon("results", results).await.unwrap();
    let kinds: Vec<_> = results.iter().map(|outcome| outcome.map_err(|error| error.kind())).collect();
    assert_eq!(kinds, [Ok(batched(0, 0)), Err(ErrorKind::MessageTooLarge), Ok(batched(0, 1))]);
}

#[tokio::test]
async fn the_rest_can_be_taken_back() {
    let options = ProducerOptions { batch_max_messages: 2, max_pending_messages: 2, ..options() };
    let mut bench = Bench::new(options).await;
    let (ticket, results) = send(&bench, &["0", "1", "2", "3"]);
    assert!(bench.producer.cancel(ticket));
    assert_eq!(bench.store().await.payloads(), ["0", "1"]);
    assert!(soon("the group's end", results).await.is_err(), "it is never answered");
    bench.close().await;
}

#[tokio::test]
async fn a_full_queue_is_an_outcome_of_each_message() {
    let options = ProducerOptions {
        batch_max_messages: 2,
        max_pending_messages: 2,
        on_full: OnFull::Error,
        ..options()
    };
    let mut bench = Bench::new(options).await;
    let (_, results) = send(&bench, &["0", "1", "2", "3"]);
    assert_eq!(bench.store().await.payloads(), ["0", "1"]);
    let results = soon("results", results).await.unwrap();
    let refused: Vec<_> = results.iter().map(|outcome| outcome.err().map(|error| error.kind())).collect();
    let full = Some(ErrorKind::QueueFull);
    assert_eq!(refused, [None, None, full, full]);
    let stats = bench.producer.stats();
    assert_eq!((stats.messages_confirmed, stats.messages_failed), (2, 2));
}

#[tokio::test]
async fn messages_of_a_group_may_be_sent_one_by_one() {
    let mut bench = Bench::new(ProducerOptions { batch_max_messages: 2, ..options() }).await;
    let (sender, receiver) = oneshot::channel();
    let group = SendGroup::new(2, move |results: GroupResults| drop(sender.send(results)));
    for (index, payload) in (0..).zip(["a", "b"]) {
        let slot = fastapi_pulsar_core::client::Completion::Slot { group: Arc::clone(&group), index };
        bench.producer.send(text(payload), slot).unwrap();
    }
    bench.store().await;
    assert_eq!(soon("results", receiver).await.unwrap().len(), 2);
}
