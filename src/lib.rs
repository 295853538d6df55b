//! A map of the house.
//!
//! * `protocol` — pure: bytes in, values out; no socket, no clock.
//! * `client` — the engine: connections, producers, consumers, readers, on tokio.
//! * `broker` — the embedded broker, for development and tests.
//! * `bindings` — the only rooms that know pyo3.
//!
//! `bindings` may use `client` and `broker`, which never meet; both use `protocol`; everyone may use `clock` and `error`, and both
//! sides of a connection `vectored`;
//! nothing points the other way.

pub mod broker;
pub mod client;
pub mod clock;
pub mod error;
pub mod protocol;
mod vectored;

#[cfg(feature = "python")]
mod bindings;
