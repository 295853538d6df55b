//! Statistics in Pulsar's words. Rates are not measured: they are 0, and counters count since the topic was loaded.

use serde_json::{Map, Value, json as value};

use super::answer::{Answer, Refusal, json};
use super::request::Request;
use crate::broker::position::Position;
use crate::broker::subscription::type_name;
use crate::broker::topic::{SubscriptionDetail, TopicStats};
use crate::protocol::topic::TopicName;

pub fn topic(request: &Request, stats: &TopicStats) -> Value {
    let now = request.core.clock.unix_millis();
    let age =
        stats.oldest_backlog.map_or(-1, |at| i64::try_from(now.saturating_sub(at) / 1000).unwrap_or(-1));
    let publishers: Vec<Value> = stats
        .publishers
        .iter()
        .map(|publisher| {
            value!({
                "accessMode": format!("{:?}", publisher.access_mode), "producerId": publisher.producer_id,
                "producerName": publisher.name, "address": publisher.peer.address,
                "clientVersion": publisher.peer.client_version, "metadata": publisher.metadata,
                "msgRateIn": 0.0, "msgThroughputIn": 0.0, "averageMsgSize": 0.0, "chunkedMessageRate": 0.0,
                "supportsPartialProducer": false,
            })
        })
        .collect();
    let subscriptions: Map<String, Value> =
        stats.subscriptions.iter().map(|(name, detail)| (name.clone(), subscription(detail))).collect();
    let out = |count: fn(&SubscriptionDetail) -> u64| stats.subscriptions.values().map(count).sum::<u64>();
    value!({
        "msgRateIn": 0.0, "msgThroughputIn": 0.0, "msgRateOut": 0.0, "msgThroughputOut": 0.0,
        "averageMsgSize": 0.0, "msgInCounter": stats.counters.messages_in, "bytesInCounter": stats.counters.bytes_in,
        "msgOutCounter": out(|detail| detail.stats.counters.messages_out),
        "bytesOutCounter": out(|detail| detail.stats.counters.bytes_out),
        "storageSize": stats.storage_size, "backlogSize": stats.backlog_size,
        "oldestBacklogMessageAgeSeconds": age, "publishers": publishers,
        "waitingPublishers": stats.waiting_producers, "subscriptions": subscriptions, "replication": {},
        "deduplicationStatus": if stats.deduplication { "Enabled" } else { "Disabled" },
        "topicEpoch": stats.topic_epoch, "ownerBroker": request.url.split_once("://").map_or("", |(_, host)| host),
        "compaction": {
            "lastCompactionRemovedEventCount": stats.compaction.removed,
            "lastCompactionSucceedTimestamp": stats.compaction.ran_at.unwrap_or_default(),
            "lastCompactionFailedTimestamp": 0,
            "lastCompactionDurationTimeInMills": stats.compaction.duration_millis,
        },
    })
}

fn subscription(detail: &SubscriptionDetail) -> Value {
    let stats = &detail.stats;
    let consumers: Vec<Value> = stats
        .consumers
        .iter()
        .map(|consumer| {
            value!({
                "consumerName": consumer.name, "availablePermits": consumer.available_permits,
                "unackedMessages": consumer.unacked_messages, "msgRateOut": 0.0, "msgThroughputOut": 0.0,
                "blockedConsumerOnUnackedMsgs": consumer.blocked_on_unacked,
                "msgOutCounter": consumer.counters.messages_out, "bytesOutCounter": consumer.counters.bytes_out,
                "address": consumer.peer.address, "clientVersion": consumer.peer.client_version,
                "metadata": consumer.properties,
            })
        })
        .collect();
    value!({
        "type": type_name(stats.kind), "msgBacklog": stats.backlog, "msgBacklogNoDelayed": stats.backlog.saturating_sub(stats.delayed),
        "msgDelayed": stats.delayed, "unackedMessages": stats.unacked_messages,
        "blockedSubscriptionOnUnackedMsgs": stats.blocked_on_unacked, "activeConsumerName": stats.active_consumer,
        "msgOutCounter": stats.counters.messages_out, "bytesOutCounter": stats.counters.bytes_out,
        "msgRateOut": 0.0, "msgThroughputOut": 0.0, "msgRateRedeliver": 0.0, "msgRateExpired": 0.0,
        "consumers": consumers, "durable": stats.durable, "isDurable": stats.durable,
        "subscriptionProperties": stats.properties, "allowOutOfOrderDelivery": stats.allow_out_of_order,
        "replicated": false, "isReplicated": false,
    })
}

