//! Frames between the official clients and a real broker (`tests/data/frames/`): each is understood, and written again
//! to the very same bytes, so no field is missing in our list.
#![allow(clippy::unwrap_used, clippy::panic, reason = "how a test fails")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bytes::{BufMut, BytesMut};
use fastapi_pulsar_core::protocol::batch::BatchIter;
use fastapi_pulsar_core::protocol::chunk::Chunk;
use fastapi_pulsar_core::protocol::compression::{Compression, DEFAULT_MAX_UNCOMPRESSED_SIZE};
use fastapi_pulsar_core::protocol::frame::{self, Frame, Payload};
use fastapi_pulsar_core::protocol::proto::{Command, PROTOCOL_VERSION, SingleMessageMetadata};

/// Each captured frame by its name.
fn frames() -> BTreeMap<String, BytesMut> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/frames");
    let paths = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, BytesMut::from(&fs::read(path).unwrap()[..]))
        })
        .collect()
}

fn decode(mut bytes: BytesMut) -> Frame {
    let frame = frame::decode(&mut bytes, frame::DEFAULT_MAX_MESSAGE_SIZE).unwrap().unwrap();
    assert!(bytes.is_empty());
    frame
}

fn frame(name: &str) -> Frame {
    decode(frames().remove(name).unwrap_or_else(|| panic!("no frame {name}")))
}

fn payload(name: &str) -> Payload {
    frame(name).payload.unwrap().unwrap()
}

fn messages(name: &str) -> Vec<(SingleMessageMetadata, String)> {
    let Payload { metadata, body, .. } = payload(name);
    let compression = Compression::of(&metadata).unwrap();
    let size = metadata.uncompressed_size.unwrap_or_default();
    let body = compression.decompress(&body, size, DEFAULT_MAX_UNCOMPRESSED_SIZE).unwrap();
    let count = usize::try_from(metadata.num_messages_in_batch.unwrap()).unwrap();
    let text = |body: &[u8]| String::from_utf8(body.to_vec()).unwrap();
    BatchIter::new(body, count).map(Result::unwrap).map(|(metadata, body)| (metadata, text(&body))).collect()
}

#[test]
fn each_is_written_again_to_the_same_bytes() {
    let frames = frames();
    assert!(frames.len() > 70, "{} frames", frames.len());
    for (name, bytes) in frames {
        let frame = decode(bytes.clone());
        let number = frame.command.command.as_ref().map(Command::type_number).unwrap();
        assert!(name.contains(&format!("-{number:02}")), "{name} holds {}", frame.command.name());
        let mut written = BytesMut::new();
        match frame.payload {
            None => frame::encode_command(&frame.command, &mut written),
            Some(payload) => {
                let Payload { broker_metadata, metadata, body } = payload.unwrap();
                let header =
                    frame::encode_delivery_header(&frame.command, broker_metadata.as_ref(), &metadata, &body);
                written.put_slice(&header);
                written.put_slice(&body);
            }
        }
        assert_eq!(written, bytes, "{name}");
    }
}

#[test]
fn the_handshake_is_of_our_protocol_version() {
    let Some(Command::Connected(connected)) = frame("java-03").command.command else { panic!() };
    assert_eq!(connected.protocol_version(), PROTOCOL_VERSION);
    assert_eq!(connected.server_version, "Pulsar Server4.0.8");
    assert!(connected.feature_flags.unwrap().supports_topic_watchers());
}

#[test]
fn batches_are_split_whatever_compresses_them() {
    for name in ["none", "lz4", "zlib", "zstd", "snappy"] {
        for direction in ["06", "09"] {
            let messages = messages(&format!("official-{direction}-batch-{name}"));
            assert_eq!(messages.len(), 3);
            for (number, (metadata, text)) in messages.iter().enumerate() {
                assert_eq!(metadata.partition_key(), format!("key-{number}"));
                assert_eq!(*text, format!("{}{number}", "text ".repeat(8)));
            }
        }
    }
}

#[test]
fn a_message_has_all_that_it_was_sent_with() {
    let metadata = payload("official-09-rich").metadata;
    assert_eq!((metadata.partition_key(), metadata.ordering_key()), ("key", &b"order"[..]));
    assert_eq!((metadata.event_time(), metadata.deliver_at_time()), (1_700_000_000_000, 1_700_000_000_000));
    let mut properties: Vec<_> = metadata.properties.iter().map(|pair| (&*pair.key, &*pair.value)).collect();
    properties.sort_unstable();
    assert_eq!(properties, [("colour", "blue"), ("größe", "über")]);
    assert_eq!(metadata.num_messages_in_batch, None);
    assert!(payload("java-09-tombstone").metadata.null_value());
}

#[test]
fn the_broker_adds_its_metadata() {
    let broker = payload("java-09-schema").broker_metadata.unwrap();
    assert!(broker.broker_timestamp() > 1_700_000_000_000);
    assert!(broker.index.is_some());
}

#[test]
fn a_chunk_says_what_it_is() {
    let metadata = payload("java-09-chunk").metadata;
    let chunk = Chunk::of(&metadata).unwrap().unwrap();
    assert_eq!((chunk.index, chunk.total_size), (0, 2500));
    assert!(chunk.is_first() && chunk.count > 1);
}

#[test]
fn keyed_batches_hold_one_key() {
    let metadata = payload("java-06-keys").metadata;
    assert!(metadata.partition_key_b64_encoded());
    let messages = messages("java-06-keys");
    assert_eq!(messages.len(), 2);
    assert!(
        messages
            .iter()
            .all(|(single, text)| single.partition_key == metadata.partition_key && text == "text")
    );
}

#[test]
fn watched_topics_are_listed() {
    let Some(Command::WatchTopicUpdate(update)) = frame("java-66").command.command else { panic!() };
    assert_eq!(update.new_topics, ["persistent://public/default/watched-1"]);
}
