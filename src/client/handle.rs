//! The client itself: what its producers, consumers and readers share.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::auth::{Authentication, BoxFuture};
use super::backoff::Backoff;
use super::connection::{Connection, Dialer, Settings};
use super::consumer::{self, Consumer};
use super::events::{Events, Taken};
use super::lookup::Lookup;
use super::memory::MemoryLimit;
use super::options::{ClientOptions, ConsumerOptions, ProducerOptions, ReaderOptions};
use super::pool::Pool;
use super::producer::Producer;
use super::reader::{self, Reader};
use super::retired::Retired;
use super::schema::{self, SchemaInfo};
use super::service_url::ServiceUrl;
use super::shared::Shared;
use super::stats::{ClientStats, ConsumerStats, Counters, ProducerStats};
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::topic::TopicName;

/// A handle on a client; clones share connections and limits. May be used and dropped on any thread, without a runtime.
///
/// When the last handle goes (producers and consumers hold one each), the connections are closed.
#[derive(Clone)]
pub struct Client(Arc<Inner>);

struct Inner {
    options: ClientOptions,
    clock: Clock,
    runtime: Handle,
    /// The source of all random choices.
    random: Mutex<fastrand::Rng>,
    pool: Pool,
    lookup: Lookup,
    memory: MemoryLimit,
    counters: Arc<Counters>,
    last_producer_id: AtomicU64,
    last_consumer_id: AtomicU64,
    children: Mutex<Vec<Weak<dyn Child>>>,
    retired: Retired,
    /// Set when `close` begins: nothing new is made any more.
    closing: AtomicBool,
    close: Shared<(), ()>,
}

/// A producer or consumer, as its client sees it.
pub trait Child: Send + Sync {
    /// Closes it in an orderly way: sends flushed, acknowledgements sent.
    fn close(&self) -> BoxFuture<'static, Result<()>>;
    fn stats(&self) -> ChildStats;
}

/// A producer or a consumer at one moment.
pub enum ChildStats {
    Producer(ProducerStats),
    Consumer(ConsumerStats),
}

impl Client {
    /// Makes a client. Nothing is connected yet; only the options are checked.
    pub fn new(
        options: ClientOptions,
        authentication: Arc<dyn Authentication>,
        clock: Clock,
        runtime: Handle,
    ) -> Result<Self> {
        let service_url = checked(&options)?;
        let mut random = options.seed.map_or_else(fastrand::Rng::new, fastrand::Rng::with_seed);
        let counters = Arc::<Counters>::default();
        let settings = Settings {
            clock: clock.clone(),
            operation_timeout: options.operation_timeout,
            keep_alive_interval: options.keep_alive_interval,
            authentication,
            counters: Arc::clone(&counters),
        };
        let dialer = Dialer::new(options.connection_timeout, options.tls.clone());
        let first = random.usize(..);
        let pool =
            Pool::new(dialer, settings, runtime.clone(), service_url, options.connections_per_broker, first);
        let lookup = Lookup::new(
            pool.clone(),
            options.listener_name.as_deref(),
            Arc::clone(&counters),
            runtime.clone(),
        );
        Ok(Self(Arc::new(Inner {
            memory: MemoryLimit::new(options.memory_limit),
            options,
            clock,
            random: Mutex::new(random),
            pool,
            lookup,
            counters,
            last_producer_id: AtomicU64::new(0),
            last_consumer_id: AtomicU64::new(0),
            children: Mutex::default(),
            retired: Retired::default(),
            closing: AtomicBool::new(false),
            close: Shared::new(runtime.clone()),
            runtime,
        })))
    }

    /// Makes a producer for the topic of the options.
    pub async fn producer(&self, options: ProducerOptions) -> Result<Producer> {
        Producer::create(self, options).await
    }

    /// Subscribes to the topics of the options.
    pub async fn consumer(&self, options: ConsumerOptions) -> Result<Consumer> {
        consumer::create(self, options).await
    }

    /// Starts to read the topic of the options.
    pub async fn reader(&self, options: ReaderOptions) -> Result<Reader> {
        reader::create(self, options).await
    }

    /// How many partitions the topic has; 0 is a topic without partitions. Retried as `retry` says.
    pub async fn partitions(&self, topic: &TopicName) -> Result<u32> {
        self.retry(|| self.0.lookup.partitions(topic)).await
    }

    /// A version of the topic's schema, or the latest; `None` if it has none. Retried as `retry` says.
    pub async fn schema(&self, topic: &TopicName, version: Option<Bytes>) -> Result<Option<SchemaInfo>> {
        let attempt = || {
            let version = version.clone();
            async move { schema::get(&self.connect_topic(topic, None).await?, topic, version).await }
        };
        self.retry(attempt).await
    }

