//! Which path does what.

use super::answer::{Answer, Refusal, json};
use super::request::Request;
use super::{cluster, metrics, namespaces, schemas, subscriptions, topics};
use crate::protocol::topic::TopicName;

pub fn answer(request: &Request) -> Answer {
    let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
    match (request.method.as_str(), &path[..]) {
        ("GET", ["metrics"]) => metrics::all(request),
        ("GET", ["lookup", "v2", "topic", domain, tenant, namespace, name]) => {
            cluster::lookup(request, &topic_name(domain, tenant, namespace, name)?)
        }
        (_, ["admin", "v2", rest @ ..]) => admin(request, rest),
        _ => Err(unknown(request)),
    }
}

fn admin(request: &Request, path: &[&str]) -> Answer {
    let method = request.method.as_str();
    match path {
        ["clusters" | "brokers", rest @ ..] => {
            cluster::answer(request, path.first().copied().unwrap_or_default(), rest)
        }
        ["tenants", rest @ ..] => namespaces::tenants(request, rest),
        ["namespaces", rest @ ..] => namespaces::answer(request, rest),
        ["schemas", tenant, namespace, name, rest @ ..] => {
            schemas::answer(request, &topic_name("persistent", tenant, namespace, name)?, rest)
        }
        [domain @ ("persistent" | "non-persistent"), tenant, namespace] if method == "GET" => {
            topics::list(request, domain, &format!("{tenant}/{namespace}"))
        }
        ["persistent" | "non-persistent", tenant, namespace, "partitioned"] if method == "GET" => {
            let path = format!("{tenant}/{namespace}");
            request.core.registry.namespace(&path)?;
            let found = request.core.registry.partitioned_topics(&path);
            json(&found.into_iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>())
        }
        [domain @ ("persistent" | "non-persistent"), tenant, namespace, name, rest @ ..] => {
            let name = topic_name(domain, tenant, namespace, name)?;
            match rest {
                ["subscriptions" | "subscription" | "all_subscription", ..] => {
                    subscriptions::answer(request, &name, rest)
                }
                _ => topics::answer(request, &name, rest),
            }
        }
        _ => Err(unknown(request)),
    }
}

/// Nothing is served there.
pub fn unknown(request: &Request) -> Refusal {
    let path = request.path.join("/");
    let reason = format!("{} /{} is not served by the embedded broker", request.method, path.escape_debug());
    Refusal::new(404, reason)
}

fn topic_name(domain: &str, tenant: &str, namespace: &str, name: &str) -> Result<TopicName, Refusal> {
    Ok(TopicName::parse(&format!("{domain}://{tenant}/{namespace}/{name}"))?)
}
