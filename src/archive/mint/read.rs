//! Items, and where they lie: in ranges of the files of their instances (MINT 6).

use std::ops::Range;
use std::sync::Arc;

use futures::stream::{self, StreamExt as _};

use crate::archive::Archive;
use crate::archive::guard::Pace;
use crate::archive::retrieve::ByteStream;
use crate::auth::Access;
use crate::dicom::mint::items::{Items, total};
use crate::dicom::mint::numbers::Numbers;
use crate::dicom::window::Window;
use crate::error::Result;
use crate::index::catalog::{Holder, Instance, Visible};
use crate::model::transfer_syntax::Encoding;
use crate::model::{StudyId, TransferSyntax};
use crate::storage::Run;

/// An instance whose items are read.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) instance: Arc<Visible<Instance>>,
    pub(super) first: u32,
    pub(super) count: u32,
    /// Where they do not follow each other.
    pub(super) numbers: Option<Numbers>,
    pub(super) items: Items,
}

/// Where items lie, as far as that is known beforehand.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// By their first item.
    pub(super) window: Vec<Arc<Open>>,
    /// Those whose numbers do not follow each other; `None` where that is not known.
    pub(super) scattered: Option<Vec<Arc<Open>>>,
    /// Of objects that others replaced, as far as they are asked for.
    pub(super) replaced: Vec<Arc<Open>>,
}

impl Places {
    /// Those of all instances that have items.
    pub(super) fn of(opened: Vec<Open>) -> Self {
        let window: Vec<_> = opened.into_iter().map(Arc::new).collect();
        let scattered = window.iter().filter(|open| open.numbers.is_some());
        Self {
            scattered: Some(scattered.cloned().collect()),
            replaced: Vec::new(),
            window,
        }
    }

    /// With those of objects that others replaced (MINT I05).
    pub(super) fn with(self, replaced: Vec<Open>) -> Self {
        let replaced = replaced.into_iter().map(Arc::new).collect();
        Self { replaced, ..self }
    }
}

impl Open {
    /// The ranges of its file that make the item with a number.
    pub(super) fn ranges(&self, number: u32) -> Option<Vec<Range<u64>>> {
        let index = match &self.numbers {
            Some(numbers) => numbers.index_of(number),
            None => number.checked_sub(self.first),
        };
        let index = index.filter(|index| *index < self.count)?;
        self.items.ranges(index)
    }
}

/// One item as it is stored.
#[derive(Debug)]
pub struct StoredItem {
    /// Its number.
    pub number: u32,
    /// The instance that it is of.
    pub instance: Arc<Visible<Instance>>,
    /// Its length in bytes.
    pub len: u64,
    ranges: Vec<Range<u64>>,
}

impl StoredItem {
    /// The item in `ranges` of the file of an instance.
    pub(super) fn new(
        number: u32,
        instance: &Arc<Visible<Instance>>,
        ranges: Vec<Range<u64>>,
    ) -> Self {
        Self {
            number,
            instance: Arc::clone(instance),
            len: total(&ranges),
            ranges,
        }
    }
}

impl Archive {
    /// One item that the caller sees; `None` if there is none of this number.
    ///
    /// # Errors
    /// `Kind::Unavailable` if database or store do not answer.
    pub async fn item(
        &self,
        access: &Access,
        study: StudyId,
        number: u32,
    ) -> Result<Option<StoredItem>> {
        let catalog = self.catalog(access);
        let page = catalog.items_from(study, number, 1).await?;
        let found = found(self.open(page).await?, number);
        if found.is_some() {
            return Ok(found);
        }
        let scattered = catalog.items_scattered(study).await?;
        let found = self::found(self.open(scattered).await?, number);
        if found.is_some() {
            return Ok(found);
        }
        // Who holds an older document goes on with what it says (MINT I05).
        let number_alone = number.into()..u64::from(number).saturating_add(1);
        let replaced = catalog.items_replaced(study, &number_alone).await?;
        Ok(self::found(self.open(replaced).await?, number))
    }

