//! Compaction: a view of the log that has only the last message of each key.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

use super::Topic;
use super::state::State;
use crate::broker::entry::Entry;
use crate::broker::position::Position;
use crate::error::Result;
use crate::protocol::batch::{BatchBuilder, BatchIter};
use crate::protocol::checksum::crc32c;
use crate::protocol::compression::Compression;
use crate::protocol::frame::{Payload, decode_payload};
use crate::protocol::proto::{MessageMetadata, SingleMessageMetadata};

/// No batch is read that claims to be larger than this.
const MAX_BATCH: usize = 256 << 20;

/// Compaction that runs by itself does so no more often than this, in milliseconds: each time it reads the whole log.
const PAUSE: u64 = 1000;

/// What compaction made of the log before its horizon.
#[derive(Debug)]
pub(super) struct Compacted {
    pub(super) entries: Vec<Arc<Entry>>,
    /// The first entry that it has not seen.
    pub(super) horizon: Position,
}

/// A message inside an entry, and where it is.
type Place = (Position, usize);

impl Topic {
    /// Compacts all that is stored now. Takes as long as reading it does, without keeping others from the topic.
    pub fn compact(self: &Arc<Self>) {
        let began = self.now();
        let (entries, horizon) = {
            let mut state = self.lock();
            if std::mem::replace(&mut state.compaction.running, true) {
                return;
            }
            (state.log.to_compact(), state.log.next_position())
        };
        let before = entries.iter().map(|entry| u64::from(entry.facts.messages)).sum::<u64>();
        let (kept, messages) = keep_last_of_keys(&entries);
        let mut guard = self.lock();
        let state = &mut *guard;
        state.compaction.running = false;
        state.compaction.removed = before.saturating_sub(messages);
        state.compaction.ran_at = Some(began);
        state.compaction.duration_millis = self.now().saturating_sub(began);
        self.install(state, Compacted { entries: kept, horizon });
        self.store_topic(state);
        self.trim(state);
        self.plan(state, self.now());
    }

    /// Whether there is more to compact than the policies let be. `now` is in milliseconds since 1970.
    pub(super) fn is_compaction_due(&self, now: u64) -> bool {
        self.lock().compaction_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Compacts what was compacted before a restart.
    pub(super) fn compact_before(&self, state: &mut State, horizon: Position) {
        let entries = state.log.to_compact();
        let entries: Vec<_> = entries.into_iter().filter(|entry| entry.position < horizon).collect();
        let (kept, _) = keep_last_of_keys(&entries);
        self.install(state, Compacted { entries: kept, horizon });
    }

    fn install(&self, state: &mut State, compacted: Compacted) {
        state.compaction.horizon = Some(compacted.horizon);
        state.compaction.entries = compacted.entries.len() as u64;
        let unseen = state.log.from(compacted.horizon);
        state.uncompacted = unseen.map(|entry| entry.bytes.len() as u64).sum();
        for entry in &compacted.entries {
            self.services.memory.take(entry);
        }
        if let Some(old) = state.log.set_compacted(compacted) {
            self.services.memory.give_back(old.entries.iter().map(|entry| &**entry));
        }
    }
}

impl State {
    /// When compaction is to run by itself: as soon as there is enough for it, and then after a pause.
    pub(super) fn compaction_deadline(&self) -> Option<u64> {
        let threshold = self.compaction_threshold()?;
        let is_due = self.uncompacted > threshold && !self.compaction.running;
        is_due.then(|| self.compaction.ran_at.map_or(0, |ran_at| ran_at.saturating_add(PAUSE)))
    }

    /// How many bytes may lie uncompacted; none if it is only done by hand.
    fn compaction_threshold(&self) -> Option<u64> {
        self.policies.compaction_threshold.filter(|threshold| *threshold > 0)
    }

