//! A result that is not there yet, and whoever is to be woken when it is.
//!
//! The engine's threads `set` it; the thread of an awaiting operation `arm`s it and, woken, `take`s the value. Either may
//! come first. It holds no Python object, so it may be dropped on any thread.

use std::sync::Arc;
use std::thread::Thread;

use parking_lot::Mutex;

use super::mailbox::Address;

/// Who is waiting.
pub(super) enum Target {
    /// A future of an event loop.
    Loop(Address),
    /// A thread that blocks.
    Thread(Thread),
}

impl Target {
    fn wake(self) {
        match self {
            Target::Loop(address) => address.wake(),
            Target::Thread(thread) => thread.unpark(),
        }
    }
}

pub(super) struct Signal<T>(Mutex<State<T>>);

struct State<T> {
    value: Option<T>,
    target: Option<Target>,
}

impl<T> Signal<T> {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State { value: None, target: None })))
    }

    /// Stores the value and wakes who waits for it.
    pub(super) fn set(&self, value: T) {
        let target = {
            let mut state = self.0.lock();
            state.value = Some(value);
            state.target.take()
        };
        if let Some(target) = target {
            target.wake();
        }
    }

    pub(super) fn take(&self) -> Option<T> {
        self.0.lock().value.take()
    }
}

/// What an operation waits for, whatever its value.
pub(super) trait Await: Send + Sync {
    /// Wakes `target` when the value is there, at once if it already is.
    fn arm(&self, target: Target);

    fn is_set(&self) -> bool;
}

impl<T: Send> Await for Signal<T> {
    fn arm(&self, target: Target) {
        let mut state = self.0.lock();
        if state.value.is_some() {
            drop(state);
            target.wake();
        } else {
            state.target = Some(target);
        }
    }

    fn is_set(&self) -> bool {
        self.0.lock().value.is_some()
    }
}
