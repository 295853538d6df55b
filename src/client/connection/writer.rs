//! The writer task: one vectored write for everything that is queued.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::Inner;
use super::write_queue::Burst;
use crate::error::{Error, ErrorKind};
use crate::vectored::write_some;

/// How long a closing connection may take to write what is still queued.
const LINGER: Duration = Duration::from_secs(1);

pub(super) async fn run(connection: Arc<Inner>, mut socket: impl AsyncWrite + Unpin) {
    let mut burst = Burst::default();
    loop {
        connection.queue.wait().await;
        if connection.queue.is_closed() {
            break;
        }
        while connection.queue.take(&mut burst) {
            let written = tokio::select! {
                biased;
                written = write(&mut socket, &mut burst.chunks) => written,
                () = closed(&connection) => break,
            };
            if let Err(error) = written {
                let context = format!("cannot write to {}", connection.target);
                connection.close(Error::new(ErrorKind::Connection, context).caused_by(error));
                return;
            }
        }
    }
    let farewell = async {
        write(&mut socket, &mut burst.chunks).await?;
        while connection.queue.take(&mut burst) {
            write(&mut socket, &mut burst.chunks).await?;
        }
        socket.shutdown().await
    };
    // The connection is closed: whether the last words arrive is nobody's business any more.
    let _ = tokio::time::timeout(LINGER, farewell).await;
}

/// Returns when the connection is closed.
async fn closed(connection: &Inner) {
    let _ = connection.closed.subscribe().wait_for(Option::is_some).await;
}

/// Writes all of `chunks`. May be cancelled and called again: what was written is taken off as it goes.
async fn write(socket: &mut (impl AsyncWrite + Unpin), chunks: &mut VecDeque<Bytes>) -> io::Result<()> {
    while !chunks.is_empty() {
        write_some(socket, chunks).await?;
    }
    socket.flush().await
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
        write(&mut ours, &mut chunks).await.unwrap();
        drop(ours);
        assert_eq!(reader.await.unwrap(), expected);
    }
}
