//! The wire messages of protocol version 21, as Pulsar names them: tags, names and types are facts of the protocol.
//!
//! Fields are as on the wire: optional is an `Option`, an enumeration is its number (`TryFrom<i32>` makes it a value).

mod base;
mod common;
mod connection;
mod consumer;
mod lookup;
mod metadata;
mod producer;
mod redacted;
mod schema;
mod topics;
mod transaction;

pub use base::*;
pub use common::*;
pub use connection::*;
pub use consumer::*;
pub use lookup::*;
pub use metadata::*;
pub use producer::*;
pub use schema::*;
pub use topics::*;
pub use transaction::*;

/// The version of the protocol that these messages are.
pub const PROTOCOL_VERSION: i32 = 21;
