//! A message, as a consumer or reader hands it out.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use super::entry::Entry;
use crate::protocol::message_id::MessageId;
use crate::protocol::proto::{KeyValue, SingleMessageMetadata};

/// A received message. Cheap to clone: its payload and its entry are shared.
#[derive(Clone)]
pub struct Message {
    entry: Arc<Entry>,
    /// The place in the batch; 0 if it is none.
    index: u32,
    own: Own,
    payload: Bytes,
}

/// What of the metadata is the message's own. Small, since messages are handed out by the thousand.
#[derive(Clone)]
pub(crate) enum Own {
    /// All of its entry's: it is not in a batch.
    Entry,
    /// Of a message in a batch that has neither key nor properties.
    Plain {
        sequence_id: Option<u64>,
        event_time: Option<u64>,
    },
    Batched(Box<SingleMessageMetadata>),
}

impl From<SingleMessageMetadata> for Own {
    fn from(metadata: SingleMessageMetadata) -> Self {
        let plain = metadata.properties.is_empty()
            && metadata.partition_key.is_none()
            && metadata.ordering_key.is_none()
            && !metadata.null_value();
        if plain {
            Self::Plain { sequence_id: metadata.sequence_id, event_time: metadata.event_time }
        } else {
            Self::Batched(Box::new(metadata))
        }
    }
}

/// Takes a field from the message's own metadata in a batch, else from its entry's.
macro_rules! field {
    ($message:ident, $metadata:ident => $value:expr, plain: $plain:expr) => {
        match &$message.own {
            Own::Batched($metadata) => $value,
            Own::Plain { .. } => $plain,
            Own::Entry => {
                let $metadata = &$message.entry.metadata;
                $value
            }
        }
    };
}

impl Message {
    pub(crate) fn new(entry: Arc<Entry>, index: u32, own: Own, payload: Bytes) -> Self {
        Self { entry, index, own, payload }
    }

    pub(crate) fn entry(&self) -> &Arc<Entry> {
        &self.entry
    }

    pub(crate) fn index(&self) -> u32 {
        self.index
    }

    pub fn id(&self) -> MessageId {
        self.entry.message_id(self.index)
    }

    /// Uncompressed; empty for a tombstone.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// The key as it travels: base64 if `key_is_base64`.
    pub fn key(&self) -> Option<&str> {
        field!(self, m => m.partition_key.as_deref().filter(|_| !m.null_partition_key()), plain: None)
    }

    /// Whether the key was given as bytes.
    pub fn key_is_base64(&self) -> bool {
        field!(self, m => m.partition_key_b64_encoded(), plain: false)
    }

    pub fn ordering_key(&self) -> Option<&Bytes> {
        field!(self, m => m.ordering_key.as_ref(), plain: None)
    }

    pub fn properties(&self) -> &[KeyValue] {
        field!(self, m => &m.properties, plain: &[])
    }

    /// Milliseconds since 1970, if the producer set it.
    pub fn event_time(&self) -> Option<u64> {
        let time = match &self.own {
            Own::Entry => self.entry.metadata.event_time,
            Own::Plain { event_time, .. } => *event_time,
            Own::Batched(metadata) => metadata.event_time,
        };
        time.filter(|time| *time > 0)
    }

    /// A message without a value.
    pub fn is_tombstone(&self) -> bool {
        field!(self, m => m.null_value(), plain: false)
    }

    pub fn sequence_id(&self) -> u64 {
        let own = match &self.own {
            Own::Entry => None,
            Own::Plain { sequence_id, .. } => *sequence_id,
            Own::Batched(metadata) => metadata.sequence_id,
        };
        own.unwrap_or(self.entry.metadata.sequence_id)
    }

    /// Milliseconds since 1970, by the producer's clock.
    pub fn publish_time(&self) -> u64 {
        self.entry.metadata.publish_time
    }

    /// Milliseconds since 1970 before which a Shared subscription does not deliver it.
    pub fn deliver_at(&self) -> Option<i64> {
        self.entry.metadata.deliver_at_time
    }

    /// Milliseconds since 1970, by the broker's clock, where the broker adds it.
    pub fn broker_publish_time(&self) -> Option<u64> {
        self.entry.broker_metadata.as_ref().and_then(|m| m.broker_timestamp)
    }

    /// The message's number in its topic, where the broker counts.
    pub fn broker_index(&self) -> Option<u64> {
        let last = self.entry.broker_metadata.as_ref().and_then(|m| m.index)?;
        let behind = self.entry.acks.batch_size().saturating_sub(1).saturating_sub(self.index);
        last.checked_sub(u64::from(behind))
    }

    pub fn producer_name(&self) -> &str {
        &self.entry.metadata.producer_name
    }

    pub fn schema_version(&self) -> Option<&Bytes> {
        self.entry.metadata.schema_version.as_ref()
    }

    /// The cluster it was published in, if it was replicated.
    pub fn replicated_from(&self) -> Option<&str> {
        self.entry.metadata.replicated_from.as_deref()
    }

    /// Times that the broker delivered it before; always 0 on Exclusive and Failover.
    pub fn redelivery_count(&self) -> u32 {
        self.entry.redelivery_count
    }

    /// The complete name of the topic, with the suffix of the partition if it has one.
    pub fn topic(&self) -> &str {
        self.entry.partition.topic().as_str()
    }
}

impl fmt::Debug for Message {
    /// Without payload, key and properties: they may be private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("id", &self.id())
            .field("topic", &self.topic())
            .field("size", &self.payload.len())
            .finish_non_exhaustive()
    }
}
