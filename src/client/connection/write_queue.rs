//! What waits to be written: control first, then data, both bounded.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore};

use crate::protocol::frame::encode_command;
use crate::protocol::proto::BaseCommand;

/// A data frame: everything before the body, and the body as a buffer of its own, so that it is not copied.
#[derive(Clone, Debug)]
pub struct OutFrame {
    pub header: Bytes,
    pub body: Bytes,
}

impl OutFrame {
    fn len(&self) -> usize {
        self.header.len() + self.body.len()
    }

    /// The frame's share of the data queue, in units of 1 KiB.
    fn weight(&self) -> u32 {
        u32::try_from(self.len().div_ceil(1024)).unwrap_or(u32::MAX).clamp(1, DATA_LIMIT_KIB)
    }
}

/// Data queued on one connection: 8 MiB, which no loopback or LAN link outruns in one wake-up of the writer.
const DATA_LIMIT_KIB: u32 = 8 * 1024;
/// Encoded control commands queued on one connection, in bytes.
const CONTROL_LIMIT: usize = 4 << 20;
/// Data taken for one write: small enough that control queued meanwhile does not wait long.
const BURST: usize = 512 * 1024;

/// Filled by many threads, emptied by the writer task.
pub(super) struct WriteQueue {
    queued: Mutex<Queued>,
    /// Wakes the writer.
    filled: Notify,
    /// Room for data, in units of 1 KiB; first come, first served.
    room: Semaphore,
    /// Wakes those who wait for room for a control command.
    control_room: Notify,
    closed: AtomicBool,
}

#[derive(Default)]
struct Queued {
    control: BytesMut,
    data: VecDeque<OutFrame>,
}

impl WriteQueue {
    pub(super) fn new() -> Self {
        Self {
            queued: Mutex::default(),
            filled: Notify::new(),
            room: Semaphore::new(DATA_LIMIT_KIB as usize),
            control_room: Notify::new(),
            closed: AtomicBool::new(false),
        }
    }

    /// Waits for room; false if the connection is closed.
    pub(super) async fn push(&self, frame: OutFrame) -> bool {
        let Ok(permit) = self.room.acquire_many(frame.weight()).await else { return false };
        permit.forget();
        self.enqueue(frame);
        true
    }

    /// Gives the frame back if there is no room, or if the connection is closed.
    pub(super) fn try_push(&self, frame: OutFrame) -> Result<(), OutFrame> {
        let Ok(permit) = self.room.try_acquire_many(frame.weight()) else { return Err(frame) };
        permit.forget();
        self.enqueue(frame);
        Ok(())
    }

    fn enqueue(&self, frame: OutFrame) {
        self.queued.lock().data.push_back(frame);
        self.filled.notify_one();
    }

    /// Queues a control command; false if there is no room, or if the connection is closed.
    pub(super) fn try_push_control(&self, command: &BaseCommand) -> bool {
        let mut queued = self.queued.lock();
        if self.is_closed() || queued.control.len() >= CONTROL_LIMIT {
            return false;
        }
        encode_command(command, &mut queued.control);
        drop(queued);
        self.filled.notify_one();
        true
    }

    /// Waits for room; false if the connection is closed.
    pub(super) async fn push_control(&self, command: &BaseCommand) -> bool {
        loop {
            let room = self.control_room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.try_push_control(command) {
                return true;
            }
            if self.is_closed() {
                return false;
            }
            room.await;
        }
    }

    /// For the writer: waits until something is queued or the queue is closed.
    pub(super) async fn wait(&self) {
        loop {
            {
                let queued = self.queued.lock();
                if self.is_closed() || !queued.control.is_empty() || !queued.data.is_empty() {
                    return;
                }
            }
            self.filled.notified().await;
        }
    }

