//! The broker as whoever starts it sees it.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use super::admin;
use super::auth::Authenticator;
use super::config::BrokerOptions;
use super::core::{Core, Sessions};
use super::data::Data;
use super::faults::Faults;
use super::server;
use super::session::End;
use super::topic::Services;
use crate::clock::Clock;
use crate::error::{Error, ErrorKind, Result};

/// A running broker. Dropped without `close`, it stops by itself, and without waiting for anything.
pub struct Broker {
    options: BrokerOptions,
    clock: Clock,
    runtime: Handle,
    faults: Arc<Faults>,
    running: Mutex<Option<Running>>,
    /// Where it listens; stays the same over restarts.
    address: SocketAddr,
    /// Where administrators are served.
    admin_address: SocketAddr,
}

/// From one start to the next stop.
struct Running {
    core: Arc<Core>,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    data: Data,
    admin: JoinHandle<()>,
}

impl Broker {
    /// Starts a broker on a runtime that is its own. It is ready when this returns.
    pub fn start(options: BrokerOptions, clock: Clock, runtime: Handle) -> Result<Self> {
        options.check()?;
        let listener = bind(&options.host, options.port)?;
        let address = listener.local_addr()?;
        let admin = bind(&options.host, options.admin_port)?;
        let admin_address = admin.local_addr()?;
        let data = Data::open(&options, &clock)?;
        let faults = Arc::<Faults>::default();
        let broker =
            Self { options, clock, runtime, faults, running: Mutex::new(None), address, admin_address };
        let running = broker.serve(listener, admin, data)?;
        *broker.running.lock() = Some(running);
        Ok(broker)
    }

    fn serve(&self, listener: TcpListener, admin: TcpListener, data: Data) -> Result<Running> {
        let options = self.options.clone();
        let tls: Option<TlsAcceptor> = options.tls.as_ref().map(server::acceptor).transpose()?;
        let core = Arc::new(Core {
            authenticator: options.tokens.as_ref().map(Authenticator::new).transpose()?,
            options,
            clock: self.clock.clone(),
            registry: Arc::clone(&data.registry),
            faults: Arc::clone(&self.faults),
            address: self.address,
            sessions: Mutex::new(Sessions::default()),
        });
        let (listener, admin) = {
            let _runtime = self.runtime.enter();
            (tokio::net::TcpListener::from_std(listener)?, tokio::net::TcpListener::from_std(admin)?)
        };
        let (stop, stopped) = watch::channel(false);
        self.runtime.spawn(tick_until(stopped.clone(), Arc::clone(core.registry.services())));
        let door = admin::server::run(Arc::clone(&core), admin, self.admin_url(), stopped.clone());
        let admin = self.runtime.spawn(door);
        let server = self.runtime.spawn(server::run(Arc::clone(&core), listener, tls, stopped));
        Ok(Running { core, stop, server, data, admin })
    }

    /// Where clients connect: `pulsar://host:port`, or `pulsar+ssl://host:port` with TLS.
    pub fn service_url(&self) -> String {
        let scheme = if self.options.tls.is_some() { "pulsar+ssl" } else { "pulsar" };
        match &self.options.advertised_host {
            Some(host) => format!("{scheme}://{host}:{}", self.address.port()),
            None => format!("{scheme}://{}", reachable(self.address)),
        }
    }

