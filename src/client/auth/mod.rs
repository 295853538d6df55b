//! Who the client says it is.

mod token;

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

pub use self::token::{TokenFile, TokenString, TokenSupplier};
use crate::error::Result;

pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A way to prove who one is. Asked with every connection, and whenever the broker asks for fresh credentials.
pub trait Authentication: Send + Sync {
    /// The method's name on the wire.
    fn method(&self) -> &'static str;
    /// What the method needs; runs on the client's runtime.
    fn credentials(&self) -> BoxFuture<'_, Result<Bytes>>;
}

/// No credentials.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAuthentication;

impl Authentication for NoAuthentication {
    fn method(&self) -> &'static str {
        "none"
    }

    fn credentials(&self) -> BoxFuture<'_, Result<Bytes>> {
        Box::pin(async { Ok(Bytes::new()) })
    }
}

/// The client's TLS certificate, given in the TLS options, is the proof.
#[derive(Clone, Copy, Debug, Default)]
pub struct TlsAuthentication;

impl Authentication for TlsAuthentication {
    fn method(&self) -> &'static str {
        "tls"
    }

    fn credentials(&self) -> BoxFuture<'_, Result<Bytes>> {
        Box::pin(async { Ok(Bytes::new()) })
    }
}
