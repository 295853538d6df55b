//! A message on its way out, and what of it travels as metadata.

use bytes::Bytes;

use crate::protocol::base64;
use crate::protocol::proto::{KeyValue, MessageMetadata, SingleMessageMetadata};

/// What a caller sends.
#[derive(Clone, Debug, Default)]
pub struct OutgoingMessage<'a> {
    pub payload: Payload<'a>,
    pub key: Option<Key>,
    /// Orders messages on `Key_Shared` in the key's place.
    pub ordering_key: Option<Bytes>,
    pub properties: Vec<(String, String)>,
    /// Milliseconds since 1970.
    pub event_time: Option<u64>,
    /// Delivered not before this time, in milliseconds since 1970, on Shared and `Key_Shared`. Sent unbatched.
    pub deliver_at: Option<i64>,
    /// For deduplication; `None` takes the next one.
    pub sequence_id: Option<u64>,
    /// The message has no value: it deletes its key from a compacted topic.
    pub tombstone: bool,
    /// `None` lets key and routing choose.
    pub partition: Option<u32>,
    /// Clusters to replicate to; empty is the namespace's policy.
    pub replicate_to: Vec<String>,
}

/// A payload, shared or lent: a lent one is copied straight into its batch.
#[derive(Clone)]
pub enum Payload<'a> {
    Shared(Bytes),
    Lent(&'a [u8]),
}

/// A key, as text or as bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Key {
    Text(String),
    Bytes(Bytes),
}

impl Payload<'_> {
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Lent(bytes) => bytes,
        }
    }

    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// The payload as a buffer of its own; a lent one is copied.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Lent(bytes) => Bytes::copy_from_slice(bytes),
        }
    }
}

impl Default for Payload<'_> {
    fn default() -> Self {
        Self::Shared(Bytes::new())
    }
}

impl From<Bytes> for Payload<'_> {
    fn from(bytes: Bytes) -> Self {
        Self::Shared(bytes)
    }
}

impl<'a> From<&'a [u8]> for Payload<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Lent(bytes)
    }
}

/// Never the content: payloads stay out of logs.
impl std::fmt::Debug for Payload<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Text(_) => "a text key",
            Self::Bytes(_) => "a bytes key",
        })
    }
}

/// A key as it travels: text as it is, bytes in base64.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct WireKey {
    pub(super) text: Option<String>,
    pub(super) is_base64: bool,
}

/// A message with its key in the form that routing, grouping and the wire need.
pub(super) struct Prepared<'a> {
    pub(super) payload: Payload<'a>,
    pub(super) key: WireKey,
    pub(super) ordering_key: Option<Bytes>,
    pub(super) properties: Vec<KeyValue>,
    pub(super) event_time: Option<u64>,
    pub(super) deliver_at: Option<i64>,
    pub(super) sequence_id: Option<u64>,
    pub(super) tombstone: bool,
    pub(super) partition: Option<u32>,
    pub(super) replicate_to: Vec<String>,
}

impl<'a> Prepared<'a> {
    pub(super) fn new(message: OutgoingMessage<'a>) -> Self {
        let key = match message.key {
            None => WireKey::default(),
            Some(Key::Text(text)) => WireKey { text: Some(text), is_base64: false },
            Some(Key::Bytes(bytes)) => WireKey { text: Some(base64::encode(&bytes)), is_base64: true },
        };
        Self {
            payload: if message.tombstone { Payload::default() } else { message.payload },
            key,
            ordering_key: message.ordering_key,
            properties: message.properties.into_iter().map(|(key, value)| KeyValue { key, value }).collect(),
            event_time: message.event_time,
            deliver_at: message.deliver_at,
            sequence_id: message.sequence_id,
            tombstone: message.tombstone,
            partition: message.partition,
            replicate_to: message.replicate_to,
        }
    }

    /// A message that is nothing but its payload.
    pub(super) fn plain(payload: Payload<'a>) -> Self {
        Self {
            payload,
            key: WireKey::default(),
            ordering_key: None,
            properties: Vec::new(),
            event_time: None,
            deliver_at: None,
            sequence_id: None,
            tombstone: false,
            partition: None,
            replicate_to: Vec::new(),
        }
    }

