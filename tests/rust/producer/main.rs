//! Producers, against a scripted peer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

#[path = "../support/mod.rs"]
mod support;

mod batching;
mod bench;
mod group;
mod lifecycle;
mod limits;
mod partitions;
mod reconnect;
