//! Operations that need no broker, to test and measure the border itself.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::operation::Operation;
use super::task;

/// Completes from the runtime, after `delay` seconds if given.
#[pyfunction]
#[pyo3(signature = (delay=None))]
pub(super) fn _probe(delay: Option<f64>) -> PyResult<Operation> {
    let delay = delay
        .map(Duration::try_from_secs_f64)
        .transpose()
        .map_err(|_| PyValueError::new_err("delay must be a number of seconds"))?;
    Ok(task::unit("_probe", async move {
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        Ok(())
    }))
}
