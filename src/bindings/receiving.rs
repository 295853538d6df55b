//! `receive` and `receive_many`: messages leave the queue on the loop's thread, in the step in which they are returned.
//!
//! So a caller who is cancelled has nothing in hand that could be lost; the claim on a message that it was woken for
//! passes to the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyStopAsyncIteration, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::errors::to_py;
use super::message::Message;
use super::operation::{Polled, Verb};
use super::signal::Signal;
use crate::client::consumer::{self, Batch, Poll, PollMany, Ticket};
use crate::error::{Error, ErrorKind};

/// Where messages come from, and what makes values of them.
pub(super) struct Source {
    pub(super) engine: consumer::Consumer,
    pub(super) decode: Option<Py<PyAny>>,
    /// `Consumer` or `Reader`.
    pub(super) verbs: &'static Verbs,
}

/// The names of a source's verbs.
pub(super) struct Verbs {
    pub(super) receive: &'static str,
    pub(super) receive_many: &'static str,
}

impl Source {
    pub(super) fn clone_ref(&self, py: Python<'_>) -> Self {
        let decode = self.decode.as_ref().map(|decode| decode.clone_ref(py));
        Self { engine: self.engine.clone(), decode, verbs: self.verbs }
    }

    fn message(&self, py: Python<'_>, message: consumer::Message) -> PyResult<Py<Message>> {
        Py::new(py, Message::new(py, message, self.decode.as_ref()))
    }
}

/// The signal of a caller who has to wait, made only then.
#[derive(Default)]
struct Wake(Option<Arc<Signal<()>>>);

impl Wake {
    fn waker(&mut self) -> consumer::Waker {
        let signal = self.signal();
        Box::new(move || signal.set(()))
    }

    fn signal(&mut self) -> Arc<Signal<()>> {
        Arc::clone(self.0.get_or_insert_with(Signal::new))
    }
}

/// A place in the queue of those who wait.
struct Place {
    ticket: Option<Ticket>,
    deadline: Option<Instant>,
    started: bool,
}

impl Place {
    const NEW: Self = Self { ticket: None, deadline: None, started: false };

    /// Counts the time from the first step on.
    fn start(&mut self, limit: Option<Duration>) {
        if !self.started {
            self.started = true;
            self.deadline = limit.and_then(|limit| Instant::now().checked_add(limit));
        }
    }

    fn is_over(&self) -> bool {
        self.deadline.is_some_and(|deadline| deadline <= Instant::now())
    }

    fn leave(&mut self, engine: &consumer::Consumer) {
        if let Some(ticket) = self.ticket.take() {
            engine.cancel_receive(ticket);
        }
    }
}

pub(super) struct Receive {
    source: Source,
    place: Place,
    timeout: Option<Duration>,
    /// `async for`: a closed consumer is the end, not an error.
    iterating: bool,
}

impl Receive {
    pub(super) fn new(source: Source, timeout: Option<Duration>) -> Self {
        Self { source, place: Place::NEW, timeout, iterating: false }
    }

    pub(super) fn next(source: Source) -> Self {
        Self { source, place: Place::NEW, timeout: None, iterating: true }
    }
}

impl Verb for Receive {
    fn name(&self) -> &'static str {
        self.source.verbs.receive
    }

    fn poll(&mut self, py: Python<'_>) -> PyResult<Polled> {
        self.place.start(self.timeout);
        let mut wake = Wake::default();
        match self.source.engine.poll_receive(self.place.ticket.take(), || wake.waker()) {
            Poll::Ready(message) => Ok(Polled::Ready(self.source.message(py, message)?.into_any())),
            Poll::Failed(error) if self.iterating && error.kind() == ErrorKind::Closed => {
                Err(PyStopAsyncIteration::new_err(()))
            }
            Poll::Failed(error) => Err(to_py(py, &error)),
            Poll::Waiting(ticket) => {
                self.place.ticket = Some(ticket);
                if self.place.is_over() {
                    self.cancel();
                    let limit = self.timeout.unwrap_or_default();
                    let error =
                        Error::new(ErrorKind::Timeout, format!("no message arrived within {limit:?}"));
                    return Err(to_py(py, &error));
                }
                Ok(Polled::Pending(wake.signal(), self.place.deadline))
            }
        }
    }

    fn cancel(&mut self) {
        self.place.leave(&self.source.engine);
    }

    fn is_ready(&self) -> bool {
        self.source.engine.queued() > 0
    }
}

pub(super) struct ReceiveMany {
    source: Source,
    place: Place,
    max_messages: usize,
    max_bytes: usize,
    max_wait: Option<Duration>,
}

impl ReceiveMany {
    pub(super) fn new(
        source: Source,
        max_messages: usize,
        max_bytes: Option<usize>,
        max_wait: Option<Duration>,
    ) -> PyResult<Self> {
        let max_bytes = max_bytes.unwrap_or(usize::MAX);
        if max_messages == 0 || max_bytes == 0 {
            return Err(PyValueError::new_err("max_messages and max_bytes must be at least 1"));
        }
        Ok(Self { source, place: Place::NEW, max_messages, max_bytes, max_wait })
    }

    fn list(&self, py: Python<'_>, messages: Vec<consumer::Message>) -> PyResult<Polled> {
        let list = PyList::empty(py);
        for message in messages {
            list.append(self.source.message(py, message)?)?;
        }
        Ok(Polled::Ready(list.into_any().unbind()))
    }
}

impl Verb for ReceiveMany {
    fn name(&self) -> &'static str {
        self.source.verbs.receive_many
    }

    fn poll(&mut self, py: Python<'_>) -> PyResult<Polled> {
        self.place.start(self.max_wait);
        let mut wake = Wake::default();
        let over = self.place.is_over();
        let min_messages = if self.max_wait.is_some() && !over { self.max_messages } else { 1 };
        let batch = Batch { min_messages, max_messages: self.max_messages, max_bytes: self.max_bytes };
        match self.source.engine.poll_receive_many(self.place.ticket.take(), batch, || wake.waker()) {
            PollMany::Ready(messages) => self.list(py, messages),
            PollMany::Failed(error) => Err(to_py(py, &error)),
            PollMany::Waiting(ticket) => {
                self.place.ticket = Some(ticket);
                if over {
                    self.cancel();
                    return self.list(py, Vec::new());
                }
                Ok(Polled::Pending(wake.signal(), self.place.deadline))
            }
        }
    }

    fn cancel(&mut self) {
        self.place.leave(&self.source.engine);
    }

    fn is_ready(&self) -> bool {
        self.source.engine.queued() > 0
    }
}
