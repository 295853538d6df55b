//! The task of one partition: subscribes, tells the broker what is unsettled, and subscribes again when it must.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::control::end_session;
use super::core::{Core, closed};
use super::partition::Partition;
use super::sink::Sink;
use super::subscribe;
use crate::client::backoff::Backoff;
use crate::client::connection::{Connection, Disconnect};
use crate::client::events::{Event, Level};
use crate::client::options::SubscriptionKind;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::CommandCloseConsumer;

/// What nobody waits for an answer to is sent with this request id.
const NO_REQUEST: u64 = u64::MAX;

/// A subscription that met an unload may be answered and then never served: the broker (4.0.8) adds it to the topic that
/// it is closing. So one that began after the broker closed the last, and brought nothing for this long, is made again,
/// once.
const UNSERVED: Duration = Duration::from_secs(1);

pub(crate) struct Task {
    core: Arc<Core>,
    partition: Arc<Partition>,
    closing: watch::Receiver<bool>,
    backoff: Backoff,
    /// When to subscribe again if the session brought nothing.
    unserved_at: Option<Instant>,
    /// The session was ended because it brought nothing.
    went_unserved: bool,
}

impl Task {
    pub(crate) fn new(core: Arc<Core>, partition: Arc<Partition>) -> Self {
        let closing = core.closing.subscribe();
        Self {
            backoff: core.client.backoff(),
            core,
            partition,
            closing,
            unserved_at: None,
            went_unserved: false,
        }
    }

    /// Runs until the consumer is closed or fails for good. `ready` hears how the first subscription went; without
    /// it the first is tried for ever, as the later ones are.
    pub(crate) async fn run(mut self, ready: Option<oneshot::Sender<Result<()>>>) {
        let live = match ready {
            Some(ready) => self.first(ready).await,
            None => self.again(None).await,
        };
        if live {
            while let Some(reason) = self.serve().await {
                if !self.again(Some(reason)).await {
                    break;
                }
            }
        }
        self.leave().await;
    }

