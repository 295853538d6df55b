//! A verb in progress: what `send`, `receive` and all others return. A real coroutine without a Python frame.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use pyo3::exceptions::{PyRuntimeError, PyRuntimeWarning, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::budget;
use super::errors::to_py;
use super::fork::Owned;
use super::mailbox::{Mailbox, Waiter, running_loop};
use super::signal::{Await, Target};

/// How long a blocked thread sleeps before it looks for Ctrl-C.
const BLOCKING_SLICE: Duration = Duration::from_millis(100);

/// What an operation does, step by step on the caller's thread.
pub(super) trait Verb: Send {
    /// `Class.method`, for messages.
    fn name(&self) -> &'static str;

    /// Goes as far as possible. Not called again after `Ready` or an error.
    fn poll(&mut self, py: Python<'_>) -> PyResult<Polled>;

    /// The caller gave up; nothing may be lost by it.
    fn cancel(&mut self) {}

    /// Whether `poll` is likely to be `Ready` the first time, so that fairness to the loop has to be thought of.
    fn is_ready(&self) -> bool {
        false
    }

    /// Whether something was done before the first step, so that it is no mistake never to await it.
    fn acted_at_the_call(&self) -> bool {
        false
    }
}

pub(super) enum Polled {
    Ready(Py<PyAny>),
    /// Poll again when the signal is set or the deadline passed.
    Pending(Arc<dyn Await>, Option<Instant>),
}

/// A coroutine: it starts when it is first awaited, and may be awaited once.
#[pyclass(frozen, generic, freelist = 512, module = "fastapi_pulsar._core")]
pub(super) struct Operation {
    state: Mutex<State>,
}

struct State {
    verb: Option<Owned<Box<dyn Verb>>>,
    phase: Phase,
}

enum Phase {
    New,
    /// Let the loop run before the first step.
    Yielded,
    /// Held for its drop, which forgets the future.
    Waiting(#[expect(dead_code)] Owned<Waiter>),
    Done,
}

impl Operation {
    pub(super) fn new(verb: impl Verb + 'static) -> Self {
        let verb: Box<dyn Verb> = Box::new(verb);
        Self { state: Mutex::new(State { verb: Some(Owned::new(verb)), phase: Phase::New }) }
    }

    /// One that is done when it is first awaited.
    pub(super) fn ready(name: &'static str, value: Py<PyAny>) -> Self {
        Self::new(Ready { name, value: Some(value) })
    }

    fn lock(&self) -> PyResult<MutexGuard<'_, State>> {
        self.state.try_lock().ok_or_else(|| PyRuntimeError::new_err("coroutine already executing"))
    }
}

struct Ready {
    name: &'static str,
    value: Option<Py<PyAny>>,
}

impl Verb for Ready {
    fn name(&self) -> &'static str {
        self.name
    }

    fn poll(&mut self, py: Python<'_>) -> PyResult<Polled> {
        Ok(Polled::Ready(self.value.take().unwrap_or_else(|| py.None())))
    }
}

impl State {
    fn step(&mut self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let verb = match (&mut self.verb, &self.phase) {
            (Some(verb), phase) if !matches!(phase, Phase::Done) => {
                verb.get_mut().map_err(|error| to_py(py, &error))?
            }
            _ => return Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine")),
        };
        let first = matches!(self.phase, Phase::New);
        if !first {
            budget::renew();
        } else if budget::is_spent() && verb.is_ready() {
            self.phase = Phase::Yielded;
            return Ok(py.None());
        }
        self.phase = Phase::Done;
        match verb.poll(py)? {
            Polled::Ready(value) => {
                self.verb = None;
                if first {
                    budget::spend();
                }
                Err(PyStopIteration::new_err(value))
            }
            Polled::Pending(signal, deadline) => {
                let (waiter, future) = wait(py, signal.as_ref(), deadline)?;
                self.phase = Phase::Waiting(Owned::new(waiter));
                Ok(future)
            }
        }
    }

    fn abandon(&mut self) {
        self.phase = Phase::Done;
        if let Some(mut verb) = self.verb.take()
            && let Ok(verb) = verb.get_mut()
        {
            verb.cancel();
        }
    }
}

