//! Properties of the codecs, over generated values. A failure prints the smallest case and its seed.

#![allow(clippy::unwrap_used)] // this is how a test fails

use bytes::{BufMut, Bytes, BytesMut};
use fastapi_pulsar_core::error::ErrorKind;
use fastapi_pulsar_core::protocol::batch::{BatchBuilder, BatchIter};
use fastapi_pulsar_core::protocol::compression::Compression;
use fastapi_pulsar_core::protocol::frame::{self, Frame, Payload};
use fastapi_pulsar_core::protocol::message_id::{ChunkId, MessageId};
use fastapi_pulsar_core::protocol::proto::{BaseCommand, BrokerEntryMetadata, MessageMetadata};
use fastapi_pulsar_core::protocol::topic::TopicName;
use proptest::option;
use proptest::prelude::*;
use prost::Message;

mod values;

const LIMIT: usize = 1 << 20;

fn decode_all(mut bytes: BytesMut) -> Vec<Frame> {
    let frames = std::iter::from_fn(|| frame::decode(&mut bytes, LIMIT).unwrap()).collect();
    assert!(bytes.is_empty());
    frames
}

fn delivery(
    command: &BaseCommand,
    broker: Option<&BrokerEntryMetadata>,
    metadata: &MessageMetadata,
    body: &[u8],
) -> BytesMut {
    let mut bytes = BytesMut::from(frame::encode_delivery_header(command, broker, metadata, body));
    bytes.put_slice(body);
    bytes
}

/// A frame whose content was cut, with a total size that says so.
fn cut(frame: &[u8], length: usize) -> BytesMut {
    let mut bytes = BytesMut::from(&u32::try_from(length - 4).unwrap().to_be_bytes()[..]);
    bytes.put_slice(&frame[4..length]);
    bytes
}

fn payload_of(frame: Frame) -> Result<Payload, ErrorKind> {
    frame.payload.unwrap().map_err(|error| error.kind())
}

