//! Message ids: where a message is stored, ordered as in the topic.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use bytes::Bytes;
use prost::Message;

use super::proto::MessageIdData;
use crate::error::{Error, ErrorKind, Result};

/// Where a message is stored: the entry, and the place in its batch.
///
/// Equality, order and hash are Java's: by ledger, entry, partition and batch index. The other fields say more about
/// the same message.
#[derive(Clone, Copy, Debug)]
pub struct MessageId {
    pub ledger: u64,
    pub entry: u64,
    /// The partition of the topic, or -1.
    pub partition: i32,
    /// The place in the batch, or -1 for a message that was sent alone.
    pub batch_index: i32,
    /// The number of messages in the batch, or 0 for a message that was sent alone or if it is not known.
    pub batch_size: i32,
    /// Of a message that was sent in chunks: its first chunk. `ledger` and `entry` are the last one's.
    pub first_chunk: Option<ChunkId>,
}

/// The entry that holds a chunk of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChunkId {
    pub ledger: u64,
    pub entry: u64,
}

impl MessageId {
    /// Before the first message of any topic: -1 and -1 on the wire.
    pub const EARLIEST: Self = Self::new(u64::MAX, u64::MAX);
    /// Behind the last message of any topic.
    pub const LATEST: Self = Self::new(i64::MAX.cast_unsigned(), i64::MAX.cast_unsigned());

    /// The id of a message that was sent alone to a topic without partitions.
    pub const fn new(ledger: u64, entry: u64) -> Self {
        Self { ledger, entry, partition: -1, batch_index: -1, batch_size: 0, first_chunk: None }
    }

    /// The bytes that the official clients write for this id, and read.
    pub fn to_bytes(&self) -> Bytes {
        self.to_proto().encode_to_vec().into()
    }

    /// The id that an official client, or `to_bytes`, wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let invalid = |context| Error::new(ErrorKind::InvalidMessageId, context);
        let stored = StoredId::decode(bytes)
            .map_err(|source| invalid("the bytes are not a message id").caused_by(source))?;
        let id = stored.id().ok_or_else(|| invalid("a message id without ledger or entry"))?;
        let first_chunk = match stored.first_chunk_message_id {
            Some(first) => Some(
                first.id().ok_or_else(|| invalid("a message id whose first chunk has no ledger or entry"))?,
            ),
            None => None,
        };
        if id.partition < -1 || id.batch_index < -1 || id.batch_size < 0 {
            return Err(invalid("a message id with a negative partition, batch index or batch size"));
        }
        let first_chunk = first_chunk.map(|first| ChunkId { ledger: first.ledger, entry: first.entry });
        Ok(Self { first_chunk, ..id })
    }

    /// The id as it travels in commands. Absent fields stand for the defaults, as the official clients write it.
    pub fn to_proto(&self) -> MessageIdData {
        let partition = (self.partition >= 0).then_some(self.partition);
        MessageIdData {
            ledger_id: self.ledger,
            entry_id: self.entry,
            partition,
            batch_index: (self.batch_index >= 0).then_some(self.batch_index),
            ack_set: Vec::new(),
            batch_size: (self.batch_size > 0).then_some(self.batch_size),
            first_chunk_message_id: self.first_chunk.map(|first| {
                Box::new(MessageIdData {
                    ledger_id: first.ledger,
                    entry_id: first.entry,
                    partition,
                    ..MessageIdData::default()
                })
            }),
        }
    }

    /// Signed, since -1 stands before everything.
    const fn key(&self) -> (i64, i64, i32, i32) {
        (self.ledger.cast_signed(), self.entry.cast_signed(), self.partition, self.batch_index)
    }
}

impl From<&MessageIdData> for MessageId {
    #[inline]
    fn from(data: &MessageIdData) -> Self {
        Self {
            ledger: data.ledger_id,
            entry: data.entry_id,
            partition: data.partition(),
            batch_index: data.batch_index(),
            batch_size: data.batch_size(),
            first_chunk: data
                .first_chunk_message_id
                .as_ref()
                .map(|first| ChunkId { ledger: first.ledger_id, entry: first.entry_id }),
        }
    }
}

/// `MessageIdData` as it is stored outside of commands, where nothing vouches that the required fields are there.
#[derive(Clone, PartialEq, Message)]
struct StoredId {
    #[prost(uint64, optional, tag = "1")]
    ledger_id: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    entry_id: Option<u64>,
    #[prost(int32, optional, tag = "3", default = "-1")]
    partition: Option<i32>,
    #[prost(int32, optional, tag = "4", default = "-1")]
    batch_index: Option<i32>,
    #[prost(int32, optional, tag = "6")]
    batch_size: Option<i32>,
    #[prost(message, optional, boxed, tag = "7")]
    first_chunk_message_id: Option<Box<StoredId>>,
}

