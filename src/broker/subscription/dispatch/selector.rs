//! Which consumer of a `Key_Shared` subscription a hash belongs to.

use std::collections::BTreeSet;

use crate::broker::subscription::consumer::Consumer;
use crate::broker::subscription::new_consumer::NewConsumer;
use crate::broker::subscription::sticky::HashRange;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::hashing::murmur3;

/// Places that each consumer has on the ring.
const PLACES: usize = 100;

/// Consumers by their serial numbers.
pub(super) enum Selector {
    Ring(Ring),
    /// The ranges that consumers asked for; none overlaps another.
    Sticky(Vec<(HashRange, u64)>),
}

impl Selector {
    pub(super) fn ring() -> Self {
        Self::Ring(Ring::default())
    }

    pub(super) fn sticky() -> Self {
        Self::Sticky(Vec::new())
    }

    /// Whether a consumer may join.
    pub(super) fn admit(&self, new: &NewConsumer) -> Result<()> {
        let (ranges, taken) = match (self, &new.key_shared.ranges) {
            (Self::Ring(_), None) => return Ok(()),
            (Self::Sticky(taken), Some(ranges)) => (ranges, taken),
            _ => {
                let context = "the subscription's consumers have hash ranges of the other mode; \
                               subscribe with sticky ranges like them, or without";
                return Err(Error::new(ErrorKind::ConsumerBusy, context));
            }
        };
        if ranges.is_empty() {
            return Err(refused("a consumer with sticky hash ranges has to name some".into()));
        }
        for (index, range) in ranges.iter().enumerate() {
            let others = ranges.iter().take(index).chain(taken.iter().map(|(range, _)| range));
            if let Some(other) = others.copied().find(|other| range.overlaps(*other)) {
                return Err(refused(format!(
                    "hash range {}-{} overlaps {}-{}, which is taken; choose another",
                    range.start, range.end, other.start, other.end
                )));
            }
        }
        Ok(())
    }

    pub(super) fn add(&mut self, consumer: &Consumer) {
        match self {
            Self::Ring(ring) => ring.add(consumer),
            Self::Sticky(taken) => {
                let ranges = consumer.key_shared.ranges.iter().flatten();
                taken.extend(ranges.map(|range| (*range, consumer.serial)));
                taken.sort_unstable_by_key(|(range, _)| range.start);
            }
        }
    }

    pub(super) fn remove(&mut self, serial: u64) {
        match self {
            Self::Ring(ring) => ring.remove(serial),
            Self::Sticky(taken) => taken.retain(|(_, consumer)| *consumer != serial),
        }
    }

    pub(super) fn choose(&self, hash: u16) -> Option<u64> {
        match self {
            Self::Ring(ring) => ring.choose(hash),
            Self::Sticky(taken) => {
                let behind = taken.partition_point(|(range, _)| range.start <= hash);
                let (range, serial) = taken.get(behind.checked_sub(1)?)?;
                range.contains(hash).then_some(*serial)
            }
        }
    }

    /// The hashes that belong to a consumer.
    pub(super) fn ranges_of(&self, serial: u64) -> Vec<HashRange> {
        match self {
            Self::Ring(ring) => ring.ranges_of(serial),
            Self::Sticky(taken) => {
                taken.iter().filter(|(_, consumer)| *consumer == serial).map(|(range, _)| *range).collect()
            }
        }
    }
}

fn refused(context: String) -> Error {
    Error::new(ErrorKind::ConsumerAssign, context)
}

/// Consistent hashing: each consumer has many places on a ring, and a hash belongs to the first place at or behind it.
/// So a consumer that comes or goes takes or gives only what is its own.
#[derive(Default)]
pub(super) struct Ring {
    places: BTreeSet<(u16, u64)>,
    members: Vec<Member>,
}

struct Member {
    serial: u64,
    name: String,
    /// Tells consumers of the same name apart.
    number: usize,
}

