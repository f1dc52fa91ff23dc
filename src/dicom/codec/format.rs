//! What the data set says of its pixels (PS3.3 C.7.6.3), read from the start of a file.

use super::{CodecError, MAX_FRAME_BYTES, Result};
use crate::dicom::head::{FileMeta, Head};
use crate::dicom::scan::{Header, ScanError, Sink};
use crate::model::Tag;

const SAMPLES_PER_PIXEL: Tag = Tag(0x0028, 0x0002);
const PHOTOMETRIC_INTERPRETATION: Tag = Tag(0x0028, 0x0004);
const PLANAR_CONFIGURATION: Tag = Tag(0x0028, 0x0006);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
const BITS_STORED: Tag = Tag(0x0028, 0x0101);
const HIGH_BIT: Tag = Tag(0x0028, 0x0102);
const PIXEL_REPRESENTATION: Tag = Tag(0x0028, 0x0103);

/// The last element that describes pixels: elements ascend, so that the long groups behind it need not be read.
const LAST: Tag = PIXEL_REPRESENTATION;

/// Photometric Interpretation (0028,0004).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Photometric {
    /// `MONOCHROME1`: the lowest value is white.
    Monochrome1,
    /// `MONOCHROME2`: the lowest value is black.
    Monochrome2,
    /// `PALETTE COLOR`.
    PaletteColor,
    /// `RGB`.
    Rgb,
    /// `YBR_FULL`.
    YbrFull,
    /// `YBR_FULL_422`.
    YbrFull422,
    /// `YBR_PARTIAL_420` and `YBR_PARTIAL_422`.
    YbrPartial,
    /// `YBR_ICT`.
    YbrIct,
    /// `YBR_RCT`.
    YbrRct,
    /// `XYB`.
    Xyb,
    /// Missing, or a term that is not known here.
    #[default]
    Unknown,
}

impl Photometric {
    /// The defined term `text`, padding included.
    pub fn parse(text: &[u8]) -> Self {
        let end = text.iter().rposition(|byte| !matches!(byte, 0 | b' '));
        match text.get(..end.map_or(0, |end| end.saturating_add(1))) {
            Some(b"MONOCHROME1") => Self::Monochrome1,
            Some(b"MONOCHROME2") => Self::Monochrome2,
            Some(b"PALETTE COLOR") => Self::PaletteColor,
            Some(b"RGB") => Self::Rgb,
            Some(b"YBR_FULL") => Self::YbrFull,
            Some(b"YBR_FULL_422") => Self::YbrFull422,
            Some(b"YBR_PARTIAL_420" | b"YBR_PARTIAL_422") => Self::YbrPartial,
            Some(b"YBR_ICT") => Self::YbrIct,
            Some(b"YBR_RCT") => Self::YbrRct,
            Some(b"XYB") => Self::Xyb,
            _ => Self::Unknown,
        }
    }

    /// The defined term; `None` for what is not known here.
    pub fn term(self) -> Option<&'static str> {
        Some(match self {
            Self::Monochrome1 => "MONOCHROME1",
            Self::Monochrome2 => "MONOCHROME2",
            Self::PaletteColor => "PALETTE COLOR",
            Self::Rgb => "RGB",
            Self::YbrFull => "YBR_FULL",
            Self::YbrFull422 => "YBR_FULL_422",
            Self::YbrPartial => "YBR_PARTIAL_420",
            Self::YbrIct => "YBR_ICT",
            Self::YbrRct => "YBR_RCT",
            Self::Xyb => "XYB",
            Self::Unknown => return None,
        })
    }

    /// Whether the samples are luminance and two differences of colour.
    pub fn is_ybr(self) -> bool {
        matches!(
            self,
            Self::YbrFull | Self::YbrFull422 | Self::YbrPartial | Self::YbrIct | Self::YbrRct
        )
    }
}

