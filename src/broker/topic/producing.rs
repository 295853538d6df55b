//! Making producers, and taking them away.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Topic;
use super::producers::{Admission, NewProducer, Producer, ProducerKey};
use super::state::State;
use crate::broker::outlet::Outlet;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{CommandCloseProducer, CommandError, CommandProducerSuccess, ServerError};

/// The request id of commands that the broker sends on its own account.
pub(super) const NO_REQUEST: u64 = u64::MAX;

impl Topic {
    /// Makes a producer, or puts it in line for exclusive access. It is told so once that is stored, and again when it
    /// has exclusive access.
    pub fn add_producer(self: &Arc<Self>, request: NewProducer, outlet: Arc<dyn Outlet>) -> Result<()> {
        let now = self.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        self.check_new_producer(state, now).map_err(|error| error.on_topic(&self.name))?;
        let name = match request.name.clone() {
            Some(name) if !name.is_empty() => name,
            _ => self.services.next_producer_name(),
        };
        let initial_subscription = request.initial_subscription.clone().filter(|name| !name.is_empty());
        let epoch = state.producers.epoch;
        let producer = Producer::new(request, name, outlet, now);
        let (key, request_id) = (producer.key(), producer.request.request_id);
        let admission = state.producers.add(producer).map_err(|error| error.on_topic(&self.name))?;
        tell(&admission);
        if let Some(subscription) = initial_subscription {
            let first = state.log.start();
            self.make_subscription(state, &subscription, first, BTreeMap::new());
        }
        if state.producers.epoch != epoch {
            self.store_topic(state);
        }
        if self.services.storage.is_durable() {
            let topic = Arc::clone(self);
            let stored = move |result: Result<()>| topic.producer_stored(key, request_id, result.err());
            self.services.storage.commit(Vec::new(), Box::new(stored));
        } else {
            grant(state, key, request_id);
        }
        Ok(())
    }

    /// What was done for a new producer is stored, its topic and schema included; or it could not be.
    fn producer_stored(self: &Arc<Self>, key: ProducerKey, request_id: u64, error: Option<Error>) {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(error) = error else { return grant(state, key, request_id) };
        if let Some(producer) = state.producers.requested(key, request_id) {
            refuse(producer, ServerError::PersistenceError, &error.to_string());
            self.take_away(state, key);
        }
    }

    fn check_new_producer(&self, state: &mut State, now: u64) -> Result<()> {
        self.check_alive(state)?;
        if state.terminated.is_some() {
            return Err(Error::new(
                ErrorKind::TopicTerminated,
                "the topic is terminated and takes no producer",
            ));
        }
        match state.policies.max_producers {
            Some(max) if max > 0 && state.producers.len() >= max as usize => {
                let context = format!("the topic has {max} producers, as many as its policies allow");
                return Err(Error::new(ErrorKind::ProducerBusy, context));
            }
            _ => {}
        }
        self.check_quota(state, now)
    }

    /// The producer was closed, or its connection is gone.
    pub fn remove_producer(self: &Arc<Self>, outlet_id: u64, producer_id: u64) {
        self.take_away(&mut self.lock(), (outlet_id, producer_id));
    }

    fn take_away(&self, state: &mut State, key: ProducerKey) {
        let Some(promoted) = state.producers.remove(key) else { return };
        self.store_topic(state);
        // One whose request is not answered yet hears of it by that answer.
        let waited = state.producers.get(promoted).filter(|producer| producer.answered);
        if let Some(request_id) = waited.map(|producer| producer.request.request_id) {
            grant(state, promoted, request_id);
        }
    }
}

fn tell(admission: &Admission) {
    for producer in &admission.fenced {
        close(producer);
    }
    for producer in &admission.failed {
        refuse(producer, ServerError::ProducerFenced, "another producer took exclusive access");
    }
}

/// Tells a producer that it is one, or that it waits. Under the topic's lock, so that a client hears both in this order.
fn grant(state: &mut State, key: ProducerKey, request_id: u64) {
    let ready = state.producers.get(key).is_some();
    let topic_epoch = state.producers.epoch.filter(|_| ready);
    let Some(producer) = state.producers.requested(key, request_id) else { return };
    producer.answered = true;
    let success = CommandProducerSuccess {
        request_id,
        producer_name: producer.name.to_string(),
        last_sequence_id: Some(state.dedup.last_sequence_id(&producer.name)),
        // An empty version is that of a producer without a schema.
        schema_version: Some(producer.request.schema_version.clone().unwrap_or_default()),
        topic_epoch,
        producer_ready: Some(ready),
    };
    producer.outlet.send(&success.into());
}

/// Tells a producer that it is one no more; its client comes again.
pub(super) fn close(producer: &Producer) {
    if !producer.answered {
        return refuse(producer, ServerError::ServiceNotReady, "the producer was closed as it was made");
    }
    let close = CommandCloseProducer {
        producer_id: producer.request.producer_id,
        request_id: NO_REQUEST,
        ..CommandCloseProducer::default()
    };
    producer.outlet.send(&close.into());
}

/// Tells a producer that waits, or is being made, that it does so in vain.
pub(super) fn refuse(producer: &Producer, error: ServerError, message: &str) {
    let request_id = producer.request.request_id;
    producer.outlet.send(&CommandError { request_id, error: error as i32, message: message.into() }.into());
}
