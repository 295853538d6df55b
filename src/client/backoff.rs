//! How long to wait before trying again: doubling, capped, and never the same for two clients.

use std::time::{Duration, Instant};

/// A connection that lives at least this long, and at least as long as the last delay, counts as good: the next failure
/// starts from the smallest delay. A broker that accepts and then closes at once does not reset the backoff.
const STABLE: Duration = Duration::from_secs(1);

/// The delays of one thing that is tried again and again.
#[derive(Clone, Debug)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    /// The next delay, before jitter.
    next: Duration,
    /// When the last attempt succeeded, if it did.
    succeeded_at: Option<Instant>,
    random: fastrand::Rng,
}

impl Backoff {
    /// From `initial`, doubling up to `max`; `random` decides the jitter.
    pub fn new(initial: Duration, max: Duration, random: fastrand::Rng) -> Self {
        let initial = initial.max(Duration::from_millis(1));
        Self { initial, max: max.max(initial), next: initial, succeeded_at: None, random }
    }

    /// The attempt succeeded. Whether that lasts is seen at the next failure.
    pub fn succeeded(&mut self, now: Instant) {
        self.succeeded_at = Some(now);
    }

    /// How long to wait now: between half the present delay and all of it.
    pub fn delay(&mut self, now: Instant) -> Duration {
        if let Some(since) = self.succeeded_at.take()
            && now.saturating_duration_since(since) >= self.next.max(STABLE)
        {
            self.next = self.initial;
        }
        let delay = self.next.mul_f64(0.5 + self.random.f64() / 2.0);
        self.next = (self.next * 2).min(self.max);
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INITIAL: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(30);

    fn backoff(seed: u64) -> Backoff {
        Backoff::new(INITIAL, MAX, fastrand::Rng::with_seed(seed))
    }

    #[test]
    fn delays_double_up_to_the_cap_with_jitter() {
        let (mut backoff, now) = (backoff(1), Instant::now());
        let mut base = INITIAL;
        for _ in 0..100 {
            let delay = backoff.delay(now);
            assert!(delay >= base / 2 && delay <= base, "{delay:?} of {base:?}");
            base = (base * 2).min(MAX);
        }
    }

    #[test]
    fn a_seed_repeats_the_delays() {
        let delays = |seed| {
            let mut backoff = backoff(seed);
            (0..10).map(|_| backoff.delay(Instant::now())).collect::<Vec<_>>()
        };
        assert_eq!(delays(7), delays(7));
        assert_ne!(delays(7), delays(8));
    }

    #[test]
    fn only_a_lasting_success_starts_over() {
        let (mut backoff, mut now) = (backoff(1), Instant::now());
        for _ in 0..5 {
            backoff.delay(now);
            backoff.succeeded(now);
            now += Duration::from_millis(10);
        }
        assert!(backoff.delay(now) > INITIAL * 8, "short successes keep the delay growing");
        backoff.succeeded(now);
        now += Duration::from_mins(1);
        assert!(backoff.delay(now) <= INITIAL);
    }
}
