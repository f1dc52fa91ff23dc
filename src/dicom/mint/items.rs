//! The items of one instance: where each lies in its file (mint.md 11.3, 11.5).
//!
//! Pixel data are found by the frame table, which is kept already (MINT Z51). For instances that have other items as well the
//! index keeps a table of its own:
//!
//! ```text
//! 1                           version
//! 0                           here come the items of the pixel data
//! n, n times (start, length)  a value in n ranges of the file, joined; n > 0
//! ```
//!
//! Numbers are LEB128. Offsets count in the inflated file, as those of frame tables do.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::ops::Range;

use crate::dicom::frames::{Cut, FrameTable};
use crate::dicom::scan::Header;
use crate::dicom::varint::{put, take};
use crate::error::{Error, Kind, Result};
use crate::model::{Tag, VR};

const VERSION: u64 = 1;

/// Binary values of this length and longer are items, in bytes (MINT K25).
pub const LEAST_BYTES: u32 = 256;

/// Texts longer than this are items too, in bytes: a document holds no more of one value.
pub const LONGEST_TEXT: u32 = 1 << 20;

/// Whether a value that is not cut into frames is an item: that of an element which is no sequence and has no fragments.
pub fn is_item(header: &Header) -> bool {
    is_item_of(header.tag, header.vr, header.len.unwrap_or(0).into())
}

/// Whether a value of so many bytes is an item.
pub fn is_item_of(tag: Tag, vr: VR, len: u64) -> bool {
    use VR::{LT, OB, OD, OF, OL, OV, OW, ST, UC, UN, UR, UT};
    if matches!(vr, OB | OD | OF | OL | OV | OW | UN) {
        len >= LEAST_BYTES.into() || len > 0 && is_pixels(tag)
    } else {
        matches!(vr, LT | ST | UC | UR | UT) && len > LONGEST_TEXT.into()
    }
}

/// Whether an element is Pixel Data, Float or Double Float Pixel Data.
pub fn is_pixels(tag: Tag) -> bool {
    tag.group() == 0x7FE0 && (0x0008..=0x0010).contains(&tag.element())
}

/// What stands at one place of an instance, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Its pixel data.
    Pixels,
    /// Another value, one item.
    Value(Vec<Range<u64>>),
}

/// How pixel data are cut into items.
#[derive(Debug)]
enum Pixels {
    /// One item, in these ranges.
    Whole(Vec<Range<u64>>),
    /// Frames of the same length, one behind the other, of a value of `all` bytes.
    Native {
        start: u64,
        len: u64,
        frames: u32,
        all: u64,
    },
    /// Frames that have fragments.
    Encapsulated(FrameTable),
}

/// The items of one instance.
#[derive(Debug)]
pub struct Items {
    parts: Vec<Part>,
    pixels: Option<Pixels>,
}

impl Items {
    /// The items that a stored table and a frame table tell; without the first they are those of the pixel data.
    ///
    /// # Errors
    /// `Kind::Internal` if the stored table is none.
    pub fn read(stored: Option<&[u8]>, frames: Option<(FrameTable, Option<u32>)>) -> Result<Self> {
        let pixels = frames.map(|(table, declared)| Pixels::of(table, declared));
        let parts = match stored {
            Some(stored) => decode(stored).ok_or_else(|| {
                Error::new(
                    Kind::Internal,
                    "the table of the items of an instance is damaged",
                )
            })?,
            None if pixels.is_some() => vec![Part::Pixels],
            None => Vec::new(),
        };
        Ok(Self { parts, pixels })
    }

    /// The items that a walk over a file found, whose pixel data the table cuts.
    pub fn new(parts: Vec<Part>, frames: Option<(FrameTable, Option<u32>)>) -> Self {
        let pixels = frames.map(|(table, declared)| Pixels::of(table, declared));
        Self { parts, pixels }
    }

