//! The bytes of items: texts and items in the order of an answer become one stream (MINT 6, Z50).
//!
//! Rows are fetched a page at a time, so that memory does not grow with the study; what lies close together in one pack is one
//! read of the store, whatever instances it belongs to.

use std::iter::Peekable;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ahead::cut;
use crate::archive::Archive;
use crate::archive::guard::Pace;
use crate::archive::retrieve::ByteStream;
use crate::auth::Access;
use crate::dicom::mint::items::{Items, total};
use crate::dicom::mint::numbers::Numbers;
use crate::dicom::window::Window;
use crate::error::{Error, Kind, Result};
use crate::index::catalog::{Holder, Instance, Visible};
use crate::model::transfer_syntax::Encoding;
use crate::model::{StudyId, TransferSyntax};
use crate::storage::Run;
use crate::storage::digest::of_stream;

/// Rows of the first page, and of those behind it.
const FIRST: u64 = 16;
const PAGE: u64 = 200;

/// Pieces of which the places are settled at once, in the beginning and later.
const FIRST_BATCH: usize = 16;
const BATCH: usize = 256;

/// What comes next in an answer.
#[derive(Clone, Debug)]
pub enum Piece {
    /// These bytes.
    Text(Bytes),
    /// What is said of the SHA-256 of an item, before its bytes.
    Digest {
        /// Its number.
        number: u32,
        /// What is said, always of the same length.
        text: fn(&[u8; 32]) -> String,
        /// The range of what is said.
        part: Range<u64>,
    },
    /// A part of an item.
    Item {
        /// Its number.
        number: u32,
        /// The range of its bytes.
        part: Range<u64>,
    },
}

/// An instance whose items are read.
#[derive(Debug)]
pub(super) struct Open {
    instance: Arc<Visible<Instance>>,
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
    window: Vec<Arc<Open>>,
    /// Those whose numbers do not follow each other; `None` where that is not known.
    scattered: Option<Vec<Arc<Open>>>,
}

impl Places {
    /// Those of all instances that have items.
    pub(super) fn of(opened: Vec<Open>) -> Self {
        let window: Vec<_> = opened.into_iter().map(Arc::new).collect();
        let scattered = window.iter().filter(|open| open.numbers.is_some());
        Self {
            scattered: Some(scattered.cloned().collect()),
            window,
        }
    }

    /// With those of more instances, whatever their numbers; `scattered` are all of which the numbers do not follow each other,
    /// where that was not known.
    pub(super) fn with(self, more: Vec<Open>, scattered: Vec<Open>) -> Self {
        let known = self.scattered.into_iter().flatten();
        let more = scattered.into_iter().chain(more).map(Arc::new);
        Self {
            window: self.window,
            scattered: Some(known.chain(more).collect()),
        }
    }

    pub(super) fn are_known(&self) -> bool {
        self.scattered.is_some()
    }
}

