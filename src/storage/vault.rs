//! The vault: put a stream, read a range, drop.
//!
//! An object is written once under a name that is never used again, and cannot be seen before it is whole and durable. The
//! order is: bytes, `fsync` of the file, rename, `fsync` of each folder whose entries changed. Only after that does
//! [`Put::close`] return, so a row that is written afterwards never points at nothing.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use opendal::{BufferStream, ErrorKind, Writer};
use tokio::runtime::Handle;

use super::backend::{self, Backend, blocking, read_failed, write_failed};
use super::disk::TEMPORARY;
use super::draft::{self, Draft};
use super::place::BlobRef;
use super::remote::{PART_BYTES, PARTS_IN_FLIGHT};
use super::{direct, names, timing};
use crate::model::Timestamp;
use crate::{Error, Kind, Result};

/// How long a look at the health of an object store may take, its repeats included.
const HEALTH: Duration = Duration::from_secs(5);

/// The longest slice that is handed out: actix copies each chunk of a body, and large ones cost it memory and speed (F71).
const SLICE_BYTES: usize = 64 << 10;

/// Bytes of one read of memory.
const READ_BYTES: usize = 1 << 20;

/// Where bytes are. A clone is cheap and is the same store.
#[derive(Clone)]
pub struct Vault(Arc<Backend>);

/// An object as a listing shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub object: String,
    /// Its length in bytes.
    pub byte_count: u64,
}

impl Vault {
    /// Opens the store at `url`: `fs:///absolute/folder`, which is made where it is missing, `memory://`, or an object store
    /// (`s3://…`, `azblob://…`, `gcs://…`), of which nothing is asked yet.
    ///
    /// # Errors
    /// `Kind::Invalid` for a URL this build cannot serve, `Kind::Unavailable` for a store that cannot be used.
    pub async fn open(url: &str) -> Result<Self> {
        let mut backend = backend::open(url).await?;
        backend.operator = backend.operator.layer(timing::layer());
        Ok(Self(Arc::new(backend)))
    }

    /// Whether each read is a request over the network, of which several are best asked for at once.
    pub fn is_remote(&self) -> bool {
        self.0.is_remote
    }

    /// Begins the object `object`, which nobody sees before [`Put::close`].
    ///
    /// # Errors
    /// `Kind::Internal` for what is no name of an object, or for one that is taken, if not now then when it is closed;
    /// `Kind::Unavailable` if the store does not answer.
    pub async fn create(&self, object: &str) -> Result<Put> {
        check_name(object)?;
        let writer = self.begin(object).await?;
        Ok(Put {
            vault: self.clone(),
            object: object.to_owned(),
            writer: Some(writer),
            written: 0,
        })
    }

    async fn begin(&self, object: &str) -> Result<Writing> {
        let Backend {
            operator,
            disk,
            is_remote,
        } = &*self.0;
        if let Some(disk) = disk {
            return Ok(Writing::File(Draft::new(disk, object)));
        }
        // A service that looks when the object is closed needs no request for it here.
        let looks_itself = *is_remote && operator.info().capability().write_with_if_not_exists;
        if !looks_itself && operator.exists(object).await.map_err(read_failed)? {
            return Err(draft::taken());
        }
        let writer = operator
            .writer_with(object)
            .chunk(PART_BYTES)
            .concurrent(PARTS_IN_FLIGHT)
            .if_not_exists(looks_itself)
            .await;
        Ok(Writing::Upload(writer.map_err(write_failed)?))
    }

