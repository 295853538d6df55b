//! Everything of a producer that changes, under one lock: admission, line, partitions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::completion::Completion;
use super::effects::Effects;
use super::lane::Lane;
use super::line::{Line, MemoryWait, SendTicket, Waiting, WaitingGroup};
use super::message::Prepared;
use super::pending::Barrier;
use super::router::Router;
use super::shared::Shared;
use crate::client::options::{OnFull, ProducerOptions};
use crate::error::{Error, ErrorKind, Result};

/// How far a producer's life has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Open,
    /// Nothing new; what was sent before is still flushed.
    Closing,
    Closed,
}

pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) lanes: Vec<Lane>,
    pub(super) router: Router,
    pub(super) line: Line,
    /// Messages admitted and not done, over all partitions.
    pub(super) pending: usize,
    pub(super) last_error: Option<Error>,
    max_pending: usize,
    on_full: OnFull,
    /// `None` is for ever.
    pub(super) send_timeout: Option<Duration>,
    memory_round: u64,
}

impl State {
    pub(super) fn new(options: &ProducerOptions, first_partition: usize) -> Self {
        Self {
            phase: Phase::Open,
            lanes: Vec::new(),
            router: Router::new(options.routing, options.hashing, first_partition),
            line: Line::default(),
            pending: 0,
            last_error: None,
            max_pending: if options.max_pending_messages == 0 {
                usize::MAX
            } else {
                options.max_pending_messages
            },
            on_full: options.on_full,
            send_timeout: Some(options.send_timeout).filter(|timeout| !timeout.is_zero()),
            memory_round: 0,
        }
    }

    pub(super) fn check_open(&self) -> Result<()> {
        if self.phase == Phase::Open { Ok(()) } else { Err(closed()) }
    }

    /// Which lane a message goes to, if it may be sent at all.
    pub(super) fn check(&self, message: &Prepared<'_>) -> Result<usize> {
        let index = self.router.choose(message, self.lanes.len())?;
        match self.lanes.get(index) {
            Some(lane) => lane.check(message).map(|()| index),
            None => Err(closed()),
        }
    }

    /// Admits a message at once if there is room and nobody waits.
    pub(super) fn has_room_now(&self, shared: &Shared, bytes: u64) -> bool {
        self.line.is_empty() && self.pending < self.max_pending && shared.client.memory().try_reserve(bytes)
    }

    /// Puts somebody into the line, or refuses if the producer is so configured.
    pub(super) fn wait_in_line(
        &mut self,
        shared: &Arc<Shared>,
        make: impl FnOnce() -> Waiting,
        effects: &mut Effects,
    ) -> Result<SendTicket> {
        if self.on_full == OnFull::Error {
            return Err(queue_full());
        }
        let ticket = self.line.push(make(), shared.now());
        // It may be that only memory lacks: then it must be asked for. The first lane watches over the time.
        self.admit_waiting(shared, effects);
        if let Some(lane) = self.lanes.first_mut() {
            lane.wake(effects);
        }
        Ok(ticket)
    }

    /// Puts the rest of a group into the line, or refuses each of its messages if the producer is so configured.
    pub(super) fn wait_group(
        &mut self,
        shared: &Arc<Shared>,
        rest: WaitingGroup,
        effects: &mut Effects,
    ) -> SendTicket {
        if self.on_full == OnFull::Error || self.phase != Phase::Open {
            let error = if self.phase == Phase::Open { queue_full() } else { closed() };
            effects.refuse_waiting(Waiting::Group(rest), &error);
            return SendTicket::ADMITTED;
        }
        self.wait_in_line(shared, || Waiting::Group(rest), effects).unwrap_or(SendTicket::ADMITTED)
    }

    /// Takes in a message for which there is room. `since` is when it was sent.
    pub(super) fn append(
        &mut self,
        index: usize,
        message: Prepared<'_>,
        completion: Completion,
        since: impl Fn() -> Instant,
        effects: &mut Effects,
    ) {
        let partitions = self.lanes.len();
        let Some(lane) = self.lanes.get_mut(index) else { return };
        self.pending += 1;
        if lane.append(message, completion, self.send_timeout, since, effects) {
            self.router.closed(index, partitions);
        }
    }

    /// Admits from the line while there is room. If somebody still waits, nothing can join the open batches before
    /// something is done: they are closed, instead of waiting for their time.
    pub(super) fn admit_waiting(&mut self, shared: &Arc<Shared>, effects: &mut Effects) {
        self.admit_fitting(shared, effects);
        if !self.line.is_empty() {
            self.close_batches(effects);
        }
    }

    fn admit_fitting(&mut self, shared: &Arc<Shared>, effects: &mut Effects) {
        loop {
            if let Some(barrier) = self.line.pop_flush() {
                self.begin_flush(&barrier, effects);
                effects.barriers.push(barrier);
                continue;
            }
            let Some(bytes) = self.line.next_bytes() else { return };
            if self.pending >= self.max_pending || !self.reserve(shared, bytes) {
                return;
            }
            let Some(next) = self.line.pop(shared.now()) else { return };
            match self.check(&next.message) {
                Ok(index) => {
                    self.append(index, next.message, next.completion, || next.since, effects);
                }
                Err(error) => {
                    effects.memory += bytes;
                    effects.refuse(next.completion, error);
                }
            }
        }
    }

