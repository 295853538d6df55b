//! The receive queue: one for all topics and partitions of a consumer.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::entry::{Delivery, Entry};
use super::message::Message;
use super::partition::Partition;
use super::position::Position;
use super::waiters::{Ticket, Waiters, Waker};
use crate::error::{Error, Result};

/// What a caller who wants a message gets.
#[derive(Debug)]
pub enum Poll {
    Ready(Message),
    Waiting(Ticket),
    Failed(Error),
}

/// What a caller who wants several messages gets.
#[derive(Debug)]
pub enum PollMany {
    Ready(Vec<Message>),
    Waiting(Ticket),
    Failed(Error),
}

/// How many messages a caller wants.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// It waits until so many are there.
    pub min_messages: usize,
    pub max_messages: usize,
    /// No more once their payloads reach this size.
    pub max_bytes: usize,
}

/// Entries in order of arrival, and who waits for a message.
///
/// Its lock is the outermost of a consumer's: while it is held, only a partition's reading position is locked.
/// Wakers, permits and acknowledgements come after it is released.
#[derive(Default)]
pub(crate) struct ReceiveQueue(Mutex<State>);

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    /// Messages before the first stop.
    ready: usize,
    stops: usize,
    waiters: Waiters,
    /// Fails every call at once.
    failed: Option<Error>,
    /// Fails calls when the queue is empty: nothing more will come.
    ended: Option<Error>,
}

enum Item {
    Delivery(Delivery),
    /// Nothing behind it is handed out, until it is forgotten.
    Stop {
        partition: Arc<Partition>,
        error: Error,
    },
}

/// What is to be done after the lock is released.
#[derive(Default)]
struct Aftermath {
    wakers: Vec<Waker>,
    /// Entries that could not be split, and how many of their messages will never come.
    damaged: Vec<(Arc<Entry>, usize)>,
}

impl ReceiveQueue {
    /// Adds what arrived on a partition's `session`; dropped if that is not the present one.
    pub(crate) fn push(&self, delivery: Delivery) {
        self.add(Item::Delivery(delivery));
    }

    /// Stops the queue behind what is in it now.
    pub(crate) fn stop(&self, partition: Arc<Partition>, session: u64, error: Error) {
        if partition.accepts(session) {
            self.add(Item::Stop { partition, error });
        }
    }

    fn add(&self, item: Item) {
        let wakers = {
            let mut state = self.0.lock();
            if let Item::Delivery(delivery) = &item {
                // Under the lock, since a seek or a reconnect forgets under it too: none slips in behind.
                if !delivery.entry.partition.accepts(delivery.entry.session) {
                    return;
                }
            }
            match &item {
                Item::Delivery(delivery) if state.stops == 0 => state.ready += delivery.remaining(),
                Item::Delivery(_) => {}
                Item::Stop { .. } => state.stops += 1,
            }
            state.items.push_back(item);
            state.wakers()
        };
        call(wakers);
    }

    /// The next message, if there is one that nobody before has a claim on; else the caller waits, in the place that
    /// `ticket` holds, and `waker` is called when it is worth to poll again.
    pub(crate) fn poll(&self, ticket: Option<Ticket>, waker: impl FnOnce() -> Waker) -> Poll {
        let mut aftermath = Aftermath::default();
        let poll = {
            let mut state = self.0.lock();
            let poll = state.poll(ticket, waker, &mut aftermath);
            if !matches!(poll, Poll::Waiting(_)) {
                aftermath.wakers = state.wakers();
            }
            poll
        };
        if let Poll::Ready(message) = &poll {
            message.entry().partition.handed_over(std::slice::from_ref(message));
        }
        aftermath.run();
        poll
    }

