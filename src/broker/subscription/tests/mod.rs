//! What a subscription does, kind by kind.

mod acks;
mod admin;
mod failover;
mod key_shared;
mod random;
mod shared;
mod start;
