//! Where each frame lies in a stored file (dicomweb.md 7.3), so that one frame is one read (F50).
//!
//! A table is built once, when a file is stored, from its head: `build.rs` holds the rules for native pixel data and for
//! offset tables and fragments. `encoding.rs` writes it for the index, `cut.rs` turns what was read into a frame.
//! Offsets count from the start of the file, or of the inflated file where the transfer syntax deflates it.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

mod build;
mod cut;
mod encoding;
#[cfg(test)]
mod tests;

use std::ops::Range;

pub use cut::Cutter;

/// What can be cut from the pixel data of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Frames.
    Frames,
    /// Nothing: it is one stream of video (F10).
    WholeStream,
    /// Nothing: the borders of the frames cannot be told (F47).
    Unresolved(Obstacle),
}

/// Why the borders of frames cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Neither tables nor markers in the fragments fit the number of frames.
    Fragments,
    /// The pixel data are native, the transfer syntax encapsulates, or the other way round.
    Form,
    /// There is no fragment at all.
    Empty,
}

impl Obstacle {
    /// The obstacle as a fragment of a message.
    pub fn detail(self) -> &'static str {
        match self {
            Self::Fragments => "the borders of the frames cannot be told from the fragments",
            Self::Form => "the form of the pixel data is not that of the transfer syntax",
            Self::Empty => "the pixel data have no fragments",
        }
    }
}

/// Where each frame lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameTable {
    places: Places,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Places {
    Native(Native),
    Fragments(Fragments),
}

/// Equal frames one behind the other.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Native {
    /// The value in the file; frames may end before it does.
    value: Range<u64>,
    frame_bits: u64,
    frames: u32,
    /// Length of words that are to be turned: 1 in little endian files.
    word_len: u8,
    cut: Cut,
}

/// Fragments in the order of the file, padding trimmed where the file says so.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fragments {
    ranges: Vec<Range<u64>>,
    /// The first fragment of each frame; `None`: one fragment is one frame.
    firsts: Option<Vec<u32>>,
    cut: Cut,
}

/// Where one frame, or one part of a whole value, lies, and what is to be done with the bytes read there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FramePlace {
    /// Ranges of the file, to be read and joined in this order.
    pub ranges: Vec<Range<u64>>,
    /// Length of words whose octets are to be turned around: 1 where there is nothing to turn.
    pub word_len: u8,
    /// Bits before the first one of the frame, after turning; under 64.
    pub first_bit: u8,
    /// Number of bits.
    pub bits: u64,
}

impl FramePlace {
    /// The length of the frame in bytes.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a length to announce, not a collection"
    )]
    pub fn len(&self) -> u64 {
        self.bits.div_ceil(8)
    }

    /// The number of bytes to read.
    pub fn stored_len(&self) -> u64 {
        total(&self.ranges)
    }

    /// Whether the bytes read are the frame; else they go through a [`Cutter`].
    pub fn is_verbatim(&self) -> bool {
        self.word_len <= 1
            && self.first_bit == 0
            && self.bits == self.stored_len().saturating_mul(8)
    }

    /// Where a part of these bytes lies; `None` for bytes that are not read as they are, or beyond their end.
    #[must_use]
    pub fn slice(&self, part: Range<u64>) -> Option<Self> {
        if !self.is_verbatim() || part.start > part.end || part.end > self.len() {
            return None;
        }
        let mut ranges = Vec::new();
        let mut before = 0_u64;
        for range in &self.ranges {
            let len = range.end.saturating_sub(range.start);
            let from = part.start.saturating_sub(before).min(len);
            let to = part.end.saturating_sub(before).min(len);
            if from < to {
                let (start, end) = (range.start.checked_add(from)?, range.start.checked_add(to)?);
                ranges.push(start..end);
            }
            before = before.checked_add(len)?;
        }
        Some(Self::verbatim(ranges))
    }

    fn verbatim(ranges: Vec<Range<u64>>) -> Self {
        Self {
            bits: total(&ranges).saturating_mul(8),
            ranges,
            word_len: 1,
            first_bit: 0,
        }
    }
}

