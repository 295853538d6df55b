//! The entries of one topic, in order.

use std::collections::VecDeque;
use std::sync::Arc;

use super::compaction::Compacted;
use super::stats::LedgerStats;
use crate::broker::entry::Entry;
use crate::broker::position::Position;

/// Ledgers of contiguous entries; only the last takes more. Trimmed at the front.
#[derive(Debug)]
pub struct Log {
    ledgers: VecDeque<Ledger>,
    bytes: usize,
    compacted: Option<Compacted>,
}

#[derive(Debug)]
struct Ledger {
    id: u64,
    /// The number of the first entry that is still there.
    first: u64,
    entries: VecDeque<Arc<Entry>>,
    /// Of the entries that are still there.
    bytes: usize,
}

impl Ledger {
    fn new(id: u64) -> Self {
        Self { id, first: 0, entries: VecDeque::new(), bytes: 0 }
    }

    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn get(&self, entry: u64) -> Option<&Arc<Entry>> {
        self.entries.get(usize::try_from(entry.checked_sub(self.first)?).ok()?)
    }
}

impl Log {
    /// An empty log whose first ledger has this id.
    pub fn new(ledger: u64) -> Self {
        Self { ledgers: VecDeque::from([Ledger::new(ledger)]), bytes: 0, compacted: None }
    }

    /// A log as it was stored: entries in order, and the ledger that took them last.
    pub fn of(entries: Vec<Arc<Entry>>, last_ledger: u64) -> Self {
        let mut log = Self { ledgers: VecDeque::new(), bytes: 0, compacted: None };
        for entry in entries {
            let position = entry.position;
            if log.ledgers.back().is_none_or(|ledger| ledger.id < position.ledger) {
                log.ledgers.push_back(Ledger { first: position.entry, ..Ledger::new(position.ledger) });
            }
            log.append(entry);
        }
        if log.ledgers.back().is_none_or(|ledger| ledger.id < last_ledger) {
            log.roll(last_ledger);
        }
        log
    }

    /// Where the next entry goes.
    pub fn next_position(&self) -> Position {
        self.ledgers.back().map_or(Position::new(0, 0), |ledger| Position::new(ledger.id, ledger.next()))
    }

    /// Appends an entry that was made for `next_position`.
    pub fn append(&mut self, entry: Arc<Entry>) {
        debug_assert_eq!(entry.position, self.next_position());
        self.bytes += entry.bytes.len();
        if let Some(ledger) = self.ledgers.back_mut() {
            ledger.bytes += entry.bytes.len();
            ledger.entries.push_back(entry);
        }
    }

    /// Later entries go to a new ledger, as after a restart or an unload.
    pub fn roll(&mut self, ledger: u64) {
        self.ledgers.push_back(Ledger::new(ledger));
    }

    /// The first place in the ledger that takes entries.
    pub fn open_ledger(&self) -> Position {
        self.ledgers.back().map_or(Position::new(0, 0), |ledger| Position::new(ledger.id, 0))
    }

    pub fn has_closed_ledgers(&self) -> bool {
        self.ledgers.len() > 1
    }

    /// How many entries the ledger that takes entries ever had, and the bytes of those that are still there.
    pub fn open_ledger_size(&self) -> (usize, usize) {
        let size = |ledger: &Ledger| (usize::try_from(ledger.next()).unwrap_or(usize::MAX), ledger.bytes);
        self.ledgers.back().map(size).unwrap_or_default()
    }

    pub fn ledgers(&self) -> impl Iterator<Item = LedgerStats> {
        let stats = |ledger: &Ledger| LedgerStats {
            id: ledger.id,
            entries: ledger.next(),
            size: ledger.bytes as u64,
        };
        self.ledgers.iter().map(stats)
    }

    pub fn get(&self, position: Position) -> Option<&Arc<Entry>> {
        self.ledger(position.ledger)?.get(position.entry)
    }

    /// The entries at or behind a position, in order.
    pub fn from(&self, position: Position) -> impl Iterator<Item = &Arc<Entry>> {
        let start = self.ledgers.partition_point(|ledger| ledger.id < position.ledger);
        self.ledgers.iter().skip(start).flat_map(move |ledger| {
            let skipped =
                if ledger.id == position.ledger { position.entry.saturating_sub(ledger.first) } else { 0 };
            ledger.entries.range(usize::try_from(skipped).unwrap_or(usize::MAX).min(ledger.entries.len())..)
        })
    }

    /// The place of the first entry, or of the first to come.
    pub fn start(&self) -> Position {
        self.first().map_or_else(|| self.next_position(), |entry| entry.position)
    }

    pub fn first(&self) -> Option<&Arc<Entry>> {
        self.ledgers.iter().find_map(|ledger| ledger.entries.front())
    }

    pub fn last(&self) -> Option<&Arc<Entry>> {
        self.ledgers.iter().rev().find_map(|ledger| ledger.entries.back())
    }

