//! Open batches of one partition: one for all messages, or one for each key beside the one for messages without.

use std::collections::HashMap;
use std::time::Instant;

use bytes::Bytes;

use super::completion::{Completion, Waiters};
use super::encode::{Body, Raw};
use super::message::Prepared;
use super::pending::{Content, Entry};
use super::sequence::Sequence;
use crate::client::options::{Batching, ProducerOptions};
use crate::protocol::batch::BatchBuilder;
use crate::protocol::proto::{MessageMetadata, SingleMessageMetadata};

/// When a batch is full, and whether keys are kept apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct BatchLimits {
    pub(super) enabled: bool,
    /// A batch with a key holds this key only, so that `Key_Shared` can give it to one consumer.
    pub(super) by_key: bool,
    /// Whether a batch waits for more although no entry is before it.
    pub(super) when_idle: bool,
    pub(super) max_messages: usize,
    pub(super) max_bytes: usize,
}

impl BatchLimits {
    /// `max_message_size` is the broker's.
    pub(super) fn new(options: &ProducerOptions, max_message_size: usize) -> Self {
        /// Left for the metadata of the entry, the producer's name included.
        const METADATA: usize = 1024;
        let broker = max_message_size.saturating_sub(METADATA);
        Self {
            enabled: options.batching != Batching::Off,
            by_key: matches!(options.batching, Batching::Auto | Batching::Key),
            when_idle: options.batch_when_idle,
            max_messages: if options.batch_max_messages == 0 {
                usize::MAX
            } else {
                options.batch_max_messages
            },
            max_bytes: if options.batch_max_bytes == 0 {
                broker
            } else {
                options.batch_max_bytes.min(broker)
            },
        }
    }

    /// Whether a message cannot be part of a batch: it has a delivery time or clusters of its own, it is as large as
    /// a batch, or it has a key to be grouped by and a sequence id, which grouping would put out of order.
    pub(super) fn goes_alone(&self, message: &Prepared<'_>) -> bool {
        !self.enabled
            || message.deliver_at.is_some()
            || !message.replicate_to.is_empty()
            || message.batched_size() > self.max_bytes
            || (self.by_key && message.sequence_id.is_some() && message.grouping_key().is_some())
    }
}

/// The open batches. They are closed together, when all of them hold as much as one batch may.
#[derive(Default)]
pub(super) struct Batcher {
    joined: BatchBuilder,
    joining: Option<Joining>,
    keyed: Vec<Keyed>,
    by_key: HashMap<Bytes, usize>,
    messages: usize,
    bytes: usize,
    opened_at: Option<Instant>,
}

/// The batch that messages are joined to as they come; they get their sequence ids at once.
struct Joining {
    metadata: MessageMetadata,
    first_sequence_id: u64,
    last_sequence_id: u64,
    /// Holds ids that were used before: the broker may drop it as a whole, so nothing new may join.
    repeated: bool,
    memory: u64,
    waiters: Waiters,
}

/// A batch of one key. Sequence ids are given when it is closed, so that they grow from batch to batch: the broker's
/// deduplication drops an entry whose ids are lower than those of the one before.
struct Keyed {
    metadata: MessageMetadata,
    messages: Vec<(SingleMessageMetadata, Bytes)>,
    memory: u64,
    waiters: Waiters,
}

impl Batcher {
    pub(super) fn is_empty(&self) -> bool {
        self.messages == 0
    }

    /// When the oldest message came.
    pub(super) fn opened_at(&self) -> Option<Instant> {
        self.opened_at
    }

    /// Whether the open batches must be closed before this message may join.
    pub(super) fn excludes(&self, message: &Prepared<'_>, limits: &BatchLimits, sequence: &Sequence) -> bool {
        if self.is_empty() {
            return false;
        }
        let out_of_order = self.joining.as_ref().is_some_and(|joining| {
            let repeated = sequence.is_repeated(message.sequence_id);
            repeated != joining.repeated
                || message.sequence_id.is_some_and(|given| given <= joining.last_sequence_id)
        });
        out_of_order || self.bytes + message.batched_size() > limits.max_bytes
    }

    /// Adds a message; true if the batches are full now. `since` is when it was sent, for the first of a batch.
    pub(super) fn add(
        &mut self,
        message: Prepared<'_>,
        completion: Completion,
        limits: &BatchLimits,
        sequence: &mut Sequence,
        since: impl FnOnce() -> Instant,
    ) -> bool {
        if self.opened_at.is_none() {
            self.opened_at = Some(since());
        }
        self.messages += 1;
        self.bytes += message.batched_size();
        match message.grouping_key().filter(|_| limits.by_key).map(Bytes::copy_from_slice) {
            Some(key) => self.add_keyed(key, message, completion),
            None => self.join(message, completion, sequence),
        }
        self.messages >= limits.max_messages || self.bytes >= limits.max_bytes
    }

