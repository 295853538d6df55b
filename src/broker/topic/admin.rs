//! What administrators do to a topic's subscriptions, and look up in its log.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Topic;
use super::lifecycle::tell_end;
use crate::broker::entry::Entry;
use crate::broker::position::Position;
use crate::broker::subscription::SeekTo;
use crate::error::{Error, ErrorKind, Result};

/// Which entries a subscription is to give up.
#[derive(Clone, Copy, Debug)]
pub enum Skip {
    /// The first so many that are not acknowledged.
    Count(u64),
    All,
    /// Those published before this time, in milliseconds since 1970.
    Before(u64),
}

impl Topic {
    /// Makes a durable subscription that starts there.
    pub fn create_subscription(
        self: &Arc<Self>,
        name: &str,
        start: &SeekTo,
        properties: BTreeMap<String, String>,
    ) -> Result<()> {
        let mut guard = self.lock();
        let state = &mut *guard;
        self.check_alive(state)?;
        if state.subscriptions.contains_key(name) {
            return Err(Error::new(ErrorKind::ConsumerBusy, "Subscription already exists for topic"));
        }
        let start = start.place_in(&state.log);
        self.make_subscription(state, name, start, properties);
        Ok(())
    }

    /// Deletes a subscription; without force only one that nobody uses.
    pub fn delete_subscription(self: &Arc<Self>, name: &str, force: bool) -> Result<()> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let subscription = state.subscriptions.get_mut(name).ok_or_else(|| self.no_subscription(name))?;
        if subscription.has_consumers() && !force {
            return Err(Error::new(ErrorKind::NotAllowed, "Subscription has active connected consumers"));
        }
        subscription.disconnect();
        self.drop_subscription(state, name);
        Ok(())
    }

    /// Moves a subscription; its consumers are closed, and come again.
    pub fn reset_cursor(self: &Arc<Self>, name: &str, to: &SeekTo) -> Result<()> {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.subscriptions.get(name).ok_or_else(|| self.no_subscription(name))?;
        self.move_subscription(state, name, to);
        Ok(())
    }

    /// Acknowledges messages that nobody has handled.
    pub fn skip(self: &Arc<Self>, name: &str, what: Skip) -> Result<()> {
        let now = self.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        let subscription = state.subscriptions.get_mut(name).ok_or_else(|| self.no_subscription(name))?;
        let skipped = match what {
            Skip::Count(count) => subscription.skip(&state.log, count, now),
            Skip::All => subscription.skip_all(&state.log, now),
            Skip::Before(time) => subscription.expire(&state.log, time, now),
        };
        if skipped > 0 {
            self.store_cursor(state, name, None);
            self.trim(state);
            tell_end(state);
        }
        Ok(())
    }

    /// The n-th entry of a subscription's backlog, counted from 1.
    pub fn peek(&self, name: &str, n: usize) -> Result<Option<Arc<Entry>>> {
        let state = self.lock();
        let subscription = state.subscriptions.get(name).ok_or_else(|| self.no_subscription(name))?;
        Ok(subscription.peek(&state.log, n).cloned())
    }

    pub fn entry(&self, position: Position) -> Option<Arc<Entry>> {
        self.lock().log.get(position).cloned()
    }

    fn no_subscription(&self, name: &str) -> Error {
        let context = format!("Subscription {} not found for topic {}", name.escape_debug(), self.name());
        Error::new(ErrorKind::SubscriptionNotFound, context)
    }
}
