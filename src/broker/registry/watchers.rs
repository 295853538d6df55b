//! Who wants to know when topics come and go.

use std::sync::Arc;

use super::{Registry, TopicPattern, hash_of};
use crate::broker::outlet::Outlet;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{CommandWatchTopicUpdate, TopicsMode};
use crate::protocol::topic::TopicName;

/// Watchers of one connection, at most.
const MAX_PER_CONNECTION: usize = 1000;

#[derive(Default)]
pub(super) struct Watchers(Vec<Watcher>);

pub struct Watcher {
    pub outlet: Arc<dyn Outlet>,
    /// The client's name for it.
    pub id: u64,
    pub namespace: String,
    pub pattern: TopicPattern,
}

impl Registry {
    /// From now on the client hears of each topic that comes or goes. Returns those there are now.
    pub fn watch(&self, watcher: Watcher) -> Result<super::Listing> {
        let mut watchers = self.watchers.lock();
        let outlet = watcher.outlet.id();
        if watchers.0.iter().filter(|other| other.outlet.id() == outlet).count() >= MAX_PER_CONNECTION {
            let context = format!("a connection may have {MAX_PER_CONNECTION} watchers");
            return Err(Error::new(ErrorKind::NotAllowed, context));
        }
        // Under the watchers' lock, so that no topic falls between the list and the first update.
        let listing = self.topics_of(&watcher.namespace, TopicsMode::Persistent, Some(&watcher.pattern))?;
        watchers.0.retain(|other| (other.outlet.id(), other.id) != (outlet, watcher.id));
        watchers.0.push(watcher);
        Ok(listing)
    }

    pub fn unwatch(&self, outlet_id: u64, watcher_id: u64) {
        self.watchers.lock().0.retain(|watcher| (watcher.outlet.id(), watcher.id) != (outlet_id, watcher_id));
    }

    /// The connection is gone.
    pub fn unwatch_all(&self, outlet_id: u64) {
        self.watchers.lock().0.retain(|watcher| watcher.outlet.id() != outlet_id);
    }

    /// A topic came to be, or was deleted.
    pub(super) fn announce(&self, name: &TopicName, created: bool) {
        if !name.is_persistent() {
            return;
        }
        let watchers = self.watchers.lock();
        for watcher in &watchers.0 {
            if watcher.namespace != name.namespace_path() || !watcher.pattern.matches(name) {
                continue;
            }
            let mode = TopicsMode::Persistent;
            let Ok(listing) = self.topics_of(&watcher.namespace, mode, Some(&watcher.pattern)) else {
                continue;
            };
            let topic = vec![name.as_str().to_owned()];
            let (new_topics, deleted_topics) = if created { (topic, vec![]) } else { (vec![], topic) };
            let update = CommandWatchTopicUpdate {
                watcher_id: watcher.id,
                new_topics,
                deleted_topics,
                topics_hash: hash_of(listing.topics.iter().map(String::as_str)),
            };
            watcher.outlet.send(&update.into());
        }
    }
}
