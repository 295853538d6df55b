//! The one thread that writes: whatever has come meanwhile becomes one transaction, and the disk is waited for once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::Receiver;

use parking_lot::RwLock;
use redb::{Database, Durability};

use super::directory::Directory;
use super::tables::{Failure, Numbers, Tables};
use super::{Done, Op};
use crate::error::{Error, ErrorKind, Result};

/// A transaction takes no more than this: its pages are in memory until it is done.
const MAX_GROUP_BYTES: usize = 8 * 1024 * 1024;
const MAX_GROUP_COMMITS: usize = 10_000;

/// What the writer shares with those who hand over.
#[derive(Debug)]
pub(super) struct Shared {
    /// None once closed.
    pub(super) held: RwLock<Option<Held>>,
    pub(super) pending_bytes: AtomicUsize,
}

/// What is let go of at the end, in this order.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) database: Database,
    pub(super) _directory: Option<Directory>,
}

pub(super) enum Job {
    Commit { ops: Vec<Op>, size: usize, done: Done },
    Close(Done),
}

pub(super) struct Writer {
    shared: Arc<Shared>,
    numbers: Numbers,
    /// After an error nothing more is stored.
    failed: Option<Error>,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, numbers: Numbers::new(), failed: None }
    }

    /// Until nobody is left who could hand something over.
    pub(super) fn run(mut self, jobs: &Receiver<Job>) {
        let mut next = jobs.recv().ok();
        while let Some(job) = next.take() {
            match job {
                Job::Close(done) => {
                    self.close();
                    report(done, Ok(()));
                }
                Job::Commit { ops, size, done } => {
                    let mut group = Group { ops: vec![ops], done: vec![done], size };
                    next = group.fill(jobs);
                    self.write(group);
                }
            }
            if next.is_none() {
                next = jobs.recv().ok();
            }
        }
    }

    fn write(&mut self, group: Group) {
        let result = match &self.failed {
            Some(error) => Err(error.clone()),
            // Whoever only waits for its turn costs no turn of the disk.
            None if group.ops.iter().all(Vec::is_empty) => Ok(()),
            None => self.store(&group.ops),
        };
        if let Err(error) = &result {
            self.failed = Some(error.clone());
        }
        self.shared.pending_bytes.fetch_sub(group.size, Ordering::AcqRel);
        drop(group.ops);
        for done in group.done {
            report(done, result.clone());
        }
    }

    fn store(&mut self, group: &[Vec<Op>]) -> Result<()> {
        let Self { shared, numbers, .. } = self;
        let held = shared.held.read();
        let Some(Held { database, .. }) = held.as_ref() else {
            return Err(Error::new(ErrorKind::Closed, "the broker is closed"));
        };
        // A data file that somebody else has written to makes the database panic; that must not end this thread, since
        // producers wait for it.
        match catch_unwind(AssertUnwindSafe(|| transact(database, group, numbers))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(unwritable().caused_by(source)),
            Err(_) => Err(unwritable()),
        }
    }

    fn close(&mut self) {
        self.failed.get_or_insert_with(|| Error::new(ErrorKind::Closed, "the broker is closed"));
        drop(self.shared.held.write().take());
    }
}

/// Runs what waits for the disk. A fault of its own must not end the thread that all others wait for.
fn report(done: Done, result: Result<()>) {
    let _ = catch_unwind(AssertUnwindSafe(|| done(result)));
}

fn transact(database: &Database, group: &[Vec<Op>], numbers: &mut Numbers) -> Result<(), Failure> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    {
        let mut tables = Tables::open(&transaction)?;
        for op in group.iter().flatten() {
            tables.apply(op, numbers)?;
        }
    }
    transaction.commit()?;
    Ok(())
}

fn unwritable() -> Error {
    let context =
        "the data directory cannot be written to any more: make room or repair it, and restart the broker";
    Error::new(ErrorKind::Persistence, context)
}

/// Commits that are stored together.
struct Group {
    ops: Vec<Vec<Op>>,
    done: Vec<Done>,
    size: usize,
}

impl Group {
    /// Takes what has come already, up to the limits; returns what does not belong to the group.
    fn fill(&mut self, jobs: &Receiver<Job>) -> Option<Job> {
        while self.size < MAX_GROUP_BYTES && self.done.len() < MAX_GROUP_COMMITS {
            match jobs.try_recv().ok()? {
                Job::Commit { ops, size, done } => {
                    self.ops.push(ops);
                    self.done.push(done);
                    self.size += size;
                }
                other @ Job::Close(_) => return Some(other),
            }
        }
        None
    }
}
