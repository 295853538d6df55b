//! What waits to be written to one client: bounded, and drained with one write per burst.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::protocol::frame::{encode_command, encode_raw_delivery};
use crate::protocol::proto::BaseCommand;

/// Above this, subscriptions deliver no more to this client, and its commands are left unread.
const FULL: usize = 1 << 20;
/// Below this, they go on.
const DRAINED: usize = FULL / 4;
/// A client with this much unread has stopped reading, whatever it asks for.
const HOPELESS: usize = 64 << 20;
/// Bodies below this size are copied next to their header: cheaper than an entry of their own in a vectored write.
const COPY_BELOW: usize = 2048;
/// Room kept for the next burst; more is given back.
const KEPT: usize = 64 * 1024;

/// Pushed to by anyone, drained by the session's writer.
#[derive(Debug, Default)]
pub struct Outbox {
    queued: Mutex<Queued>,
    /// Bytes queued or being written.
    bytes: AtomicUsize,
    filled: Notify,
    room: Notify,
    /// Somebody was refused: subscriptions wait for room.
    refused: AtomicBool,
    closed: AtomicBool,
}

#[derive(Debug, Default)]
struct Queued {
    chunks: VecDeque<Bytes>,
    /// The end of the queue: encoded, and still growing.
    scratch: BytesMut,
}

impl Outbox {
    pub fn push(&self, command: &BaseCommand) {
        let mut queued = self.queued.lock();
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let before = queued.scratch.len();
        encode_command(command, &mut queued.scratch);
        self.grown(queued.scratch.len() - before);
    }

    /// A delivery: its command, checksum and stored bytes.
    pub fn push_delivery(&self, command: &BaseCommand, checksum: u32, body: &Bytes) {
        let mut queued = self.queued.lock();
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        let before = queued.scratch.len();
        encode_raw_delivery(command, checksum, body.len(), &mut queued.scratch);
        let grown = queued.scratch.len() - before + body.len();
        if body.len() < COPY_BELOW {
            queued.scratch.extend_from_slice(body);
        } else {
            let header = queued.scratch.split().freeze();
            queued.chunks.push_back(header);
            queued.chunks.push_back(body.clone());
        }
        self.grown(grown);
    }

    fn grown(&self, by: usize) {
        if self.bytes.fetch_add(by, Ordering::AcqRel) + by > HOPELESS {
            self.closed.store(true, Ordering::Release);
            self.room.notify_waiters();
        }
        self.filled.notify_one();
    }

    /// Whether subscriptions may deliver. After `false`, `written` tells when they may again.
    pub fn is_writable(&self) -> bool {
        if self.bytes.load(Ordering::Acquire) < FULL {
            return true;
        }
        self.refused.store(true, Ordering::Release);
        // The writer may have drained it in between, and then nobody would tell.
        self.bytes.load(Ordering::Acquire) < DRAINED
    }

    /// Returns when the client has taken enough for its next command to be read.
    pub async fn room(&self) {
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.bytes.load(Ordering::Acquire) < FULL || self.is_closed() {
                return;
            }
            room.await;
        }
    }

    /// Returns when there is something to write, or nothing ever will be.
    pub async fn filled(&self) {
        loop {
            {
                let queued = self.queued.lock();
                if self.is_closed() || !queued.chunks.is_empty() || !queued.scratch.is_empty() {
                    return;
                }
            }
            self.filled.notified().await;
        }
    }

    /// For the writer: moves all that is queued behind `burst`.
    pub fn take(&self, burst: &mut VecDeque<Bytes>) {
        let mut queued = self.queued.lock();
        burst.append(&mut queued.chunks);
        if !queued.scratch.is_empty() {
            burst.push_back(queued.scratch.split().freeze());
        }
        if queued.chunks.capacity() > 1024 {
            queued.chunks = VecDeque::new();
        }
        if queued.scratch.capacity() > KEPT {
            queued.scratch = BytesMut::new();
        }
    }

    /// For the writer: so much went out. Returns whether subscriptions that were refused may deliver again.
    pub fn written(&self, bytes: usize) -> bool {
        let left = self.bytes.fetch_sub(bytes, Ordering::AcqRel) - bytes;
        if left < FULL {
            self.room.notify_waiters();
        }
        left < DRAINED && self.refused.swap(false, Ordering::AcqRel)
    }

    /// Nothing more is taken; what is queued is still written.
    pub fn close(&self) {
        let queued = self.queued.lock();
        self.closed.store(true, Ordering::Release);
        drop(queued);
        self.filled.notify_one();
        self.room.notify_waiters();
    }

    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::proto::{CommandMessage, CommandPing};

    fn delivery() -> BaseCommand {
        CommandMessage::default().into()
    }

    #[test]
    fn what_is_sent_keeps_its_order_whatever_its_size() {
        let outbox = Outbox::default();
        let (small, large) = (Bytes::from(vec![1; 10]), Bytes::from(vec![2; COPY_BELOW]));
        let mut expected = BytesMut::new();
        for body in [&small, &large, &small] {
            outbox.push(&CommandPing {}.into());
            encode_command(&CommandPing {}.into(), &mut expected);
            outbox.push_delivery(&delivery(), 7, body);
            encode_raw_delivery(&delivery(), 7, body.len(), &mut expected);
            expected.extend_from_slice(body);
        }
        let mut burst = VecDeque::new();
        outbox.take(&mut burst);
        assert_eq!(burst.iter().flatten().copied().collect::<Vec<u8>>(), expected);
        assert_eq!(outbox.bytes.load(Ordering::Relaxed), expected.len());
    }

    #[test]
    fn a_full_outbox_says_so_and_tells_when_there_is_room() {
        let outbox = Outbox::default();
        let body = Bytes::from(vec![0; FULL]);
        assert!(outbox.is_writable());
        outbox.push_delivery(&delivery(), 0, &body);
        assert!(!outbox.is_writable());
        assert!(!outbox.written(1), "still nearly full");
        assert!(outbox.written(FULL - 1));
        assert!(!outbox.written(1), "told once");
    }

    #[tokio::test]
    async fn a_client_that_never_reads_is_given_up() {
        let outbox = Outbox::default();
        let body = Bytes::from(vec![0; 8 << 20]);
        for _ in 0..8 {
            assert!(!outbox.is_closed());
            outbox.push_delivery(&delivery(), 0, &body);
        }
        assert!(outbox.is_closed());
        tokio::time::timeout(std::time::Duration::from_secs(5), outbox.room()).await.unwrap();
    }
}
