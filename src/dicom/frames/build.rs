//! The rules by which frames are found (dicomweb.md 7.3, PS3.5 8.1.1, 8.2 and A.4, PS3.3 C.7.6.3).
//!
//! Nothing here is allocated by what a file declares, only by what it holds.

use super::{Cut, Fragments, FrameTable, Native, Obstacle, Places};
use crate::dicom::head::{Fragment, Head, PixelPlace};
use crate::dicom::swap::word_len;
use crate::model::transfer_syntax::{Encoding, Pixels};
use crate::model::{Tag, TransferSyntax, VR};

use std::ops::Range;

const SAMPLES_PER_PIXEL: Tag = Tag(0x0028, 0x0002);
const PHOTOMETRIC_INTERPRETATION: Tag = Tag(0x0028, 0x0004);
const NUMBER_OF_FRAMES: Tag = Tag(0x0028, 0x0008);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
const FLOAT_PIXEL_DATA: Tag = Tag(0x7FE0, 0x0008);
const DOUBLE_FLOAT_PIXEL_DATA: Tag = Tag(0x7FE0, 0x0009);
const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);

impl FrameTable {
    /// Finds the frames of a scanned file; `None` if it has no pixel data (F07). What is odd is added to `warnings`, as
    /// fragments that name the tag. `transfer_syntax` is `None` where it is not known here.
    pub fn build(
        head: &Head,
        transfer_syntax: Option<&TransferSyntax>,
        warnings: &mut Vec<String>,
    ) -> Option<Self> {
        let places = match head.pixels.as_ref()? {
            PixelPlace::Native { tag, range } => {
                let mut native = native(head, *tag, range, transfer_syntax, warnings);
                if transfer_syntax.is_some_and(TransferSyntax::is_encapsulated) {
                    warnings.push(format!("{} is not encapsulated", head.named(*tag)));
                    native.cut = Cut::Unresolved(Obstacle::Form);
                }
                Places::Native(native)
            }
            PixelPlace::Encapsulated {
                origin,
                offset_table,
                fragments,
            } => {
                let source = Source {
                    origin: *origin,
                    fragments,
                    declared: declared_frames(head, warnings),
                    form: Form::of(transfer_syntax),
                };
                let mut found = match transfer_syntax.map(|syntax| syntax.pixels) {
                    _ if fragments.is_empty() => source.whole(Cut::Unresolved(Obstacle::Empty)),
                    Some(Pixels::Native) => source.whole(Cut::Unresolved(Obstacle::Form)),
                    Some(Pixels::Video) => source.whole(Cut::WholeStream),
                    Some(Pixels::EncapsulatedNative | Pixels::DeflatedFrames | Pixels::Frames)
                    | None => source.frames(head, offset_table, warnings),
                };
                if transfer_syntax.is_some_and(|s| s.pixels == Pixels::EncapsulatedNative) {
                    trim_native_frames(&mut found, frame_bits(head, PIXEL_DATA));
                }
                if let Cut::Unresolved(obstacle) = found.cut {
                    warnings.push(format!("{}: {}", head.named(PIXEL_DATA), obstacle.detail()));
                }
                Places::Fragments(found)
            }
        };
        Some(Self { places })
    }
}

/// A number of the head: US, or UL, or decimal text.
fn number(head: &Head, tag: Tag) -> Option<u64> {
    let element = head.element(tag)?;
    let bytes = head.bytes(element);
    match (element.vr, bytes) {
        (VR::US, [a, b, ..]) => Some(u64::from(u16::from_le_bytes([*a, *b]))),
        (VR::UL, [a, b, c, d, ..]) => Some(u64::from(u32::from_le_bytes([*a, *b, *c, *d]))),
        _ => std::str::from_utf8(bytes)
            .ok()?
            .split('\\')
            .next()?
            .trim_matches(['\0', ' '])
            .parse()
            .ok(),
    }
}

