//! Opening the socket: TCP, and TLS on top of it.

use std::fmt;
use std::io;
use std::time::Duration;

use rustls::AlertDescription;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use crate::client::options::TlsOptions;
use crate::client::service_url::Address;
use crate::client::tls;
use crate::error::{Error, ErrorKind, Result};

/// Where a connection leads: to a broker, directly or through a proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::client) struct Target {
    /// The broker that is meant.
    pub(in crate::client) broker: Address,
    /// The address that is dialled: the broker's own, or the proxy's.
    pub(in crate::client) dialled: Address,
    pub(in crate::client) tls: bool,
}

impl Target {
    pub(in crate::client) fn direct(broker: Address, tls: bool) -> Self {
        Self { dialled: broker.clone(), broker, tls }
    }

    /// The broker to ask the proxy for, if there is a proxy.
    pub(super) fn behind_proxy(&self) -> Option<&Address> {
        (self.broker != self.dialled).then_some(&self.broker)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.behind_proxy() {
            None => self.broker.fmt(f),
            Some(broker) => write!(f, "{broker} through {}", self.dialled),
        }
    }
}

/// Opens sockets as the client's options say.
pub(in crate::client) struct Dialer {
    timeout: Duration,
    tls: TlsOptions,
}

pub(super) type ReadHalf = Box<dyn AsyncRead + Send + Unpin>;
pub(super) type WriteHalf = Box<dyn AsyncWrite + Send + Unpin>;

impl Dialer {
    pub(in crate::client) fn new(timeout: Duration, tls: TlsOptions) -> Self {
        Self { timeout, tls }
    }

    /// Limit for opening the socket and the handshakes on it, together.
    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) async fn dial(&self, target: &Target) -> Result<(ReadHalf, WriteHalf)> {
        let Address { host, port } = &target.dialled;
        let socket = TcpStream::connect((host.as_str(), *port))
            .await
            .and_then(|socket| socket.set_nodelay(true).map(|()| socket))
            .map_err(|error| socket_error(&error, target, "cannot connect to"))?;
        if !target.tls {
            let (read_half, write_half) = socket.into_split();
            return Ok((Box::new(read_half), Box::new(write_half)));
        }
        let name = ServerName::try_from(host.clone()).map_err(|error| {
            Error::new(ErrorKind::InvalidOption, format!("{host} is not a host name that TLS can check"))
                .caused_by(error)
        })?;
        let stream = tls::connector(&self.tls)
            .await?
            .connect(name, socket)
            .await
            .map_err(|error| socket_error(&error, target, "no TLS with"))?;
        let (read_half, write_half) = tokio::io::split(stream);
        Ok((Box::new(read_half), Box::new(write_half)))
    }
}

/// What a failed socket operation means. A refused certificate, theirs or ours, is an authentication failure: trying
/// again does not help.
pub(super) fn socket_error(error: &io::Error, target: &Target, what: &str) -> Error {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(reason)) => Error::new(
            ErrorKind::Authentication,
            format!(
                "the certificate of {target} is not trusted ({reason}); check the CA file and the host name"
            ),
        ),
        Some(rustls::Error::AlertReceived(alert)) if refuses_certificate(*alert) => Error::new(
            ErrorKind::Authentication,
            format!(
                "{target} refused the client's certificate ({alert:?}); check the certificate and key files"
            ),
        ),
        _ => Error::new(ErrorKind::Connection, format!("{what} {target}: {error}")),
    }
}

fn refuses_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::NoCertificate
            | AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
    )
}