    fn join(&mut self, message: Prepared<'_>, completion: Completion, sequence: &mut Sequence) {
        let repeated = sequence.is_repeated(message.sequence_id);
        let sequence_id = sequence.take(message.sequence_id);
        let joining = self.joining.get_or_insert_with(|| Joining {
            metadata: first_metadata(&message),
            first_sequence_id: sequence_id,
            last_sequence_id: sequence_id,
            repeated,
            memory: 0,
            waiters: Waiters::default(),
        });
        joining.last_sequence_id = sequence_id;
        joining.memory += message.payload.len() as u64;
        joining.waiters.push(completion);
        if message.is_plain() {
            self.joined.push_plain(sequence_id, message.payload.as_slice());
        } else {
            let (mut metadata, payload) = message.into_batched();
            metadata.sequence_id = Some(sequence_id);
            self.joined.push(&metadata, payload.as_slice());
        }
    }

    fn add_keyed(&mut self, key: Bytes, message: Prepared<'_>, completion: Completion) {
        let index = *self.by_key.entry(key).or_insert_with(|| {
            self.keyed.push(Keyed {
                metadata: first_metadata(&message),
                messages: Vec::new(),
                memory: 0,
                waiters: Waiters::default(),
            });
            self.keyed.len() - 1
        });
        if let Some(batch) = self.keyed.get_mut(index) {
            batch.memory += message.payload.len() as u64;
            batch.waiters.push(completion);
            let (metadata, payload) = message.into_batched();
            batch.messages.push((metadata, payload.into_bytes()));
        }
    }

    /// Closes all batches, in the order in which they are to be stored.
    pub(super) fn close(&mut self, sequence: &mut Sequence) -> Vec<Entry> {
        let mut entries = Vec::with_capacity(self.keyed.len() + 1);
        if let Some(joining) = self.joining.take() {
            let count = self.joined.len();
            let body = Body::Batch(self.joined.finish());
            let raw = Raw {
                metadata: joining.metadata,
                body,
                sequence_id: joining.first_sequence_id,
                highest_sequence_id: joining.last_sequence_id,
                count: u32::try_from(count).unwrap_or(u32::MAX),
            };
            entries.push(entry(raw, joining.memory, joining.waiters));
        }
        for batch in self.keyed.drain(..) {
            entries.push(batch.close(sequence));
        }
        self.by_key.clear();
        (self.messages, self.bytes, self.opened_at) = (0, 0, None);
        entries
    }
}

impl Keyed {
    fn close(mut self, sequence: &mut Sequence) -> Entry {
        let count = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        let (mut first, mut last) = (None, 0);
        for (metadata, _) in &mut self.messages {
            last = sequence.take(None);
            first.get_or_insert(last);
            metadata.sequence_id = Some(last);
        }
        let raw = Raw {
            metadata: self.metadata,
            body: Body::Keyed(self.messages),
            sequence_id: first.unwrap_or(last),
            highest_sequence_id: last,
            count,
        };
        entry(raw, self.memory, self.waiters)
    }
}

/// What the broker wants to know of a batch without opening it: the key of its first message.
fn first_metadata(message: &Prepared<'_>) -> MessageMetadata {
    MessageMetadata {
        partition_key: message.key.text.clone(),
        partition_key_b64_encoded: message.key.is_base64.then_some(true),
        ordering_key: message.ordering_key.clone(),
        ..MessageMetadata::default()
    }
}

fn entry(raw: Raw, memory: u64, waiters: Waiters) -> Entry {
    Entry {
        id: 0,
        sequence_id: raw.sequence_id,
        highest_sequence_id: raw.highest_sequence_id,
        count: raw.count,
        batched: true,
        memory,
        deadline: None,
        content: Content::Raw(Box::new(raw)),
        waiters,
        barriers: Vec::new(),
        damaged: 0,
    }
}

