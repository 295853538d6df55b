//! Policies of namespaces and topics, one by one.

use serde::de::DeserializeOwned;
use serde_json::{Value, json as value};

use super::answer::{Answer, Refusal, done, json};
use super::request::Request;
use super::routes::unknown;
use crate::broker::policies::{Policies, QuotaKind};

/// A change of policies that was understood.
pub type Change = Box<dyn FnOnce(&mut Policies)>;

pub fn get(request: &Request, policies: &Policies, path: &[&str]) -> Answer {
    let all = serde_json::to_value(policies).unwrap_or_default();
    let found = match path {
        ["backlogQuotaMap"] => all.get("backlog_quota_map").cloned(),
        ["permissions"] => Some(value!({})),
        ["schemaCompatibilityStrategy"] => {
            Some(all.get("schema_compatibility_strategy").cloned().unwrap_or_else(|| "UNDEFINED".into()))
        }
        ["schemaValidationEnforced"] => Some(policies.schema_validation_enforced.unwrap_or_default().into()),
        ["isAllowAutoUpdateSchema"] => Some(policies.allow_auto_update_schema.unwrap_or(true).into()),
        [name] => {
            let field = field(name).ok_or_else(|| unknown(request))?;
            all.get(field).cloned()
        }
        _ => return Err(unknown(request)),
    };
    // A policy that is not set is an empty answer.
    found.map_or_else(|| done().map(with_ok), |found| json(&found))
}

fn with_ok(mut response: axum::response::Response) -> axum::response::Response {
    *response.status_mut() = axum::http::StatusCode::OK;
    response
}

/// The name of a policy in paths, and where it is kept.
fn field(name: &str) -> Option<&'static str> {
    Some(match name {
        "retention" => "retention_policies",
        "messageTTL" => "message_ttl_in_seconds",
        "deduplication" | "deduplicationEnabled" => "deduplicationEnabled",
        "publishRate" => "publishRate",
        "schemaCompatibilityStrategy" => "schema_compatibility_strategy",
        "schemaValidationEnforced" => "schema_validation_enforced",
        "isAllowAutoUpdateSchema" => "is_allow_auto_update_schema",
        "autoTopicCreation" => "autoTopicCreationOverride",
        "autoSubscriptionCreation" => "autoSubscriptionCreationOverride",
        "maxProducersPerTopic" | "maxProducers" => "max_producers_per_topic",
        "maxConsumersPerTopic" | "maxConsumers" => "max_consumers_per_topic",
        "maxConsumersPerSubscription" => "max_consumers_per_subscription",
        "maxSubscriptionsPerTopic" => "max_subscriptions_per_topic",
        "maxUnackedMessagesPerConsumer" => "max_unacked_messages_per_consumer",
        "maxUnackedMessagesPerSubscription" => "max_unacked_messages_per_subscription",
        "compactionThreshold" => "compaction_threshold",
        "delayedDelivery" => "delayed_delivery_policies",
        _ => return None,
    })
}

pub fn change(request: &Request, path: &[&str]) -> Result<Change, Refusal> {
    let method = request.method.as_str();
    if !matches!(method, "POST" | "PUT" | "DELETE") {
        return Err(unknown(request));
    }
    match path {
        ["backlogQuota"] => quota(request),
        [name] => {
            let field = field(name).ok_or_else(|| unknown(request))?;
            let new: Value = if method == "DELETE" { Value::Null } else { request.body()? };
            // Understood now, so that nothing half understood is kept.
            let mut probe = Policies::default();
            set(&mut probe, field, new.clone()).map_err(|reason| Refusal::new(412, reason))?;
            Ok(Box::new(move |policies| {
                let _ = set(policies, field, new);
            }))
        }
        _ => Err(unknown(request)),
    }
}

fn quota(request: &Request) -> Result<Change, Refusal> {
    let kind = request.query.get("backlogQuotaType").map_or("destination_storage", String::as_str);
    let kind: QuotaKind = parse(kind.into())?;
    if request.method == "DELETE" {
        return Ok(Box::new(move |policies| {
            policies.backlog_quotas.remove(&kind);
        }));
    }
    let quota = request.body()?;
    Ok(Box::new(move |policies| {
        policies.backlog_quotas.insert(kind, quota);
    }))
}

fn parse<T: DeserializeOwned>(value: Value) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(|error| Refusal::new(412, format!("Invalid value: {error}")))
}

fn set(policies: &mut Policies, field: &str, new: Value) -> Result<(), String> {
    let mut all = serde_json::to_value(&*policies).map_err(|error| error.to_string())?;
    if let Some(all) = all.as_object_mut() {
        all.insert(field.to_owned(), new);
    }
    *policies = serde_json::from_value(all).map_err(|error| format!("Invalid value: {error}"))?;
    Ok(())
}
