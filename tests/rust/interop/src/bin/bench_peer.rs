//! The crate `pulsar` as a client in the benchmark: `bench_peer FUNCTION JSON` prints a JSON result.

use std::time::Duration;

use futures::{TryStreamExt, future::try_join_all};
use interop::bench::{Meter, Outcome, Run};
use pulsar::consumer::{ConsumerOptions, InitialPosition};
use pulsar::producer::ProducerOptions;
use pulsar::{Consumer, Pulsar, SubType, TokioExecutor};

const BATCH_MESSAGES: u32 = 1000;
const BATCH_DELAY: Duration = Duration::from_millis(1);
const WARM_UP: usize = 2000;

async fn publish_many(run: &Run) -> Outcome<()> {
    let client =
        Pulsar::builder(&run.url, TokioExecutor).with_outbound_channel_size(run.pending).build().await?;
    let mut producer = client
        .producer()
        .with_topic(&run.topic)
        .with_options(ProducerOptions {
            batch_size: Some(BATCH_MESSAGES),
            batch_timeout: Some(BATCH_DELAY),
            block_queue_if_full: true,
            ..ProducerOptions::default()
        })
        .build()
        .await?;
    let payload = run.payload();
    let mut meter = None;
    for count in [WARM_UP, run.messages] {
        meter = Some(Meter::start(run)?);
        let mut left = count;
        while left > 0 {
            let slice = left.min(run.pending);
            let mut confirmations = Vec::with_capacity(slice);
            for _ in 0..slice {
                confirmations.push(producer.send_non_blocking(payload.clone()).await?);
            }
            producer.send_batch().await?;
            try_join_all(confirmations).await?;
            left -= slice;
        }
    }
    meter.ok_or("nothing measured")?.report(run)
}

async fn receive_many(run: &Run) -> Outcome<()> {
    let client: Pulsar<_> = Pulsar::builder(&run.url, TokioExecutor).build().await?;
    let meter = Meter::start(run)?;
    let mut consumer: Consumer<Vec<u8>, _> = client
        .consumer()
        .with_topic(&run.topic)
        .with_subscription(&run.subscription)
        .with_subscription_type(SubType::Exclusive)
        .with_options(ConsumerOptions {
            initial_position: InitialPosition::Earliest,
            ..ConsumerOptions::default()
        })
        .build()
        .await?;
    for _ in 0..run.messages {
        let message = consumer.try_next().await?.ok_or("the consumer ended")?;
        consumer.ack(&message).await?;
    }
    meter.report(run)
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, function, json] = arguments.as_slice() else {
        return Err("usage: bench_peer publish_many|receive_many JSON".into());
    };
    let run: Run = serde_json::from_str(json)?;
    match function.as_str() {
        "publish_many" => Box::pin(publish_many(&run)).await,
        "receive_many" => Box::pin(receive_many(&run)).await,
        other => Err(format!("no function {other}").into()),
    }
}
