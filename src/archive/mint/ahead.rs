//! Items from an object store: what comes next is asked for before its turn, so that an answer does not wait for each read in
//! turn (MINT Z50).
//!
//! ```text
//! pieces ──▶ groups, each one read ──▶ up to IN_FLIGHT reads at once ──▶ pieces again, in their order
//! ```
//!
//! A read is at most [`READ_BYTES`] long and held whole until its turn comes, so an answer holds [`IN_FLIGHT`] of them, whatever
//! the study. A folder needs none of it: its reads take no time to be asked for.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use super::read::{Place, at};
use super::reading::{Piece, Placed, Reading};
use crate::archive::retrieve::ByteStream;
use crate::error::{Error, Result};
use crate::index::catalog::{Instance, Visible};
use crate::storage::{BlobRef, GAP_BYTES};

/// Reads that are on their way or wait for their turn. One or two of them have come whenever the caller is slower than the store:
/// four are still asked for.
const IN_FLIGHT: usize = 6;

/// The longest read.
const READ_BYTES: u64 = 1 << 20;

/// Pieces of one group.
const MOST_PARTS: usize = 1024;

/// Pieces that follow each other in an answer, and the one read that has the bytes of all of them.
#[derive(Default)]
struct Group {
    span: Option<BlobRef>,
    parts: Vec<Part>,
}

/// A piece of a group.
enum Part {
    Text(Bytes),
    /// Ranges of the object, within the read.
    Item(Arc<Visible<Instance>>, Vec<Range<u64>>),
    /// What is read by itself, when its turn comes.
    Alone(ByteStream),
}

impl Group {
    fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The read with which the ranges of an object would come, too; `None` where they are no neighbours of what is in it.
    fn with(&self, object: &str, ranges: &[Range<u64>]) -> Option<BlobRef> {
        let mut span: Option<Range<u64>> = None;
        if let Some(read) = &self.span {
            if read.object != object {
                return None;
            }
            span = Some(read.range.clone());
        }
        for range in ranges {
            span = Some(match span {
                None => range.clone(),
                Some(span) => joined(&span, range)?,
            });
        }
        let object = object.to_owned();
        span.filter(|span| span.end - span.start <= READ_BYTES)
            .map(|range| BlobRef { object, range })
    }
}

/// The range of two that overlap or have no long hole between them: a list may name an item twice, and in any order.
fn joined(span: &Range<u64>, next: &Range<u64>) -> Option<Range<u64>> {
    let behind = next.start.saturating_sub(span.end);
    let before = span.start.saturating_sub(next.end);
    let is_near = behind.max(before) <= GAP_BYTES;
    is_near.then(|| span.start.min(next.start)..span.end.max(next.end))
}

/// A piece in pieces of which each fits into a read.
pub(super) fn cut(piece: Piece) -> Box<dyn Iterator<Item = Piece> + Send> {
    match piece {
        Piece::Item { number, part } => {
            let parts = cuts(&part, READ_BYTES);
            Box::new(parts.map(move |part| Piece::Item { number, part }))
        }
        piece @ (Piece::Text(_) | Piece::Digest { .. }) => Box::new(std::iter::once(piece)),
    }
}

impl Reading {
    /// The bytes of the pieces, with reads ahead.
    pub(super) fn ahead(self) -> ByteStream {
        let vault = self.archive.vault.clone();
        let (archive, access, pace) = (
            self.archive.clone(),
            Arc::clone(&self.access),
            self.pace.clone(),
        );
        let groups = stream::try_unfold((self, None), |(mut reading, held)| async move {
            let (group, held) = reading.group(held).await?;
            Ok::<_, Error>((!group.is_empty()).then_some((group, (reading, held))))
        });
        let reads = groups.map(move |group| {
            let vault = vault.clone();
            async move {
                let group = group?;
                let bytes = match &group.span {
                    Some(span) => held(vault.read(span), span).await?,
                    None => Bytes::new(),
                };
                Ok::<_, Error>((group, bytes))
            }
        });
        let parts = reads.buffered(IN_FLIGHT).map_ok(move |(group, bytes)| {
            let start = group.span.map_or(0, |span| span.range.start);
            let (archive, access, pace) = (archive.clone(), Arc::clone(&access), pace.clone());
            let streams = group.parts.into_iter().map(move |part| match part {
                Part::Text(text) => stream::iter([Ok(text)]).boxed(),
                Part::Alone(stream) => stream,
                Part::Item(instance, ranges) => {
                    let pieces: Vec<_> = slices(&bytes, start, &ranges).map(Ok).collect();
                    archive.guarded(&access, &instance, &pace, stream::iter(pieces).boxed())
                }
            });
            stream::iter(streams.map(Ok::<_, Error>))
        });
        parts.try_flatten().try_flatten().boxed()
    }

