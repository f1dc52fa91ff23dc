//! What stands before and behind the pixel data of a file whose pixels are written in another transfer syntax.

use std::collections::VecDeque;

use bytes::Bytes;
use dicom_core::VR::{CS, DS, OB, OW, US};

use super::{ITEM, SEQUENCE_DELIMITATION, ToExplicitLittle, UNDEFINED};
use crate::dicom::codec::{Photometric, PixelFormat};
use crate::dicom::head::FileMeta;
use crate::dicom::scan::{Header, ScanError, Sink};
use crate::model::{Tag, TransferSyntax, VR};

const PHOTOMETRIC_INTERPRETATION: Tag = Tag(0x0028, 0x0004);
const PLANAR_CONFIGURATION: Tag = Tag(0x0028, 0x0006);
const LOSSY_IMAGE_COMPRESSION: Tag = Tag(0x0028, 0x2110);
const LOSSY_IMAGE_COMPRESSION_RATIO: Tag = Tag(0x0028, 0x2112);
const LOSSY_IMAGE_COMPRESSION_METHOD: Tag = Tag(0x0028, 0x2114);
const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
/// Extended Offset Table and its lengths would be those of other fragments, and an icon may be compressed as the pixels are.
const LEFT_OUT: [Tag; 3] = [
    Tag(0x7FE0, 0x0001),
    Tag(0x7FE0, 0x0002),
    Tag(0x0088, 0x0200),
];

/// Which side of the pixel data is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// From the preamble on.
    Before,
    /// To the end of the file.
    Behind,
}

/// Elements of the top level that are written in place of those of the file.
pub type Edits = VecDeque<(Tag, VR, Vec<u8>)>;

/// A sink that writes one side of the pixel data in Explicit VR Little Endian.
#[derive(Debug)]
pub struct Around {
    writer: ToExplicitLittle,
    side: Side,
    edits: Edits,
    /// The pixel data have begun.
    is_past: bool,
    /// The element or sequence at hand is not written; for a sequence the number of open ones.
    drops: bool,
    dropped_depth: usize,
}

impl Around {
    /// For one side of the pixel data of a file that is to say it is in `target`. `edits` ascend by tag.
    pub fn new(
        writer: ToExplicitLittle,
        target: &'static TransferSyntax,
        side: Side,
        edits: Edits,
    ) -> Self {
        Self {
            writer: writer.in_syntax(target),
            side,
            edits,
            is_past: false,
            drops: false,
            dropped_depth: 0,
        }
    }

    /// What has been written of this side since the last call.
    pub fn take(&mut self) -> Bytes {
        let bytes = self.writer.take();
        let is_wanted = match self.side {
            Side::Before => true,
            Side::Behind => self.is_past,
        };
        if is_wanted { bytes } else { Bytes::new() }
    }

    /// Whether nothing more will come.
    pub fn is_done(&self) -> bool {
        self.side == Side::Before && self.is_past
    }

    /// Writes what stands before `tag`, and says whether the element of the file at `tag` is left out.
    fn reach(&mut self, tag: Tag) -> bool {
        let place = (tag.0, tag.1);
        let mut is_replaced = false;
        while let Some((next, vr, value)) = self
            .edits
            .pop_front_if(|(next, ..)| (next.0, next.1) <= place)
        {
            is_replaced = next == tag;
            let len = u32::try_from(value.len()).unwrap_or(u32::MAX);
            self.writer.put_header(next, vr, len);
            self.writer.out.extend(value);
        }
        is_replaced || LEFT_OUT.contains(&tag)
    }

    /// The pixel data begin: what was written belongs to the side before.
    fn pass(&mut self) {
        self.reach(PIXEL_DATA);
        self.is_past = true;
        if self.side == Side::Behind {
            drop(self.writer.take());
        }
        self.drops = true;
    }

    fn is_dropping(&self) -> bool {
        self.drops || self.dropped_depth > 0 || self.is_done()
    }
}

impl Sink for Around {
    fn meta(&mut self, meta: &FileMeta) -> Result<(), ScanError> {
        self.writer.meta(meta)
    }

    fn element(&mut self, header: &Header) -> Result<(), ScanError> {
        if header.depth == 0 && !self.is_done() {
            if header.tag == PIXEL_DATA {
                self.pass();
            } else {
                self.drops = self.reach(header.tag);
            }
        }
        if self.is_dropping() {
            return Ok(());
        }
        self.writer.element(header)
    }

    fn value(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        if self.is_dropping() {
            return Ok(());
        }
        self.writer.value(bytes)
    }

    fn element_end(&mut self) -> Result<(), ScanError> {
        if self.is_dropping() {
            self.drops = false;
            return Ok(());
        }
        self.writer.element_end()
    }

