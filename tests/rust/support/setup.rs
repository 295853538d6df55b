//! Clients for tests: quick to retry, and with a clock that the test may move.

use std::sync::Arc;
use std::time::Duration;

use fastapi_pulsar_core::client::Client;
use fastapi_pulsar_core::client::auth::{Authentication, NoAuthentication};
use fastapi_pulsar_core::client::options::ClientOptions;
use fastapi_pulsar_core::clock::Clock;
use fastapi_pulsar_core::protocol::topic::TopicName;
use tokio::runtime::Handle;

pub fn options(url: &str) -> ClientOptions {
    ClientOptions {
        service_url: url.into(),
        initial_backoff: Duration::from_millis(1),
        max_backoff: Duration::from_millis(20),
        seed: Some(1),
        ..ClientOptions::default()
    }
}

pub fn client(url: &str) -> Client {
    client_with(options(url), NoAuthentication, &Clock::default())
}

pub fn client_with(
    options: ClientOptions,
    authentication: impl Authentication + 'static,
    clock: &Clock,
) -> Client {
    Client::new(options, Arc::new(authentication), clock.clone(), Handle::current()).unwrap()
}

pub fn topic(name: &str) -> TopicName {
    TopicName::parse(name).unwrap()
}
