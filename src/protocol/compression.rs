//! The four compressions of bodies, in the formats that the Java and C++ clients read and write.
//!
//! LZ4 and Snappy are raw blocks without a size in front, ZLIB is a zlib stream, ZSTD a zstd frame. The size before
//! compression is in the entry's metadata.

use std::cell::RefCell;
use std::io::{Read, Write};

use bytes::Bytes;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use zstd::bulk::{Compressor, Decompressor};

pub use super::proto::CompressionType as Compression;
use super::proto::MessageMetadata;
use crate::error::{Error, ErrorKind, Result};

/// The limit on the size after decompression, unless another is set: far over the broker's limit on an entry, since
/// text may shrink to a hundredth, and far below what would endanger a process.
pub const DEFAULT_MAX_UNCOMPRESSED_SIZE: usize = 64 * 1024 * 1024;

impl Compression {
    /// The compression that an entry's metadata names.
    pub fn of(metadata: &MessageMetadata) -> Result<Self> {
        let number = metadata.compression.unwrap_or_default();
        Self::try_from(number)
            .map_err(|_| Error::new(ErrorKind::Unsupported, format!("compression {number} is not known")))
    }

    /// Compresses a body; without compression it is the same buffer.
    pub fn compress(self, body: &Bytes) -> Result<Bytes> {
        match self {
            Self::None => Ok(body.clone()),
            Self::Lz4 => Ok(lz4_flex::block::compress(body).into()),
            Self::Zlib => zlib_compress(body).map_err(|source| self.failed(source)),
            Self::Zstd => zstd_compress(body).map_err(|source| self.failed(source)),
            Self::Snappy => snap::raw::Encoder::new()
                .compress_vec(body)
                .map(Bytes::from)
                .map_err(|source| self.failed(source)),
        }
    }

    /// Decompresses a body to exactly `uncompressed_size` bytes; without compression it is the same buffer.
    ///
    /// A size beyond `limit` is refused before anything is allocated.
    pub fn decompress(self, body: &Bytes, uncompressed_size: u32, limit: usize) -> Result<Bytes> {
        if self == Self::None {
            return Ok(body.clone());
        }
        let size = uncompressed_size as usize;
        if size > limit {
            let context = format!("a body of {size} bytes uncompressed exceeds the limit of {limit}");
            return Err(Error::new(ErrorKind::MessageTooLarge, context));
        }
        let mut out = vec![0; size];
        let written = self.decompress_into(body, &mut out)?;
        if written == size { Ok(out.into()) } else { Err(self.damaged(size)) }
    }

    /// Decompresses into `out`, which it must fill to the last byte; the number of bytes written.
    fn decompress_into(self, body: &[u8], out: &mut [u8]) -> Result<usize> {
        let size = out.len();
        match self {
            Self::None => Err(self.damaged(size)),
            Self::Lz4 => lz4_flex::block::decompress_into(body, out)
                .map_err(|source| self.damaged(size).caused_by(source)),
            Self::Zlib => zlib_decompress(body, out).map_err(|source| self.damaged(size).caused_by(source)),
            Self::Zstd => zstd_decompress(body, out).map_err(|source| self.damaged(size).caused_by(source)),
            Self::Snappy => snap::raw::Decoder::new()
                .decompress(body, out)
                .map_err(|source| self.damaged(size).caused_by(source)),
        }
    }

    fn failed(self, source: impl std::error::Error + Send + Sync + 'static) -> Error {
        Error::new(ErrorKind::Encode, format!("a body cannot be compressed with {self:?}")).caused_by(source)
    }

    fn damaged(self, size: usize) -> Error {
        Error::new(ErrorKind::Decode, format!("a body is not {size} bytes compressed with {self:?}"))
    }
}

fn zlib_compress(body: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(body)?;
    encoder.finish().map(Bytes::from)
}

/// Fills `out`; one byte more in the stream is an error as well. A missing end is none: the Java client flushes its
/// streams and never ends them.
fn zlib_decompress(body: &[u8], out: &mut [u8]) -> std::io::Result<usize> {
    let mut decoder = ZlibDecoder::new(body);
    decoder.read_exact(out)?;
    match decoder.read(&mut [0]) {
        Ok(0) => Ok(out.len()),
        Ok(_) => Err(std::io::Error::other("the stream is longer")),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(out.len()),
        Err(error) => Err(error),
    }
}

