//! A real broker, for tests that ask for one: `PULSAR_SERVICE_URL` and `PULSAR_ADMIN_URL` say where it is.

use std::net::SocketAddr;
use std::time::Duration;

use fastapi_pulsar_core::client::options::ProducerOptions;
use fastapi_pulsar_core::client::{Client, Completion, OutgoingMessage, Producer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::setup;

/// Nothing takes this long, unless it hangs.
pub const LIMIT: Duration = Duration::from_mins(1);

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} must say where the real broker is"))
}

/// Where it listens.
pub fn address() -> SocketAddr {
    let url = variable("PULSAR_SERVICE_URL");
    url.trim_start_matches("pulsar://").parse().unwrap_or_else(|_| panic!("{url} must name an address"))
}

pub fn client() -> Client {
    setup::client(&variable("PULSAR_SERVICE_URL"))
}

/// A topic that nobody used before.
pub fn fresh_topic(name: &str) -> String {
    format!("persistent://public/default/{name}-{:016x}", fastrand::u64(..))
}

pub async fn soon<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.unwrap_or_else(|_| panic!("{what}: nothing within {LIMIT:?}"))
}

/// A request to the broker's administration, below `/admin/v2/persistent/` and the topic's path.
pub async fn admin(method: &str, topic: &str, action: &str, body: &str) {
    let url = variable("PULSAR_ADMIN_URL");
    let authority = url.trim_start_matches("http://").trim_end_matches('/');
    let path = topic.replace("://", "/");
    let request = format!(
        "{method} /admin/v2/{path}{action} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut answer = String::new();
    let mut socket = TcpStream::connect(authority).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    soon("the admin's answer", socket.read_to_string(&mut answer)).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap_or_default();
    assert!(status.starts_with('2') || status == "307", "{method} {path}{action}: {answer}");
}

/// A producer whose batches are closed by `flush` and by size only.
pub async fn producer(client: &Client, topic: &str) -> Producer {
    let options = ProducerOptions {
        topic: topic.into(),
        batch_max_delay: Duration::from_secs(10),
        batch_when_idle: true,
        max_pending_messages: 0,
        ..ProducerOptions::default()
    };
    soon("a producer", client.producer(options)).await.unwrap()
}

/// Sends these texts as one batch.
pub async fn send_batch(producer: &Producer, texts: impl IntoIterator<Item = String>) {
    for text in texts {
        let message =
            OutgoingMessage { payload: bytes::Bytes::from(text).into(), ..OutgoingMessage::default() };
        producer.send(message, Completion::Ignore).unwrap();
    }
    soon("a flush", producer.flush()).await.unwrap();
}

pub fn numbered(prefix: &str, count: usize) -> impl Iterator<Item = String> {
    (0..count).map(move |number| format!("{prefix}{number}"))
}
