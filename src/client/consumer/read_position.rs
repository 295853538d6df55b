//! How far a partition has been read, and where it goes on.

use super::ack_state::AckState;
use super::position::Position;
use crate::protocol::message_id::MessageId;

/// Where a subscription was asked to start.
#[derive(Clone, Debug)]
pub(crate) enum Start {
    /// Wherever the broker has it: a durable subscription that was not moved.
    Broker,
    Id {
        id: MessageId,
        inclusive: bool,
    },
    /// Milliseconds since 1970, by publish time.
    Time(u64),
}

impl Start {
    /// At an id. With a message that was sent in chunks one begins at its first chunk, behind it at its last.
    pub(crate) fn at(id: MessageId, inclusive: bool) -> Self {
        let id = match id.first_chunk {
            Some(first) if inclusive => {
                MessageId { ledger: first.ledger, entry: first.entry, first_chunk: None, ..id }
            }
            _ => id,
        };
        Self::Id { id, inclusive }
    }
}

/// The reading position of one partition.
#[derive(Debug)]
pub(crate) struct ReadPosition {
    pub(crate) start: Start,
    /// The last message handed out since the start.
    pub(crate) last: Option<MessageId>,
    durable: bool,
    /// Entries published before this time are left out, up to the first that was not: the broker forgot a seek by
    /// time when it lost a subscription that is not durable.
    skip_before: Option<u64>,
}

impl ReadPosition {
    pub(crate) fn new(start: Start, durable: bool) -> Self {
        Self { start, last: None, durable, skip_before: None }
    }

    /// A seek: what was read before does not count any more.
    pub(crate) fn restart(&mut self, start: Start) {
        self.start = start;
        self.last = None;
    }

    /// A new session begins: what to tell the broker. A durable subscription knows it itself.
    pub(crate) fn resume(&mut self) -> Option<MessageId> {
        if self.durable {
            return None;
        }
        self.skip_before = match self.start {
            Start::Time(time) if self.last.is_none() => Some(time),
            _ => None,
        };
        Some(self.last.unwrap_or(match self.start {
            Start::Id { id, .. } => id,
            Start::Broker | Start::Time(_) => MessageId::EARLIEST,
        }))
    }

    /// Whether a new session begins where this one did. Not at the end of a topic: its end moves on.
    pub(crate) fn is_fixed(&self) -> bool {
        let at_the_end = matches!(self.start, Start::Id { id, .. } if id == MessageId::LATEST);
        self.durable || self.last.is_some() || !at_the_end
    }

    /// Acknowledges, in the entry's state only, what is before the position asked for: the broker delivers whole
    /// entries, and begins with the one in which the position is.
    pub(crate) fn leave_out(&mut self, state: &AckState, publish_time: u64) {
        self.skip_before = self.skip_before.filter(|time| publish_time < *time);
        if self.skip_before.is_some() {
            state.acknowledge_all();
            return;
        }
        let (id, inclusive) = match (&self.last, &self.start) {
            (Some(last), _) if !self.durable => (last, false),
            (_, Start::Id { id, inclusive }) if *id != MessageId::EARLIEST && *id != MessageId::LATEST => {
                (id, *inclusive)
            }
            _ => return,
        };
        let asked = Position::new(id.ledger, id.entry.cast_signed());
        if state.position() != asked {
            if !self.durable && state.position() < asked {
                state.acknowledge_all();
            }
            return;
        }
        match (u32::try_from(id.batch_index), inclusive) {
            (Ok(index), false) if state.batch_size() > 0 => drop(state.acknowledge_up_to(index)),
            (Ok(index), true) if state.batch_size() > 0 => {
                if let Some(before) = index.checked_sub(1) {
                    state.acknowledge_up_to(before);
                }
            }
            (_, false) => drop(state.acknowledge_all()),
            (_, true) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::message_id::ChunkId;

    fn id(entry: u64, batch_index: i32) -> MessageId {
        MessageId { batch_index, ..MessageId::new(1, entry) }
    }

    fn left(position: &mut ReadPosition, entry: i64, size: u32) -> Vec<u32> {
        let state = AckState::batch(Position::new(1, entry), size);
        position.leave_out(&state, 0);
        (0..size).filter(|index| !state.is_acknowledged(*index)).collect()
    }

    #[test]
    fn a_reader_goes_on_inside_the_batch() {
        let mut position = ReadPosition::new(Start::at(MessageId::EARLIEST, false), false);
        assert_eq!(left(&mut position, 0, 2), [0, 1]);
        position.last = Some(id(5, 1));
        assert_eq!(position.resume(), Some(id(5, 1)));
        assert!(left(&mut position, 4, 3).is_empty());
        assert_eq!(left(&mut position, 5, 4), [2, 3]);
        assert_eq!(left(&mut position, 6, 2), [0, 1]);
    }

    #[test]
    fn a_start_by_time_holds_until_something_was_read() {
        let mut position = ReadPosition::new(Start::Time(100), false);
        for _ in 0..2 {
            assert_eq!(position.resume(), Some(MessageId::EARLIEST));
            let left = |position: &mut ReadPosition, time| {
                let state = AckState::single(Position::new(1, 1));
                position.leave_out(&state, time);
                state.remaining() == 1
            };
            assert!(!left(&mut position, 99));
            assert!(left(&mut position, 100));
            assert!(left(&mut position, 99), "clocks differ: what follows is wanted whatever its time");
        }
    }

    #[test]
    fn a_start_may_include_its_message() {
        for (inclusive, expected) in [(true, vec![1, 2]), (false, vec![2])] {
            let mut position = ReadPosition::new(Start::at(id(5, 1), inclusive), false);
            assert_eq!(left(&mut position, 5, 3), expected);
        }
        let mut position = ReadPosition::new(Start::at(id(5, 0), true), false);
        assert_eq!(left(&mut position, 5, 2), [0, 1]);
    }

    #[test]
    fn a_durable_subscription_is_filtered_in_the_entry_sought_only() {
        let mut position = ReadPosition::new(Start::at(id(5, 1), false), true);
        assert_eq!(left(&mut position, 4, 2), [0, 1]);
        assert_eq!(left(&mut position, 5, 3), [2]);
        assert_eq!(position.resume(), None);
    }

    #[test]
    fn with_a_chunked_message_one_begins_at_its_first_chunk() {
        let chunked =
            MessageId { first_chunk: Some(ChunkId { ledger: 1, entry: 3 }), ..MessageId::new(1, 5) };
        for (inclusive, entry) in [(true, 3), (false, 5)] {
            let mut position = ReadPosition::new(Start::at(chunked, inclusive), false);
            assert_eq!(position.resume().unwrap().entry, entry);
        }
    }
}
