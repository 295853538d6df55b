//! Plain values across the border: options, times, byte strings.

use std::time::Duration;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDateTime, PyDelta, PyDeltaAccess, PyTzInfo};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::errors::to_py;
use crate::error::{Error, ErrorKind};

/// A struct of options from a dict of the same names.
pub(super) fn options<T: DeserializeOwned>(what: &str, dict: &Bound<'_, PyAny>) -> PyResult<T> {
    pythonize::depythonize(dict).map_err(|error| {
        let error =
            Error::new(ErrorKind::InvalidOption, format!("the options of a {what} are wrong: {error}"));
        to_py(dict.py(), &error)
    })
}

/// A dict of plain values, for statistics.
pub(super) fn plain<T: Serialize>(py: Python<'_>, value: &T) -> PyResult<Py<PyAny>> {
    Ok(pythonize::pythonize(py, value)?.unbind())
}

/// A length of time: seconds or a `timedelta`.
pub(super) struct Span(pub(super) Duration);

impl<'py> FromPyObject<'_, 'py> for Span {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let seconds = match value.cast::<PyDelta>() {
            Ok(delta) => {
                let days = f64::from(delta.get_days()) * 86400.0;
                days + f64::from(delta.get_seconds()) + f64::from(delta.get_microseconds()) / 1e6
            }
            Err(_) => value
                .extract::<f64>()
                .map_err(|_| PyTypeError::new_err("a time must be a number of seconds or a timedelta"))?,
        };
        Duration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|_| PyValueError::new_err(format!("{seconds} is not a number of seconds from 0 on")))
    }
}

/// A moment: a `datetime` with a time zone, or seconds since 1970. In milliseconds since 1970.
pub(super) struct Moment(pub(super) u64);

impl<'py> FromPyObject<'_, 'py> for Moment {
    type Error = PyErr;

    fn extract(value: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        let py = value.py();
        let seconds: f64 = if value.is_instance_of::<PyDateTime>() {
            if value.getattr(intern!(py, "tzinfo"))?.is_none() {
                return Err(PyValueError::new_err("a datetime must have a time zone"));
            }
            value.call_method0(intern!(py, "timestamp"))?.extract()?
        } else {
            value.extract().map_err(|_| {
                PyTypeError::new_err("a moment must be a datetime with a time zone, or seconds since 1970")
            })?
        };
        let since_epoch = Duration::try_from_secs_f64(seconds)
            .map_err(|_| PyValueError::new_err("a moment must not be before 1970"))?;
        // Rounded, since a float of seconds is a little off.
        let millis = (since_epoch + Duration::from_micros(500)).as_millis();
        u64::try_from(millis).map(Self).map_err(|_| PyValueError::new_err("a moment is too far away"))
    }
}

/// A `datetime` in UTC from milliseconds since 1970.
pub(super) fn datetime(py: Python<'_>, millis: u64) -> PyResult<Bound<'_, PyDateTime>> {
    let utc = PyTzInfo::utc(py)?;
    // Exact for every year that a datetime can hold.
    #[expect(clippy::cast_precision_loss, reason = "milliseconds of all years up to 9999 fit")]
    let seconds = millis as f64 / 1000.0;
    PyDateTime::from_timestamp(py, seconds, Some(&utc))
}