    /// The bytes of `blob`, in slices of at most 128 KiB. Nothing is asked of the store before the stream is polled, and
    /// of a folder nothing is read ahead beyond one read of 1 MiB; an object store streams as fast as the stream is polled.
    ///
    /// The stream fails with `Kind::Internal` where bytes that were promised are not there, and with `Kind::Unavailable`
    /// where the store does not answer.
    pub fn read(&self, blob: &BlobRef) -> BoxStream<'static, Result<Bytes>> {
        let state = Reading {
            vault: self.clone(),
            blob: blob.clone(),
            direct: (self.0.disk.as_deref()).map(|disk| direct::Reader::new(disk, &blob.object)),
            stream: None,
            ready: Bytes::new(),
        };
        stream::try_unfold(state, async |mut state| {
            let slice = state.next().await?;
            Ok(slice.map(|slice| (slice, state)))
        })
        .boxed()
    }

    /// A few bytes in one piece: at most `cap`.
    ///
    /// # Errors
    /// `Kind::Internal` for a range beyond `cap` or beyond the object, `Kind::Unavailable` if the store does not answer.
    pub async fn read_small(&self, object: &str, range: Range<u64>, cap: usize) -> Result<Bytes> {
        let len = range.end.checked_sub(range.start);
        let len = len.and_then(|len| usize::try_from(len).ok());
        let Some(len) = len.filter(|len| *len <= cap) else {
            return Err(Error::new(
                Kind::Internal,
                "a stored range is longer than what it may hold",
            ));
        };
        if len == 0 {
            return Ok(Bytes::new());
        }
        if let Some(disk) = &self.0.disk {
            return direct::Reader::new(disk, object).all(range).await;
        }
        let end = range.end;
        let bytes = match self.0.operator.read_with(object).range(range).await {
            Ok(bytes) => bytes.to_bytes(),
            Err(cause) => return Err(self.why_not(object, end, cause).await),
        };
        if bytes.len() == len {
            Ok(bytes)
        } else {
            Err(short())
        }
    }

    /// Why a read up to `end` failed. Object stores cut a range at the end of the object without a word, which looks like an
    /// answer that broke off, or refuse it in words of their own: so the length of the object decides.
    async fn why_not(&self, object: &str, end: u64, cause: opendal::Error) -> Error {
        if self.0.is_remote
            && cause.kind() == ErrorKind::Unexpected
            && self.byte_count(object).await.is_ok_and(|len| len < end)
        {
            return short();
        }
        read_failed(cause)
    }

    /// The length of an object in bytes.
    ///
    /// # Errors
    /// `Kind::Internal` if it is not there, `Kind::Unavailable` if the store does not answer.
    pub async fn byte_count(&self, object: &str) -> Result<u64> {
        let found = self.0.operator.stat(object).await.map_err(read_failed)?;
        Ok(found.content_length())
    }

    /// The length of an object in bytes; `None` if it is not there.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the store does not answer.
    pub async fn find(&self, object: &str) -> Result<Option<u64>> {
        let at_hand = self.0.disk.as_deref();
        if let Some(len) = at_hand.and_then(|disk| direct::length_at_hand(disk, object)) {
            return Ok(Some(len));
        }
        match self.0.operator.stat(object).await {
            Ok(found) => Ok(Some(found.content_length())),
            Err(cause) if cause.kind() == ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(read_failed(cause)),
        }
    }

    /// Drops an object; one that is not there is as good as dropped. It does not come back after a power cut.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the store does not answer.
    pub async fn delete(&self, object: &str) -> Result<()> {
        check_name(object)?;
        let operator = &self.0.operator;
        // An object store has no folders to sync and takes it as done.
        if !self.0.is_remote && !operator.exists(object).await.map_err(read_failed)? {
            return Ok(());
        }
        operator.delete(object).await.map_err(write_failed)?;
        self.sync_dirs([object]).await
    }

    /// Every object whose name begins with the folder `prefix` (`KST/2026/`; empty for all), in no order.
    pub fn list(&self, prefix: &str) -> BoxStream<'static, Result<Listed>> {
        let operator = self.0.operator.clone();
        let prefix = prefix.to_owned();
        let entries = async move {
            let lister = operator.lister_with(&prefix).recursive(true).await;
            Ok::<_, Error>(lister.map_err(read_failed)?.map_err(read_failed))
        };
        stream::once(entries)
            .try_flatten()
            .try_filter_map(async |entry| {
                let is_object = entry.metadata().is_file() && check_name(entry.path()).is_ok();
                Ok(is_object.then(|| Listed {
                    object: entry.path().to_owned(),
                    byte_count: entry.metadata().content_length(),
                }))
            })
            .boxed()
    }

    /// The folders that lie directly in the folder `prefix` (`KST/2026/`; empty for the root), each with the slash at its end,
    /// in order.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the store does not answer.
    pub async fn folders(&self, prefix: &str) -> Result<Vec<String>> {
        let mut lister = match self.0.operator.lister(prefix).await {
            Ok(lister) => lister,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(read_failed(error)),
        };
        let mut folders = Vec::new();
        while let Some(entry) = lister.try_next().await.map_err(read_failed)? {
            let path = entry.path();
            let is_ours =
                path.len() > prefix.len() && check_name(path.trim_end_matches('/')).is_ok();
            if entry.metadata().is_dir() && is_ours {
                folders.push(path.to_owned());
            }
        }
        folders.sort_unstable();
        Ok(folders)
    }

    /// When an object was written, by the store's clock; `None` where it is gone or the store does not say.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the store does not answer.
    pub async fn written_at(&self, object: &str) -> Result<Option<Timestamp>> {
        match self.0.operator.stat(object).await {
            Ok(found) => Ok(found.last_modified().and_then(instant)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(read_failed(error)),
        }
    }

    /// Removes what processes that are no more were writing, where the store cannot do so by itself; gives how many files.
    /// An object store drops unfinished uploads by a rule of its bucket.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the folder cannot be read.
    pub async fn sweep_temporary(&self) -> Result<usize> {
        let Some(disk) = &self.0.disk else {
            return Ok(0);
        };
        let disk = Arc::clone(disk);
        blocking(move || disk.empty_slots_of_the_dead())
            .await?
            .map_err(write_failed)
    }

    /// Makes the names of objects that were closed with [`Put::close_unsynced`] durable: each folder is synced once.
    ///
    /// # Errors
    /// `Kind::Full` or `Kind::Unavailable`; the objects must then be taken for lost.
    #[tracing::instrument(name = "storage sync", level = "debug", skip_all)]
    pub async fn sync_dirs<'a>(&self, objects: impl IntoIterator<Item = &'a str>) -> Result<()> {
        let Some(disk) = &self.0.disk else {
            return Ok(());
        };
        let objects = objects.into_iter().map(str::to_owned).collect();
        names::sync(disk, objects).await?.map_err(write_failed)
    }

    /// Whether the store can be reached: one cheap call, which ends within seconds.
    ///
    /// # Errors
    /// `Kind::Unavailable` if not.
    pub async fn health(&self) -> Result<()> {
        if let Some(disk) = &self.0.disk {
            // The folder we write into: on a volume that went away it is no longer there.
            let found = tokio::fs::metadata(disk.temporary()).await;
            found.map_err(|cause| Error::unavailable("the storage folder is gone", cause))?;
            return Ok(());
        }
        let first = async {
            let mut lister = self.0.operator.lister_with("").limit(1).await?;
            lister.try_next().await
        };
        match tokio::time::timeout(HEALTH, first).await {
            Ok(Ok(_)) => Ok(()),
            // The bucket is not there, or not for us: nothing can be stored, whatever the kind.
            Ok(Err(cause)) => Err(Error::unavailable("the store cannot be listed", cause)),
            Err(cause) => Err(Error::unavailable("the store does not answer", cause)),
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = self.0.operator.info().scheme();
        f.debug_struct("Vault")
            .field("scheme", &scheme)
            .finish_non_exhaustive()
    }
}