thread_local! {
    // Making a context takes longer than the work on a small body, so each thread keeps its own.
    static ZSTD_COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static ZSTD_DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

fn zstd_compress(body: &[u8]) -> std::io::Result<Bytes> {
    ZSTD_COMPRESSOR.with_borrow_mut(|kept| {
        let compressor = match kept {
            Some(compressor) => compressor,
            None => kept.insert(Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL)?),
        };
        compressor.compress(body).map(Bytes::from)
    })
}

fn zstd_decompress(body: &[u8], out: &mut [u8]) -> std::io::Result<usize> {
    ZSTD_DECOMPRESSOR.with_borrow_mut(|kept| {
        let decompressor = match kept {
            Some(decompressor) => decompressor,
            None => kept.insert(Decompressor::new()?),
        };
        decompressor.decompress_to_buffer(body, out)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Compression; 4] =
        [Compression::Lz4, Compression::Zlib, Compression::Zstd, Compression::Snappy];
    const LIMIT: usize = DEFAULT_MAX_UNCOMPRESSED_SIZE;

    fn bodies() -> [Bytes; 4] {
        let noise: Vec<u8> = (0..5000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        [Bytes::new(), Bytes::from_static(b"a"), b"repeated ".repeat(5000).into(), noise.into()]
    }

    #[test]
    fn bodies_come_back() {
        for compression in ALL {
            for body in bodies() {
                let compressed = compression.compress(&body).unwrap();
                let size = u32::try_from(body.len()).unwrap();
                assert_eq!(
                    compression.decompress(&compressed, size, LIMIT).unwrap(),
                    body,
                    "{compression:?}"
                );
            }
        }
    }

    #[test]
    fn a_zlib_stream_of_the_java_client_has_no_end() {
        let body = Bytes::from_static(b"\x78\x9c\x4a\x54\x48\xca\x4f\xa9\x04\x00\x00\x00\xff\xff");
        assert_eq!(Compression::Zlib.decompress(&body, 6, LIMIT).unwrap(), "a body");
    }

    #[test]
    fn no_compression_is_the_same_buffer() {
        let body = Bytes::from_static(b"body");
        for same in
            [Compression::None.compress(&body), Compression::None.decompress(&body, 0, 0)].map(Result::unwrap)
        {
            assert_eq!(same.as_ptr(), body.as_ptr());
        }
    }

    #[test]
    fn every_truncated_prefix_is_an_error() {
        for compression in ALL {
            let body = Bytes::from_static(b"some text, some text, and once more some text");
            let whole = compression.compress(&body).unwrap();
            for length in 0..whole.len() {
                match compression.decompress(&whole.slice(..length), 45, LIMIT) {
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Decode, "{compression:?}, {length} bytes");
                    }
                    // Without the mark of its end or the checksum behind it, a zlib stream is still all there.
                    Ok(found) => {
                        assert!(
                            compression == Compression::Zlib && length + 5 >= whole.len(),
                            "{compression:?}"
                        );
                        assert_eq!(found, body);
                    }
                }
            }
        }
    }

    #[test]
    fn another_size_than_stated_is_an_error() {
        for compression in ALL {
            let compressed = compression.compress(&Bytes::from_static(b"twelve bytes")).unwrap();
            for size in [0, 11, 13, 1000] {
                let error = compression.decompress(&compressed, size, LIMIT).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Decode, "{compression:?}, {size} bytes");
            }
        }
    }

    #[test]
    fn a_size_over_the_limit_is_refused() {
        for compression in ALL {
            let error = compression.decompress(&Bytes::new(), 1001, 1000).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::MessageTooLarge);
        }
    }

    #[test]
    fn an_unknown_compression_is_named() {
        let metadata = MessageMetadata { compression: Some(9), ..MessageMetadata::default() };
        assert_eq!(Compression::of(&metadata).unwrap_err().kind(), ErrorKind::Unsupported);
        assert_eq!(Compression::of(&MessageMetadata::default()).unwrap(), Compression::None);
    }
}
