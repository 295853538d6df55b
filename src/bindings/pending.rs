//! What an operation yields to the task that awaits it: a future, as far as asyncio's tasks look at one.
//!
//! An `asyncio.Future` that is resolved schedules its task by `call_soon`: a handle and a turn of the loop for each message.
//! Only the loop itself resolves these (by the mailbox), so the task's next step is run at once. Whatever refers to Python
//! lies in the mailbox, where the garbage collector sees it; the future is a number only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use pyo3::PyTraverseError;
use pyo3::exceptions::PyRuntimeError;
use pyo3::exceptions::asyncio::{CancelledError, InvalidStateError};
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::mailbox::{Post, running_loop};
use super::slab::Key;

/// An operation that waits: who is run when its future is resolved, and its timer if it has a deadline.
pub(super) struct Waiting {
    event_loop: Py<PyAny>,
    pub(super) timer: Option<Py<PyAny>>,
    /// `None` until a task awaits the future.
    task: Option<Resumption>,
}

/// A task's next step, which takes the future, and the context that it runs in.
struct Resumption {
    step: Py<PyAny>,
    context: Option<Py<PyAny>>,
    future: Py<Pending>,
}

impl Resumption {
    fn run(self, py: Python<'_>) -> PyResult<()> {
        match self.context {
            Some(context) => context.call_method1(py, intern!(py, "run"), (self.step, self.future))?,
            None => self.step.call1(py, (self.future,))?,
        };
        Ok(())
    }

    fn call_soon(self, event_loop: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = event_loop.py();
        let keywords = PyDict::new(py);
        keywords.set_item(intern!(py, "context"), self.context)?;
        event_loop.call_method(intern!(py, "call_soon"), (self.step, self.future), Some(&keywords))?;
        Ok(())
    }
}

impl Waiting {
    pub(super) fn new(event_loop: &Bound<'_, PyAny>) -> Self {
        Self { event_loop: event_loop.clone().unbind(), timer: None, task: None }
    }

    /// Resolves the future and runs its task to the next await; called by the loop. The errors of a task stay with it, but
    /// for those that end the loop: `KeyboardInterrupt` and `SystemExit`.
    pub(super) fn resume(self, py: Python<'_>) -> PyResult<()> {
        self.cancel_timer(py);
        let Some(task) = self.task else { return Ok(()) };
        task.future.get().settle(Outcome::Resolved);
        task.run(py)
    }

    /// Resolves the future and leaves its task to the loop's next turn.
    pub(super) fn schedule(self, py: Python<'_>, outcome: Outcome) -> PyResult<()> {
        self.cancel_timer(py);
        let Some(task) = self.task else { return Ok(()) };
        task.future.get().settle(outcome);
        task.call_soon(self.event_loop.bind(py))
    }

    pub(super) fn cancel_timer(&self, py: Python<'_>) {
        if let Some(timer) = &self.timer {
            drop(timer.call_method0(py, intern!(py, "cancel")));
        }
    }

    pub(super) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.event_loop)?;
        visit.call(&self.timer)?;
        if let Some(Resumption { step, context, future }) = &self.task {
            visit.call(step)?;
            visit.call(context)?;
            visit.call(future)?;
        }
        Ok(())
    }
}

pub(super) enum Outcome {
    Resolved,
    /// With the message of `cancel`.
    Cancelled(Option<Py<PyAny>>),
}

/// A future that resolves to None, of the loop that ran when it was made. One task awaits it.
#[pyclass(frozen, freelist = 512, module = "fastapi_pulsar._core")]
pub(super) struct Pending {
    post: Arc<Post>,
    key: Key,
    /// Set while the awaiting task has not taken notice.
    blocking: AtomicBool,
    outcome: Mutex<Option<Outcome>>,
}

impl Pending {
    pub(super) fn new(post: Arc<Post>, key: Key) -> Self {
        Self { post, key, blocking: AtomicBool::new(true), outcome: Mutex::new(None) }
    }

    /// The first outcome stays; false if there was one.
    fn settle(&self, outcome: Outcome) -> bool {
        let mut settled = self.outcome.lock();
        let first = settled.is_none();
        if first {
            *settled = Some(outcome);
        }
        first
    }
}

#[pymethods]
impl Pending {
    #[getter(_asyncio_future_blocking)]
    fn blocking(&self) -> bool {
        self.blocking.load(Ordering::Relaxed)
    }

    #[setter(_asyncio_future_blocking)]
    fn set_blocking(&self, blocking: bool) {
        self.blocking.store(blocking, Ordering::Relaxed);
    }

    fn get_loop<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let held = self.post.waiting.lock().get_mut(self.key).map(|waiting| waiting.event_loop.clone_ref(py));
        held.map_or_else(|| running_loop(py), |event_loop| Ok(event_loop.into_bound(py)))
    }

    #[pyo3(signature = (callback, /, *, context=None))]
    fn add_done_callback(
        slf: &Bound<'_, Self>,
        callback: Py<PyAny>,
        context: Option<Py<PyAny>>,
    ) -> PyResult<()> {
        let task = Resumption { step: callback, context, future: slf.clone().unbind() };
        let this = slf.get();
        if this.done() {
            return task.call_soon(&running_loop(slf.py())?);
        }
        let mut waiting = this.post.waiting.lock();
        match waiting.get_mut(this.key) {
            Some(waiting) if waiting.task.is_none() => {
                waiting.task = Some(task);
                Ok(())
            }
            _ => Err(PyRuntimeError::new_err("this operation is awaited already, or was given up")),
        }
    }

    /// Ends the wait with `CancelledError`; false if it has ended.
    #[pyo3(signature = (msg=None))]
    fn cancel(&self, py: Python<'_>, msg: Option<Py<PyAny>>) -> PyResult<bool> {
        if self.done() {
            return Ok(false);
        }
        let waiting = self.post.waiting.lock().remove(self.key);
        match waiting {
            Some(waiting) => waiting.schedule(py, Outcome::Cancelled(msg)).map(|()| true),
            None => Ok(self.settle(Outcome::Cancelled(msg))),
        }
    }

    fn done(&self) -> bool {
        self.outcome.lock().is_some()
    }

    fn cancelled(&self) -> bool {
        matches!(*self.outcome.lock(), Some(Outcome::Cancelled(_)))
    }

    fn result(&self, py: Python<'_>) -> PyResult<()> {
        match &*self.outcome.lock() {
            Some(Outcome::Resolved) => Ok(()),
            Some(Outcome::Cancelled(None)) => Err(CancelledError::new_err(())),
            Some(Outcome::Cancelled(Some(message))) => Err(CancelledError::new_err((message.clone_ref(py),))),
            None => Err(InvalidStateError::new_err("Result is not set.")),
        }
    }

    fn exception(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.result(py).map(|()| None)
    }

    fn __repr__(&self) -> &'static str {
        match &*self.outcome.lock() {
            None => "<Pending of an operation>",
            Some(Outcome::Resolved) => "<Pending of an operation, resolved>",
            Some(Outcome::Cancelled(_)) => "<Pending of an operation, cancelled>",
        }
    }
}