    /// For the writer: takes all control and a burst of data. Returns false if nothing was queued.
    pub(super) fn take(&self, burst: &mut Burst) -> bool {
        let mut weight = 0;
        let mut queued = self.queued.lock();
        if queued.control.is_empty() && queued.data.is_empty() {
            return false;
        }
        let waiters = queued.control.len() >= CONTROL_LIMIT;
        let control = queued.control.split().freeze();
        let mut bytes = 0;
        while bytes < BURST
            && let Some(frame) = queued.data.pop_front()
        {
            bytes += frame.len();
            weight += frame.weight() as usize;
            burst.frames.push(frame);
        }
        drop(queued);
        if waiters {
            self.control_room.notify_waiters();
        }
        self.room.add_permits(weight);
        burst.assemble(control);
        true
    }

    pub(super) fn close(&self) {
        // Under the lock, so that a command is either refused or seen by the writer's last look.
        let queued = self.queued.lock();
        self.closed.store(true, Ordering::Release);
        drop(queued);
        self.room.close();
        self.filled.notify_one();
        self.control_room.notify_waiters();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

/// Bodies below this size are copied next to their header: cheaper than an entry of their own in a vectored write.
const COPY_BELOW: usize = 2048;

/// What goes out with one vectored write.
#[derive(Default)]
pub(super) struct Burst {
    frames: Vec<OutFrame>,
    scratch: BytesMut,
    pub(super) chunks: VecDeque<Bytes>,
}

impl Burst {
    fn assemble(&mut self, control: Bytes) {
        if !control.is_empty() {
            self.chunks.push_back(control);
        }
        for frame in self.frames.drain(..) {
            self.scratch.extend_from_slice(&frame.header);
            if frame.body.len() < COPY_BELOW {
                self.scratch.extend_from_slice(&frame.body);
            } else {
                self.chunks.push_back(self.scratch.split().freeze());
                self.chunks.push_back(frame.body);
            }
        }
        if !self.scratch.is_empty() {
            self.chunks.push_back(self.scratch.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::proto::CommandPing;

    fn frame(size: usize) -> OutFrame {
        OutFrame { header: Bytes::from_static(b"head"), body: Bytes::from(vec![7; size]) }
    }

    fn drain(queue: &WriteQueue) -> Vec<u8> {
        let mut burst = Burst::default();
        queue.take(&mut burst);
        burst.chunks.iter().flatten().copied().collect()
    }

    #[test]
    fn control_goes_before_data_that_was_queued_earlier() {
        let queue = WriteQueue::new();
        queue.try_push(frame(3)).unwrap();
        assert!(queue.try_push_control(&CommandPing {}.into()));
        let mut ping = BytesMut::new();
        encode_command(&CommandPing {}.into(), &mut ping);
        assert_eq!(drain(&queue), [&ping[..], b"head", &[7, 7, 7]].concat());
    }

    #[test]
    fn a_full_data_queue_leaves_room_for_control_and_frees_when_written() {
        let queue = WriteQueue::new();
        let mut pushed = 0;
        while queue.try_push(frame(1 << 20)).is_ok() {
            pushed += 1;
        }
        assert_eq!(pushed, 7, "eight MiB, less the headers");
        assert!(queue.try_push_control(&CommandPing {}.into()));
        drain(&queue);
        assert!(queue.try_push(frame(1 << 20)).is_ok());
    }

    #[tokio::test]
    async fn closing_wakes_those_who_wait_for_room() {
        let queue = std::sync::Arc::new(WriteQueue::new());
        while queue.try_push(frame(1 << 20)).is_ok() {}
        while queue.try_push_control(&CommandPing {}.into()) {}
        let data = tokio::spawn({
            let queue = queue.clone();
            async move { queue.push(frame(1 << 20)).await }
        });
        let control = tokio::spawn({
            let queue = queue.clone();
            async move { queue.push_control(&CommandPing {}.into()).await }
        });
        tokio::task::yield_now().await;
        queue.close();
        assert!(!data.await.unwrap());
        assert!(!control.await.unwrap());
        assert!(!queue.try_push_control(&CommandPing {}.into()));
        assert!(queue.try_push(frame(1)).is_err());
    }
}
