//! The child: publishes and acknowledges, and says what was confirmed, until it is killed.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use fastapi_pulsar_core::client::{Client, Completion, OutgoingMessage};
use tokio::sync::Semaphore;

use crate::scene::{self, SKIPPED, TOPICS, WORK};

/// Messages on their way at the same time.
const IN_FLIGHT: usize = 100;

pub async fn run(directory: PathBuf) {
    let broker = scene::broker(&directory);
    let client = scene::client(&broker);
    let topics = TOPICS.map(|topic| {
        let (publishing, working) = (publish(client.clone(), topic), work(client.clone(), topic));
        [tokio::spawn(publishing), tokio::spawn(working)]
    });
    for task in topics.into_iter().flatten() {
        task.await.unwrap();
    }
}

/// Publishes the numbers that follow the last one that the broker has.
async fn publish(client: Client, topic: &'static str) {
    let producer = scene::producer(&client, topic, "load").await;
    let last = producer.last_sequence_id();
    println!("last {topic} {last}");
    let room = Arc::new(Semaphore::new(IN_FLIGHT));
    for number in u64::try_from(last + 1).unwrap().. {
        let permit = Arc::clone(&room).acquire_owned().await.unwrap();
        let message = OutgoingMessage {
            payload: Bytes::from(number.to_string()).into(),
            sequence_id: Some(number),
            ..OutgoingMessage::default()
        };
        let confirmed = move |result: Result<_, _>| {
            result.unwrap();
            println!("published {topic} {number}");
            drop(permit);
        };
        producer.send(message, Completion::Callback(Box::new(confirmed))).unwrap();
    }
}

/// Acknowledges most of what it gets.
async fn work(client: Client, topic: &'static str) {
    let consumer = scene::consumer(&client, topic, WORK).await;
    loop {
        let message = consumer.receive().await.unwrap();
        let number = scene::number(&message);
        if number.is_multiple_of(SKIPPED) {
            continue;
        }
        let receipt = consumer.acknowledge(&message).unwrap().unwrap();
        tokio::spawn(async move {
            receipt.wait().await.unwrap();
            println!("acked {topic} {number}");
        });
    }
}
