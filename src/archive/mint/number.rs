//! Giving numbers to the items of a study that was not read through MINT before (MINT P20 to P23).

use std::ops::Range;

use bytes::Bytes;

use crate::archive::Archive;
use crate::archive::metadata::MAX_BLOCK_BYTES;
use crate::dicom::bulk::BulkPath;
use crate::dicom::frames::FrameTable;
use crate::dicom::mint::items::Items;
use crate::dicom::mint::source::{Reading, Stored};
use crate::error::{Error, Kind, Result};
use crate::index::mint::{Counted, MintStudy, Uncounted};
use crate::storage::{BlobRef, frame_table, inflate};

/// Instances that are counted before what was found is kept.
const PAGE: u64 = 500;

/// How often it is begun anew because something came in between.
const ATTEMPTS: u32 = 8;

/// The longest portion of a file that is read at once.
const MOST_BYTES: usize = 1 << 20;

/// Base64 of the shortest binary value that is an item, and what stands before it and before a link in a stored head.
const LEAST_BASE64: usize = 344;
const INLINE: &[u8] = b"\"InlineBinary\":\"";
const LINK: &[u8] = b"\"BulkDataURI\":\"";

impl Archive {
    /// Sees to it that every item of a study has its number.
    ///
    /// # Errors
    /// `Kind::Unavailable` if database or store do not answer, or the study does not come to rest.
    pub async fn number_items(&self, study: &MintStudy) -> Result<()> {
        if study.is_numbered {
            return Ok(());
        }
        for _ in 0..ATTEMPTS {
            loop {
                let page = self.index.uncounted(study, PAGE).await?;
                if page.is_empty() {
                    break;
                }
                let counted = self.count_items(&page).await?;
                self.index.keep_counts(study, counted).await?;
            }
            if self.index.give_numbers(study).await? {
                return Ok(());
            }
        }
        Err(Error::new(
            Kind::Unavailable,
            "the study changes all the time; ask again",
        ))
    }

    async fn count_items(&self, page: &[Uncounted]) -> Result<Vec<Counted>> {
        let mut counted = Vec::with_capacity(page.len());
        let mut block: Option<(&str, Range<u64>, Bytes)> = None;
        for one in page {
            let (object, place) = (one.metadata_object.as_str(), &one.head);
            let bytes = match block.take() {
                Some((name, range, bytes)) if name == object && range == place.block => bytes,
                Some(_) | None => {
                    let range = place.block.clone();
                    self.vault
                        .read_small(object, range, MAX_BLOCK_BYTES)
                        .await?
                }
            };
            let head = inflate::inflate_block(&bytes, &place.json)?;
            block = Some((object, place.block.clone(), bytes));
            counted.push(self.count_of(one, &head).await?);
        }
        Ok(counted)
    }

    /// What there is of one instance: without other values than pixel data its frame table says all of it.
    async fn count_of(&self, one: &Uncounted, head: &[u8]) -> Result<Counted> {
        let frames = self
            .frame_table_at(one.frame_table.as_deref(), &one.blob)
            .await?;
        if has_more(head) {
            let items = self.read_stored(&one.blob, frames).await?.items;
            return one.counted(items.count(), Some(items.encode()));
        }
        let frames = frames.map(|table| (table, one.number_of_frames));
        one.counted(Items::read(None, frames)?.count(), None)
    }

    /// The frame table of a file.
    pub(super) async fn frame_table_at(
        &self,
        column: Option<&[u8]>,
        blob: &BlobRef,
    ) -> Result<Option<FrameTable>> {
        let Some(column) = column else {
            return Ok(None);
        };
        let table = frame_table::frame_table(&self.vault, column, &blob.object).await?;
        FrameTable::decode(&table).map(Some)
    }

    /// A stored file without the values that are items, as MINT has it.
    pub(super) async fn read_stored(
        &self,
        blob: &BlobRef,
        frames: Option<FrameTable>,
    ) -> Result<Stored> {
        let (start, len) = (
            blob.range.start,
            blob.range.end.saturating_sub(blob.range.start),
        );
        let mut reading = Reading::new(len, frames);
        while let Some(range) = reading.wants() {
            let range = start.saturating_add(range.start)..start.saturating_add(range.end);
            let bytes = self
                .vault
                .read_small(&blob.object, range, MOST_BYTES)
                .await?;
            reading.feed(&bytes)?;
        }
        reading.finish()
    }
}

/// Whether a stored head has values that may be items beside the pixel data of its top level. Most have none, and then the file
/// need not be looked at.
fn has_more(head: &[u8]) -> bool {
    let behind = |mark: &'static [u8]| {
        memchr::memmem::find_iter(head, mark).filter_map(move |at| {
            let value = head.get(at + mark.len()..)?;
            let end = memchr::memchr(b'"', value)?;
            value.get(..end)
        })
    };
    behind(INLINE).any(|value| value.len() >= LEAST_BASE64)
        || behind(LINK).any(|link| !is_of_pixels(link))
}

/// Whether a link is that of the pixel data of the top level.
fn is_of_pixels(link: &[u8]) -> bool {
    let text = std::str::from_utf8(link).unwrap_or_default();
    let path = text
        .rsplit_once("bulkdata/")
        .map(|(_, path)| BulkPath::parse(path));
    matches!(path, Some(Ok(path)) if path.is_top_level() && path.is_pixels())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mint_k24_k25_a_head_tells_whether_the_file_is_to_be_looked_at() {
        let link = |path: &str| format!(r#"{{"X":{{"BulkDataURI":"http://h/bulkdata/{path}"}}}}"#);
        let inline = |len: usize| format!(r#"{{"X":{{"InlineBinary":"{}"}}}}"#, "A".repeat(len));
        assert!(!has_more(b"{}"));
        assert!(!has_more(link("7FE00010").as_bytes()));
        assert!(has_more(link("00091001").as_bytes()));
        assert!(has_more(link("00880200/1/7FE00010").as_bytes()));
        assert!(!has_more(inline(340).as_bytes()));
        assert!(has_more(inline(344).as_bytes()));
    }
}
