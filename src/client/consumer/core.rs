//! What the handles and tasks of one consumer share: making it, letting it grow with its topics, closing it.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use parking_lot::{Mutex, RwLock};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::partition::{Common, Partition};
use super::queue::ReceiveQueue;
use super::read_position::Start;
use super::task::Task;
use crate::client::auth::BoxFuture;
use crate::client::handle::{Child, ChildStats, Client};
use crate::client::options::Position;
use crate::client::shared::Shared;
use crate::client::stats::ConsumerStats;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::message_id::MessageId;
use crate::protocol::topic::TopicName;

pub(crate) struct Core {
    me: Weak<Core>,
    pub(crate) client: Client,
    pub(crate) common: Arc<Common>,
    pub(crate) queue: Arc<ReceiveQueue>,
    pub(crate) name: String,
    /// The topics as asked for, without their partitions.
    pub(crate) topics: Vec<TopicName>,
    pub(crate) partitions: RwLock<Vec<Arc<Partition>>>,
    pub(crate) closing: watch::Sender<bool>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    closed: Shared<(), ()>,
}

impl Core {
    pub(crate) fn new(
        client: Client,
        common: Arc<Common>,
        name: String,
        topics: Vec<TopicName>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: me.clone(),
            closed: Shared::new(client.runtime().clone()),
            client,
            common,
            queue: Arc::default(),
            name,
            topics,
            partitions: RwLock::default(),
            closing: watch::Sender::new(false),
            tasks: Mutex::default(),
        })
    }

    /// Subscribes to all topics and partitions; the first failure is the error.
    pub(crate) async fn subscribe(self: &Arc<Self>) -> Result<()> {
        let mut found = Vec::new();
        for topic in &self.topics {
            let partitions = self.client.partitions(topic).await?;
            found.extend(partition_names(topic, 0, partitions));
        }
        let start = self.start(found.len())?;
        let waiting: Vec<_> = self
            .add(found, &start)
            .into_iter()
            .map(|partition| {
                let (ready, wait) = oneshot::channel();
                self.spawn(Task::new(self.clone(), partition).run(Some(ready)));
                wait
            })
            .collect();
        for wait in waiting {
            wait.await.map_err(|_| closed())??;
        }
        if !self.client.options().partition_refresh_interval.is_zero() {
            self.spawn(refresh(Arc::downgrade(self), self.closing.subscribe(), self.client.clone()));
        }
        Ok(())
    }

    /// The topics and partitions that there are now.
    pub(crate) fn all(&self) -> Vec<Arc<Partition>> {
        self.partitions.read().clone()
    }

    /// What the broker may send ahead for one topic or partition.
    pub(crate) fn window(&self) -> usize {
        self.partitions.read().first().map_or(1, |partition| partition.window()) as usize
    }

    fn start(&self, partitions: usize) -> Result<Start> {
        let options = &self.common.options;
        let inclusive = options.start_message_id_inclusive;
        if options.durable {
            return Ok(Start::Broker);
        }
        let id = match (&options.start_message_id, options.initial_position) {
            (Some(bytes), _) => MessageId::from_bytes(bytes)?,
            (None, Position::Earliest) => MessageId::EARLIEST,
            (None, Position::Latest) => MessageId::LATEST,
        };
        if partitions > 1 && id != MessageId::EARLIEST && id != MessageId::LATEST {
            let context = "start_message_id: a message of one partition cannot be the start of several";
            return Err(Error::new(ErrorKind::InvalidMessageId, context));
        }
        Ok(Start::at(id, inclusive))
    }

    /// Adds partitions, and divides the room for messages among all of them anew.
    fn add(&self, topics: Vec<TopicName>, start: &Start) -> Vec<Arc<Partition>> {
        let make = |topic| {
            let id = self.client.next_consumer_id();
            Arc::new(Partition::new(self.common.clone(), topic, id, start.clone()))
        };
        let added: Vec<_> = topics.into_iter().map(make).collect();
        let mut partitions = self.partitions.write();
        partitions.extend(added.iter().cloned());
        let options = &self.common.options;
        let share = options.max_total_receiver_queue_size
            / u32::try_from(partitions.len()).unwrap_or(u32::MAX).max(1);
        for partition in partitions.iter() {
            partition.set_window(options.receiver_queue_size.min(share));
        }
        added
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock();
        tasks.retain(|task| !task.is_finished());
        tasks.push(self.client.runtime().spawn(task));
    }

    /// Asks once how many partitions there are now, and subscribes to the new ones. They are read from their first
    /// message: what was published to them before they were noticed counts.
    async fn grow(self: &Arc<Self>) {
        for topic in &self.topics {
            let member = |p: &Arc<Partition>| p.topic() != topic && p.topic().partitioned() == *topic;
            let known = self.partitions.read().iter().filter(|p| member(p)).count();
            let known = u32::try_from(known).unwrap_or(u32::MAX);
            if known == 0 {
                continue;
            }
            let Ok(now) = self.client.partitions(topic).await else { continue };
            if now <= known {
                continue;
            }
            let start = if self.common.options.durable {
                Start::Broker
            } else {
                Start::at(MessageId::EARLIEST, false)
            };
            for partition in self.add(partition_names(topic, known, now), &start) {
                partition.from_earliest.store(true, Ordering::Release);
                self.spawn(Task::new(self.clone(), partition).run(None));
            }
        }
    }

    /// When every partition's topic is terminated and everything is acknowledged, there will never be a message.
    pub(crate) fn notice_end_of_topic(&self) {
        let partitions = self.partitions.read();
        if let Some(last) = partitions.last()
            && partitions.iter().all(|partition| partition.end_of_topic.load(Ordering::Acquire))
        {
            let context = "the topic is terminated, and everything was received";
            self.queue.fail(Error::new(ErrorKind::TopicTerminated, context).on_topic(last.topic()), true);
        }
    }

    /// Sends what is grouped and closes the subscriptions. A second call waits for the first.
    pub(crate) async fn shut(self: Arc<Self>) -> Result<()> {
        let core = self.clone();
        let work = || async move {
            core.closing.send_replace(true);
            core.queue.fail(closed(), false);
            let tasks = std::mem::take(&mut *core.tasks.lock());
            for task in tasks {
                // It cannot fail but by a stopped runtime.
                let _ = task.await;
            }
            Ok(())
        };
        self.closed.run((), work).await
    }

    pub(crate) fn consumer_stats(&self) -> ConsumerStats {
        let counters = &self.common.counters;
        let partitions = self.partitions.read();
        ConsumerStats {
            topics: self.topics.iter().map(ToString::to_string).collect(),
            subscription: self.common.options.subscription.clone(),
            reader: !self.common.options.durable,
            name: self.name.clone(),
            closed: *self.closing.borrow(),
            connected: !partitions.is_empty() && partitions.iter().all(|p| *p.session.borrow() > 0),
            partitions: partitions.len(),
            queued_messages: self.queue.len(),
            pending_acks: partitions.iter().map(|p| p.unsettled.lock().acks.grouped()).sum(),
            messages_received: counters.messages_received.get(),
            bytes_received: counters.bytes_received.get(),
            messages_acknowledged: counters.acknowledged.get(),
            messages_negatively_acknowledged: counters.negatively_acknowledged.get(),
            ack_timeouts: counters.ack_timeouts.get(),
            redeliveries_requested: counters.redeliveries_requested.get(),
            messages_discarded: counters.discarded.get(),
            messages_unsupported: counters.encrypted.get(),
            chunks_given_up: counters.chunks_given_up.get(),
            reconnects: counters.reconnects.get(),
            last_error: counters.last_error(),
        }
    }
}

impl Child for Core {
    fn close(&self) -> BoxFuture<'static, Result<()>> {
        let me = self.me.upgrade();
        Box::pin(async move { if let Some(core) = me { core.shut().await } else { Ok(()) } })
    }

    fn stats(&self) -> ChildStats {
        ChildStats::Consumer(self.consumer_stats())
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.client.retire(ChildStats::Consumer(self.consumer_stats()));
    }
}

/// Looks for new partitions until the consumer is closed.
async fn refresh(core: Weak<Core>, mut closing: watch::Receiver<bool>, client: Client) {
    let interval = client.options().partition_refresh_interval;
    loop {
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => return,
            () = client.clock().sleep(interval) => {}
        }
        let Some(core) = core.upgrade() else { return };
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => return,
            () = core.grow() => {}
        }
    }
}

fn partition_names(topic: &TopicName, first: u32, count: u32) -> Vec<TopicName> {
    match count {
        0 => vec![topic.clone()],
        _ => (first..count).map(|partition| topic.with_partition(partition)).collect(),
    }
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the consumer is closed")
}