/// A message as an entry of its own.
pub(super) fn single(message: Prepared<'_>, completion: Completion, sequence: &mut Sequence) -> Entry {
    let memory = message.payload.len() as u64;
    let sequence_id = sequence.take(message.sequence_id);
    let (metadata, body) = message.into_single(sequence_id);
    let body = Body::Single(body);
    let raw = Raw { metadata, body, sequence_id, highest_sequence_id: sequence_id, count: 1 };
    let mut waiters = Waiters::default();
    waiters.push(completion);
    Entry { batched: false, ..entry(raw, memory, waiters) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::producer::message::{Key, OutgoingMessage};

    fn limits(by_key: bool) -> BatchLimits {
        BatchLimits { enabled: true, by_key, when_idle: false, max_messages: 4, max_bytes: 1000 }
    }

    fn message(key: Option<&str>) -> OutgoingMessage<'static> {
        OutgoingMessage { key: key.map(|key| Key::Text(key.into())), ..Default::default() }
    }

    struct Bench {
        batcher: Batcher,
        sequence: Sequence,
        limits: BatchLimits,
    }

    impl Bench {
        fn new(by_key: bool) -> Self {
            Self { batcher: Batcher::default(), sequence: Sequence::after(-1), limits: limits(by_key) }
        }

        fn add(&mut self, message: OutgoingMessage<'static>) -> bool {
            let message = Prepared::new(message);
            self.batcher.add(message, Completion::Ignore, &self.limits, &mut self.sequence, Instant::now)
        }

        /// Of each entry: the key, the first and the last sequence id.
        fn close(&mut self) -> Vec<(Option<String>, u64, u64)> {
            let key = |entry: &Entry| match &entry.content {
                Content::Raw(raw) => raw.metadata.partition_key.clone(),
                _ => None,
            };
            let entries = self.batcher.close(&mut self.sequence);
            entries.iter().map(|entry| (key(entry), entry.sequence_id, entry.highest_sequence_id)).collect()
        }
    }

    #[test]
    fn keys_are_kept_apart_and_sequence_ids_grow_from_batch_to_batch() {
        let mut bench = Bench::new(true);
        assert!(!bench.add(message(Some("a"))));
        assert!(!bench.add(message(Some("b"))));
        assert!(!bench.add(message(None)));
        assert!(bench.add(message(Some("a"))), "the fourth fills it");
        let key = |key: &str| Some(key.to_owned());
        assert_eq!(bench.close(), [(None, 0, 0), (key("a"), 1, 2), (key("b"), 3, 3)]);
        assert!(bench.batcher.is_empty() && bench.batcher.opened_at().is_none());
    }

    #[test]
    fn without_grouping_all_are_one_batch_with_the_first_key() {
        let mut bench = Bench::new(false);
        for key in [Some("a"), Some("b"), None] {
            bench.add(message(key));
        }
        assert_eq!(bench.close(), [(Some("a".into()), 0, 2)]);
    }

    #[test]
    fn an_ordering_key_groups_before_the_key() {
        let mut bench = Bench::new(true);
        for key in ["a", "b"] {
            let ordering_key = Some(Bytes::from_static(b"o"));
            bench.add(OutgoingMessage { ordering_key, ..message(Some(key)) });
        }
        assert_eq!(bench.close(), [(Some("a".into()), 0, 1)]);
    }

    #[test]
    fn bytes_fill_a_batch_too() {
        let mut bench = Bench::new(true);
        let large = || OutgoingMessage { payload: (&[7; 600][..]).into(), ..message(None) };
        assert!(!bench.add(large()));
        let next = Prepared::new(large());
        assert!(bench.batcher.excludes(&next, &bench.limits, &bench.sequence));
        assert!(!bench.limits.goes_alone(&next));
        let huge = OutgoingMessage { payload: (&[7; 1000][..]).into(), ..message(None) };
        assert!(bench.limits.goes_alone(&Prepared::new(huge)));
    }

    #[test]
    fn repeated_sequence_ids_do_not_share_a_batch_with_new_ones() {
        let mut bench = Bench::new(false);
        let given = |id| OutgoingMessage { sequence_id: Some(id), ..message(None) };
        bench.add(given(10));
        let excludes = |bench: &Bench, message| {
            bench.batcher.excludes(&Prepared::new(message), &bench.limits, &bench.sequence)
        };
        assert!(excludes(&bench, given(10)) && excludes(&bench, given(3)));
        assert!(!excludes(&bench, given(12)) && !excludes(&bench, message(None)));
        assert_eq!(bench.close(), [(None, 10, 10)]);
        bench.add(given(3));
        assert!(!excludes(&bench, given(4)), "repeated as well");
        assert!(excludes(&bench, message(None)) && excludes(&bench, given(11)));
    }

    #[test]
    fn what_cannot_be_batched_goes_alone() {
        let goes_alone = |message| limits(true).goes_alone(&Prepared::new(message));
        assert!(!goes_alone(message(Some("a"))));
        assert!(goes_alone(OutgoingMessage { deliver_at: Some(1), ..message(None) }));
        assert!(goes_alone(OutgoingMessage { replicate_to: vec!["c".into()], ..message(None) }));
        assert!(goes_alone(OutgoingMessage { sequence_id: Some(1), ..message(Some("a")) }));
        assert!(!goes_alone(OutgoingMessage { sequence_id: Some(1), ..message(None) }));
    }
}
