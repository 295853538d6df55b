//! A connection, as topics and subscriptions see it.

use std::sync::Arc;
use std::time::Duration;

use super::entry::Entry;
use crate::protocol::proto::{BaseCommand, CommandMessage};

/// Where commands and messages for one client go. No call blocks; what is sent keeps its order; after the connection
/// is gone, calls do nothing.
pub trait Outlet: Send + Sync {
    /// Unique among the broker's connections.
    fn id(&self) -> u64;

    /// The client's address and version, for statistics.
    fn peer(&self) -> &Peer;

    fn send(&self, command: &BaseCommand);

    /// A message: the command, the entry's checksum and its bytes.
    fn deliver(&self, command: CommandMessage, entry: &Arc<Entry>);

    /// Whether there is room for more deliveries. After `false` the session calls `Topic::writable` for its consumers
    /// as soon as there is.
    fn is_writable(&self) -> bool;

    /// Leaves the client's commands unread for this long, by the broker's clock: it publishes faster than it may.
    fn pause_reading(&self, _pause: Duration) {}

    /// Whether the client speaks at least this version of the protocol.
    fn speaks(&self, protocol_version: i32) -> bool;
}

/// Who is at the other end.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    pub address: String,
    pub client_version: String,
    pub protocol_version: i32,
}
