//! The one tokio runtime of the process, made by the first who needs it.

use parking_lot::Mutex;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};

use super::fork;

/// Network tasks are short and never call Python, so one thread keeps up with an interpreter. A second one only adds
/// hand-overs between cores.
const WORKERS: usize = 1;

struct Slot {
    generation: u64,
    runtime: Runtime,
}

/// Never dropped: its threads end with the process.
static SLOT: Mutex<Option<Slot>> = Mutex::new(None);

/// The runtime of this process; a child of a fork gets its own, the parent's is leaked there.
pub(super) fn handle() -> PyResult<Handle> {
    let generation = fork::generation();
    let mut slot = SLOT.lock();
    if let Some(slot) = slot.as_ref().filter(|slot| slot.generation == generation) {
        return Ok(slot.runtime.handle().clone());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("fastapi-pulsar")
        .enable_io()
        .enable_time()
        .build()
        .map_err(|error| {
            PyOSError::new_err(format!("cannot start the threads of the Pulsar client: {error}"))
        })?;
    let handle = runtime.handle().clone();
    std::mem::forget(slot.replace(Slot { generation, runtime }));
    Ok(handle)
}
