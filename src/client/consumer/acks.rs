//! What is acknowledged and not yet told to the broker, and what of each batch is still open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::watch;

use super::ack_state::{AckState, Acked};
use super::position::Position;
use crate::error::Result;

/// Batches whose state is remembered for acknowledgement by id. Of a batch beyond it, messages acknowledged by id
/// are redelivered: at least once, as always.
const MAX_TRACKED: usize = 65_536;

/// The broker's answer to a group of acknowledgements, for everybody who waits for it.
pub(crate) type Receipt = watch::Receiver<Option<Result<()>>>;

/// The acknowledgements of one partition. An entry is acknowledged when all its messages are; with
/// `batch_index_ack` the bit sets of the others are sent too.
#[derive(Default)]
pub(crate) struct AckTracker {
    batch_index_ack: bool,
    receipts: bool,
    /// Batches and chunked messages that were delivered and are not acknowledged as a whole.
    open: BTreeMap<Position, Arc<AckState>>,
    group: AckGroup,
}

/// Acknowledgements that travel together.
#[derive(Default)]
pub(crate) struct AckGroup {
    pub(crate) whole: BTreeSet<Position>,
    pub(crate) partial: BTreeMap<Position, Arc<AckState>>,
    /// Everything up to here, and of the batch right behind it what its bit set says.
    pub(crate) cumulative: Option<Cumulative>,
    /// Messages in the entries acknowledged as a whole.
    messages: usize,
    /// Those who wait for the broker's answer: one, and more where groups were joined.
    pub(crate) receipts: Vec<watch::Sender<Option<Result<()>>>>,
}

#[derive(Clone)]
pub(crate) struct Cumulative {
    pub(crate) position: Position,
    pub(crate) partial: Option<Arc<AckState>>,
}

impl AckTracker {
    pub(crate) fn new(batch_index_ack: bool, receipts: bool) -> Self {
        Self { batch_index_ack, receipts, ..Self::default() }
    }

    /// The state of a batch: the one that an earlier delivery made, if there was any.
    pub(crate) fn batch(&mut self, position: Position, size: u32) -> Arc<AckState> {
        self.track(position, || AckState::batch(position, size), |known| known.batch_size() == size)
    }

    pub(crate) fn chunked(&mut self, position: Position, chunks: Box<[Position]>) -> Arc<AckState> {
        self.track(position, || AckState::chunked(position, chunks), |_| false)
    }

    fn track(
        &mut self,
        position: Position,
        make: impl FnOnce() -> AckState,
        same: impl FnOnce(&AckState) -> bool,
    ) -> Arc<AckState> {
        if let Some(known) = self.open.get(&position).filter(|known| same(known)) {
            return known.clone();
        }
        if self.open.len() >= MAX_TRACKED {
            self.open.pop_first();
        }
        let state = Arc::new(make());
        self.open.insert(position, state.clone());
        state
    }

    /// The state behind an id. An entry that was never delivered here, or long ago, gets a new one.
    pub(crate) fn state_of(&mut self, position: Position, batch_size: u32) -> Arc<AckState> {
        match self.open.get(&position) {
            Some(known) => known.clone(),
            None if batch_size > 0 => self.batch(position, batch_size),
            None => Arc::new(AckState::single(position)),
        }
    }

    /// The entries that belong to this one: itself, and the earlier chunks of its message.
    pub(crate) fn entries_of(&self, position: Position) -> impl Iterator<Item = Position> {
        let chunks = self.open.get(&position).map_or(&[][..], |state| state.chunks());
        chunks.iter().copied().chain([position])
    }

    /// Whether the entry is acknowledged, and the broker may not know yet.
    pub(crate) fn is_acknowledged(&self, position: Position) -> bool {
        self.group.whole.contains(&position)
            || self.group.cumulative.as_ref().is_some_and(|cumulative| position <= cumulative.position)
    }

    /// Takes note that messages of the entry were acknowledged in its state.
    pub(crate) fn individual(&mut self, state: &Arc<AckState>, acked: Acked) {
        match acked {
            Acked::Part if self.batch_index_ack => {
                self.group.partial.insert(state.position(), state.clone());
            }
            Acked::Nothing | Acked::Part => {}
            Acked::Whole => {
                self.open.remove(&state.position());
                self.group.partial.remove(&state.position());
                self.group.whole.extend(state.chunks());
                self.group.whole.insert(state.position());
                self.group.messages += state.batch_size().max(1) as usize;
            }
        }
    }

    /// Forgets an entry that is acknowledged in another way.
    pub(crate) fn discard(&mut self, position: Position) {
        self.open.remove(&position);
        self.group.partial.remove(&position);
    }

    /// Takes note that everything up to the entry was acknowledged, and of the entry itself what its state says.
    /// Returns the position up to which all is.
    pub(crate) fn cumulative(&mut self, state: &Arc<AckState>) -> Position {
        let whole = state.remaining() == 0;
        let position = if whole { state.position() } else { state.position().before() };
        let later = self.group.cumulative.as_ref().is_none_or(|known| known.position <= position);
        if later {
            let partial = (!whole && self.batch_index_ack).then(|| state.clone());
            self.group.cumulative = Some(Cumulative { position, partial });
        }
        let behind = |here: &Position| *here > position;
        self.open.retain(|here, _| behind(here));
        self.group.whole.retain(behind);
        self.group.partial.retain(|here, _| behind(here));
        position
    }

    /// The receipt of what is grouped now, if the consumer asked for receipts.
    pub(crate) fn receipt(&mut self) -> Option<Receipt> {
        if !self.receipts || self.group.is_empty() {
            return None;
        }
        if self.group.receipts.is_empty() {
            self.group.receipts.push(watch::channel(None).0);
        }
        self.group.receipts.last().map(watch::Sender::subscribe)
    }

    pub(crate) fn grouped(&self) -> usize {
        self.group.len()
    }

    /// Whether so many acknowledgements, or entries of so many messages, are enough to be sent.
    pub(crate) fn is_full(&self, max: usize) -> bool {
        self.grouped().max(self.group.messages) >= max
    }

    pub(crate) fn take(&mut self) -> Option<AckGroup> {
        (!self.group.is_empty()).then(|| std::mem::take(&mut self.group))
    }

    /// Puts back a group that could not be written.
    pub(crate) fn restore(&mut self, group: AckGroup) {
        let newer = std::mem::replace(&mut self.group, group);
        self.group.messages += newer.messages;
        self.group.whole.extend(newer.whole);
        self.group.partial.extend(newer.partial);
        if let Some(cumulative) = newer.cumulative {
            self.group.cumulative = Some(cumulative);
        }
        self.group.receipts.extend(newer.receipts);
    }

    /// Forgets everything, as a seek does: what was acknowledged before it means nothing any more.
    pub(crate) fn clear(&mut self) {
        self.open.clear();
        if let Some(group) = self.take() {
            group.answer(&Ok(()));
        }
    }

    #[cfg(test)]
    pub(crate) fn open(&self) -> usize {
        self.open.len()
    }
}

impl AckGroup {
    pub(crate) fn len(&self) -> usize {
        self.whole.len() + self.partial.len() + usize::from(self.cumulative.is_some())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells everybody who waits for this group's receipt.
    pub(crate) fn answer(&self, result: &Result<()>) {
        for receipt in &self.receipts {
            receipt.send_replace(Some(result.clone()));
        }
    }
}