    /// The next group, and the piece behind it that had no room; an empty one at the end.
    async fn group(&mut self, held: Option<Placed>) -> Result<(Group, Option<Placed>)> {
        let mut group = Group::default();
        let mut next = held;
        loop {
            let placed = match next.take() {
                Some(placed) => placed,
                // What is known is asked for before more rows are.
                None if !group.is_empty() && self.needs_rows() => break,
                None => match self.placed().await? {
                    Some(placed) => placed,
                    None => break,
                },
            };
            self.is_begun = true;
            if group.parts.len() >= MOST_PARTS {
                return Ok((group, Some(placed)));
            }
            match placed {
                Placed::Text(text) => group.parts.push(Part::Text(text)),
                Placed::Digest(place, text, part) => {
                    let told = self.digest(place, text, part);
                    group.parts.push(Part::Alone(told));
                }
                Placed::Item(place) => {
                    if let Some(place) = self.add(&mut group, place) {
                        return Ok((group, Some(Placed::Item(place))));
                    }
                }
            }
        }
        Ok((group, None))
    }

    /// Adds an item to a group; gives it back if the group has no room for it.
    fn add(&self, group: &mut Group, place: Place) -> Option<Place> {
        let file = place.instance.blob();
        let ranges = at(file.range.start, &place.ranges);
        let is_alone =
            place.is_deflated() || Group::default().with(&file.object, &ranges).is_none();
        if is_alone {
            let run = self.archive.vault.run(&file.object, ranges);
            let bytes = self.archive.bytes_of(&self.access, &self.pace, place, &run);
            group.parts.push(Part::Alone(bytes));
            return None;
        }
        let Some(span) = group.with(&file.object, &ranges) else {
            return Some(place);
        };
        group.span = Some(span);
        group.parts.push(Part::Item(place.instance, ranges));
        None
    }
}

/// All bytes of a read.
async fn held(mut bytes: ByteStream, span: &BlobRef) -> Result<Bytes> {
    let len = span.range.end.saturating_sub(span.range.start);
    let mut all = BytesMut::with_capacity(usize::try_from(len).unwrap_or(0));
    while let Some(piece) = bytes.try_next().await? {
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

/// The bytes of ranges of an object, of which `bytes` begin at `start`, in slices as they are sent.
fn slices(bytes: &Bytes, start: u64, ranges: &[Range<u64>]) -> impl Iterator<Item = Bytes> {
    let ranges = ranges.iter().flat_map(|range| cuts(range, SLICE_BYTES));
    ranges.map(move |range| {
        let at = |offset: u64| {
            let at = usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX);
            at.min(bytes.len())
        };
        bytes.slice(at(range.start)..at(range.end))
    })
}

/// A range in ranges of at most `len`.
fn cuts(range: &Range<u64>, len: u64) -> impl Iterator<Item = Range<u64>> + Send + use<> {
    let end = range.end;
    let starts = std::iter::successors(Some(range.start), move |at| at.checked_add(len));
    let starts = starts.take_while(move |start| *start < end);
    starts.map(move |start| start..end.min(start.saturating_add(len)))
}

/// The longest slice that is handed out, as that of the store.
const SLICE_BYTES: u64 = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn group(object: &str, range: Range<u64>) -> Group {
        let object = object.to_owned();
        Group {
            span: Some(BlobRef { object, range }),
            parts: Vec::new(),
        }
    }

    #[test]
    #[expect(clippy::single_range_in_vec_init, reason = "one range")]
    fn neighbours_share_a_read_of_bounded_length() {
        let check = |ranges: &[Range<u64>], expected: Option<Range<u64>>| {
            let found = group("a", 100..200).with("a", ranges);
            assert_eq!(found.map(|span| span.range), expected, "{ranges:?}");
        };
        check(&[200..300], Some(100..300));
        check(&[210..300, 305..310], Some(100..310));
        check(
            &[200 + GAP_BYTES..201 + GAP_BYTES],
            Some(100..201 + GAP_BYTES),
        );
        check(&[201 + GAP_BYTES..202 + GAP_BYTES], None);
        check(&[199..300], Some(100..300));
        check(&[120..130], Some(100..200));
        check(&[10..20], Some(10..200));
        check(&[200..100 + READ_BYTES], Some(100..100 + READ_BYTES));
        check(&[200..101 + READ_BYTES], None);
        assert!(group("a", 100..200).with("b", &[200..300]).is_none());
        assert!(Group::default().with("b", &[200..300]).is_some());
    }

    #[test]
    fn a_long_item_is_cut_into_reads() {
        let check = |part: Range<u64>, expected: &[Range<u64>]| {
            let found: Vec<_> = cuts(&part, 100).collect();
            assert_eq!(found, expected, "{part:?}");
        };
        check(3..3, &[]);
        check(3..4, std::slice::from_ref(&(3..4)));
        check(3..103, std::slice::from_ref(&(3..103)));
        check(3..104, &[3..103, 103..104]);
        check(0..300, &[0..100, 100..200, 200..300]);
        check(
            u64::MAX - 1..u64::MAX,
            std::slice::from_ref(&(u64::MAX - 1..u64::MAX)),
        );
    }

    #[test]
    fn slices_are_the_bytes_of_their_ranges() {
        let all: Vec<u8> = (0..200_000_u32).map(|at| at.to_le_bytes()[1]).collect();
        let bytes = Bytes::from(all.clone());
        let found: Vec<Bytes> = slices(&bytes, 1000, &[1000..1010, 1020..151_020]).collect();
        assert!(found.iter().all(|slice| slice.len() as u64 <= SLICE_BYTES));
        assert!(found.concat() == [&all[..10], &all[20..150_020]].concat());
    }
}
