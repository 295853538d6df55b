//! Frames: how commands, and messages behind them, follow each other on a connection.
//!
//! ```text
//! total size | command size | command | payload, of CommandSend and CommandMessage only
//! payload:  [0x0e02 | size | broker entry metadata] [0x0e01 | checksum] metadata size | metadata | body
//! ```
//!
//! Sizes are big-endian and 4 bytes long; the total does not count itself. The checksum is CRC-32C over all that
//! follows it. Both bracketed parts may be missing.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

use super::checksum::crc32c;
use super::proto::{BaseCommand, BrokerEntryMetadata, Command, MessageMetadata};
use crate::error::{Error, ErrorKind, Result};

/// The largest message of a broker with default settings.
pub const DEFAULT_MAX_MESSAGE_SIZE: usize = 5 * 1024 * 1024;
/// How much larger than the largest message a frame may be: room for command and metadata.
pub const FRAME_OVERHEAD: usize = 10 * 1024;

const MAGIC_CHECKSUM: u16 = 0x0e01;
const MAGIC_BROKER_METADATA: u16 = 0x0e02;
const SIZE: usize = size_of::<u32>();
const MAGIC: usize = size_of::<u16>();

/// One frame, taken apart.
#[derive(Clone, Debug)]
pub struct Frame<P = Payload> {
    pub command: BaseCommand,
    /// Present on `CommandSend` and `CommandMessage`. Damage (`Checksum`, `Decode`) concerns this message alone: the
    /// frame's borders held, so the connection lives on.
    pub payload: Option<Result<P>>,
}

/// What a frame carries behind its command.
#[derive(Clone, Debug)]
pub struct Payload {
    pub broker_metadata: Option<BrokerEntryMetadata>,
    /// Boxed, so that frames stay small to move.
    pub metadata: Box<MessageMetadata>,
    /// As sent: compressed and encrypted as the metadata says. Shares the memory of the read buffer.
    pub body: Bytes,
}

/// What a frame carries, as a broker keeps it: to be delivered as it came, and not encoded again.
#[derive(Clone, Debug)]
pub struct RawPayload {
    /// Boxed, so that frames stay small to move.
    pub metadata: Box<MessageMetadata>,
    /// CRC-32C over `bytes`.
    pub checksum: u32,
    /// Size of the metadata, metadata and body. Shares the memory of the read buffer.
    pub bytes: Bytes,
}

/// Takes the first frame off `buffer`; `None` if more bytes are needed, and then nothing was taken.
///
/// An error means that the stream itself is broken: nothing behind it can be understood.
pub fn decode(buffer: &mut BytesMut, max_frame_size: usize) -> Result<Option<Frame>> {
    decode_with(buffer, max_frame_size, decode_payload)
}

/// As `decode`, for the side that stores what it gets.
pub fn decode_raw(buffer: &mut BytesMut, max_frame_size: usize) -> Result<Option<Frame<RawPayload>>> {
    decode_with(buffer, max_frame_size, decode_raw_payload)
}

fn decode_with<P>(
    buffer: &mut BytesMut,
    max_frame_size: usize,
    decode_payload: impl FnOnce(Bytes) -> Result<P>,
) -> Result<Option<Frame<P>>> {
    let Some(total) = buffer.first_chunk().map(|size| u32::from_be_bytes(*size) as usize) else {
        return Ok(None);
    };
    if total > max_frame_size {
        return Err(damaged(format!("a frame of {total} bytes exceeds the limit of {max_frame_size}")));
    }
    if buffer.len() < SIZE + total {
        return Ok(None);
    }
    let mut frame = buffer.split_to(SIZE + total).freeze();
    frame.advance(SIZE);
    let (command, rest) = split_sized(&frame).ok_or_else(|| damaged("the command exceeds its frame"))?;
    let mut decoded = Frame { command: BaseCommand::default(), payload: None };
    // Merged in place and not moved into it: moving costs as much as decoding.
    decoded
        .command
        .merge(command)
        .map_err(|source| damaged("the command of a frame is malformed").caused_by(source))?;
    check_type(&decoded.command)?;
    if let Some(Command::Message(_) | Command::Send(_)) = decoded.command.command {
        decoded.payload = Some(decode_payload(frame.slice_ref(rest)));
    }
    Ok(Some(decoded))
}

