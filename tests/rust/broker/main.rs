//! The embedded broker, used by our own client and by raw frames.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "how a test fails")]

#[path = "../support/mod.rs"]
mod support;

mod admin;
mod administering;
mod connections;
mod credentials;
mod faults;
mod hostile;
mod house;
mod http;
mod questions;
mod restarting;
mod round_trip;
mod schemas;
mod subscriptions;
mod tls;
mod topics;
