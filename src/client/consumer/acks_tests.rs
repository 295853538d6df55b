use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::ack_state::Acked;
use super::acks::AckTracker;
use super::position::Position;

fn at(entry: i64) -> Position {
    Position::new(1, entry)
}

fn tracker() -> AckTracker {
    AckTracker::new(false, false)
}

fn individual(tracker: &mut AckTracker, entry: i64, size: u32, index: u32) {
    let state = tracker.state_of(at(entry), size);
    let acked = state.acknowledge(index);
    tracker.individual(&state, acked);
}

#[test]
fn cumulative_inside_a_batch_goes_up_to_the_entry_before() {
    let mut tracker = tracker();
    individual(&mut tracker, 3, 0, 0);
    let state = tracker.batch(at(5), 4);
    state.acknowledge_up_to(1);
    assert_eq!(tracker.cumulative(&state), at(4));
    let group = tracker.take().unwrap();
    assert!(group.whole.is_empty(), "the cumulative one covers it");
    assert_eq!(group.cumulative.unwrap().position, at(4));
    state.acknowledge_up_to(3);
    assert_eq!(tracker.cumulative(&state), at(5));
    assert_eq!(tracker.open(), 0);
}

#[test]
fn a_later_cumulative_is_kept() {
    let mut tracker = tracker();
    for entry in [9, 2] {
        let state = tracker.state_of(at(entry), 0);
        state.acknowledge_all();
        tracker.cumulative(&state);
    }
    assert_eq!(tracker.take().unwrap().cumulative.unwrap().position, at(9));
}

#[test]
fn bit_sets_are_sent_only_where_wanted() {
    for wanted in [false, true] {
        let mut tracker = AckTracker::new(wanted, false);
        individual(&mut tracker, 5, 4, 1);
        assert_eq!(tracker.grouped(), usize::from(wanted));
        let state = tracker.batch(at(5), 4);
        state.acknowledge_up_to(2);
        tracker.cumulative(&state);
        let cumulative = tracker.take().unwrap().cumulative.unwrap();
        assert_eq!(cumulative.partial.map(|state| state.ack_set()), wanted.then(|| vec![0b1000]));
    }
}

#[test]
fn an_id_of_an_unknown_batch_acknowledges_it_when_all_its_ids_did() {
    let mut tracker = tracker();
    for index in 0..3 {
        assert_eq!(tracker.grouped(), 0);
        individual(&mut tracker, 8, 3, index);
    }
    assert_eq!(tracker.grouped(), 1);
}

#[test]
fn a_group_that_was_not_written_comes_back() {
    let mut tracker = AckTracker::new(false, true);
    individual(&mut tracker, 1, 0, 0);
    let first = tracker.receipt().unwrap();
    let group = tracker.take().unwrap();
    individual(&mut tracker, 2, 0, 0);
    let second = tracker.receipt().unwrap();
    tracker.restore(group);
    assert!(tracker.is_acknowledged(at(1)) && tracker.is_acknowledged(at(2)));
    tracker.take().unwrap().answer(&Ok(()));
    for receipt in [first, second] {
        assert!(matches!(*receipt.borrow(), Some(Ok(()))));
    }
}

#[test]
fn without_receipts_there_are_none() {
    let mut tracker = tracker();
    individual(&mut tracker, 1, 0, 0);
    assert!(tracker.receipt().is_none());
}

proptest! {
    /// Against a model that is a set of messages: an entry is told to the broker when, and only when, all of it is
    /// acknowledged, and once.
    #[test]
    fn the_tracker_agrees_with_a_set(
        sizes in prop::collection::vec(0..70u32, 1..8),
        steps in prop::collection::vec((0..8usize, 0..70u32, any::<bool>()), 0..200),
    ) {
        let mut tracker = tracker();
        let mut open: Vec<BTreeSet<u32>> = sizes.iter().map(|size| (0..(*size).max(1)).collect()).collect();
        let mut told = BTreeSet::new();
        let states: Vec<_> = sizes.iter().zip(0..).map(|(size, entry)| tracker.state_of(at(entry), *size)).collect();
        for (entry, index, flush) in steps {
            let entry = entry % sizes.len();
            let index = index % sizes[entry].max(1);
            let expected = match (open[entry].remove(&index), open[entry].is_empty()) {
                (false, _) => Acked::Nothing,
                (true, false) => Acked::Part,
                (true, true) => Acked::Whole,
            };
            let state: &Arc<_> = &states[entry];
            let acked = state.acknowledge(index);
            prop_assert_eq!(acked, expected);
            tracker.individual(state, acked);
            if flush && let Some(group) = tracker.take() {
                for position in group.whole {
                    prop_assert!(told.insert(position), "told twice");
                }
            }
        }
        told.extend(tracker.take().into_iter().flat_map(|group| group.whole));
        let whole: BTreeSet<_> = open.iter().zip(0..).filter(|(open, _)| open.is_empty()).map(|(_, e)| at(e)).collect();
        prop_assert_eq!(told, whole);
    }
}