    /// The same message, its payload in a buffer of its own, to wait with.
    pub(super) fn into_owned(self) -> Prepared<'static> {
        Prepared {
            payload: Payload::Shared(self.payload.into_bytes()),
            key: self.key,
            ordering_key: self.ordering_key,
            properties: self.properties,
            event_time: self.event_time,
            deliver_at: self.deliver_at,
            sequence_id: self.sequence_id,
            tombstone: self.tombstone,
            partition: self.partition,
            replicate_to: self.replicate_to,
        }
    }

    /// Whether a payload and a sequence id are all there is to it.
    pub(super) fn is_plain(&self) -> bool {
        self.key.text.is_none()
            && self.ordering_key.is_none()
            && self.properties.is_empty()
            && self.event_time.is_none()
            && !self.tombstone
    }

    /// What `Key_Shared` orders by, if anything.
    pub(super) fn grouping_key(&self) -> Option<&[u8]> {
        self.ordering_key.as_deref().or(self.key.text.as_deref().map(str::as_bytes))
    }

    /// Its share of a batch in bytes, estimated from above.
    pub(super) fn batched_size(&self) -> usize {
        /// Size prefix, tags, lengths and numbers.
        const OVERHEAD: usize = 64;
        if self.is_plain() {
            return self.payload.len() + OVERHEAD;
        }
        let properties: usize =
            self.properties.iter().map(|property| property.key.len() + property.value.len() + 16).sum();
        self.payload.len()
            + self.key.text.as_ref().map_or(0, String::len)
            + self.ordering_key.as_ref().map_or(0, Bytes::len)
            + properties
            + OVERHEAD
    }

    /// The metadata of one message of a batch, and its payload. `sequence_id` is set when the batch is closed, if it
    /// was not given.
    pub(super) fn into_batched(self) -> (SingleMessageMetadata, Payload<'a>) {
        let metadata = SingleMessageMetadata {
            properties: self.properties,
            partition_key_b64_encoded: self.key.is_base64.then_some(true),
            partition_key: self.key.text,
            payload_size: i32::try_from(self.payload.len()).unwrap_or(i32::MAX),
            compacted_out: None,
            event_time: self.event_time,
            ordering_key: self.ordering_key,
            sequence_id: self.sequence_id,
            null_value: self.tombstone.then_some(true),
            null_partition_key: None,
        };
        (metadata, self.payload)
    }

    /// The metadata of an entry of its own, and its body.
    pub(super) fn into_single(self, sequence_id: u64) -> (MessageMetadata, Bytes) {
        let metadata = MessageMetadata {
            sequence_id,
            properties: self.properties,
            partition_key_b64_encoded: self.key.is_base64.then_some(true),
            partition_key: self.key.text,
            ordering_key: self.ordering_key,
            event_time: self.event_time,
            deliver_at_time: self.deliver_at,
            replicate_to: self.replicate_to,
            null_value: self.tombstone.then_some(true),
            ..MessageMetadata::default()
        };
        (metadata, self.payload.into_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bytes_key_travels_in_base64() {
        let message =
            OutgoingMessage { key: Some(Key::Bytes(Bytes::from_static(&[0xff, 0]))), ..Default::default() };
        let (metadata, _) = Prepared::new(message).into_single(3);
        assert_eq!(metadata.partition_key(), "/wA=");
        assert!(metadata.partition_key_b64_encoded());
        assert_eq!(metadata.sequence_id, 3);
    }

    #[test]
    fn a_tombstone_has_no_payload() {
        let payload = Bytes::from_static(b"ignored").into();
        let message = OutgoingMessage { payload, tombstone: true, ..Default::default() };
        let (metadata, payload) = Prepared::new(message).into_batched();
        assert!(metadata.null_value() && payload.is_empty());
    }

    #[test]
    fn debug_output_shows_no_content() {
        let message = OutgoingMessage {
            payload: (&b"canary"[..]).into(),
            key: Some(Key::Text("canary".into())),
            ..Default::default()
        };
        assert!(!format!("{message:?}").contains("canary"));
    }

    #[test]
    fn the_size_in_a_batch_is_not_less_than_it_takes() {
        let message = OutgoingMessage {
            payload: (&[7; 300][..]).into(),
            key: Some(Key::Text("k".repeat(200))),
            ordering_key: Some(Bytes::from(vec![1; 200])),
            properties: vec![("p".repeat(130), "v".repeat(130)); 20],
            event_time: Some(u64::MAX),
            sequence_id: Some(u64::MAX),
            ..Default::default()
        };
        let message = Prepared::new(message);
        let estimate = message.batched_size();
        let (metadata, payload) = message.into_batched();
        let mut batch = crate::protocol::batch::BatchBuilder::new();
        batch.push(&metadata, payload.as_slice());
        assert!(batch.bytes() <= estimate, "{} over {estimate}", batch.bytes());
    }
}
