//! The versions of each topic's schema.

use std::collections::HashMap;

use parking_lot::Mutex;

use super::strategy::CompatibilityStrategy;
use super::version::SchemaVersion;
use super::{compatibility, definition};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::Schema;
use crate::protocol::topic::TopicName;

/// Versions that one topic may have: a service that makes a new one with each deployment stays far below.
const MAX_VERSIONS: usize = 1000;

/// A version of a topic's schema.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredSchema {
    pub version: SchemaVersion,
    pub schema: Schema,
    /// A mark that the schemas before it were deleted; versions go on counting behind it.
    pub deleted: bool,
    /// Milliseconds since 1970.
    pub created_at: u64,
}

/// The outcome of a registration.
#[derive(Clone, Debug, PartialEq)]
pub struct Registered {
    pub version: SchemaVersion,
    /// What must be stored, if the topic did not have the schema.
    pub added: Option<StoredSchema>,
}

/// Schemas of all topics. The partitions of a topic share one.
#[derive(Debug, Default)]
pub struct SchemaRegistry {
    topics: Mutex<HashMap<TopicName, Vec<StoredSchema>>>,
}

impl SchemaRegistry {
    /// A version of the topic's schema, or the latest.
    pub fn get(&self, topic: &TopicName, version: Option<SchemaVersion>) -> Option<StoredSchema> {
        let topics = self.topics.lock();
        let versions = topics.get(&topic.partitioned())?;
        let found = match version {
            Some(version) => versions.iter().find(|stored| stored.version == version),
            None => versions.last(),
        };
        found.filter(|stored| !stored.deleted).cloned()
    }

    /// Every version that was not deleted, oldest first.
    pub fn all(&self, topic: &TopicName) -> Vec<StoredSchema> {
        self.with(topic, <[_]>::to_vec)
    }

    /// The version of this very schema, if the topic has it.
    pub fn version_of(&self, topic: &TopicName, schema: &Schema) -> Option<SchemaVersion> {
        self.with(topic, |versions| find(versions, schema))
    }

    /// Whether a producer with this schema would be accepted.
    pub fn check(&self, topic: &TopicName, schema: &Schema, strategy: CompatibilityStrategy) -> Result<()> {
        definition::validate(schema)
            .and_then(|()| self.with(topic, |versions| compatibility::check(schema, versions, strategy)))
            .map_err(|error| error.on_topic(topic))
    }

    /// Whether a consumer with this schema reads what the topic has; a topic without a schema has nothing to read by.
    pub fn check_consumer(
        &self,
        topic: &TopicName,
        schema: &Schema,
        strategy: CompatibilityStrategy,
    ) -> Result<()> {
        if self.get(topic, None).is_none() {
            let context = "the topic does not have a schema to check";
            return Err(Error::new(ErrorKind::IncompatibleSchema, context).on_topic(topic));
        }
        self.check(topic, schema, strategy.of_consumers())
    }

    /// The version of the schema: a new one, if the topic does not have it and it is compatible.
    pub fn register(
        &self,
        topic: &TopicName,
        schema: &Schema,
        strategy: CompatibilityStrategy,
        now: u64,
    ) -> Result<Registered> {
        definition::validate(schema).map_err(|error| error.on_topic(topic))?;
        let mut topics = self.topics.lock();
        let versions = topics.get(&topic.partitioned()).map_or(&[][..], |versions| live(versions));
        if let Some(version) = find(versions, schema) {
            return Ok(Registered { version, added: None });
        }
        compatibility::check(schema, versions, strategy).map_err(|error| error.on_topic(topic))?;
        let stored = push(&mut topics, topic, schema.clone(), false, now)?;
        Ok(Registered { version: stored.version, added: Some(stored) })
    }

    /// Deletes the topic's schemas; returns the mark to store, or `None` if there was nothing to delete.
    pub fn delete(&self, topic: &TopicName, now: u64) -> Option<StoredSchema> {
        let mut topics = self.topics.lock();
        topics.get(&topic.partitioned()).filter(|versions| !live(versions).is_empty())?;
        push(&mut topics, topic, Schema::default(), true, now).ok()
    }

    /// Forgets all about a deleted topic: versions count from 0 again.
    pub fn forget(&self, topic: &TopicName) {
        self.topics.lock().remove(&topic.partitioned());
    }

    /// Takes back what was stored before a restart, oldest first.
    pub fn restore(&self, topic: &TopicName, versions: Vec<StoredSchema>) {
        self.topics.lock().insert(topic.partitioned(), versions);
    }

    fn with<R>(&self, topic: &TopicName, look: impl FnOnce(&[StoredSchema]) -> R) -> R {
        let topics = self.topics.lock();
        look(topics.get(&topic.partitioned()).map_or(&[][..], |versions| live(versions)))
    }
}

/// The versions behind the last deletion.
fn live(versions: &[StoredSchema]) -> &[StoredSchema] {
    let start = versions.iter().rposition(|stored| stored.deleted).map_or(0, |deletion| deletion + 1);
    versions.get(start..).unwrap_or_default()
}

fn find(versions: &[StoredSchema], schema: &Schema) -> Option<SchemaVersion> {
    let same = versions.iter().rev().find(|stored| definition::same(&stored.schema, schema));
    same.map(|stored| stored.version)
}

fn push(
    topics: &mut HashMap<TopicName, Vec<StoredSchema>>,
    topic: &TopicName,
    schema: Schema,
    deleted: bool,
    now: u64,
) -> Result<StoredSchema> {
    let versions = topics.entry(topic.partitioned()).or_default();
    if versions.len() >= MAX_VERSIONS && !deleted {
        let context = format!("the topic has {MAX_VERSIONS} schemas, more are not allowed");
        return Err(Error::new(ErrorKind::IncompatibleSchema, context).on_topic(topic));
    }
    let version = SchemaVersion(versions.last().map_or(0, |last| last.version.0 + 1));
    let stored = StoredSchema { version, schema, deleted, created_at: now };
    versions.push(stored.clone());
    Ok(stored)
}