/// An instant of the store's.
fn instant(at: opendal::raw::Timestamp) -> Option<Timestamp> {
    let since = std::time::SystemTime::from(at).duration_since(std::time::UNIX_EPOCH);
    let micros = i64::try_from(since.ok()?.as_micros()).ok()?;
    Some(Timestamp(micros))
}

/// Names are ours: a facility code, digits, a UUID. Whatever else turns up in a folder is no object.
fn check_name(object: &str) -> Result<()> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.');
    let fits = object
        .split('/')
        .all(|part| !part.is_empty() && !part.starts_with('.') && part.bytes().all(is_plain));
    debug_assert!(TEMPORARY.starts_with('.'));
    if fits {
        Ok(())
    } else {
        Err(Error::new(Kind::Internal, "not a name of an object"))
    }
}

fn short() -> Error {
    Error::new(Kind::Internal, "a stored object is shorter than promised")
}

/// A read under way.
struct Reading {
    vault: Vault,
    /// What is still to come from the store.
    blob: BlobRef,
    /// How it is read where it lies in a folder; else `stream`.
    direct: Option<direct::Reader>,
    stream: Option<BufferStream>,
    ready: Bytes,
}

impl Reading {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        while self.ready.is_empty() {
            let left = self.blob.range.end.saturating_sub(self.blob.range.start);
            if left == 0 {
                return Ok(None);
            }
            if let Some(reader) = &mut self.direct {
                self.ready = reader.some(self.blob.range.clone(), SLICE_BYTES).await?;
                let len = self.ready.len() as u64;
                self.blob.range.start = self.blob.range.start.saturating_add(len);
                break;
            }
            let stream = match &mut self.stream {
                Some(stream) => stream,
                none => none.insert(open(&self.vault, &self.blob).await?),
            };
            let buffer = match stream.try_next().await {
                Ok(buffer) => buffer,
                Err(cause) => {
                    let (object, end) = (&self.blob.object, self.blob.range.end);
                    return Err(self.vault.why_not(object, end, cause).await);
                }
            };
            self.ready = buffer.ok_or_else(short)?.to_bytes();
            let len = self.ready.len() as u64;
            self.blob.range.start = self.blob.range.start.saturating_add(len);
            if len > left {
                return Err(Error::new(
                    Kind::Internal,
                    "the store gave more than was asked for",
                ));
            }
        }
        let slice = self.ready.len().min(SLICE_BYTES);
        Ok(Some(self.ready.split_to(slice)))
    }
}

