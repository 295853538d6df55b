//! What parent and child agree on.

use std::path::Path;
use std::time::Duration;

use fastapi_pulsar_core::broker::Broker;
use fastapi_pulsar_core::broker::config::BrokerOptions;
use fastapi_pulsar_core::client::options::{
    Batching, ConsumerOptions, Position, ProducerOptions, SubscriptionKind,
};
use fastapi_pulsar_core::client::{Client, Consumer, Message, Producer};
use fastapi_pulsar_core::clock::Clock;
use tokio::runtime::Handle;

use crate::support::setup;

pub const NAMESPACE: &str = "public/orders";
/// Messages one by one, and in batches.
pub const TOPICS: [&str; 2] = ["single", "batched"];
/// Acknowledged by the parent only, up to what it has checked.
pub const AUDIT: &str = "audit";
/// Acknowledged by the child, out of order and with receipts.
pub const WORK: &str = "work";
/// The child leaves every so manieth message alone.
pub const SKIPPED: u64 = 7;

pub fn broker(directory: &Path) -> Broker {
    let options =
        BrokerOptions { data_dir: Some(directory.to_str().unwrap().to_owned()), ..BrokerOptions::default() };
    Broker::start(options, Clock::default(), Handle::current()).unwrap()
}

pub fn client(broker: &Broker) -> Client {
    setup::client(&broker.service_url())
}

fn full(topic: &str) -> String {
    format!("persistent://{NAMESPACE}/{topic}")
}

pub async fn producer(client: &Client, topic: &str, name: &str) -> Producer {
    let options = ProducerOptions {
        topic: full(topic),
        name: Some(name.into()),
        batching: if topic == "batched" { Batching::Default } else { Batching::Off },
        batch_max_messages: 10,
        batch_max_delay: Duration::from_millis(1),
        ..ProducerOptions::default()
    };
    client.producer(options).await.unwrap()
}

pub async fn consumer(client: &Client, topic: &str, subscription: &str) -> Consumer {
    let options = ConsumerOptions {
        topics: vec![full(topic)],
        subscription: subscription.into(),
        r#type: if subscription == AUDIT { SubscriptionKind::Exclusive } else { SubscriptionKind::Shared },
        initial_position: Position::Earliest,
        ack_receipts: true,
        batch_index_ack: true,
        ack_group_delay: Duration::from_millis(2),
        ..ConsumerOptions::default()
    };
    client.consumer(options).await.unwrap()
}

pub fn number(message: &Message) -> u64 {
    std::str::from_utf8(message.payload()).unwrap().parse().unwrap()
}
