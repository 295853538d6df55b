//! A topic, a clock, and connections that remember what they were sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use parking_lot::Mutex;
use prost::Message;

use crate::broker::entry::Entry;
use crate::broker::outlet::{Outlet, Peer};
use crate::broker::policies::Policies;
use crate::broker::storage::{Done, MemoryStorage, Op, Storage, Stored};
use crate::broker::subscription::NewConsumer;
use crate::broker::topic::{NewProducer, Publish, Services, Topic};
use crate::clock::Clock;
use crate::error::Result;
use crate::protocol::checksum::crc32c;
use crate::protocol::proto::{
    AckType, BaseCommand, Command, CommandAck, CommandMessage, CommandProducerSuccess, CommandSubscribe,
    InitialPosition, MessageIdData, MessageMetadata, ProducerAccessMode, SubscriptionType,
};
use crate::protocol::topic::TopicName;

pub(super) const MEGABYTE: u64 = 1 << 20;

/// One topic in memory.
pub(super) struct Bench {
    pub(super) clock: Clock,
    pub(super) services: Arc<Services>,
    pub(super) topic: Arc<Topic>,
}

impl Bench {
    pub(super) fn new(policies: Policies) -> Self {
        Self::with("t", policies, 64 * MEGABYTE)
    }

    pub(super) fn with(name: &str, policies: Policies, memory: u64) -> Self {
        Self::on(Arc::new(MemoryStorage), name, policies, memory)
    }

    /// A topic whose changes are stored when the test says so.
    pub(super) fn on_disk(disk: &Arc<SlowDisk>) -> Self {
        Self::on(Arc::clone(disk) as Arc<dyn Storage>, "t", Policies::default(), 64 * MEGABYTE)
    }

    fn on(storage: Arc<dyn Storage>, name: &str, policies: Policies, memory: u64) -> Self {
        let clock = Clock::default();
        let services = Services::new(clock.clone(), storage, 5 << 20, memory, 0);
        let services = Arc::new(services);
        let topic = Topic::new(TopicName::parse(name).unwrap(), policies, Arc::clone(&services));
        Self { clock, services, topic }
    }

    /// Makes a producer; what it is told at once.
    pub(super) fn produce(&self, line: &Arc<Line>, request: NewProducer) -> Result<CommandProducerSuccess> {
        self.topic.add_producer(request, Arc::clone(line) as Arc<dyn Outlet>)?;
        match line.commands.lock().pop() {
            Some(Command::ProducerSuccess(success)) => Ok(*success),
            other => panic!("{other:?}"),
        }
    }

    /// A producer with id 1 and this name, and its connection.
    pub(super) fn producer(&self, name: &str) -> Arc<Line> {
        let line = Line::new();
        self.produce(&line, producer(1, name, ProducerAccessMode::Shared)).unwrap();
        line
    }

    pub(super) fn send(&self, line: &Line, sequence_id: u64, key: Option<&str>, payload: &[u8]) {
        let metadata = MessageMetadata {
            producer_name: "p".into(),
            sequence_id,
            publish_time: self.clock.unix_millis(),
            partition_key: key.map(str::to_owned),
            ..MessageMetadata::default()
        };
        self.send_as(line, metadata, payload);
    }

    pub(super) fn send_as(&self, line: &Line, metadata: MessageMetadata, payload: &[u8]) {
        let mut bytes = BytesMut::new();
        bytes.put_u32(u32::try_from(metadata.encoded_len()).unwrap());
        metadata.encode(&mut bytes).unwrap();
        bytes.put_slice(payload);
        let bytes = bytes.freeze();
        let publish = Publish {
            producer_id: 1,
            sequence_id: metadata.sequence_id,
            highest_sequence_id: metadata.highest_sequence_id,
            num_messages: 1,
            checksum: crc32c(&[&bytes]),
            bytes,
            metadata: Box::new(metadata),
        };
        self.topic.publish(line.id, publish);
    }

    /// A consumer with id 7 of an Exclusive subscription from the earliest message, with permits.
    pub(super) fn consumer(&self, subscription: &str) -> Arc<Line> {
        let command = CommandSubscribe {
            topic: "t".into(),
            subscription: subscription.into(),
            sub_type: SubscriptionType::Exclusive as i32,
            consumer_id: 7,
            initial_position: Some(InitialPosition::Earliest as i32),
            ..CommandSubscribe::default()
        };
        self.subscribe(&command).unwrap()
    }

