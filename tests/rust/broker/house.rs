//! A broker for one test, and clients of it.

use fastapi_pulsar_core::broker::Broker;
use fastapi_pulsar_core::broker::config::BrokerOptions;
use fastapi_pulsar_core::client::Client;
use fastapi_pulsar_core::client::auth::NoAuthentication;
use fastapi_pulsar_core::client::options::{ConsumerOptions, Position, ProducerOptions};
use fastapi_pulsar_core::client::{Consumer, Message, OutgoingMessage, Producer};
use fastapi_pulsar_core::clock::Clock;
use tokio::runtime::Handle;

use crate::support::peer::soon;
use crate::support::setup::{client_with, options};

/// A broker with a clock of its own, and a client of it.
pub struct House {
    pub broker: Broker,
    pub clock: Clock,
    pub client: Client,
}

impl House {
    pub fn new() -> Self {
        Self::with(BrokerOptions::default())
    }

    pub fn with(broker: BrokerOptions) -> Self {
        let clock = Clock::default();
        let broker = Broker::start(broker, clock.clone(), Handle::current()).unwrap();
        let client = client_with(options(&broker.service_url()), NoAuthentication, &Clock::default());
        Self { broker, clock, client }
    }

    pub async fn producer(&self, topic: &str) -> Producer {
        let options = ProducerOptions { topic: topic.into(), ..ProducerOptions::default() };
        soon("a producer", self.client.producer(options)).await.unwrap()
    }

    pub async fn consumer(&self, topic: &str) -> Consumer {
        soon("a consumer", self.client.consumer(subscription(topic))).await.unwrap()
    }

    pub async fn close(self) {
        soon("the client's end", self.client.close()).await.unwrap();
        soon("the broker's end", self.broker.close()).await;
    }
}

/// Options of a consumer from the earliest message, subscription `s`.
pub fn subscription(topic: &str) -> ConsumerOptions {
    ConsumerOptions {
        topics: vec![topic.into()],
        subscription: "s".into(),
        initial_position: Position::Earliest,
        ack_receipts: true,
        ack_group_max: 1,
        ..ConsumerOptions::default()
    }
}

pub async fn send(producer: &Producer, text: &str) {
    let message = OutgoingMessage { payload: text.as_bytes().into(), ..OutgoingMessage::default() };
    soon("a receipt", producer.send_and_wait(message)).await.unwrap();
}

pub async fn receive(consumer: &Consumer) -> Message {
    soon("a message", consumer.receive()).await.unwrap()
}

pub fn text(message: &Message) -> String {
    String::from_utf8(message.payload().to_vec()).unwrap()
}

/// Acknowledges, and waits until the broker has it.
pub async fn acknowledge(consumer: &Consumer, message: &Message) {
    let receipt = consumer.acknowledge(message).unwrap().expect("receipts are on");
    soon("a receipt", receipt.wait()).await.unwrap();
}
