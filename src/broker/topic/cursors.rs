//! Storing what subscriptions have acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Topic;
use super::records::{SubscriptionRecord, encode};
use super::state::State;
use crate::broker::outlet::Outlet;
use crate::broker::position::Position;
use crate::broker::storage::Op;
use crate::broker::subscription::Subscription;
use crate::error::Result;
use crate::protocol::proto::{CommandAckResponse, ServerError, SubscriptionType};

/// A receipt that waits until the acknowledgement is stored.
pub(super) type Receipt = (Arc<dyn Outlet>, CommandAckResponse);

/// One subscription's cursor on its way to the disk. While it is written, what changes is gathered for the next time.
#[derive(Default)]
pub(super) struct CursorWriting {
    in_flight: bool,
    changed: bool,
    receipts: Vec<Receipt>,
}

impl Topic {
    /// Stores a subscription's cursor, if it is durable, and then sends the receipt.
    pub(super) fn store_cursor(self: &Arc<Self>, state: &mut State, name: &str, receipt: Option<Receipt>) {
        let durable = state.subscriptions.get(name).is_some_and(Subscription::is_durable);
        if !durable || !self.is_durable() {
            if let Some((outlet, response)) = receipt {
                outlet.send(&response.into());
            }
            return;
        }
        let writing = state.cursors.entry(name.to_owned()).or_default();
        writing.receipts.extend(receipt);
        writing.changed = true;
        if !writing.in_flight {
            self.write_cursor(state, name);
        }
    }

    fn write_cursor(self: &Arc<Self>, state: &mut State, name: &str) {
        let Some(subscription) = state.subscriptions.get(name) else { return };
        let kind = subscription.kind() as i32;
        let record = SubscriptionRecord::new(kind, subscription.snapshot(), subscription.properties());
        let Some(writing) = state.cursors.get_mut(name) else { return };
        writing.in_flight = true;
        writing.changed = false;
        let receipts = std::mem::take(&mut writing.receipts);
        let op =
            Op::PutCursor { topic: self.name.clone(), subscription: name.to_owned(), value: encode(&record) };
        let (topic, name) = (Arc::clone(self), name.to_owned());
        let done = move |result| topic.cursor_written(&name, receipts, &result);
        self.services.storage.commit(vec![op], Box::new(done));
    }

    fn cursor_written(self: &Arc<Self>, name: &str, receipts: Vec<Receipt>, result: &Result<()>) {
        let mut guard = self.lock();
        let state = &mut *guard;
        for (outlet, mut response) in receipts {
            if let Err(error) = result {
                response.error = Some(ServerError::PersistenceError as i32);
                response.message = Some(error.to_string());
            }
            outlet.send(&response.into());
        }
        let Some(writing) = state.cursors.get_mut(name) else { return };
        writing.in_flight = false;
        if writing.changed {
            self.write_cursor(state, name);
        }
    }

    /// Acknowledges everything before a position, for one subscription.
    pub(super) fn skip_one_before(
        self: &Arc<Self>,
        state: &mut State,
        name: &str,
        bound: Position,
        now: u64,
    ) {
        let Some(subscription) = state.subscriptions.get_mut(name) else { return };
        if subscription.skip_before(&state.log, bound, now) {
            self.store_cursor(state, name, None);
        }
    }

    /// Makes a durable subscription without consumers, unless it exists.
    pub(super) fn make_subscription(
        self: &Arc<Self>,
        state: &mut State,
        name: &str,
        start: Position,
        properties: BTreeMap<String, String>,
    ) {
        if state.subscriptions.contains_key(name) {
            return;
        }
        let options = self.subscription_options(state);
        let mut subscription = Subscription::new(name, SubscriptionType::Exclusive, true, start, options);
        subscription.set_properties(properties);
        state.subscriptions.insert(name.to_owned(), subscription);
        self.store_cursor(state, name, None);
    }

    /// Forgets a subscription, on the disk as well.
    pub(super) fn drop_subscription(&self, state: &mut State, name: &str) {
        let removed = state.subscriptions.remove(name);
        state.cursors.remove(name);
        state.consumers.retain(|_, consumer| consumer.subscription != name);
        if removed.is_some_and(|subscription| subscription.is_durable()) {
            self.store(vec![Op::DeleteCursor { topic: self.name.clone(), subscription: name.to_owned() }]);
        }
        self.trim(state);
    }
}