    /// The parts of which each is one value, with its number of items and its length in bytes, in the order of the file.
    pub fn values(&self) -> impl Iterator<Item = (u32, u64)> {
        self.parts.iter().map(|part| {
            let size = match (part, &self.pixels) {
                (Part::Value(ranges), _) => total(ranges),
                (Part::Pixels, Some(pixels)) => pixels.size(),
                (Part::Pixels, None) => 0,
            };
            (self.count_of(part), size)
        })
    }

    /// The table of these items, as [`read`](Self::read) takes it.
    pub fn encode(&self) -> Vec<u8> {
        encode(&self.parts)
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        let counts = self.parts.iter().map(|part| self.count_of(part));
        counts.fold(0, u32::saturating_add)
    }

    fn count_of(&self, part: &Part) -> u32 {
        match (part, &self.pixels) {
            (Part::Value(_), _) | (Part::Pixels, Some(Pixels::Whole(_))) => 1,
            (Part::Pixels, Some(Pixels::Native { frames, .. })) => *frames,
            (Part::Pixels, Some(Pixels::Encapsulated(table))) => table.frames(),
            (Part::Pixels, None) => 0,
        }
    }

    /// The ranges of the file that make item `index`, from 0; `None` beyond the last.
    pub fn ranges(&self, index: u32) -> Option<Vec<Range<u64>>> {
        let mut before = 0_u32;
        for part in &self.parts {
            let inside = index.checked_sub(before)?;
            let count = self.count_of(part);
            if inside < count {
                return match part {
                    Part::Value(ranges) => Some(ranges.clone()),
                    Part::Pixels => self.pixels.as_ref()?.ranges(inside),
                };
            }
            before = before.checked_add(count)?;
        }
        None
    }

    /// The lengths of all items, in bytes.
    pub fn lengths(&self) -> Lengths {
        if let ([Part::Pixels], Some(Pixels::Native { len, .. })) = (&*self.parts, &self.pixels) {
            return Lengths::Same(*len);
        }
        let lengths: Vec<u64> = (0..self.count())
            .filter_map(|index| Some(total(&self.ranges(index)?)))
            .collect();
        match lengths.as_slice() {
            [only] => Lengths::Same(*only),
            _ => Lengths::Each(lengths),
        }
    }
}

/// The lengths of the items of an instance, in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lengths {
    /// All are so long.
    Same(u64),
    /// One by one.
    Each(Vec<u64>),
}

impl Lengths {
    /// The length of item `index`, from 0.
    pub fn of(&self, index: u32) -> Option<u64> {
        match self {
            Self::Same(len) => Some(*len),
            Self::Each(lengths) => lengths.get(usize::try_from(index).ok()?).copied(),
        }
    }
}

impl Pixels {
    fn of(table: FrameTable, declared: Option<u32>) -> Self {
        let whole = || {
            let part = table.part(0);
            part.map_or_else(Vec::new, |part| part.ranges)
        };
        if !table.is_native() {
            // One stream, or fragments whose frames cannot be told: all of it is one item (MINT K44, K45).
            return match table.cut() {
                Cut::Frames => Self::Encapsulated(table),
                Cut::WholeStream | Cut::Unresolved(_) => {
                    Self::Whole(whole().into_iter().map(padded).collect())
                }
            };
        }
        let (frames, value) = (table.frames(), whole());
        let equal = || {
            let (first, all) = (table.frame(0)?, total(&value));
            let len = first.bits.checked_div(8).filter(|_| first.bits % 8 == 0)?;
            let rest = all.checked_sub(len.checked_mul(frames.into())?)?;
            // A pad byte may follow the last frame; anything else means that the length was counted otherwise (MINT K42).
            (frames > 1 && declared == Some(frames) && rest <= 1).then_some(())?;
            Some(Self::Native {
                start: value.first()?.start,
                len,
                frames,
                all,
            })
        };
        equal().unwrap_or(Self::Whole(value))
    }

