//! What the handles, the tasks and the connections of one producer share.

use std::sync::{Arc, Weak};
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::completion::{Completion, SendGroup};
use super::effects::Effects;
use super::line::{SendTicket, Waiting, WaitingGroup};
use super::message::{OutgoingMessage, Payload, Prepared};
use super::state::{Phase, State};
use crate::client::options::ProducerOptions;
use crate::client::stats::{Counter, ProducerStats};
use crate::client::{Client, MemoryLimit};
use crate::error::Result;
use crate::protocol::topic::TopicName;

/// Messages of a group taken in under one lock: more would keep receipts waiting.
const GROUP_STEP: usize = 256;

pub(super) struct Shared {
    pub(super) client: Client,
    pub(super) topic: TopicName,
    pub(super) options: ProducerOptions,
    /// Never held across an await, nor while anything outside of the producer is called but `MemoryLimit`'s
    /// reservations, which call nobody back.
    pub(super) state: Mutex<State>,
    /// The partitions' tasks, to be waited for when closing.
    pub(super) tasks: Mutex<Vec<JoinHandle<()>>>,
    pub(super) counters: Counters,
    /// What closing came to; `None` until it is done.
    pub(super) closed: watch::Sender<Option<Result<()>>>,
    pub(super) me: Weak<Shared>,
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) sent: Counter,
    pub(super) bytes: Counter,
    pub(super) confirmed: Counter,
    pub(super) failed: Counter,
    pub(super) reconnects: Counter,
}

impl Shared {
    pub(super) fn now(&self) -> Instant {
        self.client.clock().now()
    }

    fn memory(&self) -> &MemoryLimit {
        self.client.memory()
    }

    pub(super) fn send(
        self: &Arc<Self>,
        message: OutgoingMessage<'_>,
        completion: Completion,
    ) -> Result<SendTicket> {
        let message = Prepared::new(message);
        let bytes = message.payload.len() as u64;
        let mut effects = Effects::default();
        let mut state = self.state.lock();
        state.check_open()?;
        let index = state.check(&message).map_err(|error| error.on_topic(&self.topic))?;
        let ticket = if state.has_room_now(self, bytes) {
            state.append(index, message, completion, || self.now(), &mut effects);
            Ok(SendTicket::ADMITTED)
        } else {
            let waiting = || Waiting::Message(Box::new(message.into_owned()), completion);
            state.wait_in_line(self, waiting, &mut effects)
        };
        drop(state);
        self.settle(effects);
        let ticket = ticket.map_err(|error| error.on_topic(&self.topic))?;
        self.count_sent(1, bytes);
        Ok(ticket)
    }

    /// Messages of nothing but a payload, to the places of `group` from `first` on.
    pub(super) fn send_group<'a>(
        self: &Arc<Self>,
        group: &Arc<SendGroup>,
        first: u32,
        payloads: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<SendTicket> {
        let mut payloads = payloads.into_iter().peekable();
        let mut index = first;
        self.state.lock().check_open()?;
        while payloads.peek().is_some() {
            if !self.admit_step(group, &mut index, &mut payloads) {
                return Ok(self.wait_with(group, index, payloads));
            }
        }
        Ok(SendTicket::ADMITTED)
    }

