//! Giving numbers to the items of a study that was not read through MINT before (MINT P20 to P23).

use std::ops::Range;

use bytes::Bytes;

use super::items::{Items, Part, encode, total};
use super::places::{Places, has_more};
use crate::archive::Archive;
use crate::archive::metadata::MAX_BLOCK_BYTES;
use crate::archive::through::Through;
use crate::dicom::frames::FrameTable;
use crate::error::{Error, Kind, Result};
use crate::index::mint::{Counted, MintStudy, Uncounted};
use crate::model::TransferSyntax;
use crate::model::transfer_syntax::Encoding;
use crate::storage::{BlobRef, frame_table, inflate};

/// Instances that are counted before what was found is kept.
const PAGE: u64 = 500;

/// How often it is begun anew because something came in between.
const ATTEMPTS: u32 = 8;

/// What ends encapsulated pixel data: the header of a delimiter.
const DELIMITER_BYTES: u64 = 8;

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
        let table = if has_more(head) {
            Some(encode(&self.parts_of(one, frames.as_ref()).await?))
        } else {
            None
        };
        let frames = frames.map(|table| (table, one.number_of_frames));
        let items = Items::read(table.as_deref(), frames)?;
        one.counted(items.count(), table)
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

    /// Walks over a file, up to its pixel data if they are the last of it.
    async fn parts_of(&self, one: &Uncounted, frames: Option<&FrameTable>) -> Result<Vec<Part>> {
        let mut blob = one.blob.clone();
        let is_deflated = TransferSyntax::of(&one.transfer_syntax_uid)
            .is_some_and(|syntax| syntax.encoding == Encoding::Deflated);
        let len = blob.range.end.saturating_sub(blob.range.start);
        let pixels = frames.and_then(extent).filter(|_| !is_deflated);
        let last = pixels.filter(|pixels| pixels.end >= len);
        if let Some(pixels) = &last {
            let end = blob.range.start.saturating_add(pixels.start);
            blob.range.end = end.min(blob.range.end);
        }
        let places = Places::new(frames.is_some(), last.is_some());
        let mut walk = Through::over(self.vault.read(&blob), places);
        while walk.next().await?.is_some() {}
        Ok(walk.sink.parts)
    }
}

/// From the first byte of pixel data to behind all that belongs to them; `None` where there are none.
fn extent(table: &FrameTable) -> Option<Range<u64>> {
    let first = table.part(0)?.ranges.first()?.start;
    let last = table.part(table.parts().checked_sub(1)?)?;
    let end = last.ranges.last()?;
    let pad = total(std::slice::from_ref(end)) % 2;
    let delimiter = if table.is_native() {
        0
    } else {
        DELIMITER_BYTES
    };
    Some(first..end.end.saturating_add(pad).saturating_add(delimiter))
}
