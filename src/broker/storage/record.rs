//! An entry as it lies on the disk: when it was stored, its checksum, then its bytes as the producer sent them.

use std::sync::Arc;

use bytes::Bytes;

use crate::broker::entry::{Entry, Facts};
use crate::broker::position::Position;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::frame;

const STORED_AT: usize = size_of::<u64>();
const HEADER: usize = STORED_AT + size_of::<u32>();

pub(super) fn len(entry: &Entry) -> usize {
    HEADER + entry.bytes.len()
}

/// Writes an entry into room for `len` bytes.
pub(super) fn write(entry: &Entry, room: &mut [u8]) {
    let (stored_at, rest) = room.split_at_mut(STORED_AT);
    let (checksum, bytes) = rest.split_at_mut(HEADER - STORED_AT);
    stored_at.copy_from_slice(&entry.stored_at.to_be_bytes());
    checksum.copy_from_slice(&entry.checksum.to_be_bytes());
    bytes.copy_from_slice(&entry.bytes);
}

pub(super) fn read(position: Position, record: &[u8]) -> Result<Arc<Entry>> {
    let damaged =
        || Error::new(ErrorKind::Persistence, format!("the stored entry {position} is not readable"));
    let (stored_at, rest) = record.split_first_chunk().ok_or_else(damaged)?;
    let (checksum, bytes) = rest.split_first_chunk().ok_or_else(damaged)?;
    let bytes = Bytes::copy_from_slice(bytes);
    let payload = frame::decode_payload(bytes.clone()).map_err(|source| damaged().caused_by(source))?;
    Ok(Arc::new(Entry {
        position,
        stored_at: u64::from_be_bytes(*stored_at),
        checksum: u32::from_be_bytes(*checksum),
        facts: Facts::of(&payload.metadata),
        bytes,
    }))
}