/// What is said of the pixels of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PixelFormat {
    /// Rows (0028,0010).
    pub rows: u16,
    /// Columns (0028,0011).
    pub columns: u16,
    /// Samples per Pixel (0028,0002); 1 where it is missing.
    pub samples_per_pixel: u16,
    /// Bits Allocated (0028,0100).
    pub bits_allocated: u16,
    /// Bits Stored (0028,0101); Bits Allocated where it is missing or more.
    pub bits_stored: u16,
    /// High Bit (0028,0102); Bits Stored - 1 where it is missing.
    pub high_bit: u16,
    /// Pixel Representation (0028,0103) is 1.
    pub is_signed: bool,
    /// Photometric Interpretation (0028,0004).
    pub photometric: Photometric,
    /// Planar Configuration (0028,0006): 1 for planes one behind the other; 0 where it is missing.
    pub planar_configuration: u16,
}

impl PixelFormat {
    /// Rows × columns.
    pub fn pixels(&self) -> u64 {
        u64::from(self.rows) * u64::from(self.columns)
    }

    /// Bytes of one sample, interleaved: 1 for single bits.
    pub fn sample_bytes(&self) -> usize {
        usize::from(self.bits_allocated).div_ceil(8)
    }

    /// Bytes of a decoded frame as [`Samples`](super::Samples) holds it.
    pub fn interleaved_bytes(&self) -> u64 {
        // 16 bits each times at most 8 bytes: no overflow.
        self.pixels()
            * u64::from(self.samples_per_pixel)
            * u64::from(self.bits_allocated).div_ceil(8)
    }

    /// Octets of a frame laid out natively, single bits packed, chroma whole.
    pub fn frame_bytes(&self) -> u64 {
        if self.bits_allocated == 1 {
            (self.pixels() * u64::from(self.samples_per_pixel)).div_ceil(8)
        } else {
            self.interleaved_bytes()
        }
    }

    /// Whether frames of this kind can be decoded at all.
    pub(super) fn check(&self) -> Result<()> {
        if self.pixels() == 0 || !matches!(self.samples_per_pixel, 1..=4) {
            return Err(CodecError::damaged(
                "Rows, Columns or Samples per Pixel is missing or no such number",
            ));
        }
        if !matches!(self.bits_allocated, 1 | 8 | 16 | 32 | 64) {
            let bits = self.bits_allocated;
            return Err(CodecError::unsupported(format!("Bits Allocated {bits}")));
        }
        if self.interleaved_bytes() > MAX_FRAME_BYTES {
            return Err(CodecError::TooLarge);
        }
        Ok(())
    }

    /// The format of [`Samples`](super::Samples) that hold what this describes.
    pub(super) fn interleaved(&self, photometric: Photometric) -> Self {
        Self {
            photometric,
            planar_configuration: 0,
            bits_allocated: self.bits_allocated.max(8),
            ..*self
        }
    }
}

/// A sink that reads the description of pixels, and is done as soon as it has passed.
#[derive(Debug, Default)]
pub struct Describe {
    format: PixelFormat,
    seen: Seen,
    /// The element at hand and the start of its value.
    at: Option<(Header, Vec<u8>)>,
    is_done: bool,
}

/// What stood in the file, where its absence means something.
#[derive(Debug, Default)]
struct Seen {
    bits_stored: Option<u16>,
    high_bit: Option<u16>,
}

/// The longest value that is kept: a term of Photometric Interpretation.
const MAX_VALUE_BYTES: usize = 16;

impl Describe {
    /// Before the first event.
    pub fn new() -> Self {
        let mut new = Self::default();
        new.format.samples_per_pixel = 1;
        new
    }

