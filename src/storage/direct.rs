//! Reading from a folder with one hop to a thread that may wait: opendal takes one to open the file, one to read and one to
//! close it, and each costs more than the read of a small range.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use opendal::ErrorKind;

use super::backend::{blocking, read_failed};
use super::disk::Disk;
use super::timing;
use crate::Result;

/// The bytes of a range of an object, all of them.
///
/// # Errors
/// As [`read_failed`].
pub(super) async fn read(disk: &Arc<Disk>, object: &str, range: Range<u64>) -> Result<Bytes> {
    let path = disk.root().join(object);
    let begun = Instant::now();
    let read = blocking(move || bytes_of(&path, &range)).await?;
    timing::read(begun.elapsed(), read.as_ref().ok().map(Bytes::len));
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

fn bytes_of(path: &Path, range: &Range<u64>) -> io::Result<Bytes> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(range.start))?;
    let length = usize::try_from(range.end.saturating_sub(range.start));
    let mut bytes = vec![0; length.map_err(io::Error::other)?];
    file.read_exact(&mut bytes)?;
    Ok(bytes.into())
}
