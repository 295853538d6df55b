//! What administrators do to topics and subscriptions, and what clients notice of it.

use std::time::Duration;

use fastapi_pulsar_core::client::options::{ConsumerOptions, ProducerOptions};
use fastapi_pulsar_core::client::{Key, OutgoingMessage, Producer};
use fastapi_pulsar_core::error::ErrorKind;
use serde_json::{Value, json};

use crate::house::{House, acknowledge, receive, send, subscription, text};
use crate::http::ask;
use crate::support::peer::soon;

const TOPIC: &str = "/admin/v2/persistent/public/default/t";

async fn post(house: &House, path: &str, body: Value) -> u16 {
    ask(house, "POST", &format!("{TOPIC}/{path}"), body).await.0
}

async fn backlog(house: &House) -> Value {
    let (_, stats) = ask(house, "GET", &format!("{TOPIC}/stats"), Value::Null).await;
    stats["subscriptions"]["s"]["msgBacklog"].clone()
}

async fn send_key(producer: &Producer, key: &str, payload: &str) {
    let key = Some(Key::Text(key.to_owned()));
    let message = OutgoingMessage { payload: payload.as_bytes().into(), key, ..OutgoingMessage::default() };
    soon("a receipt", producer.send_and_wait(message)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn skipping_counts_what_is_not_acknowledged() {
    let house = House::new();
    let producer = house.producer("t").await;
    let consumer = house.consumer("t").await;
    for payload in ["a", "b", "c", "d"] {
        send(&producer, payload).await;
    }
    let messages = [receive(&consumer).await, receive(&consumer).await];
    acknowledge(&consumer, &messages[1]).await;
    soon("the end", consumer.close()).await.unwrap();
    let (_, second) = ask(&house, "GET", &format!("{TOPIC}/subscription/s/position/2"), Value::Null).await;
    assert!(second.as_str().unwrap().ends_with('c'), "b is acknowledged: {second}");
    assert_eq!(post(&house, "subscription/s/skip/2", Value::Null).await, 204);
    assert_eq!(backlog(&house).await, 1);
    assert_eq!(text(&receive(&house.consumer("t").await).await), "d");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_expire_when_they_are_older_than_is_asked_for() {
    let house = House::new();
    let producer = house.producer("t").await;
    assert_eq!(ask(&house, "PUT", &format!("{TOPIC}/subscription/s"), Value::Null).await.0, 204);
    send(&producer, "a").await;
    house.clock.advance(Duration::from_secs(100));
    assert_eq!(post(&house, "subscription/s/expireMessages/200", Value::Null).await, 204);
    assert_eq!(backlog(&house).await, 1);
    assert_eq!(post(&house, "all_subscription/expireMessages/50", Value::Null).await, 204);
    assert_eq!(backlog(&house).await, 0);
    assert_eq!(post(&house, "subscription/none/expireMessages/50", Value::Null).await, 404);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_reset_under_its_consumer() {
    let house = House::new();
    let producer = house.producer("t").await;
    let consumer = house.consumer("t").await;
    let mut ids = Vec::new();
    for payload in ["a", "b", "c"] {
        send(&producer, payload).await;
        let message = receive(&consumer).await;
        acknowledge(&consumer, &message).await;
        ids.push(message.id());
    }
    assert_eq!(backlog(&house).await, 0);
    let second = json!({ "ledgerId": ids[1].ledger, "entryId": ids[1].entry });
    assert_eq!(post(&house, "subscription/s/resetcursor", second).await, 204);
    assert_eq!(text(&receive(&consumer).await), "b");
    assert_eq!(post(&house, "subscription/s/resetcursor/0", Value::Null).await, 204);
    while text(&receive(&consumer).await) != "a" {}
    assert_eq!(post(&house, "subscription/s/resetcursor/x", Value::Null).await, 400);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminated_topic_takes_no_more() {
    let house = House::new();
    let producer = house.producer("t").await;
    send(&producer, "a").await;
    let (status, last) = ask(&house, "POST", &format!("{TOPIC}/terminate"), Value::Null).await;
    assert_eq!((status, &last["entryId"]), (200, &json!(0)));
    assert_eq!(ask(&house, "GET", &format!("{TOPIC}/lastMessageId"), Value::Null).await.1, last);
    let options = ProducerOptions { topic: "t".into(), ..ProducerOptions::default() };
    let refused = soon("a refusal", house.client.producer(options)).await.map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TopicTerminated);
    assert_eq!(text(&receive(&house.consumer("t").await).await), "a");
    house.close().await;
}

/// Waits until the topic is compacted, then reads the compacted view.
async fn compacted(house: &House, count: usize) -> Vec<String> {
    let compacting = async {
        while ask(house, "GET", &format!("{TOPIC}/compaction"), Value::Null).await.1["status"] != "SUCCESS" {}
    };
    soon("compaction", compacting).await;
    let options = ConsumerOptions { read_compacted: true, ..subscription("t") };
    let consumer = soon("a consumer", house.client.consumer(options)).await.unwrap();
    let mut texts = Vec::new();
    while texts.len() < count {
        texts.push(text(&receive(&consumer).await));
    }
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_is_asked_for_and_its_status_told() {
    let house = House::new();
    let producer = house.producer("t").await;
    for payload in ["a1", "b1", "a2"] {
        send_key(&producer, &payload[..1], payload).await;
    }
    let status = ask(&house, "GET", &format!("{TOPIC}/compaction"), Value::Null).await;
    assert_eq!(status, (200, json!({ "status": "NOT_RUN", "lastError": "" })));
    assert_eq!(ask(&house, "PUT", &format!("{TOPIC}/compaction"), Value::Null).await.0, 204);
    assert_eq!(compacted(&house, 2).await, ["b1", "a2"]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn compaction_starts_by_itself_over_the_threshold_of_a_namespace() {
    let house = House::new();
    let threshold = "/admin/v2/namespaces/public/default/compactionThreshold";
    assert_eq!(ask(&house, "PUT", threshold, json!(1000)).await.0, 204);
    let producer = house.producer("t").await;
    // Only the last one passes the threshold.
    let large = "a".repeat(1000);
    for payload in ["a1", "a2", &large] {
        send_key(&producer, "a", payload).await;
    }
    assert_eq!(compacted(&house, 1).await, [large]);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partitioned_topic_is_made_grown_and_administered_as_one() {
    let house = House::new();
    let partitions = format!("{TOPIC}/partitions");
    assert_eq!(ask(&house, "PUT", &partitions, json!(2)).await.0, 204);
    assert_eq!(ask(&house, "PUT", &partitions, json!(2)).await.0, 409);
    assert_eq!(ask(&house, "POST", &partitions, json!(1)).await.0, 422);
    assert_eq!(ask(&house, "POST", &partitions, json!(3)).await.0, 204);
    assert_eq!(ask(&house, "GET", &partitions, Value::Null).await.1["partitions"], 3);
    assert_eq!(ask(&house, "PUT", &format!("{TOPIC}/subscription/s"), Value::Null).await.0, 204);
    let producer = house.producer("t").await;
    for key in 0..9 {
        send_key(&producer, &key.to_string(), "x").await;
    }
    let stats = format!("{TOPIC}/partitioned-stats");
    let (_, found) = ask(&house, "GET", &stats, Value::Null).await;
    assert_eq!((&found["msgInCounter"], &found["metadata"]["partitions"]), (&json!(9), &json!(3)));
    assert_eq!(found["partitions"].as_object().unwrap().len(), 3);
    assert_eq!(post(&house, "subscription/s/skip_all", Value::Null).await, 204);
    let (_, found) = ask(&house, "GET", &stats, Value::Null).await;
    assert_eq!(found["subscriptions"]["s"]["msgBacklog"], 0);
    assert_eq!(ask(&house, "DELETE", TOPIC, Value::Null).await.0, 409, "it is partitioned");
    assert_eq!(ask(&house, "DELETE", &partitions, Value::Null).await.0, 412, "it has a producer");
    // By force it would be closed, come back, and make its partitions anew.
    soon("the end", producer.close()).await.unwrap();
    assert_eq!(ask(&house, "DELETE", &partitions, Value::Null).await.0, 204);
    let (_, listed) = ask(&house, "GET", "/admin/v2/persistent/public/default", Value::Null).await;
    assert_eq!(listed, json!([]));
    house.close().await;
}