    /// Admits a step of the group at once; false when there is no more room.
    fn admit_step<'a>(
        self: &Arc<Self>,
        group: &Arc<SendGroup>,
        index: &mut u32,
        payloads: &mut std::iter::Peekable<impl Iterator<Item = &'a [u8]>>,
    ) -> bool {
        let mut effects = Effects::default();
        let (mut admitted, mut bytes, mut room) = (0, 0, true);
        let mut state = self.state.lock();
        for _ in 0..GROUP_STEP {
            let Some(payload) = payloads.peek() else { break };
            let message = Prepared::plain(Payload::Lent(payload));
            let completion = Completion::Slot { group: Arc::clone(group), index: *index };
            match state.check_open().and_then(|()| state.check(&message)) {
                Err(error) => effects.refuse(completion, error),
                Ok(lane) if state.has_room_now(self, payload.len() as u64) => {
                    admitted += 1;
                    bytes += payload.len() as u64;
                    state.append(lane, message, completion, || self.now(), &mut effects);
                }
                Ok(_) => {
                    room = false;
                    break;
                }
            }
            payloads.next();
            *index += 1;
        }
        drop(state);
        self.count_sent(admitted, bytes);
        self.settle(effects);
        room
    }

    /// Lets the rest of a group wait in line, or refuses each of its messages if so configured.
    fn wait_with<'a>(
        self: &Arc<Self>,
        group: &Arc<SendGroup>,
        index: u32,
        payloads: impl Iterator<Item = &'a [u8]>,
    ) -> SendTicket {
        let (mut joined, mut lengths) = (BytesMut::new(), Vec::new());
        for payload in payloads {
            joined.extend_from_slice(payload);
            lengths.push(u32::try_from(payload.len()).unwrap_or(u32::MAX));
        }
        self.count_sent(lengths.len() as u64, joined.len() as u64);
        let rest = WaitingGroup {
            group: Arc::clone(group),
            index,
            payloads: Bytes::from(joined),
            lengths: lengths.into_iter(),
        };
        let mut effects = Effects::default();
        let ticket = self.state.lock().wait_group(self, rest, &mut effects);
        self.settle(effects);
        ticket
    }

    /// Takes a message back that still waits for room; true if it did.
    pub(super) fn cancel(self: &Arc<Self>, ticket: SendTicket) -> bool {
        let mut effects = Effects::default();
        let cancelled = self.state.lock().cancel(ticket, &mut effects);
        self.settle(effects);
        cancelled
    }

    /// Returns when all that was sent before is done.
    pub(super) async fn flush(self: &Arc<Self>) {
        let (sender, receiver) = oneshot::channel();
        let mut effects = Effects::default();
        self.state.lock().flush(Arc::new(sender), self.now(), &mut effects);
        self.settle(effects);
        // Nothing is ever sent: the end is that all barriers are dropped.
        let _ = receiver.await;
    }

    /// Memory that the first in line waited for.
    pub(super) fn memory_granted(self: &Arc<Self>, round: u64, bytes: u64) {
        let mut effects = Effects::default();
        let mut state = self.state.lock();
        if state.memory_granted(round, bytes) {
            state.admit_waiting(self, &mut effects);
        } else {
            effects.memory += bytes;
        }
        drop(state);
        self.settle(effects);
    }

    /// Runs what was collected under the lock, and admits from the line into the room that it made.
    pub(super) fn settle(self: &Arc<Self>, mut effects: Effects) {
        loop {
            let room = effects.room;
            self.run(effects);
            if !room {
                return;
            }
            effects = Effects::default();
            let mut state = self.state.lock();
            if state.line.is_empty() {
                return;
            }
            state.admit_waiting(self, &mut effects);
        }
    }

    fn run(&self, effects: Effects) {
        for ticket in effects.memory_claims {
            // If it was served meanwhile, the grant finds that nobody waits for it and gives the bytes back.
            self.memory().cancel(ticket);
        }
        if effects.memory > 0 {
            self.memory().release(effects.memory);
        }
        effects.wakes.iter().for_each(|wake| wake.notify_one());
        self.counters.confirmed.add(effects.confirmed);
        self.counters.failed.add(effects.failed);
        for (waiters, outcome) in effects.answers {
            let outcome = outcome.map_err(|error| error.on_topic(&self.topic));
            waiters.complete(&outcome);
        }
    }

    fn count_sent(&self, messages: u64, bytes: u64) {
        self.counters.sent.add(messages);
        self.counters.bytes.add(bytes);
    }

    pub(super) fn is_connected(&self) -> bool {
        let state = self.state.lock();
        state.phase == Phase::Open && state.lanes.iter().all(|lane| lane.connection.is_some())
    }

    pub(super) fn stats(&self) -> ProducerStats {
        let connected = self.is_connected();
        let state = self.state.lock();
        ProducerStats {
            topic: self.topic.to_string(),
            name: state.lanes.first().map(|lane| lane.producer_name.clone()).unwrap_or_default(),
            connected,
            closed: state.phase != Phase::Open,
            partitions: state.lanes.len(),
            pending_messages: state.pending,
            waiting: state.line.len(),
            messages_sent: self.counters.sent.get(),
            bytes_sent: self.counters.bytes.get(),
            messages_confirmed: self.counters.confirmed.get(),
            messages_failed: self.counters.failed.get(),
            reconnects: self.counters.reconnects.get(),
            last_error: state.last_error.as_ref().map(ToString::to_string),
        }
    }
}
