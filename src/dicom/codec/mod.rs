//! Pixels: stored frames become samples, samples become frames of another transfer syntax (dicomweb.md 2.5, PS3.5 section 8).
//!
//! One file a family of transfer syntaxes; [`FAMILIES`] is the table of what can be decoded and encoded. A stored frame is
//! hostile: what it may become is computed from the data set first ([`PixelFormat::frame_bytes`]), a decoder gives exactly
//! that or an error. Decoders that are not ours may panic on hostile frames, which is an error too.

pub mod available;
mod family;
mod format;
mod jpeg;
mod jpeg2000;
mod jpegls;
mod jpegxl;
mod layout;
mod native;
mod rle;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use self::family::{ENCODERS, FAMILIES};
pub use self::format::{Describe, Photometric, PixelFormat};
use crate::model::TransferSyntax;

/// The longest frame that is decoded (dicomweb.md section 17).
pub const MAX_FRAME_BYTES: u64 = 512 << 20;

/// JPEG XL JPEG Recompression.
const JPEG_RECOMPRESSION: &str = "1.2.840.10008.1.2.4.111";
/// The transfer syntax of the JPEG inside of it: JPEG Baseline.
pub const ORIGINAL_JPEG: &str = "1.2.840.10008.1.2.4.50";

/// A decoded frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Samples {
    /// What the bytes are now: samples interleaved by pixel (`planar_configuration` 0), chroma never subsampled, and
    /// `photometric` that of the samples (RGB where a decoder made RGB of YBR).
    pub format: PixelFormat,
    /// Little endian, `bits_allocated` 8, 16, 32 or 64. A frame of single bits has a byte a pixel, and its `format` says so:
    /// `bits_allocated` 8, `bits_stored` 1.
    pub bytes: Vec<u8>,
}

/// Why a frame cannot be decoded or encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodecError {
    /// There is no codec for this transfer syntax, or not for such pixels.
    Unsupported(Cow<'static, str>),
    /// The frame would be longer than [`MAX_FRAME_BYTES`].
    TooLarge,
    /// The stored frame is not what its data set says, or no frame of its transfer syntax at all.
    Damaged(Cow<'static, str>),
}

impl CodecError {
    fn damaged(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Damaged(reason.into())
    }

    fn unsupported(reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Unsupported(reason.into())
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported(what) => write!(f, "there is no codec for {what}"),
            Self::TooLarge => f.write_str("the frame is longer than 512 MiB"),
            Self::Damaged(reason) => write!(f, "the stored frame cannot be decoded: {reason}"),
        }
    }
}

impl std::error::Error for CodecError {}

/// The result of a codec.
pub type Result<T> = std::result::Result<T, CodecError>;

/// Whether frames of `syntax` can be decoded.
pub fn can_decode(syntax: &TransferSyntax) -> bool {
    FAMILIES.iter().any(|family| family.decodes(syntax))
}

/// Decodes one frame, as [`FrameTable`](super::frames::FrameTable) cuts it: native ones little endian from bit 0 on,
/// compressed ones their fragments joined. `format` is what the data set says.
///
/// # Errors
/// [`CodecError`]; the frame alone is to blame.
pub fn decode(syntax: &TransferSyntax, format: &PixelFormat, stored: &[u8]) -> Result<Samples> {
    format.check()?;
    let family = FAMILIES.iter().find(|family| family.decodes(syntax));
    let family = family.ok_or_else(|| CodecError::unsupported(syntax.name))?;
    let work = AssertUnwindSafe(|| (family.decode)(format, stored));
    let samples = catch_unwind(work)
        .unwrap_or_else(|_| Err(CodecError::damaged("the decoder gave up on it")))?;
    let expected = samples.format.interleaved_bytes();
    if samples.bytes.len() as u64 != expected {
        let has = samples.bytes.len();
        let reason = format!("it has {has} bytes of samples, the data set says {expected}");
        return Err(CodecError::Damaged(reason.into()));
    }
    Ok(samples)
}

/// Whether frames can be made in `syntax` of pixels that the data set describes so. Those of single bits are not encoded.
pub fn can_encode(syntax: &TransferSyntax, format: &PixelFormat) -> bool {
    let encoder = ENCODERS.iter().find(|it| it.uid == syntax.uid);
    encoder.is_some_and(|it| (it.takes)(format)) && format.check().is_ok()
}

