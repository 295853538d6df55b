//! One topic or partition of a consumer: its connection, its permits and what is unsettled on it.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};

use super::ack_state::{AckState, Acked};
use super::acks::AckTracker;
use super::counters::Counters;
use super::entry::Entry;
use super::message::Message;
use super::position::Position;
use super::read_position::{ReadPosition, Start};
use super::redelivery::Redelivery;
use crate::client::connection::{Connection, Disconnect};
use crate::client::events::{Event, Events, Level};
use crate::client::options::{ConsumerOptions, SubscriptionKind};
use crate::clock::Clock;
use crate::protocol::proto::{AckType, BaseCommand, CommandAck, CommandFlow, ValidationError};
use crate::protocol::topic::TopicName;

/// What all partitions of a consumer have in common.
pub(crate) struct Common {
    /// Unique in the process: tells whether a message belongs to this consumer.
    pub(crate) id: u64,
    pub(crate) options: ConsumerOptions,
    pub(crate) clock: Clock,
    pub(crate) paused: AtomicBool,
    pub(crate) counters: Counters,
    pub(crate) events: Arc<Events>,
}

/// Locks, in the order in which they may be taken: the receive queue's, `reading`; `unsettled` and `connection` alone.
pub(crate) struct Partition {
    pub(crate) common: Arc<Common>,
    topic: TopicName,
    pub(crate) consumer_id: u64,
    /// Messages that the broker may send ahead.
    window: AtomicU32,
    /// Messages handed out since the last permits were given.
    owed: AtomicU32,
    /// The largest batch seen, to guess the size of an entry that cannot be read.
    largest_batch: AtomicU32,
    /// Counts the attempts to subscribe.
    attempts: AtomicU64,
    /// The attempt whose deliveries are accepted, 0 for none. Changed under the queue's lock.
    live: AtomicU64,
    /// Seeks so far: acknowledgements of what was received before the last are void.
    seeks: AtomicU64,
    /// Redeliveries of everything so far: the broker marks deliveries with it, on Exclusive and Failover.
    pub(crate) epoch: AtomicU64,
    /// The session that is established, 0 while there is none.
    pub(crate) session: watch::Sender<u64>,
    pub(crate) connection: Mutex<Option<Connection>>,
    /// Seeks under way: until their answers are in, no new session begins.
    pub(crate) seeking: watch::Sender<usize>,
    /// The broker ends the session for the sake of a seek.
    pub(crate) sought_in_session: AtomicBool,
    /// How a session ended; taken by the task.
    pub(crate) ended: Mutex<Option<(u64, Disconnect)>>,
    /// Whether the present session brought anything yet.
    pub(crate) served: AtomicBool,
    /// The session in which the broker called this consumer the active one, or 0.
    pub(crate) active: AtomicU64,
    pub(crate) end_of_topic: AtomicBool,
    /// A new subscription starts at the first message, whatever the options say.
    pub(crate) from_earliest: AtomicBool,
    pub(crate) reading: Mutex<ReadPosition>,
    pub(crate) unsettled: Mutex<Unsettled>,
    /// Wakes the task.
    pub(crate) wake: Notify,
}

/// What waits to be told to the broker.
pub(crate) struct Unsettled {
    pub(crate) acks: AckTracker,
    pub(crate) redelivery: Redelivery,
    /// When the first of the grouped acknowledgements was made.
    pub(crate) grouped_at: Option<Instant>,
    /// Everything unacknowledged is to be delivered again.
    pub(crate) redeliver_all: bool,
    /// Those who wait until what is grouped now was sent.
    pub(crate) flushes: Vec<oneshot::Sender<()>>,
}

impl Partition {
    pub(crate) fn new(common: Arc<Common>, topic: TopicName, consumer_id: u64, start: Start) -> Self {
        let options = &common.options;
        let durable = options.durable;
        Self {
            consumer_id,
            window: AtomicU32::new(options.receiver_queue_size),
            owed: AtomicU32::new(0),
            largest_batch: AtomicU32::new(0),
            attempts: AtomicU64::new(0),
            live: AtomicU64::new(0),
            seeks: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            session: watch::Sender::new(0),
            seeking: watch::Sender::new(0),
            sought_in_session: AtomicBool::new(false),
            connection: Mutex::new(None),
            ended: Mutex::new(None),
            served: AtomicBool::new(false),
            active: AtomicU64::new(0),
            end_of_topic: AtomicBool::new(false),
            from_earliest: AtomicBool::new(false),
            reading: Mutex::new(ReadPosition::new(start, durable)),
            unsettled: Mutex::new(Unsettled {
                acks: AckTracker::new(options.batch_index_ack, options.ack_receipts),
                redelivery: Redelivery::new(options),
                grouped_at: None,
                redeliver_all: false,
                flushes: Vec::new(),
            }),
            wake: Notify::new(),
            topic,
            common,
        }
    }

