//! Verbs that ask the broker something: they run as a task of the runtime, and their answer comes through the mailbox.

use std::future::Future;
use std::sync::Arc;

use pyo3::prelude::*;
use tokio::runtime::Handle;

use super::errors::to_py;
use super::operation::{Operation, Polled, Verb};
use super::runtime;
use super::signal::Signal;
use crate::error::{Error, ErrorKind, Result};

/// Makes Python's value of the engine's, on the caller's thread.
type Convert<T> = Box<dyn FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send>;

struct Task<F, T> {
    name: &'static str,
    /// Taken when the task starts.
    future: Option<F>,
    answer: Arc<Signal<Result<T>>>,
    convert: Option<Convert<T>>,
    acted: bool,
}

/// An operation that runs `future` from its first step on. Giving it up does not stop it half way: what it brings is dropped.
pub(super) fn operation<F, T, C>(name: &'static str, future: F, convert: C) -> Operation
where
    F: Future<Output = Result<T>> + Send + 'static,
    T: Send + 'static,
    C: FnOnce(Python<'_>, T) -> PyResult<Py<PyAny>> + Send + 'static,
{
    let convert: Convert<T> = Box::new(convert);
    Operation::new(Task {
        name,
        future: Some(future),
        answer: Signal::new(),
        convert: Some(convert),
        acted: false,
    })
}

/// The same for a verb without an answer.
pub(super) fn unit<F>(name: &'static str, future: F) -> Operation
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    operation(name, future, |py, ()| Ok(py.None()))
}

/// The same for a verb that has acted already; only its answer is still to come.
pub(super) fn answer<F>(name: &'static str, future: F) -> Operation
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let convert: Convert<()> = Box::new(|py, ()| Ok(py.None()));
    Operation::new(Task {
        name,
        future: Some(future),
        answer: Signal::new(),
        convert: Some(convert),
        acted: true,
    })
}

impl<F, T> Verb for Task<F, T>
where
    F: Future<Output = Result<T>> + Send + 'static,
    T: Send + 'static,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn poll(&mut self, py: Python<'_>) -> PyResult<Polled> {
        if let Some(future) = self.future.take() {
            start(&runtime::handle()?, future, Arc::clone(&self.answer));
        }
        match (self.answer.take(), self.convert.take()) {
            (Some(Ok(value)), Some(convert)) => convert(py, value).map(Polled::Ready),
            (Some(Err(error)), _) => Err(to_py(py, &error)),
            (_, convert) => {
                self.convert = convert;
                Ok(Polled::Pending(self.answer.clone(), None))
            }
        }
    }

    fn acted_at_the_call(&self) -> bool {
        self.acted
    }
}

fn start<F, T>(runtime: &Handle, future: F, answer: Arc<Signal<Result<T>>>)
where
    F: Future<Output = Result<T>> + Send + 'static,
    T: Send + 'static,
{
    let mut promise = Promise(Some(answer));
    runtime.spawn(async move {
        let result = future.await;
        promise.keep(result);
    });
}

/// Whoever waits gets an answer, even if the task ends without one.
struct Promise<T>(Option<Arc<Signal<Result<T>>>>);

impl<T> Promise<T> {
    fn keep(&mut self, result: Result<T>) {
        if let Some(answer) = self.0.take() {
            answer.set(result);
        }
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.keep(Err(Error::new(ErrorKind::Unknown, "the client's runtime ended before the operation did")));
    }
}
