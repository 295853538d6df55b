//! Which broker serves a topic, and how many partitions the topic has.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::runtime::Handle;

use super::connection::{Connection, Target};
use super::pool::Pool;
use super::service_url::ServiceUrl;
use super::shared::Shared;
use super::stats::Counters;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::proto::{
    Command, CommandLookupTopic, CommandLookupTopicResponse, CommandPartitionedTopicMetadata, LookupType,
};
use crate::protocol::topic::TopicName;

/// Brokers asked for one topic before the lookup is given up.
const MAX_REDIRECTS: usize = 20;

/// Asks the brokers; questions asked by several at once are asked once.
pub(super) struct Lookup {
    asker: Asker,
    targets: Shared<TopicName, Target>,
    partitions: Shared<TopicName, u32>,
}

#[derive(Clone)]
struct Asker {
    pool: Pool,
    listener_name: Option<Arc<str>>,
    counters: Arc<Counters>,
    /// Whether the last answer said that brokers are reached through the service address only.
    proxied: Arc<AtomicBool>,
}

impl Lookup {
    pub(super) fn new(
        pool: Pool,
        listener_name: Option<&str>,
        counters: Arc<Counters>,
        runtime: Handle,
    ) -> Self {
        Self {
            asker: Asker {
                pool,
                listener_name: listener_name.map(Into::into),
                counters,
                proxied: Arc::default(),
            },
            targets: Shared::new(runtime.clone()),
            partitions: Shared::new(runtime),
        }
    }

    /// Where the topic (or partition) is served.
    pub(super) async fn target(&self, topic: &TopicName) -> Result<Target> {
        let (asker, name) = (self.asker.clone(), topic.clone());
        let found =
            self.targets.run(topic.clone(), || async move { asker.counted(asker.target(&name).await) }).await;
        found.map_err(|error| error.on_topic(topic))
    }

    /// Where the broker with this service URL is reached: through the proxy, if the others are.
    pub(super) async fn broker(&self, url: &str) -> Result<Target> {
        let direct = target(url, self.asker.pool.tls())?;
        if self.asker.proxied.load(Ordering::Relaxed) {
            let dialled = self.asker.pool.service().await?.dialled().clone();
            return Ok(Target { dialled, ..direct });
        }
        Ok(direct)
    }

    /// How many partitions the topic has; 0 is a topic without partitions.
    pub(super) async fn partitions(&self, topic: &TopicName) -> Result<u32> {
        let (asker, name) = (self.asker.clone(), topic.clone());
        let work = || async move { asker.counted(asker.partitions(&name).await) };
        self.partitions.run(topic.clone(), work).await.map_err(|error| error.on_topic(topic))
    }
}

impl Asker {
    fn counted<T>(&self, result: Result<T>) -> Result<T> {
        self.counters.lookups.add(1);
        if result.is_err() {
            self.counters.lookup_failures.add(1);
        }
        result
    }

    async fn target(&self, topic: &TopicName) -> Result<Target> {
        let mut connection = self.pool.service().await?;
        let mut authoritative = false;
        for _ in 0..MAX_REDIRECTS {
            let answer = self.ask(&connection, topic, authoritative).await?;
            let target = self.named(&connection, &answer)?;
            match answer.response.and_then(|response| LookupType::try_from(response).ok()) {
                Some(LookupType::Connect) => return Ok(target),
                Some(LookupType::Redirect) => {
                    authoritative = answer.authoritative.unwrap_or_default();
                    connection = self.pool.get(&target).await?;
                }
                // A failure has become an error already.
                Some(LookupType::Failed) | None => {
                    return Err(unexpected(&connection, "a lookup without a verdict"));
                }
            }
        }
        let context = format!("the lookup was redirected {MAX_REDIRECTS} times");
        Err(Error::new(ErrorKind::ServiceNotReady, context))
    }

    async fn ask(
        &self,
        connection: &Connection,
        topic: &TopicName,
        authoritative: bool,
    ) -> Result<CommandLookupTopicResponse> {
        let make = |request_id| {
            CommandLookupTopic {
                topic: topic.to_string(),
                request_id,
                authoritative: Some(authoritative),
                advertised_listener_name: self.listener_name.as_deref().map(Into::into),
                ..CommandLookupTopic::default()
            }
            .into()
        };
        match connection.request(make).await? {
            Command::LookupTopicResponse(answer) => Ok(*answer),
            other => Err(unexpected(connection, other.name())),
        }
    }

    /// The broker that an answer names, to be reached through the proxy if the answer says so.
    fn named(&self, connection: &Connection, answer: &CommandLookupTopicResponse) -> Result<Target> {
        let tls = self.pool.tls();
        let url = if tls { &answer.broker_service_url_tls } else { &answer.broker_service_url };
        let Some(url) = url.as_deref().filter(|url| !url.is_empty()) else {
            let what = if tls { "TLS" } else { "plain connections" };
            let context =
                format!("{} knows no address for {what} of the topic's broker", connection.address());
            return Err(Error::new(ErrorKind::ServiceNotReady, context));
        };
        let direct = target(url, tls)?;
        let proxied = answer.proxy_through_service_url.unwrap_or_default();
        self.proxied.store(proxied, Ordering::Relaxed);
        if proxied {
            return Ok(Target { dialled: connection.dialled().clone(), ..direct });
        }
        Ok(direct)
    }

    async fn partitions(&self, topic: &TopicName) -> Result<u32> {
        let connection = self.pool.service().await?;
        let make = |request_id| {
            CommandPartitionedTopicMetadata {
                topic: topic.to_string(),
                request_id,
                ..CommandPartitionedTopicMetadata::default()
            }
            .into()
        };
        match connection.request(make).await? {
            Command::PartitionedTopicMetadataResponse(answer) => Ok(answer.partitions.unwrap_or_default()),
            other => Err(unexpected(&connection, other.name())),
        }
    }
}

/// The target that a broker's URL means.
fn target(url: &str, tls: bool) -> Result<Target> {
    let malformed =
        || Error::new(ErrorKind::Decode, format!("the broker named a malformed address: {url:?}"));
    let address = ServiceUrl::parse(url).map_err(|_| malformed())?.addresses.into_iter().next();
    Ok(Target::direct(address.ok_or_else(malformed)?, tls))
}

fn unexpected(connection: &Connection, what: &str) -> Error {
    Error::new(ErrorKind::Decode, format!("{} answered with {what}", connection.address()))
}
