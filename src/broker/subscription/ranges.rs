//! A set of positions, kept as ranges: what was acknowledged out of order.

use std::collections::BTreeMap;

use crate::broker::position::Position;

/// Ranges of entries, none of which touches another; each lies in one ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    /// From the first position of a range to the number of the entry behind its last.
    ends: BTreeMap<Position, u64>,
    /// How many positions there are.
    count: u64,
}

impl Ranges {
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// How many positions are in the set.
    pub fn count(&self) -> u64 {
        self.count
    }

    pub fn contains(&self, position: Position) -> bool {
        self.end_of(position).is_some()
    }

    /// The place right behind the range that a position is in.
    pub fn end_of(&self, position: Position) -> Option<Position> {
        let (start, end) = self.ends.range(..=position).next_back()?;
        (start.ledger == position.ledger && position.entry < *end)
            .then_some(Position::new(position.ledger, *end))
    }

    /// Whether the position is new to the set.
    pub fn insert(&mut self, position: Position) -> bool {
        if self.contains(position) {
            return false;
        }
        let before = self.ends.range(..position).next_back();
        let start = before
            .filter(|(start, end)| start.ledger == position.ledger && **end == position.entry)
            .map_or(position, |(start, _)| *start);
        let behind = position.next();
        let end = self.ends.remove(&behind).unwrap_or(behind.entry);
        self.ends.insert(start, end);
        self.count += 1;
        true
    }

    /// Removes everything before a position.
    pub fn remove_before(&mut self, position: Position) {
        while let Some((&start, &end)) = self.ends.first_key_value().filter(|(start, _)| **start < position) {
            self.ends.pop_first();
            let kept = if start.ledger == position.ledger { position.entry.min(end) } else { end };
            self.count -= kept - start.entry;
            if kept < end {
                self.ends.insert(position, end);
            }
        }
    }

    /// Each range: its first position, and the number of the entry behind its last.
    pub fn iter(&self) -> impl Iterator<Item = (Position, u64)> {
        self.ends.iter().map(|(start, end)| (*start, *end))
    }
}

impl FromIterator<(Position, u64)> for Ranges {
    fn from_iter<I: IntoIterator<Item = (Position, u64)>>(ranges: I) -> Self {
        let ends: BTreeMap<Position, u64> =
            ranges.into_iter().filter(|(start, end)| start.entry < *end).collect();
        let count = ends.iter().map(|(start, end)| end - start.entry).sum();
        Self { ends, count }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn neighbours_join() {
        let mut ranges = Ranges::default();
        for entry in [4, 2, 3, 7] {
            assert!(ranges.insert(Position::new(1, entry)));
        }
        assert!(!ranges.insert(Position::new(1, 3)));
        assert!(ranges.insert(Position::new(2, 5)), "another ledger joins nothing");
        let at = Position::new;
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [(at(1, 2), 5), (at(1, 7), 8), (at(2, 5), 6)]);
        assert_eq!(ranges.end_of(at(1, 3)), Some(at(1, 5)));
        assert_eq!(ranges.end_of(at(1, 5)), None);
    }

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((1_u64..4, 0_u64..20, prop::bool::weighted(0.1)), 0..200)) {
            let (mut ranges, mut model) = (Ranges::default(), BTreeSet::new());
            for (ledger, entry, cut) in steps {
                let position = Position::new(ledger, entry);
                if cut {
                    ranges.remove_before(position);
                    model = model.split_off(&position);
                } else {
                    prop_assert_eq!(ranges.insert(position), model.insert(position));
                }
                prop_assert_eq!(ranges.count(), model.len() as u64);
                for ledger in 1..4 {
                    for entry in 0..20 {
                        let position = Position::new(ledger, entry);
                        prop_assert_eq!(ranges.contains(position), model.contains(&position));
                    }
                }
            }
            prop_assert_eq!(&ranges.iter().collect::<Ranges>(), &ranges);
        }
    }
}
