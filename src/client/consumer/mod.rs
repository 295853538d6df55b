//! Consumers: one subscription on one or many topics, read through one queue.
//!
//! The connection's reader task puts entries into the receive queue; whoever receives splits them into messages.
//! Acknowledgements act at once on shared state; one task per partition tells the broker.

mod ack_state;
mod acks;
#[cfg(test)]
mod acks_tests;
mod available;
mod check;
mod chunks;
mod control;
mod core;
mod counters;
mod entry;
mod message;
mod partition;
mod position;
mod queue;
#[cfg(test)]
mod queue_tests;
mod read_position;
mod redelivery;
mod sending;
mod settling;
mod sink;
#[cfg(test)]
mod sink_tests;
mod subscribe;
mod task;
#[cfg(test)]
mod test_support;
mod waiters;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub use self::control::BrokerStats;
pub use self::message::Message;
pub use self::queue::{Batch, Poll, PollMany};
pub use self::waiters::{Ticket, Waker};

use self::acks::Receipt;
use self::core::{Core, closed};
use self::counters::Counters;
use self::entry::Entry;
use self::partition::{Common, Partition};
use self::position::Position;
pub(crate) use self::read_position::Start;
use super::handle::Client;
use super::options::{ConsumerOptions, SubscriptionKind};
use super::stats::ConsumerStats;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::message_id::MessageId;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A handle on a consumer; clones share it. May be used and dropped on any thread; when the last one goes, the
/// consumer is closed in the background.
#[derive(Clone)]
pub struct Consumer(Arc<Handle>);

struct Handle {
    core: Arc<Core>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.core.client.runtime().spawn(self.core.clone().shut());
    }
}

/// The broker's answer to an acknowledgement, where receipts are on.
pub struct AckReceipt(Receipt);

impl AckReceipt {
    pub async fn wait(mut self) -> Result<()> {
        match self.0.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(result)) => result.clone(),
            _ => Err(closed()),
        }
    }
}

/// Subscribes. May be cancelled: what was begun is closed.
pub(crate) async fn create(client: &Client, options: ConsumerOptions) -> Result<Consumer> {
    client.check_open()?;
    let topics = check::check(&options)?;
    let name = options.name.clone().unwrap_or_else(|| format!("consumer-{:08x}", client.random().u32(..)));
    let common = Arc::new(Common {
        id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        clock: client.clock().clone(),
        paused: AtomicBool::new(options.start_paused),
        counters: Counters::default(),
        events: Arc::clone(client.events()),
        options,
    });
    let core = Core::new(client.clone(), common, name, topics);
    let consumer = Consumer(Arc::new(Handle { core: core.clone() }));
    let child: Arc<dyn super::handle::Child> = core.clone();
    client.enroll(Arc::downgrade(&child));
    match core.subscribe().await {
        Ok(()) => Ok(consumer),
        Err(error) => {
            // Before the caller tries again: a half-made consumer may exclude the next one.
            let _ = core.shut().await;
            Err(error)
        }
    }
}

impl Consumer {
    /// Takes the next message if there is one that nobody before has a claim on; else the caller waits, in the place
    /// that `ticket` holds, and what `waker` makes is called when it is worth to poll again with the returned
    /// ticket. A woken ticket holds a claim on one message until it is polled or cancelled.
    ///
    /// `waker` is called under a lock and must not call back.
    pub fn poll_receive(&self, ticket: Option<Ticket>, waker: impl FnOnce() -> Waker) -> Poll {
        self.core().queue.poll(ticket, waker)
    }

    /// As `poll_receive`, for several messages at once: the caller waits until `min_messages` are there, or as many as one
    /// topic or partition may have in the receiver queue.
    pub fn poll_receive_many(
        &self,
        ticket: Option<Ticket>,
        batch: Batch,
        waker: impl FnOnce() -> Waker,
    ) -> PollMany {
        let batch = Batch { min_messages: batch.min_messages.min(self.core().window()), ..batch };
        let poll = self.core().queue.poll_many(ticket, batch, waker);
        if batch.min_messages > 1 && matches!(poll, PollMany::Waiting(_)) {
            // Or the broker might wait for the rest of half a queue's permits, and the caller for its messages.
            self.core().all().iter().for_each(|partition| partition.give_permits());
        }
        poll
    }

