//! A disk that keeps only what was synced: from its journal, the image after a crash at any moment can be made.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use redb::StorageBackend;

/// What happened to the disk, in order.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write(usize, Vec<u8>),
    Length(usize),
    Sync,
}

impl Change {
    /// Applies the first `cut` bytes of the change.
    pub(super) fn apply(&self, image: &mut Vec<u8>, cut: usize) {
        match self {
            Self::Write(offset, bytes) => {
                let bytes = &bytes[..cut.min(bytes.len())];
                let end = offset + bytes.len();
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[*offset..end].copy_from_slice(bytes);
            }
            Self::Length(length) => image.resize(*length, 0),
            Self::Sync => {}
        }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    image: Vec<u8>,
    journal: Vec<Change>,
}

impl Disk {
    pub(super) fn of(image: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Inner { image, journal: Vec::new() })))
    }

    pub(super) fn image(&self) -> Vec<u8> {
        self.0.lock().image.clone()
    }

    /// How much has happened so far.
    pub(super) fn moment(&self) -> usize {
        self.0.lock().journal.len()
    }

    pub(super) fn journal(&self) -> Vec<Change> {
        self.0.lock().journal.clone()
    }

    fn change(&self, change: Change) {
        let mut inner = self.0.lock();
        let inner = &mut *inner;
        change.apply(&mut inner.image, usize::MAX);
        inner.journal.push(change);
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().image.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let inner = self.0.lock();
        let bytes = inner.image.get(index(offset)..index(offset) + out.len());
        out.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::Length(index(len)));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change(Change::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(index(offset), data.to_vec()));
        Ok(())
    }
}
