use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::message::Message;
use super::queue::Poll;
use super::test_support::Bench;
use super::waiters::{Ticket, Waker};
use crate::client::options::ConsumerOptions;
use crate::error::{Error, ErrorKind};

fn bench() -> Bench {
    Bench::new(ConsumerOptions::default())
}

/// Makes wakers that count.
#[derive(Clone, Default)]
struct Woken(Arc<AtomicUsize>);

impl Woken {
    fn waker(&self) -> Waker {
        let woken = self.0.clone();
        Box::new(move || {
            woken.fetch_add(1, Ordering::SeqCst);
        })
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

fn wait(bench: &Bench, ticket: Option<Ticket>, woken: &Woken) -> Ticket {
    match bench.queue.poll(ticket, || woken.waker()) {
        Poll::Waiting(ticket) => ticket,
        other => panic!("{other:?} instead of a wait"),
    }
}

fn ready(bench: &Bench, ticket: Option<Ticket>) -> String {
    match bench.queue.poll(ticket, || panic!("has to wait")) {
        Poll::Ready(message) => text(&message),
        other => panic!("{other:?} instead of a message"),
    }
}

fn text(message: &Message) -> String {
    String::from_utf8(message.payload().to_vec()).unwrap()
}

#[test]
fn a_fast_path_never_overtakes_a_waiter() {
    let (bench, first, second) = (bench(), Woken::default(), Woken::default());
    let ticket = wait(&bench, None, &first);
    bench.deliver_batch(0, 1);
    assert_eq!(first.count(), 1);
    let late = wait(&bench, None, &second);
    assert!(bench.texts().is_empty(), "the message belongs to the waiter");
    assert_eq!(ready(&bench, Some(ticket)), "0:0");
    assert_eq!(second.count(), 0);
    bench.deliver_batch(1, 1);
    assert_eq!(second.count(), 1);
    assert_eq!(ready(&bench, Some(late)), "1:0");
}

#[test]
fn a_cancelled_waiter_that_was_woken_passes_it_on() {
    let (bench, first, second) = (bench(), Woken::default(), Woken::default());
    let one = wait(&bench, None, &first);
    let two = wait(&bench, None, &second);
    bench.deliver_batch(0, 1);
    assert_eq!((first.count(), second.count()), (1, 0));
    bench.queue.cancel(one);
    assert_eq!(second.count(), 1);
    assert_eq!(ready(&bench, Some(two)), "0:0");
}

#[test]
fn a_waiter_whose_message_was_forgotten_keeps_its_place() {
    let (bench, first, second) = (bench(), Woken::default(), Woken::default());
    let one = wait(&bench, None, &first);
    bench.deliver_batch(0, 1);
    let two = wait(&bench, None, &second);
    assert_eq!(bench.queue.forget(&bench.partition, || {}), 1);
    let one = wait(&bench, Some(one), &first);
    bench.deliver_batch(1, 1);
    assert_eq!((first.count(), second.count()), (2, 0));
    assert_eq!(ready(&bench, Some(one)), "1:0");
    bench.queue.cancel(two);
}

#[test]
fn a_stop_is_reached_after_what_is_before_it_and_wakes_everybody() {
    let (bench, woken) = (bench(), Woken::default());
    bench.deliver_batch(0, 1);
    bench.queue.stop(bench.partition.clone(), 1, Error::new(ErrorKind::Encrypted, "no key"));
    bench.deliver_batch(1, 1);
    assert_eq!(bench.texts(), ["0:0"]);
    for _ in 0..2 {
        match bench.queue.poll(None, || woken.waker()) {
            Poll::Failed(error) => assert_eq!(error.kind(), ErrorKind::Encrypted),
            other => panic!("{other:?}"),
        }
    }
    bench.queue.forget(&bench.partition, || {});
    bench.deliver_batch(2, 1);
    assert_eq!(bench.texts(), ["2:0"]);
}

#[test]
fn failing_wakes_everybody_and_comes_before_what_is_queued() {
    let (bench, woken) = (bench(), Woken::default());
    let ticket = wait(&bench, None, &woken);
    bench.deliver_batch(0, 3);
    bench.queue.fail(Error::new(ErrorKind::Closed, "closed"), false);
    assert_eq!(woken.count(), 1);
    assert!(matches!(bench.queue.poll(Some(ticket), || woken.waker()), Poll::Failed(_)));
    assert_eq!(bench.queue.take(10, 10).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(bench.queue.len(), 0);
}

#[test]
fn an_end_comes_after_the_rest() {
    let bench = bench();
    bench.deliver_batch(0, 1);
    bench.queue.fail(Error::new(ErrorKind::TopicTerminated, "terminated"), true);
    assert_eq!(bench.texts(), ["0:0"]);
    assert_eq!(bench.queue.take(1, 1).unwrap_err().kind(), ErrorKind::TopicTerminated);
    bench.queue.go_on();
    bench.deliver_batch(1, 1);
    assert_eq!(bench.texts(), ["1:0"]);
}

#[test]
fn take_is_bounded_by_count_and_bytes() {
    let bench = bench();
    bench.deliver_batch(0, 9);
    assert_eq!(bench.queue.take(2, usize::MAX).unwrap().len(), 2);
    assert_eq!(bench.queue.take(9, 4).unwrap().len(), 2, "3 bytes each, and the second reaches 4");
    assert_eq!(bench.queue.take(0, 9).unwrap().len(), 0);
    assert_eq!(bench.queue.len(), 5);
}

#[test]
fn what_is_stale_is_not_accepted() {
    let bench = bench();
    bench.deliver_batch(0, 2);
    assert_eq!(bench.queue.forget(&bench.partition, || bench.partition.accept_only(2)), 2);
    bench.deliver_batch(1, 2);
    assert_eq!(bench.queue.len(), 0);
}

#[derive(Clone, Debug)]
enum Step {
    Deliver(usize),
    Receive,
    Poll(usize),
    Cancel(usize),
    Take(usize),
    Forget,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (1..5usize).prop_map(Step::Deliver),
        5 => Just(Step::Receive),
        5 => (0..9usize).prop_map(Step::Poll),
        2 => (0..9usize).prop_map(Step::Cancel),
        2 => (1..5usize).prop_map(Step::Take),
        1 => Just(Step::Forget),
    ]
}

proptest! {
    /// Whatever happens: messages come out once each and in order, no waiter sleeps while a message is unclaimed,
    /// and nobody who comes later is served while somebody waits unwoken.
    #[test]
    fn nothing_is_lost_and_nobody_is_stranded(steps in prop::collection::vec(step(), 1..80)) {
        let bench = bench();
        let mut expected = VecDeque::new();
        let mut waiters: Vec<(Ticket, Woken)> = Vec::new();
        let mut entry = 0;
        for step in steps {
            match step {
                Step::Deliver(size) => {
                    bench.deliver_batch(entry, size);
                    expected.extend((0..size).map(|index| format!("{entry}:{index}")));
                    entry += 1;
                }
                Step::Receive => {
                    let (woken, asleep) = (Woken::default(), waiters.iter().any(|(_, w)| w.count() == 0));
                    match bench.queue.poll(None, || woken.waker()) {
                        Poll::Ready(message) => {
                            prop_assert!(!asleep, "overtook a waiter");
                            prop_assert_eq!(Some(text(&message)), expected.pop_front());
                        }
                        Poll::Waiting(ticket) => waiters.push((ticket, woken)),
                        Poll::Failed(error) => prop_assert!(false, "{}", error),
                    }
                }
                Step::Poll(at) if !waiters.is_empty() => {
                    let (ticket, old) = waiters.remove(at % waiters.len());
                    let woken = Woken::default();
                    match bench.queue.poll(Some(ticket), || woken.waker()) {
                        Poll::Ready(message) => {
                            prop_assert_eq!(Some(text(&message)), expected.pop_front());
                        }
                        Poll::Waiting(same) => {
                            prop_assert_eq!(same, ticket);
                            prop_assert!(old.count() == 0 || expected.is_empty(), "a claim was not honoured");
                            waiters.push((ticket, woken));
                        }
                        Poll::Failed(error) => prop_assert!(false, "{}", error),
                    }
                }
                Step::Cancel(at) if !waiters.is_empty() => {
                    let (ticket, _) = waiters.remove(at % waiters.len());
                    bench.queue.cancel(ticket);
                }
                Step::Take(count) => {
                    for message in bench.queue.take(count, usize::MAX).unwrap() {
                        prop_assert_eq!(Some(text(&message)), expected.pop_front());
                    }
                }
                Step::Forget => {
                    prop_assert_eq!(bench.queue.forget(&bench.partition, || {}), expected.len());
                    expected.clear();
                }
                Step::Poll(_) | Step::Cancel(_) => {}
            }
            let claims = waiters.iter().filter(|(_, woken)| woken.count() > 0).count();
            let asleep = waiters.len() - claims;
            prop_assert_eq!(bench.queue.len(), expected.len());
            prop_assert!(asleep == 0 || claims >= expected.len(), "{asleep} sleep while messages are free");
        }
    }
}