    /// The holder of the ticket waits no more; a wake-up that it was given passes to the next.
    pub fn cancel_receive(&self, ticket: Ticket) {
        self.core().queue.cancel(ticket);
    }

    /// What is there now and nobody waits for: up to `max_messages`, and up to the message with which `max_bytes` is
    /// reached.
    pub fn take(&self, max_messages: usize, max_bytes: usize) -> Result<Vec<Message>> {
        self.core().queue.take(max_messages, max_bytes)
    }

    /// The next message. May be cancelled: nothing is lost.
    pub async fn receive(&self) -> Result<Message> {
        let mut waiting = Waiting { consumer: self, ticket: None };
        loop {
            let (wake, woken) = tokio::sync::oneshot::channel();
            match self.poll_receive(waiting.ticket.take(), || wakes(wake)) {
                Poll::Ready(message) => return Ok(message),
                Poll::Failed(error) => return Err(error),
                Poll::Waiting(ticket) => waiting.ticket = Some(ticket),
            }
            // A dropped waker means the same as a called one: worth to poll again.
            let _ = woken.await;
        }
    }

    /// Acknowledges a message. Acts at once; the broker is told with others, soon.
    pub fn acknowledge(&self, message: &Message) -> Result<Option<AckReceipt>> {
        let Some(partition) = self.current(message)? else { return Ok(None) };
        Ok(partition.acknowledge(&message.entry().acks, Some(message.index())).map(AckReceipt))
    }

    /// Acknowledges by id. `topic` tells which one is meant if the consumer reads several; a batch's id without an
    /// index means all of the batch.
    pub fn acknowledge_id(&self, id: &MessageId, topic: Option<&str>) -> Result<Option<AckReceipt>> {
        let (partition, state, index) = self.locate(id, topic)?;
        Ok(partition.acknowledge(&state, index).map(AckReceipt))
    }

    /// Acknowledges this message and all before it on its topic or partition.
    pub fn acknowledge_cumulative(&self, message: &Message) -> Result<Option<AckReceipt>> {
        self.permits_cumulative()?;
        let Some(partition) = self.current(message)? else { return Ok(None) };
        Ok(partition.acknowledge_cumulative(&message.entry().acks, Some(message.index())).map(AckReceipt))
    }

    /// As `acknowledge_cumulative`, by id; see `acknowledge_id`.
    pub fn acknowledge_cumulative_id(
        &self,
        id: &MessageId,
        topic: Option<&str>,
    ) -> Result<Option<AckReceipt>> {
        self.permits_cumulative()?;
        let (partition, state, index) = self.locate(id, topic)?;
        Ok(partition.acknowledge_cumulative(&state, index).map(AckReceipt))
    }

    /// Has the message redelivered after a delay. The broker redelivers whole batches, of which only what is not
    /// acknowledged is handed out again; on Exclusive and Failover it redelivers everything unacknowledged.
    pub fn negative_acknowledge(&self, message: &Message) -> Result<()> {
        self.give_back(message, |partition, entry| {
            partition.negative_acknowledge(entry.position, entry.redelivery_count);
        })
    }

    /// As `negative_acknowledge`, after a delay of the caller's choice.
    pub fn negative_acknowledge_in(&self, message: &Message, delay: Duration) -> Result<()> {
        self.give_back(message, |partition, entry| partition.negative_acknowledge_in(entry.position, delay))
    }

    fn give_back(&self, message: &Message, ask: impl FnOnce(&Partition, &Entry)) -> Result<()> {
        let Some(partition) = self.current(message)? else { return Ok(()) };
        let entry = message.entry();
        if !entry.acks.is_acknowledged(message.index()) {
            self.core().common.counters.negatively_acknowledged.add(1);
            ask(partition, entry);
        }
        Ok(())
    }

    /// As `negative_acknowledge`, by id; without a delay, that of a first delivery. See `acknowledge_id`.
    pub fn negative_acknowledge_id(
        &self,
        id: &MessageId,
        topic: Option<&str>,
        delay: Option<Duration>,
    ) -> Result<()> {
        let partition = self.partition_of(id, topic)?;
        self.core().common.counters.negatively_acknowledged.add(1);
        let position = Position::new(id.ledger, id.entry.cast_signed());
        match delay {
            Some(delay) => partition.negative_acknowledge_in(position, delay),
            None => partition.negative_acknowledge(position, 0),
        }
        Ok(())
    }

