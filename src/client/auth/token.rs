//! Tokens (JWT): given, read from a file, or asked from a supplier.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::{Authentication, BoxFuture};
use crate::error::{Error, ErrorKind, Result};

const METHOD: &str = "token";

/// A token that never changes.
#[derive(Clone)]
pub struct TokenString(Bytes);

impl TokenString {
    pub fn new(token: &str) -> Self {
        Self(Bytes::copy_from_slice(token.trim().as_bytes()))
    }
}

impl fmt::Debug for TokenString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenString(…)")
    }
}

impl Authentication for TokenString {
    fn method(&self) -> &'static str {
        METHOD
    }

    fn credentials(&self) -> BoxFuture<'_, Result<Bytes>> {
        Box::pin(async { Ok(self.0.clone()) })
    }
}

/// A token in a file, which is read each time, so that a renewed one is taken.
#[derive(Clone, Debug)]
pub struct TokenFile(PathBuf);

impl TokenFile {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }
}

impl Authentication for TokenFile {
    fn method(&self) -> &'static str {
        METHOD
    }

    fn credentials(&self) -> BoxFuture<'_, Result<Bytes>> {
        let path = self.0.clone();
        blocking(move || {
            std::fs::read_to_string(&path).map_err(|error| {
                let context = format!("the token file {} cannot be read", path.display());
                Error::new(ErrorKind::Authentication, context).caused_by(error)
            })
        })
    }
}

type Supply = dyn Fn() -> Result<String> + Send + Sync;

/// A function that gives a token; it may block, and is asked each time.
#[derive(Clone)]
pub struct TokenSupplier(Arc<Supply>);

impl TokenSupplier {
    pub fn new(supply: impl Fn() -> Result<String> + Send + Sync + 'static) -> Self {
        Self(Arc::new(supply))
    }
}

impl fmt::Debug for TokenSupplier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSupplier(…)")
    }
}

impl Authentication for TokenSupplier {
    fn method(&self) -> &'static str {
        METHOD
    }

    fn credentials(&self) -> BoxFuture<'_, Result<Bytes>> {
        let supply = Arc::clone(&self.0);
        blocking(move || supply())
    }
}

/// Runs `supply` where it may block. A supplier that fails or panics is an authentication failure.
fn blocking(supply: impl FnOnce() -> Result<String> + Send + 'static) -> BoxFuture<'static, Result<Bytes>> {
    Box::pin(async {
        let token = tokio::task::spawn_blocking(supply).await.map_err(|error| {
            // The panic's own text may hold the token.
            let what = if error.is_panic() { "panicked" } else { "was stopped" };
            Error::new(ErrorKind::Authentication, format!("the token supplier {what}"))
        })??;
        let token = token.trim();
        if token.is_empty() {
            return Err(Error::new(ErrorKind::Authentication, "the token is empty"));
        }
        Ok(Bytes::copy_from_slice(token.as_bytes()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_supplier_is_asked_each_time() {
        let count = std::sync::atomic::AtomicU32::new(0);
        let supplier = TokenSupplier::new(move || {
            Ok(format!(" token-{}\n", count.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))
        });
        assert_eq!(supplier.credentials().await.unwrap(), "token-0");
        assert_eq!(supplier.credentials().await.unwrap(), "token-1");
    }

    #[tokio::test]
    async fn a_panicking_supplier_and_a_missing_file_are_authentication_failures() {
        let supplier = TokenSupplier::new(|| panic!("secret"));
        let error = supplier.credentials().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication);
        assert!(!error.to_string().contains("secret"));
        let error = TokenFile::new("/nonexistent/token").credentials().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Authentication);
    }

    #[test]
    fn debug_never_shows_a_token() {
        assert!(!format!("{:?}", TokenString::new("secret")).contains("secret"));
    }
}
