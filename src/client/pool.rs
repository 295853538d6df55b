//! Open connections, by where they lead.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::connection::{self, Connection, Dialer, Settings, Target};
use super::service_url::ServiceUrl;
use super::shared::{Outcome, outcome};
use crate::error::{Error, ErrorKind, Result};

/// A fixed number of connections for each target. One task for each connection opens it, keeps it here while it is
/// open, and takes it out when it is closed.
#[derive(Clone)]
pub(super) struct Pool(Arc<Inner>);

struct Inner {
    dialer: Dialer,
    settings: Settings,
    runtime: Handle,
    service_url: ServiceUrl,
    per_broker: usize,
    /// Spreads callers over the connections of a target.
    turn: AtomicUsize,
    /// The service address that worked last, to begin with.
    preferred: AtomicUsize,
    slots: Mutex<HashMap<Key, Slot>>,
    /// Set once, when the client closes.
    closed: watch::Sender<bool>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    target: Target,
    number: usize,
}

/// A connection that is open or being opened.
type Slot = Outcome<Connection>;

impl Pool {
    /// `first` is the service address to begin with, modulo their number.
    pub(super) fn new(
        dialer: Dialer,
        settings: Settings,
        runtime: Handle,
        service_url: ServiceUrl,
        per_broker: usize,
        first: usize,
    ) -> Self {
        Self(Arc::new(Inner {
            dialer,
            settings,
            runtime,
            service_url,
            per_broker: per_broker.max(1),
            turn: AtomicUsize::new(0),
            preferred: AtomicUsize::new(first),
            slots: Mutex::default(),
            closed: watch::Sender::new(false),
        }))
    }

    pub(super) fn tls(&self) -> bool {
        self.0.service_url.tls
    }

    /// A connection to one of the service URL's addresses, each tried in turn, beginning with the one that worked last.
    pub(super) async fn service(&self) -> Result<Connection> {
        let addresses = &self.0.service_url.addresses;
        let first = self.0.preferred.load(Ordering::Relaxed);
        let mut failure = None;
        for attempt in 0..addresses.len() {
            let number = first.wrapping_add(attempt) % addresses.len();
            let Some(address) = addresses.get(number) else { continue };
            match self.get(&Target::direct(address.clone(), self.tls())).await {
                Ok(connection) => {
                    self.0.preferred.store(number, Ordering::Relaxed);
                    return Ok(connection);
                }
                Err(error) if concerns_all(&error) => return Err(error),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| Error::new(ErrorKind::Connection, "the service URL names no address")))
    }

    /// An open connection to `target`, shared with all others who ask. May be cancelled: an attempt under way goes on.
    pub(super) async fn get(&self, target: &Target) -> Result<Connection> {
        outcome(self.slot(target)?).await
    }

    fn slot(&self, target: &Target) -> Result<Slot> {
        let number = self.0.turn.fetch_add(1, Ordering::Relaxed) % self.0.per_broker;
        let key = Key { target: target.clone(), number };
        let mut slots = self.0.slots.lock();
        if *self.0.closed.borrow() {
            return Err(closed());
        }
        if let Some(slot) = slots.get(&key).filter(|slot| usable(slot)) {
            return Ok(slot.clone());
        }
        let (sender, slot) = watch::channel(None);
        slots.insert(key.clone(), slot.clone());
        drop(slots);
        self.0.runtime.spawn(Arc::clone(&self.0).keep(key, sender));
        Ok(slot)
    }

    /// Open connections now.
    pub(super) fn open_connections(&self) -> usize {
        let slots = self.0.slots.lock();
        slots
            .values()
            .filter(|slot| matches!(&*slot.borrow(), Some(Ok(connection)) if connection.is_open()))
            .count()
    }

    /// Closes all connections, and lets none be opened any more. May be called anywhere.
    pub(super) fn close(&self) {
        self.0.closed.send_replace(true);
        let slots = std::mem::take(&mut *self.0.slots.lock());
        for slot in slots.into_values() {
            if let Some(Ok(connection)) = &*slot.borrow() {
                connection.close(closed());
            }
        }
    }
}

impl Inner {
    /// Opens a connection, publishes it, and removes it when it is closed.
    async fn keep(self: Arc<Self>, key: Key, slot: watch::Sender<Option<Result<Connection>>>) {
        let mut stop = self.closed.subscribe();
        let connected = tokio::select! {
            biased;
            _ = stop.wait_for(|closed| *closed) => Err(closed()),
            connected = connection::connect(&self.dialer, &key.target, &self.settings) => connected,
        };
        match connected {
            Ok(connection) => {
                self.settings.counters.connected(&key.target);
                slot.send_replace(Some(Ok(connection.clone())));
                tokio::select! {
                    _ = connection.closed() => {}
                    // Also for a client that closed while this was connecting, and so did not see it.
                    _ = stop.wait_for(|closed| *closed) => connection.close(closed()),
                }
                self.remove(&key, &slot);
            }
            Err(error) => {
                self.settings.counters.not_connected(&error);
                self.remove(&key, &slot);
                slot.send_replace(Some(Err(error)));
            }
        }
    }

    /// Takes the slot out, unless another has taken its place.
    fn remove(&self, key: &Key, slot: &watch::Sender<Option<Result<Connection>>>) {
        let mut slots = self.slots.lock();
        if slots.get(key).is_some_and(|current| current.same_channel(&slot.subscribe())) {
            slots.remove(key);
        }
    }
}

/// Whether a slot's connection is open, or still being opened by a live task.
fn usable(slot: &Slot) -> bool {
    match &*slot.borrow() {
        None => slot.has_changed().is_ok(),
        Some(connected) => connected.as_ref().is_ok_and(Connection::is_open),
    }
}

/// Whether the other service addresses would fail in the same way.
fn concerns_all(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Authentication | ErrorKind::InvalidOption | ErrorKind::Closed)
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the client is closed")
}
