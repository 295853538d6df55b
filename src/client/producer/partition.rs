//! The task of one partition: keeps a session with the broker and sends what is pending.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::effects::Effects;
use super::encode::Envelope;
use super::pending::Work;
use super::session::{Request, Session};
use super::shared::Shared;
use super::state::Phase;
use crate::client::events::{Event, Level};
use crate::client::options::CompressionKind;
use crate::client::{Backoff, OutFrame};
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::compression::Compression;
use crate::protocol::topic::TopicName;

/// Entries taken for one turn: enough for one write, few enough to look at the rest now and then.
const BURST: usize = 64;

pub(super) struct Partition {
    pub(super) shared: Arc<Shared>,
    /// Its place among the producer's lanes.
    pub(super) index: usize,
    producer_id: u64,
    topic: TopicName,
    pub(super) wake: Arc<Notify>,
    /// How the session on a connection ended; the connection's id tells a stale report apart.
    lost: Mutex<Option<(u64, Lost)>>,
    epoch: AtomicU64,
}

/// Why a session has ended.
#[derive(Debug)]
pub(super) enum Lost {
    /// The broker, or the connection, ended it; `hint` is where to go without a lookup.
    Disconnected { hint: Option<String> },
    /// It must be ended: entries have to be resent.
    Restart,
}

/// What a look at the state tells the task.
struct Look {
    work: Vec<Work>,
    /// When to look again at the latest.
    next: Option<Instant>,
    /// The producer is closed, or this partition has failed.
    over: bool,
}

