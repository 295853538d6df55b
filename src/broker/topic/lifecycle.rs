//! The topic as a whole: its policies, its end, its unloading and its deletion.

use std::sync::Arc;

use super::Topic;
use super::producing::{close, refuse};
use super::publish::Writing;
use super::records::{TopicRecord, encode};
use super::state::State;
use crate::broker::policies::Policies;
use crate::broker::position::Position;
use crate::broker::storage::Op;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{CommandReachedEndOfTopic, ServerError};

impl Topic {
    /// The namespace's policies over the broker's are others now.
    pub fn set_namespace_policies(self: &Arc<Self>, policies: Policies) {
        let mut state = self.lock();
        state.namespace_policies = policies;
        self.apply_policies(&mut state);
    }

    /// The topic's own policies.
    pub fn policies(&self) -> Policies {
        self.lock().own_policies.clone()
    }

    /// Its own over its namespace's.
    pub fn effective_policies(&self) -> Policies {
        self.lock().policies.clone()
    }

    pub fn set_policies(self: &Arc<Self>, policies: Policies) {
        let mut state = self.lock();
        state.own_policies = policies;
        self.apply_policies(&mut state);
        self.store_topic(&state);
    }

    pub(super) fn apply_policies(self: &Arc<Self>, state: &mut State) {
        state.policies = state.own_policies.over(&state.namespace_policies);
        state.dedup.enable(state.policies.deduplication.unwrap_or_default());
        state.measured = None;
        let options = self.subscription_options(state);
        for subscription in state.subscriptions.values_mut() {
            subscription.set_options(options.clone());
        }
        self.trim(state);
        self.plan(state, self.now());
    }

    /// Nothing more is taken from now on; consumers are told when they have everything. The position of the last entry.
    pub fn terminate(self: &Arc<Self>) -> Position {
        let mut guard = self.lock();
        let state = &mut *guard;
        if let Some(last) = state.terminated {
            return last;
        }
        let written = state.writing.iter().rev().find_map(Writing::position);
        let next = state.log.next_position();
        let last = written.or_else(|| state.log.last().map(|entry| entry.position));
        // Of a topic without entries: entry -1 of its ledger.
        let last = last.unwrap_or(Position::new(next.ledger, u64::MAX));
        state.terminated = Some(last);
        self.store_topic(state);
        tell_end(state);
        last
    }

    pub fn is_terminated(&self) -> bool {
        self.lock().terminated.is_some()
    }

    /// Closes all producers and consumers in good order; their clients come again. Later entries go to a new ledger.
    pub fn unload(self: &Arc<Self>) {
        let mut guard = self.lock();
        let state = &mut *guard;
        disconnect(state, ServerError::ServiceNotReady, "the topic is unloaded");
        let passing = state.subscriptions.iter().filter(|(_, subscription)| !subscription.is_durable());
        let passing: Vec<String> = passing.map(|(name, _)| name.clone()).collect();
        for name in passing {
            self.drop_subscription(state, &name);
        }
        // What is being written has its place in the ledger that is open.
        if state.writing.is_empty() && state.open_ledger_is_used() {
            self.roll(state);
            self.trim(state);
        }
    }

    /// Whether anyone is connected.
    pub fn is_in_use(&self) -> bool {
        let state = self.lock();
        !state.producers.is_empty() || !state.consumers.is_empty()
    }

    /// Deletes the topic with all it holds; without force, only if nobody is connected. The registry forgets it.
    pub fn delete(self: &Arc<Self>, force: bool) -> Result<()> {
        let mut guard = self.lock();
        let state = &mut *guard;
        if !force && (!state.producers.is_empty() || !state.consumers.is_empty()) {
            let context = "the topic has producers or consumers; close them, or delete it by force";
            return Err(Error::new(ErrorKind::NotAllowed, context).on_topic(&self.name));
        }
        state.deleted = true;
        disconnect(state, ServerError::TopicNotFound, "the topic is deleted");
        state.subscriptions.clear();
        state.cursors.clear();
        let end = state.log.next_position();
        let freed = state.log.trim_before(end);
        self.services.memory.give_back(freed.iter().map(|entry| &**entry));
        self.store(vec![Op::DeleteTopic { topic: self.name.clone() }]);
        Ok(())
    }

    /// Somebody found the topic just before it was deleted, and looks it up again when told this.
    pub(super) fn check_alive(&self, state: &State) -> Result<()> {
        if state.deleted {
            let context = "the topic was deleted just now; try again";
            return Err(Error::new(ErrorKind::ServiceNotReady, context).on_topic(&self.name));
        }
        Ok(())
    }

    /// Stores what the topic says of itself.
    pub(super) fn store_topic(&self, state: &State) {
        if !self.is_durable() {
            return;
        }
        let record = TopicRecord {
            ledger: state.log.open_ledger().ledger,
            terminated: state.terminated.map(Into::into),
            epoch: state.producers.epoch,
            horizon: state.log.horizon().map(Into::into),
            policies: serde_json::to_string(&state.own_policies).unwrap_or_default(),
        };
        self.store(vec![Op::PutTopic { topic: self.name.clone(), value: encode(&record) }]);
    }

    /// Stores changes that nobody waits for: a failure shows with the next one that somebody does.
    pub(super) fn store(&self, ops: Vec<Op>) {
        if self.is_durable() {
            self.services.storage.commit(ops, Box::new(drop));
        }
    }

    pub(super) fn is_durable(&self) -> bool {
        self.name.is_persistent() && self.services.storage.is_durable()
    }
}

fn disconnect(state: &mut State, error: ServerError, reason: &str) {
    let (connected, waiting) = state.producers.drain();
    for producer in &connected {
        close(producer);
    }
    for producer in &waiting {
        refuse(producer, error, reason);
    }
    for subscription in state.subscriptions.values_mut() {
        subscription.disconnect();
    }
    state.consumers.clear();
}

/// Tells consumers of a terminated topic that they have everything: once all of it is acknowledged, as Pulsar does.
pub(super) fn tell_end(state: &mut State) {
    if state.terminated.is_none() || !state.writing.is_empty() {
        return;
    }
    let (subscriptions, log) = (&state.subscriptions, &state.log);
    for ((_, consumer_id), consumer) in &mut state.consumers {
        let done = subscriptions.get(&consumer.subscription).is_some_and(|s| s.backlog(log) == 0);
        if done && !consumer.knows_end {
            consumer.knows_end = true;
            consumer.outlet.send(&CommandReachedEndOfTopic { consumer_id: *consumer_id }.into());
        }
    }
}

impl State {
    fn open_ledger_is_used(&self) -> bool {
        self.log.next_position().entry > 0
    }
}
