//! All that a storage holds, as it is read at start.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::broker::entry::Entry;
use crate::protocol::topic::TopicName;

/// All that is stored. Values that are `Bytes` are in the encoding of whoever owns them.
#[derive(Clone, Debug, Default)]
pub struct Stored {
    pub metadata: BTreeMap<String, Bytes>,
    pub topics: BTreeMap<TopicName, StoredTopic>,
    /// Schemas by version, of topics as a whole.
    pub schemas: BTreeMap<TopicName, BTreeMap<u64, Bytes>>,
    /// No ledger has this id or a higher one.
    pub next_ledger: u64,
}

/// One topic.
#[derive(Clone, Debug, Default)]
pub struct StoredTopic {
    pub value: Bytes,
    /// In the order of the log; there may be gaps between ledgers, never within one.
    pub entries: Vec<Arc<Entry>>,
    /// By subscription.
    pub cursors: BTreeMap<String, Bytes>,
    /// The last sequence id by producer.
    pub sequences: BTreeMap<String, u64>,
}
