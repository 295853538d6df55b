//! Wakes topics at the times that they asked for: one task for all.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Topic;
use crate::clock::Clock;

/// Who is to be woken when, in milliseconds since 1970.
#[derive(Default)]
pub(super) struct Ticker {
    queue: Mutex<Queue>,
    /// Somebody is to be woken earlier than anybody before.
    earlier: Notify,
}

#[derive(Default)]
struct Queue {
    /// By time, and by a number that tells apart those of the same time.
    due: BTreeMap<(u64, u64), Weak<Topic>>,
    next_number: u64,
}

impl Ticker {
    /// `Topic::tick` is called at this time, or soon after. A topic asks again rather than takes back.
    pub(super) fn schedule(&self, topic: &Arc<Topic>, at: u64) {
        let mut queue = self.queue.lock();
        let first = queue.due.first_key_value().map(|((at, _), _)| *at);
        let number = queue.next_number;
        queue.next_number += 1;
        queue.due.insert((at, number), Arc::downgrade(topic));
        drop(queue);
        if first.is_none_or(|first| at < first) {
            self.earlier.notify_one();
        }
    }

    /// Takes who is due; and when the next one is.
    fn take_due(&self, now: u64) -> (Vec<Arc<Topic>>, Option<u64>) {
        let mut queue = self.queue.lock();
        let later = queue.due.split_off(&(now.saturating_add(1), 0));
        let due = std::mem::replace(&mut queue.due, later);
        let next = queue.due.first_key_value().map(|((at, _), _)| *at);
        (due.into_values().filter_map(|topic| topic.upgrade()).collect(), next)
    }

    pub(super) async fn run(&self, clock: &Clock) {
        loop {
            let now = clock.unix_millis();
            let (due, next) = self.take_due(now);
            for topic in due {
                topic.tick(now);
                if topic.is_compaction_due(now) {
                    // Reading a whole log is not for the threads that serve connections.
                    tokio::task::spawn_blocking(move || topic.compact());
                }
            }
            // Later ticks may have been asked for meanwhile: `earlier` keeps that.
            let Some(next) = next else {
                self.earlier.notified().await;
                continue;
            };
            tokio::select! {
                () = clock.sleep(Duration::from_millis(next.saturating_sub(now))) => {}
                () = self.earlier.notified() => {}
            }
        }
    }
}
