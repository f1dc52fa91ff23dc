//! Writing into a folder: an object in the making is a file in our slot (see `disk`), and gets its name when it is whole.
//!
//! Bytes are held until they are worth a hop to a thread that may wait; one write is under way while the next fills, so an
//! object holds at most twice [`WRITE_BYTES`]. A small object is never seen by the disk before it is closed: it is made,
//! written, synced and named in one hop. opendal takes a hop for each of these steps, and twice as many system calls.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::backend::{blocking, write_failed};
use super::disk::Disk;
use super::timing;
use crate::{Error, Kind, Result};

/// Bytes that go to the file in one write. Smaller writes cost a thread hop each, larger ones only memory.
const WRITE_BYTES: usize = 1 << 20;

/// Pieces of one write: what the system takes in one call.
const WRITE_PIECES: usize = 1024;

/// An object in the making.
pub(super) struct Draft {
    disk: Arc<Disk>,
    object: String,
    /// What no write has taken yet.
    held: Vec<Bytes>,
    held_bytes: usize,
    file: Made,
    /// Whether a file may lie about that has no name.
    is_there: bool,
}

/// Whether there is a file.
enum Made {
    Not,
    /// The write under way has it.
    Written(JoinHandle<io::Result<File>>),
    /// A write failed.
    Lost,
}

impl Draft {
    pub(super) fn new(disk: &Arc<Disk>, object: &str) -> Self {
        Self {
            disk: Arc::clone(disk),
            object: object.to_owned(),
            held: Vec::new(),
            held_bytes: 0,
            file: Made::Not,
            is_there: false,
        }
    }

    /// Takes the next bytes, and waits for the write before the last one.
    ///
    /// # Errors
    /// As [`write_failed`]; the object is lost then.
    pub(super) async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.held_bytes = self.held_bytes.saturating_add(bytes.len());
        self.held.push(bytes);
        if self.held_bytes < WRITE_BYTES && self.held.len() < WRITE_PIECES {
            return Ok(());
        }
        let file = self.file().await?;
        let path = self.path();
        let held = self.take_held();
        self.is_there = true;
        self.file = Made::Written(tokio::task::spawn_blocking(move || {
            let begun = Instant::now();
            let written = append(file, &path, &held);
            timing::wrote(begun.elapsed(), written.as_ref().ok().map(|_| len(&held)));
            written
        }));
        Ok(())
    }

    /// Writes what is left, makes it durable and gives it its name, which is not durable yet.
    ///
    /// # Errors
    /// As [`write_failed`]; `Kind::Internal` for a name that is taken. Nothing is left of the object then.
    pub(super) async fn close(mut self) -> Result<()> {
        let file = self.file().await?;
        let draft = self.path();
        let named = self.disk.root().join(&self.object);
        let held = self.take_held();
        let closed = blocking(move || {
            let begun = Instant::now();
            let closed = append(file, &draft, &held)
                .and_then(|file| file.sync_data())
                .and_then(|()| name(&draft, &named));
            if !matches!(closed, Ok(true)) {
                // What cannot be removed now goes when the slot is emptied.
                fs::remove_file(&draft).ok();
            }
            timing::wrote(begun.elapsed(), closed.as_ref().ok().map(|_| len(&held)));
            closed.map(|named| !named)
        });
        self.is_there = false;
        if closed.await?.map_err(write_failed)? {
            return Err(taken());
        }
        Ok(())
    }

    /// Gives the object up; nothing of it stays.
    pub(super) async fn abort(mut self) {
        // A write that failed needs no second word.
        drop(self.file().await);
    }

    /// Where it is written.
    fn path(&self) -> PathBuf {
        self.disk.draft_of(&self.object)
    }

    fn take_held(&mut self) -> Vec<Bytes> {
        self.held_bytes = 0;
        std::mem::take(&mut self.held)
    }

    /// The file, if there is one, once no write is under way.
    async fn file(&mut self) -> Result<Option<File>> {
        match std::mem::replace(&mut self.file, Made::Lost) {
            Made::Not => Ok(None),
            Made::Written(writing) => {
                let written = writing.await;
                let written = written
                    .map_err(|cause| Error::internal("work on stored bytes was cut off", cause))?;
                Ok(Some(written.map_err(write_failed)?))
            }
            Made::Lost => Err(Error::new(
                Kind::Unavailable,
                "the store did not take the bytes",
            )),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_there {
            return;
        }
        let path = self.path();
        if let Made::Written(writing) = std::mem::replace(&mut self.file, Made::Lost)
            && let Ok(runtime) = Handle::try_current()
        {
            // Once the write has ended: it may be the one that makes the file.
            drop(runtime.spawn(async move {
                drop(writing.await);
                fs::remove_file(path).ok();
            }));
            return;
        }
        // What cannot be removed now goes when the slot is emptied.
        fs::remove_file(path).ok();
    }
}

/// The name of an object that is there already.
pub(super) fn taken() -> Error {
    Error::new(Kind::Internal, "the name of an object was given twice")
}

fn len(pieces: &[Bytes]) -> usize {
    pieces.iter().map(Bytes::len).sum()
}

/// Writes pieces at the end of a file, which is made where there is none.
fn append(file: Option<File>, path: &Path, pieces: &[Bytes]) -> io::Result<File> {
    let mut file = match file {
        Some(file) => file,
        None => OpenOptions::new().write(true).create_new(true).open(path)?,
    };
    let mut slices: Vec<IoSlice<'_>> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
    let mut left = slices.as_mut_slice();
    // Takes empty pieces away.
    IoSlice::advance_slices(&mut left, 0);
    while !left.is_empty() {
        match file.write_vectored(left) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut left, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(file)
}

/// Gives a file its name, in a folder that is made where it is not there; `false` for a name that is taken.
fn name(draft: &Path, named: &Path) -> io::Result<bool> {
    if named.try_exists()? {
        return Ok(false);
    }
    match fs::rename(draft, named) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = named.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::rename(draft, named)?;
        }
        named => named?,
    }
    Ok(true)
}
