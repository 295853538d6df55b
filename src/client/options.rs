//! What a caller may choose. Defaults stand here once; Python's documentation and stubs are written from them.
//!
//! Every duration crosses the border as a number of seconds. Unknown fields are refused.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

/// Options of a client: where the brokers are and how to reach them.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientOptions {
    /// `pulsar://host:port` or `pulsar+ssl://host:port`; several hosts separated by commas are tried in turn.
    pub service_url: String,
    /// Limit for TCP, TLS and the Pulsar handshake together.
    #[serde(deserialize_with = "seconds")]
    pub connection_timeout: Duration,
    /// Limit for one request to the broker, and for creating a producer or consumer with its retries.
    #[serde(deserialize_with = "seconds")]
    pub operation_timeout: Duration,
    /// A ping after this much silence; no sign of life for twice as long ends the connection.
    #[serde(deserialize_with = "seconds")]
    pub keep_alive_interval: Duration,
    pub connections_per_broker: usize,
    /// Bytes of unconfirmed payloads over all producers of the client; 0 means no limit.
    pub memory_limit: u64,
    #[serde(deserialize_with = "seconds")]
    pub initial_backoff: Duration,
    #[serde(deserialize_with = "seconds")]
    pub max_backoff: Duration,
    /// How often the partition count of a partitioned topic is asked again; 0 means never.
    #[serde(deserialize_with = "seconds")]
    pub partition_refresh_interval: Duration,
    /// The broker's advertised listener to ask for.
    pub listener_name: Option<String>,
    pub tls: TlsOptions,
    /// Seeds every random choice (backoff jitter, first partition), so that a run can be repeated.
    pub seed: Option<u64>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            service_url: "pulsar://localhost:6650".into(),
            connection_timeout: Duration::from_secs(10),
            operation_timeout: Duration::from_secs(30),
            keep_alive_interval: Duration::from_secs(30),
            connections_per_broker: 1,
            memory_limit: 64 << 20,
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(30),
            partition_refresh_interval: Duration::from_mins(1),
            listener_name: None,
            tls: TlsOptions::default(),
            seed: None,
        }
    }
}

/// TLS, used when the URL's scheme is `pulsar+ssl`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsOptions {
    /// PEM file of trusted certificates; `None` trusts the platform's.
    pub ca_file: Option<String>,
    /// PEM file of the client's certificate chain, for mutual TLS.
    pub cert_file: Option<String>,
    /// PEM file of the client's private key.
    pub key_file: Option<String>,
    /// Whether the certificate must name the host that was dialled.
    pub verify_hostname: bool,
    /// Accept any certificate. For tests only.
    pub insecure: bool,
}

impl Default for TlsOptions {
    fn default() -> Self {
        Self { ca_file: None, cert_file: None, key_file: None, verify_hostname: true, insecure: false }
    }
}

/// How messages are grouped into entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Batching {
    /// Each message is an entry of its own.
    Off,
    /// Keyed messages are grouped by key, the others together.
    #[default]
    Auto,
    /// All messages together, as Java's default batcher does; breaks `Key_Shared`.
    Default,
    /// Every batch holds one key only.
    Key,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CompressionKind {
    #[default]
    None,
    Lz4,
    Zlib,
    Zstd,
    Snappy,
}

/// Which partition a message without a key goes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Routing {
    /// The next partition with each batch.
    #[default]
    RoundRobin,
    /// One partition, chosen at random when the producer is made.
    Single,
}

