//! With a data directory: acknowledged means stored.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use parking_lot::RwLock;
use redb::{Builder, Database, DatabaseError, StorageBackend};

use super::directory::Directory;
use super::tables::{FORMAT, Failure, Tables};
use super::writer::{Held, Job, Shared, Writer};
use super::{Done, Op, Storage, Stored, reading};
use crate::error::{Error, ErrorKind, Result};

/// Pages that the database keeps in memory; topics keep their entries themselves.
const CACHE_BYTES: usize = 8 * 1024 * 1024;

/// About what a commit takes beside its operations: who only waits for its turn is counted as well.
const JOB_BYTES: usize = 128;

/// A storage in a data directory.
#[derive(Debug)]
pub struct DurableStorage {
    shared: Arc<Shared>,
    jobs: Sender<Job>,
}

/// A storage, and what is to be said of how it was found.
#[derive(Debug)]
pub struct Opened {
    pub storage: DurableStorage,
    /// The broker that used it before did not end cleanly: a torn tail, which nobody was promised, was cut off.
    pub repaired: bool,
}

impl DurableStorage {
    /// Opens or creates a data directory and locks it until `close`, or until the storage is dropped. Blocks while it
    /// reads from the disk.
    pub fn open(directory: &Path) -> Result<Opened> {
        let directory = Directory::lock(directory)?;
        directory.make_data_file(|file| prepare(|builder| builder.create(file)).map(drop))?;
        let file = directory.data_file();
        let place = file.display().to_string();
        start(&place, Some(directory), move |builder| builder.open(file))
    }

    /// Deletes what a data directory holds, unless it is in use.
    pub fn erase(directory: &Path) -> Result<()> {
        Directory::lock(directory)?.remove_data_file()
    }

    /// Opens a storage on something that behaves like a file.
    pub fn open_backend(backend: impl StorageBackend) -> Result<Opened> {
        start("backend", None, move |builder| builder.create_with_backend(backend))
    }
}

impl Storage for DurableStorage {
    fn is_durable(&self) -> bool {
        true
    }

    fn commit(&self, ops: Vec<Op>, done: Done) {
        let size = JOB_BYTES + ops.iter().map(Op::size).sum::<usize>();
        self.shared.pending_bytes.fetch_add(size, Ordering::AcqRel);
        // The writer lives as long as there is somebody who could hand over.
        let _ = self.jobs.send(Job::Commit { ops, size, done });
    }

    fn load(&self) -> Result<Stored> {
        match self.shared.held.read().as_ref() {
            Some(held) => reading::read(&held.database),
            None => Err(Error::new(ErrorKind::Closed, "the broker is closed")),
        }
    }

    fn pending_bytes(&self) -> usize {
        self.shared.pending_bytes.load(Ordering::Acquire)
    }

    fn close(&self, done: Done) {
        let _ = self.jobs.send(Job::Close(done));
    }
}

/// Opens the database on the thread that will write to it, so that a damaged file that makes it panic is an error here.
fn start(
    place: &str,
    directory: Option<Directory>,
    open: impl FnOnce(&Builder) -> Result<Database, DatabaseError> + Send + 'static,
) -> Result<Opened> {
    let (opened, opening) = mpsc::channel();
    let (jobs, queue) = mpsc::channel();
    let run = move || {
        let prepared = prepare(open).map(|(database, repaired)| {
            let held = RwLock::new(Some(Held { database, _directory: directory }));
            (Arc::new(Shared { held, pending_bytes: AtomicUsize::new(0) }), repaired)
        });
        let writer = prepared.as_ref().ok().map(|(shared, _)| Writer::new(Arc::clone(shared)));
        let _ = opened.send(prepared);
        if let Some(writer) = writer {
            writer.run(&queue);
        }
    };
    thread::Builder::new().name("pulsar-storage".into()).spawn(run).map_err(|source| {
        Error::new(ErrorKind::Persistence, "the storage's thread cannot be started").caused_by(source)
    })?;
    let prepared = opening.recv().unwrap_or_else(|_| Err(damaged()));
    let (shared, repaired) = prepared.map_err(|error| located(&error, place))?;
    Ok(Opened { storage: DurableStorage { shared, jobs }, repaired })
}

/// Opens and repairs the database and makes its tables.
fn prepare(open: impl FnOnce(&Builder) -> Result<Database, DatabaseError>) -> Result<(Database, bool)> {
    let repaired = Arc::new(AtomicBool::new(false));
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder.set_repair_callback({
        let repaired = Arc::clone(&repaired);
        move |_| repaired.store(true, Ordering::Relaxed)
    });
    let database = open(&builder).map_err(|source| damaged().caused_by(source))?;
    match make_tables(&database).map_err(|source| damaged().caused_by(source))? {
        FORMAT => Ok((database, repaired.load(Ordering::Relaxed))),
        other => Err(Error::new(
            ErrorKind::InvalidOption,
            format!("its format is {other}, this version reads {FORMAT}: choose another data directory"),
        )),
    }
}

fn make_tables(database: &Database) -> Result<u64, Failure> {
    let transaction = database.begin_write()?;
    let format = Tables::open(&transaction)?.format()?;
    transaction.commit()?;
    Ok(format)
}

fn damaged() -> Error {
    let context =
        "it is damaged or not a data file of this broker: delete it, or choose another data directory";
    Error::new(ErrorKind::Persistence, context)
}

fn located(error: &Error, place: &str) -> Error {
    let context = format!("the broker's data file `{place}` cannot be opened");
    Error::new(error.kind(), context).caused_by(error.clone())
}
