//! Chunked messages, put together again.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};

use super::position::Position;
use crate::protocol::chunk::Chunk;

/// The chunked messages of one partition that are not complete. Bounded by number and by size.
pub(crate) struct Chunks {
    max_pending: usize,
    max_size: usize,
    pending: HashMap<String, Pending>,
    started: u64,
}

struct Pending {
    /// Counts up, so that the oldest is the one to give up.
    started: u64,
    body: BytesMut,
    positions: Vec<Position>,
}

/// What became of a chunk.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Assembled {
    /// The message is complete: its body, as sent, and where its chunks are, the last one included.
    Whole(Bytes, Vec<Position>),
    Waiting,
    /// The producer sent it twice: it is to be acknowledged.
    Duplicate,
    /// The message exceeds the limit, or its chunks contradict each other: it is to be discarded.
    Oversized,
}

impl Chunks {
    pub(crate) fn new(max_pending: usize, max_size: usize) -> Self {
        Self { max_pending: max_pending.max(1), max_size, pending: HashMap::new(), started: 0 }
    }

    /// Adds a chunk. Chunks that can not become a message any more are added to `given_up`.
    pub(crate) fn add(
        &mut self,
        chunk: Chunk<'_>,
        position: Position,
        body: &Bytes,
        given_up: &mut Vec<Position>,
    ) -> Assembled {
        let total = chunk.total_size as usize;
        if total > self.max_size || body.len() > total {
            return Assembled::Oversized;
        }
        if chunk.is_first() {
            self.start(chunk.uuid, given_up);
        }
        let Some(pending) = self.pending.get_mut(chunk.uuid) else {
            given_up.push(position);
            return Assembled::Waiting;
        };
        let expected = pending.positions.len();
        if (chunk.index as usize) < expected {
            let known = pending.positions.contains(&position);
            return if known { Assembled::Waiting } else { Assembled::Duplicate };
        }
        pending.positions.push(position);
        if chunk.index as usize > expected || pending.body.len() + body.len() > total {
            given_up.extend(self.remove(chunk.uuid));
            return Assembled::Waiting;
        }
        pending.body.extend_from_slice(body);
        if !chunk.is_last() {
            return Assembled::Waiting;
        }
        match self.pending.remove(chunk.uuid) {
            Some(whole) if whole.body.len() == total => {
                Assembled::Whole(whole.body.freeze(), whole.positions)
            }
            _ => Assembled::Oversized,
        }
    }

    /// Begins a message, from the start if it was begun before, and gives up the oldest if there are too many.
    fn start(&mut self, uuid: &str, given_up: &mut Vec<Position>) {
        self.pending.remove(uuid);
        while self.pending.len() >= self.max_pending {
            let oldest = self.pending.iter().min_by_key(|(_, pending)| pending.started);
            let Some(uuid) = oldest.map(|(uuid, _)| uuid.clone()) else { break };
            given_up.extend(self.remove(&uuid));
        }
        self.started += 1;
        let pending = Pending { started: self.started, body: BytesMut::new(), positions: Vec::new() };
        self.pending.insert(uuid.to_owned(), pending);
    }

    fn remove(&mut self, uuid: &str) -> Vec<Position> {
        self.pending.remove(uuid).map(|pending| pending.positions).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(chunks: &mut Chunks, uuid: &str, index: u32, entry: i64) -> (Assembled, Vec<Position>) {
        let mut given_up = Vec::new();
        let chunk = Chunk { uuid, index, count: 3, total_size: 6 };
        let body = Bytes::from(vec![b'0' + u8::try_from(index).unwrap(); 2]);
        let assembled = chunks.add(chunk, at(entry), &body, &mut given_up);
        (assembled, given_up)
    }

    fn at(entry: i64) -> Position {
        Position::new(1, entry)
    }

    #[test]
    fn interleaved_messages_are_put_together() {
        let mut chunks = Chunks::new(2, 100);
        for (uuid, index, entry) in [("a", 0, 0), ("b", 0, 1), ("b", 1, 2), ("a", 1, 3)] {
            assert_eq!(add(&mut chunks, uuid, index, entry), (Assembled::Waiting, vec![]));
        }
        let whole = Assembled::Whole(Bytes::from_static(b"001122"), vec![at(0), at(3), at(4)]);
        assert_eq!(add(&mut chunks, "a", 2, 4), (whole, vec![]));
    }

    #[test]
    fn the_oldest_is_given_up_beyond_the_limit() {
        let mut chunks = Chunks::new(1, 100);
        add(&mut chunks, "a", 0, 0);
        assert_eq!(add(&mut chunks, "b", 0, 1), (Assembled::Waiting, vec![at(0)]));
        assert_eq!(add(&mut chunks, "a", 1, 2), (Assembled::Waiting, vec![at(2)]));
    }

    #[test]
    fn a_gap_gives_up_and_a_repetition_is_a_duplicate() {
        let mut chunks = Chunks::new(2, 100);
        add(&mut chunks, "a", 0, 0);
        add(&mut chunks, "a", 1, 1);
        assert_eq!(add(&mut chunks, "a", 1, 1), (Assembled::Waiting, vec![]));
        assert_eq!(add(&mut chunks, "a", 1, 2), (Assembled::Duplicate, vec![]));
        add(&mut chunks, "b", 0, 3);
        assert_eq!(add(&mut chunks, "b", 2, 4), (Assembled::Waiting, vec![at(3), at(4)]));
    }

    #[test]
    fn an_oversized_message_is_refused() {
        assert_eq!(add(&mut Chunks::new(2, 5), "a", 0, 0), (Assembled::Oversized, vec![]));
    }
}
