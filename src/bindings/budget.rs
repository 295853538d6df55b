//! Fairness: awaits that complete at once would starve the event loop, so from time to time one yields to it.

use std::cell::Cell;
use std::time::{Duration, Instant};

const MOST_COMPLETIONS: u32 = 128;
const LONGEST_RUN: Duration = Duration::from_millis(2);

thread_local! {
    /// Since the loop of this thread last ran, as far as is known here: when, and what completed at once.
    static RUN: Cell<Option<(Instant, u32)>> = const { Cell::new(None) };
}

/// Whether it is the loop's turn before anything else completes at once.
pub(super) fn is_spent() -> bool {
    RUN.get()
        .is_some_and(|(since, completions)| completions >= MOST_COMPLETIONS || since.elapsed() > LONGEST_RUN)
}

/// An operation completed at once.
pub(super) fn spend() {
    let (since, completions) = RUN.get().unwrap_or_else(|| (Instant::now(), 0));
    RUN.set(Some((since, completions + 1)));
}

/// The loop has run: an operation resumed.
pub(super) fn renew() {
    RUN.set(Some((Instant::now(), 0)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_129th_completion_in_a_row_yields() {
        renew();
        for _ in 0..128 {
            assert!(!is_spent());
            spend();
        }
        assert!(is_spent());
        renew();
        assert!(!is_spent());
    }

    #[test]
    fn a_long_run_yields() {
        RUN.set(Some((Instant::now().checked_sub(LONGEST_RUN * 2).unwrap(), 1)));
        assert!(is_spent());
    }
}
