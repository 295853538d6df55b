//! Every name that Python sees, on one page.

#![allow(clippy::doc_markdown, reason = "these comments are Python's docstrings")]
#![allow(clippy::needless_pass_by_value, clippy::unused_self, reason = "signatures are Python's")]

mod auth;
mod broker;
mod budget;
mod client;
mod clock;
mod consumer;
mod convert;
mod done;
mod errors;
mod exit;
mod fork;
mod mailbox;
mod message;
mod message_id;
mod operation;
mod pending;
mod position;
mod probe;
mod producer;
mod reader;
mod receiving;
mod runtime;
mod sending;
mod signal;
mod slab;
mod task;
mod wakeup;

use pyo3::prelude::*;
use pyo3::types::IntoPyDict;

#[pymodule(gil_used = false)]
#[pyo3(name = "_core")]
fn core_module(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<broker::Broker>()?;
    module.add_class::<client::Client>()?;
    module.add_class::<producer::Producer>()?;
    module.add_class::<consumer::Consumer>()?;
    module.add_class::<reader::Reader>()?;
    module.add_class::<message::Message>()?;
    module.add_class::<message_id::MessageId>()?;
    module.add_class::<operation::Operation>()?;
    module.add_class::<done::Done>()?;
    module.add_function(wrap_pyfunction!(errors::error_kinds, module)?)?;
    module.add_function(wrap_pyfunction!(clock::advance_clock, module)?)?;
    module.add_function(wrap_pyfunction!(wakeup::set_wakeup, module)?)?;
    module.add_function(wrap_pyfunction!(probe::_probe, module)?)?;
    watch_process(module)
}

/// Forks and the interpreter's exit are told to us.
fn watch_process(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    let at_exit = wrap_pyfunction!(exit::_at_exit, module)?;
    py.import("atexit")?.call_method1("register", (at_exit,))?;
    if let Some(register) = py.import("os")?.getattr_opt("register_at_fork")? {
        let in_child = wrap_pyfunction!(fork::_after_fork_in_child, module)?;
        register.call((), Some(&[("after_in_child", in_child)].into_py_dict(py)?))?;
    }
    Ok(())
}
