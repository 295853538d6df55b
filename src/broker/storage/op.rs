//! One change to what is stored.

use std::sync::Arc;

use bytes::Bytes;

use crate::broker::entry::Entry;
use crate::broker::position::Position;
use crate::protocol::topic::TopicName;

/// One change. Values that are `Bytes` are in the encoding of whoever owns them.
#[derive(Clone, Debug)]
pub enum Op {
    /// Tenants, namespaces with their policies, partitioned topics: whatever has a path.
    PutMetadata {
        path: String,
        value: Bytes,
    },
    DeleteMetadata {
        path: String,
    },
    /// Creates a topic, or replaces what it says of itself.
    PutTopic {
        topic: TopicName,
        value: Bytes,
    },
    /// Deletes a topic with its entries, cursors and sequence ids; its schemas stay.
    DeleteTopic {
        topic: TopicName,
    },
    /// The topic's later entries go to this ledger. No ledger id is given twice, not even after a restart.
    OpenLedger {
        topic: TopicName,
        ledger: u64,
    },
    Append {
        topic: TopicName,
        entry: Arc<Entry>,
    },
    /// Forgets the entries before a position.
    Trim {
        topic: TopicName,
        before: Position,
    },
    PutCursor {
        topic: TopicName,
        subscription: String,
        value: Bytes,
    },
    DeleteCursor {
        topic: TopicName,
        subscription: String,
    },
    /// The last sequence id that deduplication knows of a producer.
    PutSequence {
        topic: TopicName,
        producer: String,
        sequence_id: u64,
    },
    DeleteSequence {
        topic: TopicName,
        producer: String,
    },
    /// Schemas belong to the topic as a whole, not to its partitions.
    PutSchema {
        topic: TopicName,
        version: u64,
        value: Bytes,
    },
    /// Deletes all versions.
    DeleteSchemas {
        topic: TopicName,
    },
}

impl Op {
    /// About how much memory the operation holds.
    pub(super) fn size(&self) -> usize {
        const FIXED: usize = 128;
        FIXED
            + match self {
                Self::Append { entry, .. } => entry.bytes.len(),
                Self::PutMetadata { value, .. }
                | Self::PutTopic { value, .. }
                | Self::PutCursor { value, .. }
                | Self::PutSchema { value, .. } => value.len(),
                _ => 0,
            }
    }
}
