//! The embedded broker: Pulsar's protocol in process, for development and tests.
//!
//! * `broker` — the handle; `config` — its options; `core` — what its connections share.
//! * `data` — what it holds, from the start to the end.
//! * `server`, `session`, `auth` — the door, one connection, and who may come in.
//! * `handlers` — what each command does.
//! * `registry` — tenants, namespaces, topics.
//! * `faults` — what goes wrong when a test asks for it.
//! * `admin` — the door for administrators: Pulsar's REST interface.
//! * `entry`, `position` — what is stored, and where.
//! * `outlet` — a connection, as topics see it.
//! * `storage` — what outlives the broker: in memory nothing, with a data directory all that was acknowledged.
//! * `policies` — what namespaces and topics are held to.
//! * `schemas` — the schemas of topics, and which new ones are accepted.
//! * `topic` — the log of one topic, its producers and what holds them to the policies.
//! * `subscription` — what was acknowledged, who gets what next.

pub mod admin;
mod auth;
#[allow(clippy::module_inception)] // the handle is what the room is named after
mod broker;
pub mod config;
pub mod core;
mod data;
pub mod entry;
pub mod faults;
mod handlers;
pub mod outlet;
pub mod policies;
pub mod position;
pub mod registry;
pub mod schemas;
mod server;
pub mod session;
pub mod storage;
pub mod subscription;
pub mod topic;

pub use self::broker::Broker;
