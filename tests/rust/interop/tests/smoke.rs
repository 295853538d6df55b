//! The crate `pulsar` as a client of the embedded broker, or of the broker that `PULSAR_SERVICE_URL` names.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]
#![allow(clippy::large_futures, reason = "the crate's own")]

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fastapi_pulsar_core::broker::Broker;
use fastapi_pulsar_core::broker::config::BrokerOptions;
use fastapi_pulsar_core::clock::Clock;
use futures::TryStreamExt;
use futures::future::join_all;
use pulsar::consumer::{DeadLetterPolicy, InitialPosition, Message};
use pulsar::message::proto::Schema;
use pulsar::message::proto::schema::Type;
use pulsar::{
    Consumer, ConsumerOptions, ProducerOptions, Pulsar, SerializeMessage, SubType, TokioExecutor, producer,
};
use tokio::runtime::Handle;
use tokio::time::timeout;

type Client = Pulsar<TokioExecutor>;
type Receiver = Consumer<Vec<u8>, TokioExecutor>;

const LIMIT: Duration = Duration::from_secs(20);
/// Long enough for what must not come to have come.
const QUIET: Duration = Duration::from_millis(500);
const ORDER: &str = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"int"},{"name":"customer","type":"string"}]}"#;
/// Another type for a field, which no reader of the first can take.
const OTHER: &str = r#"{"type":"record","name":"Order","fields":[{"name":"id","type":"string"},{"name":"customer","type":"string"}]}"#;

/// A broker and a client of it; the embedded broker lives as long.
struct Scene {
    client: Client,
    topic: String,
    _broker: Option<Broker>,
}

impl Scene {
    async fn new() -> Self {
        static TOPICS: AtomicU64 = AtomicU64::new(0);
        let (url, broker) = if let Ok(url) = std::env::var("PULSAR_SERVICE_URL") {
            (url, None)
        } else {
            let broker =
                Broker::start(BrokerOptions::default(), Clock::default(), Handle::current()).unwrap();
            (broker.service_url(), Some(broker))
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos();
        let number = TOPICS.fetch_add(1, Ordering::Relaxed);
        let topic = format!("persistent://public/default/pulsar-rs-{now}-{number}");
        let client = timeout(LIMIT, Pulsar::builder(url, TokioExecutor).build()).await.unwrap().unwrap();
        Self { client, topic, _broker: broker }
    }

    async fn subscribe(
        &self,
        topic: &str,
        kind: SubType,
        dead_letters: Option<DeadLetterPolicy>,
    ) -> Receiver {
        let options = ConsumerOptions::default().with_initial_position(InitialPosition::Earliest);
        let mut builder = self
            .client
            .consumer()
            .with_topic(topic)
            .with_subscription("smoke")
            .with_subscription_type(kind)
            .with_options(options);
        if let Some(policy) = dead_letters {
            builder = builder.with_dead_letter_policy(policy);
        }
        timeout(LIMIT, builder.build()).await.unwrap().unwrap()
    }

    async fn publish(
        &self,
        topic: &str,
        options: ProducerOptions,
        messages: impl IntoIterator<Item = Letter>,
    ) {
        let batching = options.batch_size.is_some();
        let builder = self.client.producer().with_topic(topic).with_options(options);
        let mut producer = timeout(LIMIT, builder.build()).await.unwrap().unwrap();
        let mut receipts = Vec::new();
        for message in messages {
            receipts.push(producer.send_non_blocking(message).await.unwrap());
        }
        if batching {
            producer.send_batch().await.unwrap();
        }
        for receipt in timeout(LIMIT, join_all(receipts)).await.unwrap() {
            receipt.unwrap();
        }
    }
}

#[derive(Clone, Debug)]
struct Letter {
    payload: String,
    key: Option<String>,
}

impl Letter {
    fn plain(payload: impl Into<String>) -> Self {
        Self { payload: payload.into(), key: None }
    }
}

impl SerializeMessage for Letter {
    fn serialize_message(letter: Self) -> Result<producer::Message, pulsar::Error> {
        let payload = letter.payload.into_bytes();
        Ok(producer::Message { payload, partition_key: letter.key, ..producer::Message::default() })
    }
}

async fn next(consumer: &mut Receiver, limit: Duration) -> Option<Message<Vec<u8>>> {
    timeout(limit, consumer.try_next())
        .await
        .ok()
        .map(|received| received.unwrap().expect("the consumer ended"))
}

fn text(message: &Message<Vec<u8>>) -> String {
    String::from_utf8(message.payload.data.clone()).unwrap()
}

async fn texts(consumer: &mut Receiver, count: usize) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < count {
        let message = next(consumer, LIMIT).await.unwrap_or_else(|| panic!("only {found:?} of {count} came"));
        consumer.ack(&message).await.unwrap();
        found.push(text(&message));
    }
    found
}

fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_arrives_in_order_and_acknowledged_does_not_come_again() {
    for batch_size in [None, Some(10)] {
        let scene = Scene::new().await;
        let mut consumer = scene.subscribe(&scene.topic, SubType::Exclusive, None).await;
        let options = ProducerOptions { batch_size, ..ProducerOptions::default() };
        scene.publish(&scene.topic, options, numbers(0..50).into_iter().map(Letter::plain)).await;
        assert_eq!(texts(&mut consumer, 50).await, numbers(0..50));
        consumer.close().await.unwrap();
        let mut again = scene.subscribe(&scene.topic, SubType::Exclusive, None).await;
        assert!(next(&mut again, QUIET).await.is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_consumers_share_the_keys() {
    const KEYS: usize = 20;
    let scene = Scene::new().await;
    let mut consumers = Vec::new();
    for _ in 0..2 {
        consumers.push(scene.subscribe(&scene.topic, SubType::KeyShared, None).await);
    }
    let letters = (0..KEYS * 5)
        .map(|number| Letter { payload: number.to_string(), key: Some(format!("key-{}", number % KEYS)) });
    scene.publish(&scene.topic, ProducerOptions::default(), letters).await;
    let mut owners: HashMap<String, usize> = HashMap::new();
    let mut received: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let finished = async {
        while received.values().map(Vec::len).sum::<usize>() < KEYS * 5 {
            for (index, consumer) in consumers.iter_mut().enumerate() {
                if let Some(message) = next(consumer, QUIET).await {
                    let key = message.key().unwrap();
                    assert_eq!(*owners.entry(key.clone()).or_insert(index), index, "{key} went to both");
                    received.entry(key).or_default().push(text(&message));
                    consumer.ack(&message).await.unwrap();
                }
            }
        }
    };
    timeout(Duration::from_mins(1), finished).await.unwrap();
    for number in 0..KEYS {
        let expected: Vec<String> = (0..5).map(|round| (round * KEYS + number).to_string()).collect();
        assert_eq!(received[&format!("key-{number}")], expected);
    }
    assert!(owners.values().any(|owner| *owner == 0) && owners.values().any(|owner| *owner == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seek_delivers_again() {
    let scene = Scene::new().await;
    let mut consumer = scene.subscribe(&scene.topic, SubType::Shared, None).await;
    scene
        .publish(&scene.topic, ProducerOptions::default(), numbers(0..10).into_iter().map(Letter::plain))
        .await;
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(next(&mut consumer, LIMIT).await.unwrap().message_id.id);
    }
    // The crate drops the consumer for a new one, which an exclusive subscription could not take: so Shared.
    // To the message itself: the broker delivers it again. By time: all of them.
    for (id, time, expected) in [(Some(ids[5].clone()), None, 5..10), (None, Some(1), 0..10)] {
        timeout(LIMIT, consumer.seek(None, id, time, scene.client.clone())).await.unwrap().unwrap();
        assert_eq!(texts(&mut consumer, expected.len()).await, numbers(expected));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_is_kept_and_one_that_does_not_go_with_it_refused() {
    let scene = Scene::new().await;
    let schema =
        |text: &str| Schema { r#type: Type::Json.into(), schema_data: text.into(), ..Schema::default() };
    let options = |text: &str| ProducerOptions { schema: Some(schema(text)), ..ProducerOptions::default() };
    let mut consumer = scene.subscribe(&scene.topic, SubType::Exclusive, None).await;
    let order = r#"{"id":7,"customer":"Ada"}"#;
    scene.publish(&scene.topic, options(ORDER), [Letter::plain(order)]).await;
    let message = next(&mut consumer, LIMIT).await.unwrap();
    assert_eq!(text(&message), order);
    assert!(message.metadata().schema_version.is_some());
    let refused = scene.client.producer().with_topic(&scene.topic).with_options(options(OTHER)).build();
    let error = timeout(LIMIT, refused).await.unwrap().err().expect("an incompatible schema was taken");
    assert!(format!("{error:?}").contains("IncompatibleSchema"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_too_often_is_a_dead_letter() {
    let scene = Scene::new().await;
    let dead_letter_topic = format!("{}-DLQ", scene.topic);
    let mut dead = scene.subscribe(&dead_letter_topic, SubType::Exclusive, None).await;
    let policy = DeadLetterPolicy { max_redeliver_count: 1, dead_letter_topic };
    let mut consumer = scene.subscribe(&scene.topic, SubType::Shared, Some(policy)).await;
    let letters = ["good", "bad"].map(Letter::plain);
    scene.publish(&scene.topic, ProducerOptions::default(), letters).await;
    // The consumer counts deliveries only while it is asked for messages.
    let buried = async {
        loop {
            tokio::select! {
                message = consumer.try_next() => {
                    let message = message.unwrap().unwrap();
                    if text(&message) == "good" {
                        consumer.ack(&message).await.unwrap();
                    } else {
                        consumer.nack(&message).await.unwrap();
                    }
                }
                letter = dead.try_next() => return text(&letter.unwrap().unwrap()),
            }
        }
    };
    assert_eq!(timeout(LIMIT, buried).await.unwrap(), "bad");
    assert!(next(&mut dead, QUIET).await.is_none());
}
