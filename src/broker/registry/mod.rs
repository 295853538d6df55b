//! What there is: tenants, namespaces with their policies, topics and their partitions.
//!
//! * `namespaces` — tenants and namespaces.
//! * `topics` — finding, making and deleting topics.
//! * `persistence` — what of it is stored, and found again at start.
//! * `schemas` — what topics' messages look like.
//! * `listing`, `watchers` — the topics of a namespace, and who wants to know of changes.

mod listing;
mod namespaces;
mod persistence;
mod schemas;
mod topics;
mod watchers;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;

pub use self::listing::{Listing, TopicPattern, hash_of};
pub use self::namespaces::{Namespace, Tenant};
pub use self::watchers::Watcher;
use self::watchers::Watchers;
use super::policies::Policies;
use super::schemas::SchemaRegistry;
use super::storage::Stored;
use super::topic::{Services, Topic};
use crate::error::Result;
use crate::protocol::topic::TopicName;

/// The one cluster that an embedded broker is.
pub const CLUSTER: &str = "standalone";

/// Shared by all sessions and the admin interface.
pub struct Registry {
    services: Arc<Services>,
    /// Held for lookups and changes of the maps, never while a topic is called.
    state: Mutex<State>,
    watchers: Mutex<Watchers>,
    schemas: SchemaRegistry,
}

struct State {
    /// The broker's own policies, under those of namespaces.
    policies: Policies,
    tenants: BTreeMap<String, Tenant>,
    /// By `tenant/namespace`.
    namespaces: BTreeMap<String, Namespace>,
    topics: HashMap<TopicName, Arc<Topic>>,
    /// Partitioned topics and how many partitions each has.
    partitioned: BTreeMap<TopicName, u32>,
}

impl Registry {
    /// The registry as it was stored; a new one has the tenants and namespaces of a new standalone broker.
    pub fn open(services: Arc<Services>, policies: Policies, stored: Stored) -> Result<Self> {
        let state = State {
            policies,
            tenants: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            topics: HashMap::new(),
            partitioned: BTreeMap::new(),
        };
        let registry = Self {
            services,
            state: Mutex::new(state),
            watchers: Mutex::default(),
            schemas: SchemaRegistry::default(),
        };
        registry.restore(stored)?;
        Ok(registry)
    }

    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }
}