/// The frames the file declares; 1 where it says nothing or nothing that can be meant (F48).
fn declared_frames(head: &Head, warnings: &mut Vec<String>) -> u64 {
    match number(head, NUMBER_OF_FRAMES) {
        Some(frames) if frames > 0 => frames,
        None if head
            .element(NUMBER_OF_FRAMES)
            .is_none_or(|e| head.bytes(e).is_empty()) =>
        {
            1
        }
        _ => {
            warnings.push(format!(
                "{} is no number of frames, one is assumed",
                head.named(NUMBER_OF_FRAMES)
            ));
            1
        }
    }
}

/// The bits of a native frame, packed; 0 where the file does not say.
fn frame_bits(head: &Head, tag: Tag) -> u64 {
    let bits_allocated = match tag {
        FLOAT_PIXEL_DATA => Some(32),
        DOUBLE_FLOAT_PIXEL_DATA => Some(64),
        _ => number(head, BITS_ALLOCATED),
    };
    // Three factors of 16 bits and one of at most 32: no overflow that saturation would not settle, as no file is as long.
    [number(head, ROWS), number(head, COLUMNS), bits_allocated]
        .into_iter()
        .chain([Some(number(head, SAMPLES_PER_PIXEL).unwrap_or(1))])
        .try_fold(1_u64, |product, factor| {
            factor.map(|f| product.saturating_mul(f))
        })
        .unwrap_or(0)
}

/// Native pixel data: as many frames as declared, or as there are if that is fewer (F48).
fn native(
    head: &Head,
    tag: Tag,
    value: &Range<u64>,
    transfer_syntax: Option<&TransferSyntax>,
    warnings: &mut Vec<String>,
) -> Native {
    let declared = declared_frames(head, warnings);
    let stored_bits = value.end.saturating_sub(value.start).saturating_mul(8);
    let mut frame_bits = frame_bits(head, tag);
    // Two pixels share their chrominance: four samples for two pixels (PS3.3 C.7.6.3.1.2). Many files only say so, and hold
    // three samples a pixel: those are as long as that.
    let halved = head
        .element(PHOTOMETRIC_INTERPRETATION)
        .is_some_and(|e| head.bytes(e).trim_ascii_end() == b"YBR_FULL_422");
    if halved
        && number(head, SAMPLES_PER_PIXEL) == Some(3)
        && frame_bits.saturating_mul(declared) > stored_bits
    {
        frame_bits = (frame_bits / 3).saturating_mul(2);
    }
    let stored = stored_bits.checked_div(frame_bits).unwrap_or(0);
    if stored < declared {
        warnings.push(format!(
            "{} holds {stored} of {declared} frames",
            head.named(tag)
        ));
    }
    let big_endian = transfer_syntax.is_some_and(|s| s.encoding == Encoding::ExplicitBig);
    let vr = head.element(tag).map_or(VR::OW, |element| element.vr);
    Native {
        value: value.clone(),
        frame_bits,
        frames: u32::try_from(stored.min(declared)).unwrap_or(u32::MAX),
        word_len: if big_endian {
            word_len(tag, vr, number(head, BITS_ALLOCATED).unwrap_or(0))
        } else {
            1
        },
        cut: Cut::Frames,
    }
}

/// Takes the pad octet from frames that are uncompressed in their fragments (F42).
fn trim_native_frames(found: &mut Fragments, frame_bits: u64) {
    let len = frame_bits.div_ceil(8);
    if found.firsts.is_none() && found.cut == Cut::Frames {
        for range in &mut found.ranges {
            if range.end.checked_sub(range.start) == len.checked_add(1) {
                range.end = range.end.saturating_sub(1);
            }
        }
    }
}

/// How compressed frames start and end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Start and end of image (ISO/IEC 10918-1, 14495-1).
    Jpeg,
    /// Start of codestream and image size, or a JP2 signature box; end of codestream (ISO/IEC 15444-1).
    Jpeg2000,
    /// A codestream or a signature box (ISO/IEC 18181-2); nothing marks the end.
    JpegXl,
    /// The number of segments (PS3.5 G.5); nothing marks the end.
    Rle,
    /// No marks.
    Other,
}

