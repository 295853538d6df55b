//! What a consumer asks of the broker now and then: seek, last message id, statistics, unsubscribe.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Consumer;
use super::core::Core;
use super::partition::Partition;
use super::read_position::Start;
use crate::client::connection::{Connection, Disconnect};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::message_id::MessageId;
use crate::protocol::proto::{
    BaseCommand, Command, CommandCloseConsumer, CommandConsumerStats, CommandConsumerStatsResponse,
    CommandGetLastMessageId, CommandGetLastMessageIdResponse, CommandSeek, CommandUnsubscribe,
};

/// The broker's statistics of one topic or partition of a consumer.
#[derive(Clone, Debug)]
pub struct BrokerStats {
    pub topic: String,
    pub stats: CommandConsumerStatsResponse,
}

impl Consumer {
    /// Sends the grouped acknowledgements and, where receipts are on, waits for the broker's answer.
    pub async fn flush_acks(&self) -> Result<()> {
        self.check_open()?;
        let waits: Vec<_> =
            self.core().partitions.read().iter().map(|partition| partition.request_flush()).collect();
        let client = &self.core().client;
        let deadline = client.clock().now() + client.options().operation_timeout;
        for wait in waits {
            tokio::select! {
                biased;
                done = wait => done.map_err(|_| super::closed())?,
                () = client.clock().sleep_until(deadline) => {
                    let context = "the acknowledgements could not be sent within the operation timeout; they will be";
                    return Err(Error::new(ErrorKind::Timeout, context));
                }
            }
        }
        Ok(())
    }

    /// Goes on behind the message (or with it, if `start_message_id_inclusive`); `EARLIEST` and `LATEST` move all
    /// partitions. See `acknowledge_id` for `topic`.
    pub async fn seek_id(&self, id: &MessageId, topic: Option<&str>) -> Result<()> {
        self.check_open()?;
        let everywhere = *id == MessageId::EARLIEST || *id == MessageId::LATEST;
        let partitions = if everywhere { self.core().all() } else { vec![self.partition_of(id, topic)?] };
        let inclusive = self.core().common.options.start_message_id_inclusive;
        self.seek_all(partitions, &Start::at(*id, inclusive)).await
    }

    /// Goes on with the first message published at this time or later, in milliseconds since 1970.
    pub async fn seek_time(&self, unix_millis: u64) -> Result<()> {
        self.check_open()?;
        let partitions = self.core().all();
        self.seek_all(partitions, &Start::Time(unix_millis)).await
    }

    pub(crate) async fn seek_all(&self, partitions: Vec<Arc<Partition>>, start: &Start) -> Result<()> {
        let runtime = self.core().client.runtime();
        // In tasks of their own: a seek that was begun is finished, whether the caller waits or not.
        let seeks: Vec<_> = partitions
            .into_iter()
            .map(|partition| runtime.spawn(seek(self.core().clone(), partition, start.clone())))
            .collect();
        let mut outcome = Ok(());
        for seek in seeks {
            let result = seek.await.unwrap_or_else(|_| Err(super::closed()));
            outcome = outcome.and(result);
        }
        outcome
    }

    /// No more messages are asked for; what the broker was already permitted to send still arrives.
    pub fn pause(&self) {
        self.core().common.paused.store(true, Ordering::Release);
    }

    pub fn resume(&self) {
        self.core().common.paused.store(false, Ordering::Release);
        for partition in self.core().partitions.read().iter() {
            partition.give_permits();
        }
    }

    pub fn is_paused(&self) -> bool {
        self.core().common.paused.load(Ordering::Acquire)
    }

    /// Asks for everything unacknowledged again, at once.
    pub fn redeliver_unacknowledged(&self) -> Result<()> {
        self.check_open()?;
        for partition in self.core().partitions.read().iter() {
            partition.redeliver_all();
        }
        Ok(())
    }

    /// Deletes the subscription and closes the consumer. `force` does so even if others are connected.
    pub async fn unsubscribe(&self, force: bool) -> Result<()> {
        self.check_open()?;
        let core = self.core().clone();
        let work = async move {
            for partition in core.all() {
                let consumer_id = partition.consumer_id;
                let make =
                    |request_id| CommandUnsubscribe { consumer_id, request_id, force: Some(force) }.into();
                core.request(&partition, make).await?;
            }
            core.shut().await
        };
        let task = self.core().client.runtime().spawn(work);
        task.await.unwrap_or_else(|_| Err(super::closed()))
    }

    /// The last message of each topic or partition; `None` if it has none.
    pub async fn last_message_ids(&self) -> Result<Vec<(String, Option<MessageId>)>> {
        self.check_open()?;
        let mut ids = Vec::new();
        for partition in self.core().all() {
            let answer = self.core().last_message_id(&partition).await?;
            ids.push((partition.topic().to_string(), answer.last));
        }
        Ok(ids)
    }

    /// The last message over all partitions, by order of ids; `None` if there is none.
    pub async fn last_message_id(&self) -> Result<Option<MessageId>> {
        Ok(self.last_message_ids().await?.into_iter().filter_map(|(_, id)| id).max())
    }

