//! Reading from a folder. What the kernel has in memory is taken at once, without a hop to another thread, which costs more
//! than the copy itself; for what has to come from the disk a thread waits that may.

use std::fs::File;
use std::io;
#[cfg(target_os = "linux")]
use std::io::IoSliceMut;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use opendal::ErrorKind;
#[cfg(target_os = "linux")]
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
#[cfg(target_os = "linux")]
use rustix::io::{ReadWriteFlags, preadv2};

use super::backend::{blocking, read_failed};
use super::disk::Disk;
use super::timing;
use crate::Result;

/// Bytes of one read that has to wait for the disk. Below it the thread hop of each read shows (stack.md 6).
const WAITING_BYTES: u64 = 1 << 20;

/// An object that is read range by range. The time that it takes in all is one read of the store.
#[derive(Debug)]
pub(super) struct Reader {
    path: PathBuf,
    file: Option<Arc<File>>,
    /// What was handed out last; it is filled again once nobody has it any more.
    last: Bytes,
    elapsed: Duration,
}

impl Reader {
    /// Nothing is asked of the disk yet.
    pub(super) fn new(disk: &Disk, object: &str) -> Self {
        Self {
            path: disk.root().join(object),
            file: None,
            last: Bytes::new(),
            elapsed: Duration::ZERO,
        }
    }

    /// The first bytes of a range that is not empty: at most `slice` of what is in memory, or the next MiB from the disk.
    ///
    /// # Errors
    /// As [`read_failed`].
    pub(super) async fn some(&mut self, range: Range<u64>, slice: usize) -> Result<Bytes> {
        let begun = Instant::now();
        let read = if let Some(bytes) = self.at_hand(&range, slice) {
            Ok(bytes)
        } else {
            let end = range.end.min(range.start.saturating_add(WAITING_BYTES));
            self.waited(range.start..end).await?
        };
        self.elapsed += begun.elapsed();
        noted(read)
    }

    /// All bytes of a range.
    ///
    /// # Errors
    /// As [`read_failed`].
    pub(super) async fn all(&mut self, range: Range<u64>) -> Result<Bytes> {
        let begun = Instant::now();
        let length = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let at_hand = (length as u64 <= WAITING_BYTES)
            .then(|| self.at_hand(&range, length))
            .flatten()
            .filter(|bytes| bytes.len() == length);
        let read = match at_hand {
            Some(bytes) => Ok(bytes),
            None => self.waited(range).await?,
        };
        self.elapsed += begun.elapsed();
        noted(read)
    }

    /// What of a range is in memory, up to `most` bytes; `None` where the disk has to be asked.
    fn at_hand(&mut self, range: &Range<u64>, most: usize) -> Option<Bytes> {
        if self.file.is_none() {
            self.file = Some(Arc::new(open_at_hand(&self.path)?));
        }
        let file = self.file.as_ref()?;
        let left = usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX);
        let most = most.min(left);
        let mut buffer = std::mem::take(&mut self.last)
            .try_into_mut()
            .unwrap_or_default();
        if buffer.len() < most {
            buffer = BytesMut::zeroed(most);
        }
        let got = read_at_hand(file, buffer.get_mut(..most)?, range.start);
        let whole = buffer.freeze();
        self.last = whole.clone();
        got.map(|got| whole.slice(..got))
    }

    /// A range from the disk.
    async fn waited(&mut self, range: Range<u64>) -> Result<io::Result<Bytes>> {
        let (path, file) = (self.path.clone(), self.file.clone());
        let read = blocking(move || {
            let file = match file {
                Some(file) => file,
                None => Arc::new(File::open(path)?),
            };
            let length = usize::try_from(range.end.saturating_sub(range.start));
            let mut bytes = vec![0; length.map_err(io::Error::other)?];
            file.read_exact_at(&mut bytes, range.start)?;
            Ok((file, Bytes::from(bytes)))
        });
        Ok(read.await?.map(|(file, bytes)| {
            self.file = Some(file);
            bytes
        }))
    }
}

/// Notes what was read, and what a failure is in our words.
fn noted(read: io::Result<Bytes>) -> Result<Bytes> {
    timing::read(read.as_ref().ok().map(Bytes::len));
    read.map_err(|cause| {
        let kind = if cause.kind() == io::ErrorKind::NotFound {
            ErrorKind::NotFound
        } else if cause.kind() == io::ErrorKind::UnexpectedEof {
            ErrorKind::RangeNotSatisfied
        } else {
            ErrorKind::Unexpected
        };
        read_failed(opendal::Error::new(kind, "reading a file").set_source(cause))
    })
}

impl Drop for Reader {
    fn drop(&mut self) {
        if !self.elapsed.is_zero() {
            timing::took_to_read(self.elapsed);
        }
    }
}

/// The length of an object; `None` where the disk has to be asked, or it is not there.
pub(super) fn length_at_hand(disk: &Disk, object: &str) -> Option<u64> {
    let file = open_at_hand(&disk.root().join(object))?;
    let found = file.metadata().ok()?;
    found.is_file().then_some(found.len())
}

/// Opens a file whose name the kernel has in memory. `None` where it would have to look at the disk, or cannot tell: whoever
/// may wait finds out.
#[cfg(target_os = "linux")]
fn open_at_hand(path: &Path) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let opened = openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED);
    opened.ok().map(File::from)
}

/// Bytes that the kernel has in memory, and how many. `None` where there are none, or the file system cannot tell.
#[cfg(target_os = "linux")]
fn read_at_hand(file: &File, buffer: &mut [u8], offset: u64) -> Option<usize> {
    let into = &mut [IoSliceMut::new(buffer)];
    let got = preadv2(file, into, offset, ReadWriteFlags::NOWAIT);
    got.ok().filter(|got| *got > 0)
}

#[cfg(not(target_os = "linux"))]
fn open_at_hand(_: &Path) -> Option<File> {
    None
}

#[cfg(not(target_os = "linux"))]
fn read_at_hand(_: &File, _: &mut [u8], _: u64) -> Option<usize> {
    None
}
