//! Three ways to wake an event loop from a thread of the runtime: an eventfd, a pair of sockets, `call_soon_threadsafe`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyWeakrefReference;

#[cfg(unix)]
use std::os::fd::AsRawFd;
#[cfg(target_os = "linux")]
use std::os::fd::OwnedFd;
#[cfg(unix)]
use std::os::unix::net::UnixStream;

#[cfg(unix)]
use rustix::io::{read, write};

use super::{exit, runtime};

/// A way to ring, each with the name that `set_wakeup` knows it by.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    EventFd,
    SocketPair,
    CallSoon,
}

const NAMES: [(&str, Way); 3] =
    [("eventfd", Way::EventFd), ("socketpair", Way::SocketPair), ("call_soon", Way::CallSoon)];

/// 0 leaves the choice to the platform, else one more than the index in `NAMES`.
static FORCED: AtomicU8 = AtomicU8::new(0);

/// Forces one way of waking event loops, for the loops met from now on; `None` chooses the best of the platform.
#[pyfunction]
#[pyo3(signature = (way))]
pub(super) fn set_wakeup(way: Option<&str>) -> PyResult<()> {
    let forced = match way {
        None => 0,
        Some(name) => {
            (1u8..).zip(NAMES).find_map(|(number, (known, _))| (known == name).then_some(number)).ok_or_else(
                || PyValueError::new_err("way must be 'eventfd', 'socketpair', 'call_soon' or None"),
            )?
        }
    };
    FORCED.store(forced, Ordering::Relaxed);
    Ok(())
}

impl Way {
    /// The forced way, or the best of this platform.
    pub(super) fn chosen() -> Self {
        let forced = usize::from(FORCED.load(Ordering::Relaxed)).checked_sub(1);
        match forced.and_then(|index| NAMES.get(index)) {
            Some((_, way)) => *way,
            None if cfg!(target_os = "linux") => Way::EventFd,
            None if cfg!(unix) => Way::SocketPair,
            None => Way::CallSoon,
        }
    }
}

/// What rings. Owned by the mailbox of a loop and closed with it.
pub(super) enum Bell {
    #[cfg(target_os = "linux")]
    EventFd(OwnedFd),
    #[cfg(unix)]
    SocketPair {
        ours: UnixStream,
        theirs: UnixStream,
    },
    CallSoon(Arc<Callback>),
}

/// A loop and the drain of its mailbox, both held weakly.
pub(super) struct Callback {
    pub(super) event_loop: Py<PyWeakrefReference>,
    pub(super) mailbox: Py<PyWeakrefReference>,
}

impl Bell {
    /// A bell, and the descriptor that the loop must watch.
    #[cfg(unix)]
    pub(super) fn with_descriptor(way: Way) -> std::io::Result<Option<(Self, i32)>> {
        match way {
            #[cfg(target_os = "linux")]
            Way::EventFd => {
                use rustix::event::{EventfdFlags, eventfd};
                let fd = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
                let number = fd.as_raw_fd();
                Ok(Some((Self::EventFd(fd), number)))
            }
            Way::CallSoon => Ok(None),
            _ => {
                let (ours, theirs) = UnixStream::pair()?;
                ours.set_nonblocking(true)?;
                theirs.set_nonblocking(true)?;
                let number = theirs.as_raw_fd();
                Ok(Some((Self::SocketPair { ours, theirs }, number)))
            }
        }
    }

    #[cfg(not(unix))]
    pub(super) fn with_descriptor(_way: Way) -> std::io::Result<Option<(Self, i32)>> {
        Ok(None)
    }

    /// Wakes the loop; called when the first completion arrives in an empty mailbox. A full eventfd or socket is as good
    /// as a written one: the loop is awake already, so errors do not matter.
    pub(super) fn ring(&self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::EventFd(event) => drop(write(event, &1u64.to_ne_bytes())),
            #[cfg(unix)]
            Self::SocketPair { ours, .. } => drop(write(ours, &[1])),
            Self::CallSoon(callback) => call_soon(Arc::clone(callback)),
        }
    }

    /// Makes the bell silent again; called by the loop when the mailbox is empty.
    pub(super) fn silence(&self) {
        match self {
            #[cfg(target_os = "linux")]
            Self::EventFd(event) => drop(read(event, &mut [0; 8])),
            #[cfg(unix)]
            Self::SocketPair { theirs, .. } => drop(read(theirs, &mut [0; 64])),
            Self::CallSoon(_) => {}
        }
    }
}

/// Once for each burst, and on a thread of its own, since the network's threads never wait for the interpreter.
fn call_soon(callback: Arc<Callback>) {
    let Ok(runtime) = runtime::handle() else { return };
    runtime.spawn_blocking(move || {
        let Some(_pass) = exit::enter() else { return };
        Python::try_attach(|py| {
            let (Some(event_loop), Some(mailbox)) =
                (callback.event_loop.bind(py).upgrade(), callback.mailbox.bind(py).upgrade())
            else {
                return;
            };
            // The loop may be closed: then nobody waits any more.
            if let Ok(drain) = mailbox.getattr(intern!(py, "drain")) {
                drop(event_loop.call_method1(intern!(py, "call_soon_threadsafe"), (drain,)));
            }
        });
    });
}
