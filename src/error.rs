//! One error type for the whole crate. What went wrong is data: a kind from one table, the topic, a sentence.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

macro_rules! kinds {
    ($($kind:ident, $retryable:literal, $doc:literal;)+) => {
        /// What went wrong. Each kind is one exception class in Python, named `<Kind>Error`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum ErrorKind { $(#[doc = $doc] $kind,)+ }

        impl ErrorKind {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [ErrorKind] = &[$(ErrorKind::$kind,)+];

            /// The kind's name, without the suffix `Error`.
            pub const fn name(self) -> &'static str {
                match self { $(ErrorKind::$kind => stringify!($kind),)+ }
            }

            /// Whether the same call may succeed later without a change by the caller.
            pub const fn retryable(self) -> bool {
                match self { $(ErrorKind::$kind => $retryable,)+ }
            }

            /// One sentence for people.
            pub const fn doc(self) -> &'static str {
                match self { $(ErrorKind::$kind => $doc,)+ }
            }
        }
    };
}

kinds! {
    Connection, true, "The broker cannot be reached, or the connection broke.";
    Timeout, true, "The deadline passed before the broker answered.";
    Authentication, false, "The broker refused the credentials, or none were given.";
    Authorization, false, "The credentials are good, but do not permit this.";
    InvalidOption, false, "An option is out of range or contradicts another.";
    InvalidTopic, false, "The topic name is malformed.";
    InvalidMessageId, false, "The message id is malformed, or belongs to another topic.";
    TopicNotFound, false, "The topic does not exist and may not be created.";
    TopicTerminated, false, "The topic is terminated: nothing can be published to it any more.";
    SubscriptionNotFound, false, "The subscription does not exist.";
    ConsumerNotFound, false, "The broker does not know this consumer.";
    ConsumerBusy, true, "The subscription already has a consumer that excludes this one.";
    ConsumerAssign, true, "The broker could not assign keys or partitions to the consumer.";
    ProducerBusy, true, "Another producer holds the name or the exclusive access.";
    ProducerFenced, false, "Another producer took over: this one may not publish any more.";
    QuotaExceeded, true, "The topic's backlog quota is exceeded.";
    QueueFull, true, "The limit of pending messages or of client memory is reached.";
    MessageTooLarge, false, "The message is larger than the broker accepts.";
    Encode, false, "The value cannot be written as a message.";
    Decode, false, "The bytes are not a well-formed message.";
    Checksum, false, "The checksum does not match: the bytes were damaged on the way.";
    Encrypted, false, "The message is encrypted, and this consumer has no key for it.";
    IncompatibleSchema, false, "The schema is incompatible with the topic's.";
    SchemaType, false, "The topic's schema is of a type that this model cannot read.";
    NotAllowed, false, "The operation is not allowed in this state or on this subscription type.";
    Unsupported, false, "The broker does not support the operation.";
    TooManyRequests, true, "The broker asks to slow down.";
    ServiceNotReady, true, "The broker is not ready to serve the topic.";
    Metadata, true, "The broker could not read or write its metadata.";
    Persistence, true, "The broker could not store the message.";
    DataDirInUse, false, "Another embedded broker holds the data directory.";
    TransactionCoordinatorNotFound, true, "No coordinator serves the transaction.";
    InvalidTransactionStatus, false, "The transaction is not in a state that permits this.";
    TransactionConflict, false, "Another transaction acknowledged the message.";
    TransactionNotFound, false, "The transaction does not exist.";
    Closed, false, "The client, producer, consumer or reader is closed.";
    ForkedClient, false, "The object was made before a fork and belongs to the parent process.";
    Unknown, true, "The broker reported an error without a more exact code.";
}

/// An error: its kind, the topic it concerns, and a sentence saying what, where and what to do.
///
/// Cheap to clone, since one failure may answer many callers (a shared lookup, a batch). The text never holds a
/// payload, a key or a credential.
#[derive(Clone, Debug)]
pub struct Error(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: ErrorKind,
    context: String,
    topic: Option<String>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Error {
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self(Arc::new(Inner { kind, context: context.into(), topic: None, source: None }))
    }

    /// The same error with the topic it concerns; an already named topic is kept.
    #[must_use]
    pub fn on_topic(mut self, topic: impl fmt::Display) -> Self {
        if self.0.topic.is_none() {
            Arc::make_mut(&mut self.0).topic = Some(topic.to_string());
        }
        self
    }

    /// The same error with what caused it.
    #[must_use]
    pub fn caused_by(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        Arc::make_mut(&mut self.0).source = Some(Arc::new(source));
        self
    }

    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    pub fn retryable(&self) -> bool {
        self.0.kind.retryable()
    }

    pub fn topic(&self) -> Option<&str> {
        self.0.topic.as_deref()
    }

    /// The sentence without topic and cause.
    pub fn context(&self) -> &str {
        &self.0.context
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.context)?;
        if let Some(topic) = &self.0.topic {
            write!(f, " (topic {topic})")?;
        }
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        let kind = if source.kind() == std::io::ErrorKind::TimedOut {
            ErrorKind::Timeout
        } else {
            ErrorKind::Connection
        };
        Self::new(kind, "input/output failed").caused_by(source)
    }
}
