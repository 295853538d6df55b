//! The version of a schema, as it travels in messages.

use bytes::Bytes;

use crate::error::{Error, ErrorKind, Result};

/// Counts from 0 for each topic; 8 bytes, big endian, on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaVersion(pub u64);

impl SchemaVersion {
    pub fn to_bytes(self) -> Bytes {
        Bytes::copy_from_slice(&self.0.to_be_bytes())
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let Ok(bytes) = <[u8; 8]>::try_from(bytes) else {
            let context = format!("a schema version has 8 bytes, this one has {}", bytes.len());
            return Err(Error::new(ErrorKind::Decode, context));
        };
        Ok(Self(u64::from_be_bytes(bytes)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_eight_bytes() {
        let version = SchemaVersion(0x0102);
        assert_eq!(&version.to_bytes()[..], [0, 0, 0, 0, 0, 0, 1, 2]);
        assert_eq!(SchemaVersion::from_bytes(&version.to_bytes()).unwrap(), version);
        for length in [0, 7, 9] {
            let error = SchemaVersion::from_bytes(&vec![0; length]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Decode);
        }
    }
}