impl Partition {
    pub(super) fn new(shared: &Arc<Shared>, index: usize, topic: TopicName) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::clone(shared),
            index,
            producer_id: shared.client.next_producer_id(),
            topic,
            wake: Arc::default(),
            lost: Mutex::default(),
            epoch: AtomicU64::new(0),
        })
    }

    /// The number of the partition for message ids, or -1.
    pub(super) fn number(&self) -> i32 {
        self.topic.partition().and_then(|number| i32::try_from(number).ok()).unwrap_or(-1)
    }

    /// One attempt at a session with the broker.
    pub(super) async fn open(self: &Arc<Self>, hint: Option<&str>) -> Result<Session> {
        let (given_name, topic_epoch) = {
            let state = self.shared.state.lock();
            let lane = state.lanes.get(self.index);
            let name = lane.map(|lane| lane.producer_name.clone()).filter(|name| !name.is_empty());
            (name, lane.and_then(|lane| lane.topic_epoch))
        };
        let request = Request {
            topic: &self.topic,
            producer_id: self.producer_id,
            epoch: self.epoch.fetch_add(1, Ordering::Relaxed),
            given_name,
            topic_epoch,
        };
        let shared = &self.shared;
        Session::open(&shared.client, &shared.options, request, Arc::clone(self), hint)
            .await
            .map_err(|error| error.on_topic(&self.topic))
    }

    /// Lives as long as the partition may send.
    pub(super) async fn run(self: Arc<Self>, mut session: Session) {
        let mut backoff = self.shared.client.backoff();
        loop {
            backoff.succeeded(self.shared.now());
            let Some(lost) = self.serve(&session).await else {
                if let Err(error) = session.close().await {
                    self.shared.state.lock().last_error = Some(error);
                }
                return;
            };
            self.detach();
            let hint = match lost {
                Lost::Disconnected { hint } => {
                    session.lost();
                    hint
                }
                Lost::Restart => {
                    // Closed or not: the next session takes over.
                    let _ = session.close().await;
                    None
                }
            };
            let Some(next) = self.reconnect(hint, &mut backoff).await else { return };
            session = next;
            self.attach(&session);
            self.shared.counters.reconnects.add(1);
            self.tell(Event::new(Level::Info, "the producer is connected again"));
        }
    }

    /// Sends until the session is lost; `None` when it is to be closed.
    async fn serve(&self, session: &Session) -> Option<Lost> {
        let mut envelope = session.envelope(compression(self.shared.options.compression));
        loop {
            if let Some(lost) = self.take_lost(session.connection.id()) {
                return Some(lost);
            }
            let look = self.look(true);
            if look.over {
                return None;
            }
            if look.work.is_empty() {
                self.wait(look.next).await;
            } else {
                envelope.publish_time = self.shared.client.clock().unix_millis();
                for frame in self.encode(look.work, &envelope) {
                    self.write(session, frame).await;
                }
            }
        }
    }

    /// Opens a new session, however long it takes; `None` when there is nothing left to do.
    async fn reconnect(self: &Arc<Self>, mut hint: Option<String>, backoff: &mut Backoff) -> Option<Session> {
        let attempts = async {
            loop {
                if hint.is_none() {
                    let delay = backoff.delay(self.shared.now());
                    self.shared.client.clock().sleep(delay).await;
                }
                match self.open(hint.take().as_deref()).await {
                    Err(error) if is_final(&error) => return Err(error),
                    Err(error) => {
                        self.tell(Event::failure("the producer is not connected again yet", &error));
                        self.shared.state.lock().last_error = Some(error);
                    }
                    Ok(session) => return Ok(session),
                }
            }
        };
        let opened = tokio::select! {
            biased;
            () = self.until_over() => return None,
            opened = attempts => opened,
        };
        match opened {
            Ok(session) => Some(session),
            Err(error) => {
                self.fail(&error);
                None
            }
        }
    }

    /// Watches over the time while there is no session; returns when there is nothing left to do.
    async fn until_over(&self) {
        loop {
            let look = self.look(false);
            if look.over {
                return;
            }
            self.wait(look.next).await;
        }
    }

    async fn wait(&self, until: Option<Instant>) {
        let sleep = async {
            match until {
                Some(until) => self.shared.client.clock().sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.wake.notified() => {}
            () = sleep => {}
        }
    }

    /// Fails what is over its time, closes the batches whose time has come, and takes what is to be sent.
    fn look(&self, connected: bool) -> Look {
        let now = self.shared.now();
        let mut effects = Effects::default();
        let mut guard = self.shared.state.lock();
        let state = &mut *guard;
        state.expire(self.index, now, &mut effects);
        let mut next = state.next_deadline(self.index);
        let partitions = state.lanes.len();
        let Some(lane) = state.lanes.get_mut(self.index) else {
            return Look { work: Vec::new(), next, over: true };
        };
        lane.looked_at();
        let over = state.phase == Phase::Closed || lane.failed.is_some();
        let delay = if lane.is_idle() {
            Duration::ZERO
        } else {
            self.shared.options.batch_max_delay.min(state.send_timeout.unwrap_or(Duration::MAX))
        };
        let due = lane.batcher.opened_at().map(|opened| opened + delay);
        if due.is_some_and(|due| due <= now) {
            lane.close_batches(state.send_timeout);
            state.router.closed(self.index, partitions);
            // What was in them may be over its time.
            next = Some(now);
        } else {
            next = [next, due].into_iter().flatten().min();
        }
        let work = if connected && !over { lane.pending.next(BURST) } else { Vec::new() };
        drop(guard);
        self.shared.settle(effects);
        Look { work, next, over }
    }

    /// Encodes what is not encoded yet, and returns the frames to send in order.
    fn encode(&self, work: Vec<Work>, envelope: &Envelope) -> Vec<OutFrame> {
        let encoded: Vec<_> = work
            .into_iter()
            .map(|work| match work {
                Work::Send(frame) => (None, Ok(frame)),
                Work::Encode(id, raw) => (Some(id), envelope.encode(*raw)),
            })
            .collect();
        let mut effects = Effects::default();
        let mut guard = self.shared.state.lock();
        let state = &mut *guard;
        let Some(lane) = state.lanes.get_mut(self.index) else { return Vec::new() };
        let mut frames = Vec::with_capacity(encoded.len());
        for (id, frame) in encoded {
            match (id, frame) {
                (None, Ok(frame)) => frames.push(frame),
                (Some(id), Ok(frame)) if lane.pending.encoded(id, frame.clone()) => frames.push(frame),
                (Some(id), Err(error)) => {
                    if let Some(entry) = lane.pending.remove(id) {
                        effects.finish(entry, Err(error), &mut state.pending);
                    }
                }
                // Given up meanwhile.
                _ => {}
            }
        }
        drop(guard);
        self.shared.settle(effects);
        frames
    }

    /// Hands a frame to the connection. While that has no room, the time is still watched. If the connection is gone,
    /// its last call on us says so.
    async fn write(&self, session: &Session, frame: OutFrame) {
        let Err(frame) = session.connection.try_send(frame) else { return };
        tokio::select! {
            biased;
            _ = session.connection.send(frame) => {}
            () = self.until_over() => {}
        }
    }

    /// Makes the session the one that is sent on: everything pending goes out once more.
    pub(super) fn attach(&self, session: &Session) {
        let mut state = self.shared.state.lock();
        state.last_error = None;
        let Some(lane) = state.lanes.get_mut(self.index) else { return };
        lane.connection = Some(session.connection.id());
        lane.producer_name.clone_from(&session.success.producer_name);
        lane.topic_epoch = session.success.topic_epoch.or(lane.topic_epoch);
        lane.max_message_size = session.connection.max_message_size();
        lane.pending.restart();
    }

    fn detach(&self) {
        if let Some(lane) = self.shared.state.lock().lanes.get_mut(self.index) {
            lane.connection = None;
        }
    }

    fn tell(&self, event: Event) {
        self.shared.client.events().push(event.on(&self.topic, None));
    }

    /// Nothing can be sent here any more.
    pub(super) fn fail(&self, error: &Error) {
        self.tell(Event::failure("the producer has ended", error));
        let mut effects = Effects::default();
        let mut state = self.shared.state.lock();
        state.last_error = Some(error.clone());
        state.fail_lane(self.index, error, &mut effects);
        drop(state);
        self.shared.settle(effects);
        self.wake.notify_one();
    }

    /// Reports the end of the session on a connection to the task.
    pub(super) fn lose(&self, connection: u64, lost: Lost) {
        *self.lost.lock() = Some((connection, lost));
        self.wake.notify_one();
    }

    fn take_lost(&self, connection: u64) -> Option<Lost> {
        self.lost.lock().take().filter(|(id, _)| *id == connection).map(|(_, lost)| lost)
    }
}

/// What ends a producer, once it was established; all else passes.
pub(super) fn is_final(error: &Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ProducerFenced | ErrorKind::TopicTerminated | ErrorKind::TopicNotFound | ErrorKind::Closed
    )
}

fn compression(kind: CompressionKind) -> Compression {
    match kind {
        CompressionKind::None => Compression::None,
        CompressionKind::Lz4 => Compression::Lz4,
        CompressionKind::Zlib => Compression::Zlib,
        CompressionKind::Zstd => Compression::Zstd,
        CompressionKind::Snappy => Compression::Snappy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_pass_ends_a_producer() {
        let ends = |kind| is_final(&Error::new(kind, ""));
        let ending: Vec<ErrorKind> = ErrorKind::ALL.iter().copied().filter(|kind| ends(*kind)).collect();
        let expected = [
            ErrorKind::TopicNotFound,
            ErrorKind::TopicTerminated,
            ErrorKind::ProducerFenced,
            ErrorKind::Closed,
        ];
        assert_eq!(ending, expected);
    }
}
