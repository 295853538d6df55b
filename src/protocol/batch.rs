//! Batches: many messages as the body of one entry.
//!
//! ```text
//! for each message: metadata size, big-endian, 4 bytes | SingleMessageMetadata | payload
//! ```

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::encoding::{decode_varint, encode_varint, encoded_len_varint};
use prost::{DecodeError, Message};

use super::frame::split_sized;
use super::proto::SingleMessageMetadata;
use crate::error::{Error, ErrorKind, Result};

const SIZE: usize = size_of::<u32>();
const PAYLOAD_SIZE_KEY: u8 = 3 << 3; // field 3, varint
const EVENT_TIME_KEY: u8 = 5 << 3; // field 5, varint
const SEQUENCE_ID_KEY: u8 = 8 << 3; // field 8, varint

/// Joins messages to a body. Nothing is allocated for a message but the room in the body.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    body: BytesMut,
    len: usize,
}

impl BatchBuilder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a message. Its size is taken from `payload`, whatever `metadata` says.
    #[inline]
    pub fn push(&mut self, metadata: &SingleMessageMetadata, payload: &[u8]) {
        let payload_size = payload_size(payload);
        if metadata.payload_size == payload_size {
            self.append(metadata, payload);
        } else {
            self.append(&SingleMessageMetadata { payload_size, ..metadata.clone() }, payload);
        }
    }

    fn append(&mut self, metadata: &SingleMessageMetadata, payload: &[u8]) {
        let size = metadata.encoded_len();
        self.body.reserve(SIZE + size + payload.len());
        self.body.put_slice(&prefix(size));
        metadata.encode_raw(&mut self.body);
        self.body.put_slice(payload);
        self.len += 1;
    }

    /// Adds a message that has nothing but a payload and a sequence id, twice as fast as `push`.
    #[inline]
    pub fn push_plain(&mut self, sequence_id: u64, payload: &[u8]) {
        let payload_size = u64::from(payload_size(payload).cast_unsigned());
        let size = 2 + encoded_len_varint(payload_size) + encoded_len_varint(sequence_id);
        self.body.reserve(SIZE + size + payload.len());
        self.body.put_slice(&prefix(size));
        self.body.put_u8(PAYLOAD_SIZE_KEY);
        encode_varint(payload_size, &mut self.body);
        self.body.put_u8(SEQUENCE_ID_KEY);
        encode_varint(sequence_id, &mut self.body);
        self.body.put_slice(payload);
        self.len += 1;
    }

    /// The number of messages.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The size of the body so far.
    pub fn bytes(&self) -> usize {
        self.body.len()
    }

    /// The body; the builder is empty again, and uses the body's memory once more when that was dropped.
    pub fn finish(&mut self) -> Bytes {
        self.len = 0;
        self.body.split().freeze()
    }
}

/// Messages are held to the broker's limit, some megabytes, before they are batched.
fn payload_size(payload: &[u8]) -> i32 {
    debug_assert!(i32::try_from(payload.len()).is_ok(), "a payload of {} bytes", payload.len());
    i32::try_from(payload.len()).unwrap_or(i32::MAX)
}

fn prefix(size: usize) -> [u8; SIZE] {
    u32::try_from(size).unwrap_or(u32::MAX).to_be_bytes()
}

/// Splits a body into its messages, one at a time; the payloads share the body's memory.
///
/// Ends after `count` messages, or after the first error.
#[derive(Clone, Debug)]
pub struct BatchIter {
    rest: Bytes,
    count: usize,
    index: usize,
}

impl BatchIter {
    /// `body` is uncompressed, `count` is `num_messages_in_batch` of its metadata.
    pub fn new(body: Bytes, count: usize) -> Self {
        Self { rest: body, count, index: 0 }
    }

    #[cold]
    fn damaged(&mut self, reason: &str) -> Error {
        let (index, count) = (self.index, self.count);
        self.index = count;
        Error::new(ErrorKind::Decode, format!("message {index} of a batch of {count} {reason}"))
    }
}

impl Iterator for BatchIter {
    type Item = Result<(SingleMessageMetadata, Bytes)>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.index >= self.count {
            return None;
        }
        let Some((encoded, behind)) = split_sized(&self.rest) else {
            return Some(Err(self.damaged("exceeds the batch")));
        };
        let metadata = match decode_metadata(encoded) {
            Ok(metadata) => metadata,
            Err(source) => return Some(Err(self.damaged("has malformed metadata").caused_by(source))),
        };
        let start = self.rest.len() - behind.len();
        match usize::try_from(metadata.payload_size) {
            Ok(size) if size <= behind.len() => {
                self.rest.advance(start);
                self.index += 1;
                Some(Ok((metadata, self.rest.split_to(size))))
            }
            _ => Some(Err(self.damaged("exceeds the batch"))),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // At least one, since a damaged batch ends early.
        let left = self.count.saturating_sub(self.index);
        (left.min(1), Some(left))
    }
}

