//! The frame table as the index keeps it (schema.md 5.6).
//!
//! ```text
//!   1               version
//!   kind            0 native, 1 fragments
//!   cut             0 frames, 1 whole stream, 2.. why not
//!   native:         start, length, bits of a frame, frames, length of words
//!   fragments:      n, then n times (gap since the end of the one before, length),
//!                   m = number of frames or 0 for one fragment a frame, then m times the fragments of a frame
//! ```
//!
//! Numbers are LEB128. Fragments lie 8 bytes apart, so that one costs three or four bytes, whatever the size of the file.

use super::{Cut, Fragments, FrameTable, Native, Obstacle, Places};
use crate::dicom::varint::{put, take};
use crate::{Error, Result};

const VERSION: u64 = 1;

/// No longer word than that of a double.
const MAX_WORD_LEN: u8 = 8;

impl FrameTable {
    /// Writes the table.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, VERSION);
        let code = match self.cut() {
            Cut::Frames => 0,
            Cut::WholeStream => 1,
            Cut::Unresolved(Obstacle::Fragments) => 2,
            Cut::Unresolved(Obstacle::Form) => 3,
            Cut::Unresolved(Obstacle::Empty) => 4,
        };
        match &self.places {
            Places::Native(native) => {
                put(&mut out, 0);
                put(&mut out, code);
                put(&mut out, native.value.start);
                put(
                    &mut out,
                    native.value.end.saturating_sub(native.value.start),
                );
                put(&mut out, native.frame_bits);
                put(&mut out, u64::from(native.frames));
                put(&mut out, u64::from(native.word_len));
            }
            Places::Fragments(fragments) => {
                put(&mut out, 1);
                put(&mut out, code);
                put_fragments(&mut out, fragments);
            }
        }
        out
    }

    /// Reads what [`encode`](Self::encode) writes.
    ///
    /// # Errors
    /// `Kind::Internal` for anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader(bytes);
        let places = reader.table().filter(|_| reader.0.is_empty());
        places
            .map(|places| Self { places })
            .ok_or_else(|| Error::new(crate::Kind::Internal, "the frame table is damaged"))
    }
}