/// The type and the command must agree; both may be of the future.
fn check_type(command: &BaseCommand) -> Result<()> {
    let consistent = match &command.command {
        Some(known) => known.type_number() == command.r#type,
        None => !Command::knows(command.r#type),
    };
    if consistent {
        return Ok(());
    }
    Err(damaged(format!("a command of type {} holds {}", command.r#type, command.name())))
}

/// Takes apart what follows the command of a frame, and is stored as an entry.
pub fn decode_payload(mut bytes: Bytes) -> Result<Payload> {
    let (broker_metadata, _, guarded) = split_payload(&bytes)?;
    let (metadata, body) = decode_metadata(guarded)?;
    bytes.advance(bytes.len() - body.len());
    Ok(Payload { broker_metadata, metadata, body: bytes })
}

/// As `decode_payload`, leaving metadata and body as they are. A checksum that the producer left out is made.
fn decode_raw_payload(mut bytes: Bytes) -> Result<RawPayload> {
    let (_, checksum, guarded) = split_payload(&bytes)?;
    let checksum = checksum.unwrap_or_else(|| crc32c(&[guarded]));
    let (metadata, _) = decode_metadata(guarded)?;
    bytes.advance(bytes.len() - guarded.len());
    Ok(RawPayload { metadata, checksum, bytes })
}

/// The optional parts in front, the checksum verified, and what the checksum is over.
fn split_payload(mut rest: &[u8]) -> Result<(Option<BrokerEntryMetadata>, Option<u32>, &[u8])> {
    let mut broker_metadata = None;
    let mut checksum = None;
    if let Some(sized) = strip_magic(rest, MAGIC_BROKER_METADATA) {
        let (broker, behind) =
            split_sized(sized).ok_or_else(|| damaged("the broker entry metadata exceeds its frame"))?;
        broker_metadata = Some(
            BrokerEntryMetadata::decode(broker)
                .map_err(|source| damaged("the broker entry metadata is malformed").caused_by(source))?,
        );
        rest = behind;
    }
    if let Some(sum) = strip_magic(rest, MAGIC_CHECKSUM) {
        let (sum, guarded) =
            sum.split_first_chunk().ok_or_else(|| damaged("the checksum exceeds its frame"))?;
        let sum = u32::from_be_bytes(*sum);
        check(sum, guarded)?;
        checksum = Some(sum);
        rest = guarded;
    }
    Ok((broker_metadata, checksum, rest))
}

fn decode_metadata(guarded: &[u8]) -> Result<(Box<MessageMetadata>, &[u8])> {
    let (encoded, body) =
        split_sized(guarded).ok_or_else(|| damaged("the message's metadata exceeds its frame"))?;
    let mut metadata = Box::<MessageMetadata>::default();
    metadata
        .merge(encoded)
        .map_err(|source| damaged("the message's metadata is malformed").caused_by(source))?;
    Ok((metadata, body))
}

fn check(expected: u32, guarded: &[u8]) -> Result<()> {
    let found = crc32c(&[guarded]);
    if found == expected {
        return Ok(());
    }
    let context =
        format!("the message was damaged on the way: checksum {found:08x}, expected {expected:08x}");
    Err(Error::new(ErrorKind::Checksum, context))
}

fn strip_magic(bytes: &[u8], magic: u16) -> Option<&[u8]> {
    bytes.strip_prefix(&magic.to_be_bytes())
}

/// Splits off a size and that many bytes; `None` if there are fewer.
pub(super) fn split_sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (size, rest) = bytes.split_first_chunk()?;
    rest.split_at_checked(u32::from_be_bytes(*size) as usize)
}

fn damaged(context: impl Into<String>) -> Error {
    Error::new(ErrorKind::Decode, context)
}

/// Appends a frame of a command without payload.
pub fn encode_command(command: &BaseCommand, out: &mut BytesMut) {
    let size = command.encoded_len();
    out.reserve(2 * SIZE + size);
    out.put_u32(size32(SIZE + size));
    out.put_u32(size32(size));
    command.encode_raw(out);
}

/// A frame with payload, up to its body, which is to be written right behind: it is read once, for the checksum, and
/// not copied.
pub fn encode_send_header(command: &BaseCommand, metadata: &MessageMetadata, body: &[u8]) -> Bytes {
    encode_header(command, None, metadata, body)
}

/// As `encode_send_header`, with the broker's own metadata where it keeps any: how a broker delivers.
pub fn encode_delivery_header(
    command: &BaseCommand,
    broker_metadata: Option<&BrokerEntryMetadata>,
    metadata: &MessageMetadata,
    body: &[u8],
) -> Bytes {
    encode_header(command, broker_metadata, metadata, body)
}

/// Appends the frame of a delivery, up to the `size` raw bytes that were stored, which are to be written right behind.
pub fn encode_raw_delivery(command: &BaseCommand, checksum: u32, size: usize, out: &mut BytesMut) {
    let command_size = command.encoded_len();
    out.reserve(2 * SIZE + command_size + MAGIC + SIZE);
    out.put_u32(size32(SIZE + command_size + MAGIC + SIZE + size));
    out.put_u32(size32(command_size));
    command.encode_raw(out);
    out.put_u16(MAGIC_CHECKSUM);
    out.put_u32(checksum);
}

fn encode_header(
    command: &BaseCommand,
    broker_metadata: Option<&BrokerEntryMetadata>,
    metadata: &MessageMetadata,
    body: &[u8],
) -> Bytes {
    let command_size = command.encoded_len();
    let broker_size = broker_metadata.map(Message::encoded_len);
    let metadata_size = metadata.encoded_len();
    let header_size = SIZE + command_size
        + broker_size.map_or(0, |size| MAGIC + SIZE + size)
        + MAGIC
        + SIZE // the checksum is as long as a size
        + SIZE
        + metadata_size;

    let mut out = BytesMut::with_capacity(SIZE + header_size);
    out.put_u32(size32(header_size + body.len()));
    out.put_u32(size32(command_size));
    command.encode_raw(&mut out);
    if let (Some(broker), Some(size)) = (broker_metadata, broker_size) {
        out.put_u16(MAGIC_BROKER_METADATA);
        out.put_u32(size32(size));
        broker.encode_raw(&mut out);
    }
    out.put_u16(MAGIC_CHECKSUM);
    let mut guarded = out.split_off(out.len() + SIZE);
    guarded.put_u32(size32(metadata_size));
    metadata.encode_raw(&mut guarded);
    out.put_u32(crc32c(&[&guarded, body]));
    out.unsplit(guarded);
    out.freeze()
}

/// Sizes on the wire are 32 bits long. Messages are held to the broker's limit long before they reach a frame.
fn size32(size: usize) -> u32 {
    debug_assert!(u32::try_from(size).is_ok(), "a frame of {size} bytes");
    u32::try_from(size).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::proto::{CommandMessage, CommandPing, MessageIdData};

    fn delivery() -> (BaseCommand, MessageMetadata, &'static [u8]) {
        let message_id = MessageIdData { ledger_id: 7, entry_id: 9, ..MessageIdData::default() };
        let command = CommandMessage { consumer_id: 1, message_id, ..CommandMessage::default() };
        let metadata = MessageMetadata {
            producer_name: "p".into(),
            sequence_id: 3,
            publish_time: 4,
            ordering_key: Some(Bytes::from_static(b"k")),
            ..MessageMetadata::default()
        };
        (command.into(), metadata, b"body")
    }

    fn delivery_frame(broker_metadata: Option<&BrokerEntryMetadata>) -> BytesMut {
        let (command, metadata, body) = delivery();
        let mut frame = BytesMut::from(encode_delivery_header(&command, broker_metadata, &metadata, body));
        frame.put_slice(body);
        frame
    }

    fn decode_one(mut bytes: BytesMut) -> Frame {
        let frame = decode(&mut bytes, DEFAULT_MAX_MESSAGE_SIZE).unwrap().unwrap();
        assert!(bytes.is_empty());
        frame
    }

    #[test]
    fn a_command_comes_back() {
        let mut bytes = BytesMut::new();
        encode_command(&CommandPing {}.into(), &mut bytes);
        let frame = decode_one(bytes);
        assert_eq!(frame.command, CommandPing {}.into());
        assert!(frame.payload.is_none());
    }

    #[test]
    fn a_delivery_comes_back() {
        let broker = BrokerEntryMetadata { broker_timestamp: Some(5), index: Some(6) };
        let (command, metadata, body) = delivery();
        for broker in [None, Some(broker)] {
            let frame = decode_one(delivery_frame(broker.as_ref()));
            assert_eq!(frame.command, command);
            let payload = frame.payload.unwrap().unwrap();
            assert_eq!((payload.broker_metadata, &*payload.metadata), (broker, &metadata));
            assert_eq!(payload.body, body);
        }
    }

    #[test]
    fn every_truncated_prefix_needs_more_bytes() {
        let whole = delivery_frame(None);
        for length in 0..whole.len() {
            let mut prefix = BytesMut::from(&whole[..length]);
            assert!(decode(&mut prefix, DEFAULT_MAX_MESSAGE_SIZE).unwrap().is_none());
            assert_eq!(prefix.len(), length, "nothing is taken");
        }
    }

    #[test]
    fn a_damaged_message_is_an_error_of_its_own() {
        let mut bytes = delivery_frame(None);
        *bytes.last_mut().unwrap() ^= 1;
        let error = decode_one(bytes).payload.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Checksum);
    }

    #[test]
    fn stored_bytes_are_delivered_as_they_came() {
        let broker = BrokerEntryMetadata { broker_timestamp: Some(5), index: None };
        let (command, metadata, body) = delivery();
        let plain = delivery_frame(None);
        for mut sent in [plain.clone(), delivery_frame(Some(&broker))] {
            let frame = decode_raw(&mut sent, DEFAULT_MAX_MESSAGE_SIZE).unwrap().unwrap();
            let raw = frame.payload.unwrap().unwrap();
            assert_eq!(*raw.metadata, metadata);
            assert!(raw.bytes.ends_with(body));
            let mut delivered = BytesMut::new();
            encode_raw_delivery(&command, raw.checksum, raw.bytes.len(), &mut delivered);
            delivered.put_slice(&raw.bytes);
            assert_eq!(delivered, plain, "the broker's own metadata is not kept");
        }
    }

    #[test]
    fn a_checksum_that_was_left_out_is_made() {
        let whole = delivery_frame(None);
        let (_, payload) = whole.split_at(whole.len() - decode_raw_of(&whole).bytes.len());
        let made = decode_raw_payload(Bytes::copy_from_slice(payload)).unwrap();
        assert_eq!(made.checksum, decode_raw_of(&whole).checksum);
        assert_eq!(made.bytes, payload);
    }

    fn decode_raw_of(frame: &BytesMut) -> RawPayload {
        let decoded = decode_raw(&mut frame.clone(), DEFAULT_MAX_MESSAGE_SIZE).unwrap().unwrap();
        decoded.payload.unwrap().unwrap()
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_at_its_first_bytes() {
        let mut bytes = BytesMut::from(&1001_u32.to_be_bytes()[..]);
        assert_eq!(decode(&mut bytes, 1000).unwrap_err().kind(), ErrorKind::Decode);
    }
}