pub fn internal(stats: &TopicStats) -> Value {
    let ledgers: Vec<Value> = stats
        .ledgers
        .iter()
        .map(|ledger| value!({ "ledgerId": ledger.id, "entries": ledger.entries, "size": ledger.size, "offloaded": false }))
        .collect();
    let cursors: Map<String, Value> = stats
        .subscriptions
        .iter()
        .map(|(name, detail)| {
            let cursor = value!({
                "markDeletePosition": before(detail.first_unacked), "readPosition": detail.first_unacked.to_string(),
                "state": "Open", "numberOfEntriesSinceFirstNotAckedMessage": detail.stats.backlog,
            });
            (name.clone(), cursor)
        })
        .collect();
    let open = stats.ledgers.last();
    value!({
        "entriesAddedCounter": stats.ledgers.iter().map(|ledger| ledger.entries).sum::<u64>(),
        "numberOfEntries": stats.entries, "totalSize": stats.storage_size,
        "currentLedgerEntries": open.map_or(0, |ledger| ledger.entries),
        "currentLedgerSize": open.map_or(0, |ledger| ledger.size),
        "lastConfirmedEntry": before(stats.next), "ledgers": ledgers, "cursors": cursors, "schemaLedgers": [],
        "state": if stats.terminated.is_some() { "Terminated" } else { "LedgerOpened" },
    })
}

/// The entry before a position; -1 is before a ledger's first.
fn before(position: Position) -> String {
    format!("{}:{}", position.ledger, position.entry.wrapping_sub(1).cast_signed())
}

pub fn partitioned(request: &Request, name: &TopicName) -> Answer {
    let count = request.partitions(name);
    if count == 0 {
        return Err(Refusal::new(404, format!("Partitioned Topic not found: {name} has zero partitions")));
    }
    let each: Map<String, Value> = request
        .topics(name)?
        .iter()
        .map(|partition| (partition.name().to_string(), topic(request, &partition.stats())))
        .collect();
    let sum = |field: &str| each.values().filter_map(|one| one.get(field)?.as_u64()).sum::<u64>();
    let mut subscriptions: Map<String, Value> = Map::new();
    for (name, one) in each.values().filter_map(|one| one.get("subscriptions")?.as_object()).flatten() {
        let Some(known) = subscriptions.get_mut(name) else {
            subscriptions.insert(name.clone(), one.clone());
            continue;
        };
        for field in [
            "msgBacklog",
            "msgBacklogNoDelayed",
            "msgDelayed",
            "unackedMessages",
            "msgOutCounter",
            "bytesOutCounter",
        ] {
            let both = [&*known, one].into_iter().filter_map(|side| side.get(field)?.as_u64()).sum::<u64>();
            if let Some(known) = known.as_object_mut() {
                known.insert(field.into(), both.into());
            }
        }
    }
    json(&value!({
        "msgInCounter": sum("msgInCounter"), "bytesInCounter": sum("bytesInCounter"),
        "msgOutCounter": sum("msgOutCounter"), "bytesOutCounter": sum("bytesOutCounter"),
        "storageSize": sum("storageSize"), "backlogSize": sum("backlogSize"), "subscriptions": subscriptions,
        "publishers": [], "metadata": { "partitions": count, "deleted": false }, "partitions": each,
    }))
}
