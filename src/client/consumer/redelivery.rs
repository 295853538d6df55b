//! Which entries to ask for again, and when: negative acknowledgements and the ack timeout.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use super::position::Position;
use crate::client::options::{ConsumerOptions, DelayOptions};

/// The entries of one partition that wait for redelivery. Batches are redelivered as a whole, as the broker has it;
/// what is acknowledged of them is not handed out again.
pub(crate) struct Redelivery {
    negative_ack_delay: DelayOptions,
    ack_timeout: Option<DelayOptions>,
    negative: Deadlines,
    timeouts: Deadlines,
}

/// Entries to ask for again.
pub(crate) struct Due {
    pub(crate) positions: Vec<Position>,
    /// How many of them because they were not acknowledged in time.
    pub(crate) timed_out: usize,
}

impl Redelivery {
    pub(crate) fn new(options: &ConsumerOptions) -> Self {
        let constant =
            DelayOptions { initial: options.ack_timeout, max: options.ack_timeout, multiplier: 1.0 };
        let ack_timeout = (!options.ack_timeout.is_zero()).then(|| {
            options
                .ack_timeout_backoff
                .map_or(constant, |b| DelayOptions { initial: options.ack_timeout, ..b })
        });
        Self {
            negative_ack_delay: options.negative_ack_delay,
            ack_timeout,
            negative: Deadlines::default(),
            timeouts: Deadlines::default(),
        }
    }

    /// Schedules the entry's redelivery; an earlier time already set is kept.
    pub(crate) fn negative_acknowledge(&mut self, position: Position, redelivery_count: u32, now: Instant) {
        self.negative_acknowledge_in(position, delay(self.negative_ack_delay, redelivery_count), now);
    }

    /// The same after a delay of the caller's choice.
    pub(crate) fn negative_acknowledge_in(&mut self, position: Position, delay: Duration, now: Instant) {
        self.timeouts.remove(position);
        if !self.negative.contains(position) {
            self.negative.set(position, now + delay);
        }
    }

    /// A message of the entry was handed out: its time to be acknowledged starts.
    pub(crate) fn handed_over(&mut self, position: Position, redelivery_count: u32, now: Instant) {
        if let Some(timeout) = self.ack_timeout {
            self.timeouts.set(position, now + delay(timeout, redelivery_count));
        }
    }

    pub(crate) fn acknowledged(&mut self, position: Position) {
        self.negative.remove(position);
        self.timeouts.remove(position);
    }

    pub(crate) fn acknowledged_up_to(&mut self, position: Position) {
        self.negative.remove_up_to(position);
        self.timeouts.remove_up_to(position);
    }

    /// When the next entry is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        [self.negative.next(), self.timeouts.next()].into_iter().flatten().min()
    }

    /// Takes what is due.
    pub(crate) fn due(&mut self, now: Instant) -> Due {
        let mut positions = self.timeouts.due(now);
        let timed_out = positions.len();
        positions.extend(self.negative.due(now));
        positions.sort_unstable();
        positions.dedup();
        for position in &positions {
            self.acknowledged(*position);
        }
        Due { positions, timed_out }
    }

    pub(crate) fn clear(&mut self) {
        self.negative = Deadlines::default();
        self.timeouts = Deadlines::default();
    }
}

/// `initial * multiplier ^ attempts`, at most `max`.
fn delay(options: DelayOptions, attempts: u32) -> Duration {
    if options.initial.is_zero() {
        return Duration::ZERO;
    }
    let exponent = i32::try_from(attempts).unwrap_or(i32::MAX);
    let seconds = options.initial.as_secs_f64() * options.multiplier.powi(exponent);
    Duration::try_from_secs_f64(seconds).map_or(options.max, |d| d.min(options.max.max(options.initial)))
}

/// Entries and when each is due.
#[derive(Default)]
struct Deadlines {
    ordered: BTreeSet<(Instant, Position)>,
    by_position: HashMap<Position, Instant>,
}