impl Form {
    fn of(transfer_syntax: Option<&TransferSyntax>) -> Self {
        match transfer_syntax.map(|syntax| syntax.media_type) {
            Some("image/jpeg" | "image/jls") => Self::Jpeg,
            Some("image/jp2" | "image/jpx" | "image/jphc") => Self::Jpeg2000,
            Some("image/jxl") => Self::JpegXl,
            Some("image/dicom-rle") => Self::Rle,
            _ => Self::Other,
        }
    }

    fn starts(self, first: [u8; 4]) -> bool {
        match self {
            Self::Jpeg => first.starts_with(&[0xFF, 0xD8, 0xFF]),
            Self::Jpeg2000 => first == [0xFF, 0x4F, 0xFF, 0x51] || first == [0, 0, 0, 12],
            Self::JpegXl => first.starts_with(&[0xFF, 0x0A]) || first == [0, 0, 0, 12],
            Self::Rle => matches!(first, [1..=15, 0, 0, 0]),
            Self::Other => false,
        }
    }

    /// Whether the last bytes are an end marker, with up to two octets of padding.
    fn ends(self, last: [u8; 4]) -> bool {
        match self {
            Self::Jpeg | Self::Jpeg2000 => {
                matches!(
                    last,
                    [_, _, 0xFF, 0xD9] | [_, 0xFF, 0xD9, 0] | [0xFF, 0xD9, 0, 0]
                )
            }
            Self::JpegXl | Self::Rle | Self::Other => false,
        }
    }

    fn marks_ends(self) -> bool {
        matches!(self, Self::Jpeg | Self::Jpeg2000)
    }
}

/// Fragments and what is said of them.
struct Source<'a> {
    origin: u64,
    fragments: &'a [Fragment],
    declared: u64,
    form: Form,
}