    /// As `poll`, for several messages at once.
    pub(crate) fn poll_many(
        &self,
        ticket: Option<Ticket>,
        batch: Batch,
        waker: impl FnOnce() -> Waker,
    ) -> PollMany {
        let mut aftermath = Aftermath::default();
        let poll = {
            let mut state = self.0.lock();
            let poll = state.poll_many(ticket, batch, waker, &mut aftermath);
            if !matches!(poll, PollMany::Waiting(_)) {
                aftermath.wakers = state.wakers();
            }
            poll
        };
        if let PollMany::Ready(messages) = &poll {
            hand_over(messages);
        }
        aftermath.run();
        poll
    }

    /// The caller waits no more. A claim it had passes to the next.
    pub(crate) fn cancel(&self, ticket: Ticket) {
        let wakers = {
            let mut state = self.0.lock();
            state.waiters.leave(ticket);
            state.wakers()
        };
        call(wakers);
    }

    /// What is there now and nobody waits for, up to the message with which `max_bytes` is reached.
    pub(crate) fn take(&self, max_messages: usize, max_bytes: usize) -> Result<Vec<Message>> {
        let mut aftermath = Aftermath::default();
        let messages = {
            let mut state = self.0.lock();
            if let Some(error) = state.failure() {
                return Err(error);
            }
            let limit = state.waiters.free(state.ready).min(max_messages);
            let messages = state.pop_many(limit, max_bytes, &mut aftermath);
            aftermath.wakers = state.wakers();
            messages
        };
        hand_over(&messages);
        aftermath.run();
        Ok(messages)
    }

    /// Drops everything of a partition, in one step with `change`, after which nothing stale is accepted. Returns
    /// the number of messages dropped.
    pub(crate) fn forget(&self, partition: &Partition, change: impl FnOnce()) -> usize {
        self.drop_where(change, |of, _| std::ptr::eq(of, partition))
    }

    /// Drops these entries, which will be delivered again.
    pub(crate) fn forget_entries(&self, partition: &Partition, entries: &HashSet<Position>) -> usize {
        self.drop_where(
            || {},
            |of, at| std::ptr::eq(of, partition) && at.is_some_and(|at| entries.contains(&at)),
        )
    }

    fn drop_where(
        &self,
        change: impl FnOnce(),
        drop: impl Fn(&Partition, Option<Position>) -> bool,
    ) -> usize {
        let mut dropped = Vec::new();
        let wakers = {
            let mut state = self.0.lock();
            change();
            let (kept, gone) = std::mem::take(&mut state.items).into_iter().partition(|item| match item {
                Item::Delivery(delivery) => !drop(&delivery.entry.partition, Some(delivery.entry.position)),
                Item::Stop { partition, .. } => !drop(partition, None),
            });
            state.items = kept;
            dropped.extend(gone);
            state.recount();
            state.wakers()
        };
        call(wakers);
        dropped.iter().map(Item::remaining).sum()
    }

    /// Fails every call from now on, at once or, if `after_rest`, when the queue is empty. The first error stays.
    pub(crate) fn fail(&self, error: Error, after_rest: bool) {
        let wakers = {
            let mut state = self.0.lock();
            let slot = if after_rest { &mut state.ended } else { &mut state.failed };
            slot.get_or_insert(error);
            if state.failed.is_some() {
                state.items.clear();
                state.recount();
            }
            state.wakers()
        };
        call(wakers);
    }

    /// Takes back what `fail(_, true)` said: a seek makes an ended topic go on.
    pub(crate) fn go_on(&self) {
        self.0.lock().ended = None;
    }

    /// Messages that can be taken now.
    pub(crate) fn len(&self) -> usize {
        self.0.lock().ready
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.0.lock().stops > 0
    }
}

impl State {
    fn poll(
        &mut self,
        ticket: Option<Ticket>,
        waker: impl FnOnce() -> Waker,
        aftermath: &mut Aftermath,
    ) -> Poll {
        if let Some(error) = self.failure() {
            if let Some(ticket) = ticket {
                self.waiters.leave(ticket);
            }
            return Poll::Failed(error);
        }
        if self.waiters.admit(ticket, 1, self.ready)
            && let Some(message) = self.pop(aftermath)
        {
            return Poll::Ready(message);
        }
        match self.failure() {
            Some(error) => Poll::Failed(error),
            None => Poll::Waiting(self.waiters.wait(ticket, 1, waker())),
        }
    }

