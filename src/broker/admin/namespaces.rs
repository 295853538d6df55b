//! Tenants and namespaces.

use serde::Deserialize;
use serde_json::json as value;

use super::answer::{Answer, Refusal, done, json};
use super::policies;
use super::request::Request;
use super::routes::unknown;
use crate::broker::policies::Policies;
use crate::broker::registry::{CLUSTER, Namespace, Tenant};
use crate::protocol::proto::TopicsMode;
use crate::protocol::topic::TopicName;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct TenantInfo {
    admin_roles: Vec<String>,
    allowed_clusters: Vec<String>,
}

pub fn tenants(request: &Request, path: &[&str]) -> Answer {
    let registry = &request.core.registry;
    let known = registry.tenants();
    let missing = || Refusal::new(404, "Tenant does not exist");
    match (request.method.as_str(), path) {
        ("GET", []) => json(&known.keys().collect::<Vec<_>>()),
        ("GET", [name]) => {
            let tenant = known.get(*name).ok_or_else(missing)?;
            json(&value!({ "adminRoles": tenant.admin_roles, "allowedClusters": tenant.allowed_clusters }))
        }
        (method @ ("PUT" | "POST"), [name]) => {
            match (method, known.contains_key(*name)) {
                ("PUT", true) => return Err(Refusal::new(409, "Tenant already exist")),
                ("POST", false) => return Err(missing()),
                _ => check_name(name, "x")?,
            }
            let info: Option<TenantInfo> = request.body()?;
            let TenantInfo { admin_roles, allowed_clusters } = info.unwrap_or_default();
            if allowed_clusters.iter().any(|cluster| cluster != CLUSTER) {
                return Err(Refusal::new(412, "Clusters do not exist"));
            }
            registry.put_tenant(name, Tenant { admin_roles, allowed_clusters });
            done()
        }
        ("DELETE", [name]) => {
            registry.delete_tenant(name)?;
            done()
        }
        _ => Err(unknown(request)),
    }
}

pub fn answer(request: &Request, path: &[&str]) -> Answer {
    let registry = &request.core.registry;
    let method = request.method.as_str();
    if let ("GET", [tenant]) = (method, path) {
        return json(&registry.namespaces(tenant)?);
    }
    let [tenant, local, rest @ ..] = path else { return Err(unknown(request)) };
    let name = format!("{tenant}/{local}");
    match (method, rest) {
        ("PUT", []) => {
            check_name(tenant, local)?;
            if !registry.tenants().contains_key(*tenant) {
                return Err(Refusal::new(404, "Tenant does not exist"));
            }
            if registry.namespace(&name).is_ok() {
                return Err(Refusal::new(409, "Namespace already exists"));
            }
            let policies: Option<Policies> = request.body()?;
            registry.create_namespace(&name, Namespace { policies: policies.unwrap_or_default() })?;
            return done();
        }
        _ if registry.namespace(&name).is_err() => return Err(Refusal::new(404, "Namespace does not exist")),
        ("GET", []) => return json(&registry.namespace(&name)?.policies),
        ("DELETE", []) => {
            registry.delete_namespace(&name)?;
            return done();
        }
        ("GET", ["topics"]) => {
            return json(&registry.topics_of(&name, TopicsMode::All, None)?.topics);
        }
        ("PUT", ["unload"]) => {
            let within = |topic: &TopicName| topic.namespace_path() == name;
            for topic in registry.topics().iter().filter(|topic| within(topic.name())) {
                topic.unload();
            }
            return done();
        }
        _ => {}
    }
    if method == "GET" {
        return policies::get(request, &registry.namespace(&name)?.policies, rest);
    }
    let change = policies::change(request, rest)?;
    let (effective, topics) = registry.change_policies(&name, change)?;
    for topic in topics {
        topic.set_namespace_policies(effective.clone());
    }
    done()
}

/// Names are held to the rules that topics' names are.
fn check_name(tenant: &str, namespace: &str) -> Result<(), Refusal> {
    TopicName::parse(&format!("{tenant}/{namespace}/x"))?;
    Ok(())
}
