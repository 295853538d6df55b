//! The producer: messages in, entries out, receipts back.
//!
//! `send` appends to an open batch on the caller's thread, under the producer's one lock. Each partition has a task
//! that closes batches in time, encodes entries and hands them to the connection; the connection's reader answers the
//! senders. Those for whom there is no room wait in one line.

mod batcher;
mod close;
mod completion;
mod create;
mod effects;
mod encode;
mod hashing;
mod lane;
mod line;
mod message;
mod partition;
mod pending;
mod router;
mod sequence;
mod session;
mod shared;
mod sink;
mod state;

use std::sync::Arc;

use tokio::sync::oneshot;

pub use self::completion::{Completion, GroupResults, SendGroup};
pub use self::line::SendTicket;
pub use self::message::{Key, OutgoingMessage, Payload};
use self::shared::Shared;
use super::Client;
use super::options::ProducerOptions;
use super::stats::ProducerStats;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::message_id::MessageId;
use crate::protocol::topic::TopicName;

/// A handle on a producer, of a topic with or without partitions; clones share it.
///
/// May be used and dropped on any thread, without a runtime. When the last handle goes, the producer is closed in the
/// background.
#[derive(Clone)]
pub struct Producer(Arc<Handle>);

struct Handle(Arc<Shared>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.begin_close();
    }
}

impl Producer {
    pub(super) async fn create(client: &Client, options: ProducerOptions) -> Result<Self> {
        Ok(Self(Arc::new(Handle(create::create(client, options).await?))))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.0.0
    }

    pub fn topic(&self) -> &TopicName {
        &self.shared().topic
    }

    /// The name, as given or as the broker chose it (for the first partition).
    pub fn name(&self) -> String {
        self.stats().name
    }

    /// The highest sequence id that is known to be stored, or -1; of several partitions, the highest.
    pub fn last_sequence_id(&self) -> i64 {
        let state = self.shared().state.lock();
        state.lanes.iter().map(|lane| lane.last_confirmed).max().unwrap_or(-1)
    }

    /// How many partitions are in service; 1 for a topic without partitions.
    pub fn partitions(&self) -> usize {
        self.shared().state.lock().lanes.len()
    }

    /// Whether every partition has a session with its broker now.
    pub fn is_connected(&self) -> bool {
        self.shared().is_connected()
    }

    pub fn stats(&self) -> ProducerStats {
        self.shared().stats()
    }

    /// Sends a message; never blocks. Once admitted, it completes exactly once.
    ///
    /// Where the limits leave no room it waits in line, and `cancel` takes it back as long as it waits; or it is
    /// refused with `QueueFull`, if the producer is so configured. On an error the completion is not called.
    pub fn send(&self, message: OutgoingMessage<'_>, completion: Completion) -> Result<SendTicket> {
        self.shared().send(message, completion)
    }

    /// Sends messages that are nothing but payloads, to the places of `group` from `first` on; never blocks. What
    /// is refused is an outcome in the group. What has to wait is copied.
    pub fn send_group<'a>(
        &self,
        group: &Arc<SendGroup>,
        first: u32,
        payloads: impl IntoIterator<Item = &'a [u8]>,
    ) -> Result<SendTicket> {
        self.shared().send_group(group, first, payloads)
    }

    /// Takes back what still waits in line: it will never be sent, nor its completion called. True if it waited.
    /// Of a group this is what was not admitted yet; the group is then never answered.
    pub fn cancel(&self, ticket: SendTicket) -> bool {
        self.shared().cancel(ticket)
    }

    /// Sends a message and waits for its receipt. Cancelled while the message waits in line, it is never sent.
    pub async fn send_and_wait(&self, message: OutgoingMessage<'_>) -> Result<MessageId> {
        let (sender, receiver) = oneshot::channel();
        let answer = move |outcome| {
            // Nobody listens any more if the caller was cancelled.
            let _ = sender.send(outcome);
        };
        let ticket = self.send(message, Completion::Callback(Box::new(answer)))?;
        // When the message is done, it waits no more, and there is nothing to take back.
        let _guard = CancelOnDrop { producer: self, ticket };
        let outcome = receiver.await;
        outcome.unwrap_or_else(|_| Err(Error::new(ErrorKind::Closed, "the client's runtime was stopped")))
    }

    /// Returns when everything that was sent before is done, confirmed or failed.
    pub async fn flush(&self) -> Result<()> {
        self.shared().state.lock().check_open()?;
        self.shared().flush().await;
        Ok(())
    }

    /// Flushes, then closes. A second call waits for the first.
    pub async fn close(&self) -> Result<()> {
        self.shared().close().await
    }
}

struct CancelOnDrop<'a> {
    producer: &'a Producer,
    ticket: SendTicket,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        self.producer.cancel(self.ticket);
    }
}
