//! The one cluster, its one broker, and where topics are served.

use axum::http::StatusCode;
use serde_json::json as value;

use super::answer::{Answer, json, typed};
use super::request::Request;
use super::routes::unknown;
use crate::broker::registry::CLUSTER;
use crate::protocol::topic::TopicName;

/// The version of Pulsar whose interface this is.
const VERSION: &str = "4.0.8";

pub fn answer(request: &Request, what: &str, path: &[&str]) -> Answer {
    if request.method != "GET" {
        return Err(unknown(request));
    }
    let broker = request.url.split_once("://").map_or("", |(_, host)| host);
    match (what, path) {
        ("clusters", []) => json(&[CLUSTER]),
        ("clusters", [CLUSTER]) => {
            json(&value!({ "serviceUrl": request.url, "brokerServiceUrl": service_url(request) }))
        }
        ("brokers", ["health" | "ready"]) => text("ok"),
        ("brokers", ["version"]) => text(VERSION),
        ("brokers", [] | [CLUSTER]) => json(&[broker]),
        ("brokers", ["leaderBroker"]) => json(&value!({ "serviceUrl": request.url, "brokerId": broker })),
        ("brokers", ["configuration", "runtime"]) => json(&value!({
            "clusterName": CLUSTER,
            "maxMessageSize": request.core.options.limits.max_message_size.to_string(),
            "authenticationEnabled": request.core.authenticator.is_some().to_string(),
            "acknowledgmentAtBatchIndexLevelEnabled": "true",
        })),
        _ => Err(unknown(request)),
    }
}

pub fn lookup(request: &Request, name: &TopicName) -> Answer {
    request.core.registry.namespace(name.namespace_path())?;
    let url = service_url(request);
    let secure = request.core.options.tls.is_some();
    json(&value!({
        "brokerUrl": if secure { "" } else { &url },
        "brokerUrlTls": if secure { &url } else { "" },
        "httpUrl": request.url,
        "nativeUrl": url,
        "brokerUrlSsl": if secure { &url } else { "" },
    }))
}

fn service_url(request: &Request) -> String {
    let options = &request.core.options;
    let host = request.core.address.ip();
    let host = if host.is_unspecified() { "127.0.0.1".into() } else { host.to_string() };
    request.core.url(options.advertised_host.as_deref().unwrap_or(&host))
}

#[allow(clippy::unnecessary_wraps, reason = "how a handler ends")]
fn text(text: &str) -> Answer {
    Ok(typed(StatusCode::OK, text.as_bytes().to_vec(), "text/plain"))
}
