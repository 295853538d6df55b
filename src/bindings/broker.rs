//! `Broker`: an embedded broker with a runtime of its own. `EmbeddedBroker` in Python makes it from options.

use std::time::Duration;

use parking_lot::Mutex;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::PyDict;
use tokio::runtime::{Builder, Runtime};

use super::clock;
use super::convert::{Span, options};
use super::errors::OrRaise;
use super::fork::Owned;
use crate::broker;
use crate::broker::config::BrokerOptions;
use crate::broker::faults::{Action, server_error_named};
use crate::error::{Error, ErrorKind, Result};

/// More would only move work between cores: a session's steps are short.
const WORKERS: usize = 2;
/// How long `close` waits for what still runs on the broker's threads.
const PATIENCE: Duration = Duration::from_secs(5);

/// A broker in this process, with a runtime of its own. Made, it listens.
#[pyclass(frozen, weakref, module = "fastapi_pulsar._core")]
pub(super) struct Broker {
    running: Owned<Running>,
    service_url: String,
    admin_url: String,
}

struct Running {
    broker: broker::Broker,
    /// `None` once it is closed.
    runtime: Mutex<Option<Runtime>>,
}

impl Drop for Running {
    /// Whoever forgot to close it does not wait for it.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.get_mut().take() {
            runtime.shutdown_background();
        }
    }
}

impl Broker {
    /// Asks the broker, with the interpreter released.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        ask: impl FnOnce(&broker::Broker) -> Result<T> + Send,
    ) -> PyResult<T> {
        let running = self.running.get().or_raise(py)?;
        py.detach(|| ask(&running.broker)).or_raise(py)
    }

    fn fault(
        &self,
        py: Python<'_>,
        command: &str,
        count: u32,
        topic: Option<&str>,
        action: Action,
    ) -> PyResult<()> {
        self.with(py, |broker| broker.faults().on_next(command, count, topic, action))
    }
}

#[pymethods]
impl Broker {
    #[new]
    fn new(py: Python<'_>, options: &Bound<'_, PyDict>) -> PyResult<Self> {
        let options: BrokerOptions = self::options("broker", options)?;
        let clock = clock::of_broker();
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("pulsar-broker")
            .enable_io()
            .enable_time()
            .build()
            .map_err(|error| {
                PyOSError::new_err(format!("cannot start the threads of the broker: {error}"))
            })?;
        let handle = runtime.handle().clone();
        let broker = py.detach(|| broker::Broker::start(options, clock, handle)).or_raise(py)?;
        Ok(Self {
            service_url: broker.service_url(),
            admin_url: broker.admin_url(),
            running: Owned::new(Running { broker, runtime: Mutex::new(Some(runtime)) }),
        })
    }

    #[getter]
    fn service_url(&self) -> &str {
        &self.service_url
    }

    #[getter]
    fn admin_url(&self) -> &str {
        &self.admin_url
    }

    /// Moves the broker's time forward at once.
    fn advance(&self, py: Python<'_>, by: Span) -> PyResult<()> {
        self.with(py, |broker| broker.core().map(|_| broker.advance(by.0)))
    }

    /// Cuts connections, and returns how many.
    #[pyo3(signature = (topic, client))]
    fn drop_connections(&self, py: Python<'_>, topic: Option<&str>, client: Option<&str>) -> PyResult<usize> {
        self.with(py, |broker| broker.drop_connections(topic, client))
    }

    /// Refuses the next commands of a kind.
    #[pyo3(signature = (command, error, count, topic))]
    fn fail_next(
        &self,
        py: Python<'_>,
        command: &str,
        error: &str,
        count: u32,
        topic: Option<&str>,
    ) -> PyResult<()> {
        let error = server_error_named(error).or_raise(py)?;
        self.fault(py, command, count, topic, Action::Fail(error))
    }

    /// Answers the next commands of a kind later.
    #[pyo3(signature = (command, by, count, topic))]
    fn delay_next(
        &self,
        py: Python<'_>,
        command: &str,
        by: Span,
        count: u32,
        topic: Option<&str>,
    ) -> PyResult<()> {
        self.fault(py, command, count, topic, Action::Delay(by.0))
    }

    /// Never answers the next commands of a kind.
    #[pyo3(signature = (command, count, topic))]
    fn ignore_next(&self, py: Python<'_>, command: &str, count: u32, topic: Option<&str>) -> PyResult<()> {
        self.fault(py, command, count, topic, Action::Ignore)
    }

    /// Damages the next messages on their way to a consumer.
    #[pyo3(signature = (count, topic))]
    fn corrupt_next(&self, py: Python<'_>, count: u32, topic: Option<&str>) -> PyResult<()> {
        self.with(py, |broker| {
            broker.faults().corrupt_next(count, topic);
            Ok(())
        })
    }

    /// Leaves what clients send unread, and returns how many connections that are.
    #[pyo3(signature = (topic, client))]
    fn stop_reading(&self, py: Python<'_>, topic: Option<&str>, client: Option<&str>) -> PyResult<usize> {
        self.with(py, |broker| broker.stop_reading(topic, client))
    }

    /// Takes back every fault that has not happened yet.
    fn heal(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, broker::Broker::heal)
    }

    /// Stops and starts on the same ports.
    fn restart(&self, py: Python<'_>, keep_data: bool) -> PyResult<()> {
        let Running { broker, runtime } = self.running.get().or_raise(py)?;
        let restarted = py.detach(|| match runtime.lock().as_ref() {
            Some(runtime) => runtime.block_on(broker.restart(keep_data)),
            None => Err(Error::new(ErrorKind::Closed, "the broker is closed")),
        });
        restarted.or_raise(py)
    }

    /// Stops. May be called again.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let Running { broker, runtime } = self.running.get().or_raise(py)?;
        py.detach(|| {
            if let Some(runtime) = runtime.lock().take() {
                runtime.block_on(broker.close());
                runtime.shutdown_timeout(PATIENCE);
            }
        });
        Ok(())
    }
}
