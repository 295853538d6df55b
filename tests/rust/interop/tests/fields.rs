//! Every field of every message: where it is known to both codecs, both read it alike and write it alike.
//!
//! Each message is tried with each field number, each wire type and some contents. So a wrong tag, type or label in
//! our hand-written list shows, even of commands that nothing else here sends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "how a test fails")]

use fastapi_pulsar_core::protocol::proto as ours;
use prost_ours::Message as _;
use prost_theirs::Message as _;
use pulsar::message::proto as theirs;

/// What a codec made of some bytes: they, written again, or an error.
type Outcome = Option<Vec<u8>>;
type Reader = fn(&[u8]) -> Outcome;

macro_rules! messages {
    ($($name:ident),+) => {
        &[$((stringify!($name), (
            |bytes| ours::$name::decode(bytes).ok().map(|message| message.encode_to_vec()),
            |bytes| theirs::$name::decode(bytes).ok().map(|message| message.encode_to_vec()),
        ))),+]
    };
}

const MESSAGES: &[(&str, (Reader, Reader))] = messages![
    AuthData,
    BrokerEntryMetadata,
    CommandAck,
    CommandAckResponse,
    CommandActiveConsumerChange,
    CommandAddPartitionToTxn,
    CommandAddPartitionToTxnResponse,
    CommandAddSubscriptionToTxn,
    CommandAddSubscriptionToTxnResponse,
    CommandAuthChallenge,
    CommandAuthResponse,
    CommandCloseConsumer,
    CommandCloseProducer,
    CommandConnect,
    CommandConnected,
    CommandConsumerStats,
    CommandConsumerStatsResponse,
    CommandEndTxn,
    CommandEndTxnOnPartition,
    CommandEndTxnOnPartitionResponse,
    CommandEndTxnOnSubscription,
    CommandEndTxnOnSubscriptionResponse,
    CommandEndTxnResponse,
    CommandError,
    CommandFlow,
    CommandGetLastMessageId,
    CommandGetLastMessageIdResponse,
    CommandGetOrCreateSchema,
    CommandGetOrCreateSchemaResponse,
    CommandGetSchema,
    CommandGetSchemaResponse,
    CommandGetTopicsOfNamespace,
    CommandGetTopicsOfNamespaceResponse,
    CommandLookupTopic,
    CommandLookupTopicResponse,
    CommandMessage,
    CommandNewTxn,
    CommandNewTxnResponse,
    CommandPartitionedTopicMetadata,
    CommandPartitionedTopicMetadataResponse,
    CommandPing,
    CommandPong,
    CommandProducer,
    CommandProducerSuccess,
    CommandReachedEndOfTopic,
    CommandRedeliverUnacknowledgedMessages,
    CommandSeek,
    CommandSend,
    CommandSendError,
    CommandSendReceipt,
    CommandSubscribe,
    CommandSuccess,
    CommandTcClientConnectRequest,
    CommandTcClientConnectResponse,
    CommandUnsubscribe,
    EncryptionKeys,
    FeatureFlags,
    IntRange,
    KeyLongValue,
    KeySharedMeta,
    KeyValue,
    MessageIdData,
    MessageMetadata,
    Schema,
    SingleMessageMetadata,
    Subscription
];

/// Fields of protocol versions 20 and 21: the crate's list ends at 19.
const NEWER: &[(&str, &[u32])] = &[
    ("CommandConnect", &[11]),
    ("CommandConnected", &[4]),
    ("CommandPartitionedTopicMetadata", &[6]),
    ("CommandLookupTopic", &[8]),
    ("CommandSend", &[9]),
    ("CommandUnsubscribe", &[3]),
    ("CommandCloseProducer", &[3, 4]),
    ("CommandCloseConsumer", &[3, 4]),
    ("FeatureFlags", &[4, 5, 6]),
];

fn is_newer(message: &str, field: u32) -> bool {
    NEWER.iter().any(|(name, fields)| *name == message && fields.contains(&field))
}

/// One field with each wire type and some contents: numbers, text, and what could be a message.
fn contents(field: u32) -> Vec<Vec<u8>> {
    let key = |wire_type: u32| {
        let mut bytes = Vec::new();
        prost_ours::encoding::encode_varint(u64::from(field << 3 | wire_type), &mut bytes);
        bytes
    };
    let varints: [&[u8]; 4] =
        [&[0], &[1], &[0x96, 1], &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]];
    let sized: [&[u8]; 6] =
        [b"", b"text", b"\xff\xfe", b"\x08\x07", b"\x0a\x01a", b"\x08\x01\x10\x02\x18\x03"];
    let varint = varints.iter().map(|number| [&key(0), *number].concat());
    let fixed = [[key(1), vec![1; 8]].concat(), [key(5), vec![1; 4]].concat()];
    let sized = sized.iter().map(|content| {
        let size = u8::try_from(content.len()).unwrap();
        [&key(2), &[size][..], content].concat()
    });
    varint.chain(fixed).chain(sized).collect()
}

#[test]
fn both_codecs_read_and_write_every_field_alike() {
    let mut understood = 0;
    for (name, (ours, theirs)) in MESSAGES {
        for field in (1..=32).filter(|&field| !is_newer(name, field)) {
            for bytes in contents(field) {
                // Twice, since a repeated field keeps both and a single one the last.
                for bytes in [bytes.clone(), bytes.repeat(2)] {
                    let (ours, theirs) = (ours(&bytes), theirs(&bytes));
                    assert_eq!(ours, theirs, "{name}, field {field}, bytes {bytes:02x?}");
                    understood += usize::from(ours.is_some());
                }
            }
        }
    }
    assert!(understood > 10_000, "{understood} inputs were understood");
}

#[test]
fn every_command_is_in_the_field_that_the_other_codec_knows() {
    for number in (2..=40).chain(50..=63) {
        let mut bytes = vec![8, number];
        prost_ours::encoding::encode_varint(u64::from(number) << 3 | 2, &mut bytes);
        bytes.push(0);
        let ours = ours::BaseCommand::decode(&bytes[..]).unwrap();
        assert!(ours.command.is_some(), "type {number}");
        let theirs = theirs::BaseCommand::decode(&bytes[..]).unwrap();
        assert_eq!(ours.encode_to_vec(), theirs.encode_to_vec(), "type {number}, {}", ours.name());
    }
}