    pub(super) fn subscribe(&self, command: &CommandSubscribe) -> Result<Arc<Line>> {
        let line = Line::new();
        let request = NewConsumer::try_from(command)?;
        self.topic.subscribe(request, Arc::clone(&line) as Arc<dyn Outlet>)?;
        self.topic.flow(line.id, command.consumer_id, 1000);
        Ok(line)
    }

    pub(super) fn acknowledge_up_to(&self, line: &Line, id: MessageIdData) {
        let ack = CommandAck {
            consumer_id: 7,
            ack_type: AckType::Cumulative as i32,
            message_id: vec![id],
            ..CommandAck::default()
        };
        self.topic.acknowledge(line.id, &ack).unwrap();
    }

    /// Moves the clock, and does what the ticker would.
    pub(super) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        let now = self.clock.unix_millis();
        self.topic.tick(now);
        if self.topic.is_compaction_due(now) {
            self.topic.compact();
        }
    }
}

pub(super) fn producer(producer_id: u64, name: &str, access_mode: ProducerAccessMode) -> NewProducer {
    NewProducer {
        producer_id,
        request_id: 100 + producer_id,
        name: Some(name.into()),
        epoch: 0,
        user_provided_name: true,
        access_mode,
        topic_epoch: None,
        schema_version: None,
        metadata: Vec::new(),
        initial_subscription: None,
    }
}

/// A storage that is behind until it is told to go on.
#[derive(Default)]
pub(super) struct SlowDisk(Mutex<Vec<Done>>);

impl SlowDisk {
    /// All that was handed over so far is stored, or fails.
    pub(super) fn report(&self, result: &Result<()>) {
        let waiting = std::mem::take(&mut *self.0.lock());
        for done in waiting {
            done(result.clone());
        }
    }
}

impl Storage for SlowDisk {
    fn is_durable(&self) -> bool {
        true
    }

    fn commit(&self, _ops: Vec<Op>, done: Done) {
        self.0.lock().push(done);
    }

    fn load(&self) -> Result<Stored> {
        Ok(Stored::default())
    }

    fn pending_bytes(&self) -> usize {
        0
    }

    fn close(&self, done: Done) {
        self.0.lock().push(done);
    }
}

/// A connection that remembers.
pub(super) struct Line {
    pub(super) id: u64,
    peer: Peer,
    commands: Mutex<Vec<Command>>,
    delivered: Mutex<Vec<(CommandMessage, Bytes)>>,
    pub(super) pauses: Mutex<Vec<Duration>>,
}

impl Line {
    pub(super) fn new() -> Arc<Self> {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Arc::new(Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            peer: Peer::default(),
            commands: Mutex::default(),
            delivered: Mutex::default(),
            pauses: Mutex::default(),
        })
    }

    /// What was sent since the last call, by name.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.take().iter().map(Command::name).collect()
    }

    pub(super) fn take(&self) -> Vec<Command> {
        std::mem::take(&mut self.commands.lock())
    }

    /// What was delivered since the last call: ids, and all the bytes.
    pub(super) fn delivered(&self) -> Vec<(MessageIdData, Bytes)> {
        let delivered = std::mem::take(&mut *self.delivered.lock());
        delivered.into_iter().map(|(command, bytes)| (command.message_id, bytes)).collect()
    }

    /// The same, as the texts that were sent.
    pub(super) fn texts(&self) -> Vec<String> {
        let body = |bytes: Bytes| crate::protocol::frame::decode_payload(bytes).unwrap().body;
        let text = |bytes| String::from_utf8(body(bytes).to_vec()).unwrap();
        self.delivered().into_iter().map(|(_, bytes)| text(bytes)).collect()
    }
}

impl Outlet for Line {
    fn id(&self) -> u64 {
        self.id
    }

    fn peer(&self) -> &Peer {
        &self.peer
    }

    fn send(&self, command: &BaseCommand) {
        self.commands.lock().extend(command.command.clone());
    }

    fn deliver(&self, command: CommandMessage, entry: &Arc<Entry>) {
        self.delivered.lock().push((command, entry.bytes.clone()));
    }

    fn is_writable(&self) -> bool {
        true
    }

    fn pause_reading(&self, pause: Duration) {
        self.pauses.lock().push(pause);
    }

    fn speaks(&self, _protocol_version: i32) -> bool {
        true
    }
}