impl Open {
    /// The ranges of its file that make the item with a number.
    fn ranges(&self, number: u32) -> Option<Vec<Range<u64>>> {
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

    /// The pieces of an answer as one stream; what of their places is not known is found on the way. It fails where an item has
    /// gone meanwhile.
    pub fn pieces(
        &self,
        access: &Arc<Access>,
        (study, places): (StudyId, Places),
        pieces: impl Iterator<Item = Piece> + Send + 'static,
    ) -> ByteStream {
        let is_remote = self.vault.is_remote();
        let pieces: Box<dyn Iterator<Item = Piece> + Send> = if is_remote {
            Box::new(pieces.flat_map(cut))
        } else {
            Box::new(pieces)
        };
        let reading = Reading {
            archive: self.clone(),
            access: Arc::clone(access),
            study,
            pieces: pieces.peekable(),
            window: places.window,
            scattered: places.scattered,
            is_begun: false,
            pace: Pace::default(),
        };
        if is_remote {
            return reading.ahead();
        }
        let batches = stream::try_unfold(reading, |mut reading| async move {
            let batch = reading.batch().await?;
            Ok::<_, Error>(
                batch.map(|batch| (stream::iter(batch.into_iter().map(Ok::<_, Error>)), reading)),
            )
        });
        batches.try_flatten().try_flatten().boxed()
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

/// An answer on its way.
pub(super) struct Reading {
    pub(super) archive: Archive,
    pub(super) access: Arc<Access>,
    study: StudyId,
    pieces: Peekable<Box<dyn Iterator<Item = Piece> + Send>>,
    /// The page of rows that was fetched last.
    window: Vec<Arc<Open>>,
    /// Instances whose numbers do not follow each other, once one of them was met.
    scattered: Option<Vec<Arc<Open>>>,
    pub(super) is_begun: bool,
    pub(super) pace: Pace,
}

/// A piece whose place is known.
pub(super) enum Placed {
    Text(Bytes),
    Digest(Place, fn(&[u8; 32]) -> String, Range<u64>),
    Item(Place),
}

impl Reading {
    /// The next pieces, as streams of their bytes; `None` at the end.
    async fn batch(&mut self) -> Result<Option<Vec<ByteStream>>> {
        let mut placed = Vec::new();
        // The first pieces go out as soon as they are found.
        let most = if self.is_begun { BATCH } else { FIRST_BATCH };
        while placed.len() < most
            && let Some(piece) = self.placed().await?
        {
            placed.push(piece);
        }
        self.is_begun = true;
        Ok((!placed.is_empty()).then(|| self.streams(placed)))
    }

    /// The next piece and its place; `None` at the end.
    pub(super) async fn placed(&mut self) -> Result<Option<Placed>> {
        let Some(piece) = self.pieces.next() else {
            return Ok(None);
        };
        Ok(Some(match piece {
            Piece::Text(text) => Placed::Text(text),
            Piece::Item { number, part } => Placed::Item(self.place(number, &part).await?),
            Piece::Digest { number, text, part } => {
                let place = self.place(number, &(0..u64::MAX)).await?;
                Placed::Digest(place, text, part)
            }
        }))
    }

    /// Whether the place of the next piece is not known before more rows are fetched.
    pub(super) fn needs_rows(&mut self) -> bool {
        let number = match self.pieces.peek() {
            Some(Piece::Item { number, .. } | Piece::Digest { number, .. }) => *number,
            Some(Piece::Text(_)) | None => return false,
        };
        self.in_window(number).is_none() && self.among_scattered(number).is_none()
    }

    async fn place(&mut self, number: u32, part: &Range<u64>) -> Result<Place> {
        let mut found = self.in_window(number);
        if found.is_none() {
            found = self.among_scattered(number);
        }
        if found.is_none() {
            let limit = if self.is_begun { PAGE } else { FIRST };
            let catalog = self.archive.catalog(&self.access);
            let page = catalog.items_from(self.study, number, limit).await?;
            let page = self.archive.open(page).await?;
            self.window = page.into_iter().map(Arc::new).collect();
            found = self.in_window(number);
        }
        if found.is_none() && self.scattered.is_none() {
            let catalog = self.archive.catalog(&self.access);
            let all = catalog.items_scattered(self.study).await?;
            let all = self.archive.open(all).await?;
            self.scattered = Some(all.into_iter().map(Arc::new).collect());
            found = self.among_scattered(number);
        }
        let (open, ranges) = found.ok_or_else(gone)?;
        Ok(Place {
            instance: Arc::clone(&open.instance),
            ranges: slice(&ranges, part),
        })
    }

    fn in_window(&self, number: u32) -> Option<(Arc<Open>, Vec<Range<u64>>)> {
        let at = self.window.partition_point(|open| open.first <= number);
        let open = self.window.get(at.checked_sub(1)?)?;
        Some((Arc::clone(open), open.ranges(number)?))
    }

    fn among_scattered(&self, number: u32) -> Option<(Arc<Open>, Vec<Range<u64>>)> {
        let mut all = self.scattered.iter().flatten();
        all.find_map(|open| Some((Arc::clone(open), open.ranges(number)?)))
    }

    /// A part of what is said of the digest of an item. It is read by itself, when its turn comes.
    pub(super) fn digest(
        &self,
        place: Place,
        text: fn(&[u8; 32]) -> String,
        part: Range<u64>,
    ) -> ByteStream {
        let file = place.instance.blob();
        let ranges = at(file.range.start, &place.ranges);
        let run = self.archive.vault.run(&file.object, ranges);
        let bytes = self.archive.bytes_of(&self.access, &self.pace, place, &run);
        let told = async move {
            let text = text(&of_stream(bytes).await?).into_bytes();
            let at = |offset: u64| {
                usize::try_from(offset)
                    .unwrap_or(usize::MAX)
                    .min(text.len())
            };
            Ok(Bytes::copy_from_slice(&text[at(part.start)..at(part.end)]))
        };
        stream::once(told).boxed()
    }

    /// Streams of the pieces. Those that follow each other in one pack share its reads.
    fn streams(&self, placed: Vec<Placed>) -> Vec<ByteStream> {
        let mut runs: Vec<(String, Vec<Range<u64>>)> = Vec::new();
        for piece in &placed {
            let Placed::Item(place) = piece else { continue };
            let file = place.instance.blob();
            let ranges = at(file.range.start, &place.ranges);
            match runs.last_mut() {
                Some((object, all)) if *object == file.object => all.extend(ranges),
                _ => runs.push((file.object, ranges)),
            }
        }
        let mut runs = runs.into_iter();
        let mut run: Option<(String, Run)> = None;
        let streams = placed.into_iter().map(|piece| match piece {
            Placed::Text(text) => stream::iter([Ok(text)]).boxed(),
            Placed::Digest(place, text, part) => self.digest(place, text, part),
            Placed::Item(place) => {
                let object = place.instance.blob().object;
                let is_same = run.as_ref().is_some_and(|(name, _)| *name == object);
                if !is_same && let Some((name, ranges)) = runs.next() {
                    let next = self.archive.vault.run(&name, ranges);
                    run = Some((name, next));
                }
                match &run {
                    Some((_, run)) => self.archive.bytes_of(&self.access, &self.pace, place, run),
                    None => stream::iter([Err(gone())]).boxed(),
                }
            }
        });
        streams.collect()
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
fn slice(ranges: &[Range<u64>], part: &Range<u64>) -> Vec<Range<u64>> {
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

fn gone() -> Error {
    Error::new(Kind::Unavailable, "items went while they were read")
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
