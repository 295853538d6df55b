//! Requests under way on one connection, by their id.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::answers;
use crate::error::{Error, Result};
use crate::protocol::proto::Command;

#[derive(Default)]
pub(super) struct Requests {
    last_id: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Default)]
struct Table {
    waiting: HashMap<u64, Waiting>,
    /// Why the connection is gone, if it is.
    closed: Option<Error>,
}

struct Waiting {
    answer: oneshot::Sender<Result<Command>>,
    /// Set when the broker has answered that it will answer later.
    postponed: Arc<AtomicBool>,
}

/// A request under way. Dropping it forgets the request: a late answer finds nobody, and harms nobody.
pub(super) struct Ticket<'a> {
    requests: &'a Requests,
    pub(super) id: u64,
    pub(super) answer: oneshot::Receiver<Result<Command>>,
    postponed: Arc<AtomicBool>,
}

impl Requests {
    /// Enters a new request, unless the connection is gone.
    pub(super) fn begin(&self) -> Result<Ticket<'_>> {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        let postponed = Arc::new(AtomicBool::new(false));
        let mut table = self.table.lock();
        if let Some(error) = &table.closed {
            return Err(error.clone());
        }
        table.waiting.insert(id, Waiting { answer: sender, postponed: Arc::clone(&postponed) });
        Ok(Ticket { requests: self, id, answer, postponed })
    }

    /// Gives an answer to whoever asked. Returns false if nobody waits for it.
    pub(super) fn answer(&self, id: u64, command: Command) -> bool {
        let mut table = self.table.lock();
        if let Command::ProducerSuccess(success) = &command
            && success.producer_ready == Some(false)
        {
            // The producer waits in line for exclusive access; the same id is answered again when it is its turn.
            return table.waiting.get(&id).is_some_and(|waiting| {
                waiting.postponed.store(true, Ordering::Release);
                true
            });
        }
        let Some(waiting) = table.waiting.remove(&id) else { return false };
        drop(table);
        // The receiver may be gone in this very moment: then nobody wants the answer.
        let _ = waiting.answer.send(answers::outcome(command));
        true
    }

    /// Answers everything with `error`, and refuses what comes later.
    pub(super) fn fail(&self, error: &Error) {
        let waiting = {
            let mut table = self.table.lock();
            table.closed.get_or_insert_with(|| error.clone());
            std::mem::take(&mut table.waiting)
        };
        for one in waiting.into_values() {
            let _ = one.answer.send(Err(error.clone()));
        }
    }
}

impl Ticket<'_> {
    /// Whether the broker has said that the answer may take as long as it takes.
    pub(super) fn is_postponed(&self) -> bool {
        self.postponed.load(Ordering::Acquire)
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.requests.table.lock().waiting.remove(&self.id);
    }
}