    /// Memory for the first in line; false if it has to wait for it.
    fn reserve(&mut self, shared: &Arc<Shared>, bytes: u64) -> bool {
        match std::mem::take(&mut self.line.memory) {
            MemoryWait::Granted(granted) if granted == bytes => true,
            MemoryWait::Waiting { round, ticket } => {
                self.line.memory = MemoryWait::Waiting { round, ticket };
                false
            }
            // A grant for another was given back by `forget_memory`, before it comes to this.
            MemoryWait::Granted(_) | MemoryWait::No => {
                self.memory_round += 1;
                let round = self.memory_round;
                let producer = Arc::downgrade(shared);
                let granted = move || {
                    if let Some(producer) = producer.upgrade() {
                        producer.memory_granted(round, bytes);
                    }
                };
                match shared.client.memory().reserve_or_wait(bytes, granted) {
                    None => true,
                    Some(ticket) => {
                        self.line.memory = MemoryWait::Waiting { round, ticket };
                        false
                    }
                }
            }
        }
    }

    /// The memory that the first in line waited for is there. False if nobody waits for it any more.
    pub(super) fn memory_granted(&mut self, granted_round: u64, bytes: u64) -> bool {
        let expected =
            matches!(self.line.memory, MemoryWait::Waiting { round, .. } if round == granted_round);
        if expected {
            self.line.memory = MemoryWait::Granted(bytes);
        }
        expected
    }

    /// The first in line is gone, and with it the claim on memory.
    fn forget_memory(&mut self, effects: &mut Effects) {
        match std::mem::take(&mut self.line.memory) {
            MemoryWait::No => {}
            MemoryWait::Granted(bytes) => effects.memory += bytes,
            MemoryWait::Waiting { ticket, .. } => effects.memory_claims.push(ticket),
        }
    }

    /// Takes a message back that still waits; true if it did.
    pub(super) fn cancel(&mut self, ticket: SendTicket, effects: &mut Effects) -> bool {
        let Some(cancelled) = self.line.cancel(ticket) else { return false };
        if cancelled.was_first {
            self.forget_memory(effects);
            effects.room = true;
        }
        effects.cancelled = Some(cancelled);
        true
    }

    fn close_batches(&mut self, effects: &mut Effects) {
        let partitions = self.lanes.len();
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            if lane.close_batches(self.send_timeout) {
                self.router.closed(index, partitions);
                lane.wake(effects);
            }
        }
    }

    /// Closes all open batches; the barrier is dropped when all that is pending now is done.
    fn begin_flush(&mut self, barrier: &Barrier, effects: &mut Effects) {
        self.close_batches(effects);
        self.lanes.iter_mut().for_each(|lane| lane.pending.add_barrier(barrier));
    }

    /// Flushes what is pending, and what waits in line, at this moment.
    pub(super) fn flush(&mut self, barrier: Barrier, now: Instant, effects: &mut Effects) {
        if self.line.is_empty() {
            self.begin_flush(&barrier, effects);
            effects.barriers.push(barrier);
        } else {
            self.line.push(Waiting::Flush(barrier), now);
        }
    }

    /// Fails what has waited too long, in line or for the broker.
    pub(super) fn expire(&mut self, index: usize, now: Instant, effects: &mut Effects) {
        let Some(timeout) = self.send_timeout else { return };
        if let Some(lane) = self.lanes.get_mut(index) {
            for entry in lane.pending.expire(now) {
                effects.finish(entry, Err(timed_out(timeout, "confirmed")), &mut self.pending);
            }
        }
        if index == 0
            && let Some(limit) = now.checked_sub(timeout)
        {
            for waiting in self.line.expire(limit) {
                effects.refuse_waiting(waiting, &timed_out(timeout, "admitted"));
                effects.room = true;
            }
            if effects.room {
                self.forget_memory(effects);
            }
        }
    }

    /// When something expires next, as far as this lane's task watches.
    pub(super) fn next_deadline(&self, index: usize) -> Option<Instant> {
        let own = self.lanes.get(index).and_then(|lane| lane.pending.next_deadline());
        let line = self.line.oldest().filter(|_| index == 0).zip(self.send_timeout);
        let line = line.map(|(since, timeout)| since + timeout);
        [own, line].into_iter().flatten().min()
    }

    /// Nothing can be sent to this partition any more.
    pub(super) fn fail_lane(&mut self, index: usize, error: &Error, effects: &mut Effects) {
        let Some(lane) = self.lanes.get_mut(index) else { return };
        lane.failed = Some(error.clone());
        lane.connection = None;
        lane.close_batches(None);
        for entry in lane.pending.drain() {
            effects.finish(entry, Err(error.clone()), &mut self.pending);
        }
    }

    /// Fails everything that is left, in line or pending.
    pub(super) fn fail_all(&mut self, error: &Error, effects: &mut Effects) {
        self.forget_memory(effects);
        for waiting in self.line.drain() {
            effects.refuse_waiting(waiting, error);
        }
        for index in 0..self.lanes.len() {
            self.fail_lane(index, error, effects);
        }
    }
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the producer is closed")
}

fn queue_full() -> Error {
    let context = "the limit of pending messages or of client memory is reached; wait for confirmations, or raise \
                   `max_pending_messages` or `memory_limit`";
    Error::new(ErrorKind::QueueFull, context)
}

fn timed_out(timeout: Duration, what: &str) -> Error {
    let context = format!("not {what} within the send timeout of {timeout:?}");
    Error::new(ErrorKind::Timeout, context)
}
