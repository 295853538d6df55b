//! Who is on a connection: producers and consumers by the number they gave themselves.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::sinks::{ConsumerSink, Disconnect, ProducerSink};

#[derive(Default)]
pub(super) struct Registry(Mutex<Members>);

#[derive(Default)]
struct Members {
    producers: HashMap<u64, Arc<dyn ProducerSink>>,
    consumers: HashMap<u64, Arc<dyn ConsumerSink>>,
    /// Set when the connection is gone: nobody can join any more.
    closed: bool,
}

impl Registry {
    pub(super) fn add_producer(&self, id: u64, sink: Arc<dyn ProducerSink>) {
        let mut members = self.0.lock();
        if !members.closed {
            members.producers.insert(id, sink);
        }
    }

    pub(super) fn add_consumer(&self, id: u64, sink: Arc<dyn ConsumerSink>) {
        let mut members = self.0.lock();
        if !members.closed {
            members.consumers.insert(id, sink);
        }
    }

    pub(super) fn producer(&self, id: u64) -> Option<Arc<dyn ProducerSink>> {
        self.0.lock().producers.get(&id).cloned()
    }

    pub(super) fn consumer(&self, id: u64) -> Option<Arc<dyn ConsumerSink>> {
        self.0.lock().consumers.get(&id).cloned()
    }

    pub(super) fn remove_producer(&self, id: u64) -> Option<Arc<dyn ProducerSink>> {
        self.0.lock().producers.remove(&id)
    }

    pub(super) fn remove_consumer(&self, id: u64) -> Option<Arc<dyn ConsumerSink>> {
        self.0.lock().consumers.remove(&id)
    }

    /// Tells everyone that the connection is gone, and lets nobody in any more.
    pub(super) fn disconnect(&self, connection: u64, reason: &Disconnect) {
        let (producers, consumers) = {
            let mut members = self.0.lock();
            members.closed = true;
            (std::mem::take(&mut members.producers), std::mem::take(&mut members.consumers))
        };
        for sink in producers.into_values() {
            sink.disconnected(connection, reason.clone());
        }
        for sink in consumers.into_values() {
            sink.disconnected(connection, reason.clone());
        }
    }
}