    async fn first(&mut self, ready: oneshot::Sender<Result<()>>) -> bool {
        let mut closing = self.closing.clone();
        let result = tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => Err(closed()),
            result = self.core.client.retry(|| self.subscribe(None)) => result,
        };
        let live = result.is_ok();
        // If nobody waits any more, the consumer is being closed.
        let _ = ready.send(result);
        live
    }

    /// Subscribes again, for ever; false if the consumer is closed or has failed meanwhile.
    async fn again(&mut self, reason: Option<Disconnect>) -> bool {
        let closed_by_broker = matches!(reason, Some(Disconnect::ClosedByBroker { .. }))
            && !std::mem::take(&mut self.went_unserved);
        let mut hint = match reason {
            Some(Disconnect::ClosedByBroker { assigned }) => assigned,
            Some(Disconnect::TopicMigrated { url }) => url,
            Some(Disconnect::Lost(_)) | None => None,
        };
        let partition = self.partition.clone();
        let sought = partition.sought_in_session.swap(false, Ordering::AcqRel);
        if sought {
            self.backoff = self.core.client.backoff();
        }
        let mut closing = self.closing.clone();
        loop {
            let delay = self.backoff.delay(self.core.client.clock().now());
            let attempt = async {
                self.core.client.clock().sleep(delay).await;
                let mut seeking = partition.seeking.subscribe();
                // The sender is the partition's, which is alive.
                let _ = seeking.wait_for(|seeking| *seeking == 0).await;
                self.subscribe(hint.take().as_deref()).await
            };
            let result = tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => return false,
                result = attempt => result,
            };
            match result {
                Ok(()) => {
                    let now = self.core.client.clock().now();
                    self.core.common.counters.reconnects.add(1);
                    self.partition.tell(Event::new(Level::Info, "subscribed again"));
                    self.backoff.succeeded(now);
                    self.unserved_at = (closed_by_broker && !sought).then(|| now + UNSERVED);
                    return true;
                }
                Err(error) if ends_consumer(&error) => {
                    self.partition.tell(Event::failure("the consumer has ended", &error));
                    self.core.queue.fail(error, false);
                    return false;
                }
                Err(error) => {
                    self.partition.tell(Event::failure("not subscribed again yet", &error));
                    self.core.common.counters.failed(&error);
                }
            }
        }
    }

    /// One attempt to subscribe. May be cancelled: the broker is told that it came to nothing.
    async fn subscribe(&self, hint: Option<&str>) -> Result<()> {
        let partition = &self.partition;
        let topic = partition.topic();
        let connection = self.core.client.connect_topic(topic, hint).await?;
        let session = partition.next_attempt();
        self.core.queue.forget(partition, || partition.accept_only(0));
        partition.unsettled.lock().redelivery.clear();
        // Built first, since what is wrong with the options must not look like a broken connection.
        let mut command = subscribe::command(partition, &self.core.name, 0)?;
        let sink = Sink::new(partition.clone(), self.core.queue.clone(), session);
        connection.register_consumer(partition.consumer_id, Arc::new(sink));
        let mut attempt = Attempt { connection: &connection, consumer_id: partition.consumer_id, undo: true };
        let make = |request_id| {
            command.request_id = request_id;
            command.into()
        };
        match connection.request(make).await {
            Ok(_) => attempt.undo = false,
            Err(error) => {
                if error.kind() != ErrorKind::Timeout {
                    attempt.undo = false;
                    connection.unregister_consumer(partition.consumer_id);
                }
                return Err(error.on_topic(topic));
            }
        }
        self.core.queue.forget(partition, || partition.accept_only(session));
        partition.begin_session(session, connection.clone());
        self.core.common.counters.connected();
        Ok(())
    }

    /// Tells the broker what is unsettled, until the session ends: how, or `None` if the consumer is closed.
    async fn serve(&mut self) -> Option<Disconnect> {
        let clock = self.core.client.clock().clone();
        loop {
            if *self.closing.borrow() {
                return None;
            }
            if let Some(reason) = self.partition.session_end() {
                if let Disconnect::Lost(error) = &reason {
                    self.core.common.counters.failed(error);
                }
                return Some(reason);
            }
            // If the connection breaks here, the end of the session is about to be told.
            let worked = self.work().await;
            self.look_after_unserved(clock.now()).await;
            let deadline = match worked {
                Ok(()) => self.partition.next_deadline().into_iter().chain(self.unserved_at).min(),
                Err(_) => None,
            };
            tokio::select! {
                () = self.partition.wake.notified() => {}
                () = async { clock.sleep_until(deadline.unwrap_or_else(|| clock.now())).await }, if deadline.is_some() => {}
                _ = self.closing.changed() => {}
            }
        }
    }

    /// Ends a session that was to bring something by now: the next is not suspected.
    async fn look_after_unserved(&mut self, now: Instant) {
        if self.unserved_at.is_none_or(|due| due > now) {
            return;
        }
        self.unserved_at = None;
        let partition = &self.partition;
        let unserved = !partition.served.load(Ordering::Acquire)
            && !self.core.common.paused.load(Ordering::Acquire)
            && partition.reading.lock().is_fixed();
        if unserved && let Some(connection) = partition.connection() {
            self.went_unserved = true;
            end_session(partition, &connection, partition.live()).await;
            // The delay is for what fails, and a second went by.
            self.backoff = self.core.client.backoff();
        }
    }

    async fn work(&self) -> Result<()> {
        let Some(connection) = self.partition.connection() else { return Ok(()) };
        self.partition.send_redeliveries(&connection, &self.core.queue).await?;
        self.partition.send_acks(&connection, false).await?;
        if self.partition.owes_permits()
            && let Some(flow) = self.partition.take_permits()
            && let Err(error) = connection.send_command(&flow.into()).await
        {
            self.partition.put_back_permits(flow);
            return Err(error);
        }
        self.core.notice_end_of_topic();
        Ok(())
    }

    /// The consumer is closed: sends what is grouped, and says goodbye if there is somebody to say it to.
    async fn leave(&mut self) {
        let partition = &self.partition;
        self.core.queue.forget(partition, || partition.accept_only(0));
        let connection = partition.connection.lock().take();
        partition.session.send_replace(0);
        if let Some(connection) = connection {
            let _ = partition.send_acks(&connection, true).await;
            let consumer_id = partition.consumer_id;
            let make =
                |request_id| CommandCloseConsumer { consumer_id, request_id, ..Default::default() }.into();
            // Whatever the broker answers, it is over for us.
            let _ = connection.request(make).await;
            connection.unregister_consumer(consumer_id);
        }
        partition.abandon(&closed());
    }
}

/// A subscription under way. If it is given up, or its answer does not come, the broker may have made the consumer,
/// which would then exclude others: it is told to close it.
struct Attempt<'a> {
    connection: &'a Connection,
    consumer_id: u64,
    undo: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.undo {
            let Self { connection, consumer_id, .. } = *self;
            connection.unregister_consumer(consumer_id);
            let close = CommandCloseConsumer { consumer_id, request_id: NO_REQUEST, ..Default::default() };
            connection.try_send_command(&close.into());
        }
    }
}

/// Once established, only these end a consumer; everything else is tried again.
fn ends_consumer(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::TopicNotFound | ErrorKind::SubscriptionNotFound | ErrorKind::Closed)
}

/// Whether the consumer before it counts redeliveries of everything, to recognise stale deliveries.
pub(crate) fn has_epoch(kind: SubscriptionKind) -> bool {
    matches!(kind, SubscriptionKind::Exclusive | SubscriptionKind::Failover)
}
