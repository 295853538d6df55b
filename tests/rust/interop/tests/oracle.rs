//! The crate `pulsar` as oracle: what our codec writes, it reads as the same values, and the other way round.
#![allow(clippy::unwrap_used, clippy::panic, reason = "how a test fails")]

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fastapi_pulsar_core::protocol::batch::{BatchBuilder, BatchIter};
use fastapi_pulsar_core::protocol::frame;
use fastapi_pulsar_core::protocol::proto::{BaseCommand, Command};
use proptest::prelude::*;
use prost_ours::Message as _;
use prost_theirs::Message as _;
use pulsar::message::{Codec, Message, Payload, proto as theirs};
use tokio_util::codec::{Decoder, Encoder};

#[path = "../../values/mod.rs"]
#[allow(dead_code)] // strategies that only the property tests use
mod values;

fn read_by_them(mut bytes: BytesMut) -> Message {
    let message = Codec.decode(&mut bytes).unwrap().unwrap();
    assert!(bytes.is_empty());
    message
}

fn read_by_us(mut bytes: BytesMut) -> frame::Frame {
    let frame = frame::decode(&mut bytes, 1 << 20).unwrap().unwrap();
    assert!(bytes.is_empty());
    frame
}

fn written_by_them(message: Message) -> BytesMut {
    let mut bytes = BytesMut::new();
    Codec.encode(message, &mut bytes).unwrap();
    bytes
}

/// The same command as a value of theirs; the tests in `fields.rs` vouch that bytes mean the same to both.
fn their_command(command: &BaseCommand) -> theirs::BaseCommand {
    theirs::BaseCommand::decode(&command.encode_to_vec()[..]).unwrap()
}

/// The crate's list of commands ends with protocol version 19.
fn known_to_them(command: &BaseCommand) -> bool {
    command.command.as_ref().is_some_and(|command| Command::type_number(command) < 64)
}

proptest! {
    #[test]
    fn they_read_our_commands(command in values::command().prop_filter("old", known_to_them)) {
        let mut bytes = BytesMut::new();
        frame::encode_command(&command, &mut bytes);
        let read = read_by_them(bytes);
        prop_assert_eq!(read.command.encode_to_vec(), command.encode_to_vec());
        prop_assert!(read.payload.is_none());
    }

    #[test]
    fn we_read_their_commands(command in values::command().prop_filter("old", known_to_them)) {
        let bytes = written_by_them(Message { command: their_command(&command), payload: None });
        prop_assert_eq!(read_by_us(bytes).command, command);
    }

    #[test]
    fn they_read_our_deliveries(
        command in values::payload_command(),
        metadata in values::message_metadata(),
        body in values::payload(),
    ) {
        let mut bytes = BytesMut::from(frame::encode_send_header(&command, &metadata, &body));
        bytes.put_slice(&body);
        let read = read_by_them(bytes);
        prop_assert_eq!(read.command.encode_to_vec(), command.encode_to_vec());
        let payload = read.payload.unwrap();
        prop_assert_eq!(payload.metadata.encode_to_vec(), metadata.encode_to_vec());
        prop_assert_eq!(payload.data, body);
    }

    #[test]
    fn we_read_their_deliveries(
        command in values::payload_command(),
        metadata in values::message_metadata(),
        body in values::payload(),
    ) {
        let theirs = theirs::MessageMetadata::decode(&metadata.encode_to_vec()[..]).unwrap();
        let payload = Some(Payload { metadata: theirs, data: body.to_vec() });
        let read = read_by_us(written_by_them(Message { command: their_command(&command), payload }));
        prop_assert_eq!(read.command, command);
        let payload = read.payload.unwrap().unwrap();
        prop_assert_eq!((*payload.metadata, payload.body), (metadata, body));
    }

    #[test]
    fn batches_are_alike(messages in prop::collection::vec((values::single_metadata(), values::payload()), 1..8)) {
        let mut batch = BatchBuilder::new();
        let mut theirs = BytesMut::new();
        for (metadata, payload) in &messages {
            batch.push(metadata, payload);
            let mut single = theirs::SingleMessageMetadata::decode(&metadata.encode_to_vec()[..]).unwrap();
            single.payload_size = i32::try_from(payload.len()).unwrap();
            theirs.put_u32(u32::try_from(single.encoded_len()).unwrap());
            single.encode(&mut theirs).unwrap();
            theirs.put_slice(payload);
        }
        let mut rest = batch.finish();
        prop_assert_eq!(&rest, &theirs);
        for item in BatchIter::new(theirs.freeze(), messages.len()) {
            let (metadata, payload) = item.unwrap();
            let size = rest.get_u32() as usize;
            let single = theirs::SingleMessageMetadata::decode(&rest.split_to(size)[..]).unwrap();
            prop_assert_eq!(single.encode_to_vec(), metadata.encode_to_vec());
            let expected: Bytes = rest.split_to(payload.len());
            prop_assert_eq!(payload, expected);
        }
    }
}