    /// The broker's own statistics, by topic or partition.
    pub async fn broker_stats(&self) -> Result<Vec<BrokerStats>> {
        self.check_open()?;
        let mut all = Vec::new();
        for partition in self.core().all() {
            let consumer_id = partition.consumer_id;
            let make = |request_id| CommandConsumerStats { request_id, consumer_id }.into();
            let answer = self.core().request(&partition, make).await?;
            let Command::ConsumerStatsResponse(stats) = answer else { return Err(unexpected(&answer)) };
            all.push(BrokerStats { topic: partition.topic().to_string(), stats: *stats });
        }
        Ok(all)
    }

    /// Sends what is grouped and closes the subscriptions; a second call does nothing.
    pub async fn close(&self) -> Result<()> {
        self.core().clone().shut().await
    }
}

/// The answer to `CommandGetLastMessageId`.
pub(crate) struct LastMessage {
    pub(crate) last: Option<MessageId>,
    /// How far the subscription has acknowledged, where the broker says so.
    pub(crate) mark_delete: Option<MessageId>,
}

impl Core {
    /// A request on the partition's connection; while there is none, or it breaks, again.
    pub(crate) async fn request(
        &self,
        partition: &Partition,
        make: impl Fn(u64) -> BaseCommand,
    ) -> Result<Command> {
        let attempt = || async { connected(partition)?.request(&make).await };
        self.client.retry(attempt).await.map_err(|error| error.on_topic(partition.topic()))
    }

    pub(crate) async fn last_message_id(&self, partition: &Partition) -> Result<LastMessage> {
        let consumer_id = partition.consumer_id;
        let make = |request_id| CommandGetLastMessageId { consumer_id, request_id }.into();
        let answer = self.request(partition, make).await?;
        let Command::GetLastMessageIdResponse(answer) = answer else { return Err(unexpected(&answer)) };
        let CommandGetLastMessageIdResponse { last_message_id, consumer_mark_delete_position, .. } = *answer;
        let mut last = MessageId::from(&last_message_id);
        last.partition = partition.index();
        let last = Some(last).filter(|id| id.entry.cast_signed() >= 0);
        Ok(LastMessage { last, mark_delete: consumer_mark_delete_position.as_ref().map(MessageId::from) })
    }
}

/// The broker answers a seek, and ends the session for it; only then does a new one begin.
async fn seek(core: Arc<Core>, partition: Arc<Partition>, start: Start) -> Result<()> {
    let consumer_id = partition.consumer_id;
    let (message_id, message_publish_time) = match &start {
        Start::Id { id, .. } => (Some(id.to_proto()), None),
        Start::Time(time) => (None, Some(*time)),
        Start::Broker => (None, None),
    };
    let attempt = || async {
        // Held for this attempt only: if the connection breaks, a new session is needed for the next.
        let _under_way = Seeking::begin(&partition);
        let connection = connected(&partition)?;
        let session = partition.live();
        let make = |request_id| {
            let (message_id, message_publish_time) = (message_id.clone(), message_publish_time);
            CommandSeek { consumer_id, request_id, message_id, message_publish_time }.into()
        };
        connection.request(make).await?;
        core.queue.forget(&partition, || {
            partition.accept_only(0);
            partition.sought(start.clone());
        });
        core.queue.go_on();
        end_session(&partition, &connection, session).await;
        Ok(session)
    };
    let session = core.client.retry(attempt).await.map_err(|error| error.on_topic(partition.topic()))?;
    let client = &core.client;
    let deadline = client.clock().now() + client.options().operation_timeout;
    let mut sessions = partition.session.subscribe();
    let mut closing = core.closing.subscribe();
    tokio::select! {
        // The sender is the partition's, which is alive.
        _ = sessions.wait_for(|now| *now > session) => {}
        _ = closing.wait_for(|closing| *closing) => {}
        // The seek itself is done; messages follow when the broker takes the subscription.
        () = client.clock().sleep_until(deadline) => {}
    }
    Ok(())
}

/// Ends a session from our side. (The broker closes the consumer before it answers a seek; if one did not, the session
/// is ended here, since what it still delivers cannot be told from what follows the seek.)
pub(super) async fn end_session(partition: &Partition, connection: &Connection, session: u64) {
    let over = *partition.session.borrow() != session
        || partition.ended.lock().as_ref().is_some_and(|(ended, _)| *ended == session);
    if over {
        return;
    }
    let consumer_id = partition.consumer_id;
    let make = |request_id| CommandCloseConsumer { consumer_id, request_id, ..Default::default() }.into();
    connection.unregister_consumer(consumer_id);
    // If it fails the connection is broken, which ends the session as well.
    let _ = connection.request(make).await;
    *partition.ended.lock() = Some((session, Disconnect::ClosedByBroker { assigned: None }));
    partition.wake.notify_one();
}

/// A seek under way: while it lives no session begins.
struct Seeking<'a>(&'a Partition);

impl<'a> Seeking<'a> {
    fn begin(partition: &'a Partition) -> Self {
        partition.sought_in_session.store(true, Ordering::Release);
        partition.seeking.send_modify(|seeking| *seeking += 1);
        Self(partition)
    }
}

impl Drop for Seeking<'_> {
    fn drop(&mut self) {
        self.0.seeking.send_modify(|seeking| *seeking = seeking.saturating_sub(1));
    }
}

fn connected(partition: &Partition) -> Result<Connection> {
    partition.connection().ok_or_else(|| {
        Error::new(ErrorKind::Connection, "the consumer is not connected just now")
            .on_topic(partition.topic())
    })
}

fn unexpected(answer: &Command) -> Error {
    Error::new(ErrorKind::Decode, format!("the broker answered with {}", answer.name()))
}