    fn poll_many(
        &mut self,
        ticket: Option<Ticket>,
        batch: Batch,
        waker: impl FnOnce() -> Waker,
        aftermath: &mut Aftermath,
    ) -> PollMany {
        if let Some(error) = self.failure() {
            if let Some(ticket) = ticket {
                self.waiters.leave(ticket);
            }
            return PollMany::Failed(error);
        }
        let need = batch.min_messages.clamp(1, batch.max_messages.max(1));
        if self.waiters.admit(ticket, need, self.ready) {
            let limit = self.waiters.unclaimed(self.ready).min(batch.max_messages);
            let messages = self.pop_many(limit, batch.max_bytes, aftermath);
            if !messages.is_empty() {
                return PollMany::Ready(messages);
            }
        }
        match self.failure() {
            Some(error) => PollMany::Failed(error),
            None => PollMany::Waiting(self.waiters.wait(ticket, need, waker())),
        }
    }

    fn pop_many(&mut self, limit: usize, max_bytes: usize, aftermath: &mut Aftermath) -> Vec<Message> {
        let mut messages = Vec::with_capacity(limit);
        let mut bytes = 0;
        while messages.len() < limit && bytes < max_bytes {
            let Some(message) = self.pop(aftermath) else { break };
            bytes += message.payload().len();
            messages.push(message);
        }
        messages
    }

    fn pop(&mut self, aftermath: &mut Aftermath) -> Option<Message> {
        loop {
            let Some(Item::Delivery(delivery)) = self.items.front_mut() else { return None };
            let before = delivery.remaining();
            let next = delivery.next();
            let left = if next.is_ok() { delivery.remaining() } else { 0 };
            self.ready = self.ready.saturating_sub(before - left);
            if next.is_err() {
                aftermath.damaged.push((delivery.entry.clone(), before));
            }
            if left == 0 {
                self.items.pop_front();
            }
            if let Ok(Some(message)) = next {
                message.entry().partition.read_up_to(&message);
                return Some(message);
            }
        }
    }

    fn failure(&self) -> Option<Error> {
        if self.failed.is_some() {
            return self.failed.clone();
        }
        match self.items.front() {
            Some(Item::Stop { error, .. }) => Some(error.clone()),
            Some(Item::Delivery(_)) => None,
            None => self.ended.clone(),
        }
    }

    #[must_use]
    fn wakers(&mut self) -> Vec<Waker> {
        if self.failure().is_some() { self.waiters.wake_all() } else { self.waiters.wake(self.ready) }
    }

    fn recount(&mut self) {
        self.stops = self.items.iter().filter(|item| matches!(item, Item::Stop { .. })).count();
        let before_stop = self.items.iter().take_while(|item| matches!(item, Item::Delivery(_)));
        self.ready = before_stop.map(Item::remaining).sum();
    }
}

impl Item {
    fn remaining(&self) -> usize {
        match self {
            Item::Delivery(delivery) => delivery.remaining(),
            Item::Stop { .. } => 0,
        }
    }
}

impl Aftermath {
    fn run(self) {
        call(self.wakers);
        for (entry, lost) in self.damaged {
            entry.partition.discard_batch(&entry, lost);
        }
    }
}

/// Tells each partition what of it was handed out.
fn hand_over(messages: &[Message]) {
    let same_partition = |a: &Message, b: &Message| Arc::ptr_eq(&a.entry().partition, &b.entry().partition);
    for run in messages.chunk_by(same_partition) {
        if let Some(first) = run.first() {
            first.entry().partition.handed_over(run);
        }
    }
}

fn call(wakers: Vec<Waker>) {
    for waker in wakers {
        waker();
    }
}
