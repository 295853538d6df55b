//! Deduplication: the sequence ids that were stored, by producer name.

use std::collections::HashMap;

use crate::broker::entry::Facts;

/// The highest sequence ids of each producer name, taken and stored.
#[derive(Debug, Default)]
pub(super) struct Deduplication {
    /// Off: it decides nothing and knows nothing.
    enabled: bool,
    taken: HashMap<String, u64>,
}

impl Deduplication {
    pub(super) fn enable(&mut self, enabled: bool) {
        if self.enabled && !enabled {
            self.taken.clear();
        }
        self.enabled = enabled;
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether the entry was taken before. If it was not, it is now.
    ///
    /// The chunks of a message share its sequence id: the last one decides.
    pub(super) fn is_duplicate(&mut self, facts: &Facts, last_chunk: bool) -> bool {
        if !self.enabled || (facts.is_chunk && !last_chunk) {
            return false;
        }
        match self.taken.get_mut(&facts.producer) {
            Some(taken) if facts.sequence_id <= *taken => return true,
            Some(taken) => *taken = facts.highest_sequence_id,
            None => {
                self.taken.insert(facts.producer.clone(), facts.highest_sequence_id);
            }
        }
        false
    }

    /// A sequence id that was stored before the start.
    pub(super) fn recover(&mut self, producer: &str, sequence_id: u64) {
        if self.enabled {
            let taken = self.taken.entry(producer.to_owned()).or_default();
            *taken = (*taken).max(sequence_id);
        }
    }

    /// The last sequence id of a producer name, or -1.
    pub(super) fn last_sequence_id(&self, producer: &str) -> i64 {
        self.taken.get(producer).and_then(|taken| i64::try_from(*taken).ok()).unwrap_or(-1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(producer: &str, sequence_id: u64, highest_sequence_id: u64) -> Facts {
        Facts { producer: producer.into(), sequence_id, highest_sequence_id, ..Facts::default() }
    }

    #[test]
    fn a_sequence_id_is_taken_once_for_each_name() {
        let mut dedup = Deduplication::default();
        dedup.enable(true);
        assert!(!dedup.is_duplicate(&facts("a", 0, 0), false));
        assert!(dedup.is_duplicate(&facts("a", 0, 0), false));
        assert!(!dedup.is_duplicate(&facts("b", 0, 0), false));
        assert!(!dedup.is_duplicate(&facts("a", 1, 9), false));
        assert!(dedup.is_duplicate(&facts("a", 9, 9), false));
        assert_eq!((dedup.last_sequence_id("a"), dedup.last_sequence_id("c")), (9, -1));
    }

    #[test]
    fn the_last_chunk_decides_for_all() {
        let mut dedup = Deduplication::default();
        dedup.enable(true);
        let chunk = Facts { is_chunk: true, ..facts("a", 5, 5) };
        assert!(!dedup.is_duplicate(&chunk, false));
        assert!(!dedup.is_duplicate(&chunk, true));
        assert!(dedup.is_duplicate(&chunk, true));
    }

    #[test]
    fn off_it_forgets() {
        let mut dedup = Deduplication::default();
        dedup.enable(true);
        dedup.is_duplicate(&facts("a", 5, 5), false);
        dedup.enable(false);
        assert!(!dedup.is_duplicate(&facts("a", 5, 5), false));
        assert_eq!(dedup.last_sequence_id("a"), -1);
    }
}
