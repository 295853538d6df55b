//! Load for comparing brokers, from our own engine: `broker_load FUNCTION JSON` prints a JSON result.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastapi_pulsar_core::client::auth::NoAuthentication;
use fastapi_pulsar_core::client::options::{
    Batching, ClientOptions, ConsumerOptions, Position, ProducerOptions, SubscriptionKind,
};
use fastapi_pulsar_core::client::{Client, Completion, Consumer, OutgoingMessage, Producer};
use fastapi_pulsar_core::clock::Clock;
use futures::future::try_join_all;
use interop::bench::{Meter, Outcome, Run};
use tokio::runtime::Handle;

const WARM_UP: usize = 2000;
/// Topics made at the same time.
const AT_ONCE: usize = 50;
/// Messages of a latency run are sent this far apart.
const PAUSE: Duration = Duration::from_millis(2);

fn client(run: &Run) -> Outcome<Client> {
    let options = ClientOptions { service_url: run.url.clone(), ..ClientOptions::default() };
    Ok(Client::new(options, Arc::new(NoAuthentication), Clock::default(), Handle::current())?)
}

async fn producer(client: &Client, run: &Run, topic: &str, batching: Batching) -> Outcome<Producer> {
    let options = ProducerOptions {
        topic: topic.into(),
        batching,
        max_pending_messages: run.pending,
        ..ProducerOptions::default()
    };
    Ok(client.producer(options).await?)
}

async fn consumer(client: &Client, run: &Run, topic: &str, kind: SubscriptionKind) -> Outcome<Consumer> {
    let options = ConsumerOptions {
        topics: vec![topic.into()],
        subscription: run.subscription.clone(),
        r#type: kind,
        initial_position: Position::Earliest,
        ..ConsumerOptions::default()
    };
    Ok(client.consumer(options).await?)
}

/// Publishes with `pending` messages in flight.
async fn publish(run: &Run, batching: Batching) -> Outcome<()> {
    let client = client(run)?;
    let producer = producer(&client, run, &run.topic, batching).await?;
    let payload = bytes::Bytes::from(run.payload());
    let mut meter = None;
    for count in [WARM_UP, run.messages] {
        meter = Some(Meter::start(run)?);
        for number in 1..=count {
            let message = OutgoingMessage { payload: payload.clone().into(), ..OutgoingMessage::default() };
            producer.send(message, Completion::Ignore)?;
            if number % (run.pending / 2) == 0 {
                producer.flush().await?;
            }
        }
        producer.flush().await?;
    }
    meter.ok_or("nothing measured")?.report(run)?;
    Ok(client.close().await?)
}

/// Reads what was published, each message acknowledged.
async fn consume(run: &Run) -> Outcome<()> {
    let client = client(run)?;
    let meter = Meter::start(run)?;
    let consumer = consumer(&client, run, &run.topic, SubscriptionKind::Shared).await?;
    for _ in 0..run.messages {
        consumer.acknowledge(&consumer.receive().await?)?;
    }
    meter.report(run)?;
    Ok(client.close().await?)
}

/// Microseconds from publishing to receiving, one message at a time.
async fn latency(run: &Run) -> Outcome<()> {
    let client = client(run)?;
    let consumer = consumer(&client, run, &run.topic, SubscriptionKind::Exclusive).await?;
    let producer = producer(&client, run, &run.topic, Batching::Off).await?;
    let payload = bytes::Bytes::from(run.payload());
    let mut delays = Vec::with_capacity(run.messages);
    for _ in 0..run.messages {
        tokio::time::sleep(PAUSE).await;
        let started = Instant::now();
        let message = OutgoingMessage { payload: payload.clone().into(), ..OutgoingMessage::default() };
        producer.send(message, Completion::Ignore)?;
        let received = consumer.receive().await?;
        delays.push(started.elapsed().as_micros());
        consumer.acknowledge(&received)?;
    }
    delays.sort_unstable();
    let at = |share: usize| delays.get(delays.len() * share / 100).copied().unwrap_or_default();
    println!("{}", serde_json::json!({ "p50_us": at(50), "p99_us": at(99) }));
    Ok(client.close().await?)
}

/// As many topics as `messages`, each with a producer and a consumer that get one message through.
async fn topics(run: &Run) -> Outcome<()> {
    let client = client(run)?;
    let started = Instant::now();
    let mut open = Vec::new();
    for first in (0..run.messages).step_by(AT_ONCE) {
        let (client, made) = (&client, first..run.messages.min(first + AT_ONCE));
        let pairs = made.map(|number| async move {
            let topic = format!("{}-{number}", run.topic);
            let consumer = consumer(client, run, &topic, SubscriptionKind::Exclusive).await?;
            Outcome::Ok((producer(client, run, &topic, Batching::Off).await?, consumer))
        });
        open.extend(try_join_all(pairs).await?);
    }
    let seconds = started.elapsed().as_secs_f64();
    let payload = bytes::Bytes::from(run.payload());
    for (producer, consumer) in &open {
        let message = OutgoingMessage { payload: payload.clone().into(), ..OutgoingMessage::default() };
        producer.send_and_wait(message).await?;
        consumer.acknowledge(&consumer.receive().await?)?;
    }
    println!("{}", serde_json::json!({ "topics": open.len(), "start_seconds": seconds }));
    // Whoever measures the broker's memory does it now, and then closes our input.
    tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await??;
    Ok(client.close().await?)
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, function, json] = arguments.as_slice() else {
        return Err("usage: broker_load publish|publish_unbatched|consume|latency|topics JSON".into());
    };
    let run: Run = serde_json::from_str(json)?;
    match function.as_str() {
        "publish" => publish(&run, Batching::Auto).await,
        "publish_unbatched" => publish(&run, Batching::Off).await,
        "consume" => consume(&run).await,
        "latency" => latency(&run).await,
        "topics" => topics(&run).await,
        other => Err(format!("no function {other}").into()),
    }
}
