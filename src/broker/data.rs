//! What the broker holds: in memory, or in a data directory, from where it comes back at the next start.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::oneshot;

use super::config::BrokerOptions;
use super::policies::Policies;
use super::registry::Registry;
use super::storage::{DurableStorage, MemoryStorage, Storage};
use super::topic::Services;
use crate::clock::Clock;
use crate::error::Result;

pub(super) struct Data {
    pub(super) registry: Arc<Registry>,
    storage: Arc<dyn Storage>,
    /// What is to be said of how it was found.
    pub(super) notes: Vec<String>,
}

impl Data {
    /// Opens the data directory, if there is one, and reads it. Blocks while it does.
    pub(super) fn open(options: &BrokerOptions, clock: &Clock) -> Result<Self> {
        let mut notes = Vec::new();
        let storage: Arc<dyn Storage> = match &options.data_dir {
            None => Arc::new(MemoryStorage),
            Some(directory) => {
                let opened = DurableStorage::open(Path::new(directory))?;
                if opened.repaired {
                    notes.push(format!(
                        "the broker that used `{directory}` before did not end cleanly: what it had not confirmed is gone"
                    ));
                }
                Arc::new(opened.storage)
            }
        };
        let stored = storage.load()?;
        // A broker that begins anew gives no id out again: a client may have acknowledged it, and would take the message for done.
        let next_ledger = stored.next_ledger.max(clock.unix_millis());
        let limits = &options.limits;
        let services = Services::new(
            clock.clone(),
            Arc::clone(&storage),
            limits.max_message_size,
            limits.memory,
            next_ledger,
        );
        let policies =
            Policies { max_unacked_per_consumer: Some(limits.unacked_per_consumer), ..Policies::default() };
        let registry = Arc::new(Registry::open(Arc::new(services), policies, stored)?);
        Ok(Self { registry, storage, notes })
    }

    /// For the next start: what is in memory stays, what is in a directory is read again; or all begins anew.
    pub(super) async fn again(self, keep: bool, options: &BrokerOptions, clock: &Clock) -> Result<Self> {
        if keep && !self.storage.is_durable() {
            return Ok(self);
        }
        self.close().await;
        if let Some(directory) = options.data_dir.as_ref().filter(|_| !keep) {
            DurableStorage::erase(Path::new(directory))?;
        }
        Self::open(options, clock)
    }

    /// Stores what was handed over, and lets go of the data directory.
    pub(super) async fn close(self) {
        let (done, closed) = oneshot::channel();
        self.storage.close(Box::new(move |result| drop(done.send(result))));
        let _ = closed.await;
    }

    /// The same without waiting for it.
    pub(super) fn let_go(self) {
        self.storage.close(Box::new(drop));
    }
}
