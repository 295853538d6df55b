//! What of the registry outlives the broker: tenants, namespaces with their policies, partitioned topics, as JSON by path.
//!
//! What is changed is handed to the storage under the registry's lock, so that it is stored in the same order.

use bytes::Bytes;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::namespaces::{namespaces_at_first, tenants_at_first};
use super::{Namespace, Registry, State, Tenant};
use crate::broker::schemas::{SchemaVersion, StoredSchema};
use crate::broker::storage::{Op, Stored};
use crate::broker::topic::Topic;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::Schema;
use crate::protocol::topic::TopicName;

const TENANTS: &str = "/tenants/";
const NAMESPACES: &str = "/namespaces/";
const PARTITIONED: &str = "/partitioned-topics/";

/// A version of a topic's schema, as it is stored.
#[derive(Clone, PartialEq, prost::Message)]
struct SchemaRecord {
    #[prost(message, required, tag = "1")]
    schema: Schema,
    #[prost(bool, tag = "2")]
    deleted: bool,
    #[prost(uint64, tag = "3")]
    created_at: u64,
}

impl Registry {
    pub(super) fn schema_added(&self, topic: &TopicName, added: &StoredSchema) {
        let StoredSchema { version, schema, deleted, created_at } = added.clone();
        let value = SchemaRecord { schema, deleted, created_at }.encode_to_vec().into();
        let op = Op::PutSchema { topic: topic.partitioned(), version: version.0, value };
        self.services.storage.commit(vec![op], Box::new(drop));
    }

    pub(super) fn tenant_changed(&self, name: &str, tenant: Option<&Tenant>) {
        self.changed(format!("{TENANTS}{name}"), tenant);
    }

    pub(super) fn namespace_changed(&self, path: &str, namespace: Option<&Namespace>) {
        self.changed(format!("{NAMESPACES}{path}"), namespace);
    }

    pub(super) fn partitions_changed(&self, topic: &TopicName, count: Option<u32>) {
        self.changed(format!("{PARTITIONED}{topic}"), count.as_ref());
    }

    /// Hands over a value that was put or, if it is none, deleted.
    fn changed(&self, path: String, value: Option<&impl Serialize>) {
        let storage = &self.services.storage;
        if !storage.is_durable() {
            return;
        }
        let op = match value.map(serde_json::to_vec) {
            Some(Ok(value)) => Op::PutMetadata { path, value: value.into() },
            // Plain data with names for keys is always writable as JSON.
            Some(Err(_)) => return,
            None => Op::DeleteMetadata { path },
        };
        storage.commit(vec![op], Box::new(drop));
    }

    /// Calls back once all changes up to now are stored, before somebody is told that they are made: in place without a
    /// data directory, and otherwise on the storage's thread.
    pub fn once_settled(&self, then: impl FnOnce(Result<()>) + Send + 'static) {
        self.services.storage.commit(Vec::new(), Box::new(then));
    }

    /// Waits until all changes up to now are stored.
    pub async fn settled(&self) -> Result<()> {
        let (done, settled) = tokio::sync::oneshot::channel();
        self.once_settled(move |result| drop(done.send(result)));
        settled.await.unwrap_or_else(|_| Err(Error::new(ErrorKind::Closed, "the broker is closed")))
    }

    /// Takes back what was stored, or stores what there is at first.
    pub(super) fn restore(&self, stored: Stored) -> Result<()> {
        let mut state = self.state.lock();
        if stored.metadata.is_empty() {
            for (name, tenant) in tenants_at_first() {
                self.tenant_changed(&name, Some(&tenant));
                state.tenants.insert(name, tenant);
            }
            for (path, namespace) in namespaces_at_first() {
                self.namespace_changed(&path, Some(&namespace));
                state.namespaces.insert(path, namespace);
            }
        }
        for (path, value) in &stored.metadata {
            state.restore_metadata(path, value)?;
        }
        for (topic, versions) in stored.schemas {
            let versions = versions.into_iter().map(|(version, value)| read_schema(version, &value));
            self.schemas.restore(&topic, versions.collect::<Result<_>>()?);
        }
        for (name, stored) in stored.topics {
            let namespace = state.namespaces.get(name.namespace_path()).cloned().unwrap_or_default();
            let policies = namespace.policies.over(&state.policies);
            let topic = Topic::restore(name.clone(), policies, self.services.clone(), stored)?;
            state.topics.insert(name, topic);
        }
        Ok(())
    }
}

impl State {
    fn restore_metadata(&mut self, path: &str, value: &Bytes) -> Result<()> {
        if let Some(name) = path.strip_prefix(TENANTS) {
            self.tenants.insert(name.to_owned(), read(path, value)?);
        } else if let Some(name) = path.strip_prefix(NAMESPACES) {
            self.namespaces.insert(name.to_owned(), read(path, value)?);
        } else if let Some(name) = path.strip_prefix(PARTITIONED) {
            self.partitioned.insert(TopicName::parse(name)?, read(path, value)?);
        }
        Ok(())
    }
}

fn read_schema(version: u64, value: &Bytes) -> Result<StoredSchema> {
    let SchemaRecord { schema, deleted, created_at } =
        SchemaRecord::decode(&value[..]).map_err(|source| {
            Error::new(ErrorKind::Persistence, "a stored schema is not readable").caused_by(source)
        })?;
    Ok(StoredSchema { version: SchemaVersion(version), schema, deleted, created_at })
}

fn read<T: DeserializeOwned>(path: &str, value: &Bytes) -> Result<T> {
    serde_json::from_slice(value).map_err(|source| {
        Error::new(ErrorKind::Persistence, format!("what is stored as `{path}` is not readable"))
            .caused_by(source)
    })
}
