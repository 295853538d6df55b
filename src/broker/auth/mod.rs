//! Who a client is: JSON web tokens, checked with the key that the broker was given.

mod key;
mod token;

use self::key::Key;
use self::token::Claims;
use super::config::TokenOptions;
use crate::error::{Error, ErrorKind, Result};

/// Checks the credentials that clients bring.
pub struct Authenticator {
    key: Key,
}

/// Who somebody is, and until when that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The token's subject.
    pub role: String,
    /// In milliseconds since 1970.
    pub expires_at: Option<u64>,
}

/// How clients name the method.
pub const METHOD: &str = "token";

impl Authenticator {
    pub fn new(options: &TokenOptions) -> Result<Self> {
        let key = match (&options.secret_key, &options.public_key) {
            (Some(secret), None) => Key::secret(secret)?,
            (None, Some(file)) => Key::public(file)?,
            _ => {
                let context = "tokens takes one of secret_key and public_key";
                return Err(Error::new(ErrorKind::InvalidOption, context));
            }
        };
        Ok(Self { key })
    }

    /// Checks a token: `header.claims.signature`. `now` is in milliseconds since 1970.
    pub fn check(&self, method: &str, token: &[u8], now: u64) -> Result<Identity> {
        if method != METHOD {
            return Err(refused("this broker takes tokens: connect with token authentication"));
        }
        let Claims { sub, exp, nbf } = token::verified(token, &self.key)?;
        let millis = |seconds: u64| seconds.saturating_mul(1000);
        if exp.is_some_and(|exp| millis(exp) <= now) {
            return Err(refused("the token has expired"));
        }
        if nbf.is_some_and(|nbf| millis(nbf) > now) {
            return Err(refused("the token is not valid yet"));
        }
        let role = sub.ok_or_else(|| refused("the token names no subject"))?;
        Ok(Identity { role, expires_at: exp.map(millis) })
    }
}

fn refused(reason: &str) -> Error {
    Error::new(ErrorKind::Authentication, reason)
}

#[cfg(test)]
mod tests;