    /// Where administrators connect: `http://host:port`, without TLS in any case.
    pub fn admin_url(&self) -> String {
        match &self.options.advertised_host {
            Some(host) => format!("http://{host}:{}", self.admin_address.port()),
            None => format!("http://{}", reachable(self.admin_address)),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What all parts of the running broker share.
    pub fn core(&self) -> Result<Arc<Core>> {
        let running = self.running.lock();
        let closed = || Error::new(ErrorKind::Closed, "the broker is closed");
        running.as_ref().map(|running| Arc::clone(&running.core)).ok_or_else(closed)
    }

    /// Serves a client over any stream, in a socket's place, until it goes.
    pub async fn serve_stream(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<()> {
        let core = self.core()?;
        server::serve_stream(&core, stream).await;
        Ok(())
    }

    /// Serves an administrator over any stream, in a socket's place, until either side ends it.
    pub async fn serve_admin_stream(&self, stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
        admin::server::serve_stream(self.core()?, self.admin_url(), stream).await;
        Ok(())
    }

    /// Moves the broker's time forward at once.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }

    /// What is to go wrong next.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Cuts connections without a word, and returns how many: those with a producer or consumer on a topic, those of a
    /// client whose address or version holds a text, all of them without either.
    pub fn drop_connections(&self, topic: Option<&str>, client: Option<&str>) -> Result<usize> {
        Ok(self.core()?.end_connections(topic, client, End::Cut))
    }

    /// Leaves unread what these clients send, until `heal`; returns how many connections that are.
    pub fn stop_reading(&self, topic: Option<&str>, client: Option<&str>) -> Result<usize> {
        Ok(self.core()?.set_deaf(topic, client, true))
    }

    /// Takes back every fault that was asked for and has not happened yet.
    pub fn heal(&self) -> Result<()> {
        self.faults.heal();
        self.core()?.set_deaf(None, None, false);
        Ok(())
    }

    /// What is to be said of the data that was found at the start.
    pub fn notes(&self) -> Vec<String> {
        self.running.lock().as_ref().map(|running| running.data.notes.clone()).unwrap_or_default()
    }

    /// Stops and starts on the same ports: connections break. A data directory is read again, or emptied.
    pub async fn restart(&self, keep_data: bool) -> Result<()> {
        let running = self.running.lock().take();
        let running = running.ok_or_else(|| Error::new(ErrorKind::Closed, "the broker is closed"))?;
        let data = running.stop().await;
        let data = data.again(keep_data, &self.options, &self.clock).await?;
        let (listener, admin) = (rebind(self.address).await?, rebind(self.admin_address).await?);
        let running = self.serve(listener, admin, data)?;
        *self.running.lock() = Some(running);
        Ok(())
    }

    /// Stops, and lets go of the ports and the data directory. May be called again.
    pub async fn close(&self) {
        let running = self.running.lock().take();
        if let Some(running) = running {
            running.stop().await.close().await;
        }
    }
}

impl Running {
    async fn stop(self) -> Data {
        self.stop.send_replace(true);
        let _ = self.admin.await;
        // It ends by itself within its own time limit.
        let _ = self.server.await;
        self.data
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(running) = self.running.get_mut().take() {
            running.stop.send_replace(true);
            running.data.let_go();
        }
    }
}

/// Wakes topics at their times until the broker stops.
async fn tick_until(mut stopped: watch::Receiver<bool>, services: Arc<Services>) {
    tokio::select! {
        _ = stopped.wait_for(|stop| *stop) => {}
        () = services.run() => {}
    }
}

fn bind(host: &str, port: u16) -> Result<TcpListener> {
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Connection, format!("cannot listen on {host}:{port}")).caused_by(error)
    };
    let addresses: Vec<SocketAddr> = (host, port).to_socket_addrs().map_err(failed)?.collect();
    let listener = TcpListener::bind(&addresses[..]).map_err(failed)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Takes a port again that was given up just now: a connection that went out meanwhile may hold it for a moment.
async fn rebind(address: SocketAddr) -> Result<TcpListener> {
    const ATTEMPTS: u32 = 100;
    let mut attempt = 0;
    loop {
        match bind(&address.ip().to_string(), address.port()) {
            Err(_) if attempt < ATTEMPTS => tokio::time::sleep(Duration::from_millis(10)).await,
            outcome => return outcome,
        }
        attempt += 1;
    }
}

/// An address to connect to: where the broker listens everywhere, this machine will do.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        std::net::IpAddr::V4(ip) if ip.is_unspecified() => std::net::Ipv4Addr::LOCALHOST.into(),
        std::net::IpAddr::V6(ip) if ip.is_unspecified() => std::net::Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
