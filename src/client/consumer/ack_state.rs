//! Which messages of one entry are still unacknowledged.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::position::Position;

const WORD: u32 = u64::BITS;

/// The state of one entry, shared by every delivery of it: what was acknowledged once is not handed out again when
/// the entry is redelivered for another of its messages.
#[derive(Debug)]
pub(crate) struct AckState {
    position: Position,
    /// 0 for an entry that is no batch.
    batch_size: u32,
    /// A bit for each message of a batch, set while it is unacknowledged; empty for an entry that is no batch.
    words: Box<[AtomicU64]>,
    remaining: AtomicU32,
    /// The earlier chunks of a chunked message, which are acknowledged with it.
    chunks: Box<[Position]>,
}

/// What an acknowledgement changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acked {
    /// It was acknowledged before.
    Nothing,
    /// Other messages of the entry are still unacknowledged.
    Part,
    /// The entry is now acknowledged as a whole.
    Whole,
}

impl AckState {
    pub(crate) fn single(position: Position) -> Self {
        Self::chunked(position, Box::default())
    }

    /// `position` is the last chunk's, `chunks` are those before it.
    pub(crate) fn chunked(position: Position, chunks: Box<[Position]>) -> Self {
        Self { position, batch_size: 0, words: Box::default(), remaining: AtomicU32::new(1), chunks }
    }

    pub(crate) fn batch(position: Position, size: u32) -> Self {
        let words =
            (0..size.div_ceil(WORD)).map(|word| AtomicU64::new(mask_below(size - word * WORD))).collect();
        Self { position, batch_size: size, words, remaining: AtomicU32::new(size), chunks: Box::default() }
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    pub(crate) fn batch_size(&self) -> u32 {
        self.batch_size
    }

    pub(crate) fn chunks(&self) -> &[Position] {
        &self.chunks
    }

    pub(crate) fn remaining(&self) -> u32 {
        self.remaining.load(Ordering::Acquire)
    }

    pub(crate) fn is_acknowledged(&self, index: u32) -> bool {
        match self.words.get((index / WORD) as usize) {
            Some(word) => word.load(Ordering::Acquire) & (1 << (index % WORD)) == 0,
            None => self.remaining() == 0,
        }
    }

    /// Acknowledges one message of a batch, or the entry if it is none.
    pub(crate) fn acknowledge(&self, index: u32) -> Acked {
        match self.words.get((index / WORD) as usize) {
            Some(word) => self.settle(clear(word, 1 << (index % WORD))),
            None if self.batch_size == 0 => self.settle(self.remaining()),
            None => Acked::Nothing,
        }
    }

    /// Acknowledges every message of the batch up to and with this one.
    pub(crate) fn acknowledge_up_to(&self, index: u32) -> Acked {
        if self.batch_size == 0 {
            return self.acknowledge(0);
        }
        let below = (0u32..).step_by(WORD as usize).zip(&self.words).map(|(first, word)| {
            if first > index { 0 } else { clear(word, mask_below((index - first).saturating_add(1))) }
        });
        self.settle(below.sum())
    }

    pub(crate) fn acknowledge_all(&self) -> Acked {
        self.acknowledge_up_to(self.batch_size.saturating_sub(1))
    }

    /// Takes over what the broker knows: a message whose bit is not set in `ack_set` is acknowledged already.
    pub(crate) fn keep_only(&self, ack_set: &[i64]) {
        if ack_set.is_empty() {
            return;
        }
        let unset = self.words.iter().enumerate().map(|(word, bits)| {
            let kept = ack_set.get(word).map_or(0, |set| set.cast_unsigned());
            clear(bits, !kept)
        });
        self.settle(unset.sum());
    }

    /// The bits of what is unacknowledged, as they travel: words of 64, trailing zeros left out.
    pub(crate) fn ack_set(&self) -> Vec<i64> {
        let mut set: Vec<i64> = self.words.iter().map(|w| w.load(Ordering::Acquire).cast_signed()).collect();
        while set.last() == Some(&0) {
            set.pop();
        }
        set
    }

    /// The bits of what is acknowledged; empty if nothing is.
    pub(crate) fn acknowledged(&self) -> Box<[u64]> {
        if self.remaining() == self.batch_size {
            return Box::default();
        }
        let words = self.words.iter().zip((0..self.batch_size).step_by(WORD as usize));
        words
            .map(|(word, first)| !word.load(Ordering::Acquire) & mask_below(self.batch_size - first))
            .collect()
    }

    /// Counts messages that were just acknowledged. Exactly one caller sees the entry become whole.
    fn settle(&self, acknowledged: u32) -> Acked {
        if acknowledged == 0 {
            return Acked::Nothing;
        }
        let update = |left: u32| Some(left.saturating_sub(acknowledged));
        let before = self.remaining.fetch_update(Ordering::AcqRel, Ordering::Acquire, update).unwrap_or(0);
        match before {
            0 => Acked::Nothing,
            left if left <= acknowledged => Acked::Whole,
            _ => Acked::Part,
        }
    }
}

/// Clears these bits and counts those that were set.
fn clear(word: &AtomicU64, bits: u64) -> u32 {
    (word.fetch_and(!bits, Ordering::AcqRel) & bits).count_ones()
}

/// The lowest `count` bits of a word.
fn mask_below(count: u32) -> u64 {
    if count >= WORD { u64::MAX } else { (1 << count) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Position = Position { ledger: 1, entry: 7 };

    #[test]
    fn a_batch_is_whole_with_its_last_message_only() {
        let state = AckState::batch(HERE, 70);
        for index in (0..70).filter(|index| *index != 65) {
            assert_eq!(state.acknowledge(index), Acked::Part);
        }
        assert_eq!(state.acknowledge(3), Acked::Nothing);
        assert_eq!(state.remaining(), 1);
        assert!(!state.is_acknowledged(65));
        assert_eq!(state.ack_set(), [0, 1 << 1]);
        assert_eq!(state.acknowledge(65), Acked::Whole);
        assert_eq!(state.acknowledge(65), Acked::Nothing);
        assert_eq!(state.acknowledge(7000), Acked::Nothing);
    }

    #[test]
    fn up_to_counts_each_message_once() {
        let state = AckState::batch(HERE, 130);
        assert_eq!(state.acknowledge(100), Acked::Part);
        assert_eq!(state.acknowledge_up_to(100), Acked::Part);
        assert_eq!(state.remaining(), 29);
        assert_eq!(state.acknowledge_up_to(u32::MAX), Acked::Whole);
    }

    #[test]
    fn the_brokers_ack_set_is_honoured() {
        let state = AckState::batch(HERE, 66);
        state.keep_only(&[0b101]);
        assert_eq!(state.remaining(), 2);
        assert!(state.is_acknowledged(1) && state.is_acknowledged(64) && !state.is_acknowledged(2));
        state.keep_only(&[]);
        assert_eq!(state.ack_set(), [0b101]);
    }

    #[test]
    fn an_entry_that_is_no_batch_is_whole_at_once() {
        let state = AckState::single(HERE);
        assert_eq!(state.acknowledge_all(), Acked::Whole);
        assert_eq!(state.acknowledge(0), Acked::Nothing);
        assert!(state.is_acknowledged(0));
    }
}
