//! What a consumer counts, over all its topics and partitions.

use parking_lot::Mutex;

use crate::client::stats::Counter;
use crate::error::Error;

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) messages_received: Counter,
    pub(crate) bytes_received: Counter,
    pub(crate) acknowledged: Counter,
    pub(crate) negatively_acknowledged: Counter,
    pub(crate) ack_timeouts: Counter,
    pub(crate) redeliveries_requested: Counter,
    pub(crate) discarded: Counter,
    pub(crate) encrypted: Counter,
    pub(crate) chunks_given_up: Counter,
    pub(crate) reconnects: Counter,
    last_error: Mutex<Option<Error>>,
}

impl Counters {
    pub(crate) fn failed(&self, error: &Error) {
        *self.last_error.lock() = Some(error.clone());
    }

    pub(crate) fn connected(&self) {
        *self.last_error.lock() = None;
    }

    pub(crate) fn last_error(&self) -> Option<String> {
        self.last_error.lock().as_ref().map(ToString::to_string)
    }
}
