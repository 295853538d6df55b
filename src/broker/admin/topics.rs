//! Topics: made, listed, deleted, closed.

use serde_json::json as value;

use super::answer::{Answer, Refusal, done, json};
use super::request::Request;
use super::routes::unknown;
use super::{policies, stats, subscriptions};
use crate::broker::position::Position;
use crate::protocol::topic::TopicName;

pub fn list(request: &Request, domain: &str, namespace: &str) -> Answer {
    let registry = &request.core.registry;
    if registry.namespace(namespace).is_err() {
        return Err(Refusal::new(404, "Namespace does not exist"));
    }
    let mut names: Vec<String> = registry
        .topics()
        .iter()
        .map(|topic| topic.name())
        .filter(|name| name.domain().as_str() == domain && name.namespace_path() == namespace)
        .map(ToString::to_string)
        .collect();
    names.sort_unstable();
    json(&names)
}

pub fn answer(request: &Request, name: &TopicName, path: &[&str]) -> Answer {
    let registry = &request.core.registry;
    match (request.method.as_str(), path) {
        ("PUT", []) => {
            if request.partitions(name) > 0 || registry.existing(name).is_some() {
                return Err(Refusal::new(409, "This topic already exists"));
            }
            registry.create_topic(name)?;
            done()
        }
        ("DELETE", []) => {
            if request.partitions(name) > 0 {
                let reason = format!(
                    "{name} is a partitioned topic, instead of calling delete topic, please call delete-partitioned-topic."
                );
                return Err(Refusal::new(409, reason));
            }
            delete(request, name)?;
            registry.delete_schema(name);
            done()
        }
        (_, ["partitions"]) => partitions(request, name),
        ("GET", ["partitioned-stats"]) => stats::partitioned(request, name),
        ("GET", ["stats"]) => json(&stats::topic(request, &request.topic(name)?.stats())),
        ("GET", ["internalStats"]) => json(&stats::internal(&request.topic(name)?.stats())),
        ("GET", ["lastMessageId"]) => {
            let found = request.topic(name)?.stats();
            json(&id(name, found.last.unwrap_or(Position::new(found.next.ledger, u64::MAX))))
        }
        ("PUT", ["unload"]) => {
            for topic in request.topics(name)? {
                topic.unload();
            }
            done()
        }
        ("POST", ["terminate"]) => json(&id(name, request.topic(name)?.terminate())),
        ("PUT", ["compaction"]) => {
            for topic in request.topics(name)? {
                // Reading a whole log is not for the threads that serve connections.
                tokio::task::spawn_blocking(move || topic.compact());
            }
            done()
        }
        ("GET", ["compaction"]) => {
            let compaction = request.topic(name)?.stats().compaction;
            let status = match (compaction.running, compaction.ran_at) {
                (true, _) => "RUNNING",
                (false, Some(_)) => "SUCCESS",
                (false, None) => "NOT_RUN",
            };
            json(&value!({ "status": status, "lastError": "" }))
        }
        ("GET", ["permissions"]) => {
            request.topics(name)?;
            json(&value!({}))
        }
        ("GET", ["ledger", ledger, "entry", entry]) => {
            let place = ledger.parse().ok().zip(entry.parse().ok());
            let (ledger, entry) = place.ok_or_else(|| Refusal::new(400, "an id is not a number"))?;
            let found = request.topic(name)?.entry(Position::new(ledger, entry));
            subscriptions::message(found.as_deref())
        }
        ("GET", [_]) => policies::get(request, &request.topic(name)?.policies(), path),
        (_, [_]) => {
            let topics = request.topics(name)?;
            let change = policies::change(request, path)?;
            let Some(first) = topics.first() else { return done() };
            let mut own = first.policies();
            change(&mut own);
            for topic in &topics {
                topic.set_policies(own.clone());
            }
            done()
        }
        _ => Err(unknown(request)),
    }
}

fn partitions(request: &Request, name: &TopicName) -> Answer {
    let (registry, now) = (&request.core.registry, request.partitions(name));
    match request.method.as_str() {
        "GET" => {
            if now == 0 {
                request.topic(name)?;
            }
            json(&value!({ "partitions": now, "deleted": false }))
        }
        "PUT" => {
            let count: u32 = request.body()?;
            if count == 0 {
                return Err(Refusal::new(406, "Number of partitions should be more than 0"));
            }
            if now > 0 || registry.existing(name).is_some() {
                return Err(Refusal::new(409, "This topic already exists"));
            }
            registry.create_partitioned(name, count)?;
            done()
        }
        "POST" => {
            let count: u32 = request.body()?;
            if count < now {
                let reason =
                    format!("Desired partitions {count} can't be less than the current partitions {now}.");
                return Err(Refusal::new(422, reason));
            }
            registry.grow_partitioned(name, count)?;
            done()
        }
        "DELETE" => {
            if now == 0 {
                return Err(Refusal::new(404, format!("Topic {name} not found.")));
            }
            let busy = request.topics(name)?.iter().any(|topic| topic.is_in_use());
            if busy && !request.flag("force") {
                return Err(Refusal::new(412, "Topic has active producers/subscriptions"));
            }
            for partition in 0..now {
                let partition = name.with_partition(partition);
                if registry.existing(&partition).is_some() {
                    delete(request, &partition)?;
                }
            }
            registry.remove_partitioned(name);
            registry.delete_schema(name);
            done()
        }
        _ => Err(unknown(request)),
    }
}

fn delete(request: &Request, name: &TopicName) -> Result<(), Refusal> {
    let force = request.flag("force");
    let topic = request.topic(name)?;
    topic.delete(force).map_err(|error| Refusal::new(412, error.to_string()))?;
    request.core.registry.remove_topic(name);
    Ok(())
}

/// A message id as Pulsar writes it; entry -1 is before the first.
fn id(name: &TopicName, position: Position) -> serde_json::Value {
    value!({
        "ledgerId": position.ledger,
        "entryId": position.entry.cast_signed(),
        "partitionIndex": name.partition().map_or(-1, i64::from),
        "batchIndex": -1,
        "batchSize": 0,
    })
}
