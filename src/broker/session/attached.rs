//! The producers and consumers of one connection, and the topics that they are on.

use std::collections::HashMap;
use std::sync::Arc;

use crate::broker::topic::Topic;
use crate::error::{Error, ErrorKind, Result};

type Handles = HashMap<u64, Arc<Topic>>;

/// By the ids that the client gave. No topic is called while this is locked.
#[derive(Default)]
pub struct Attached {
    producers: Handles,
    consumers: Handles,
    /// How many of both there may be.
    limit: usize,
    /// Above every id of a producer that ever was here.
    next_producer: u64,
}

impl Attached {
    pub fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    fn check_limit(&self) -> Result<()> {
        if self.producers.len() + self.consumers.len() < self.limit {
            return Ok(());
        }
        let context = format!("a connection may have {} producers and consumers", self.limit);
        Err(Error::new(ErrorKind::TooManyRequests, context))
    }

    pub fn add_producer(&mut self, id: u64, topic: Arc<Topic>) -> Result<()> {
        self.check_limit()?;
        self.next_producer = self.next_producer.max(id.saturating_add(1));
        self.producers.insert(id, topic);
        Ok(())
    }

    pub fn add_consumer(&mut self, id: u64, topic: Arc<Topic>) -> Result<()> {
        self.check_limit()?;
        self.consumers.insert(id, topic);
        Ok(())
    }

    pub fn producer(&self, id: u64) -> Option<Arc<Topic>> {
        self.producers.get(&id).cloned()
    }

    pub fn consumer(&self, id: u64) -> Option<Arc<Topic>> {
        self.consumers.get(&id).cloned()
    }

    /// Whether there was a producer of this id: what is sent for it was on its way when it was closed.
    pub fn had_producer(&self, id: u64) -> bool {
        id < self.next_producer
    }

    pub fn remove_producer(&mut self, id: u64) -> Option<Arc<Topic>> {
        self.producers.remove(&id)
    }

    pub fn remove_consumer(&mut self, id: u64) -> Option<Arc<Topic>> {
        self.consumers.remove(&id)
    }

    /// All consumers with their topics.
    pub fn consumers(&self) -> Vec<(u64, Arc<Topic>)> {
        self.consumers.iter().map(|(id, topic)| (*id, Arc::clone(topic))).collect()
    }

    /// Whether a producer or consumer is on the topic of this name.
    pub fn uses(&self, topic: &str) -> bool {
        self.producers.values().chain(self.consumers.values()).any(|used| used.name().as_str() == topic)
    }

    pub fn drain(&mut self) -> (Handles, Handles) {
        (std::mem::take(&mut self.producers), std::mem::take(&mut self.consumers))
    }
}
