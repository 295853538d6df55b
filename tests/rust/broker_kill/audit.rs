//! The parent: opens the data of the killed broker, and checks what is there against what was confirmed.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use fastapi_pulsar_core::broker::Broker;
use fastapi_pulsar_core::broker::policies::Policies;
use fastapi_pulsar_core::broker::registry::Namespace;
use fastapi_pulsar_core::client::{Client, Consumer, OutgoingMessage};

use crate::scene::{self, AUDIT, SKIPPED, TOPICS, WORK};
use crate::victim::Said;

/// Ends what is to be read.
const END: u64 = u64::MAX;

pub struct Audit {
    directory: PathBuf,
    /// By topic: all numbers before are checked and acknowledged by both subscriptions.
    checked: HashMap<&'static str, u64>,
    published: usize,
    acked: usize,
}

impl Audit {
    /// Makes the namespace and the subscriptions.
    pub async fn begin(directory: &Path) -> Self {
        let broker = scene::broker(directory);
        make_namespace(&broker).await;
        let client = scene::client(&broker);
        for topic in TOPICS {
            for subscription in [AUDIT, WORK] {
                scene::consumer(&client, topic, subscription).await.close().await.unwrap();
            }
        }
        end(client, broker).await;
        let checked = TOPICS.map(|topic| (topic, 0)).into();
        Self { directory: directory.to_owned(), checked, published: 0, acked: 0 }
    }

    /// What the child said was confirmed must be there, once, in order, and unacknowledged unless acknowledged.
    pub async fn check(&mut self, said: &HashMap<String, Said>, kill: u64) {
        let broker = scene::broker(&self.directory);
        let client = scene::client(&broker);
        let nothing = Said::default();
        for topic in TOPICS {
            let said = said.get(topic).unwrap_or(&nothing);
            let place = format!("kill {kill}, {topic}");
            let first = self.checked[topic];
            if let Some(last) = said.last_sequence_id {
                assert_eq!(last, i64::try_from(first).unwrap() - 1, "{place}: the last sequence id");
            }
            mark_end(&client, topic, kill).await;

            let all = drain(&client, topic, AUDIT).await;
            let next = first + all.len() as u64;
            assert_eq!(all, (first..next).collect::<Vec<_>>(), "{place}: all messages, once and in order");
            let confirmed = said.published.iter().max().map_or(0, |last| last + 1);
            assert!(next >= confirmed, "{place}: {confirmed} messages were confirmed, {next} are there");

            let left = drain(&client, topic, WORK).await;
            let open: BTreeSet<u64> = left.iter().copied().collect();
            assert_eq!(open.len(), left.len(), "{place}: a message came twice");
            let again: Vec<_> = said.acked.iter().filter(|number| open.contains(number)).collect();
            assert!(again.is_empty(), "{place}: {again:?} were acknowledged and came again");
            assert!(
                open.iter().all(|number| (first..next).contains(number)),
                "{place}: old messages: {open:?}"
            );
            let mut skipped = (first..next).filter(|number| number.is_multiple_of(SKIPPED));
            let lost = skipped.find(|number| !open.contains(number));
            assert_eq!(lost, None, "{place}: was acknowledged by nobody");

            self.checked.insert(topic, next);
            self.published += said.published.len();
            self.acked += said.acked.len();
        }
        end(client, broker).await;
    }

    pub fn summary(&self) -> String {
        let stored: u64 = self.checked.values().sum();
        format!(
            "{stored} messages stored, {} confirmed; {} acknowledgements confirmed",
            self.published, self.acked
        )
    }

    pub fn was_worth_it(&self) -> bool {
        self.published > 0 && self.acked > 0
    }
}

/// With deduplication, so that a producer goes on where it stopped.
async fn make_namespace(broker: &Broker) {
    let registry = Arc::clone(&broker.core().unwrap().registry);
    let policies = Policies { deduplication: Some(true), ..Policies::default() };
    registry.create_namespace(scene::NAMESPACE, Namespace { policies }).unwrap();
    registry.settled().await.unwrap();
}

async fn end(client: Client, broker: Broker) {
    client.close().await.unwrap();
    broker.close().await;
}

async fn mark_end(client: &Client, topic: &str, kill: u64) {
    let producer = scene::producer(client, topic, &format!("audit-{kill}")).await;
    let payload = Bytes::from(END.to_string()).into();
    producer.send_and_wait(OutgoingMessage { payload, ..OutgoingMessage::default() }).await.unwrap();
    producer.close().await.unwrap();
}

/// Everything that a subscription has not acknowledged; acknowledged now.
async fn drain(client: &Client, topic: &str, subscription: &str) -> Vec<u64> {
    let consumer = scene::consumer(client, topic, subscription).await;
    let (mut numbers, mut receipts) = (Vec::new(), Vec::new());
    loop {
        let message = consumer.receive().await.unwrap();
        receipts.extend(consumer.acknowledge(&message).unwrap());
        match scene::number(&message) {
            END => break,
            number => numbers.push(number),
        }
    }
    settle(&consumer, receipts).await;
    numbers
}

async fn settle(consumer: &Consumer, receipts: Vec<fastapi_pulsar_core::client::AckReceipt>) {
    for receipt in receipts {
        receipt.wait().await.unwrap();
    }
    consumer.close().await.unwrap();
}