proptest! {
    #[test]
    fn commands_come_back(commands in prop::collection::vec(values::command(), 1..5)) {
        let mut bytes = BytesMut::new();
        for command in &commands {
            frame::encode_command(command, &mut bytes);
        }
        let decoded: Vec<_> = decode_all(bytes).into_iter().map(|frame| frame.command).collect();
        prop_assert_eq!(decoded, commands);
    }

    #[test]
    fn deliveries_come_back(
        command in values::payload_command(),
        broker in option::of(values::broker_metadata()),
        metadata in values::message_metadata(),
        body in values::payload(),
    ) {
        let frame = decode_all(delivery(&command, broker.as_ref(), &metadata, &body)).remove(0);
        prop_assert_eq!(&frame.command, &command);
        let payload = payload_of(frame).unwrap();
        prop_assert_eq!((payload.broker_metadata, *payload.metadata, payload.body), (broker, metadata, body));
    }

    #[test]
    fn a_delivery_without_magic_comes_back(
        command in values::payload_command(),
        metadata in values::message_metadata(),
        body in values::payload(),
    ) {
        let with = frame::encode_send_header(&command, &metadata, &body);
        let magic = with.len() - metadata.encoded_len() - 4 - 6;
        let mut bytes = BytesMut::from(&u32::try_from(with.len() + body.len() - 10).unwrap().to_be_bytes()[..]);
        bytes.put_slice(&with[4..magic]);
        bytes.put_slice(&with[magic + 6..]);
        bytes.put_slice(&body);
        let payload = payload_of(decode_all(bytes).remove(0)).unwrap();
        prop_assert_eq!((*payload.metadata, payload.body), (metadata, body));
    }

    #[test]
    fn a_flipped_bit_behind_the_checksum_is_found(
        command in values::payload_command(),
        metadata in values::message_metadata(),
        body in values::payload(),
        bit in any::<prop::sample::Index>(),
    ) {
        let mut bytes = delivery(&command, None, &metadata, &body);
        let guarded = 4 + metadata.encoded_len() + body.len();
        let bit = (bytes.len() - guarded) * 8 + bit.index(guarded * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        prop_assert_eq!(payload_of(decode_all(bytes).remove(0)).unwrap_err(), ErrorKind::Checksum);
    }

    #[test]
    fn the_limit_is_exact(command in values::command()) {
        let mut bytes = BytesMut::new();
        frame::encode_command(&command, &mut bytes);
        let size = bytes.len() - 4;
        prop_assert!(frame::decode(&mut bytes.clone(), size - 1).is_err());
        prop_assert!(frame::decode(&mut bytes, size).unwrap().is_some());
    }

    #[test]
    fn batches_come_back(
        messages in prop::collection::vec((values::single_metadata(), values::payload()), 0..20),
    ) {
        let mut batch = BatchBuilder::new();
        for (metadata, payload) in &messages {
            batch.push(metadata, payload);
        }
        prop_assert_eq!(batch.len(), messages.len());
        let body = batch.finish();
        let split: Vec<_> = BatchIter::new(body.clone(), messages.len()).map(Result::unwrap).collect();
        prop_assert_eq!(split.len(), messages.len());
        for ((metadata, payload), (given, sent)) in split.into_iter().zip(messages) {
            prop_assert_eq!(metadata.payload_size, i32::try_from(sent.len()).unwrap());
            let given = fastapi_pulsar_core::protocol::proto::SingleMessageMetadata {
                payload_size: metadata.payload_size,
                ..given
            };
            prop_assert_eq!((metadata, payload), (given, sent));
        }
    }

    #[test]
    fn bodies_come_back(
        compression in prop::sample::select(vec![
            Compression::None, Compression::Lz4, Compression::Zlib, Compression::Zstd, Compression::Snappy,
        ]),
        parts in prop::collection::vec(values::payload(), 0..20),
    ) {
        let body = Bytes::from(parts.concat());
        let compressed = compression.compress(&body).unwrap();
        let size = u32::try_from(body.len()).unwrap();
        prop_assert_eq!(compression.decompress(&compressed, size, body.len()).unwrap(), body);
    }

    #[test]
    fn message_ids_come_back(
        (ledger, entry) in any::<(u64, u64)>(),
        partition in -1..i32::MAX,
        batch_index in -1..i32::MAX,
        batch_size in 0..i32::MAX,
        first in option::of(any::<(u64, u64)>()),
    ) {
        let first_chunk = first.map(|(ledger, entry)| ChunkId { ledger, entry });
        let id = MessageId { ledger, entry, partition, batch_index, batch_size, first_chunk };
        let again = MessageId::from_bytes(&id.to_bytes()).unwrap();
        prop_assert_eq!(again, id);
        prop_assert_eq!((again.batch_size, again.first_chunk), (batch_size, first_chunk));
    }

    #[test]
    fn any_well_formed_topic_comes_back(
        scheme in prop::sample::select(vec!["persistent", "non-persistent"]),
        tenant in "[-=:.\\w&&[:ascii:]]{1,8}",
        namespace in "[-=:.\\w&&[:ascii:]]{1,8}",
        local in "[^/ ][^/]{0,12}",
        partition in 0..i32::MAX.cast_unsigned(),
    ) {
        prop_assume!(!local.trim().is_empty() && !local.contains("-partition-"));
        let text = format!("{scheme}://{tenant}/{namespace}/{local}");
        let topic = TopicName::parse(&text).unwrap();
        prop_assert_eq!(topic.as_str(), &text);
        prop_assert_eq!((topic.tenant(), topic.namespace(), topic.local_name()), (&*tenant, &*namespace, &*local));
        let part = TopicName::parse(&format!("{text}-partition-{partition}")).unwrap();
        prop_assert_eq!(part.partition(), Some(partition));
        prop_assert_eq!(part.partitioned(), topic);
    }

    #[test]
    fn any_text_is_a_topic_or_refused(text in ".{0,40}") {
        if let Err(error) = TopicName::parse(&text) {
            prop_assert_eq!(error.kind(), ErrorKind::InvalidTopic);
        }
    }
}

proptest! {
    // Each case is some hundred frames.
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn a_delivery_cut_anywhere_is_an_error(
        command in values::payload_command(),
        broker in option::of(values::broker_metadata()),
        metadata in values::message_metadata(),
        body in values::payload(),
    ) {
        let whole = delivery(&command, broker.as_ref(), &metadata, &body);
        for length in 4..whole.len() {
            if let Ok(decoded) = frame::decode(&mut cut(&whole, length), LIMIT) {
                let error = payload_of(decoded.unwrap()).unwrap_err();
                prop_assert!([ErrorKind::Decode, ErrorKind::Checksum].contains(&error), "{length} bytes: {error:?}");
            }
        }
    }
}
