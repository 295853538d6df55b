//! Who may publish: producers by connection and by name, exclusive access, and those who wait for it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use crate::broker::outlet::Outlet;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{KeyValue, ProducerAccessMode};

/// A request for a producer, as `CommandProducer` makes it.
#[derive(Clone, Debug)]
pub struct NewProducer {
    pub producer_id: u64,
    pub request_id: u64,
    /// None: the topic makes one.
    pub name: Option<String>,
    /// Counts the producer's connections.
    pub epoch: u64,
    pub user_provided_name: bool,
    pub access_mode: ProducerAccessMode,
    /// The epoch of the exclusive access that this producer had before it reconnected.
    pub topic_epoch: Option<u64>,
    /// Of the producer's schema, which the session has registered.
    pub schema_version: Option<Bytes>,
    pub metadata: Vec<KeyValue>,
    /// A durable subscription that is made with the producer, unless it exists.
    pub initial_subscription: Option<String>,
}

/// A connection's id, and the id that it gave the producer.
pub(super) type ProducerKey = (u64, u64);

pub(super) struct Producer {
    pub(super) request: NewProducer,
    pub(super) name: Arc<str>,
    pub(super) outlet: Arc<dyn Outlet>,
    /// Milliseconds since 1970.
    pub(super) connected_at: u64,
    /// Whether its request is answered: until then it may be promoted or closed without a word of its own.
    pub(super) answered: bool,
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl Producer {
    pub(super) fn new(request: NewProducer, name: String, outlet: Arc<dyn Outlet>, now: u64) -> Self {
        Self { request, name: name.into(), outlet, connected_at: now, answered: false, messages: 0, bytes: 0 }
    }

    pub(super) fn key(&self) -> ProducerKey {
        (self.outlet.id(), self.request.producer_id)
    }

    /// Whether this is the other one again, on a newer connection or a newer attempt.
    fn succeeds(&self, other: &Self) -> bool {
        let same_place = self.key() == other.key();
        let made_names = !self.request.user_provided_name && !other.request.user_provided_name;
        (same_place || made_names) && self.request.epoch > other.request.epoch
    }
}

#[derive(Default)]
pub(super) struct Producers {
    connected: HashMap<ProducerKey, Producer>,
    names: HashMap<Arc<str>, ProducerKey>,
    exclusive: Option<ProducerKey>,
    waiting: VecDeque<Producer>,
    /// Counts the exclusive accesses.
    pub(super) epoch: Option<u64>,
}

/// What became of a request, and whom it drove out.
#[derive(Default)]
pub(super) struct Admission {
    /// Were connected; are told to close.
    pub(super) fenced: Vec<Producer>,
    /// Waited; are told that they never will be.
    pub(super) failed: Vec<Producer>,
}

impl Producers {
    pub(super) fn len(&self) -> usize {
        self.connected.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.connected.is_empty() && self.waiting.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Producer> {
        self.connected.values()
    }

    pub(super) fn get(&mut self, key: ProducerKey) -> Option<&mut Producer> {
        self.connected.get_mut(&key)
    }

    /// A producer that is connected, or waits, by this request.
    pub(super) fn requested(&mut self, key: ProducerKey, request_id: u64) -> Option<&mut Producer> {
        let found = match self.connected.get_mut(&key) {
            Some(connected) => Some(connected),
            None => self.waiting.iter_mut().find(|waiting| waiting.key() == key),
        };
        found.filter(|producer| producer.request.request_id == request_id)
    }

    /// How many wait for exclusive access.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn add(&mut self, producer: Producer) -> Result<Admission> {
        let mut admission = Admission::default();
        match producer.request.access_mode {
            ProducerAccessMode::Shared => {
                if self.exclusive.is_some() || !self.waiting.is_empty() {
                    return Err(busy("another producer has, or waits for, exclusive access"));
                }
            }
            ProducerAccessMode::Exclusive => {
                if self.exclusive.is_some() || !self.waiting.is_empty() {
                    return Err(fenced("another producer has, or waits for, exclusive access"));
                }
                if !self.connected.is_empty() {
                    return Err(fenced("the topic has other producers"));
                }
                self.take_exclusive(&producer)?;
            }
            ProducerAccessMode::WaitForExclusive => {
                if !self.connected.is_empty() {
                    self.waiting.push_back(producer);
                    return Ok(admission);
                }
                self.take_exclusive(&producer)?;
            }
            ProducerAccessMode::ExclusiveWithFencing => {
                self.check_epoch(&producer)?;
                admission.failed = self.waiting.drain(..).collect();
                admission.fenced = self.connected.drain().map(|(_, producer)| producer).collect();
                self.names.clear();
                self.take_exclusive(&producer)?;
            }
        }
        self.connect(producer)?;
        Ok(admission)
    }

    /// Enters a producer under its name, unless somebody else has it.
    fn connect(&mut self, producer: Producer) -> Result<()> {
        if let Some(holder) = self.names.get(&producer.name).copied() {
            if self.connected.get(&holder).is_some_and(|old| !producer.succeeds(old)) {
                return Err(busy(
                    "a producer of this name is connected already; close it or take another name",
                ));
            }
            self.connected.remove(&holder);
        }
        self.names.insert(Arc::clone(&producer.name), producer.key());
        self.connected.insert(producer.key(), producer);
        Ok(())
    }

    fn check_epoch(&self, producer: &Producer) -> Result<()> {
        match (producer.request.topic_epoch, self.epoch) {
            (Some(had), Some(now)) if had < now => Err(fenced(format!(
                "another producer had exclusive access since: epoch {now}, its own {had}"
            ))),
            _ => Ok(()),
        }
    }

    fn take_exclusive(&mut self, producer: &Producer) -> Result<()> {
        self.check_epoch(producer)?;
        self.exclusive = Some(producer.key());
        self.epoch =
            Some(producer.request.topic_epoch.unwrap_or_else(|| self.epoch.map_or(0, |epoch| epoch + 1)));
        Ok(())
    }

    /// Removes a producer, connected or waiting; returns the key of the one that has exclusive access instead.
    pub(super) fn remove(&mut self, key: ProducerKey) -> Option<ProducerKey> {
        self.waiting.retain(|producer| producer.key() != key);
        if let Some(gone) = self.connected.remove(&key) {
            self.names.remove(&gone.name);
        }
        if self.exclusive == Some(key) {
            self.exclusive = None;
        }
        self.promote()
    }

    fn promote(&mut self) -> Option<ProducerKey> {
        if !self.connected.is_empty() {
            return None;
        }
        while let Some(next) = self.waiting.pop_front() {
            let key = next.key();
            // A waiting producer takes a new epoch, whatever it had: it was let in line.
            self.epoch = Some(self.epoch.map_or(0, |epoch| epoch + 1));
            if self.connect(next).is_ok() {
                self.exclusive = Some(key);
                return Some(key);
            }
        }
        None
    }

    /// Removes everybody: first those connected, then those waiting.
    pub(super) fn drain(&mut self) -> (Vec<Producer>, Vec<Producer>) {
        self.names.clear();
        self.exclusive = None;
        (self.connected.drain().map(|(_, producer)| producer).collect(), self.waiting.drain(..).collect())
    }
}

fn busy(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::ProducerBusy, reason)
}

fn fenced(reason: impl Into<String>) -> Error {
    Error::new(ErrorKind::ProducerFenced, reason)
}
