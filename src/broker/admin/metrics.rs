//! Metrics for Prometheus, by Pulsar's names.

use std::fmt::Write;

use axum::http::StatusCode;

use super::answer::{Answer, typed};
use super::request::Request;
use crate::broker::registry::CLUSTER;

/// Topics that are shown one by one.
const MAX_TOPICS: usize = 10_000;

#[allow(clippy::unnecessary_wraps, reason = "how a handler ends")]
pub fn all(request: &Request) -> Answer {
    let topics = request.core.registry.topics();
    let mut samples: Vec<(&str, String, u64)> = vec![
        ("pulsar_topics_count", String::new(), topics.len() as u64),
        ("pulsar_active_connections", String::new(), request.core.connections() as u64),
    ];
    for topic in topics.iter().take(MAX_TOPICS) {
        let (name, stats) = (topic.name(), topic.stats());
        let labels = format!(",namespace=\"{}\",topic=\"{}\"", name.namespace_path(), escape(name.as_str()));
        let backlog = stats.subscriptions.values().map(|detail| detail.stats.backlog).sum();
        for (metric, value) in [
            ("pulsar_in_messages_total", stats.counters.messages_in),
            ("pulsar_in_bytes_total", stats.counters.bytes_in),
            ("pulsar_producers_count", stats.publishers.len() as u64),
            ("pulsar_subscriptions_count", stats.subscriptions.len() as u64),
            ("pulsar_storage_size", stats.storage_size),
            ("pulsar_msg_backlog", backlog),
        ] {
            samples.push((metric, labels.clone(), value));
        }
        for (subscription, detail) in &stats.subscriptions {
            let labels = format!("{labels},subscription=\"{}\"", escape(subscription));
            for (metric, value) in [
                ("pulsar_subscription_back_log", detail.stats.backlog),
                ("pulsar_subscription_unacked_messages", detail.stats.unacked_messages),
                ("pulsar_subscription_consumers_count", detail.stats.consumers.len() as u64),
                ("pulsar_out_messages_total", detail.stats.counters.messages_out),
                ("pulsar_out_bytes_total", detail.stats.counters.bytes_out),
            ] {
                samples.push((metric, labels.clone(), value));
            }
        }
    }
    // All samples of a metric stand together.
    samples.sort_by_key(|(metric, _, _)| *metric);
    let (mut text, mut last) = (String::new(), "");
    for (metric, labels, value) in samples {
        if metric != last {
            let kind = if metric.ends_with("_total") { "counter" } else { "gauge" };
            let _ = writeln!(text, "# TYPE {metric} {kind}");
            last = metric;
        }
        let _ = writeln!(text, "{metric}{{cluster=\"{CLUSTER}\"{labels}}} {value}");
    }
    Ok(typed(StatusCode::OK, text.into_bytes(), "text/plain; version=0.0.4"))
}

fn escape(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