/// The transfer syntaxes in which frames can be made, of some pixels or other, native ones aside.
pub fn encodable() -> impl Iterator<Item = &'static TransferSyntax> {
    ENCODERS.iter().filter_map(|it| TransferSyntax::of(it.uid))
}

/// Encodes one frame.
///
/// # Errors
/// [`CodecError::Unsupported`] if such samples cannot be encoded in `syntax`.
pub fn encode(syntax: &TransferSyntax, samples: &Samples) -> Result<Vec<u8>> {
    let encoder = ENCODERS.iter().find(|it| it.uid == syntax.uid);
    let encoder = encoder.filter(|it| (it.takes)(&samples.format));
    let encoder = encoder
        .ok_or_else(|| CodecError::unsupported(format!("such pixels in {}", syntax.name)))?;
    let work = AssertUnwindSafe(|| (encoder.encode)(samples));
    catch_unwind(work).unwrap_or_else(|_| {
        Err(CodecError::unsupported(
            "these samples: the encoder gave up",
        ))
    })
}

/// The JPEG that a frame of `syntax` was made of, bit for bit; `None` if that is not how frames of `syntax` are made.
///
/// # Errors
/// As [`decode`].
pub fn original_jpeg(
    syntax: &TransferSyntax,
    format: &PixelFormat,
    stored: &[u8],
) -> Option<Result<Vec<u8>>> {
    if syntax.uid != JPEG_RECOMPRESSION {
        return None;
    }
    let work = AssertUnwindSafe(|| jpegxl::original(format, stored));
    let gave_up = |_| Err(CodecError::damaged("the decoder gave up on it"));
    Some(catch_unwind(work).unwrap_or_else(gave_up))
}

/// The octets of a decoded frame laid out as its data set describes it: by planes where it says planes, single bits packed
/// (F40, F41). `described` is what [`decode`] was given.
pub fn octets(samples: Samples, described: &PixelFormat) -> Vec<u8> {
    layout::as_described(samples, described)
}

/// Samples of a byte each with the bytes that the data set allocates.
fn widen(bytes: Vec<u8>, format: &PixelFormat) -> Vec<u8> {
    let sample_bytes = format.sample_bytes();
    if sample_bytes == 1 {
        return bytes;
    }
    let mut wide = vec![0; bytes.len() * sample_bytes];
    for (place, byte) in wide.iter_mut().step_by(sample_bytes).zip(bytes) {
        *place = byte;
    }
    wide
}

/// Carries the sign of samples of `bits` bits through all that are allocated, where the data set says that they have one.
fn extend_signs(bytes: &mut [u8], format: &PixelFormat, bits: u16) {
    if !format.is_signed || bits == 0 || bits >= format.bits_allocated {
        return;
    }
    let unused = 64 - u32::from(bits);
    for sample in bytes.chunks_exact_mut(format.sample_bytes()) {
        let number = sample
            .iter()
            .rev()
            .fold(0_i64, |number, byte| (number << 8) | i64::from(*byte));
        let number = ((number << unused) >> unused).to_le_bytes();
        sample
            .iter_mut()
            .zip(number)
            .for_each(|(place, byte)| *place = byte);
    }
}

/// The bits that samples need: Bits Stored, unless something stands above them, as overlays once did.
fn precision(samples: &Samples) -> u16 {
    let format = &samples.format;
    let unused = 64 - u32::from(format.bits_stored.clamp(1, 64));
    let fits = |sample: &[u8]| {
        let number = sample
            .iter()
            .rev()
            .fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
        let top = 64 - u32::from(format.bits_allocated.clamp(1, 64));
        if format.is_signed {
            let number = (number << top).cast_signed() >> top;
            (number << unused) >> unused == number
        } else {
            (number << unused) >> unused == number
        }
    };
    if samples.bytes.chunks_exact(format.sample_bytes()).all(fits) {
        format.bits_stored
    } else {
        format.bits_allocated
    }
}

/// Samples of `bits` bits in as few bytes as hold them, nothing above.
fn packed(samples: &Samples, bits: u16) -> Vec<u8> {
    let used = usize::from(bits.div_ceil(8));
    let top = 0xFF_u8 >> ((8 - bits % 8) % 8);
    let mut bytes = Vec::with_capacity(samples.bytes.len());
    for sample in samples.bytes.chunks_exact(samples.format.sample_bytes()) {
        bytes.extend(sample.iter().take(used));
        if let Some(last) = bytes.last_mut() {
            *last &= top;
        }
    }
    bytes
}
