//! The command that makes a subscription, from the consumer's options.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::partition::Partition;
use crate::client::options::{KeySharedOptions, Position, SubscriptionKind};
use crate::client::schema;
use crate::error::Result;
use crate::protocol::proto::{
    CommandSubscribe, InitialPosition, IntRange, KeySharedMeta, KeySharedMode, KeyValue, SubscriptionType,
};

pub(crate) fn command(partition: &Partition, name: &str, request_id: u64) -> Result<CommandSubscribe> {
    let options = partition.options();
    let start = partition.reading.lock().resume();
    Ok(CommandSubscribe {
        topic: partition.topic().to_string(),
        subscription: options.subscription.clone(),
        sub_type: subscription_type(options.r#type) as i32,
        consumer_id: partition.consumer_id,
        request_id,
        consumer_name: Some(name.to_owned()),
        priority_level: Some(options.priority),
        durable: Some(options.durable),
        start_message_id: start.map(|id| id.to_proto()),
        metadata: pairs(&options.properties),
        read_compacted: Some(options.read_compacted),
        schema: options.schema.as_ref().map(schema::to_proto).transpose()?,
        initial_position: Some(initial_position(partition) as i32),
        replicate_subscription_state: options.replicate_subscription_state.then_some(true),
        force_topic_creation: Some(true),
        start_message_rollback_duration_sec: None,
        key_shared_meta: (options.r#type == SubscriptionKind::KeyShared)
            .then(|| key_shared(&options.key_shared)),
        subscription_properties: pairs(&options.subscription_properties),
        consumer_epoch: Some(partition.epoch.load(Ordering::Acquire)),
    })
}

fn pairs(map: &BTreeMap<String, String>) -> Vec<KeyValue> {
    map.iter().map(|(key, value)| KeyValue { key: key.clone(), value: value.clone() }).collect()
}

fn subscription_type(kind: SubscriptionKind) -> SubscriptionType {
    match kind {
        SubscriptionKind::Exclusive => SubscriptionType::Exclusive,
        SubscriptionKind::Shared => SubscriptionType::Shared,
        SubscriptionKind::Failover => SubscriptionType::Failover,
        SubscriptionKind::KeyShared => SubscriptionType::KeyShared,
    }
}

fn initial_position(partition: &Partition) -> InitialPosition {
    match partition.options().initial_position {
        Position::Latest if !partition.from_earliest.load(Ordering::Acquire) => InitialPosition::Latest,
        Position::Latest | Position::Earliest => InitialPosition::Earliest,
    }
}

fn key_shared(options: &KeySharedOptions) -> KeySharedMeta {
    let range = |&(start, end): &(u16, u16)| IntRange { start: start.into(), end: end.into() };
    let ranges = options.sticky_ranges.as_deref();
    KeySharedMeta {
        key_shared_mode: ranges.map_or(KeySharedMode::AutoSplit, |_| KeySharedMode::Sticky) as i32,
        hash_ranges: ranges.unwrap_or_default().iter().map(range).collect(),
        allow_out_of_order_delivery: Some(options.allow_out_of_order),
    }
}
