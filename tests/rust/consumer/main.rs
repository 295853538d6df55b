//! Consumers and readers against a scripted peer.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

#[path = "../support/mod.rs"]
mod support;

mod acknowledging;
mod control;
mod creating;
mod partitions;
mod reader;
mod reconnecting;
mod redelivering;
mod scene;
