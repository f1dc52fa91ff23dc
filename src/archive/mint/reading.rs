//! Texts and items in the order of an answer become one stream of bytes (MINT 6, Z50).
//!
//! Rows are fetched a page at a time, so that memory does not grow with the study; what lies close together in one pack is one
//! read of the store, whatever instances it belongs to.

use std::iter::Peekable;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::ahead::cut;
use super::read::{Open, Place, Places, at, slice};
use crate::archive::Archive;
use crate::archive::guard::Pace;
use crate::archive::retrieve::ByteStream;
use crate::auth::Access;
use crate::error::{Error, Kind, Result};
use crate::model::StudyId;
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

impl Archive {
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
            replaced: places.replaced,
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
    /// Objects that others replaced.
    replaced: Vec<Arc<Open>>,
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
        self.in_window(number).is_none() && self.outside(number).is_none()
    }

    async fn place(&mut self, number: u32, part: &Range<u64>) -> Result<Place> {
        let mut found = self.in_window(number);
        if found.is_none() {
            found = self.outside(number);
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
            found = self.outside(number);
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

    /// Among those that are not in the order of their numbers.
    fn outside(&self, number: u32) -> Option<(Arc<Open>, Vec<Range<u64>>)> {
        let mut all = self.scattered.iter().flatten().chain(&self.replaced);
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

fn gone() -> Error {
    Error::new(Kind::Unavailable, "items went while they were read")
}