impl Ring {
    fn add(&mut self, consumer: &Consumer) {
        let taken = |number: &usize| {
            self.members.iter().any(|member| member.name == consumer.name && member.number == *number)
        };
        let number = (0..=self.members.len()).find(|number| !taken(number)).unwrap_or_default();
        for place in 0..PLACES {
            let place = hash(format!("{}/{number}/{place}", consumer.name).as_bytes());
            self.places.insert((place, consumer.serial));
        }
        self.members.push(Member { serial: consumer.serial, name: consumer.name.clone(), number });
    }

    fn remove(&mut self, serial: u64) {
        self.places.retain(|(_, consumer)| *consumer != serial);
        self.members.retain(|member| member.serial != serial);
    }

    fn choose(&self, hash: u16) -> Option<u64> {
        let behind = self.places.range((hash, 0)..).next();
        behind.or_else(|| self.places.first()).map(|(_, serial)| *serial)
    }

    fn ranges_of(&self, serial: u64) -> Vec<HashRange> {
        let mut ranges = Vec::new();
        let mut next = 0_u32;
        for (place, owner) in &self.places {
            if u32::from(*place) < next {
                continue; // a later consumer at the same place
            }
            if let (true, Ok(start)) = (*owner == serial, u16::try_from(next)) {
                ranges.push(HashRange { start, end: *place });
            }
            next = u32::from(*place) + 1;
        }
        if let (Ok(start), true) = (u16::try_from(next), self.choose(0) == Some(serial)) {
            ranges.push(HashRange { start, end: u16::MAX });
        }
        ranges
    }
}

/// The hash of a key: its low 16 bits are what Pulsar's remainder by 65,536 leaves.
#[allow(clippy::cast_possible_truncation, reason = "the low half is wanted")]
pub(super) fn hash(key: &[u8]) -> u16 {
    murmur3(key) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::subscription::test_support::{Client, subscribe};
    use crate::protocol::proto::SubscriptionType;

    fn consumer(serial: u64, name: &str) -> Consumer {
        let new = NewConsumer { name: name.into(), ..subscribe(serial, SubscriptionType::KeyShared) };
        Consumer::new(serial, new, Client::new(1), 0)
    }

    fn owners(ring: &Ring) -> Vec<u64> {
        (0..=u16::MAX).map(|hash| ring.choose(hash).unwrap()).collect()
    }

    #[test]
    fn a_consumer_that_comes_or_goes_moves_only_its_own_hashes() {
        let mut ring = Ring::default();
        assert_eq!(ring.choose(7), None);
        for (serial, name) in [(0, "a"), (1, "b"), (2, "c")] {
            ring.add(&consumer(serial, name));
        }
        let before = owners(&ring);
        for serial in 0..3 {
            let share = before.iter().filter(|owner| **owner == serial).count();
            assert!(share > 10_000, "{share} of 65536");
        }
        ring.remove(1);
        let without = owners(&ring);
        assert!(before.iter().zip(&without).all(|(before, after)| *before == 1 || before == after));
        ring.add(&consumer(3, "b"));
        let back: Vec<u64> = before.iter().map(|owner| if *owner == 1 { 3 } else { *owner }).collect();
        assert_eq!(owners(&ring), back, "the same name has the same places");
    }

    #[test]
    fn consumers_of_one_name_share() {
        let mut ring = Ring::default();
        ring.add(&consumer(0, "a"));
        ring.add(&consumer(1, "a"));
        ring.remove(0);
        ring.add(&consumer(2, "a"));
        let owners = owners(&ring);
        assert!([1, 2].iter().all(|serial| owners.contains(serial)));
    }

    #[test]
    fn the_ranges_of_all_consumers_are_all_hashes() {
        let mut ring = Ring::default();
        for (serial, name) in [(0, "a"), (1, "b"), (2, "a")] {
            ring.add(&consumer(serial, name));
        }
        for serial in 0..3 {
            let ranges = ring.ranges_of(serial);
            for hash in 0..=u16::MAX {
                let within = ranges.iter().any(|range| range.contains(hash));
                assert_eq!(within, ring.choose(hash) == Some(serial), "{hash} of {serial}");
            }
        }
    }
}
