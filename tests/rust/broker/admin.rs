//! The door for administrators, by a plain HTTP client.

use serde_json::{Value, json};

use crate::house::{House, receive, send};
use crate::http::{ask, raw};

#[tokio::test(flavor = "multi_thread")]
async fn topics_and_subscriptions_are_administered() {
    let house = House::new();
    let topic = "/admin/v2/persistent/public/default/t";
    assert_eq!(ask(&house, "PUT", topic, Value::Null).await.0, 204);
    assert_eq!(ask(&house, "PUT", topic, Value::Null).await.0, 409);
    assert_eq!(ask(&house, "PUT", &format!("{topic}/subscription/s"), Value::Null).await.0, 204);
    let producer = house.producer("t").await;
    for text in ["a", "b", "c"] {
        send(&producer, text).await;
    }
    assert_eq!(ask(&house, "POST", &format!("{topic}/subscription/s/skip/1"), Value::Null).await.0, 204);
    let (status, found) = ask(&house, "GET", &format!("{topic}/stats"), Value::Null).await;
    assert_eq!((status, &found["subscriptions"]["s"]["msgBacklog"]), (200, &json!(2)));
    assert_eq!(found["msgInCounter"], 3);
    let (_, peeked) = ask(&house, "GET", &format!("{topic}/subscription/s/position/1"), Value::Null).await;
    // A batch is shown as it is stored, as on a real broker: the client takes it apart.
    assert!(peeked.as_str().unwrap().ends_with('b'), "{peeked}");
    let consumer = house.consumer("t").await;
    assert_eq!(receive(&consumer).await.payload(), &b"b"[..]);
    let (_, names) = ask(&house, "GET", "/admin/v2/persistent/public/default", Value::Null).await;
    assert_eq!(names, json!(["persistent://public/default/t"]));
    let (status, found) =
        ask(&house, "GET", "/lookup/v2/topic/persistent/public/default/t", Value::Null).await;
    assert_eq!((status, &found["brokerUrl"]), (200, &json!(house.broker.service_url())));
    let (_, metrics) = ask(&house, "GET", "/metrics/", Value::Null).await;
    assert!(metrics.as_str().unwrap().contains("pulsar_in_messages_total{"), "{metrics}");
    assert_eq!(ask(&house, "DELETE", topic, Value::Null).await.0, 412, "it is in use");
    assert_eq!(ask(&house, "DELETE", &format!("{topic}?force=true"), Value::Null).await.0, 204);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_policies_partitions_and_schemas_are_administered() {
    let house = House::new();
    let n = "/admin/v2/namespaces/public/n";
    assert_eq!(ask(&house, "PUT", n, json!({"deduplicationEnabled": true})).await.0, 204);
    assert_eq!(ask(&house, "GET", &format!("{n}/deduplication"), Value::Null).await, (200, json!(true)));
    assert_eq!(ask(&house, "POST", &format!("{n}/messageTTL"), json!(-10)).await.0, 412);
    assert_eq!(ask(&house, "POST", &format!("{n}/messageTTL"), json!(10)).await.0, 204);
    assert_eq!(ask(&house, "GET", &format!("{n}/messageTTL"), Value::Null).await, (200, json!(10)));
    let p = "/admin/v2/persistent/public/n/p/partitions";
    assert_eq!(ask(&house, "PUT", p, json!(3)).await.0, 204);
    assert_eq!(ask(&house, "GET", p, Value::Null).await.1["partitions"], 3);
    assert_eq!(ask(&house, "DELETE", n, Value::Null).await.0, 409);
    assert_eq!(ask(&house, "DELETE", p, Value::Null).await.0, 204);
    let s = "/admin/v2/schemas/public/n/t";
    let schema = json!({"type": "STRING", "schema": "", "properties": {}});
    assert_eq!(ask(&house, "POST", &format!("{s}/schema"), schema.clone()).await.1["version"]["version"], 0);
    assert_eq!(ask(&house, "POST", &format!("{s}/compatibility"), schema).await.0, 202);
    assert_eq!(ask(&house, "GET", &format!("{s}/schema"), Value::Null).await.1["type"], "STRING");
    assert_eq!(ask(&house, "DELETE", &format!("{s}/schema"), Value::Null).await.1["version"], 1);
    assert_eq!(ask(&house, "DELETE", n, Value::Null).await.0, 204);
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_served_is_refused_and_hostile_bytes_do_no_harm() {
    let house = House::new();
    for path in
        ["/", "/admin/v2/nothing", "/admin/v3/clusters", "/admin/v2/persistent/public/default/t/stats"]
    {
        let (status, body) = ask(&house, "GET", path, Value::Null).await;
        assert_eq!(status, 404, "{path}");
        assert!(body["reason"].is_string(), "{path}: {body}");
    }
    assert_eq!(ask(&house, "GET", "/admin/v2/%ff", Value::Null).await.0, 400);
    let huge = format!(
        "PUT /admin/v2/tenants/x HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        3 << 20
    );
    let mut huge = huge.into_bytes();
    huge.resize(huge.len() + (3 << 20), b'x');
    raw(&house, &huge).await;
    raw(&house, b"\x00\x01\x02\r\n\r\n").await;
    assert_eq!(ask(&house, "GET", "/admin/v2/brokers/health", Value::Null).await.0, 200);
    house.close().await;
}
