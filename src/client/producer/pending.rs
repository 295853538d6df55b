//! Entries that are not confirmed yet, in the order in which they are stored.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::completion::Waiters;
use super::encode::Raw;
use crate::client::OutFrame;

/// Ends a flush when the last copy is dropped.
pub(super) type Barrier = Arc<oneshot::Sender<()>>;

/// An entry on its way.
pub(super) struct Entry {
    /// Grows along the queue.
    pub(super) id: u64,
    pub(super) sequence_id: u64,
    pub(super) highest_sequence_id: u64,
    /// The number of messages.
    pub(super) count: u32,
    pub(super) batched: bool,
    /// Bytes of client memory that its payloads hold.
    pub(super) memory: u64,
    pub(super) deadline: Option<Instant>,
    pub(super) content: Content,
    pub(super) waiters: Waiters,
    /// Flushes that end when this entry and all before it are done.
    pub(super) barriers: Vec<Barrier>,
    /// How often the broker received it damaged.
    pub(super) damaged: u8,
}

pub(super) enum Content {
    Raw(Box<Raw>),
    /// The task has it in hand.
    Encoding,
    /// Kept as it was sent, to be resent without change.
    Encoded(OutFrame),
}

/// What the task is to do with an entry.
pub(super) enum Work {
    Encode(u64, Box<Raw>),
    Send(OutFrame),
}

/// What a receipt is for.
pub(super) enum Receipt {
    Confirmed(Box<Entry>),
    /// For an entry that was given up meanwhile.
    Stale,
    /// For an entry that is not the next one: client and broker disagree.
    Unexpected,
}

#[derive(Default)]
pub(super) struct Pending {
    entries: VecDeque<Entry>,
    /// How many, from the front, were handed to the present connection.
    sent: usize,
    next_id: u64,
}

impl Pending {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn push(&mut self, mut entry: Entry) {
        entry.id = self.next_id;
        self.next_id += 1;
        self.entries.push_back(entry);
    }

    /// On a new connection, everything is sent once more.
    pub(super) fn restart(&mut self) {
        self.sent = 0;
    }

    /// The next entries to send, at most `max`. Those that come to encode are given back with `encoded`.
    pub(super) fn next(&mut self, max: usize) -> Vec<Work> {
        let mut work = Vec::new();
        while let Some(entry) = self.entries.get_mut(self.sent)
            && work.len() < max
        {
            match std::mem::replace(&mut entry.content, Content::Encoding) {
                Content::Raw(raw) => work.push(Work::Encode(entry.id, raw)),
                Content::Encoded(frame) => {
                    entry.content = Content::Encoded(frame.clone());
                    work.push(Work::Send(frame));
                }
                Content::Encoding => break,
            }
            self.sent += 1;
        }
        work
    }

    /// Keeps the frame of an entry; false if the entry was given up meanwhile, and is not to be sent.
    pub(super) fn encoded(&mut self, id: u64, frame: OutFrame) -> bool {
        match self.index(id).and_then(|index| self.entries.get_mut(index)) {
            Some(entry) => {
                entry.content = Content::Encoded(frame);
                true
            }
            None => false,
        }
    }

    pub(super) fn receipt(&mut self, sequence_id: u64) -> Receipt {
        match self.entries.front() {
            Some(front) if self.sent > 0 && front.sequence_id == sequence_id => {
                self.remove_at(0).map_or(Receipt::Stale, |entry| Receipt::Confirmed(Box::new(entry)))
            }
            Some(front) if self.sent > 0 && front.sequence_id < sequence_id => Receipt::Unexpected,
            _ => Receipt::Stale,
        }
    }

    /// The entry with this sequence id that was sent.
    pub(super) fn sent_entry(&mut self, sequence_id: u64) -> Option<&mut Entry> {
        self.entries.iter_mut().take(self.sent).find(|entry| entry.sequence_id == sequence_id)
    }

    /// Takes out an entry, wherever it is; a flush that waited for it waits for the one before.
    pub(super) fn remove(&mut self, id: u64) -> Option<Entry> {
        self.index(id).and_then(|index| self.remove_at(index))
    }

