//! One vectored write of what is queued for a socket, for both sides of a connection.

use std::collections::VecDeque;
use std::io::{self, IoSlice};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Buffers of one vectored write; more than the system's limit would be cut off anyway.
const MAX_SLICES: usize = 256;

/// One write, and how many bytes it took off `chunks`. May be cancelled and called again.
pub(crate) async fn write_some(
    socket: &mut (impl AsyncWrite + Unpin),
    chunks: &mut VecDeque<Bytes>,
) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    let mut used = 0;
    for (slice, chunk) in slices.iter_mut().zip(chunks.iter()) {
        *slice = IoSlice::new(chunk);
        used += 1;
    }
    let written = socket.write_vectored(slices.get(..used).unwrap_or_default()).await?;
    if written == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    let mut left = written;
    while let Some(first) = chunks.front_mut() {
        if left < first.len() {
            first.advance(left);
            break;
        }
        left -= first.len();
        chunks.pop_front();
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn many_chunks_arrive_whole_through_a_narrow_pipe() {
        let (mut ours, mut theirs) = tokio::io::duplex(7);
        let mut chunks: VecDeque<Bytes> =
            (0..1000u32).map(|n| Bytes::from(n.to_be_bytes().to_vec())).collect();
        let expected: Vec<u8> = chunks.iter().flatten().copied().collect();
        let reader = tokio::spawn(async move {
            let mut all = Vec::new();
            theirs.read_to_end(&mut all).await.unwrap();
            all
        });
        let mut written = 0;
        while !chunks.is_empty() {
            written += write_some(&mut ours, &mut chunks).await.unwrap();
        }
        drop(ours);
        assert_eq!((reader.await.unwrap(), written), (expected, 4000));
    }
}
