//! The client engine.

pub mod auth;
mod backoff;
mod connection;
pub mod consumer;
pub mod events;
mod handle;
mod lookup;
mod memory;
pub mod options;
mod pool;
pub mod producer;
pub mod reader;
mod retired;
mod schema;
mod service_url;
mod shared;
pub mod stats;
mod tls;

pub use self::backoff::Backoff;
pub use self::connection::{Connection, ConsumerSink, Disconnect, OutFrame, ProducerSink};
pub use self::consumer::{AckReceipt, BrokerStats, Consumer, Message, Poll, Ticket, Waker};
pub use self::handle::{Child, ChildStats, Client};
pub use self::memory::{MemoryLimit, MemoryTicket};
pub use self::producer::{
    Completion, GroupResults, Key, OutgoingMessage, Payload, Producer, SendGroup, SendTicket,
};
pub use self::reader::Reader;
pub use self::schema::SchemaInfo;
pub use self::service_url::{Address, ServiceUrl};
