//! The data directory, held by one broker at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};

const LOCK_FILE: &str = "broker.lock";
const DATA_FILE: &str = "broker.redb";
/// A data file that is being made.
const UNFINISHED: &str = "broker.redb.new";

/// The data directory, locked. The system frees the lock when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Locked as long as it is open; names the process that holds it.
    _lock: File,
}

impl Directory {
    /// Creates the directory if there is none, and locks it.
    pub(super) fn lock(path: &Path) -> Result<Self> {
        fs::create_dir_all(path).map_err(|source| unusable(path, source))?;
        let mut lock = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(LOCK_FILE))
            .map_err(|source| unusable(path, source))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(path, &mut lock)),
            Err(TryLockError::Error(source)) => return Err(unusable(path, source)),
        }
        // Only said to people; a lock that names nobody holds as well.
        let _ = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    pub(super) fn data_file(&self) -> PathBuf {
        self.path.join(DATA_FILE)
    }

    /// Makes the data file, if there is none. Half of one cannot be opened any more, so it gets its name when it is whole.
    pub(super) fn make_data_file(&self, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        if self.data_file().exists() {
            return Ok(());
        }
        let unfinished = self.path.join(UNFINISHED);
        self.remove(&unfinished)?;
        make(&unfinished)?;
        fs::rename(&unfinished, self.data_file())
            .and_then(|()| sync(&self.path))
            .map_err(|source| unusable(&self.path, source))
    }

    pub(super) fn remove_data_file(&self) -> Result<()> {
        self.remove(&self.data_file())
    }

    fn remove(&self, file: &Path) -> Result<()> {
        match fs::remove_file(file) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(unusable(&self.path, source)),
            _ => Ok(()),
        }
    }
}

/// Makes a new name in a directory outlive a crash.
#[cfg(unix)]
fn sync(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Only Unix lets a directory be synced; elsewhere names are the file system's to keep.
#[cfg(not(unix))]
fn sync(_directory: &Path) -> std::io::Result<()> {
    Ok(())
}

fn in_use(path: &Path, lock: &mut File) -> Error {
    let mut holder = String::new();
    let _ = lock.take(32).read_to_string(&mut holder);
    let holder = match holder.trim().parse::<u32>() {
        Ok(process) if process == std::process::id() => "another broker of this process".to_owned(),
        Ok(process) => format!("the broker in process {process}"),
        Err(_) => "another broker".to_owned(),
    };
    let context = format!(
        "the data directory `{}` is in use by {holder}: stop that one, connect to it, or choose another directory",
        path.display()
    );
    Error::new(ErrorKind::DataDirInUse, context)
}

fn unusable(path: &Path, source: std::io::Error) -> Error {
    let context =
        format!("the data directory `{}` cannot be used: choose one that can be written to", path.display());
    Error::new(ErrorKind::InvalidOption, context).caused_by(source)
}
