//! Connections, the pool, lookups and credentials, against a scripted peer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

#[path = "../support/mod.rs"]
mod support;

mod credentials;
mod handshake;
mod liveness;
mod lookup;
mod pool;
mod recorder;
mod requests;
mod sinks;
mod tls;
mod wired;