impl Source<'_> {
    fn ranges(&self) -> Vec<Range<u64>> {
        let range = |f: &Fragment| f.offset..f.offset.saturating_add(u64::from(f.len));
        self.fragments.iter().map(range).collect()
    }

    fn whole(&self, cut: Cut) -> Fragments {
        Fragments {
            ranges: self.ranges(),
            firsts: None,
            cut,
        }
    }

    /// The first way that gives the declared number of frames; else the first that is certain in itself (F43 to F48).
    fn frames(&self, head: &Head, offset_table: &[u32], warnings: &mut Vec<String>) -> Fragments {
        let extended = head.extended_offsets.as_ref();
        let by_extended = extended.and_then(|(offsets, _)| self.by_table(offsets.iter().copied()));
        let by_basic = self.by_table(offset_table.iter().map(|offset| u64::from(*offset)));
        if extended.is_some() && by_extended.is_none() {
            warnings.push("(7FE0,0001) ExtendedOffsetTable does not fit the fragments".into());
        }
        if !offset_table.is_empty() && by_basic.is_none() {
            warnings.push(format!(
                "{}: the basic offset table does not fit the fragments",
                head.named(PIXEL_DATA)
            ));
        }
        let fits = |firsts: &Vec<u32>| u64::try_from(firsts.len()) == Ok(self.declared);
        let separate = self.are_images();
        let each = || self.of(|_, _| true);
        let filled = || {
            let mut firsts = self.of(|_, fragment| fragment.len > 0);
            // Empty fragments in front go with the first frame.
            firsts.iter_mut().take(1).for_each(|first| *first = 0);
            firsts
        };

        let fitting = by_extended.as_ref().filter(|firsts| fits(firsts));
        let fitting = fitting.or_else(|| by_basic.as_ref().filter(|firsts| fits(firsts)));
        let mut found = fitting.cloned().or_else(|| Some(each()).filter(fits));
        if found.is_none() {
            let tables = [&by_extended, &by_basic];
            let real = tables
                .into_iter()
                .flatten()
                .find(|firsts| self.start_images(firsts));
            let real = real.cloned().or_else(|| separate.then(each));
            found = match real {
                None if self.declared == 1 => Some(vec![0]),
                None => [filled()].into_iter().chain(self.by_markers()).find(fits),
                Some(_) => self.by_markers().into_iter().find(fits),
            };
            if let (None, Some(firsts)) = (&found, &real) {
                let (real, declared) = (firsts.len(), self.declared);
                let pixel_data = head.named(PIXEL_DATA);
                warnings.push(format!(
                    "{pixel_data} holds {real} frames, declared {declared}"
                ));
            }
            found = found.or(real);
        }
        let Some(firsts) = found else {
            return self.whole(Cut::Unresolved(Obstacle::Fragments));
        };
        let lengths = extended.filter(|_| by_extended.as_ref() == Some(&firsts));
        self.table(&firsts, lengths.map_or(&[], |(_, lengths)| lengths))
    }

    /// Indices of the fragments of which `is_first` holds, as far as an index of 32 bits goes.
    fn of(&self, is_first: impl Fn(usize, &Fragment) -> bool) -> Vec<u32> {
        let indexed = self.fragments.iter().enumerate();
        indexed
            .filter(|(at, fragment)| is_first(*at, fragment))
            .map_while(|(at, _)| u32::try_from(at).ok())
            .collect()
    }

    /// Frames start where a table says, if each of its offsets is that of an item and they ascend from the first one.
    fn by_table(&self, offsets: impl Iterator<Item = u64>) -> Option<Vec<u32>> {
        const ITEM_HEADER: u64 = 8;
        let mut firsts: Vec<u32> = Vec::new();
        for offset in offsets {
            let value = self.origin.checked_add(offset)?.checked_add(ITEM_HEADER)?;
            let at = self
                .fragments
                .binary_search_by_key(&value, |f| f.offset)
                .ok()?;
            let at = u32::try_from(at).ok()?;
            if firsts.last().is_some_and(|before| *before >= at) {
                return None;
            }
            firsts.push(at);
        }
        (firsts.first() == Some(&0)).then_some(firsts)
    }

    /// Whether each of the fragments `firsts` starts as an image does; a form without marks has nothing against it.
    fn start_images(&self, firsts: &[u32]) -> bool {
        self.form == Form::Other
            || firsts.iter().all(|at| {
                let fragment = usize::try_from(*at)
                    .ok()
                    .and_then(|at| self.fragments.get(at));
                fragment.is_some_and(|f| self.form.starts(f.first))
            })
    }

    /// Whether each of several fragments is an image from its start marker to its end marker.
    fn are_images(&self) -> bool {
        let whole = |f: &Fragment| self.form.starts(f.first) && self.form.ends(f.last);
        self.fragments.len() > 1 && self.fragments.iter().all(whole)
    }

    /// Frames start at start markers behind end markers, or behind end markers, or at start markers: the surest first, because
    /// a start marker alone may be compressed data (F47).
    fn by_markers(&self) -> Vec<Vec<u32>> {
        let starts = |f: &Fragment| self.form.starts(f.first);
        let ended = |at: usize| match at.checked_sub(1) {
            None => true,
            Some(before) => self
                .fragments
                .get(before)
                .is_some_and(|f| self.form.ends(f.last)),
        };
        let mut ways = Vec::new();
        if self.form.marks_ends() {
            ways.push(self.of(|at, fragment| starts(fragment) && ended(at)));
            ways.push(self.of(|at, _| ended(at)));
        }
        ways.push(self.of(|_, fragment| starts(fragment)));
        ways.retain(|firsts| firsts.first() == Some(&0));
        ways
    }

    /// The table for frames that start at the fragments `firsts`; `lengths` trim the padding of their last fragments (F45).
    fn table(&self, firsts: &[u32], lengths: &[u64]) -> Fragments {
        let mut ranges = self.ranges();
        let simple = firsts.len() == ranges.len();
        if simple {
            for (range, len) in ranges.iter_mut().zip(lengths) {
                // One octet is padding; a table that cuts more is wrong, and nothing is cut inside a frame (F49).
                if range.end.checked_sub(range.start) == len.checked_add(1) {
                    range.end = range.end.saturating_sub(1);
                }
            }
        }
        Fragments {
            ranges,
            firsts: (!simple).then(|| firsts.to_vec()),
            cut: Cut::Frames,
        }
    }
}
