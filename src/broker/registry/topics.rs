//! Finding, making and deleting topics.

use std::sync::Arc;

use super::namespaces::no_namespace;
use super::{Registry, State};
use crate::broker::policies::Policies;
use crate::broker::topic::Topic;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::topic::TopicName;

/// More partitions than anyone needs here, and few enough to make at once.
pub const MAX_PARTITIONS: u32 = 1000;

impl Registry {
    /// The topic, made if it may be made: `create` is the client's wish, the policies decide.
    pub fn topic(&self, name: &TopicName, create: bool) -> Result<Arc<Topic>> {
        if let Some(topic) = self.existing(name) {
            return Ok(topic);
        }
        let policies = self.effective_policies(name.namespace_path()).map_err(|e| e.on_topic(name))?;
        let topic = {
            let mut state = self.state.lock();
            state.check_new_topic(name)?;
            let is_partition = name.partition().is_some_and(|_| state.partitions_of(name) > 0);
            if !(is_partition || create && allows_creation(&policies)) {
                return Err(not_found(name));
            }
            if let Some(topic) = state.topics.get(name) {
                return Ok(Arc::clone(topic));
            }
            let topic = Topic::new(name.clone(), policies, Arc::clone(&self.services));
            state.topics.insert(name.clone(), Arc::clone(&topic));
            topic
        };
        self.announce(name, true);
        Ok(topic)
    }

    pub fn existing(&self, name: &TopicName) -> Option<Arc<Topic>> {
        self.state.lock().topics.get(name).cloned()
    }

    /// Makes a topic that must not exist.
    pub fn create_topic(&self, name: &TopicName) -> Result<Arc<Topic>> {
        let policies = self.effective_policies(name.namespace_path()).map_err(|e| e.on_topic(name))?;
        let topic = {
            let mut state = self.state.lock();
            state.check_new_topic(name)?;
            if state.topics.contains_key(name) {
                return Err(exists(name));
            }
            let topic = Topic::new(name.clone(), policies, Arc::clone(&self.services));
            state.topics.insert(name.clone(), Arc::clone(&topic));
            topic
        };
        self.announce(name, true);
        Ok(topic)
    }

    /// How many partitions a topic has: 0 for one without. With `create`, a topic that does not exist may come to be,
    /// as its namespace's policies say.
    pub fn partitions(&self, name: &TopicName, create: bool) -> Result<u32> {
        let policies = self.effective_policies(name.namespace_path()).map_err(|e| e.on_topic(name))?;
        let mut state = self.state.lock();
        if let Some(count) = state.partitioned.get(name) {
            return Ok(*count);
        }
        if state.topics.contains_key(name) || name.partition().is_some() {
            return Ok(0);
        }
        if !create {
            return Err(not_found(name));
        }
        let creation = policies.auto_topic_creation.as_ref().filter(|creation| {
            creation.allow_auto_topic_creation && creation.topic_type.as_deref() == Some("partitioned")
        });
        let Some(creation) = creation else { return Ok(0) };
        let count = creation.default_num_partitions.unwrap_or(1).clamp(1, MAX_PARTITIONS);
        self.partitions_changed(name, Some(count));
        state.partitioned.insert(name.clone(), count);
        drop(state);
        self.make_partitions(name, count)?;
        Ok(count)
    }

    /// Makes a partitioned topic with all its partitions.
    pub fn create_partitioned(&self, name: &TopicName, count: u32) -> Result<()> {
        check_count(name, count)?;
        {
            let mut state = self.state.lock();
            state.namespaces.get(name.namespace_path()).ok_or_else(|| no_namespace(name.namespace_path()))?;
            if state.topics.contains_key(name) || state.partitioned.contains_key(name) {
                return Err(exists(name));
            }
            self.partitions_changed(name, Some(count));
            state.partitioned.insert(name.clone(), count);
        }
        self.make_partitions(name, count)
    }

    /// Gives a partitioned topic more partitions.
    pub fn grow_partitioned(&self, name: &TopicName, count: u32) -> Result<()> {
        check_count(name, count)?;
        {
            let mut state = self.state.lock();
            let now = state.partitioned.get_mut(name).ok_or_else(|| not_found(name))?;
            if count < *now {
                let context = format!("the topic has {now} partitions already: their number only grows");
                return Err(Error::new(ErrorKind::NotAllowed, context).on_topic(name));
            }
            *now = count;
            self.partitions_changed(name, Some(count));
        }
        self.make_partitions(name, count)
    }

    fn make_partitions(&self, name: &TopicName, count: u32) -> Result<()> {
        (0..count).try_for_each(|partition| self.topic(&name.with_partition(partition), true).map(drop))
    }

    /// Forgets a topic, or a partition; who used it is the caller's to tell, with what is returned.
    pub fn remove_topic(&self, name: &TopicName) -> Option<Arc<Topic>> {
        let removed = self.state.lock().topics.remove(name);
        if removed.is_some() {
            self.announce(name, false);
        }
        removed
    }

    /// Forgets that a topic is partitioned; its partitions are removed on their own. Returns how many it had.
    pub fn remove_partitioned(&self, name: &TopicName) -> Option<u32> {
        let mut state = self.state.lock();
        let removed = state.partitioned.remove(name);
        if removed.is_some() {
            self.partitions_changed(name, None);
        }
        removed
    }

    /// Every topic; partitions are topics of their own.
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        self.state.lock().topics.values().cloned().collect()
    }

    /// The partitioned topics of a namespace.
    pub fn partitioned_topics(&self, namespace: &str) -> Vec<(TopicName, u32)> {
        let state = self.state.lock();
        let within = state.partitioned.iter().filter(|(name, _)| name.namespace_path() == namespace);
        within.map(|(name, count)| (name.clone(), *count)).collect()
    }
}

impl State {
    /// The number of partitions of the topic that this is a partition of, or 0.
    fn partitions_of(&self, name: &TopicName) -> u32 {
        self.partitioned.get(&name.partitioned()).copied().unwrap_or_default()
    }

    fn check_new_topic(&self, name: &TopicName) -> Result<()> {
        if self.partitioned.contains_key(name) {
            let context = "the topic is partitioned: use its partitions";
            return Err(Error::new(ErrorKind::NotAllowed, context).on_topic(name));
        }
        let count = self.partitions_of(name);
        match name.partition() {
            Some(partition) if count > 0 && partition >= count => {
                let context = format!("the topic has {count} partitions, and this is none of them");
                Err(Error::new(ErrorKind::TopicNotFound, context).on_topic(name))
            }
            _ => Ok(()),
        }
    }
}

fn allows_creation(policies: &Policies) -> bool {
    policies.auto_topic_creation.as_ref().is_none_or(|creation| creation.allow_auto_topic_creation)
}

fn check_count(name: &TopicName, count: u32) -> Result<()> {
    if (1..=MAX_PARTITIONS).contains(&count) {
        return Ok(());
    }
    let context = format!("{count} partitions: a topic has 1 to {MAX_PARTITIONS}");
    Err(Error::new(ErrorKind::NotAllowed, context).on_topic(name))
}

fn not_found(name: &TopicName) -> Error {
    Error::new(ErrorKind::TopicNotFound, "the topic does not exist and is not to be made").on_topic(name)
}

fn exists(name: &TopicName) -> Error {
    Error::new(ErrorKind::NotAllowed, "the topic exists already").on_topic(name)
}