    /// Closes producers and consumers in an orderly way, for at most the operation timeout, then the connections. A
    /// second call waits for the first. The first error that a producer or consumer had is returned, after everything
    /// is closed.
    pub async fn close(&self) -> Result<()> {
        let inner = Arc::clone(&self.0);
        self.0.close.run((), || inner.close()).await
    }

    pub fn is_closed(&self) -> bool {
        self.0.closing.load(Ordering::Acquire)
    }

    pub fn stats(&self) -> ClientStats {
        let counters = &self.0.counters;
        let mut stats = ClientStats {
            connections: self.0.pool.open_connections(),
            connections_opened: counters.connections_opened.get(),
            connections_lost: counters.connections_lost.get(),
            connect_failures: counters.connect_failures.get(),
            authentication_failures: counters.authentication_failures.get(),
            auth_refreshes: counters.auth_refreshes.get(),
            connect_error: counters.connect_error(),
            lookups: counters.lookups.get(),
            lookup_failures: counters.lookup_failures.get(),
            request_timeouts: counters.request_timeouts.get(),
            memory_used: self.0.memory.used(),
            memory_limit: self.0.memory.limit(),
            producers: Vec::new(),
            consumers: Vec::new(),
            gone_producers: self.0.retired.producers(),
            gone_consumers: self.0.retired.consumers(),
        };
        for child in self.0.children() {
            match child.stats() {
                ChildStats::Producer(producer) => stats.producers.push(producer),
                ChildStats::Consumer(consumer) => stats.consumers.push(consumer),
            }
        }
        stats
    }

    /// What happened since the last call, for a log.
    pub fn take_events(&self) -> Taken {
        self.0.counters.events.take()
    }

    /// A connection to the broker that serves the topic (or partition): the one that `hint`, a broker's service URL,
    /// names, or the one that a lookup finds. One attempt; the caller decides about another. May be cancelled: what is
    /// under way is shared and goes on.
    pub async fn connect_topic(&self, topic: &TopicName, hint: Option<&str>) -> Result<Connection> {
        let attempt = async {
            let target = match hint {
                Some(url) => self.0.lookup.broker(url).await?,
                None => self.0.lookup.target(topic).await?,
            };
            self.0.pool.get(&target).await
        };
        attempt.await.map_err(|error| error.on_topic(topic))
    }

