//! What a connection calls when something arrives for a producer or a consumer.

use crate::error::{Error, Result};
use crate::protocol::frame::Payload;
use crate::protocol::proto::{CommandMessage, CommandSendReceipt};

/// Why a producer or consumer lost its connection.
#[derive(Clone, Debug)]
pub enum Disconnect {
    /// The connection is gone.
    Lost(Error),
    /// The broker closed this producer or consumer only; `assigned` is the service URL of the broker that serves the
    /// topic now, to go to without a lookup.
    ClosedByBroker { assigned: Option<String> },
    /// The topic moved to another cluster, at this service URL.
    TopicMigrated { url: Option<String> },
}

/// A producer, as the connection sees it. Called by the reader task, in order, with no lock held: it must not block.
/// `connection` is the id of the calling connection, to tell stale events apart.
pub trait ProducerSink: Send + Sync {
    fn receipt(&self, connection: u64, receipt: CommandSendReceipt);
    /// The broker refused the one entry with this sequence id, or received it damaged.
    fn send_error(&self, connection: u64, sequence_id: u64, error: Error);
    /// The last call on this connection.
    fn disconnected(&self, connection: u64, reason: Disconnect);
}

/// A consumer, as the connection sees it. Called by the reader task, in order, with no lock held: it must not block.
/// `connection` is the id of the calling connection, to tell stale events apart.
pub trait ConsumerSink: Send + Sync {
    /// An entry; `Err` if it was damaged on the way (kinds `Checksum` and `Decode`).
    fn message(&self, connection: u64, command: CommandMessage, payload: Result<Payload>);
    /// Of a Failover subscription: whether this consumer is the active one now.
    fn active_changed(&self, connection: u64, active: bool);
    /// The topic is terminated and everything was delivered.
    fn end_of_topic(&self, connection: u64);
    /// The last call on this connection.
    fn disconnected(&self, connection: u64, reason: Disconnect);
}