    /// The length of the whole value, in bytes (MINT K41, K43).
    fn size(&self) -> u64 {
        match self {
            Self::Whole(ranges) => total(ranges),
            Self::Native { all, .. } => *all,
            Self::Encapsulated(table) => {
                let frames = (0..table.frames()).filter_map(|frame| self.ranges(frame));
                frames.fold(0, |sum, ranges| sum.saturating_add(total(&ranges)))
            }
        }
    }

    fn ranges(&self, index: u32) -> Option<Vec<Range<u64>>> {
        match self {
            Self::Whole(ranges) => (index == 0).then(|| ranges.clone()),
            Self::Native {
                start, len, frames, ..
            } => {
                let start = start.checked_add(len.checked_mul(index.into())?)?;
                let range = start..start.checked_add(*len)?;
                (index < *frames).then(|| vec![range])
            }
            Self::Encapsulated(table) => {
                let frame = table.frame(index)?;
                Some(frame.ranges.into_iter().map(padded).collect())
            }
        }
    }
}

/// A fragment with the pad byte that the frame table leaves out: it is a part of the item (MINT K46), and a fragment is even.
fn padded(range: Range<u64>) -> Range<u64> {
    let len = range.end.saturating_sub(range.start);
    range.start..range.end.saturating_add(len % 2)
}

/// The sum of the lengths of ranges.
pub fn total(ranges: &[Range<u64>]) -> u64 {
    let lengths = ranges
        .iter()
        .map(|range| range.end.saturating_sub(range.start));
    lengths.fold(0, u64::saturating_add)
}

/// Writes the table of an instance.
pub fn encode(parts: &[Part]) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, VERSION);
    for part in parts {
        match part {
            Part::Pixels => put(&mut out, 0),
            Part::Value(ranges) => {
                put(&mut out, u64::try_from(ranges.len()).unwrap_or(u64::MAX));
                for range in ranges {
                    put(&mut out, range.start);
                    put(&mut out, range.end.saturating_sub(range.start));
                }
            }
        }
    }
    out
}

fn decode(bytes: &[u8]) -> Option<Vec<Part>> {
    let mut rest = bytes;
    (take(&mut rest)? == VERSION).then_some(())?;
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let ranges = take(&mut rest)?;
        if ranges == 0 {
            parts.push(Part::Pixels);
            continue;
        }
        // A range takes two bytes at least.
        let count = usize::try_from(ranges).ok()?;
        (count <= rest.len().checked_div(2)?).then_some(())?;
        let mut value = Vec::with_capacity(count);
        for _ in 0..count {
            let start = take(&mut rest)?;
            value.push(start..start.checked_add(take(&mut rest)?)?);
        }
        parts.push(Part::Value(value));
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_comes_back_and_its_neighbours_are_refused() {
        let whole = 5..305;
        let two = vec![7..300, 1 << 40..(1 << 40) + 3];
        let parts = vec![
            Part::Value(vec![whole]),
            Part::Pixels,
            Part::Value(two.clone()),
        ];
        let table = encode(&parts);
        assert_eq!(decode(&table), Some(parts));
        for len in 0..table.len() {
            let cut = decode(&table[..len]);
            assert!(cut.is_none_or(|parts| parts.len() < 3), "{len}");
        }
        assert!(decode(&[2]).is_none());
        assert!(decode(&[1, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F, 1, 1]).is_none());
        let items = Items::read(Some(&table), None).unwrap();
        assert_eq!(items.count(), 2, "there are no pixels to count");
        assert_eq!(items.ranges(1), Some(two));
        assert_eq!(items.ranges(2), None);
        assert_eq!(items.lengths(), Lengths::Each(vec![300, 296]));
        assert_eq!(Items::read(None, None).unwrap().count(), 0);
    }

    proptest::proptest! {
        #[test]
        fn any_table_is_read_or_refused(bytes: Vec<u8>) {
            if let Ok(items) = Items::read(Some(&bytes), None) {
                assert!(items.ranges(items.count()).is_none());
            }
        }
    }
}
