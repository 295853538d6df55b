//! How fast a topic may be published to.

use std::time::Duration;

use super::Topic;
use super::state::State;
use crate::broker::policies::PublishRate;

/// Time that publishing has used up: a message costs a share of a second, and so does a byte.
#[derive(Debug, Default)]
pub(super) struct RateLimiter {
    /// When all that was taken is paid for, in microseconds since 1970.
    paid_at: u64,
}

/// So much may be taken at once after a pause.
const BURST: u64 = 1_000_000;

impl RateLimiter {
    /// So much was taken; how long to wait before more is.
    fn take(&mut self, rate: PublishRate, messages: u64, bytes: u64, now: u64) -> Option<Duration> {
        let now = now.saturating_mul(1000);
        let share = |count: u64, limit: i64| match u64::try_from(limit) {
            Ok(limit) if limit > 0 => count.saturating_mul(1_000_000) / limit,
            _ => 0,
        };
        let cost = share(messages, rate.publish_throttling_rate_in_msg.into())
            .max(share(bytes, rate.publish_throttling_rate_in_byte));
        self.paid_at = self.paid_at.max(now.saturating_sub(BURST)).saturating_add(cost);
        let ahead = self.paid_at.saturating_sub(now);
        (ahead > 0).then(|| Duration::from_micros(ahead))
    }
}

impl Topic {
    /// Publishing faster than the policies allow: all of the topic's producers' connections are left unread for a while.
    pub(super) fn throttle(state: &mut State, messages: u64, bytes: u64, now: u64) {
        let Some(rate) = state.policies.publish_rate else { return };
        let Some(pause) = state.rate.take(rate, messages, bytes, now) else { return };
        for producer in state.producers.iter() {
            producer.outlet.pause_reading(pause);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(messages: i32, bytes: i64) -> PublishRate {
        PublishRate { publish_throttling_rate_in_msg: messages, publish_throttling_rate_in_byte: bytes }
    }

    #[test]
    fn a_second_worth_is_taken_at_once_and_then_at_the_rate() {
        let mut limiter = RateLimiter::default();
        let now = 1_000_000;
        assert_eq!(limiter.take(rate(10, -1), 10, 5, now), None);
        assert_eq!(limiter.take(rate(10, -1), 1, 5, now), Some(Duration::from_millis(100)));
        assert_eq!(limiter.take(rate(10, -1), 1, 5, now + 100), Some(Duration::from_millis(100)));
        assert_eq!(limiter.take(rate(10, -1), 5, 5, now + 10_000), None);
    }

    #[test]
    fn the_stricter_limit_holds_and_none_is_none() {
        let mut limiter = RateLimiter::default();
        assert_eq!(limiter.take(rate(0, -1), 1_000_000, 1 << 30, 5_000), None);
        assert_eq!(limiter.take(rate(1000, 1000), 1, 3000, 5_000), Some(Duration::from_secs(2)));
    }
}
