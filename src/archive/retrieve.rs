//! Fetching: what is visible, as streams of its bytes.
//!
//! Nothing is read before a stream is polled, nothing is held beyond a piece, and a long answer asks again on its way whether
//! it may go on (sharing.md 3.6).

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::{Decompress, FlushDecompress, Status};
use futures::stream::{self, Stream, StreamExt, TryStreamExt};

use super::Archive;
use super::through::unreadable;
use crate::auth::Access;
use crate::dicom::bulk::{BulkPath, Document, Found, Pick};
use crate::dicom::collect::Collector;
use crate::dicom::frames::{Cutter, FramePlace, FrameTable};
use crate::dicom::scan::{Limits, Scanner};
use crate::dicom::transcode::ToExplicitLittle;
use crate::dicom::window::Window;
use crate::error::{Error, Kind, Result};
use crate::index::catalog::{Instance, Visible};
use crate::model::transfer_syntax::Encoding;
use crate::model::{Tag, TransferSyntax};
use crate::storage::{BlobRef, frame_table};

const ENCAPSULATED_DOCUMENT: Tag = Tag(0x0042, 0x0011);

/// Preamble and `DICM` (PS3.10 7.1).
const PREAMBLE_BYTES: usize = 132;

/// A stream of bytes.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

/// The longest frame that is inflated (dicomweb.md section 17).
const MAX_FRAME_BYTES: usize = 512 << 20;

/// A long answer asks again after so many bytes, or so much time, whether the caller may still see it (sharing.md 3.6).
const RECHECK_BYTES: u64 = 64 << 20;
const RECHECK_AFTER: Duration = Duration::from_secs(5);

/// A value of bulk data: its length in bytes and its bytes, and where the object says, its media type.
pub struct BulkValue {
    /// Length in bytes.
    pub len: u64,
    /// The media type of an encapsulated document.
    pub media_type: Option<String>,
    /// The bytes.
    pub bytes: ByteStream,
}