    /// How many entries lie at or behind a position.
    pub fn count_from(&self, position: Position) -> u64 {
        let start = self.ledgers.partition_point(|ledger| ledger.id < position.ledger);
        let count = |ledger: &Ledger| {
            let skipped =
                if ledger.id == position.ledger { position.entry.saturating_sub(ledger.first) } else { 0 };
            (ledger.entries.len() as u64).saturating_sub(skipped)
        };
        self.ledgers.iter().skip(start).map(count).sum()
    }

    pub fn len(&self) -> usize {
        self.ledgers.iter().map(|ledger| ledger.entries.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.first().is_none()
    }

    /// Bytes of all entries.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Forgets everything before a position; returns what was freed. The ledger that takes entries stays.
    pub fn trim_before(&mut self, position: Position) -> Vec<Arc<Entry>> {
        let mut freed = Vec::new();
        while let Some(ledger) = self.ledgers.front_mut() {
            while ledger.entries.front().is_some_and(|entry| entry.position < position) {
                let Some(entry) = ledger.entries.pop_front() else { break };
                ledger.first += 1;
                ledger.bytes -= entry.bytes.len();
                freed.push(entry);
            }
            if !ledger.entries.is_empty() || self.ledgers.len() == 1 {
                break;
            }
            self.ledgers.pop_front();
        }
        self.bytes -= freed.iter().map(|entry| entry.bytes.len()).sum::<usize>();
        freed
    }

    /// The entries at or behind a position as compaction left them, and behind its horizon all.
    pub fn from_compacted(&self, position: Position) -> impl Iterator<Item = &Arc<Entry>> {
        let compacted = self.compacted.as_ref().map_or(&[][..], |compacted| &compacted.entries[..]);
        let start = compacted.partition_point(|entry| entry.position < position);
        let horizon = self.horizon().unwrap_or(position);
        compacted.iter().skip(start).chain(self.from(position.max(horizon)))
    }

    pub fn first_compacted(&self) -> Option<&Arc<Entry>> {
        self.from_compacted(Position::new(0, 0)).next()
    }

    /// All that the next compaction reads.
    pub fn to_compact(&self) -> Vec<Arc<Entry>> {
        self.from_compacted(Position::new(0, 0)).cloned().collect()
    }

    /// The first entry that compaction has not seen, once it ran.
    pub fn horizon(&self) -> Option<Position> {
        self.compacted.as_ref().map(|compacted| compacted.horizon)
    }

    /// Replaces the compacted view; returns the one before.
    pub(super) fn set_compacted(&mut self, compacted: Compacted) -> Option<Compacted> {
        self.compacted.replace(compacted)
    }

    fn ledger(&self, id: u64) -> Option<&Ledger> {
        let index = self.ledgers.partition_point(|ledger| ledger.id < id);
        self.ledgers.get(index).filter(|ledger| ledger.id == id)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::broker::entry::Facts;

    fn filled(ledgers: &[(u64, u64)]) -> Log {
        let mut log = Log::new(ledgers[0].0);
        for (index, (ledger, count)) in ledgers.iter().enumerate() {
            if index > 0 {
                log.roll(*ledger);
            }
            for _ in 0..*count {
                let position = log.next_position();
                let bytes = Bytes::from_static(b"ten bytes.");
                log.append(Arc::new(Entry {
                    position,
                    stored_at: 0,
                    bytes,
                    checksum: 0,
                    facts: Facts::default(),
                }));
            }
        }
        log
    }

    fn positions<'a>(entries: impl Iterator<Item = &'a Arc<Entry>>) -> Vec<(u64, u64)> {
        entries.map(|entry| (entry.position.ledger, entry.position.entry)).collect()
    }

    #[test]
    fn entries_follow_each_other_over_ledgers() {
        let log = filled(&[(3, 2), (7, 0), (9, 2)]);
        assert_eq!(positions(log.from(Position::new(0, 0))), [(3, 0), (3, 1), (9, 0), (9, 1)]);
        assert_eq!(positions(log.from(Position::new(3, 1))), [(3, 1), (9, 0), (9, 1)]);
        assert_eq!(positions(log.from(Position::new(5, 4))), [(9, 0), (9, 1)]);
        assert_eq!(positions(log.from(Position::new(9, 7))), []);
        assert_eq!(log.count_from(Position::new(3, 1)), 3);
        assert_eq!((log.len(), log.bytes()), (4, 40));
        assert_eq!(log.next_position(), Position::new(9, 2));
    }

    #[test]
    fn trimming_forgets_the_front_and_keeps_the_numbers() {
        let mut log = filled(&[(3, 2), (9, 3)]);
        assert_eq!(log.trim_before(Position::new(9, 1)).len(), 3);
        assert_eq!(log.first().map(|entry| entry.position), Some(Position::new(9, 1)));
        assert!(log.get(Position::new(3, 1)).is_none());
        assert_eq!(log.trim_before(Position::new(9, 9)).len(), 2);
        assert!(log.is_empty());
        assert_eq!((log.next_position(), log.bytes()), (Position::new(9, 3), 0));
    }
}
