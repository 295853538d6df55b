//! The key that tokens are checked with.

use ring::{hmac, signature};
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::pki_types::pem::PemObject;

use crate::error::{Error, ErrorKind, Result};

pub(super) enum Key {
    /// HS256.
    Secret(hmac::Key),
    /// RS256: modulus and exponent in DER, as PKCS #1 has them.
    Public(Vec<u8>),
}

impl Key {
    pub(super) fn secret(secret: &[u8]) -> Result<Self> {
        if secret.is_empty() {
            return Err(Error::new(ErrorKind::InvalidOption, "tokens.secret_key is empty"));
        }
        Ok(Self::Secret(hmac::Key::new(hmac::HMAC_SHA256, secret)))
    }

    /// From a file that holds a `SubjectPublicKeyInfo`, in PEM or, as Pulsar's own tool writes it, in DER.
    pub(super) fn public(file: &str) -> Result<Self> {
        let invalid = |context: String| Error::new(ErrorKind::InvalidOption, context);
        let content = std::fs::read(file)
            .map_err(|error| invalid(format!("tokens.public_key {file} cannot be read")).caused_by(error))?;
        let pem = SubjectPublicKeyInfoDer::from_pem_slice(&content).ok();
        let info = pem.as_ref().map_or(&content[..], |pem| pem.as_ref());
        let key = rsa_key(info)
            .ok_or_else(|| invalid(format!("tokens.public_key {file} holds no public key of RSA")))?;
        Ok(Self::Public(key.to_vec()))
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Secret(_) => "HS256",
            Self::Public(_) => "RS256",
        }
    }

    pub(super) fn verifies(&self, message: &[u8], tag: &[u8]) -> bool {
        match self {
            Self::Secret(key) => hmac::verify(key, message, tag).is_ok(),
            Self::Public(key) => {
                signature::UnparsedPublicKey::new(&signature::RSA_PKCS1_2048_8192_SHA256, key)
                    .verify(message, tag)
                    .is_ok()
            }
        }
    }
}

/// Tag, length and content of `rsaEncryption` without parameters: what names the algorithm.
const RSA: &[u8] =
    &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
const SEQUENCE: u8 = 0x30;
const BIT_STRING: u8 = 0x03;

/// The key inside of a `SubjectPublicKeyInfo`.
fn rsa_key(info: &[u8]) -> Option<&[u8]> {
    let key = content(info, SEQUENCE)?.strip_prefix(RSA)?;
    // The first byte counts unused bits; a key has none.
    content(key, BIT_STRING)?.strip_prefix(&[0])
}

/// The content of a DER value that is all of `der`.
fn content(der: &[u8], tag: u8) -> Option<&[u8]> {
    let rest = der.strip_prefix(&[tag])?;
    let (&first, rest) = rest.split_first()?;
    let (length, content) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let (digits, content) =
            rest.split_at_checked(usize::from(first & 0x7f)).filter(|(d, _)| d.len() <= 4)?;
        (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), content)
    };
    (content.len() == length).then_some(content)
}