fn total(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().fold(0, |sum, r| {
        sum.saturating_add(r.end.saturating_sub(r.start))
    })
}

impl FrameTable {
    /// What can be cut.
    pub fn cut(&self) -> Cut {
        match &self.places {
            Places::Native(native) => native.cut,
            Places::Fragments(fragments) => fragments.cut,
        }
    }

    /// Whether the pixel data are native, one value without fragments.
    pub fn is_native(&self) -> bool {
        matches!(self.places, Places::Native(_))
    }

    /// The number of frames that can be had: what is there, whatever `NumberOfFrames` says (F48); 0 where nothing can be cut.
    pub fn frames(&self) -> u32 {
        if self.cut() != Cut::Frames {
            return 0;
        }
        match &self.places {
            Places::Native(native) => native.frames,
            Places::Fragments(Fragments { ranges, firsts, .. }) => {
                let count = firsts.as_ref().map_or(ranges.len(), Vec::len);
                u32::try_from(count).unwrap_or(u32::MAX)
            }
        }
    }

    /// Where frame `frame_index` (from 0) lies; `None` beyond the last.
    pub fn frame(&self, frame_index: u32) -> Option<FramePlace> {
        if frame_index >= self.frames() {
            return None;
        }
        match &self.places {
            Places::Native(native) => native.frame(frame_index),
            Places::Fragments(fragments) => fragments.frame(frame_index),
        }
    }

    /// The number of parts in which the whole value is served: one for native pixel data and for what cannot be cut, else one
    /// a frame (J42).
    pub fn parts(&self) -> u32 {
        match (&self.places, self.cut()) {
            (Places::Fragments(_), Cut::Frames) => self.frames(),
            _ => 1,
        }
    }

    /// Where part `part_index` (from 0) of the whole value lies.
    pub fn part(&self, part_index: u32) -> Option<FramePlace> {
        if part_index >= self.parts() {
            return None;
        }
        match (&self.places, self.cut()) {
            (Places::Fragments(_), Cut::Frames) => self.frame(part_index),
            (Places::Fragments(fragments), _) => {
                Some(FramePlace::verbatim(fragments.ranges.clone()))
            }
            (Places::Native(native), _) => {
                let mut place = FramePlace::verbatim(vec![native.value.clone()]);
                place.word_len = native.word_len;
                Some(place)
            }
        }
    }

    /// The sum of the lengths of all the parts in bytes.
    pub fn total_bytes(&self) -> u64 {
        match &self.places {
            Places::Native(native) => native.value.end.saturating_sub(native.value.start),
            Places::Fragments(fragments) => total(&fragments.ranges),
        }
    }
}

impl Native {
    fn frame(&self, frame_index: u32) -> Option<FramePlace> {
        let word_len = u64::from(self.word_len.max(1));
        let word_bits = word_len.checked_mul(8)?;
        let first = self.frame_bits.checked_mul(u64::from(frame_index))?;
        let end = first.checked_add(self.frame_bits)?;
        let start_byte = first.checked_div(word_bits)?.checked_mul(word_len)?;
        let end_byte = end.div_ceil(word_bits).checked_mul(word_len)?;
        let start = self.value.start.checked_add(start_byte)?;
        let end = self.value.start.checked_add(end_byte)?.min(self.value.end);
        Some(FramePlace {
            ranges: std::iter::once(start..end.max(start)).collect(),
            word_len: self.word_len,
            first_bit: u8::try_from(first.checked_rem(word_bits)?).ok()?,
            bits: self.frame_bits,
        })
    }
}

impl Fragments {
    fn frame(&self, frame_index: u32) -> Option<FramePlace> {
        let index = usize::try_from(frame_index).ok()?;
        let ranges = match &self.firsts {
            None => vec![self.ranges.get(index)?.clone()],
            Some(firsts) => {
                let from = usize::try_from(*firsts.get(index)?).ok()?;
                let to = match firsts.get(index.checked_add(1)?) {
                    Some(next) => usize::try_from(*next).ok()?,
                    None => self.ranges.len(),
                };
                self.ranges.get(from..to)?.to_vec()
            }
        };
        Some(FramePlace::verbatim(ranges))
    }
}
