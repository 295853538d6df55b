//! Where completions wait for an event loop: many results, one wake-up.
//!
//! A mailbox belongs to one loop. Threads of the runtime post the keys of finished operations; the first of a burst rings
//! the bell, and the loop then resumes the tasks of all that are there, a thousand a turn. The futures they await carry no
//! value: the awaiting operation takes its result itself in the step in which it returns it.
//!
//! Who holds whom: the loop holds the mailbox by its reader, so closing the loop ends it at once; threads and operations
//! hold only the [`Post`], which keeps no Python object once the mailbox is gone.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use pyo3::PyTraverseError;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};

use super::fork;
use super::pending::{Outcome, Pending, Waiting};
use super::slab::{Key, Slab};
use super::wakeup::{Bell, Callback, Way};

/// Completions resolved in one turn of the loop, so that a flood does not hold up its other work.
const MOST_A_TURN: usize = 1000;

/// The loop's attribute that leads to its mailbox.
const ATTRIBUTE: &str = "_fastapi_pulsar_mailbox";

/// The side that every thread may hold. Locks in order: `arrivals`, never together with `waiting`.
pub(super) struct Post {
    arrivals: Mutex<Arrivals>,
    pub(super) waiting: Mutex<Slab<Waiting>>,
}

struct Arrivals {
    keys: VecDeque<Key>,
    /// `None` once the loop is closed.
    bell: Option<Bell>,
}

/// Where one waiting operation is woken, from any thread.
pub(super) struct Address {
    post: Arc<Post>,
    key: Key,
}

impl Address {
    pub(super) fn wake(self) {
        let mut arrivals = self.post.arrivals.lock();
        let was_empty = arrivals.keys.is_empty();
        let Some(bell) = &arrivals.bell else { return };
        if was_empty {
            bell.ring();
        }
        arrivals.keys.push_back(self.key);
    }
}

/// An operation's place in the mailbox; dropping it forgets the future.
pub(super) struct Waiter {
    post: Arc<Post>,
    key: Key,
}

impl Waiter {
    pub(super) fn address(&self) -> Address {
        Address { post: Arc::clone(&self.post), key: self.key }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let waiting = self.post.waiting.lock().remove(self.key);
        if let Some(waiting) = waiting.filter(|waiting| waiting.timer.is_some()) {
            Python::attach(|py| waiting.cancel_timer(py));
        }
    }
}

#[pyclass(frozen, weakref, module = "fastapi_pulsar._core")]
pub(super) struct Mailbox {
    generation: u64,
    post: Arc<Post>,
}

impl Mailbox {
    /// The mailbox of a loop, made at the first use.
    pub(super) fn of<'py>(event_loop: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Mailbox>> {
        let name = intern!(event_loop.py(), ATTRIBUTE);
        if let Some(held) = event_loop.getattr_opt(name)? {
            let mailbox = match held.cast_into::<PyWeakrefReference>() {
                Ok(weak) => weak.upgrade().map(Bound::cast_into).transpose().ok().flatten(),
                Err(error) => error.into_inner().cast_into::<Mailbox>().ok(),
            };
            if let Some(mailbox) = mailbox.filter(|mailbox| mailbox.get().generation == fork::generation()) {
                return Ok(mailbox);
            }
        }
        Self::open(event_loop)
    }

    fn open<'py>(event_loop: &Bound<'py, PyAny>) -> PyResult<Bound<'py, Mailbox>> {
        let py = event_loop.py();
        let arrivals = Arrivals { keys: VecDeque::new(), bell: None };
        let post = Arc::new(Post { arrivals: Mutex::new(arrivals), waiting: Mutex::new(Slab::new()) });
        let mailbox = Bound::new(py, Mailbox { generation: fork::generation(), post: Arc::clone(&post) })?;
        let weak = PyWeakrefReference::new(&mailbox)?;
        let name = intern!(py, ATTRIBUTE);
        let bell = match Bell::with_descriptor(Way::chosen())? {
            Some((bell, descriptor)) if watch(event_loop, descriptor, &mailbox)? => {
                event_loop.setattr(name, weak)?;
                bell
            }
            _ => {
                event_loop.setattr(name, &mailbox)?;
                let event_loop = PyWeakrefReference::new(event_loop)?.unbind();
                Bell::CallSoon(Arc::new(Callback { event_loop, mailbox: weak.unbind() }))
            }
        };
        post.arrivals.lock().bell = Some(bell);
        Ok(mailbox)
    }

    /// A future of this loop, resolved when its address is woken or after `seconds`.
    pub(super) fn wait<'py>(
        mailbox: &Bound<'py, Self>,
        event_loop: &Bound<'py, PyAny>,
        seconds: Option<f64>,
    ) -> PyResult<(Waiter, Bound<'py, Pending>)> {
        let py = mailbox.py();
        let post = &mailbox.get().post;
        let key = post.waiting.lock().insert(Waiting::new(event_loop));
        let waiter = Waiter { post: Arc::clone(post), key };
        if let Some(seconds) = seconds {
            let wake = mailbox.getattr(intern!(py, "expire"))?;
            let timer = event_loop.call_method1(intern!(py, "call_later"), (seconds, wake, key))?;
            if let Some(waiting) = post.waiting.lock().get_mut(key) {
                waiting.timer = Some(timer.unbind());
            }
        }
        Ok((waiter, Bound::new(py, Pending::new(Arc::clone(post), key))?))
    }
}

