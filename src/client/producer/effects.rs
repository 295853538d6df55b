//! What is to be done when the producer's lock is released: wake, answer, give memory back.

use std::sync::Arc;

use tokio::sync::Notify;

use super::completion::{Completion, Waiters};
use super::line::{Cancelled, Waiting, WaitingGroup};
use super::pending::{Barrier, Entry};
use crate::client::MemoryTicket;
use crate::error::{Error, Result};
use crate::protocol::message_id::MessageId;

/// Collected under the lock, run without it.
#[derive(Default)]
#[must_use = "they are to be run by `Shared::settle`"]
pub(super) struct Effects {
    pub(super) wakes: Vec<Arc<Notify>>,
    pub(super) answers: Vec<(Waiters, Result<MessageId>)>,
    /// Flushes that may end here.
    pub(super) barriers: Vec<Barrier>,
    /// Bytes of client memory to give back.
    pub(super) memory: u64,
    /// Claims on client memory to give up.
    pub(super) memory_claims: Vec<MemoryTicket>,
    /// What a caller took back, to be dropped without the lock.
    pub(super) cancelled: Option<Cancelled>,
    /// Whether there is room now for those in line.
    pub(super) room: bool,
    pub(super) confirmed: u64,
    pub(super) failed: u64,
}

impl Effects {
    /// An entry is done; its messages are not pending any more.
    pub(super) fn finish(&mut self, entry: Entry, outcome: Result<MessageId>, pending: &mut usize) {
        let count = entry.count;
        *pending = pending.saturating_sub(count as usize);
        self.memory += entry.memory;
        self.room = true;
        self.barriers.extend(entry.barriers);
        self.count(count, outcome.is_ok());
        self.answers.push((entry.waiters, outcome));
    }

    /// A message that was never admitted is refused.
    pub(super) fn refuse(&mut self, completion: Completion, error: Error) {
        let mut waiters = Waiters::default();
        waiters.push(completion);
        self.count(1, false);
        self.answers.push((waiters, Err(error)));
    }

    /// What waited in line is refused.
    pub(super) fn refuse_waiting(&mut self, waiting: Waiting, error: &Error) {
        match waiting {
            Waiting::Message(_, completion) => self.refuse(completion, error.clone()),
            Waiting::Group(WaitingGroup { group, index, lengths, .. }) => {
                for (offset, _) in lengths.enumerate() {
                    let index = index.saturating_add(u32::try_from(offset).unwrap_or(u32::MAX));
                    self.refuse(Completion::Slot { group: Arc::clone(&group), index }, error.clone());
                }
            }
            Waiting::Flush(barrier) => self.barriers.push(barrier),
        }
    }

    fn count(&mut self, messages: u32, confirmed: bool) {
        *if confirmed { &mut self.confirmed } else { &mut self.failed } += u64::from(messages);
    }
}