    /// A part of the bytes of an item.
    pub fn item_bytes(
        &self,
        access: &Arc<Access>,
        item: &StoredItem,
        part: &Range<u64>,
    ) -> ByteStream {
        let ranges = slice(&item.ranges, part);
        let file = item.instance.blob();
        let run = self.vault.run(&file.object, at(file.range.start, &ranges));
        let place = Place {
            instance: Arc::clone(&item.instance),
            ranges,
        };
        self.bytes_of(access, &Pace::default(), place, &run)
    }

    pub(super) async fn open(&self, page: Vec<Holder>) -> Result<Vec<Open>> {
        let mut holders = Vec::with_capacity(page.len());
        for holder in page {
            let instance = &holder.instance;
            let column = instance.frame_table.as_deref();
            let frames = self.frame_table_at(column, &instance.blob()).await?;
            let frames = frames.map(|table| (table, instance.number_of_frames));
            holders.push(Open {
                items: Items::read(holder.table.as_deref(), frames)?,
                first: holder.first,
                count: holder.count,
                numbers: holder.numbers,
                instance: Arc::new(holder.instance),
            });
        }
        Ok(holders)
    }

    /// The bytes at a place; those of a deflated data set have to be inflated from its beginning.
    pub(super) fn bytes_of(
        &self,
        access: &Arc<Access>,
        pace: &Pace,
        it: Place,
        run: &Run,
    ) -> ByteStream {
        let is_deflated = it.is_deflated();
        let Place { instance, ranges } = it;
        let bytes = if is_deflated {
            self.produce(&instance, Window::new(ranges))
        } else {
            match at(instance.blob().range.start, &ranges).as_slice() {
                [range] => run.read(range.clone()),
                several => {
                    let run = run.clone();
                    let ranges = stream::iter(several.to_vec());
                    ranges.map(move |range| run.read(range)).flatten().boxed()
                }
            }
        };
        self.guarded(access, &instance, pace, bytes)
    }
}

/// The item with a number among those of instances.
fn found(opened: Vec<Open>, number: u32) -> Option<StoredItem> {
    opened.into_iter().find_map(|open| {
        let ranges = open.ranges(number)?;
        Some(StoredItem::new(number, &open.instance, ranges))
    })
}

/// Where a part of an item lies.
pub(super) struct Place {
    pub(super) instance: Arc<Visible<Instance>>,
    /// Ranges of its file.
    pub(super) ranges: Vec<Range<u64>>,
}

impl Place {
    /// Whether its data set lies deflated.
    pub(super) fn is_deflated(&self) -> bool {
        TransferSyntax::of(&self.instance.transfer_syntax_uid)
            .is_some_and(|syntax| syntax.encoding == Encoding::Deflated)
    }
}

/// Ranges of a file that begins at `start` of its object.
pub(super) fn at(start: u64, ranges: &[Range<u64>]) -> Vec<Range<u64>> {
    let moved = ranges
        .iter()
        .map(|range| start.saturating_add(range.start)..start.saturating_add(range.end));
    moved.collect()
}

/// A part of what ranges make when they are joined.
pub(super) fn slice(ranges: &[Range<u64>], part: &Range<u64>) -> Vec<Range<u64>> {
    let mut before = 0_u64;
    let mut sliced = Vec::new();
    for range in ranges {
        let len = range.end.saturating_sub(range.start);
        let from = part.start.saturating_sub(before).min(len);
        let to = part.end.saturating_sub(before).min(len);
        if from < to {
            sliced.push(range.start + from..range.start + to);
        }
        before = before.saturating_add(len);
    }
    sliced
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_joined_ranges_is_in_ranges() {
        let ranges = [10..20, 30..31, 50..60];
        let check = |part: Range<u64>, expected: &[Range<u64>]| {
            assert_eq!(slice(&ranges, &part), expected, "{part:?}");
        };
        check(0..21, &ranges);
        check(0..0, &[]);
        check(9..12, &[19..20, 30..31, 50..51]);
        assert_eq!(at(5, &ranges[..2]), [15..25, 35..36]);
    }
}
