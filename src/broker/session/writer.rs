//! The writer task: one vectored write for everything that is queued.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{End, Session};
use crate::vectored::write_some;

/// How long a closing connection may take to write what is still queued.
const LINGER: Duration = Duration::from_secs(1);

pub(super) async fn run(session: Arc<Session>, mut socket: impl AsyncWrite + Unpin) {
    let mut burst = VecDeque::new();
    let how = tokio::select! {
        biased;
        how = session.ended() => how,
        () = write_all(&session, &mut socket, &mut burst) => {
            // Given up: the client does not read, or is gone.
            session.end(End::Cut);
            End::Cut
        }
    };
    if how == End::Flush {
        session.outbox.take(&mut burst);
        let farewell = async {
            while !burst.is_empty() {
                write_and_flush(&mut socket, &mut burst).await?;
            }
            socket.shutdown().await
        };
        // Whether the last words arrive is nobody's business any more.
        let _ = tokio::time::timeout(LINGER, farewell).await;
    }
}

/// Writes what is queued until that fails, or the client has taken nothing for too long.
async fn write_all(session: &Session, socket: &mut (impl AsyncWrite + Unpin), burst: &mut VecDeque<Bytes>) {
    let limit = session.core.options.limits.write_timeout;
    loop {
        session.outbox.filled().await;
        if session.outbox.is_closed() {
            return;
        }
        session.outbox.take(burst);
        while !burst.is_empty() {
            let Ok(Ok(written)) = tokio::time::timeout(limit, write_and_flush(socket, burst)).await else {
                return;
            };
            if session.outbox.written(written) {
                session.resume_deliveries();
            }
        }
    }
}

/// One write, and how many bytes it took off `chunks`; what was the last of them is on its way.
async fn write_and_flush(
    socket: &mut (impl AsyncWrite + Unpin),
    chunks: &mut VecDeque<Bytes>,
) -> io::Result<usize> {
    let written = write_some(socket, chunks).await?;
    if chunks.is_empty() {
        socket.flush().await?;
    }
    Ok(written)
}
