//! What the connection calls when something arrives for one session of a partition.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use parking_lot::Mutex;

use super::ack_state::{AckState, Acked};
use super::chunks::{Assembled, Chunks};
use super::entry::{Delivery, Entry};
use super::partition::Partition;
use super::position::Position;
use super::queue::ReceiveQueue;
use crate::client::connection::{ConsumerSink, Disconnect};
use crate::client::options::{OnUnsupported, SubscriptionKind};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::batch::BatchIter;
use crate::protocol::chunk::Chunk;
use crate::protocol::compression::Compression;
use crate::protocol::frame::Payload;
use crate::protocol::message_id::ChunkId;
use crate::protocol::proto::{CommandMessage, MessageMetadata, ValidationError};

/// Each message in a batch takes at least a size and a metadata of two bytes.
const MIN_BATCHED_MESSAGE: usize = 6;

pub(crate) struct Sink {
    partition: Arc<Partition>,
    queue: Arc<ReceiveQueue>,
    session: u64,
    seek: u64,
    /// Touched by the reader task only; the lock is there for the compiler.
    chunks: Mutex<Chunks>,
}

/// Why an entry is not handed out.
#[derive(Clone, Copy)]
enum Refusal {
    Damaged(ValidationError),
    Encrypted,
    /// Nothing of it is wanted: acknowledged already, or not complete.
    Unwanted,
}

impl Sink {
    pub(crate) fn new(partition: Arc<Partition>, queue: Arc<ReceiveQueue>, session: u64) -> Self {
        let options = partition.options();
        let chunks = Chunks::new(options.max_pending_chunked_messages, options.max_uncompressed_size);
        Self { seek: partition.seeks(), partition, queue, session, chunks: Mutex::new(chunks) }
    }

    fn open(&self, command: &CommandMessage, payload: Payload) -> Result<Delivery, Refusal> {
        let position = Position::from(&command.message_id);
        let Payload { broker_metadata, metadata, body } = payload;
        if !metadata.encryption_keys.is_empty() {
            return Err(Refusal::Encrypted);
        }
        if self.partition.unsettled.lock().acks.is_acknowledged(position) {
            return Err(Refusal::Unwanted);
        }
        let (body, chunks) = self.assemble(command, &metadata, position, body)?;
        let body = self.decompress(&metadata, &body)?;
        let first_chunk = chunks
            .first()
            .filter(|_| chunks.len() > 1)
            .map(|first| ChunkId { ledger: first.ledger, entry: first.entry.cast_unsigned() });
        let acks = self.ack_state(&metadata, position, &body, chunks)?;
        acks.keep_only(&command.ack_set);
        self.leave_out(&acks, &metadata, &body);
        let entry = Entry {
            partition: self.partition.clone(),
            session: self.session,
            seek: self.seek,
            position,
            first_chunk,
            metadata,
            broker_metadata,
            redelivery_count: command.redelivery_count.unwrap_or_default(),
            acks,
        };
        Ok(Delivery::new(Arc::new(entry), body))
    }

    /// The whole body, as sent, and the entries it is made of if it came in chunks.
    fn assemble(
        &self,
        command: &CommandMessage,
        metadata: &MessageMetadata,
        position: Position,
        body: Bytes,
    ) -> Result<(Bytes, Vec<Position>), Refusal> {
        let chunk = match Chunk::of(metadata) {
            Ok(None) => return Ok((body, Vec::new())),
            Ok(Some(chunk)) => chunk,
            Err(_) => return Err(Refusal::Damaged(ValidationError::BatchDeSerializeError)),
        };
        let alone = Arc::new(AckState::single(position));
        self.leave_out(&alone, metadata, &body);
        if alone.remaining() == 0 {
            return Err(Refusal::Unwanted);
        }
        let mut given_up = Vec::new();
        let assembled = self.chunks.lock().add(chunk, position, &body, &mut given_up);
        self.give_up(&given_up, command.redelivery_count.unwrap_or_default());
        match assembled {
            Assembled::Whole(body, chunks) => Ok((body, chunks)),
            Assembled::Waiting => Err(Refusal::Unwanted),
            Assembled::Duplicate => {
                self.partition.acknowledge(&alone, None);
                Err(Refusal::Unwanted)
            }
            Assembled::Oversized => Err(Refusal::Damaged(ValidationError::UncompressedSizeCorruption)),
        }
    }

    /// Chunks that cannot become a message stay in the backlog. Where the broker tracks single messages they are
    /// asked for again, later and later, in case the rest is with another consumer.
    fn give_up(&self, chunks: &[Position], redelivery_count: u32) {
        self.partition.common.counters.chunks_given_up.add(chunks.len() as u64);
        if redelivers_singly(self.partition.options().r#type) {
            for position in chunks {
                self.partition.negative_acknowledge(*position, redelivery_count);
            }
        }
    }

    fn decompress(&self, metadata: &MessageMetadata, body: &Bytes) -> Result<Bytes, Refusal> {
        let limit = self.partition.options().max_uncompressed_size;
        let size = metadata.uncompressed_size.unwrap_or_default();
        let damaged = |_| Refusal::Damaged(ValidationError::DecompressionError);
        let compression = Compression::of(metadata).map_err(damaged)?;
        if compression == Compression::None {
            return Ok(body.clone());
        }
        if size as usize > limit {
            return Err(Refusal::Damaged(ValidationError::UncompressedSizeCorruption));
        }
        compression.decompress(body, size, limit).map_err(damaged)
    }