    /// Where the entries begin that compaction is still to see: they are kept for it, whoever has acknowledged them.
    pub(super) fn kept_for_compaction(&self) -> Option<Position> {
        self.log.horizon().or_else(|| self.compaction_threshold().map(|_| Position::new(0, 0)))
    }
}

/// The entries with the last message of each key, in order, and how many messages those are. Messages without a key are
/// left out, as Pulsar does; entries that cannot be read are kept.
fn keep_last_of_keys(entries: &[Arc<Entry>]) -> (Vec<Arc<Entry>>, u64) {
    let mut last: HashMap<String, (Place, bool)> = HashMap::new();
    let mut chunks: HashMap<String, Position> = HashMap::new();
    for entry in entries {
        let Ok(messages) = read(entry, &mut chunks) else { continue };
        for message in messages {
            if let Some(key) = message.key {
                last.insert(key, (message.place, message.is_tombstone));
            }
        }
    }
    let is_last = |message: &Found| {
        let Some(key) = &message.key else { return false };
        last.get(key).is_some_and(|(place, is_tombstone)| *place == message.place && !is_tombstone)
    };
    let (mut kept, mut count) = (Vec::new(), 0);
    for entry in entries {
        let Ok(messages) = read(entry, &mut chunks) else {
            kept.push(Arc::clone(entry));
            count += u64::from(entry.facts.messages);
            continue;
        };
        let keep: Vec<bool> = messages.iter().map(is_last).collect();
        let wanted = keep.iter().filter(|keep| **keep).count();
        count += wanted as u64;
        if wanted == keep.len() && wanted > 0 {
            kept.push(Arc::clone(entry));
        } else if wanted > 0
            && let Ok(entry) = without(entry, &keep)
        {
            kept.push(Arc::new(entry));
        }
    }
    (kept, count)
}

struct Found {
    key: Option<String>,
    place: Place,
    is_tombstone: bool,
}

fn read(entry: &Entry, chunks: &mut HashMap<String, Position>) -> Result<Vec<Found>> {
    let payload = decode_payload(entry.bytes.clone())?;
    let metadata = &payload.metadata;
    if metadata.num_messages_in_batch.is_none() {
        let mut position = entry.position;
        if let (true, Some(uuid)) = (entry.facts.is_chunk, &metadata.uuid) {
            // All chunks of a message are where its first one is.
            position = *chunks.entry(uuid.clone()).or_insert(position);
        }
        let is_tombstone = metadata.null_value() || payload.body.is_empty();
        return Ok(vec![Found { key: metadata.partition_key.clone(), place: (position, 0), is_tombstone }]);
    }
    let messages = BatchIter::new(uncompressed(&payload)?, entry.facts.messages as usize).enumerate();
    messages
        .map(|(index, message)| {
            let (single, body) = message?;
            let is_tombstone = single.null_value() || body.is_empty();
            // What an earlier compaction left out stays out.
            let key = single.partition_key.filter(|_| !single.compacted_out.unwrap_or_default());
            Ok(Found { key, place: (entry.position, index), is_tombstone })
        })
        .collect()
}

fn uncompressed(payload: &Payload) -> Result<Bytes> {
    let metadata = &payload.metadata;
    let size = metadata.uncompressed_size.unwrap_or_default();
    Compression::of(metadata)?.decompress(&payload.body, size, MAX_BATCH)
}

/// A batch with some messages emptied: those that stay keep their places.
fn without(entry: &Entry, keep: &[bool]) -> Result<Entry> {
    let payload = decode_payload(entry.bytes.clone())?;
    let mut batch = BatchBuilder::new();
    for (message, keep) in BatchIter::new(uncompressed(&payload)?, keep.len()).zip(keep) {
        let (single, body) = message?;
        if *keep {
            batch.push(&single, &body);
        } else {
            let out = SingleMessageMetadata {
                compacted_out: Some(true),
                sequence_id: single.sequence_id,
                ..SingleMessageMetadata::default()
            };
            batch.push(&out, &[]);
        }
    }
    let body = batch.finish();
    let mut metadata: MessageMetadata = (*payload.metadata).clone();
    metadata.uncompressed_size = u32::try_from(body.len()).ok();
    let body = Compression::of(&metadata)?.compress(&body)?;
    let bytes = join(&metadata, &body);
    Ok(Entry { checksum: crc32c(&[&bytes]), bytes, ..entry.clone() })
}

/// Size of the metadata, metadata and body.
fn join(metadata: &MessageMetadata, body: &[u8]) -> Bytes {
    let size = metadata.encoded_len();
    let mut bytes = BytesMut::with_capacity(4 + size + body.len());
    bytes.put_u32(u32::try_from(size).unwrap_or(u32::MAX));
    metadata.encode_raw(&mut bytes);
    bytes.put_slice(body);
    bytes.freeze()
}
