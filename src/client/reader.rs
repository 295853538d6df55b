//! Readers: they read a topic from a position on and leave no trace at the broker.
//!
//! A reader is a consumer of a subscription that is not durable. It remembers the last message handed out, and after
//! a reconnect it goes on behind that.

use std::sync::Arc;

use super::consumer::{self, Consumer, Message, Poll, Ticket, Waker};
use super::handle::Client;
use super::options::{ConsumerOptions, Position, ReaderOptions, SubscriptionKind};
use super::stats::ConsumerStats;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::message_id::MessageId;

/// A handle on a reader; clones share it. When the last one goes, the reader is closed in the background.
#[derive(Clone)]
pub struct Reader(Consumer);

/// Subscribes. May be cancelled: what was begun is closed.
pub(crate) async fn create(client: &Client, options: ReaderOptions) -> Result<Reader> {
    if options.topic.is_empty() {
        return Err(Error::new(ErrorKind::InvalidOption, "topic must not be empty"));
    }
    let random = client.random().u64(..);
    let from_last = options.start_message_id_inclusive
        && match &options.start_message_id {
            Some(bytes) => MessageId::from_bytes(bytes)? == MessageId::LATEST,
            None => options.start == Position::Latest,
        };
    let consumer = ConsumerOptions {
        topics: vec![options.topic],
        subscription: options.subscription.unwrap_or_else(|| format!("reader-{random:016x}")),
        r#type: SubscriptionKind::Exclusive,
        name: options.name,
        initial_position: options.start,
        durable: false,
        start_message_id: options.start_message_id,
        start_message_id_inclusive: options.start_message_id_inclusive,
        read_compacted: options.read_compacted,
        receiver_queue_size: options.receiver_queue_size,
        on_unsupported: options.on_unsupported,
        ..ConsumerOptions::default()
    };
    let reader = Reader(consumer::create(client, consumer).await?);
    if from_last {
        reader.start_with_last().await?;
    }
    Ok(reader)
}

impl Reader {
    /// The consumer that it is: the source of its messages.
    pub fn consumer(&self) -> &Consumer {
        &self.0
    }

    /// See `Consumer::poll_receive`.
    pub fn poll_receive(&self, ticket: Option<Ticket>, waker: impl FnOnce() -> Waker) -> Poll {
        self.0.poll_receive(ticket, waker)
    }

    /// See `Consumer::cancel_receive`.
    pub fn cancel_receive(&self, ticket: Ticket) {
        self.0.cancel_receive(ticket);
    }

    /// See `Consumer::take`.
    pub fn take(&self, max_messages: usize, max_bytes: usize) -> Result<Vec<Message>> {
        self.0.take(max_messages, max_bytes)
    }

    /// The next message. May be cancelled: nothing is lost.
    pub async fn receive(&self) -> Result<Message> {
        self.0.receive().await
    }

    /// Goes on behind the message, or with it if the reader was made inclusive.
    pub async fn seek_id(&self, id: &MessageId) -> Result<()> {
        self.0.seek_id(id, None).await
    }

    /// Goes on with the first message published at this time or later, in milliseconds since 1970.
    pub async fn seek_time(&self, unix_millis: u64) -> Result<()> {
        self.0.seek_time(unix_millis).await
    }

    /// Whether a message is there that was not handed out: here, or at the broker.
    pub async fn has_message_available(&self) -> Result<bool> {
        self.0.has_message_available().await
    }

    /// The last message of the topic; `None` if it has none.
    pub async fn last_message_id(&self) -> Result<Option<MessageId>> {
        self.0.last_message_id().await
    }

    pub fn topic(&self) -> String {
        self.0.topics().swap_remove(0)
    }

    pub fn subscription(&self) -> &str {
        self.0.subscription()
    }

    pub fn queued(&self) -> usize {
        self.0.queued()
    }

    pub fn is_connected(&self) -> bool {
        self.0.is_connected()
    }

    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    pub fn stats(&self) -> ConsumerStats {
        self.0.stats()
    }

    pub async fn close(&self) -> Result<()> {
        self.0.close().await
    }

    /// "Latest, inclusive" is the last message that there is now, which only the broker knows.
    async fn start_with_last(&self) -> Result<()> {
        let core = self.0.core();
        for partition in core.all() {
            if let Some(id) = core.last_message_id(&partition).await?.last {
                self.0.seek_all(vec![Arc::clone(&partition)], &consumer::Start::at(id, true)).await?;
            }
        }
        Ok(())
    }
}