    /// Takes out the entries at the front whose time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Entry> {
        let mut expired = Vec::new();
        while self.next_deadline().is_some_and(|deadline| deadline <= now) {
            expired.extend(self.remove_at(0));
        }
        expired
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.entries.front().and_then(|entry| entry.deadline)
    }

    pub(super) fn drain(&mut self) -> Vec<Entry> {
        self.sent = 0;
        self.entries.drain(..).collect()
    }

    /// `barrier` is dropped when all that is here now is done.
    pub(super) fn add_barrier(&mut self, barrier: &Barrier) {
        if let Some(last) = self.entries.back_mut() {
            last.barriers.push(Arc::clone(barrier));
        }
    }

    fn index(&self, id: u64) -> Option<usize> {
        self.entries.binary_search_by_key(&id, |entry| entry.id).ok()
    }

    fn remove_at(&mut self, index: usize) -> Option<Entry> {
        let mut entry = self.entries.remove(index)?;
        if index < self.sent {
            self.sent -= 1;
        }
        if let Some(before) = index.checked_sub(1).and_then(|before| self.entries.get_mut(before)) {
            before.barriers.append(&mut entry.barriers);
        }
        Some(entry)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;

    fn entry(sequence_id: u64, deadline: Option<Instant>) -> Entry {
        let frame = OutFrame { header: Bytes::from(sequence_id.to_be_bytes().to_vec()), body: Bytes::new() };
        Entry {
            id: 0,
            sequence_id,
            highest_sequence_id: sequence_id,
            count: 1,
            batched: false,
            memory: 0,
            deadline,
            content: Content::Encoded(frame),
            waiters: Waiters::default(),
            barriers: Vec::new(),
            damaged: 0,
        }
    }

    fn pending(sequence_ids: impl IntoIterator<Item = u64>) -> Pending {
        let mut pending = Pending::default();
        sequence_ids.into_iter().for_each(|sequence_id| pending.push(entry(sequence_id, None)));
        pending
    }

    fn sent(pending: &mut Pending) -> Vec<u64> {
        let frame = |work| match work {
            Work::Send(frame) => frame.header.first_chunk().map(|id| u64::from_be_bytes(*id)),
            Work::Encode(..) => None,
        };
        pending.next(usize::MAX).into_iter().filter_map(frame).collect()
    }

    #[test]
    fn after_a_restart_everything_is_sent_again_in_order() {
        let mut pending = pending(0..4);
        assert_eq!(sent(&mut pending), [0, 1, 2, 3]);
        assert!(sent(&mut pending).is_empty());
        assert!(matches!(pending.receipt(0), Receipt::Confirmed(_)));
        pending.restart();
        pending.push(entry(4, None));
        assert_eq!(sent(&mut pending), [1, 2, 3, 4]);
    }

    #[test]
    fn receipts_are_for_the_front_or_stale_or_unexpected() {
        let mut pending = pending([5, 6]);
        assert!(matches!(pending.receipt(5), Receipt::Stale), "nothing was sent");
        sent(&mut pending);
        assert!(matches!(pending.receipt(4), Receipt::Stale));
        assert!(matches!(pending.receipt(6), Receipt::Unexpected));
        assert!(matches!(pending.receipt(5), Receipt::Confirmed(_)));
        assert!(matches!(pending.receipt(6), Receipt::Confirmed(_)));
        assert!(matches!(pending.receipt(6), Receipt::Stale));
    }

    #[test]
    fn only_what_is_over_expires_and_the_rest_is_still_sent_once() {
        let now = Instant::now();
        let mut pending = Pending::default();
        pending.push(entry(0, Some(now)));
        pending.push(entry(1, Some(now + Duration::from_secs(1))));
        assert_eq!(pending.next(1).len(), 1);
        assert_eq!(pending.expire(now).len(), 1);
        assert_eq!(sent(&mut pending), [1]);
    }

    #[test]
    fn a_barrier_outlives_the_failure_of_the_entry_it_was_set_on() {
        let mut pending = pending(0..2);
        let (sender, mut receiver) = oneshot::channel::<()>();
        pending.add_barrier(&Arc::new(sender));
        drop(pending.remove(1));
        assert_eq!(receiver.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        drop(pending.remove(0));
        assert_eq!(receiver.try_recv(), Err(oneshot::error::TryRecvError::Closed));
    }
}
