//! Work that many callers want at once is done once, and goes on when a caller gives up.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::error::{Error, ErrorKind, Result};

/// The outcome of work under way: `None` until it is done.
pub(super) type Outcome<V> = watch::Receiver<Option<Result<V>>>;

/// Waits for an outcome. May be cancelled: the work goes on.
pub(super) async fn outcome<V: Clone>(mut outcome: Outcome<V>) -> Result<V> {
    match outcome.wait_for(Option::is_some).await.as_deref() {
        Ok(Some(result)) => result.clone(),
        _ => Err(Error::new(ErrorKind::Closed, "the client's runtime was stopped")),
    }
}

/// Work under way, by key.
pub(super) struct Shared<K, V> {
    runtime: Handle,
    under_way: Arc<Mutex<HashMap<K, Outcome<V>>>>,
}

impl<K, V> Shared<K, V>
where
    K: Eq + Hash + Clone + Send + 'static,
    V: Clone + Send + Sync + 'static,
{
    pub(super) fn new(runtime: Handle) -> Self {
        Self { runtime, under_way: Arc::default() }
    }

    /// Joins the work under way for `key`, or starts it.
    pub(super) async fn run<F>(&self, key: K, work: impl FnOnce() -> F) -> Result<V>
    where
        F: Future<Output = Result<V>> + Send + 'static,
    {
        outcome(self.join(key, work)).await
    }

    fn join<F>(&self, key: K, work: impl FnOnce() -> F) -> Outcome<V>
    where
        F: Future<Output = Result<V>> + Send + 'static,
    {
        let mut under_way = self.under_way.lock();
        // A sender that is gone without an outcome was a task that died: start anew.
        if let Some(outcome) = under_way.get(&key).filter(|outcome| outcome.has_changed().is_ok()) {
            return outcome.clone();
        }
        let (sender, receiver) = watch::channel(None);
        under_way.insert(key.clone(), receiver.clone());
        drop(under_way);
        let work = work();
        let table = Arc::clone(&self.under_way);
        self.runtime.spawn(async move {
            let result = work.await;
            table.lock().remove(&key);
            sender.send_replace(Some(result));
        });
        receiver
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn callers_share_one_run_and_a_cancelled_one_does_not_stop_it() {
        let shared = Arc::new(Shared::<&str, u32>::new(Handle::current()));
        let (runs, go) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let call = || {
            let (shared, runs, go) = (Arc::clone(&shared), Arc::clone(&runs), Arc::clone(&go));
            tokio::spawn(async move {
                let work = || async move {
                    let run = runs.fetch_add(1, Ordering::SeqCst);
                    go.notified().await;
                    Ok(run)
                };
                shared.run("key", work).await
            })
        };
        let first = call();
        while runs.load(Ordering::SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
        let second = call();
        tokio::task::yield_now().await;
        first.abort();
        assert!(first.await.is_err());
        go.notify_one();
        let result = tokio::time::timeout(Duration::from_secs(5), second).await.unwrap().unwrap();
        assert_eq!(result.unwrap(), 0);
        go.notify_one();
        assert_eq!(call().await.unwrap().unwrap(), 1, "what is done is done anew when asked again");
    }
}
