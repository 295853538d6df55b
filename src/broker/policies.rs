//! What a namespace or a topic is held to. Names and units are those of Pulsar's admin interface.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::schemas::CompatibilityStrategy;

/// Policies as set on one level: what is `None` is decided by the level above.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Policies {
    #[serde(rename = "retention_policies", skip_serializing_if = "Option::is_none")]
    pub retention: Option<Retention>,
    #[serde(rename = "message_ttl_in_seconds", skip_serializing_if = "Option::is_none")]
    pub message_ttl_seconds: Option<u64>,
    #[serde(rename = "backlog_quota_map")]
    pub backlog_quotas: BTreeMap<QuotaKind, BacklogQuota>,
    #[serde(rename = "deduplicationEnabled", skip_serializing_if = "Option::is_none")]
    pub deduplication: Option<bool>,
    #[serde(rename = "publishRate", skip_serializing_if = "Option::is_none")]
    pub publish_rate: Option<PublishRate>,
    #[serde(rename = "schema_compatibility_strategy", skip_serializing_if = "Option::is_none")]
    pub schema_compatibility: Option<CompatibilityStrategy>,
    #[serde(rename = "schema_validation_enforced", skip_serializing_if = "Option::is_none")]
    pub schema_validation_enforced: Option<bool>,
    #[serde(rename = "is_allow_auto_update_schema", skip_serializing_if = "Option::is_none")]
    pub allow_auto_update_schema: Option<bool>,
    #[serde(rename = "autoTopicCreationOverride", skip_serializing_if = "Option::is_none")]
    pub auto_topic_creation: Option<AutoTopicCreation>,
    #[serde(rename = "autoSubscriptionCreationOverride", skip_serializing_if = "Option::is_none")]
    pub auto_subscription_creation: Option<AutoSubscriptionCreation>,
    #[serde(rename = "max_producers_per_topic", skip_serializing_if = "Option::is_none")]
    pub max_producers: Option<u32>,
    #[serde(rename = "max_consumers_per_topic", skip_serializing_if = "Option::is_none")]
    pub max_consumers: Option<u32>,
    #[serde(rename = "max_consumers_per_subscription", skip_serializing_if = "Option::is_none")]
    pub max_consumers_per_subscription: Option<u32>,
    #[serde(rename = "max_subscriptions_per_topic", skip_serializing_if = "Option::is_none")]
    pub max_subscriptions: Option<u32>,
    #[serde(rename = "max_unacked_messages_per_consumer", skip_serializing_if = "Option::is_none")]
    pub max_unacked_per_consumer: Option<u32>,
    #[serde(rename = "max_unacked_messages_per_subscription", skip_serializing_if = "Option::is_none")]
    pub max_unacked_per_subscription: Option<u32>,
    #[serde(rename = "compaction_threshold", skip_serializing_if = "Option::is_none")]
    pub compaction_threshold: Option<u64>,
    #[serde(rename = "delayed_delivery_policies", skip_serializing_if = "Option::is_none")]
    pub delayed_delivery: Option<DelayedDelivery>,
}

/// How long, and how much of, what every subscription has acknowledged is kept. -1 is without limit; a 0 keeps nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Retention {
    pub retention_time_in_minutes: i64,
    #[serde(rename = "retentionSizeInMB")]
    pub retention_size_in_mb: i64,
}

/// What a backlog quota measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaKind {
    DestinationStorage,
    MessageAge,
}

/// How large or old a backlog may become, and what happens then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BacklogQuota {
    /// Bytes; none if negative.
    #[serde(default = "unlimited")]
    pub limit_size: i64,
    /// Seconds; none if not positive.
    #[serde(default = "unlimited")]
    pub limit_time: i64,
    pub policy: QuotaPolicy,
}

const fn unlimited() -> i64 {
    -1
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum QuotaPolicy {
    /// Producers are told to come back later, and keep what they have.
    #[default]
    ProducerRequestHold,
    /// Producers are told so, and fail.
    ProducerException,
    /// The oldest messages are given up.
    ConsumerBacklogEviction,
}

/// A limit per second; not positive is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishRate {
    #[serde(default = "no_messages")]
    pub publish_throttling_rate_in_msg: i32,
    #[serde(default = "unlimited")]
    pub publish_throttling_rate_in_byte: i64,
}

const fn no_messages() -> i32 {
    -1
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoTopicCreation {
    pub allow_auto_topic_creation: bool,
    /// `partitioned` or `non-partitioned`.
    #[serde(default)]
    pub topic_type: Option<String>,
    #[serde(default)]
    pub default_num_partitions: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AutoSubscriptionCreation {
    pub allow_auto_subscription_creation: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DelayedDelivery {
    pub active: bool,
    /// Milliseconds.
    #[serde(default)]
    pub tick_time: u64,
}

impl Policies {
    /// These policies, and where they say nothing, those of the level above.
    #[must_use]
    pub fn over(&self, above: &Self) -> Self {
        let mut backlog_quotas = above.backlog_quotas.clone();
        backlog_quotas.extend(&self.backlog_quotas);
        Self {
            retention: self.retention.or(above.retention),
            message_ttl_seconds: self.message_ttl_seconds.or(above.message_ttl_seconds),
            backlog_quotas,
            deduplication: self.deduplication.or(above.deduplication),
            publish_rate: self.publish_rate.or(above.publish_rate),
            schema_compatibility: self.schema_compatibility.or(above.schema_compatibility),
            schema_validation_enforced: self.schema_validation_enforced.or(above.schema_validation_enforced),
            allow_auto_update_schema: self.allow_auto_update_schema.or(above.allow_auto_update_schema),
            auto_topic_creation: self.auto_topic_creation.clone().or(above.auto_topic_creation.clone()),
            auto_subscription_creation: self.auto_subscription_creation.or(above.auto_subscription_creation),
            max_producers: self.max_producers.or(above.max_producers),
            max_consumers: self.max_consumers.or(above.max_consumers),
            max_consumers_per_subscription: self
                .max_consumers_per_subscription
                .or(above.max_consumers_per_subscription),
            max_subscriptions: self.max_subscriptions.or(above.max_subscriptions),
            max_unacked_per_consumer: self.max_unacked_per_consumer.or(above.max_unacked_per_consumer),
            max_unacked_per_subscription: self
                .max_unacked_per_subscription
                .or(above.max_unacked_per_subscription),
            compaction_threshold: self.compaction_threshold.or(above.compaction_threshold),
            delayed_delivery: self.delayed_delivery.or(above.delayed_delivery),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_overrides_its_namespace_policy_by_policy() {
        let quota = |limit_size| BacklogQuota { limit_size, limit_time: -1, policy: QuotaPolicy::default() };
        let namespace = Policies {
            message_ttl_seconds: Some(60),
            deduplication: Some(true),
            backlog_quotas: [(QuotaKind::DestinationStorage, quota(1)), (QuotaKind::MessageAge, quota(2))]
                .into(),
            ..Policies::default()
        };
        let topic = Policies {
            deduplication: Some(false),
            backlog_quotas: [(QuotaKind::MessageAge, quota(3))].into(),
            ..Policies::default()
        };
        let effective = topic.over(&namespace);
        assert_eq!((effective.message_ttl_seconds, effective.deduplication), (Some(60), Some(false)));
        assert_eq!(effective.backlog_quotas[&QuotaKind::DestinationStorage], quota(1));
        assert_eq!(effective.backlog_quotas[&QuotaKind::MessageAge], quota(3));
    }
}
