//! What comes back after a restart on a data directory, and what does not.

use std::path::PathBuf;

use fastapi_pulsar_core::broker::config::BrokerOptions;
use serde_json::{Value, json};

use crate::house::{House, acknowledge, receive, send, text};
use crate::http::ask;
use crate::support::peer::soon;

/// A directory of its own, which goes with it.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("fastapi-pulsar-{}-{name}", std::process::id()));
        Self(path)
    }

    fn broker(&self) -> BrokerOptions {
        BrokerOptions { data_dir: Some(self.0.to_str().unwrap().to_owned()), ..BrokerOptions::default() }
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Each is made by a request, and found again by its path.
const FOUND: [&str; 6] = [
    "tenants/mine",
    "namespaces/mine/n/messageTTL",
    "persistent/mine/n/t/retention",
    "persistent/mine/n/p/partitions",
    "persistent/mine/n/t/subscriptions",
    "schemas/mine/n/t/schema",
];

async fn make_all(house: &House) {
    let retention = json!({ "retentionTimeInMinutes": 5, "retentionSizeInMB": 6 });
    let schema =
        json!({ "type": "JSON", "schema": r#"{"type":"record","name":"R","fields":[]}"#, "properties": {} });
    for (method, path, body) in [
        ("PUT", "tenants/mine", json!({ "adminRoles": ["me"], "allowedClusters": ["standalone"] })),
        ("PUT", "namespaces/mine/n", Value::Null),
        ("POST", "namespaces/mine/n/messageTTL", json!(77)),
        ("PUT", "persistent/mine/n/t", Value::Null),
        ("POST", "persistent/mine/n/t/retention", retention),
        ("PUT", "persistent/mine/n/p/partitions", json!(3)),
        ("PUT", "persistent/mine/n/t/subscription/s", Value::Null),
        ("POST", "schemas/mine/n/t/schema", schema),
    ] {
        let (status, answer) = ask(house, method, &format!("/admin/v2/{path}"), body).await;
        assert!(status < 300, "{method} {path}: {status} {answer}");
    }
}

async fn found(house: &House) -> Vec<(u16, Value)> {
    let mut all = Vec::new();
    for path in FOUND {
        all.push(ask(house, "GET", &format!("/admin/v2/{path}"), Value::Null).await);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn what_administrators_made_comes_back_and_goes_when_the_data_is_not_kept() {
    let directory = Directory::new("administered");
    let house = House::with(directory.broker());
    make_all(&house).await;
    let before = found(&house).await;
    assert!(before.iter().all(|(status, _)| *status == 200), "{before:?}");
    soon("a restart", house.broker.restart(true)).await.unwrap();
    assert_eq!(found(&house).await, before);
    soon("a restart", house.broker.restart(false)).await.unwrap();
    let gone = found(&house).await;
    assert!(gone.iter().all(|(status, _)| *status == 404), "{gone:?}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_and_what_was_acknowledged_of_them_come_back() {
    let directory = Directory::new("messages");
    let house = House::with(directory.broker());
    let producer = house.producer("t").await;
    let consumer = house.consumer("t").await;
    for payload in ["a", "b"] {
        send(&producer, payload).await;
    }
    let first = receive(&consumer).await;
    acknowledge(&consumer, &first).await;
    soon("the end", consumer.close()).await.unwrap();
    soon("a restart", house.broker.restart(true)).await.unwrap();
    assert_eq!(text(&receive(&house.consumer("t").await).await), "b");
    soon("a restart", house.broker.restart(false)).await.unwrap();
    // The producer comes back by itself, and makes the topic anew.
    send(&producer, "c").await;
    assert_eq!(text(&receive(&house.consumer("t").await).await), "c");
    house.close().await;
}
