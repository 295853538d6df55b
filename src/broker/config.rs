//! What whoever starts a broker may choose. Defaults stand here once.
//!
//! Every duration crosses the border as a number of seconds. Unknown fields are refused.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::error::{Error, ErrorKind, Result};
use crate::protocol::frame::DEFAULT_MAX_MESSAGE_SIZE;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BrokerOptions {
    /// The address to listen on.
    pub host: String,
    /// Where clients connect; 0 is any free port.
    pub port: u16,
    /// Where the admin interface is served; 0 is any free port.
    pub admin_port: u16,
    /// The host that clients are told to connect to; `None` is the one they came by.
    pub advertised_host: Option<String>,
    /// Where what is stored is kept; without it in memory.
    pub data_dir: Option<String>,
    /// Whom to let in; everybody without it.
    pub tokens: Option<TokenOptions>,
    /// Listen with TLS only.
    pub tls: Option<TlsOptions>,
    pub limits: Limits,
}

impl Default for BrokerOptions {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".into(),
            port: 0,
            admin_port: 0,
            advertised_host: None,
            data_dir: None,
            tokens: None,
            tls: None,
            limits: Limits::default(),
        }
    }
}

/// What JSON web tokens are signed with: one of the two.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenOptions {
    /// The secret of HS256.
    pub secret_key: Option<Vec<u8>>,
    /// The file of the public key of RS256, PEM or DER.
    pub public_key: Option<String>,
}

impl fmt::Debug for TokenOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenOptions").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsOptions {
    /// PEM file of the broker's certificate chain.
    pub certificate: String,
    /// PEM file of its private key.
    pub key: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Bytes of a message with its metadata.
    pub max_message_size: usize,
    /// Bytes of messages kept without a data directory.
    pub memory: u64,
    /// Messages that a consumer may hold without acknowledging them.
    pub unacked_per_consumer: u32,
    /// Clients connected at the same time.
    pub connections: usize,
    /// Producers and consumers of one connection.
    pub handles_per_connection: usize,
    /// How long a client may take to introduce itself, TLS included.
    #[serde(deserialize_with = "seconds")]
    pub handshake_timeout: Duration,
    /// A ping after this much silence; as much again without a sign of life ends the connection.
    #[serde(deserialize_with = "seconds")]
    pub keep_alive_interval: Duration,
    /// How long a client may leave unread what is sent to it, once its socket is full.
    #[serde(deserialize_with = "seconds")]
    pub write_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_size: DEFAULT_MAX_MESSAGE_SIZE,
            memory: 256 << 20,
            unacked_per_consumer: 50_000,
            connections: 10_000,
            handles_per_connection: 100_000,
            handshake_timeout: Duration::from_secs(10),
            keep_alive_interval: Duration::from_secs(30),
            write_timeout: Duration::from_mins(1),
        }
    }
}

impl BrokerOptions {
    /// Refuses what cannot be.
    pub fn check(&self) -> Result<()> {
        let limits = &self.limits;
        let invalid = |context: &str| Err(Error::new(ErrorKind::InvalidOption, context));
        if !(1..=1 << 30).contains(&limits.max_message_size) {
            return invalid("limits.max_message_size is not between 1 and 2^30 bytes");
        }
        if limits.connections == 0 || limits.handles_per_connection == 0 {
            return invalid("limits.connections and limits.handles_per_connection must not be 0");
        }
        let durations = [limits.handshake_timeout, limits.keep_alive_interval, limits.write_timeout];
        if durations.iter().any(Duration::is_zero) {
            return invalid("the durations of limits must not be 0");
        }
        Ok(())
    }
}

/// Seconds as a number, negative and not finite ones refused.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let value = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(value)
        .map_err(|_| serde::de::Error::custom(format!("{value} is not a duration in seconds")))
}
