//! What the unit tests of this room share: a partition without a broker, and entries for it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;

use super::counters::Counters;
use super::partition::{Common, Partition};
use super::queue::ReceiveQueue;
use super::read_position::Start;
use super::sink::Sink;
use crate::client::connection::ConsumerSink;
use crate::client::options::ConsumerOptions;
use crate::clock::Clock;
use crate::protocol::batch::BatchBuilder;
use crate::protocol::frame::Payload;
use crate::protocol::proto::{CommandMessage, MessageIdData, MessageMetadata};
use crate::protocol::topic::TopicName;

/// A partition whose first session is live, its queue and its sink.
pub(crate) struct Bench {
    pub(crate) partition: Arc<Partition>,
    pub(crate) queue: Arc<ReceiveQueue>,
    pub(crate) sink: Sink,
}

impl Bench {
    pub(crate) fn new(options: ConsumerOptions) -> Self {
        Self::starting_at(options, Start::Broker)
    }

    pub(crate) fn starting_at(options: ConsumerOptions, start: Start) -> Self {
        let common = Arc::new(Common {
            id: 1,
            options,
            clock: Clock::default(),
            paused: AtomicBool::new(false),
            counters: Counters::default(),
            events: Arc::default(),
        });
        let topic = TopicName::parse("t").unwrap();
        let partition = Arc::new(Partition::new(common, topic, 1, start));
        partition.accept_only(1);
        let queue = Arc::<ReceiveQueue>::default();
        let sink = Sink::new(partition.clone(), queue.clone(), 1);
        Self { partition, queue, sink }
    }

    /// The broker delivers an entry.
    pub(crate) fn deliver(&self, entry: u64, metadata: MessageMetadata, body: Bytes) {
        self.sink.message(0, command(entry), Ok(payload(metadata, body)));
    }

    /// A batch of messages `entry:index`.
    pub(crate) fn deliver_batch(&self, entry: u64, size: usize) {
        let (metadata, body) = batch(entry, size);
        self.deliver(entry, metadata, body);
    }

    /// Everything there is, as text.
    pub(crate) fn texts(&self) -> Vec<String> {
        let messages = self.queue.take(usize::MAX, usize::MAX).unwrap();
        messages.iter().map(|message| String::from_utf8(message.payload().to_vec()).unwrap()).collect()
    }

    /// Permits that would be given now.
    pub(crate) fn owed(&self) -> u32 {
        let flow = self.partition.take_permits();
        flow.map_or(0, |flow| {
            self.partition.put_back_permits(flow);
            flow.message_permits
        })
    }
}

pub(crate) fn command(entry: u64) -> CommandMessage {
    let message_id = MessageIdData { ledger_id: 1, entry_id: entry, ..MessageIdData::default() };
    CommandMessage { consumer_id: 1, message_id, ..CommandMessage::default() }
}

pub(crate) fn payload(metadata: MessageMetadata, body: Bytes) -> Payload {
    Payload { broker_metadata: None, metadata: Box::new(metadata), body }
}

pub(crate) fn batch(entry: u64, size: usize) -> (MessageMetadata, Bytes) {
    let mut builder = BatchBuilder::new();
    for index in 0..size {
        builder.push_plain(index as u64, format!("{entry}:{index}").as_bytes());
    }
    let size = i32::try_from(size).unwrap();
    (MessageMetadata { num_messages_in_batch: Some(size), ..MessageMetadata::default() }, builder.finish())
}