/// How a key chooses its partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Hashing {
    /// Java's `String.hashCode` over UTF-16 units, the default of the Java client.
    #[default]
    Java,
    /// Murmur3, 32 bits, seed 0, as the Java client.
    Murmur3,
    /// What the C++ client and those built on it (`pulsar-client` for Python) do by default.
    Cpp,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AccessMode {
    #[default]
    Shared,
    Exclusive,
    WaitForExclusive,
    ExclusiveWithFencing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnFull {
    /// `send` waits for room, first come first served.
    #[default]
    Wait,
    /// `send` fails with `QueueFull`.
    Error,
}

/// A schema as it is registered with the broker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaOptions {
    #[serde(default)]
    pub name: String,
    /// Pulsar's own name in capitals: `JSON`, `AVRO`, `STRING`, `BYTES`, …
    pub r#type: String,
    /// The definition; for `JSON` and `AVRO` an Avro schema as JSON text.
    #[serde(default)]
    pub data: String,
    #[serde(default)]
    pub properties: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProducerOptions {
    pub topic: String,
    /// `None` lets the broker choose.
    pub name: Option<String>,
    pub schema: Option<SchemaOptions>,
    pub properties: BTreeMap<String, String>,
    pub access_mode: AccessMode,
    /// A subscription made with the topic, so that nothing published before the first consumer is lost.
    pub initial_subscription: Option<String>,
    pub batching: Batching,
    pub batch_max_messages: usize,
    pub batch_max_bytes: usize,
    #[serde(deserialize_with = "seconds")]
    pub batch_max_delay: Duration,
    /// Whether a batch waits for more although nothing is under way to the broker. Otherwise it waits only behind others: who
    /// publishes now and then is not kept waiting, and who publishes much fills batches all the same.
    pub batch_when_idle: bool,
    pub compression: CompressionKind,
    pub routing: Routing,
    pub hashing: Hashing,
    /// How long a message may stay unconfirmed; 0 means for ever.
    #[serde(deserialize_with = "seconds")]
    pub send_timeout: Duration,
    /// Unconfirmed messages over all partitions; 0 means no limit.
    pub max_pending_messages: usize,
    pub on_full: OnFull,
    /// The last sequence id already used; `None` continues from the broker's.
    pub initial_sequence_id: Option<i64>,
}

impl Default for ProducerOptions {
    fn default() -> Self {
        Self {
            topic: String::new(),
            name: None,
            schema: None,
            properties: BTreeMap::new(),
            access_mode: AccessMode::default(),
            initial_subscription: None,
            batching: Batching::default(),
            batch_max_messages: 1000,
            batch_max_bytes: 128 * 1024,
            batch_max_delay: Duration::from_millis(1),
            batch_when_idle: false,
            compression: CompressionKind::default(),
            routing: Routing::default(),
            hashing: Hashing::default(),
            send_timeout: Duration::from_secs(30),
            max_pending_messages: 1000,
            on_full: OnFull::default(),
            initial_sequence_id: None,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum SubscriptionKind {
    #[default]
    Exclusive,
    Shared,
    Failover,
    #[serde(rename = "Key_Shared")]
    KeyShared,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    #[default]
    Latest,
    Earliest,
}

/// How keys are shared out on `Key_Shared`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeySharedOptions {
    /// Ranges of hashes (0 to 65535, both ends included) that this consumer takes; `None` lets the broker divide.
    pub sticky_ranges: Option<Vec<(u16, u16)>>,
    pub allow_out_of_order: bool,
}

/// What to do with a message that this client cannot open (encrypted).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnUnsupported {
    /// Stop there: `receive` raises until the consumer is closed or has sought past it.
    #[default]
    Pause,
    /// Count it and acknowledge nothing; the message stays in the backlog.
    Skip,
}

/// A delay that grows with each attempt.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelayOptions {
    #[serde(deserialize_with = "seconds")]
    pub initial: Duration,
    #[serde(deserialize_with = "seconds")]
    pub max: Duration,
    pub multiplier: f64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConsumerOptions {
    pub topics: Vec<String>,
    pub subscription: String,
    pub r#type: SubscriptionKind,
    /// `None` lets the client choose a random one.
    pub name: Option<String>,
    pub initial_position: Position,
    pub durable: bool,
    /// Where a non-durable subscription starts, as `MessageId::to_bytes` writes it.
    pub start_message_id: Option<Vec<u8>>,
    pub start_message_id_inclusive: bool,
    pub properties: BTreeMap<String, String>,
    pub subscription_properties: BTreeMap<String, String>,
    pub priority: i32,
    pub read_compacted: bool,
    pub key_shared: KeySharedOptions,
    pub replicate_subscription_state: bool,
    /// Messages that the broker may send ahead, for each topic or partition.
    pub receiver_queue_size: u32,
    /// The same over all topics and partitions of the consumer.
    pub max_total_receiver_queue_size: u32,
    /// Acknowledgements are sent when they amount to so many messages. By messages and not by batches, since by them the
    /// broker counts when it stops a consumer that acknowledges too little.
    pub ack_group_max: usize,
    #[serde(deserialize_with = "seconds")]
    pub ack_group_delay: Duration,
    /// `acknowledge` waits for the broker's answer.
    pub ack_receipts: bool,
    /// Acknowledge single messages of a batch at the broker (which must have it switched on).
    pub batch_index_ack: bool,
    pub negative_ack_delay: DelayOptions,
    /// Redeliver what is not acknowledged this long after it was handed out; 0 means never.
    #[serde(deserialize_with = "seconds")]
    pub ack_timeout: Duration,
    /// Grows the ack timeout with each redelivery.
    pub ack_timeout_backoff: Option<DelayOptions>,
    pub schema: Option<SchemaOptions>,
    pub on_unsupported: OnUnsupported,
    /// Chunked messages assembled at the same time; beyond it the oldest is given up.
    pub max_pending_chunked_messages: usize,
    /// Largest message after decompression and assembly, in bytes.
    pub max_uncompressed_size: usize,
    pub start_paused: bool,
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            topics: Vec::new(),
            subscription: String::new(),
            r#type: SubscriptionKind::default(),
            name: None,
            initial_position: Position::default(),
            durable: true,
            start_message_id: None,
            start_message_id_inclusive: false,
            properties: BTreeMap::new(),
            subscription_properties: BTreeMap::new(),
            priority: 0,
            read_compacted: false,
            key_shared: KeySharedOptions::default(),
            replicate_subscription_state: false,
            receiver_queue_size: 1000,
            max_total_receiver_queue_size: 50_000,
            ack_group_max: 1000,
            ack_group_delay: Duration::from_millis(100),
            ack_receipts: false,
            batch_index_ack: false,
            negative_ack_delay: DelayOptions {
                initial: Duration::from_secs(1),
                max: Duration::from_mins(1),
                multiplier: 2.0,
            },
            ack_timeout: Duration::ZERO,
            ack_timeout_backoff: None,
            schema: None,
            on_unsupported: OnUnsupported::default(),
            max_pending_chunked_messages: 10,
            max_uncompressed_size: 128 << 20,
            start_paused: false,
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReaderOptions {
    pub topic: String,
    pub name: Option<String>,
    /// `None` lets the client choose `reader-<random>`.
    pub subscription: Option<String>,
    pub start: Position,
    /// Wins over `start`.
    pub start_message_id: Option<Vec<u8>>,
    pub start_message_id_inclusive: bool,
    pub read_compacted: bool,
    pub receiver_queue_size: u32,
    pub on_unsupported: OnUnsupported,
}

impl Default for ReaderOptions {
    fn default() -> Self {
        Self {
            topic: String::new(),
            name: None,
            subscription: None,
            start: Position::Earliest,
            start_message_id: None,
            start_message_id_inclusive: false,
            read_compacted: false,
            receiver_queue_size: 1000,
            on_unsupported: OnUnsupported::default(),
        }
    }
}

/// Seconds as a number, negative and not finite ones refused.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let value = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(value)
        .map_err(|_| serde::de::Error::custom(format!("{value} is not a duration in seconds")))
}
