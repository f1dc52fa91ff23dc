//! Fetching: what is visible, as streams of its bytes.
//!
//! Nothing is read before a stream is polled, and nothing is held beyond a piece.

use std::ops::Range;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, Stream, StreamExt, TryStreamExt};

use super::Archive;
use super::guard::Pace;
use super::through::unreadable;
use crate::auth::Access;
use crate::dicom::bulk::{BulkPath, Document, Found, Pick};
use crate::dicom::collect::Collector;
use crate::dicom::scan::{Limits, Scanner};
use crate::dicom::transcode::ToExplicitLittle;
use crate::error::{Error, Result};
use crate::index::catalog::{Instance, Visible};
use crate::model::Tag;

const ENCAPSULATED_DOCUMENT: Tag = Tag(0x0042, 0x0011);

/// Preamble and `DICM` (PS3.10 7.1).
const PREAMBLE_BYTES: usize = 132;

/// A stream of bytes.
pub type ByteStream = Pin<Box<dyn Stream<Item = Result<Bytes>> + Send>>;

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
    pub fn file(
        &self,
        access: &Arc<Access>,
        instance: &Arc<Visible<Instance>>,
        pace: &Pace,
    ) -> ByteStream {
        let bytes = self.vault.read(&instance.blob());
        self.guarded(access, instance, pace, bytes)
    }

    /// A part of the file as it was stored. What stands before it is not read.
    pub fn file_part(
        &self,
        access: &Arc<Access>,
        instance: &Arc<Visible<Instance>>,
        range: &Range<u64>,
    ) -> ByteStream {
        let mut blob = instance.blob();
        let at = |offset: u64| blob.range.start.saturating_add(offset).min(blob.range.end);
        blob.range = at(range.start)..at(range.end);
        let bytes = self.vault.read(&blob);
        self.guarded(access, instance, &Pace::default(), bytes)
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
        pace: &Pace,
    ) -> Result<(u64, ByteStream)> {
        // The length stands before the bytes (F25), so the file is walked twice; nothing of it is held.
        let writer =
            || ToExplicitLittle::new(instance.sop_class.clone(), instance.instance.clone());
        let len = length(self.produce(instance, writer())).await?;
        let bytes = self.produce(instance, writer());
        Ok((len, self.guarded(access, instance, pace, bytes)))
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
        value.bytes = self.guarded(access, instance, &Pace::default(), value.bytes);
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
}

pub(super) async fn length(mut bytes: ByteStream) -> Result<u64> {
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