impl Deadlines {
    fn contains(&self, position: Position) -> bool {
        self.by_position.contains_key(&position)
    }

    fn set(&mut self, position: Position, at: Instant) {
        if let Some(before) = self.by_position.insert(position, at) {
            self.ordered.remove(&(before, position));
        }
        self.ordered.insert((at, position));
    }

    fn remove(&mut self, position: Position) {
        if let Some(at) = self.by_position.remove(&position) {
            self.ordered.remove(&(at, position));
        }
    }

    fn remove_up_to(&mut self, last: Position) {
        self.ordered.retain(|(_, position)| *position > last);
        self.by_position.retain(|position, _| *position > last);
    }

    fn next(&self) -> Option<Instant> {
        self.ordered.first().map(|(at, _)| *at)
    }

    fn due(&mut self, now: Instant) -> Vec<Position> {
        let mut due = Vec::new();
        while let Some((at, position)) = self.ordered.first().copied().filter(|(at, _)| *at <= now) {
            self.ordered.remove(&(at, position));
            self.by_position.remove(&position);
            due.push(position);
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(entry: i64) -> Position {
        Position::new(1, entry)
    }

    fn redelivery(ack_timeout: Duration) -> Redelivery {
        Redelivery::new(&ConsumerOptions { ack_timeout, ..ConsumerOptions::default() })
    }

    #[test]
    fn the_delay_doubles_to_its_limit() {
        let options = ConsumerOptions::default().negative_ack_delay;
        assert_eq!(delay(options, 0), SECOND);
        assert_eq!(delay(options, 3), 8 * SECOND);
        assert_eq!(delay(options, 20), 60 * SECOND);
        assert_eq!(delay(options, u32::MAX), 60 * SECOND);
        assert_eq!(delay(DelayOptions { initial: Duration::ZERO, ..options }, 5), Duration::ZERO);
    }

    #[test]
    fn negative_acknowledgements_come_due_by_count() {
        let now = Instant::now();
        let mut redelivery = redelivery(Duration::ZERO);
        redelivery.negative_acknowledge(at(1), 2, now);
        redelivery.negative_acknowledge(at(2), 0, now);
        redelivery.negative_acknowledge(at(2), 0, now + SECOND);
        assert_eq!(redelivery.next(), Some(now + SECOND));
        assert_eq!(redelivery.due(now).positions, []);
        assert_eq!(redelivery.due(now + SECOND).positions, [at(2)]);
        assert_eq!(redelivery.due(now + 9 * SECOND).positions, [at(1)]);
        assert_eq!(redelivery.next(), None);
    }

    #[test]
    fn a_delay_of_the_callers_choice_counts_no_deliveries() {
        let mut redelivery = redelivery(Duration::ZERO);
        let now = Instant::now();
        redelivery.negative_acknowledge_in(at(1), 5 * SECOND, now);
        assert_eq!(redelivery.next(), Some(now + 5 * SECOND));
    }

    #[test]
    fn the_ack_timeout_runs_from_the_last_hand_over() {
        let now = Instant::now();
        let mut redelivery = redelivery(10 * SECOND);
        redelivery.handed_over(at(1), 0, now);
        redelivery.handed_over(at(1), 0, now + 5 * SECOND);
        redelivery.handed_over(at(2), 0, now);
        redelivery.handed_over(at(3), 0, now);
        redelivery.acknowledged(at(2));
        assert_eq!(redelivery.due(now + 10 * SECOND).positions, [at(3)]);
        redelivery.acknowledged_up_to(at(1));
        assert_eq!(redelivery.next(), None);
    }

    #[test]
    fn without_a_timeout_nothing_is_tracked() {
        let mut redelivery = redelivery(Duration::ZERO);
        redelivery.handed_over(at(1), 0, Instant::now());
        assert_eq!(redelivery.next(), None);
    }
}
