//! Those who wait for room: first come, first served.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::completion::{Completion, SendGroup};
use super::message::Prepared;
use super::pending::Barrier;
use crate::client::MemoryTicket;

/// A place in the line. What was admitted at once has none to give up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendTicket(pub(super) u64);

impl SendTicket {
    pub(super) const ADMITTED: Self = Self(0);
}

/// Bounded by its callers: each of them waits here with one call.
#[derive(Default)]
pub(super) struct Line {
    places: VecDeque<Place>,
    last_ticket: u64,
    pub(super) memory: MemoryWait,
}

struct Place {
    ticket: u64,
    /// When it came, or last got something admitted.
    since: Instant,
    waiting: Waiting,
}

pub(super) enum Waiting {
    Message(Box<Prepared<'static>>, Completion),
    Group(WaitingGroup),
    /// A flush, which covers what stands before it in the line.
    Flush(Barrier),
}

/// The messages of a group that are not admitted yet.
pub(super) struct WaitingGroup {
    pub(super) group: Arc<SendGroup>,
    /// The place in the group of the first of them.
    pub(super) index: u32,
    /// Their payloads, one behind the other.
    pub(super) payloads: Bytes,
    /// The lengths of those payloads, in order.
    pub(super) lengths: std::vec::IntoIter<u32>,
}

/// Whether the first in line has, or waits for, client memory.
#[derive(Default)]
pub(super) enum MemoryWait {
    #[default]
    No,
    /// `round` tells a late grant from that for the present first in line.
    Waiting {
        round: u64,
        ticket: MemoryTicket,
    },
    Granted(u64),
}

/// The next message of the line, with the time since which it waits.
pub(super) struct Next {
    pub(super) message: Prepared<'static>,
    pub(super) completion: Completion,
    pub(super) since: Instant,
}

impl Line {
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn push(&mut self, waiting: Waiting, now: Instant) -> SendTicket {
        self.last_ticket += 1;
        self.places.push_back(Place { ticket: self.last_ticket, since: now, waiting });
        SendTicket(self.last_ticket)
    }

    /// The flush at the front, if it is one.
    pub(super) fn pop_flush(&mut self) -> Option<Barrier> {
        let flush = self.places.pop_front_if(|place| matches!(place.waiting, Waiting::Flush(_)))?;
        match flush.waiting {
            Waiting::Flush(barrier) => Some(barrier),
            _ => None,
        }
    }

    /// The bytes that the next message needs; `None` if there is none, or a flush.
    pub(super) fn next_bytes(&self) -> Option<u64> {
        match &self.places.front()?.waiting {
            Waiting::Message(message, _) => Some(message.payload.len() as u64),
            Waiting::Group(group) => Some(u64::from(group.lengths.as_slice().first().copied().unwrap_or(0))),
            Waiting::Flush(_) => None,
        }
    }

    /// Takes the next message out; of a group only the first, and the group waits on from `now`.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Next> {
        let front = self.places.front_mut()?;
        if let Waiting::Group(group) = &mut front.waiting {
            let completion = Completion::Slot { group: Arc::clone(&group.group), index: group.index };
            let length = group.lengths.next().unwrap_or(0) as usize;
            let payload = group.payloads.split_to(length.min(group.payloads.len()));
            group.index += 1;
            front.since = now;
            if group.lengths.len() == 0 {
                self.places.pop_front();
            }
            return Some(Next { message: Prepared::plain(payload.into()), completion, since: now });
        }
        let place = self.places.pop_front_if(|place| matches!(place.waiting, Waiting::Message(..)))?;
        match place.waiting {
            Waiting::Message(message, completion) => {
                Some(Next { message: *message, completion, since: place.since })
            }
            _ => None,
        }
    }

    /// Takes back a place; true if it still waited.
    pub(super) fn cancel(&mut self, ticket: SendTicket) -> Option<Cancelled> {
        let index = self.places.binary_search_by_key(&ticket.0, |place| place.ticket).ok()?;
        let place = self.places.remove(index)?;
        Some(Cancelled { was_first: index == 0, _waiting: place.waiting })
    }

    /// When the first in line has waited since; a flush does not count.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.places.iter().find(|place| !matches!(place.waiting, Waiting::Flush(_))).map(|place| place.since)
    }

    /// Takes out everybody who has waited since `limit` or longer.
    pub(super) fn expire(&mut self, limit: Instant) -> Vec<Waiting> {
        let mut expired = Vec::new();
        let over = |place: &mut Place| place.since <= limit && !matches!(place.waiting, Waiting::Flush(_));
        while let Some(place) = self.places.pop_front_if(over) {
            expired.push(place.waiting);
        }
        expired
    }

    pub(super) fn drain(&mut self) -> Vec<Waiting> {
        self.places.drain(..).map(|place| place.waiting).collect()
    }
}

/// A place that was given up; what waited is dropped with it.
pub(super) struct Cancelled {
    pub(super) was_first: bool,
    _waiting: Waiting,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::producer::message::OutgoingMessage;

    fn message(size: usize) -> Waiting {
        let payload = Bytes::from(vec![7; size]).into();
        let message = Prepared::new(OutgoingMessage { payload, ..Default::default() });
        Waiting::Message(Box::new(message), Completion::Ignore)
    }

    #[test]
    fn first_come_first_served_and_a_cancelled_one_is_gone() {
        let (mut line, now) = (Line::default(), Instant::now());
        let tickets: Vec<SendTicket> = (1..=3).map(|size| line.push(message(size), now)).collect();
        assert!(!line.cancel(tickets[1]).unwrap().was_first);
        assert!(line.cancel(tickets[1]).is_none());
        assert!(line.cancel(SendTicket::ADMITTED).is_none());
        assert_eq!(line.next_bytes(), Some(1));
        assert_eq!(line.pop(now).unwrap().message.payload.len(), 1);
        assert!(line.cancel(tickets[0]).is_none());
        assert_eq!(line.pop(now).unwrap().message.payload.len(), 3);
        assert!(line.is_empty() && line.pop(now).is_none());
    }

    #[test]
    fn a_group_leaves_message_by_message() {
        let (mut line, now) = (Line::default(), Instant::now());
        let group = SendGroup::new(3, |_| {});
        let payloads = Bytes::from_static(b"aabbb");
        line.push(
            Waiting::Group(WaitingGroup { group, index: 1, payloads, lengths: vec![2, 3].into_iter() }),
            now,
        );
        for (bytes, expected, index) in [(2, b"aa".as_slice(), 1), (3, b"bbb", 2)] {
            assert_eq!(line.next_bytes(), Some(bytes));
            let next = line.pop(now).unwrap();
            assert_eq!(next.message.payload.as_slice(), expected);
            assert!(matches!(next.completion, Completion::Slot { index: i, .. } if i == index));
        }
        assert!(line.is_empty());
    }

    #[test]
    fn a_flush_neither_expires_nor_pops_as_a_message() {
        let (mut line, now) = (Line::default(), Instant::now());
        let (sender, _receiver) = tokio::sync::oneshot::channel();
        line.push(message(1), now);
        line.push(Waiting::Flush(Arc::new(sender)), now);
        assert!(line.pop_flush().is_none());
        assert_eq!(line.expire(now).len(), 1);
        assert!(line.oldest().is_none() && line.next_bytes().is_none() && line.pop(now).is_none());
        assert!(line.pop_flush().is_some());
    }
}
