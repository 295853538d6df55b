//! Credentials from Python: a token, a file of it, or a function that is asked each time.

use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use super::exit;
use crate::client::auth::{
    Authentication, NoAuthentication, TlsAuthentication, TokenFile, TokenString, TokenSupplier,
};
use crate::error::{Error, ErrorKind, Result};

/// `None`, `("token", text)`, `("token_file", path)`, `("token_supplier", function)` or `("tls", None)`.
pub(super) fn authentication(
    method: Option<(String, Bound<'_, PyAny>)>,
) -> PyResult<Arc<dyn Authentication>> {
    let Some((method, value)) = method else { return Ok(Arc::new(NoAuthentication)) };
    Ok(match method.as_str() {
        "token" => Arc::new(TokenString::new(value.extract()?)),
        "token_file" => Arc::new(TokenFile::new(value.extract::<std::path::PathBuf>()?)),
        "token_supplier" if value.is_callable() => {
            let supplier = value.unbind();
            Arc::new(TokenSupplier::new(move || supply(&supplier)))
        }
        "tls" => Arc::new(TlsAuthentication),
        _ => return Err(PyTypeError::new_err(format!("unknown credentials {method:?}"))),
    })
}

/// Calls the supplier, on a thread where it may block. A coroutine function is run on a loop of its own.
fn supply(supplier: &Py<PyAny>) -> Result<String> {
    let failed = |what: &str| Error::new(ErrorKind::Authentication, format!("the token supplier {what}"));
    let Some(_pass) = exit::enter() else { return Err(failed("cannot be asked: the interpreter exits")) };
    let call = |py: Python<'_>| -> PyResult<String> {
        let mut value = supplier.bind(py).call0()?;
        if value.hasattr(intern!(py, "__await__"))? {
            value = py.import("asyncio")?.call_method1("run", (value,))?;
        }
        if let Ok(bytes) = value.cast::<PyBytes>() {
            return Ok(String::from_utf8_lossy(bytes.as_bytes()).into_owned());
        }
        match value.cast::<PyString>() {
            Ok(text) => text.extract(),
            Err(_) => Err(PyTypeError::new_err("no text or bytes")),
        }
    };
    // The exception's own text may hold the token: only its class is told.
    let result = Python::try_attach(|py| {
        call(py).map_err(|error| {
            let class = error.get_type(py).name().map_or_else(|_| "an error".into(), |name| name.to_string());
            failed(&format!("raised {class}"))
        })
    });
    result.unwrap_or_else(|| Err(failed("cannot be asked: the interpreter exits")))
}