impl std::fmt::Debug for BulkValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BulkValue")
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl Archive {
    /// The file as it was stored.
    pub fn file(&self, access: &Arc<Access>, instance: &Arc<Visible<Instance>>) -> ByteStream {
        self.guarded(access, instance, self.vault.read(&instance.blob()).boxed())
    }

    /// Whether the stored file begins as PS3.10 7.1 wants it.
    ///
    /// # Errors
    /// `Kind::Internal` if what was stored cannot be read any more.
    pub async fn has_preamble(&self, instance: &Visible<Instance>) -> Result<bool> {
        let file = instance.blob();
        let end = file.range.end.min(file.range.start + PREAMBLE_BYTES as u64);
        let range = file.range.start..end;
        let start = self
            .vault
            .read_small(&file.object, range, PREAMBLE_BYTES)
            .await?;
        Ok(start.len() == PREAMBLE_BYTES && start.ends_with(b"DICM"))
    }

    /// The file in Explicit VR Little Endian, with its length in bytes. For files whose pixel data are native.
    ///
    /// # Errors
    /// `Kind::Internal` if what was stored cannot be read any more.
    pub async fn file_in_explicit_little(
        &self,
        access: &Arc<Access>,
        instance: &Arc<Visible<Instance>>,
    ) -> Result<(u64, ByteStream)> {
        // The length stands before the bytes (F25), so the file is walked twice; nothing of it is held.
        let writer =
            || ToExplicitLittle::new(instance.sop_class.clone(), instance.instance.clone());
        let len = length(self.produce(instance, writer())).await?;
        let bytes = self.produce(instance, writer());
        Ok((len, self.guarded(access, instance, bytes)))
    }

    /// Where the frames of an instance lie; `None` for an instance without pixel data.
    ///
    /// # Errors
    /// `Kind::Internal` if the stored table cannot be read.
    pub async fn frame_table(&self, instance: &Visible<Instance>) -> Result<Option<FrameTable>> {
        let Some(column) = &instance.frame_table else {
            return Ok(None);
        };
        let table = frame_table::frame_table(&self.vault, column, &instance.blob().object).await?;
        FrameTable::decode(&table).map(Some)
    }

    /// The bytes of one frame: native ones in little endian from bit 0 on, compressed ones as their fragments.
    pub fn frame(
        &self,
        access: &Arc<Access>,
        instance: &Arc<Visible<Instance>>,
        place: &FramePlace,
    ) -> ByteStream {
        let stored = if is_deflated(instance) {
            self.produce(instance, Window::new(place.ranges.clone()))
        } else {
            self.ranges(&instance.blob(), place)
        };
        let bytes = if place.is_verbatim() {
            stored
        } else {
            cut(stored, Cutter::new(place))
        };
        self.guarded(access, instance, bytes)
    }

    /// A frame that is a deflate stream of its own (PS3.5 A.4.13), inflated, with its length in bytes.
    ///
    /// # Errors
    /// `Kind::Internal` if it cannot be inflated, `Kind::TooLarge` beyond 512 MiB.
    pub async fn inflated_frame(
        &self,
        access: &Arc<Access>,
        instance: &Arc<Visible<Instance>>,
        place: &FramePlace,
    ) -> Result<(u64, ByteStream)> {
        let mut stored = self.frame(access, instance, place);
        let mut inflater = Decompress::new(false);
        let mut frame = Vec::new();
        while let Some(bytes) = stored.try_next().await? {
            inflate(&mut inflater, &bytes, &mut frame)?;
        }
        let len = frame.len() as u64;
        Ok((len, stream::iter([Ok(Bytes::from(frame))]).boxed()))
    }

    /// The value at a bulk path in little endian; `None` if the instance has no bytes there (F65, F66).
    ///
    /// # Errors
    /// `Kind::Internal` if what was stored cannot be read any more.
    pub async fn bulk(
        &self,
        access: &Arc<Access>,
        instance: &Arc<Visible<Instance>>,
        path: &BulkPath,
    ) -> Result<Option<BulkValue>> {
        let mut reading = self.through(instance, Pick::new(path.clone()));
        let mut len = 0;
        while let Some(bytes) = reading.next().await? {
            len += bytes.len() as u64;
            // A value says its length in its header; fragments have to be counted.
            if let Some(Found::Value { len: declared, .. }) = reading.sink.found() {
                len = u64::from(declared);
                break;
            }
        }
        if matches!(reading.sink.found(), None | Some(Found::Sequence)) {
            return Ok(None);
        }
        let mut value = BulkValue {
            len,
            media_type: None,
            bytes: self.produce(instance, Pick::new(path.clone())),
        };
        if path.is_top_level()
            && path.tag() == ENCAPSULATED_DOCUMENT
            && let Some(document) = self.document(instance).await?
        {
            value.bytes = take_bytes(value.bytes, document.len);
            value.len = document.len;
            value.media_type = Some(document.mime_type);
        }
        value.bytes = self.guarded(access, instance, value.bytes);
        Ok(Some(value))
    }

    /// What an encapsulated document is, by the head of its file.
    async fn document(&self, instance: &Visible<Instance>) -> Result<Option<Document>> {
        let mut file = self.vault.read(&instance.blob());
        let (mut scanner, mut collector) = (Scanner::new(Limits::default()), Collector::new());
        while let Some(bytes) = file.try_next().await? {
            scanner.feed(&bytes, &mut collector).map_err(unreadable)?;
        }
        scanner.finish(&mut collector).map_err(unreadable)?;
        Ok(Document::of(&collector.finish()))
    }

    /// The ranges of a place, one behind the other, as they lie in the store.
    fn ranges(&self, file: &BlobRef, place: &FramePlace) -> ByteStream {
        let (vault, file) = (self.vault.clone(), file.clone());
        let ranges = stream::iter(place.ranges.clone()).map(move |range| {
            let at = file.range.start;
            vault.read(&BlobRef {
                object: file.object.clone(),
                range: at + range.start..at + range.end,
            })
        });
        ranges.flatten().boxed()
    }

    /// The same bytes, cut off as soon as the caller may no longer see the instance.
    fn guarded(
        &self,
        access: &Arc<Access>,
        instance: &Arc<Visible<Instance>>,
        bytes: ByteStream,
    ) -> ByteStream {
        let guard = Guard {
            archive: self.clone(),
            access: Arc::clone(access),
            instance: Arc::clone(instance),
            bytes,
            passed: 0,
            checked: Instant::now(),
        };
        stream::try_unfold(guard, Guard::next).boxed()
    }
}

