//! The door for clients: accepts connections, and ends them all.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

use super::config::TlsOptions;
use super::core::Core;
use super::session::{End, Session, handshake};
use crate::error::{Error, ErrorKind, Result};

/// Room for an introduction.
const FIRST_READ: usize = 1024;
/// How long to wait when the system has no more descriptors.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// Accepts until `stop` is set; then ends all connections, and returns when they are gone.
pub async fn run(
    core: Arc<Core>,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    mut stop: watch::Receiver<bool>,
) {
    let limit = core.options.limits.connections;
    let room = Arc::new(Semaphore::new(limit));
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = listener.accept() => accepted,
        };
        let Ok((socket, address)) = accepted else {
            tokio::time::sleep(EXHAUSTED).await;
            continue;
        };
        // Over the limit: closed at once, as a broker does that is out of descriptors.
        let Ok(permit) = Arc::clone(&room).try_acquire_owned() else { continue };
        let (core, tls, mut stop) = (Arc::clone(&core), tls.clone(), stop.clone());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = serve(&core, socket, address, tls) => {}
                // A session ends by its own means, so that what is queued for it still goes out.
                () = stopped_before_session(&mut stop) => {}
            }
            drop(permit);
        });
    }
    drop(listener);
    core.end_connections(None, None, End::Flush);
    let all = u32::try_from(limit).unwrap_or(u32::MAX);
    let _ = tokio::time::timeout(Duration::from_secs(2), room.acquire_many(all)).await;
}

/// Gives connections in their handshake no more time than sessions have for their last words.
async fn stopped_before_session(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
}

async fn serve(core: &Arc<Core>, socket: TcpStream, address: SocketAddr, tls: Option<TlsAcceptor>) {
    // Small answers are not to wait for more. Where that cannot be set, they do.
    let _ = socket.set_nodelay(true);
    let host = core.options.advertised_host.clone();
    let local = socket.local_addr().map_or_else(|_| core.address.ip(), |local| local.ip()).to_string();
    let limit = tokio::time::Instant::now() + core.options.limits.handshake_timeout;
    if let Some(acceptor) = tls {
        let Ok(Ok(socket)) = tokio::time::timeout_at(limit, acceptor.accept(socket)).await else { return };
        // The name that the client asked for is one that it will trust again.
        let asked = socket.get_ref().1.server_name().map(str::to_owned);
        let host = host.or(asked).unwrap_or(local);
        if let Some((session, socket, buffer)) = greet(core, socket, address, host, limit).await {
            let (read, write) = tokio::io::split(socket);
            live(core, session, read, write, buffer).await;
        }
    } else if let Some((session, socket, buffer)) =
        greet(core, socket, address, host.unwrap_or(local), limit).await
    {
        let (read, write) = socket.into_split();
        live(core, session, read, write, buffer).await;
    }
}

/// Serves a client over any stream, in a socket's place.
pub async fn serve_stream(core: &Arc<Core>, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
    let host = core.address.ip().to_string();
    let limit = tokio::time::Instant::now() + core.options.limits.handshake_timeout;
    if let Some((session, stream, buffer)) = greet(core, stream, core.address, host, limit).await {
        let (read, write) = tokio::io::split(stream);
        live(core, session, read, write, buffer).await;
    }
}

async fn greet<S: AsyncRead + AsyncWrite + Unpin>(
    core: &Arc<Core>,
    mut socket: S,
    address: SocketAddr,
    host: String,
    limit: tokio::time::Instant,
) -> Option<(Arc<Session>, S, BytesMut)> {
    let mut buffer = BytesMut::with_capacity(FIRST_READ);
    let greeting = handshake::greet(&mut socket, &mut buffer, core, address.to_string(), host);
    let greeting = tokio::time::timeout_at(limit, greeting).await.ok()?.ok()?;
    let session = Session::new(core.next_session_id(), Arc::clone(core), greeting);
    Some((session, socket, buffer))
}

async fn live(
    core: &Arc<Core>,
    session: Arc<Session>,
    read: impl AsyncRead + Unpin,
    write: impl AsyncWrite + Unpin + Send + 'static,
    buffer: BytesMut,
) {
    core.enter(&session);
    let gone = Leaving(Arc::clone(&session));
    session.run(read, write, buffer).await;
    drop(gone);
}

/// Takes a session off the list, even when its task is dropped.
struct Leaving(Arc<Session>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.core.leave(&self.0);
    }
}

/// The broker's side of TLS, with certificate and key read now.
pub fn acceptor(options: &TlsOptions) -> Result<TlsAcceptor> {
    let invalid = |context: String| Error::new(ErrorKind::InvalidOption, context);
    let chain = CertificateDer::pem_file_iter(&options.certificate)
        .and_then(Iterator::collect::<std::result::Result<Vec<_>, _>>)
        .map_err(|error| {
            invalid(format!("tls.certificate {} cannot be read", options.certificate)).caused_by(error)
        })?;
    let key = PrivateKeyDer::from_pem_file(&options.key).map_err(|error| {
        invalid(format!("tls.key {} holds no private key in PEM form", options.key)).caused_by(error)
    })?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| invalid("TLS is not available".into()).caused_by(error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| {
            invalid("tls.certificate and tls.key do not fit together".into()).caused_by(error)
        })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