fn put_fragments(out: &mut Vec<u8>, fragments: &Fragments) {
    put_len(out, fragments.ranges.len());
    let mut end = 0;
    for range in &fragments.ranges {
        put(out, range.start.saturating_sub(end));
        put(out, range.end.saturating_sub(range.start));
        end = range.end;
    }
    let Some(firsts) = &fragments.firsts else {
        return put(out, 0);
    };
    put_len(out, firsts.len());
    let all = u32::try_from(fragments.ranges.len()).unwrap_or(u32::MAX);
    let nexts = firsts.iter().skip(1).chain([&all]);
    for (first, next) in firsts.iter().zip(nexts) {
        put(out, u64::from(next.saturating_sub(*first)));
    }
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    put(out, u64::try_from(len).unwrap_or(u64::MAX));
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self) -> Option<u64> {
        take(&mut self.0)
    }

    fn u32(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    /// A number of things of which each takes `bytes_each` bytes at least: never more than there can be.
    fn count(&mut self, bytes_each: usize) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.0.len().checked_div(bytes_each)?).then_some(count)
    }

    fn table(&mut self) -> Option<Places> {
        if self.number()? != VERSION {
            return None;
        }
        let kind = self.number()?;
        let cut = match self.number()? {
            0 => Cut::Frames,
            1 => Cut::WholeStream,
            2 => Cut::Unresolved(Obstacle::Fragments),
            3 => Cut::Unresolved(Obstacle::Form),
            4 => Cut::Unresolved(Obstacle::Empty),
            _ => return None,
        };
        match kind {
            0 => self.native(cut).map(Places::Native),
            1 => self.fragments(cut).map(Places::Fragments),
            _ => None,
        }
    }

    fn native(&mut self, cut: Cut) -> Option<Native> {
        let start = self.number()?;
        let len = self.number()?;
        let native = Native {
            value: start..start.checked_add(len)?,
            frame_bits: self.number()?,
            frames: self.u32()?,
            word_len: u8::try_from(self.number()?).ok()?,
            cut,
        };
        let needed = native.frame_bits.checked_mul(u64::from(native.frames))?;
        let fits = needed <= len.checked_mul(8)? && native.word_len <= MAX_WORD_LEN;
        fits.then_some(native)
    }

    fn fragments(&mut self, cut: Cut) -> Option<Fragments> {
        let count = self.count(2)?;
        let mut ranges = Vec::with_capacity(count);
        let mut end = 0_u64;
        for _ in 0..count {
            let start = end.checked_add(self.number()?)?;
            end = start.checked_add(self.number()?)?;
            ranges.push(start..end);
        }
        let frames = self.count(1)?;
        let mut firsts = Vec::with_capacity(frames);
        let mut next = 0_u32;
        for _ in 0..frames {
            firsts.push(next);
            next = next.checked_add(self.u32()?)?;
        }
        let complete = frames == 0 || usize::try_from(next).ok()? == count;
        complete.then_some(Fragments {
            ranges,
            firsts: (frames > 0).then_some(firsts),
            cut,
        })
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fragments(ranges: Vec<std::ops::Range<u64>>, firsts: Option<Vec<u32>>) -> FrameTable {
        FrameTable {
            places: Places::Fragments(Fragments {
                ranges,
                firsts,
                cut: Cut::Frames,
            }),
        }
    }

    fn comes_back(table: &FrameTable) -> Vec<u8> {
        let bytes = table.encode();
        assert_eq!(&FrameTable::decode(&bytes).unwrap(), table);
        assert!(FrameTable::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(FrameTable::decode(&[&bytes[..], &[0]].concat()).is_err());
        bytes
    }

    #[test]
    fn a_table_comes_back_and_is_small() {
        let native = |len: u64, frame_bits, frames| FrameTable {
            places: Places::Native(Native {
                value: 700..700 + len,
                frame_bits,
                frames,
                word_len: 2,
                cut: Cut::Frames,
            }),
        };
        assert!(comes_back(&native(10 << 30, 1 << 30, 80)).len() < 24);
        let over = native(10, 81, 1).encode();
        assert!(FrameTable::decode(&over).is_err(), "more frames than bits");

        let far = (0..1000_u64)
            .map(|i| (5 << 32) + i * 2008..(5 << 32) + i * 2008 + 2000)
            .collect();
        assert!(comes_back(&fragments(far, None)).len() < 3100);
        comes_back(&fragments(vec![8..10, 18..20, 28..31], Some(vec![0, 2])));
        comes_back(&fragments(Vec::new(), None));
    }

    #[test]
    fn a_count_beyond_the_bytes_allocates_nothing() {
        assert!(FrameTable::decode(&[1, 1, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0]).is_err());
        assert!(FrameTable::decode(&[1, 0, 0, 0xFF, 0xFF]).is_err());
        assert!(
            FrameTable::decode(&[2, 1, 0, 0, 0]).is_err(),
            "another version"
        );
        assert!(FrameTable::decode(&[]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_table_or_an_error(rest: Vec<u8>, kind in 0_u8..2, cut in 0_u8..5) {
            let bytes = [&[1, kind, cut], &rest[..]].concat();
            if let Ok(table) = FrameTable::decode(&bytes) {
                for index in [0, 1, table.frames().saturating_sub(1), u32::MAX] {
                    let _place = (table.frame(index), table.part(index));
                }
                prop_assert_eq!(FrameTable::decode(&table.encode()).unwrap(), table);
            }
        }

        #[test]
        fn any_fragments_come_back(gaps in prop::collection::vec((0_u64..1 << 40, 0_u64..1 << 32), 0..20)) {
            let mut end = 0;
            let ranges = gaps.iter().map(|(gap, len)| { let start = end + gap; end = start + len; start..end }).collect();
            comes_back(&fragments(ranges, None));
        }
    }
}
