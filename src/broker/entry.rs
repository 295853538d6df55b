//! What a topic stores: one entry for each send command, be it a message, a batch or a chunk.

use bytes::Bytes;

use super::position::Position;
use crate::protocol::base64;
use crate::protocol::proto::MessageMetadata;

/// A stored entry. Shared by all subscriptions; its bytes share the memory of the read buffer they came in.
#[derive(Clone, Debug)]
pub struct Entry {
    pub position: Position,
    /// The broker's time of storing, in milliseconds since 1970.
    pub stored_at: u64,
    /// Size of the metadata, metadata and body, as the producer sent them.
    pub bytes: Bytes,
    /// CRC-32C over `bytes`.
    pub checksum: u32,
    pub facts: Facts,
}

/// What the broker needs to know of the metadata again and again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Messages in the entry: more than 1 only for a batch.
    pub messages: u32,
    /// Whether it is a batch, possibly of one.
    pub is_batch: bool,
    /// What `Key_Shared` goes by: the ordering key, else the partition key, else none.
    pub key: Option<Bytes>,
    /// Not before this time, in milliseconds since 1970.
    pub deliver_at: Option<u64>,
    /// The producer's time, in milliseconds since 1970.
    pub publish_time: u64,
    pub event_time: Option<u64>,
    pub producer: String,
    pub sequence_id: u64,
    /// The last sequence id of a batch; otherwise `sequence_id`.
    pub highest_sequence_id: u64,
    /// One of the chunks of a larger message.
    pub is_chunk: bool,
    /// No value: in a compacted topic the key is deleted.
    pub is_tombstone: bool,
}

impl Facts {
    pub fn of(metadata: &MessageMetadata) -> Self {
        let batch = metadata.num_messages_in_batch;
        Self {
            messages: u32::try_from(batch.unwrap_or(1)).unwrap_or(1).max(1),
            is_batch: batch.is_some(),
            key: key(metadata),
            deliver_at: metadata
                .deliver_at_time
                .and_then(|time| u64::try_from(time).ok())
                .filter(|time| *time > 0),
            publish_time: metadata.publish_time,
            event_time: metadata.event_time.filter(|time| *time > 0),
            producer: metadata.producer_name.clone(),
            sequence_id: metadata.sequence_id,
            highest_sequence_id: metadata
                .highest_sequence_id
                .map_or(metadata.sequence_id, |highest| highest.max(metadata.sequence_id)),
            is_chunk: metadata.num_chunks_from_msg.is_some_and(|chunks| chunks > 1),
            is_tombstone: metadata.null_value.unwrap_or_default(),
        }
    }
}

fn key(metadata: &MessageMetadata) -> Option<Bytes> {
    if let Some(ordering) = metadata.ordering_key.as_ref().filter(|key| !key.is_empty()) {
        return Some(ordering.clone());
    }
    let key = metadata.partition_key.as_ref()?;
    if metadata.partition_key_b64_encoded() {
        // Of a key that is not what it says, nothing is known.
        return base64::decode(key).map(Bytes::from);
    }
    Some(Bytes::copy_from_slice(key.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_bytes_counts_as_these_bytes() {
        let key = |text: &str, is_base64| {
            Facts::of(&MessageMetadata {
                partition_key: Some(text.into()),
                partition_key_b64_encoded: Some(is_base64),
                ..MessageMetadata::default()
            })
            .key
        };
        assert_eq!(key("Zm9v", true), key("foo", false));
        assert_eq!(key("Zm9v", false).as_deref(), Some(&b"Zm9v"[..]));
        assert_eq!(key("no base64", true), None);
    }
}
