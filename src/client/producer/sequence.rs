//! Sequence ids: by them the broker tells a message that it has stored already.

/// The ids of one partition.
#[derive(Debug)]
pub(super) struct Sequence {
    next: u64,
}

impl Sequence {
    /// Continues after `last`, which is -1 if nothing was ever stored.
    pub(super) fn after(last: i64) -> Self {
        Self { next: u64::try_from(last.saturating_add(1)).unwrap_or_default() }
    }

    /// The given id, or the next one.
    pub(super) fn take(&mut self, given: Option<u64>) -> u64 {
        let id = given.unwrap_or(self.next);
        self.next = self.next.max(id.saturating_add(1));
        id
    }

    /// Whether this id was used before.
    pub(super) fn is_repeated(&self, given: Option<u64>) -> bool {
        given.is_some_and(|given| given < self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_continue_and_given_ones_are_kept() {
        let mut sequence = Sequence::after(-1);
        assert_eq!([sequence.take(None), sequence.take(None)], [0, 1]);
        assert_eq!(sequence.take(Some(10)), 10);
        assert_eq!(sequence.take(Some(5)), 5, "a repetition, for the broker to drop");
        assert!(
            sequence.is_repeated(Some(10)) && !sequence.is_repeated(Some(11)) && !sequence.is_repeated(None)
        );
        assert_eq!(sequence.take(None), 11);
        assert_eq!(Sequence::after(41).take(None), 42);
    }
}