    /// Calls `attempt` until it succeeds, fails for good, or the operation timeout is over; then the last failure is
    /// the error. For creating things: who is busy is busy at once.
    pub(crate) async fn retry<T, F: Future<Output = Result<T>>>(
        &self,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T> {
        let deadline = self.clock().now() + self.0.options.operation_timeout;
        // At least eight attempts, even if a connected client would have more patience.
        let most = self.0.options.max_backoff.min(self.0.options.operation_timeout / 8);
        let mut backoff = Backoff::new(self.0.options.initial_backoff, most, self.random());
        let mut failure = None;
        loop {
            self.check_open()?;
            tokio::select! {
                biased;
                result = attempt() => match result {
                    Err(error) if worth_retrying(&error) => failure = Some(error),
                    result => return result,
                },
                () = self.clock().sleep_until(deadline) => {}
            }
            let now = self.clock().now();
            let again_at = now + backoff.delay(now);
            if again_at >= deadline {
                return Err(failure.unwrap_or_else(|| {
                    let limit = self.0.options.operation_timeout;
                    Error::new(
                        ErrorKind::Timeout,
                        format!("not done within the operation timeout of {limit:?}"),
                    )
                }));
            }
            self.clock().sleep_until(again_at).await;
        }
    }

    /// An error if the client is closing: nothing new may be made.
    pub(crate) fn check_open(&self) -> Result<()> {
        if self.is_closed() { Err(Error::new(ErrorKind::Closed, "the client is closed")) } else { Ok(()) }
    }

    /// Lets the client close the producer or consumer and show its numbers, as long as it lives.
    pub(crate) fn enroll(&self, child: Weak<dyn Child>) {
        let mut children = self.0.children.lock();
        children.retain(|child| child.strong_count() > 0);
        children.push(child);
    }

    /// Keeps the counts of a producer or consumer that goes.
    pub(crate) fn retire(&self, stats: ChildStats) {
        self.0.retired.add(stats);
    }

    pub(crate) fn next_producer_id(&self) -> u64 {
        self.0.last_producer_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn next_consumer_id(&self) -> u64 {
        self.0.last_consumer_id.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn options(&self) -> &ClientOptions {
        &self.0.options
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.0.clock
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }

    pub(crate) fn events(&self) -> &Arc<Events> {
        &self.0.counters.events
    }

    pub(crate) fn memory(&self) -> &MemoryLimit {
        &self.0.memory
    }

    /// A source of random choices of its own, derived from the client's.
    pub(crate) fn random(&self) -> fastrand::Rng {
        self.0.random.lock().fork()
    }

    /// The delays of one thing that is tried again and again.
    pub(crate) fn backoff(&self) -> Backoff {
        Backoff::new(self.0.options.initial_backoff, self.0.options.max_backoff, self.random())
    }
}

impl Inner {
    fn children(&self) -> Vec<Arc<dyn Child>> {
        self.children.lock().iter().filter_map(Weak::upgrade).collect()
    }

    async fn close(self: Arc<Self>) -> Result<()> {
        self.closing.store(true, Ordering::Release);
        let limit = self.options.operation_timeout;
        let deadline = self.clock.now() + limit;
        let outcome = tokio::select! {
            biased;
            outcome = self.close_children() => outcome,
            () = self.clock.sleep_until(deadline) => {
                Err(Error::new(ErrorKind::Timeout, format!("not everything was sent within {limit:?} of closing")))
            }
        };
        self.pool.close();
        outcome
    }

    async fn close_children(&self) -> Result<()> {
        let closing: Vec<_> =
            self.children().into_iter().map(|child| self.runtime.spawn(child.close())).collect();
        let mut outcome = Ok(());
        for child in closing {
            if let Ok(closed) = child.await {
                outcome = outcome.and(closed);
            }
        }
        outcome
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.pool.close();
    }
}

/// Who is busy or full answers the caller at once; what passes by itself is worth another attempt.
fn worth_retrying(error: &Error) -> bool {
    error.retryable()
        && !matches!(
            error.kind(),
            ErrorKind::ProducerBusy
                | ErrorKind::ConsumerBusy
                | ErrorKind::ConsumerAssign
                | ErrorKind::QuotaExceeded
        )
}

fn checked(options: &ClientOptions) -> Result<ServiceUrl> {
    let refuse = |context: &str| Err(Error::new(ErrorKind::InvalidOption, context));
    for (name, value) in [
        ("connection_timeout", options.connection_timeout),
        ("operation_timeout", options.operation_timeout),
        ("keep_alive_interval", options.keep_alive_interval),
        ("initial_backoff", options.initial_backoff),
    ] {
        if value == Duration::ZERO {
            return refuse(&format!("{name} must be greater than 0"));
        }
    }
    if options.max_backoff < options.initial_backoff {
        return refuse("max_backoff must not be less than initial_backoff");
    }
    if options.connections_per_broker == 0 {
        return refuse("connections_per_broker must be at least 1");
    }
    if options.tls.cert_file.is_some() != options.tls.key_file.is_some() {
        return refuse("tls.cert_file and tls.key_file must be given together");
    }
    ServiceUrl::parse(&options.service_url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::auth::NoAuthentication;

    fn client(options: ClientOptions) -> Result<Client> {
        Client::new(options, Arc::new(NoAuthentication), Clock::default(), Handle::current())
    }

    struct Stuck;

    impl Child for Stuck {
        fn close(&self) -> BoxFuture<'static, Result<()>> {
            Box::pin(std::future::pending())
        }

        fn stats(&self) -> ChildStats {
            ChildStats::Producer(ProducerStats::default())
        }
    }

    #[tokio::test]
    async fn closing_does_not_wait_for_ever() {
        let client = client(ClientOptions::default()).unwrap();
        let child: Arc<dyn Child> = Arc::new(Stuck);
        client.enroll(Arc::downgrade(&child));
        assert_eq!(client.stats().producers.len(), 1);
        let closing = tokio::spawn({
            let client = client.clone();
            async move { client.close().await }
        });
        while !client.is_closed() {
            tokio::task::yield_now().await;
        }
        client.clock().advance(Duration::from_secs(31));
        let closed = tokio::time::timeout(Duration::from_secs(5), closing).await.unwrap().unwrap();
        assert_eq!(closed.unwrap_err().kind(), ErrorKind::Timeout);
        assert_eq!(client.check_open().unwrap_err().kind(), ErrorKind::Closed);
    }

    #[tokio::test]
    async fn options_out_of_range_are_refused_by_name() {
        type Change = fn(&mut ClientOptions);
        let changes: [(&str, Change); 7] = [
            ("service URL", |options| options.service_url = "localhost".into()),
            ("connection_timeout", |options| options.connection_timeout = Duration::ZERO),
            ("operation_timeout", |options| options.operation_timeout = Duration::ZERO),
            ("keep_alive_interval", |options| options.keep_alive_interval = Duration::ZERO),
            ("max_backoff", |options| options.max_backoff = Duration::from_millis(1)),
            ("connections_per_broker", |options| options.connections_per_broker = 0),
            ("tls.key_file", |options| options.tls.cert_file = Some("cert.pem".into())),
        ];
        for (name, change) in changes {
            let mut options = ClientOptions::default();
            change(&mut options);
            let error = client(options).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::InvalidOption);
            assert!(error.context().contains(name), "{error}");
        }
    }
}
