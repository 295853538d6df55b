//! Subscriptions of a topic.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::{HeaderName, HeaderValue, StatusCode};
use serde::Deserialize;

use super::answer::{Answer, Refusal, done, json, typed};
use super::request::Request;
use super::routes::unknown;
use super::time::iso;
use crate::broker::entry::Entry;
use crate::broker::subscription::SeekTo;
use crate::broker::topic::Skip;
use crate::protocol::frame::decode_payload;
use crate::protocol::proto::MessageIdData;
use crate::protocol::topic::TopicName;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Id {
    ledger_id: i64,
    entry_id: i64,
}

/// A subscription is made with an id alone, or with one and properties.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct NewSubscription {
    message_id: Option<Id>,
    ledger_id: Option<i64>,
    entry_id: Option<i64>,
    properties: BTreeMap<String, String>,
}

impl From<Id> for SeekTo {
    fn from(id: Id) -> Self {
        Self::Message(MessageIdData {
            ledger_id: id.ledger_id.cast_unsigned(),
            entry_id: id.entry_id.cast_unsigned(),
            ..MessageIdData::default()
        })
    }
}

pub fn answer(request: &Request, name: &TopicName, path: &[&str]) -> Answer {
    let topics = request.topics(name)?;
    match (request.method.as_str(), path) {
        ("GET", ["subscriptions"]) => {
            let names: BTreeSet<String> =
                topics.iter().flat_map(|topic| topic.stats().subscriptions.into_keys()).collect();
            return json(&names);
        }
        ("PUT", ["subscription", subscription]) => {
            let body: Option<NewSubscription> = request.body()?;
            let NewSubscription { message_id, ledger_id, entry_id, properties } = body.unwrap_or_default();
            let bare = ledger_id.zip(entry_id).map(|(ledger_id, entry_id)| Id { ledger_id, entry_id });
            let latest = || Id { ledger_id: i64::MAX, entry_id: i64::MAX };
            let start = message_id.or(bare).unwrap_or_else(latest).into();
            for topic in &topics {
                topic.create_subscription(subscription, &start, properties.clone())?;
            }
        }
        ("DELETE", ["subscription", subscription]) => {
            for topic in &topics {
                topic.delete_subscription(subscription, request.flag("force")).map_err(|error| {
                    match Refusal::from(error) {
                        Refusal(StatusCode::CONFLICT, reason) => Refusal::new(412, reason),
                        other => other,
                    }
                })?;
            }
        }
        ("POST", ["subscription", subscription, "skip", count]) => {
            let count = number(count)?;
            topics.iter().try_for_each(|topic| topic.skip(subscription, Skip::Count(count)))?;
        }
        ("POST", ["subscription", subscription, "skip_all"]) => {
            topics.iter().try_for_each(|topic| topic.skip(subscription, Skip::All))?;
        }
        ("POST", ["subscription", subscription, "expireMessages", seconds]) => {
            let before = before(request, number(seconds)?);
            topics.iter().try_for_each(|topic| topic.skip(subscription, before))?;
        }
        ("POST", ["all_subscription", "expireMessages", seconds]) => {
            let before = before(request, number(seconds)?);
            for topic in &topics {
                for subscription in topic.stats().subscriptions.keys() {
                    topic.skip(subscription, before)?;
                }
            }
        }
        ("POST", ["subscription", subscription, "resetcursor", time]) => {
            let to = SeekTo::Time(number(time)?);
            topics.iter().try_for_each(|topic| topic.reset_cursor(subscription, &to))?;
        }
        ("POST", ["subscription", subscription, "resetcursor"]) => {
            let to = request.body::<Id>()?.into();
            topics.iter().try_for_each(|topic| topic.reset_cursor(subscription, &to))?;
        }
        ("GET", ["subscription", subscription, "position", n]) => {
            let n = usize::try_from(number(n)?).unwrap_or(usize::MAX);
            return message(request.topic(name)?.peek(subscription, n)?.as_deref());
        }
        _ => return Err(unknown(request)),
    }
    done()
}

fn before(request: &Request, seconds: u64) -> Skip {
    Skip::Before(request.core.clock.unix_millis().saturating_sub(seconds.saturating_mul(1000)))
}

fn number(text: &str) -> Result<u64, Refusal> {
    text.parse().map_err(|_| Refusal::new(400, "a number in the path is none"))
}

/// An entry's body, its id and what its metadata says in headers.
pub fn message(entry: Option<&Entry>) -> Answer {
    let entry = entry.ok_or_else(|| Refusal::new(404, "Message not found"))?;
    let payload = decode_payload(entry.bytes.clone())?;
    let metadata = &payload.metadata;
    let mut response = typed(StatusCode::OK, payload.body.to_vec(), "application/octet-stream");
    let mut put = |name: &'static str, text: String| {
        if let Ok(text) = HeaderValue::from_str(&text) {
            response.headers_mut().insert(HeaderName::from_static(name), text);
        }
    };
    put("x-pulsar-message-id", entry.position.to_string());
    put("x-pulsar-producer-name", metadata.producer_name.clone());
    put("x-pulsar-sequence-id", metadata.sequence_id.to_string());
    put("x-pulsar-publish-time", iso(metadata.publish_time));
    if let Some(time) = metadata.event_time.filter(|time| *time > 0) {
        put("x-pulsar-event-time", iso(time));
    }
    if let Some(key) = &metadata.partition_key {
        put("x-pulsar-partition-key", key.clone());
    }
    if let Some(count) = metadata.num_messages_in_batch {
        put("x-pulsar-num-batch-message", count.to_string());
    }
    let properties: BTreeMap<&str, &str> =
        metadata.properties.iter().map(|pair| (pair.key.as_str(), pair.value.as_str())).collect();
    put("x-pulsar-property", serde_json::to_string(&properties).unwrap_or_default());
    Ok(response)
}
