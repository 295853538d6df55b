//! What the tests of this room share.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use super::{Op, Storage, Stored};
use crate::broker::entry::{Entry, Facts};
use crate::broker::position::Position;
use crate::error::Result;
use crate::protocol::checksum::crc32c;
use crate::protocol::proto::MessageMetadata;
use crate::protocol::topic::TopicName;

const PATIENCE: Duration = Duration::from_secs(30);

pub(super) fn topic(name: &str) -> TopicName {
    TopicName::parse(name).unwrap()
}

/// An entry as a producer would have sent it.
pub(super) fn entry(position: Position, body: &[u8]) -> Arc<Entry> {
    let metadata = MessageMetadata {
        producer_name: "p".into(),
        sequence_id: position.entry,
        publish_time: 5,
        partition_key: Some("key".into()),
        ..MessageMetadata::default()
    };
    let mut bytes = BytesMut::new();
    bytes.put_u32(u32::try_from(metadata.encoded_len()).unwrap());
    metadata.encode_raw(&mut bytes);
    bytes.put_slice(body);
    let bytes = bytes.freeze();
    let checksum = crc32c(&[&bytes]);
    Arc::new(Entry { position, stored_at: 7, bytes, checksum, facts: Facts::of(&metadata) })
}

pub(super) fn append(name: &str, ledger: u64, number: u64, body: &[u8]) -> Op {
    Op::Append { topic: topic(name), entry: entry(Position::new(ledger, number), body) }
}

pub(super) fn value(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Stores, and waits until it is.
pub(super) fn store(storage: &dyn Storage, ops: Vec<Op>) -> Result<()> {
    let (done, stored) = mpsc::channel();
    storage.commit(ops, Box::new(move |result| done.send(result).unwrap()));
    stored.recv_timeout(PATIENCE).unwrap()
}

pub(super) fn close(storage: &dyn Storage) {
    let (done, closed) = mpsc::channel();
    storage.close(Box::new(move |result| done.send(result).unwrap()));
    closed.recv_timeout(PATIENCE).unwrap().unwrap();
}

/// All that is stored, to be compared.
pub(super) fn picture(stored: &Stored) -> String {
    format!("{stored:#?}")
}