async fn open(vault: &Vault, blob: &BlobRef) -> Result<BufferStream> {
    let mut reader = vault.0.operator.reader_with(&blob.object);
    if !vault.0.is_remote {
        reader = reader.chunk(READ_BYTES);
    }
    let reader = reader.await.map_err(read_failed)?;
    reader
        .into_stream(blob.range.clone())
        .await
        .map_err(read_failed)
}

/// An object being written. Dropped unfinished it leaves nothing.
pub struct Put {
    vault: Vault,
    object: String,
    /// Taken when the object is closed or aborted, or a write failed.
    writer: Option<Writing>,
    written: u64,
}

/// Where it is written to.
enum Writing {
    File(Draft),
    Upload(Writer),
}

impl Put {
    /// Its name.
    pub fn object(&self) -> &str {
        &self.object
    }

    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Writes the next bytes, without a copy of them.
    ///
    /// # Errors
    /// `Kind::Full` or `Kind::Unavailable`. A write is never repeated: after a failure the object is lost.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let len = bytes.len() as u64;
        let written = match &mut self.writer {
            Some(Writing::File(draft)) => draft.write(bytes).await,
            Some(Writing::Upload(writer)) => writer.write(bytes).await.map_err(write_failed),
            None => Err(lost()),
        };
        if written.is_ok() {
            self.written = self.written.saturating_add(len);
        } else {
            self.give_up();
        }
        written
    }

    /// Makes the object whole, durable and visible; gives its length.
    ///
    /// # Errors
    /// `Kind::Full` or `Kind::Unavailable`; the object is then dropped.
    pub async fn close(self) -> Result<u64> {
        let vault = self.vault.clone();
        let object = self.object.clone();
        let written = self.close_unsynced().await?;
        vault.sync_dirs([object.as_str()]).await?;
        Ok(written)
    }

    /// Makes the object whole and visible, its bytes durable, but not yet its name: several objects that are closed
    /// together share one [`Vault::sync_dirs`].
    ///
    /// # Errors
    /// `Kind::Full` or `Kind::Unavailable`, `Kind::Internal` for a name that is taken; the object is then dropped.
    #[tracing::instrument(name = "storage seal", level = "debug", skip_all)]
    pub async fn close_unsynced(mut self) -> Result<u64> {
        match self.writer.take() {
            Some(Writing::File(draft)) => draft.close().await.map(|()| self.written),
            Some(Writing::Upload(writer)) => self.close_upload(writer).await,
            None => Err(lost()),
        }
    }

    /// Completes an upload; gives the length of the object.
    async fn close_upload(&self, mut writer: Writer) -> Result<u64> {
        let failure = match writer.close().await {
            // Not every service says the length. Then it has checked it: the parts came with theirs.
            Ok(metadata) if [0, self.written].contains(&metadata.content_length()) => {
                return Ok(self.written);
            }
            Ok(_) => lost(),
            Err(cause) => {
                writer.abort().await.ok();
                write_failed(cause)
            }
        };
        // It may have its name already, unless the name is that of another object.
        if failure.kind() != Kind::Internal {
            self.vault.0.operator.delete(&self.object).await.ok();
        }
        Err(failure)
    }

    /// Gives the object up.
    pub async fn abort(mut self) {
        let mut writer = self.writer.take();
        if let Some(Writing::Upload(upload)) = &mut writer
            && upload.abort().await.is_err()
        {
            self.writer = writer;
        } else if let Some(Writing::File(draft)) = writer {
            draft.abort().await;
        }
    }

    /// Lets go of what was written. A file goes by itself. The parts of an upload that nobody ends are kept and paid for:
    /// this waits for nothing and is waited for by nobody; where the process ends first, a rule of the bucket has to clear
    /// them away (docs/operations.md).
    fn give_up(&mut self) {
        if let Some(Writing::Upload(mut writer)) = self.writer.take()
            && self.vault.0.is_remote
            && let Ok(runtime) = Handle::try_current()
        {
            drop(runtime.spawn(async move { writer.abort().await }));
        }
    }
}

fn lost() -> Error {
    Error::new(Kind::Unavailable, "the store did not take the bytes")
}

impl Drop for Put {
    fn drop(&mut self) {
        self.give_up();
    }
}

impl fmt::Debug for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put")
            .field("object", &self.object)
            .field("written", &self.written)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "vault_tests.rs"]
mod tests;
