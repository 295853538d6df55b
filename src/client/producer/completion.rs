//! How a sender learns what became of its message.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::{Error, Result};
use crate::protocol::message_id::MessageId;

/// How a sender learns what became of its message. Called on any thread, with no lock held; it must not block.
pub enum Completion {
    Callback(Box<dyn FnOnce(Result<MessageId>) + Send>),
    /// One place of a group that is answered as a whole.
    Slot {
        group: Arc<SendGroup>,
        index: u32,
    },
    Ignore,
}

/// Several sends with one answer, given when the last of them is done.
pub struct SendGroup(Mutex<Progress>);

type Done = Box<dyn FnOnce(GroupResults) + Send>;

struct Progress {
    len: u32,
    open: u32,
    runs: Vec<Run>,
    done: Option<Done>,
}

/// Neighbours with the same outcome.
#[derive(Clone, Debug)]
struct Run {
    first: u32,
    count: u32,
    /// Of the first one; the others follow it in its batch.
    outcome: Result<MessageId>,
}

/// What became of each message of a group, in order.
#[derive(Clone, Debug, Default)]
pub struct GroupResults(Vec<Run>);

impl SendGroup {
    /// A group of `len` places. Without any, it is answered at once.
    pub fn new(len: u32, done: impl FnOnce(GroupResults) + Send + 'static) -> Arc<Self> {
        let group = Progress { len, open: len, runs: Vec::new(), done: Some(Box::new(done)) };
        let group = Arc::new(Self(Mutex::new(group)));
        group.record(None);
        group
    }

    pub fn len(&self) -> u32 {
        self.0.lock().len
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Enters a failure for a place whose message was refused by `send` at once.
    pub fn fail(&self, index: u32, error: Error) {
        self.complete(index, 1, Err(error));
    }

    fn complete(&self, first: u32, count: u32, outcome: Result<MessageId>) {
        self.record(Some(Run { first, count, outcome }));
    }

    fn record(&self, run: Option<Run>) {
        let mut progress = self.0.lock();
        if let Some(run) = run {
            progress.open = progress.open.saturating_sub(run.count);
            progress.runs.push(run);
        }
        if progress.open > 0 {
            return;
        }
        let Some(done) = progress.done.take() else { return };
        let mut runs = std::mem::take(&mut progress.runs);
        drop(progress);
        runs.sort_by_key(|run| run.first);
        done(GroupResults(runs));
    }
}

impl GroupResults {
    pub fn len(&self) -> usize {
        self.0.iter().map(|run| run.count as usize).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every message was confirmed.
    pub fn all_confirmed(&self) -> bool {
        self.0.iter().all(|run| run.outcome.is_ok())
    }

    /// The outcomes, in the order of the group's places.
    pub fn iter(&self) -> impl Iterator<Item = Result<MessageId>> + '_ {
        self.0.iter().flat_map(|run| {
            (0..run.count).map(|offset| match &run.outcome {
                Ok(first) => Ok(following(*first, offset)),
                Err(error) => Err(error.clone()),
            })
        })
    }
}

/// The id of the message that comes `offset` places later in the same batch.
fn following(first: MessageId, offset: u32) -> MessageId {
    if first.batch_index < 0 {
        return first;
    }
    MessageId { batch_index: first.batch_index.saturating_add_unsigned(offset), ..first }
}

/// Those who wait for one entry, in the order of its messages.
#[derive(Default)]
pub(super) struct Waiters(Vec<Waiter>);

enum Waiter {
    Callback(Box<dyn FnOnce(Result<MessageId>) + Send>),
    Slots { group: Arc<SendGroup>, first: u32, count: u32 },
    Ignored { count: u32 },
}

impl Waiters {
    #[inline]
    pub(super) fn push(&mut self, completion: Completion) {
        match completion {
            Completion::Callback(callback) => self.0.push(Waiter::Callback(callback)),
            Completion::Slot { group, index } => self.push_slot(&group, index),
            Completion::Ignore => match self.0.last_mut() {
                Some(Waiter::Ignored { count }) => *count += 1,
                _ => self.0.push(Waiter::Ignored { count: 1 }),
            },
        }
    }

    #[inline]
    pub(super) fn push_slot(&mut self, group: &Arc<SendGroup>, index: u32) {
        match self.0.last_mut() {
            Some(Waiter::Slots { group: last, first, count })
                if Arc::ptr_eq(last, group) && first.wrapping_add(*count) == index =>
            {
                *count += 1;
            }
            _ => self.0.push(Waiter::Slots { group: Arc::clone(group), first: index, count: 1 }),
        }
    }

    /// Answers everybody. `outcome` is the entry's first message's.
    pub(super) fn complete(self, outcome: &Result<MessageId>) {
        let mut offset = 0;
        for waiter in self.0 {
            let own = || match outcome {
                Ok(first) => Ok(following(*first, offset)),
                Err(error) => Err(error.clone()),
            };
            offset += match waiter {
                Waiter::Callback(callback) => {
                    callback(own());
                    1
                }
                Waiter::Slots { group, first, count } => {
                    group.complete(first, count, own());
                    count
                }
                Waiter::Ignored { count } => count,
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    type Results = Arc<Mutex<Option<GroupResults>>>;

    fn group(len: u32) -> (Arc<SendGroup>, Results) {
        let results = Results::default();
        let kept = Arc::clone(&results);
        (SendGroup::new(len, move |group| *kept.lock() = Some(group)), results)
    }

    fn batched(entry: u64, batch_index: i32) -> MessageId {
        MessageId { batch_index, batch_size: 9, ..MessageId::new(1, entry) }
    }

    #[test]
    fn a_group_is_answered_once_in_order_whatever_the_order_of_receipts() {
        let (group, results) = group(5);
        let mut waiters = Waiters::default();
        waiters.push(Completion::Ignore);
        waiters.push_slot(&group, 3);
        waiters.push_slot(&group, 4);
        assert_eq!(waiters.0.len(), 2, "neighbours are one");
        waiters.complete(&Ok(batched(8, 0)));
        group.fail(2, Error::new(ErrorKind::MessageTooLarge, "too large"));
        assert!(results.lock().is_none());
        let mut waiters = Waiters::default();
        waiters.push(Completion::Slot { group: Arc::clone(&group), index: 0 });
        waiters.push(Completion::Slot { group: Arc::clone(&group), index: 1 });
        waiters.complete(&Ok(batched(7, 0)));

        let results = results.lock().take().unwrap();
        assert!(!results.all_confirmed());
        assert_eq!(results.len(), 5);
        let ids: Vec<_> = results.iter().map(Result::ok).collect();
        assert_eq!(
            ids,
            [Some(batched(7, 0)), Some(batched(7, 1)), None, Some(batched(8, 1)), Some(batched(8, 2))]
        );
    }

    #[test]
    fn an_empty_group_is_answered_at_once() {
        let (_, results) = group(0);
        assert!(results.lock().take().unwrap().is_empty());
    }

    #[test]
    fn a_callback_gets_the_id_of_its_own_message() {
        let ids = Arc::new(Mutex::new(Vec::new()));
        let mut waiters = Waiters::default();
        for _ in 0..3 {
            let ids = Arc::clone(&ids);
            waiters.push(Completion::Callback(Box::new(move |id| ids.lock().push(id.unwrap()))));
        }
        waiters.complete(&Ok(batched(7, 0)));
        assert_eq!(*ids.lock(), [batched(7, 0), batched(7, 1), batched(7, 2)]);
    }
}
