//! A JSON web token in compact form: its signature, and the three claims that matter here.

use serde::Deserialize;

use super::key::Key;
use super::refused;
use crate::error::Result;
use crate::protocol::base64::decode_url;

/// Longer tokens are not looked at.
const MAX_LENGTH: usize = 16 * 1024;

#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    pub(super) sub: Option<String>,
    /// Seconds since 1970.
    #[serde(default, deserialize_with = "seconds")]
    pub(super) exp: Option<u64>,
    /// Seconds since 1970.
    #[serde(default, deserialize_with = "seconds")]
    pub(super) nbf: Option<u64>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
}

/// The claims of a token that this key signed.
pub(super) fn verified(token: &[u8], key: &Key) -> Result<Claims> {
    let malformed = || refused("the token is malformed");
    if token.len() > MAX_LENGTH {
        return Err(malformed());
    }
    let text = std::str::from_utf8(token).map_err(|_| malformed())?.trim();
    let (signed, signature) = text.rsplit_once('.').ok_or_else(malformed)?;
    let (header, claims) = signed.split_once('.').ok_or_else(malformed)?;
    let header: Header = parse(header).ok_or_else(malformed)?;
    // The key decides the algorithm, never the token.
    if header.alg != key.algorithm() {
        return Err(refused("the token is signed with another algorithm than this broker's key"));
    }
    let signature = decode_url(signature).ok_or_else(malformed)?;
    if !key.verifies(signed.as_bytes(), &signature) {
        return Err(refused("the token's signature is wrong"));
    }
    parse(claims).ok_or_else(malformed)
}

fn parse<T: for<'de> Deserialize<'de>>(part: &str) -> Option<T> {
    serde_json::from_slice(&decode_url(part)?).ok()
}

/// Dates may have a fraction.
fn seconds<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let seconds = Option::<f64>::deserialize(deserializer)?;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a cast of a float saturates")]
    Ok(seconds.map(|seconds| seconds as u64))
}