    /// Messages that can be taken now.
    pub fn queued(&self) -> usize {
        self.core().queue.len()
    }

    pub fn subscription(&self) -> &str {
        &self.core().common.options.subscription
    }

    pub fn name(&self) -> &str {
        &self.core().name
    }

    /// The topics as they were asked for, with complete names.
    pub fn topics(&self) -> Vec<String> {
        self.core().topics.iter().map(ToString::to_string).collect()
    }

    pub fn is_closed(&self) -> bool {
        *self.core().closing.borrow()
    }

    /// Whether every topic and partition is connected.
    pub fn is_connected(&self) -> bool {
        let partitions = self.core().partitions.read();
        !partitions.is_empty() && partitions.iter().all(|partition| *partition.session.borrow() > 0)
    }

    /// Whether messages may arrive: on Failover, whether this consumer is the active one of any partition.
    pub fn is_active(&self) -> bool {
        self.core().partitions.read().iter().any(|partition| partition.is_active())
    }

    pub fn stats(&self) -> ConsumerStats {
        self.core().consumer_stats()
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.0.core
    }

    fn permits_cumulative(&self) -> Result<()> {
        match self.core().common.options.r#type {
            SubscriptionKind::Exclusive | SubscriptionKind::Failover => Ok(()),
            kind => {
                let context = format!("a {kind:?} subscription has no order to acknowledge cumulatively in");
                Err(Error::new(ErrorKind::NotAllowed, context))
            }
        }
    }

    fn check_open(&self) -> Result<()> {
        if self.is_closed() { Err(closed()) } else { Ok(()) }
    }

    /// The partition of a message of this consumer; `None` if a seek has made the message void since.
    fn current<'a>(&self, message: &'a Message) -> Result<Option<&'a Arc<Partition>>> {
        self.check_open()?;
        let entry = message.entry();
        if entry.partition.common.id != self.core().common.id {
            let context = "the message was received by another consumer";
            return Err(Error::new(ErrorKind::InvalidMessageId, context).on_topic(message.topic()));
        }
        Ok((entry.seek == entry.partition.seeks()).then_some(&entry.partition))
    }

    /// What an id means: the partition, the entry's state, and the place in the batch.
    fn locate(
        &self,
        id: &MessageId,
        topic: Option<&str>,
    ) -> Result<(Arc<Partition>, Arc<ack_state::AckState>, Option<u32>)> {
        let partition = self.partition_of(id, topic)?;
        let position = Position::new(id.ledger, id.entry.cast_signed());
        let index = u32::try_from(id.batch_index).ok();
        let size = u32::try_from(id.batch_size).unwrap_or_default().max(index.map_or(0, |index| index + 1));
        let state = partition.track(|acks| acks.state_of(position, size));
        Ok((partition, state, index))
    }

    fn partition_of(&self, id: &MessageId, topic: Option<&str>) -> Result<Arc<Partition>> {
        self.check_open()?;
        let refuse = |reason: String| Err(Error::new(ErrorKind::InvalidMessageId, reason));
        if *id == MessageId::EARLIEST || *id == MessageId::LATEST {
            return refuse("earliest and latest are no messages".into());
        }
        let partitions = self.core().partitions.read();
        let named = |partition: &&Arc<Partition>| {
            topic.is_none_or(|topic| {
                partition.topic().as_str() == topic || partition.topic().partitioned().as_str() == topic
            })
        };
        let mut candidates =
            partitions.iter().filter(named).filter(|p| id.partition < 0 || p.index() == id.partition);
        match (candidates.next(), candidates.next()) {
            (Some(partition), None) => Ok(partition.clone()),
            (None, _) => refuse(format!("message {id} is of no topic or partition that this consumer reads")),
            (Some(_), Some(_)) => refuse(format!("message {id} may be of several topics: name the topic")),
        }
    }
}

fn wakes(wake: tokio::sync::oneshot::Sender<()>) -> Waker {
    Box::new(move || {
        // The receiver is gone if the call was cancelled.
        let _ = wake.send(());
    })
}

/// A call of `receive` that waits: when it is dropped, its claim passes on.
struct Waiting<'a> {
    consumer: &'a Consumer,
    ticket: Option<Ticket>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            self.consumer.cancel_receive(ticket);
        }
    }
}