impl StoredId {
    fn id(&self) -> Option<MessageId> {
        Some(MessageId {
            ledger: self.ledger_id?,
            entry: self.entry_id?,
            partition: self.partition(),
            batch_index: self.batch_index(),
            batch_size: self.batch_size(),
            first_chunk: None,
        })
    }
}

impl PartialEq for MessageId {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for MessageId {}

impl Ord for MessageId {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl PartialOrd for MessageId {
    #[inline]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for MessageId {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ledger, entry, partition, batch_index) = self.key();
        write!(f, "{ledger}:{entry}:{partition}:{batch_index}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const CHUNKED: MessageId = MessageId {
        partition: 3,
        first_chunk: Some(ChunkId { ledger: 5, entry: 6 }),
        ..MessageId::new(5, 300)
    };

    fn batched(ledger: u64, entry: u64, batch_index: i32) -> MessageId {
        MessageId { batch_index, batch_size: 10, ..MessageId::new(ledger, entry) }
    }

    fn parts(id: &MessageId) -> (u64, u64, i32, i32, i32, Option<ChunkId>) {
        (id.ledger, id.entry, id.partition, id.batch_index, id.batch_size, id.first_chunk)
    }

    #[test]
    fn ids_come_back_whole() {
        for id in [MessageId::new(0, 0), batched(1, 2, 0), CHUNKED, MessageId::EARLIEST, MessageId::LATEST] {
            assert_eq!(parts(&MessageId::from_bytes(&id.to_bytes()).unwrap()), parts(&id));
            assert_eq!(parts(&MessageId::from(&id.to_proto())), parts(&id));
        }
    }

    #[test]
    fn bytes_are_those_of_the_official_clients() {
        assert_eq!(MessageId::new(1, 2).to_bytes(), [8, 1, 16, 2][..]);
        assert_eq!(batched(1, 2, 4).to_bytes(), [8, 1, 16, 2, 32, 4, 48, 10][..]);
        let chunked = [8, 5, 16, 0xac, 2, 24, 3, 58, 6, 8, 5, 16, 6, 24, 3];
        assert_eq!(CHUNKED.to_bytes(), chunked[..]);
        let earliest = [[8].as_slice(), &[0xff; 9], &[1, 16], &[0xff; 9], &[1]].concat();
        assert_eq!(MessageId::EARLIEST.to_bytes(), earliest);
    }

    #[test]
    fn a_truncated_prefix_is_an_error_or_ends_between_optional_fields() {
        let whole = CHUNKED.to_bytes();
        for length in 0..whole.len() {
            match MessageId::from_bytes(&whole[..length]) {
                Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidMessageId),
                Ok(id) => assert!([5, 7].contains(&length), "{id} from {length} bytes"),
            }
        }
    }

    #[test]
    fn nonsense_is_an_error() {
        let negative = MessageId { batch_size: -1, ..batched(1, 2, 3) }.to_proto();
        let negative = MessageIdData { batch_index: Some(-2), ..negative }.encode_to_vec();
        for bytes in [&b"nonsense"[..], b"", &[8, 1], &[8, 1, 16, 2, 58, 0], &negative] {
            let error = MessageId::from_bytes(bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidMessageId);
        }
    }

    #[test]
    fn order_is_that_of_the_topic() {
        let partition = |partition| MessageId { partition, ..MessageId::new(1, 1) };
        let ordered = [
            MessageId::EARLIEST,
            MessageId::new(0, 7),
            MessageId::new(1, 0),
            MessageId::new(1, 1),
            batched(1, 1, 0),
            batched(1, 1, 1),
            partition(0),
            partition(1),
            MessageId::new(1, 2),
            MessageId::LATEST,
        ];
        assert!(ordered.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn equality_is_of_the_message() {
        let unsized_batch = MessageId { batch_size: 0, ..batched(1, 1, 1) };
        assert_eq!(HashSet::from([batched(1, 1, 1), unsized_batch]).len(), 1);
        assert_eq!(HashSet::from([batched(1, 1, 1), batched(1, 1, 2)]).len(), 2);
    }

    #[test]
    fn display_is_ledger_entry_partition_and_batch_index() {
        assert_eq!(batched(10, 3, 2).to_string(), "10:3:-1:2");
        assert_eq!(MessageId::EARLIEST.to_string(), "-1:-1:-1:-1");
    }
}