    /// Whether nothing more will come.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// The description as far as it was there.
    pub fn format(&self) -> PixelFormat {
        let format = self.format;
        let allocated = format.bits_allocated;
        let stored = self
            .seen
            .bits_stored
            .filter(|bits| (1..=allocated).contains(bits));
        let bits_stored = stored.unwrap_or(allocated);
        let high_bit = self.seen.high_bit.filter(|bit| *bit < allocated);
        PixelFormat {
            bits_stored,
            high_bit: high_bit.unwrap_or(bits_stored.saturating_sub(1)),
            ..format
        }
    }

    /// The description that a head holds.
    pub fn of(head: &Head) -> PixelFormat {
        let mut describe = Self::new();
        for element in head.top_level().filter(|it| it.tag.0 == LAST.0) {
            describe.take(element.tag, false, head.bytes(element));
        }
        describe.format()
    }

    fn take(&mut self, tag: Tag, big_endian: bool, value: &[u8]) {
        if tag == PHOTOMETRIC_INTERPRETATION {
            self.format.photometric = Photometric::parse(value);
            return;
        }
        let [low, high, ..] = *value else { return };
        let number = if big_endian {
            u16::from_be_bytes([low, high])
        } else {
            u16::from_le_bytes([low, high])
        };
        match tag {
            SAMPLES_PER_PIXEL => self.format.samples_per_pixel = number,
            PLANAR_CONFIGURATION => self.format.planar_configuration = number,
            ROWS => self.format.rows = number,
            COLUMNS => self.format.columns = number,
            BITS_ALLOCATED => self.format.bits_allocated = number,
            BITS_STORED => self.seen.bits_stored = Some(number),
            HIGH_BIT => self.seen.high_bit = Some(number),
            PIXEL_REPRESENTATION => self.format.is_signed = number == 1,
            _ => {}
        }
    }
}

impl Sink for Describe {
    fn meta(&mut self, _meta: &FileMeta) -> std::result::Result<(), ScanError> {
        Ok(())
    }

    fn element(&mut self, header: &Header) -> std::result::Result<(), ScanError> {
        if header.depth > 0 {
            return Ok(());
        }
        self.is_done |= (header.tag.0, header.tag.1) > (LAST.0, LAST.1);
        let wanted = header.tag.0 == LAST.0
            && header
                .len
                .is_some_and(|len| usize::try_from(len).is_ok_and(|len| len <= MAX_VALUE_BYTES));
        self.at = wanted.then(|| (*header, Vec::new()));
        Ok(())
    }

    fn value(&mut self, bytes: &[u8]) -> std::result::Result<(), ScanError> {
        if let Some((_, value)) = &mut self.at {
            let left = MAX_VALUE_BYTES.saturating_sub(value.len());
            value.extend(bytes.iter().take(left));
        }
        Ok(())
    }

    fn element_end(&mut self) -> std::result::Result<(), ScanError> {
        if let Some((header, value)) = self.at.take() {
            self.take(header.tag, header.big_endian, &value);
        }
        Ok(())
    }

    fn sequence_start(&mut self, header: &Header) -> std::result::Result<(), ScanError> {
        self.is_done |= header.depth == 0 && (header.tag.0, header.tag.1) > (LAST.0, LAST.1);
        Ok(())
    }

    fn item_start(&mut self, _offset: u64) -> std::result::Result<(), ScanError> {
        Ok(())
    }

    fn item_end(&mut self) -> std::result::Result<(), ScanError> {
        Ok(())
    }

    fn sequence_end(&mut self) -> std::result::Result<(), ScanError> {
        Ok(())
    }

    fn fragments_start(&mut self, _header: &Header) -> std::result::Result<(), ScanError> {
        self.is_done = true;
        Ok(())
    }

    fn fragment_start(&mut self, _: usize, _: u64, _: u32) -> std::result::Result<(), ScanError> {
        Ok(())
    }

    fn fragment_end(&mut self) -> std::result::Result<(), ScanError> {
        Ok(())
    }

    fn fragments_end(&mut self) -> std::result::Result<(), ScanError> {
        Ok(())
    }

    fn warn(&mut self, _text: String) {}
}
