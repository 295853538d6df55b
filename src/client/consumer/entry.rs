//! An entry as it was delivered, and the messages in it.

use std::sync::Arc;

use bytes::Bytes;

use super::ack_state::AckState;
use super::message::{Message, Own};
use super::partition::Partition;
use super::position::Position;
use crate::error::Result;
use crate::protocol::batch::BatchIter;
use crate::protocol::message_id::{ChunkId, MessageId};
use crate::protocol::proto::{BrokerEntryMetadata, MessageMetadata};

/// What the messages of one entry have in common.
pub(crate) struct Entry {
    pub(crate) partition: Arc<Partition>,
    /// The subscription it arrived on: a later one makes it stale.
    pub(crate) session: u64,
    /// The seek it arrived after: a later one makes its acknowledgements void.
    pub(crate) seek: u64,
    pub(crate) position: Position,
    pub(crate) first_chunk: Option<ChunkId>,
    pub(crate) metadata: Box<MessageMetadata>,
    pub(crate) broker_metadata: Option<BrokerEntryMetadata>,
    pub(crate) redelivery_count: u32,
    pub(crate) acks: Arc<AckState>,
}

impl Entry {
    pub(crate) fn is_batch(&self) -> bool {
        self.acks.batch_size() > 0
    }

    pub(crate) fn message_id(&self, index: u32) -> MessageId {
        let mut id = MessageId::new(self.position.ledger, self.position.entry.cast_unsigned());
        id.partition = self.partition.index();
        id.first_chunk = self.first_chunk;
        if self.is_batch() {
            id.batch_index = index.cast_signed();
            id.batch_size = self.acks.batch_size().cast_signed();
        }
        id
    }
}

/// An entry in the receive queue, split as its messages are taken.
pub(crate) struct Delivery {
    pub(crate) entry: Arc<Entry>,
    rest: Rest,
    /// The place of the next message in the batch.
    next: u32,
    /// Messages that are not to be handed out, since they were acknowledged before it arrived: a copy, so that the
    /// number of messages in the queue does not change behind its back. Empty if there are none.
    skip: Box<[u64]>,
    remaining: usize,
}

enum Rest {
    One(Option<Bytes>),
    Batch(BatchIter),
}

impl Delivery {
    /// `body` is uncompressed.
    pub(crate) fn new(entry: Arc<Entry>, body: Bytes) -> Self {
        let size = entry.acks.batch_size();
        let rest =
            if size > 0 { Rest::Batch(BatchIter::new(body, size as usize)) } else { Rest::One(Some(body)) };
        let skip = entry.acks.acknowledged();
        let skipped: u32 = skip.iter().map(|word| word.count_ones()).sum();
        let remaining = if size > 0 { size.saturating_sub(skipped) } else { entry.acks.remaining() };
        Self { entry, rest, next: 0, skip, remaining: remaining as usize }
    }

    /// Messages still to be handed out.
    pub(crate) fn remaining(&self) -> usize {
        self.remaining
    }

    /// The next message; an error if the batch is damaged there, and then nothing follows.
    pub(crate) fn next(&mut self) -> Result<Option<Message>> {
        while self.remaining > 0 {
            let index = self.next;
            let (own, payload) = match &mut self.rest {
                Rest::One(body) => (Own::Entry, body.take()),
                Rest::Batch(batch) => match batch.next().transpose()? {
                    Some((single, payload)) => (Own::from(single), Some(payload)),
                    None => (Own::Entry, None),
                },
            };
            let Some(payload) = payload else { break };
            self.next += 1;
            if self.skips(index) {
                continue;
            }
            self.remaining -= 1;
            return Ok(Some(Message::new(self.entry.clone(), index, own, payload)));
        }
        self.remaining = 0;
        Ok(None)
    }

    fn skips(&self, index: u32) -> bool {
        self.skip.get((index / u64::BITS) as usize).is_some_and(|word| word & (1 << (index % u64::BITS)) != 0)
    }
}
