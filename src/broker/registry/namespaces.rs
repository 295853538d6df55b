//! Tenants and namespaces.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{CLUSTER, Registry};
use crate::broker::policies::Policies;
use crate::broker::topic::Topic;
use crate::error::{Error, ErrorKind, Result};

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    pub admin_roles: Vec<String>,
    pub allowed_clusters: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Namespace {
    pub policies: Policies,
}

pub(super) fn tenants_at_first() -> BTreeMap<String, Tenant> {
    let tenant = Tenant { admin_roles: Vec::new(), allowed_clusters: vec![CLUSTER.into()] };
    ["public", "pulsar"].map(|name| (name.to_owned(), tenant.clone())).into()
}

pub(super) fn namespaces_at_first() -> BTreeMap<String, Namespace> {
    ["public/default", "pulsar/system"].map(|name| (name.to_owned(), Namespace::default())).into()
}

impl Registry {
    pub fn tenants(&self) -> BTreeMap<String, Tenant> {
        self.state.lock().tenants.clone()
    }

    /// Makes a tenant, or changes it.
    pub fn put_tenant(&self, name: &str, tenant: Tenant) {
        let mut state = self.state.lock();
        self.tenant_changed(name, Some(&tenant));
        state.tenants.insert(name.to_owned(), tenant);
    }

    /// Deletes a tenant without namespaces.
    pub fn delete_tenant(&self, name: &str) -> Result<()> {
        let mut state = self.state.lock();
        if namespaces_of(&state.namespaces, name).next().is_some() {
            let context = format!("the tenant {name} has namespaces: delete them first");
            return Err(Error::new(ErrorKind::NotAllowed, context));
        }
        if state.tenants.remove(name).is_none() {
            return Err(missing(format!("the tenant {name} does not exist")));
        }
        self.tenant_changed(name, None);
        Ok(())
    }

    /// The names, `tenant/namespace`, of a tenant's namespaces.
    pub fn namespaces(&self, tenant: &str) -> Result<Vec<String>> {
        let state = self.state.lock();
        if !state.tenants.contains_key(tenant) {
            return Err(missing(format!("the tenant {tenant} does not exist")));
        }
        Ok(namespaces_of(&state.namespaces, tenant).map(str::to_owned).collect())
    }

    pub fn namespace(&self, path: &str) -> Result<Namespace> {
        self.state.lock().namespaces.get(path).cloned().ok_or_else(|| no_namespace(path))
    }

    pub fn create_namespace(&self, path: &str, namespace: Namespace) -> Result<()> {
        let mut state = self.state.lock();
        let tenant = path.split('/').next().unwrap_or_default();
        if !state.tenants.contains_key(tenant) {
            return Err(missing(format!("the tenant {tenant} does not exist")));
        }
        if state.namespaces.contains_key(path) {
            let context = format!("the namespace {path} exists already");
            return Err(Error::new(ErrorKind::NotAllowed, context));
        }
        self.namespace_changed(path, Some(&namespace));
        state.namespaces.insert(path.to_owned(), namespace);
        Ok(())
    }

    /// Deletes a namespace without topics.
    pub fn delete_namespace(&self, path: &str) -> Result<()> {
        let mut state = self.state.lock();
        let within = |name: &crate::protocol::topic::TopicName| name.namespace_path() == path;
        if state.topics.keys().any(within) || state.partitioned.keys().any(within) {
            let context = format!("the namespace {path} has topics: delete them first");
            return Err(Error::new(ErrorKind::NotAllowed, context));
        }
        state.namespaces.remove(path).ok_or_else(|| no_namespace(path))?;
        self.namespace_changed(path, None);
        Ok(())
    }

    /// Changes a namespace's policies; returns those that its topics, also returned, are now held to.
    pub fn change_policies(
        &self,
        path: &str,
        change: impl FnOnce(&mut Policies),
    ) -> Result<(Policies, Vec<Arc<Topic>>)> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        let namespace = state.namespaces.get_mut(path).ok_or_else(|| no_namespace(path))?;
        change(&mut namespace.policies);
        self.namespace_changed(path, Some(namespace));
        let effective = namespace.policies.over(&state.policies);
        let topics = state.topics.values().filter(|topic| topic.name().namespace_path() == path);
        Ok((effective, topics.cloned().collect()))
    }

    /// The policies that a topic of this namespace has, unless it has its own.
    pub fn effective_policies(&self, path: &str) -> Result<Policies> {
        let state = self.state.lock();
        let namespace = state.namespaces.get(path).ok_or_else(|| no_namespace(path))?;
        Ok(namespace.policies.over(&state.policies))
    }
}

fn namespaces_of<'a>(
    namespaces: &'a BTreeMap<String, Namespace>,
    tenant: &str,
) -> impl Iterator<Item = &'a str> {
    namespaces.keys().map(String::as_str).filter(move |path| path.split('/').next() == Some(tenant))
}

fn missing(context: String) -> Error {
    Error::new(ErrorKind::TopicNotFound, context)
}

pub(super) fn no_namespace(path: &str) -> Error {
    missing(format!("the namespace {path} does not exist: create it with the admin interface"))
}