/// Lets the loop watch the bell; false if this kind of loop cannot.
fn watch(event_loop: &Bound<'_, PyAny>, descriptor: i32, mailbox: &Bound<'_, Mailbox>) -> PyResult<bool> {
    let py = event_loop.py();
    let drain = mailbox.getattr(intern!(py, "drain"))?;
    match event_loop.call_method1(intern!(py, "add_reader"), (descriptor, drain)) {
        Ok(_) => Ok(true),
        Err(error) if error.is_instance_of::<pyo3::exceptions::PyNotImplementedError>(py) => Ok(false),
        Err(error) => Err(error),
    }
}

#[pymethods]
impl Mailbox {
    /// Resumes the tasks whose results have arrived, at most a thousand; called by the loop.
    fn drain(&self, py: Python<'_>) -> PyResult<()> {
        let keys: Vec<Key> = {
            let mut arrivals = self.post.arrivals.lock();
            let count = arrivals.keys.len().min(MOST_A_TURN);
            let keys = arrivals.keys.drain(..count).collect();
            match &arrivals.bell {
                Some(bell) if arrivals.keys.is_empty() => bell.silence(),
                // A watched descriptor stays readable by itself.
                Some(bell @ Bell::CallSoon(_)) => bell.ring(),
                _ => {}
            }
            keys
        };
        let arrived: Vec<Waiting> = {
            let mut waiting = self.post.waiting.lock();
            keys.into_iter().filter_map(|key| waiting.remove(key)).collect()
        };
        let mut arrived = arrived.into_iter();
        while let Some(waiting) = arrived.next() {
            if let Err(end) = waiting.resume(py) {
                // The loop ends with it. The others are for its next run, if there is one.
                arrived.try_for_each(|waiting| waiting.schedule(py, Outcome::Resolved))?;
                return Err(end);
            }
        }
        Ok(())
    }

    /// The deadline of one operation; called by the loop's timer.
    fn expire(&self, py: Python<'_>, key: Key) -> PyResult<()> {
        let waiting = self.post.waiting.lock().remove(key);
        waiting.map_or(Ok(()), |waiting| waiting.resume(py))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        if let Some(waiting) = self.post.waiting.try_lock() {
            for waiting in waiting.iter() {
                waiting.traverse(&visit)?;
            }
        }
        Ok(())
    }

    fn __clear__(&self) {
        let waiting = self.post.waiting.lock().drain();
        drop(waiting);
    }
}

impl Drop for Mailbox {
    fn drop(&mut self) {
        if self.generation != fork::generation() {
            return;
        }
        {
            let mut arrivals = self.post.arrivals.lock();
            arrivals.keys.clear();
            arrivals.bell = None;
        }
        let waiting = self.post.waiting.lock().drain();
        drop(waiting);
    }
}

/// The loop that runs on this thread; a `RuntimeError` without one.
pub(super) fn running_loop(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    static GET_RUNNING_LOOP: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    GET_RUNNING_LOOP.import(py, "asyncio", "get_running_loop")?.call0()
}