    fn ack_state(
        &self,
        metadata: &MessageMetadata,
        position: Position,
        body: &Bytes,
        mut chunks: Vec<Position>,
    ) -> Result<Arc<AckState>, Refusal> {
        if !chunks.is_empty() {
            chunks.pop();
            return Ok(self.partition.track(|acks| acks.chunked(position, chunks.into())));
        }
        let Some(count) = metadata.num_messages_in_batch else {
            return Ok(Arc::new(AckState::single(position)));
        };
        let size = u32::try_from(count).unwrap_or_default();
        if size == 0 || size as usize > body.len() / MIN_BATCHED_MESSAGE {
            return Err(Refusal::Damaged(ValidationError::BatchDeSerializeError));
        }
        self.partition.saw_batch(size);
        Ok(self.partition.track(|acks| acks.batch(position, size)))
    }

    /// Leaves out what was compacted away, and what is before the position asked for. What is left out of a durable
    /// subscription is acknowledged as well: nobody will.
    fn leave_out(&self, state: &Arc<AckState>, metadata: &MessageMetadata, body: &Bytes) {
        if state.remaining() == 0 {
            return;
        }
        if self.partition.options().read_compacted {
            leave_out_compacted(state, body);
        }
        self.partition.reading.lock().leave_out(state, metadata.publish_time);
        if state.remaining() == 0 && self.partition.options().durable {
            self.partition.settled_elsewhere(state);
        }
    }

    fn refuse(&self, command: &CommandMessage, refusal: Refusal, permits: usize) {
        let partition = &self.partition;
        match refusal {
            Refusal::Unwanted => partition.credit(permits),
            Refusal::Damaged(reason) => {
                partition.discard(Position::from(&command.message_id), reason, permits);
            }
            Refusal::Encrypted => {
                partition.common.counters.encrypted.add(1);
                match partition.options().on_unsupported {
                    OnUnsupported::Skip => partition.credit(permits),
                    OnUnsupported::Pause => {
                        let id = (&command.message_id).into();
                        self.queue.stop(partition.clone(), self.session, encrypted(partition, id));
                    }
                }
            }
        }
    }
}

impl ConsumerSink for Sink {
    fn message(&self, _connection: u64, command: CommandMessage, payload: Result<Payload>) {
        if !self.partition.accepts(self.session) {
            return;
        }
        self.partition.served.store(true, Ordering::Relaxed);
        let payload = match payload {
            Ok(payload) => payload,
            Err(error) => {
                let reason = match error.kind() {
                    ErrorKind::Checksum => ValidationError::ChecksumMismatch,
                    _ => ValidationError::BatchDeSerializeError,
                };
                return self.refuse(&command, Refusal::Damaged(reason), self.partition.guessed_size());
            }
        };
        let permits =
            usize::try_from(payload.metadata.num_messages_in_batch.unwrap_or(1)).unwrap_or(1).max(1);
        let stale = command.consumer_epoch.is_some_and(|e| e < self.partition.epoch.load(Ordering::Acquire));
        if stale {
            return self.partition.credit(permits);
        }
        match self.open(&command, payload) {
            Ok(delivery) => {
                let left_out = permits.saturating_sub(delivery.remaining());
                if delivery.remaining() > 0 {
                    self.queue.push(delivery);
                }
                if left_out > 0 {
                    self.partition.credit(left_out);
                }
            }
            Err(refusal) => self.refuse(&command, refusal, permits),
        }
    }

    fn active_changed(&self, _connection: u64, active: bool) {
        if self.partition.is_latest(self.session) {
            self.partition.active.store(if active { self.session } else { 0 }, Ordering::Release);
        }
    }

    fn end_of_topic(&self, _connection: u64) {
        if self.partition.is_latest(self.session) {
            self.partition.end_of_topic.store(true, Ordering::Release);
            self.partition.wake.notify_one();
        }
    }

    fn disconnected(&self, _connection: u64, reason: Disconnect) {
        *self.partition.ended.lock() = Some((self.session, reason));
        self.partition.wake.notify_one();
    }
}

/// Whether the broker redelivers single messages on this subscription type.
pub(crate) fn redelivers_singly(kind: SubscriptionKind) -> bool {
    matches!(kind, SubscriptionKind::Shared | SubscriptionKind::KeyShared)
}

/// Compaction leaves a batch whole and marks those of its messages that a later one replaced.
fn leave_out_compacted(state: &AckState, body: &Bytes) {
    let batch = BatchIter::new(body.clone(), state.batch_size() as usize);
    for (index, message) in (0u32..).zip(batch) {
        if message.is_ok_and(|(metadata, _)| metadata.compacted_out()) {
            let _: Acked = state.acknowledge(index);
        }
    }
}

fn encrypted(partition: &Partition, id: crate::protocol::message_id::MessageId) -> Error {
    let advice = "seek past it, or choose on_unsupported=\"skip\"";
    Error::new(
        ErrorKind::Encrypted,
        format!("message {id} is encrypted, and this consumer has no key: {advice}"),
    )
    .on_topic(partition.topic())
}
