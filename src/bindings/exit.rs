//! The end of the interpreter: a gate that threads of the runtime pass before they call Python.
//!
//! A thread that asks for the interpreter while it is being finalised is ended or hung by Python. So an `atexit` hook
//! shuts the gate, and waits for those who are inside.

use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use pyo3::prelude::*;

use super::fork;

/// How long the interpreter's exit waits for a callback (a token supplier) that is running.
const PATIENCE: Duration = Duration::from_secs(5);

struct Gate {
    state: Mutex<State>,
    left: Condvar,
}

struct State {
    generation: u64,
    shut: bool,
    inside: usize,
}

static GATE: Gate =
    Gate { state: Mutex::new(State { generation: 0, shut: false, inside: 0 }), left: Condvar::new() };

/// The right to call Python from a thread of the runtime; dropped when done.
pub(super) struct Pass(u64);

/// `None` once the interpreter has begun to exit.
pub(super) fn enter() -> Option<Pass> {
    let mut state = GATE.state.lock();
    let generation = fork::generation();
    if state.generation != generation {
        // Those who were inside at the fork are in the parent.
        *state = State { generation, shut: false, inside: 0 };
    }
    if state.shut {
        return None;
    }
    state.inside += 1;
    Some(Pass(generation))
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = GATE.state.lock();
        if state.generation == self.0 {
            state.inside -= 1;
            GATE.left.notify_all();
        }
    }
}

/// The `atexit` hook: after it no thread of the runtime calls Python.
#[pyfunction]
pub(super) fn _at_exit(py: Python<'_>) {
    py.detach(|| {
        let Some(mut state) = GATE.state.try_lock_for(PATIENCE) else { return };
        if state.generation != fork::generation() {
            return;
        }
        state.shut = true;
        GATE.left.wait_while_for(&mut state, |state| state.inside > 0, PATIENCE);
    });
}
