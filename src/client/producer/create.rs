//! Making a producer: options checked, a session for each partition, and more as the topic grows.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::batcher::BatchLimits;
use super::lane::Lane;
use super::partition::Partition;
use super::sequence::Sequence;
use super::session::Session;
use super::shared::{Counters, Shared};
use super::state::{Phase, State};
use crate::client::options::{AccessMode, CompressionKind, ProducerOptions};
use crate::client::{Child, Client};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::topic::TopicName;

pub(super) async fn create(client: &Client, options: ProducerOptions) -> Result<Arc<Shared>> {
    client.check_open()?;
    let topic = checked(&options)?;
    let count = if topic.partition().is_some() { 0 } else { client.partitions(&topic).await? };
    let first_partition = client.random().usize(..);
    let shared = Arc::new_cyclic(|me| Shared {
        client: client.clone(),
        topic,
        state: Mutex::new(State::new(&options, first_partition)),
        options,
        tasks: Mutex::default(),
        counters: Counters::default(),
        closed: watch::Sender::new(None),
        me: Weak::clone(me),
    });

    // Together, since each takes a lookup and a round trip; dropped together if one fails or the caller gives up.
    let mut opening = JoinSet::new();
    for index in 0..count.max(1) {
        let partition = partition(&shared, index, count > 0);
        opening.spawn_on(
            async move { open_first(&partition).await.map(|session| (partition, session)) },
            client.runtime(),
        );
    }
    let mut opened = Vec::new();
    while let Some(outcome) = opening.join_next().await {
        let died = |_| Error::new(ErrorKind::Closed, "the client's runtime was stopped");
        opened.push(outcome.map_err(died)??);
    }
    opened.sort_by_key(|(partition, _)| partition.index);
    for (partition, session) in opened {
        start(partition, session);
    }
    if count > 0 && !client.options().partition_refresh_interval.is_zero() {
        client.runtime().spawn(refresh(
            Arc::downgrade(&shared),
            client.clock().clone(),
            shared.closed.subscribe(),
        ));
    }
    let child: Weak<dyn Child> = shared.me.clone();
    client.enroll(child);
    Ok(shared)
}

fn checked(options: &ProducerOptions) -> Result<TopicName> {
    let refuse = |context: &str| Err(Error::new(ErrorKind::InvalidOption, context).on_topic(&options.topic));
    if options.name.as_deref() == Some("") {
        return refuse("name must not be empty; leave it out to let the broker choose one");
    }
    if options.initial_subscription.as_deref() == Some("") {
        return refuse("initial_subscription must not be empty");
    }
    if options.initial_sequence_id.is_some_and(|id| id < -1) {
        return refuse("initial_sequence_id must be -1 or greater");
    }
    TopicName::parse(&options.topic)
}

fn partition(shared: &Arc<Shared>, index: u32, partitioned: bool) -> Arc<Partition> {
    let topic = if partitioned { shared.topic.with_partition(index) } else { shared.topic.clone() };
    Partition::new(shared, index as usize, topic)
}

/// The first session of a partition. Whoever waits for exclusive access waits as long as it takes.
async fn open_first(partition: &Arc<Partition>) -> Result<Session> {
    let shared = &partition.shared;
    if shared.options.access_mode != AccessMode::WaitForExclusive {
        return shared.client.retry(|| partition.open(None)).await;
    }
    let mut backoff = shared.client.backoff();
    loop {
        shared.client.check_open()?;
        match partition.open(None).await {
            Err(error) if error.retryable() => {
                shared.client.clock().sleep(backoff.delay(shared.now())).await;
            }
            outcome => return outcome,
        }
    }
}

/// Takes a partition into service.
fn start(partition: Arc<Partition>, session: Session) {
    let shared = Arc::clone(&partition.shared);
    let options = &shared.options;
    let limits = BatchLimits::new(options, session.connection.max_message_size());
    let compressed = options.compression != CompressionKind::None;
    let mut lane = Lane::new(Arc::clone(&partition.wake), partition.number(), limits, compressed);
    let stored = session.success.last_sequence_id.unwrap_or(-1);
    lane.last_confirmed = stored;
    lane.sequence = Sequence::after(options.initial_sequence_id.unwrap_or(stored));
    shared.state.lock().lanes.push(lane);
    partition.attach(&session);
    let task = shared.client.runtime().spawn(partition.run(session));
    shared.tasks.lock().push(task);
}

/// Takes new partitions into service, as long as the producer is open. Keeps nothing alive while it sleeps.
async fn refresh(shared: Weak<Shared>, clock: Clock, mut closed: watch::Receiver<Option<Result<()>>>) {
    loop {
        let Some(interval) =
            shared.upgrade().map(|shared| shared.client.options().partition_refresh_interval)
        else {
            return;
        };
        tokio::select! {
            _ = closed.wait_for(Option::is_some) => return,
            () = clock.sleep(interval) => {}
        }
        let Some(shared) = shared.upgrade() else { return };
        let known = {
            let state = shared.state.lock();
            if state.phase != Phase::Open {
                return;
            }
            state.lanes.len()
        };
        if let Err(error) = grow(&shared, known).await {
            shared.state.lock().last_error = Some(error);
        }
    }
}

async fn grow(shared: &Arc<Shared>, known: usize) -> Result<()> {
    let count = shared.client.partitions(&shared.topic).await?;
    for index in u32::try_from(known).unwrap_or(u32::MAX)..count {
        let partition = partition(shared, index, true);
        let session = open_first(&partition).await?;
        if shared.state.lock().phase != Phase::Open {
            return session.close().await;
        }
        start(partition, session);
    }
    Ok(())
}
