//! The one clock that the clients of this process share, so that a test can move it.

use std::time::Duration;

use parking_lot::Mutex;
use pyo3::prelude::*;

use super::convert::Span;
use super::fork;
use crate::clock::Clock;

struct Shared {
    generation: u64,
    clock: Clock,
    ahead: Duration,
}

/// Locked with the interpreter held only, so never across a fork.
static SHARED: Mutex<Option<Shared>> = Mutex::new(None);

fn with<T>(use_it: impl FnOnce(&mut Shared) -> T) -> T {
    let generation = fork::generation();
    let mut slot = SHARED.lock();
    let mut shared = match slot.take() {
        Some(shared) if shared.generation == generation => shared,
        Some(parents) => {
            let ahead = parents.ahead;
            // Somebody may have held a lock of it at the fork.
            std::mem::forget(parents);
            Shared::new(generation, ahead)
        }
        None => Shared::new(generation, Duration::ZERO),
    };
    let result = use_it(&mut shared);
    *slot = Some(shared);
    result
}

impl Shared {
    fn new(generation: u64, ahead: Duration) -> Self {
        let clock = Clock::default();
        clock.advance(ahead);
        Self { generation, clock, ahead }
    }
}

/// The time of every client.
pub(super) fn of_clients() -> Clock {
    with(|shared| shared.clock.clone())
}

/// A clock of its own, for a broker, that begins at the clients' time.
pub(super) fn of_broker() -> Clock {
    let clock = Clock::default();
    clock.advance(with(|shared| shared.ahead));
    clock
}

/// Moves the time of all clients in this process forward; for tests.
#[pyfunction]
pub(super) fn advance_clock(by: Span) {
    with(|shared| {
        shared.clock.advance(by.0);
        shared.ahead += by.0;
    });
}