    fn sequence_start(&mut self, header: &Header) -> Result<(), ScanError> {
        let is_left_out = header.depth == 0 && !self.is_done() && self.reach(header.tag);
        if is_left_out || self.dropped_depth > 0 {
            self.dropped_depth = self.dropped_depth.saturating_add(1);
        }
        if self.is_dropping() {
            return Ok(());
        }
        self.writer.sequence_start(header)
    }

    fn item_start(&mut self, offset: u64) -> Result<(), ScanError> {
        if self.is_dropping() {
            return Ok(());
        }
        self.writer.item_start(offset)
    }

    fn item_end(&mut self) -> Result<(), ScanError> {
        if self.is_dropping() {
            return Ok(());
        }
        self.writer.item_end()
    }

    fn sequence_end(&mut self) -> Result<(), ScanError> {
        if self.is_dropping() {
            self.dropped_depth = self.dropped_depth.saturating_sub(1);
            return Ok(());
        }
        self.writer.sequence_end()
    }

    fn fragments_start(&mut self, header: &Header) -> Result<(), ScanError> {
        if header.depth == 0 && header.tag == PIXEL_DATA && !self.is_done() {
            self.pass();
        }
        if self.is_dropping() {
            return Ok(());
        }
        self.writer.fragments_start(header)
    }

    fn fragment_start(&mut self, number: usize, offset: u64, len: u32) -> Result<(), ScanError> {
        if self.is_dropping() {
            return Ok(());
        }
        self.writer.fragment_start(number, offset, len)
    }

    fn fragment_end(&mut self) -> Result<(), ScanError> {
        if self.is_dropping() {
            return Ok(());
        }
        self.writer.fragment_end()
    }

    fn fragments_end(&mut self) -> Result<(), ScanError> {
        if self.is_dropping() {
            self.drops = false;
            return Ok(());
        }
        self.writer.fragments_end()
    }

    fn warn(&mut self, _text: String) {}
}

/// What the data set has to say otherwise once its pixels are in `target`. `described` is what it says now, `samples` what a
/// decoder gave; `ratio` is how much smaller the frames became.
pub fn edits(
    described: &PixelFormat,
    samples: &PixelFormat,
    target: &TransferSyntax,
    ratio: f64,
) -> Edits {
    let mut edits = Edits::new();
    let photometric = photometric(samples, target);
    if photometric != described.photometric
        && let Some(term) = photometric.term()
    {
        edits.push_back((PHOTOMETRIC_INTERPRETATION, CS, even(term)));
    }
    if target.is_encapsulated() && described.samples_per_pixel > 1 {
        edits.push_back((PLANAR_CONFIGURATION, US, vec![0, 0]));
    }
    if target.lossy {
        edits.push_back((LOSSY_IMAGE_COMPRESSION, CS, even("01")));
        let ratio = format!("{ratio:.2}");
        edits.push_back((LOSSY_IMAGE_COMPRESSION_RATIO, DS, even(&ratio)));
        edits.push_back((LOSSY_IMAGE_COMPRESSION_METHOD, CS, even("ISO_10918_1")));
    }
    edits
}

/// The photometric interpretation of samples once they are in `target` (PS3.5 8.2).
fn photometric(samples: &PixelFormat, target: &TransferSyntax) -> Photometric {
    match (target.media_type, samples.photometric) {
        ("image/jphc" | "image/jp2", Photometric::Rgb) => Photometric::YbrRct,
        ("image/jpeg", Photometric::Rgb) if target.lossy => Photometric::YbrFull,
        (_, other) => other,
    }
}

fn even(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    if bytes.len() % 2 == 1 {
        bytes.push(b' ');
    }
    bytes
}

/// The header of native pixel data of `len` bytes, which are even.
pub fn native_header(described: &PixelFormat, len: u32) -> Vec<u8> {
    let vr = if described.bits_allocated > 8 { OW } else { OB };
    header(vr, len)
}

/// The header of encapsulated pixel data, with an empty offset table.
pub fn fragments_header() -> Vec<u8> {
    [header(OB, UNDEFINED), fragment_header(0)].concat()
}

/// The header of a fragment of `len` bytes, which are even.
pub fn fragment_header(len: u32) -> Vec<u8> {
    item(ITEM, len)
}

/// The end of encapsulated pixel data.
pub fn fragments_end() -> Vec<u8> {
    item(SEQUENCE_DELIMITATION, 0)
}

fn header(vr: VR, len: u32) -> Vec<u8> {
    let mut out = item(PIXEL_DATA, 0);
    out.truncate(4);
    out.extend(vr.to_bytes());
    out.extend([0, 0]);
    out.extend(len.to_le_bytes());
    out
}

fn item(Tag(group, element): Tag, len: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(8);
    out.extend(group.to_le_bytes());
    out.extend(element.to_le_bytes());
    out.extend(len.to_le_bytes());
    out
}
