//! Whose process is it? A fork copies every handle but none of the threads that serve them.
//!
//! Each fork bumps a generation in the child. A handle remembers the one it was made in: in the child it answers
//! `ForkedClient` and is leaked, never locked or dropped, since a lock may have been held by a thread that is gone.

use std::sync::atomic::{AtomicU64, Ordering};

use pyo3::prelude::*;

use crate::error::{Error, ErrorKind, Result};

static GENERATION: AtomicU64 = AtomicU64::new(0);

/// The number of forks between this process and the one that first imported the module.
pub(super) fn generation() -> u64 {
    GENERATION.load(Ordering::Acquire)
}

/// Told by `os.register_at_fork` in every child.
#[pyfunction]
pub(super) fn _after_fork_in_child() {
    GENERATION.fetch_add(1, Ordering::AcqRel);
}

/// A value of this process only.
pub(super) struct Owned<T> {
    generation: u64,
    value: Option<T>,
}

impl<T> Owned<T> {
    pub(super) fn new(value: T) -> Self {
        Self { generation: generation(), value: Some(value) }
    }

    pub(super) fn get(&self) -> Result<&T> {
        self.value.as_ref().filter(|_| self.generation == generation()).ok_or_else(forked)
    }

    pub(super) fn get_mut(&mut self) -> Result<&mut T> {
        self.value.as_mut().filter(|_| self.generation == generation()).ok_or_else(forked)
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        if self.generation != generation() {
            std::mem::forget(self.value.take());
        }
    }
}

fn forked() -> Error {
    Error::new(
        ErrorKind::ForkedClient,
        "this object was made before a fork and belongs to the parent process; make a new PulsarClient in the child",
    )
}
