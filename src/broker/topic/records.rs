//! What topics and subscriptions are stored as.

use std::collections::BTreeMap;

use bytes::Bytes;
use prost::Message;

use crate::broker::position::Position;
use crate::broker::subscription::CursorState;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::KeyValue;

/// What a topic says of itself.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct TopicRecord {
    /// The ledger that took entries last.
    #[prost(uint64, tag = "1")]
    pub(super) ledger: u64,
    #[prost(message, optional, tag = "2")]
    pub(super) terminated: Option<PositionRecord>,
    /// Of exclusive access.
    #[prost(uint64, optional, tag = "3")]
    pub(super) epoch: Option<u64>,
    /// The first entry that compaction has not seen.
    #[prost(message, optional, tag = "4")]
    pub(super) horizon: Option<PositionRecord>,
    /// The topic's own policies, as JSON.
    #[prost(string, tag = "5")]
    pub(super) policies: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub(super) struct PositionRecord {
    #[prost(uint64, tag = "1")]
    ledger: u64,
    #[prost(uint64, tag = "2")]
    entry: u64,
}

/// A durable subscription.
#[derive(Clone, PartialEq, Eq, Message)]
pub(super) struct SubscriptionRecord {
    #[prost(int32, tag = "1")]
    pub(super) kind: i32,
    #[prost(message, required, tag = "2")]
    first_unacked: PositionRecord,
    #[prost(message, repeated, tag = "3")]
    acked: Vec<RangeRecord>,
    #[prost(message, repeated, tag = "4")]
    partial: Vec<PartialRecord>,
    #[prost(message, repeated, tag = "5")]
    properties: Vec<KeyValue>,
}

#[derive(Clone, Copy, PartialEq, Eq, Message)]
struct RangeRecord {
    #[prost(message, required, tag = "1")]
    start: PositionRecord,
    #[prost(uint64, tag = "2")]
    end: u64,
}

#[derive(Clone, PartialEq, Eq, Message)]
struct PartialRecord {
    #[prost(message, required, tag = "1")]
    position: PositionRecord,
    #[prost(fixed64, repeated, tag = "2")]
    words: Vec<u64>,
}

impl From<Position> for PositionRecord {
    fn from(position: Position) -> Self {
        Self { ledger: position.ledger, entry: position.entry }
    }
}

impl From<PositionRecord> for Position {
    fn from(record: PositionRecord) -> Self {
        Self::new(record.ledger, record.entry)
    }
}

impl SubscriptionRecord {
    pub(super) fn new(kind: i32, cursor: CursorState, properties: &BTreeMap<String, String>) -> Self {
        let acked = cursor.acked.into_iter().map(|(start, end)| RangeRecord { start: start.into(), end });
        let partial = cursor.partial.into_iter();
        let partial = partial.map(|(position, words)| PartialRecord { position: position.into(), words });
        let properties = properties.iter();
        let properties = properties.map(|(key, value)| KeyValue { key: key.clone(), value: value.clone() });
        Self {
            kind,
            first_unacked: cursor.first_unacked.into(),
            acked: acked.collect(),
            partial: partial.collect(),
            properties: properties.collect(),
        }
    }

    pub(super) fn properties(&self) -> BTreeMap<String, String> {
        self.properties.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect()
    }

    pub(super) fn into_cursor(self) -> CursorState {
        let acked = self.acked.into_iter().map(|range| (range.start.into(), range.end));
        let partial = self.partial.into_iter().map(|part| (part.position.into(), part.words));
        CursorState {
            first_unacked: self.first_unacked.into(),
            acked: acked.collect(),
            partial: partial.collect(),
        }
    }
}

pub(super) fn encode(record: &impl Message) -> Bytes {
    record.encode_to_vec().into()
}

pub(super) fn decode<R: Message + Default>(bytes: &Bytes) -> Result<R> {
    R::decode(bytes.clone()).map_err(|error| {
        Error::new(ErrorKind::Persistence, "the data directory holds a record that is damaged")
            .caused_by(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_read_as_it_was_written() {
        let cursor = CursorState {
            first_unacked: Position::new(3, 7),
            acked: vec![(Position::new(3, 9), 12)],
            partial: vec![(Position::new(3, 8), vec![u64::MAX, 5])],
        };
        let properties: BTreeMap<String, String> = [("a".to_owned(), "b".to_owned())].into();
        let bytes = encode(&SubscriptionRecord::new(1, cursor.clone(), &properties));
        let read: SubscriptionRecord = decode(&bytes).unwrap();
        assert_eq!((read.kind, read.properties()), (1, properties));
        assert_eq!(read.into_cursor(), cursor);
        let damaged = decode::<SubscriptionRecord>(&Bytes::from_static(&[0xff])).unwrap_err();
        assert_eq!(damaged.kind(), ErrorKind::Persistence);
    }
}