/// A future of the running loop that the signal resolves, ready to be yielded to its task.
fn wait(py: Python<'_>, signal: &dyn Await, deadline: Option<Instant>) -> PyResult<(Waiter, Py<PyAny>)> {
    let event_loop = running_loop(py)?;
    let mailbox = Mailbox::of(&event_loop)?;
    let seconds = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()).as_secs_f64());
    let (waiter, future) = Mailbox::wait(&mailbox, &event_loop, seconds)?;
    signal.arm(Target::Loop(waiter.address()));
    Ok((waiter, future.into_any().unbind()))
}

#[pymethods]
impl Operation {
    fn __await__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.lock()?.step(py)
    }

    /// One step of the coroutine; `value` must be `None`.
    fn send(&self, py: Python<'_>, value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        if value.is_none() {
            return self.lock()?.step(py);
        }
        Err(pyo3::exceptions::PyTypeError::new_err("can't send non-None value to this coroutine"))
    }

    /// Ends the coroutine with an exception, as a cancelled task does.
    #[pyo3(signature = (typ, value=None, traceback=None, /))]
    fn throw(
        &self,
        typ: &Bound<'_, PyAny>,
        value: Option<&Bound<'_, PyAny>>,
        traceback: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let exception = match (typ.cast::<PyType>(), value) {
            (Ok(_), Some(value)) if value.is_instance(typ)? => value.clone(),
            (Ok(class), Some(value)) => class.call1((value,))?,
            (Ok(class), None) => class.call0()?,
            (Err(_), _) => typ.clone(),
        };
        if let Some(traceback) = traceback {
            exception.setattr(intern!(typ.py(), "__traceback__"), traceback)?;
        }
        self.lock()?.abandon();
        Err(PyErr::from_value(exception))
    }

    /// Gives up: nothing is lost by it.
    fn close(&self) -> PyResult<()> {
        self.lock()?.abandon();
        Ok(())
    }

    /// Runs the operation on this thread, without an event loop, and returns its result.
    pub(super) fn block(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let mut state = self.lock()?;
        if !matches!(state.phase, Phase::New) {
            return Err(PyRuntimeError::new_err("cannot block on a coroutine that was awaited"));
        }
        let result = block(py, &mut state);
        state.abandon();
        result
    }

    #[getter]
    fn __name__(&self) -> &'static str {
        let state = self.state.try_lock();
        let verb = state.as_ref().and_then(|state| state.verb.as_ref()?.get().ok());
        verb.map_or("Operation", |verb| verb.name())
    }

    #[getter]
    fn __qualname__(&self) -> &'static str {
        self.__name__()
    }

    fn __repr__(&self) -> String {
        format!("<coroutine {}>", self.__name__())
    }
}

fn block(py: Python<'_>, state: &mut State) -> PyResult<Py<PyAny>> {
    let Some(verb) = &mut state.verb else {
        return Err(PyRuntimeError::new_err("cannot reuse already awaited coroutine"));
    };
    let verb = verb.get_mut().map_err(|error| to_py(py, &error))?;
    state.phase = Phase::Yielded;
    loop {
        let (signal, deadline) = match verb.poll(py)? {
            Polled::Ready(value) => {
                state.verb = None;
                return Ok(value);
            }
            Polled::Pending(signal, deadline) => (signal, deadline),
        };
        signal.arm(Target::Thread(thread::current()));
        while !signal.is_set() {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            py.detach(|| thread::park_timeout(left.map_or(BLOCKING_SLICE, |left| left.min(BLOCKING_SLICE))));
            py.check_signals()?;
        }
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        if matches!(state.phase, Phase::New)
            && let Some(Ok(verb)) = state.verb.as_ref().map(Owned::get)
            && !verb.acted_at_the_call()
        {
            warn_never_awaited(verb.name());
        }
        state.abandon();
    }
}

fn warn_never_awaited(name: &str) {
    Python::try_attach(|py| {
        let text = format!("coroutine '{name}' was never awaited");
        let Ok(text) = std::ffi::CString::new(text) else { return };
        if let Err(error) = PyErr::warn(py, &py.get_type::<PyRuntimeWarning>(), &text, 1) {
            error.write_unraisable(py, None);
        }
    });
}
