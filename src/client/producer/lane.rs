//! What a producer keeps for one partition.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::batcher::{BatchLimits, Batcher, single};
use super::completion::Completion;
use super::effects::Effects;
use super::encode::too_large;
use super::message::Prepared;
use super::pending::{Entry, Pending};
use super::sequence::Sequence;
use crate::error::{Error, Result};
use crate::protocol::message_id::MessageId;
use crate::protocol::proto::CommandSendReceipt;

pub(super) struct Lane {
    pub(super) batcher: Batcher,
    pub(super) pending: Pending,
    pub(super) sequence: Sequence,
    pub(super) limits: BatchLimits,
    /// The number of the partition for message ids, or -1.
    pub(super) partition: i32,
    /// The connection that entries are sent on; `None` while there is none.
    pub(super) connection: Option<u64>,
    pub(super) producer_name: String,
    /// Of exclusive access.
    pub(super) topic_epoch: Option<u64>,
    pub(super) max_message_size: usize,
    /// Whether payloads may become smaller before they are sent.
    pub(super) compressed: bool,
    /// The highest sequence id that is known to be stored, or -1.
    pub(super) last_confirmed: i64,
    /// Why nothing can be sent here any more.
    pub(super) failed: Option<Error>,
    /// Wakes the partition's task.
    wake: Arc<Notify>,
    /// Whether the task was woken since it last looked.
    woken: bool,
}

impl Lane {
    pub(super) fn new(wake: Arc<Notify>, partition: i32, limits: BatchLimits, compressed: bool) -> Self {
        Self {
            batcher: Batcher::default(),
            pending: Pending::default(),
            sequence: Sequence::after(-1),
            limits,
            partition,
            connection: None,
            producer_name: String::new(),
            topic_epoch: None,
            max_message_size: usize::MAX,
            compressed,
            last_confirmed: -1,
            failed: None,
            wake,
            woken: false,
        }
    }

    pub(super) fn wake(&mut self, effects: &mut Effects) {
        if !std::mem::replace(&mut self.woken, true) {
            effects.wakes.push(Arc::clone(&self.wake));
        }
    }

    /// The task has come to look.
    pub(super) fn looked_at(&mut self) {
        self.woken = false;
    }

    /// Whether a batch is not kept open, since no entry is before it.
    pub(super) fn is_idle(&self) -> bool {
        self.pending.is_empty() && !self.limits.when_idle
    }

    /// An entry is done, stored or not: a batch that waited behind it may go.
    pub(super) fn entry_done(&mut self, effects: &mut Effects) {
        if self.is_idle() && !self.batcher.is_empty() {
            self.wake(effects);
        }
    }

    /// Why this message cannot be sent here, if it cannot.
    pub(super) fn check(&self, message: &Prepared<'_>) -> Result<()> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let size = message.payload.len();
        if size > self.max_message_size && !self.compressed {
            return Err(too_large(size, self.max_message_size));
        }
        Ok(())
    }

    /// Takes a message in; true if batches were closed by it, or it went alone.
    pub(super) fn append(
        &mut self,
        message: Prepared<'_>,
        completion: Completion,
        send_timeout: Option<Duration>,
        since: impl Fn() -> Instant,
        effects: &mut Effects,
    ) -> bool {
        if self.limits.goes_alone(&message) {
            self.close_batches(send_timeout);
            let mut entry = single(message, completion, &mut self.sequence);
            entry.deadline = send_timeout.map(|timeout| since() + timeout);
            self.pending.push(entry);
            self.wake(effects);
            return true;
        }
        let mut closed = false;
        if self.batcher.excludes(&message, &self.limits, &self.sequence) {
            closed = self.close_batches(send_timeout);
        }
        let opens = self.batcher.is_empty();
        if self.batcher.add(message, completion, &self.limits, &mut self.sequence, since) {
            closed |= self.close_batches(send_timeout);
        }
        if closed || opens {
            self.wake(effects);
        }
        closed
    }

    /// Closes the open batches; true if there were any.
    pub(super) fn close_batches(&mut self, send_timeout: Option<Duration>) -> bool {
        let Some(opened_at) = self.batcher.opened_at() else { return false };
        let deadline = send_timeout.map(|timeout| opened_at + timeout);
        for entry in self.batcher.close(&mut self.sequence) {
            self.pending.push(Entry { deadline, ..entry });
        }
        true
    }

    /// Where the first message of an entry was stored.
    pub(super) fn confirm(&mut self, entry: &Entry, receipt: &CommandSendReceipt) -> MessageId {
        let highest = i64::try_from(entry.highest_sequence_id).unwrap_or(i64::MAX);
        self.last_confirmed = self.last_confirmed.max(highest);
        // Without an id, the broker had stored the entry before.
        let stored = receipt.message_id.as_ref().map_or(MessageId::EARLIEST, MessageId::from);
        MessageId {
            partition: self.partition,
            batch_index: if entry.batched { 0 } else { -1 },
            batch_size: if entry.batched { i32::try_from(entry.count).unwrap_or(i32::MAX) } else { 0 },
            first_chunk: None,
            ..stored
        }
    }
}