impl std::iter::FusedIterator for BatchIter {}

/// Most messages have numbers only in their metadata: those are read here, in a fraction of the time that the general
/// way takes, to which anything else is left.
#[inline]
fn decode_metadata(encoded: &[u8]) -> Result<SingleMessageMetadata, DecodeError> {
    let mut metadata = SingleMessageMetadata::default();
    let mut rest = encoded;
    while let Some((&key, value)) = rest.split_first() {
        rest = value;
        match key {
            // Out of range becomes negative, and is refused with the negative ones.
            PAYLOAD_SIZE_KEY => metadata.payload_size = decode_varint(&mut rest)?.try_into().unwrap_or(-1),
            EVENT_TIME_KEY => metadata.event_time = Some(decode_varint(&mut rest)?),
            SEQUENCE_ID_KEY => metadata.sequence_id = Some(decode_varint(&mut rest)?),
            _ => return SingleMessageMetadata::decode(encoded),
        }
    }
    Ok(metadata)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(body: &Bytes, count: usize) -> Result<Vec<(SingleMessageMetadata, Bytes)>> {
        BatchIter::new(body.clone(), count).collect()
    }

    fn three_messages() -> Bytes {
        let mut batch = BatchBuilder::new();
        let keyed =
            SingleMessageMetadata { partition_key: Some("k".into()), ..SingleMessageMetadata::default() };
        batch.push(&keyed, b"one");
        batch.push_plain(300, b"");
        batch.push(&SingleMessageMetadata { null_value: Some(true), ..keyed }, b"three");
        assert_eq!(batch.len(), 3);
        let bytes = batch.bytes();
        let body = batch.finish();
        assert_eq!((body.len(), batch.bytes(), batch.is_empty()), (bytes, 0, true));
        body
    }

    #[test]
    fn messages_come_back() {
        let messages = split(&three_messages(), 3).unwrap();
        let payloads: Vec<&[u8]> = messages.iter().map(|(_, payload)| &payload[..]).collect();
        assert_eq!(payloads, [&b"one"[..], b"", b"three"]);
        assert_eq!(messages[0].0.partition_key(), "k");
        assert_eq!(messages[0].0.payload_size, 3);
        let plain = SingleMessageMetadata { sequence_id: Some(300), ..SingleMessageMetadata::default() };
        assert_eq!(messages[1].0, plain);
        assert!(messages[2].0.null_value());
    }

    #[test]
    fn a_plain_message_is_written_as_any_other() {
        let mut plain = BatchBuilder::new();
        let mut general = BatchBuilder::new();
        for sequence_id in [0, 127, 128, u64::MAX] {
            plain.push_plain(sequence_id, b"payload");
            let metadata = SingleMessageMetadata { sequence_id: Some(sequence_id), ..Default::default() };
            general.push(&metadata, b"payload");
        }
        assert_eq!(plain.finish(), general.finish());
    }

    #[test]
    fn payloads_share_the_body() {
        let body = three_messages();
        let within = body.as_ptr_range();
        for (_, payload) in split(&body, 3).unwrap().iter().filter(|(_, payload)| !payload.is_empty()) {
            assert!(within.contains(&payload.as_ptr()));
        }
    }

    #[test]
    fn every_truncated_prefix_is_an_error() {
        let body = three_messages();
        for length in 0..body.len() {
            let error = split(&body.slice(..length), 3).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Decode, "{length} bytes");
        }
    }

    #[test]
    fn a_batch_with_an_error_ends_there() {
        let mut batch = BatchIter::new(three_messages().slice(..5), 3);
        assert!(batch.next().unwrap().is_err());
        assert!(batch.next().is_none());
    }

    #[test]
    fn a_negative_payload_size_is_an_error() {
        let metadata = SingleMessageMetadata { payload_size: -1, ..SingleMessageMetadata::default() };
        let mut body = BytesMut::new();
        body.put_slice(&prefix(metadata.encoded_len()));
        metadata.encode_raw(&mut body);
        assert_eq!(split(&body.freeze(), 1).unwrap_err().kind(), ErrorKind::Decode);
    }
}