    pub(crate) fn topic(&self) -> &TopicName {
        &self.topic
    }

    /// The number of the partition, or -1.
    pub(crate) fn index(&self) -> i32 {
        self.topic.partition().map_or(-1, u32::cast_signed)
    }

    pub(crate) fn options(&self) -> &ConsumerOptions {
        &self.common.options
    }

    pub(crate) fn connection(&self) -> Option<Connection> {
        self.connection.lock().clone()
    }

    // Sessions: attempts to subscribe, of which at most one is live.

    pub(crate) fn next_attempt(&self) -> u64 {
        self.attempts.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Whether this is the latest attempt: what the broker tells of it may come before the answer to it.
    pub(crate) fn is_latest(&self, session: u64) -> bool {
        self.attempts.load(Ordering::Acquire) == session
    }

    /// Whether messages may arrive: on Failover, whether the broker called this consumer the active one.
    pub(crate) fn is_active(&self) -> bool {
        let session = *self.session.borrow();
        let failover = self.options().r#type == SubscriptionKind::Failover;
        session > 0 && (!failover || self.active.load(Ordering::Acquire) == session)
    }

    /// Whether deliveries of this session are wanted.
    pub(crate) fn accepts(&self, session: u64) -> bool {
        self.live.load(Ordering::Acquire) == session
    }

    /// From now on deliveries of this session, and no other, are accepted. Under the queue's lock only.
    pub(crate) fn accept_only(&self, session: u64) {
        self.live.store(session, Ordering::Release);
    }

    pub(crate) fn live(&self) -> u64 {
        self.live.load(Ordering::Acquire)
    }

    pub(crate) fn seeks(&self) -> u64 {
        self.seeks.load(Ordering::Acquire)
    }

    /// The session is established: permits may flow.
    pub(crate) fn begin_session(&self, session: u64, connection: Connection) {
        *self.connection.lock() = Some(connection);
        self.served.store(false, Ordering::Release);
        self.session.send_replace(session);
        self.open_window();
        // What was settled meanwhile waits for it.
        self.wake.notify_one();
    }

    /// Whether and how the present session ended. Then it is over for everybody.
    pub(crate) fn session_end(&self) -> Option<Disconnect> {
        let session = *self.session.borrow();
        let (_, reason) = self.ended.lock().take_if(|(ended, _)| *ended == session)?;
        *self.connection.lock() = None;
        self.session.send_replace(0);
        Some(reason)
    }

    /// Forgets what is unsettled and where it was read, since a seek made it void.
    pub(crate) fn sought(&self, start: Start) {
        self.seeks.fetch_add(1, Ordering::AcqRel);
        self.end_of_topic.store(false, Ordering::Release);
        self.reading.lock().restart(start);
        let mut unsettled = self.unsettled.lock();
        unsettled.acks.clear();
        unsettled.redelivery.clear();
        unsettled.grouped_at = None;
    }

    // Permits.

    pub(crate) fn set_window(&self, window: u32) {
        self.window.store(window.max(1), Ordering::Release);
    }

    /// The first permits of a session: the queue is empty.
    pub(crate) fn open_window(&self) {
        self.owed.store(self.window(), Ordering::Release);
        self.give_permits();
    }

    /// Counts messages that left the queue or never came into it. Permits are given for half a queue at once.
    pub(crate) fn credit(&self, messages: usize) {
        let messages = u32::try_from(messages).unwrap_or(u32::MAX);
        let owed = self.owed.fetch_add(messages, Ordering::AcqRel).saturating_add(messages);
        if owed >= self.half_window() {
            self.give_permits();
        }
    }

    /// Gives the broker what is owed. If it cannot be sent just now, the task does it.
    pub(crate) fn give_permits(&self) {
        let Some(flow) = self.take_permits() else { return };
        if !self.try_command(&flow.into()) {
            self.put_back_permits(flow);
            self.wake.notify_one();
        }
    }

    /// What is owed, as a command; `None` while the consumer is paused.
    pub(crate) fn take_permits(&self) -> Option<CommandFlow> {
        if self.common.paused.load(Ordering::Acquire) {
            return None;
        }
        let message_permits = self.owed.swap(0, Ordering::AcqRel);
        (message_permits > 0).then_some(CommandFlow { consumer_id: self.consumer_id, message_permits })
    }

    pub(crate) fn put_back_permits(&self, flow: CommandFlow) {
        self.owed.fetch_add(flow.message_permits, Ordering::AcqRel);
    }

    /// Whether permits are due that could not be given.
    pub(crate) fn owes_permits(&self) -> bool {
        !self.common.paused.load(Ordering::Acquire) && self.owed.load(Ordering::Acquire) >= self.half_window()
    }

    /// How many messages the broker may send ahead.
    pub(crate) fn window(&self) -> u32 {
        self.window.load(Ordering::Acquire)
    }

    /// Permits are given when so many messages were handed out.
    fn half_window(&self) -> u32 {
        self.window().div_ceil(2)
    }

    fn try_command(&self, command: &BaseCommand) -> bool {
        self.connection.lock().as_ref().is_some_and(|connection| connection.try_send_command(command))
    }

    // What happens to messages.

    /// Notes the last message handed out. Called under the queue's lock, so that a reconnect sees it.
    pub(crate) fn read_up_to(&self, message: &Message) {
        self.reading.lock().last = Some(message.id());
    }

    /// The caller has these messages of this partition now.
    pub(crate) fn handed_over(&self, messages: &[Message]) {
        let counters = &self.common.counters;
        counters.messages_received.add(messages.len() as u64);
        counters.bytes_received.add(messages.iter().map(|message| message.payload().len() as u64).sum());
        if !self.options().ack_timeout.is_zero() {
            self.start_ack_timeout(messages);
        }
        self.credit(messages.len());
    }

    fn start_ack_timeout(&self, messages: &[Message]) {
        let now = self.common.clock.now();
        let mut unsettled = self.unsettled.lock();
        let before = unsettled.redelivery.next();
        for message in messages {
            let entry = message.entry();
            if entry.acks.remaining() > 0 && entry.seek == self.seeks() {
                unsettled.redelivery.handed_over(entry.position, entry.redelivery_count, now);
            }
        }
        if before.is_none() {
            self.wake.notify_one();
        }
    }

    /// Makes the size of a batch known; see `guessed_size`.
    pub(crate) fn saw_batch(&self, size: u32) {
        self.largest_batch.fetch_max(size, Ordering::Relaxed);
    }

    /// How many permits an entry may have cost that cannot be read. Rather too many: those that are never given back
    /// would stop the flow in the end.
    pub(crate) fn guessed_size(&self) -> usize {
        match self.largest_batch.load(Ordering::Relaxed) {
            0 => self.window() as usize,
            largest => largest as usize,
        }
    }

    /// Has an event of this partition told in a log.
    pub(crate) fn tell(&self, event: Event) {
        self.common.events.push(event.on(&self.topic, Some(&self.options().subscription)));
    }

    /// Acknowledges a damaged entry, with the reason, so that it is not delivered for ever; `permits` it had cost.
    pub(crate) fn discard(&self, position: Position, reason: ValidationError, permits: usize) {
        self.common.counters.discarded.add(1);
        let text = format!("a damaged message was discarded: {reason:?}");
        let message_id = Some(format!("{}:{}", position.ledger, position.entry));
        self.tell(Event { message_id, ..Event::new(Level::Error, text) });
        let ack = CommandAck {
            consumer_id: self.consumer_id,
            ack_type: AckType::Individual as i32,
            message_id: vec![position.to_proto()],
            validation_error: Some(reason as i32),
            ..CommandAck::default()
        };
        // If it cannot be sent now it is delivered again, and discarded then.
        self.try_command(&ack.into());
        self.credit(permits);
    }

    /// Discards a batch that could not be split to its end; `lost` messages of it were still to come.
    pub(crate) fn discard_batch(&self, entry: &Entry, lost: usize) {
        if entry.acks.acknowledge_all() != Acked::Whole {
            return self.credit(lost);
        }
        {
            let mut unsettled = self.unsettled.lock();
            unsettled.acks.discard(entry.position);
            unsettled.redelivery.acknowledged(entry.position);
        }
        self.discard(entry.position, ValidationError::BatchDeSerializeError, lost);
    }

    /// Has what is grouped sent; the answer comes when it is.
    pub(crate) fn request_flush(&self) -> oneshot::Receiver<()> {
        let (done, wait) = oneshot::channel();
        self.unsettled.lock().flushes.push(done);
        self.wake.notify_one();
        wait
    }

    /// The entries to name when these are to be delivered again: a chunked message is all its chunks.
    pub(crate) fn expand(&self, positions: &[Position]) -> HashSet<Position> {
        let unsettled = self.unsettled.lock();
        positions.iter().flat_map(|position| unsettled.acks.entries_of(*position)).collect()
    }

    /// The state of an entry that is a batch or made of chunks, shared with its earlier deliveries.
    pub(crate) fn track(&self, make: impl FnOnce(&mut AckTracker) -> Arc<AckState>) -> Arc<AckState> {
        make(&mut self.unsettled.lock().acks)
    }
}
