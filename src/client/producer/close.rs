//! Closing a producer: flushed first, once, and in the background if need be.

use std::sync::Arc;
use std::time::Instant;

use super::effects::Effects;
use super::shared::Shared;
use super::state::{Phase, closed};
use crate::client::auth::BoxFuture;
use crate::client::{Child, ChildStats};
use crate::error::{Error, ErrorKind, Result};

impl Shared {
    /// Begins to close, in the background; whoever calls first does it. Needs no runtime of the caller's.
    pub(super) fn begin_close(self: &Arc<Self>) {
        let mut state = self.state.lock();
        if state.phase != Phase::Open {
            return;
        }
        state.phase = Phase::Closing;
        drop(state);
        let shared = Arc::clone(self);
        self.client.runtime().spawn(async move {
            let outcome = shared.finish_close().await;
            shared.closed.send_replace(Some(outcome));
        });
    }

    /// Closes, or waits for the closing that is under way. May be cancelled: it goes on.
    pub(super) async fn close(self: &Arc<Self>) -> Result<()> {
        self.begin_close();
        let mut done = self.closed.subscribe();
        match done.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            _ => Err(closed()),
        }
    }

    async fn finish_close(self: &Arc<Self>) -> Result<()> {
        let limit = self.client.options().operation_timeout;
        let deadline = self.now() + limit;
        let flushed = self.within(deadline, self.flush()).await;
        let left = self.end();
        // Each closes its session, which has a deadline of its own.
        let tasks = std::mem::take(&mut *self.tasks.lock());
        for task in tasks {
            // A task that died has nothing to close any more.
            let _ = task.await;
        }
        if flushed {
            return Ok(());
        }
        let context = format!("closed, but {left} messages were not confirmed within {limit:?}");
        Err(Error::new(ErrorKind::Timeout, context).on_topic(&self.topic))
    }

    /// Fails what is left, and lets the partitions' tasks end; returns how many messages were not confirmed.
    fn end(self: &Arc<Self>) -> usize {
        let mut effects = Effects::default();
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let left = state.pending;
        state.phase = Phase::Closed;
        state.fail_all(&closed(), &mut effects);
        state.lanes.iter_mut().for_each(|lane| lane.wake(&mut effects));
        drop(guard);
        self.settle(effects);
        left
    }

    /// Whether `work` was done in time.
    async fn within(&self, deadline: Instant, work: impl Future<Output = ()>) -> bool {
        tokio::select! {
            biased;
            () = work => true,
            () = self.client.clock().sleep_until(deadline) => false,
        }
    }
}

impl Child for Shared {
    fn close(&self) -> BoxFuture<'static, Result<()>> {
        let shared = self.me.upgrade();
        Box::pin(async move {
            match shared {
                Some(shared) => shared.close().await,
                None => Ok(()),
            }
        })
    }

    fn stats(&self) -> ChildStats {
        ChildStats::Producer(Shared::stats(self))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.client.retire(ChildStats::Producer(Shared::stats(self)));
    }
}
