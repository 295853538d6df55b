//! The door for administrators: Pulsar's `/admin/v2`, `/lookup/v2` and `/metrics/` over HTTP.
//!
//! * `server` — connections, their limits, and who is let in.
//! * `routes` — which path does what.
//! * `request`, `answer` — what comes and goes, in Pulsar's forms.
//! * `cluster`, `namespaces`, `policies`, `topics`, `subscriptions`, `schemas`, `stats`, `metrics` — what is asked for.
//! * `time` — points in time as Pulsar writes them.

mod answer;
mod cluster;
mod metrics;
mod namespaces;
mod policies;
mod request;
mod routes;
mod schemas;
pub mod server;
mod stats;
mod subscriptions;
mod time;
mod topics;
