//! Time as a value: real by default, and movable in tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;

/// The clock of a client with its producers and consumers, or of a broker. Clones share one time.
#[derive(Clone, Debug, Default)]
pub struct Clock(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// How far `advance` has moved the clock ahead of real time, in nanoseconds.
    ahead: AtomicU64,
    moved: Notify,
}

impl Clock {
    fn ahead(&self) -> Duration {
        Duration::from_nanos(self.0.ahead.load(Ordering::Acquire))
    }

    pub fn now(&self) -> Instant {
        Instant::now() + self.ahead()
    }

    /// Milliseconds since 1970, for publish times.
    pub fn unix_millis(&self) -> u64 {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + self.ahead();
        u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
    }

    /// Moves the clock forward at once; whoever sleeps past the new time wakes.
    pub fn advance(&self, by: Duration) {
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.0.ahead.fetch_add(nanos, Ordering::AcqRel);
        self.0.moved.notify_waiters();
    }

    /// Returns when this clock shows `deadline`.
    pub async fn sleep_until(&self, deadline: Instant) {
        loop {
            let moved = self.0.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            let Some(remaining) = deadline.checked_duration_since(self.now()).filter(|d| !d.is_zero()) else {
                return;
            };
            tokio::select! {
                () = tokio::time::sleep(remaining) => {}
                () = moved => {}
            }
        }
    }

    pub async fn sleep(&self, duration: Duration) {
        self.sleep_until(self.now() + duration).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn advancing_wakes_a_sleeper() {
        let clock = Clock::default();
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_hours(1)).await }
        });
        tokio::task::yield_now().await;
        clock.advance(Duration::from_secs(3601));
        tokio::time::timeout(Duration::from_secs(5), sleeper).await.unwrap().unwrap();
    }
}