/// A long answer on its way.
struct Guard {
    archive: Archive,
    access: Arc<Access>,
    instance: Arc<Visible<Instance>>,
    bytes: ByteStream,
    passed: u64,
    checked: Instant,
}

impl Guard {
    async fn next(mut self) -> Result<Option<(Bytes, Self)>> {
        let Some(piece) = self.bytes.try_next().await? else {
            return Ok(None);
        };
        self.passed += piece.len() as u64;
        if self.passed >= RECHECK_BYTES || self.checked.elapsed() >= RECHECK_AFTER {
            let catalog = self.archive.catalog(&self.access);
            if !catalog.still_visible(&self.instance).await? {
                return Err(Error::new(Kind::NotFound, "withdrawn while it was sent"));
            }
            self.passed = 0;
            self.checked = Instant::now();
        }
        Ok(Some((piece, self)))
    }
}

/// Inflates the next bytes of a frame; what follows the end of its stream is padding.
fn inflate(inflater: &mut Decompress, mut bytes: &[u8], frame: &mut Vec<u8>) -> Result<()> {
    loop {
        frame.reserve(64 << 10);
        let (before_in, before_out) = (inflater.total_in(), frame.len());
        let status = inflater
            .decompress_vec(bytes, frame, FlushDecompress::None)
            .map_err(|e| Error::internal("a stored frame cannot be inflated", e))?;
        let used = usize::try_from(inflater.total_in() - before_in).unwrap_or(usize::MAX);
        bytes = bytes.get(used..).unwrap_or_default();
        if frame.len() > MAX_FRAME_BYTES {
            return Err(Error::new(
                Kind::TooLarge,
                "a frame inflates to more than 512 MiB",
            ));
        }
        if status == Status::StreamEnd || used == 0 && frame.len() == before_out {
            return Ok(());
        }
    }
}

async fn length(mut bytes: ByteStream) -> Result<u64> {
    let mut len = 0;
    while let Some(piece) = bytes.try_next().await? {
        len += piece.len() as u64;
    }
    Ok(len)
}

/// The first `len` bytes.
fn take_bytes(bytes: ByteStream, len: u64) -> ByteStream {
    let pieces = stream::try_unfold((bytes, len), |(mut bytes, left)| async move {
        if left == 0 {
            return Ok(None);
        }
        let Some(mut piece) = bytes.try_next().await? else {
            return Ok(None);
        };
        piece.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - piece.len() as u64;
        Ok::<_, Error>(Some((piece, (bytes, left))))
    });
    pieces.boxed()
}

/// Stored bytes of a frame made a frame that starts at bit 0, in little endian.
fn cut(stored: ByteStream, cutter: Cutter) -> ByteStream {
    let pieces = stream::try_unfold(Some((stored, cutter)), |state| async move {
        let Some((mut stored, mut cutter)) = state else {
            return Ok(None);
        };
        let mut out = Vec::new();
        if let Some(bytes) = stored.try_next().await? {
            cutter.push(&bytes, &mut out);
            return Ok(Some((Bytes::from(out), Some((stored, cutter)))));
        }
        cutter.finish(&mut out);
        Ok::<_, Error>(Some((Bytes::from(out), None)))
    });
    pieces.boxed()
}

/// Whether the data set is deflated, so that no range of it can be read in place.
fn is_deflated(instance: &Instance) -> bool {
    TransferSyntax::of(&instance.transfer_syntax_uid)
        .is_some_and(|syntax| syntax.encoding == Encoding::Deflated)
}
