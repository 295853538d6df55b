//! From messages to the frame of an entry: joined, compressed, and with a checksum.

use bytes::Bytes;

use crate::client::OutFrame;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::batch::BatchBuilder;
use crate::protocol::compression::Compression;
use crate::protocol::frame::encode_send_header;
use crate::protocol::proto::{CommandSend, MessageMetadata, SingleMessageMetadata};

/// An entry before it is encoded. Encoding takes time, and is done by the partition's task with no lock held.
pub(super) struct Raw {
    /// What the messages decide; the rest comes from the envelope.
    pub(super) metadata: MessageMetadata,
    pub(super) body: Body,
    pub(super) sequence_id: u64,
    /// The sequence id of the last message; of a message alone the same.
    pub(super) highest_sequence_id: u64,
    pub(super) count: u32,
}

pub(super) enum Body {
    /// One message, sent alone.
    Single(Bytes),
    /// A batch that is joined already.
    Batch(Bytes),
    /// A batch of one key; its messages got their sequence ids when it was closed.
    Keyed(Vec<(SingleMessageMetadata, Bytes)>),
}

/// What is the same for all entries of a producer, or of the moment.
pub(super) struct Envelope {
    pub(super) producer_id: u64,
    pub(super) producer_name: String,
    pub(super) schema_version: Option<Bytes>,
    pub(super) compression: Compression,
    pub(super) max_message_size: usize,
    /// Milliseconds since 1970.
    pub(super) publish_time: u64,
}

impl Envelope {
    pub(super) fn encode(&self, raw: Raw) -> Result<OutFrame> {
        let count = i32::try_from(raw.count).unwrap_or(i32::MAX);
        let batched = !matches!(raw.body, Body::Single(_));
        let body = join(raw.body);
        let uncompressed_size = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let (compression, body) = self.compress(body)?;
        let highest_sequence_id = batched.then_some(raw.highest_sequence_id);
        let metadata = MessageMetadata {
            producer_name: self.producer_name.clone(),
            sequence_id: raw.sequence_id,
            highest_sequence_id,
            publish_time: self.publish_time,
            schema_version: self.schema_version.clone(),
            compression: (compression != Compression::None).then_some(compression as i32),
            uncompressed_size: Some(uncompressed_size),
            num_messages_in_batch: batched.then_some(count),
            ..raw.metadata
        };
        let size = prost::Message::encoded_len(&metadata) + body.len();
        if size > self.max_message_size {
            return Err(too_large(size, self.max_message_size));
        }
        let send = CommandSend {
            producer_id: self.producer_id,
            sequence_id: raw.sequence_id,
            num_messages: batched.then_some(count),
            highest_sequence_id,
            ..CommandSend::default()
        };
        Ok(OutFrame { header: encode_send_header(&send.into(), &metadata, &body), body })
    }

    /// What does not become smaller is sent as it is.
    fn compress(&self, body: Bytes) -> Result<(Compression, Bytes)> {
        if self.compression == Compression::None {
            return Ok((Compression::None, body));
        }
        let compressed = self.compression.compress(&body)?;
        Ok(if compressed.len() < body.len() {
            (self.compression, compressed)
        } else {
            (Compression::None, body)
        })
    }
}

pub(super) fn too_large(size: usize, limit: usize) -> Error {
    let context = format!("the message takes {size} bytes, and the broker accepts {limit}");
    Error::new(ErrorKind::MessageTooLarge, context)
}

fn join(body: Body) -> Bytes {
    match body {
        Body::Single(body) | Body::Batch(body) => body,
        Body::Keyed(messages) => {
            let mut batch = BatchBuilder::new();
            for (metadata, payload) in &messages {
                batch.push(metadata, payload);
            }
            batch.finish()
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;

    use super::*;
    use crate::protocol::batch::BatchIter;
    use crate::protocol::frame::{self, DEFAULT_MAX_MESSAGE_SIZE, Payload};
    use crate::protocol::proto::Command;

    fn envelope(compression: Compression) -> Envelope {
        Envelope {
            producer_id: 3,
            producer_name: "p".into(),
            schema_version: None,
            compression,
            max_message_size: 1000,
            publish_time: 5,
        }
    }

    fn single(payload: Vec<u8>) -> Raw {
        let body = Body::Single(payload.into());
        Raw { metadata: MessageMetadata::default(), body, sequence_id: 7, highest_sequence_id: 7, count: 1 }
    }

    fn decode(frame: &OutFrame) -> (CommandSend, Payload) {
        let mut bytes = BytesMut::from(&[&frame.header[..], &frame.body].concat()[..]);
        let frame = frame::decode(&mut bytes, DEFAULT_MAX_MESSAGE_SIZE).unwrap().unwrap();
        match frame.command.command {
            Some(Command::Send(send)) => (send, frame.payload.unwrap().unwrap()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_single_message_is_no_batch() {
        let (send, payload) = decode(&envelope(Compression::None).encode(single(vec![1, 2])).unwrap());
        assert_eq!((send.producer_id, send.sequence_id, send.num_messages()), (3, 7, 1));
        assert_eq!(payload.metadata.num_messages_in_batch, None);
        assert_eq!(payload.body[..], [1, 2]);
    }

    #[test]
    fn a_batch_names_its_first_and_last_sequence_id() {
        let one =
            |sequence_id| SingleMessageMetadata { sequence_id: Some(sequence_id), ..Default::default() };
        let messages = vec![(one(7), Bytes::from_static(b"a")), (one(9), Bytes::from_static(b"b"))];
        let raw = Raw { body: Body::Keyed(messages), highest_sequence_id: 9, count: 2, ..single(vec![]) };
        let (send, payload) = decode(&envelope(Compression::None).encode(raw).unwrap());
        assert_eq!((send.sequence_id, send.highest_sequence_id(), send.num_messages()), (7, 9, 2));
        assert_eq!(payload.metadata.highest_sequence_id(), 9);
        let count = usize::try_from(payload.metadata.num_messages_in_batch()).unwrap();
        let ids: Vec<u64> =
            BatchIter::new(payload.body, count).map(|message| message.unwrap().0.sequence_id()).collect();
        assert_eq!(ids, [7, 9]);
    }

    #[test]
    fn what_compresses_is_compressed_and_what_does_not_is_sent_as_it_is() {
        let (_, payload) = decode(&envelope(Compression::Lz4).encode(single(vec![7; 5000])).unwrap());
        assert_eq!(payload.metadata.compression(), Compression::Lz4);
        assert_eq!(payload.metadata.uncompressed_size(), 5000);
        let (_, payload) = decode(&envelope(Compression::Lz4).encode(single(vec![7])).unwrap());
        assert_eq!((payload.metadata.compression(), &payload.body[..]), (Compression::None, &[7][..]));
    }

    #[test]
    fn an_entry_over_the_limit_is_refused() {
        let refused = envelope(Compression::None).encode(single(vec![7; 1000])).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::MessageTooLarge);
    }
}
