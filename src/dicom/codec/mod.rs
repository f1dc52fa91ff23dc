//! Pixels: stored frames become samples, samples become frames of another transfer syntax (dicomweb.md 2.5, PS3.5 section 8).
//!
//! One file a family of transfer syntaxes; [`FAMILIES`] is the table of what can be decoded and encoded. A stored frame is
//! hostile: what it may become is computed from the data set first ([`PixelFormat::frame_bytes`]), a decoder gives exactly
//! that or an error. Decoders that are not ours may panic on hostile frames, which is an error too.

mod family;
mod format;
mod layout;
mod native;
mod rle;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use self::format::{Describe, Photometric, PixelFormat};
use crate::dicom::codec::family::FAMILIES;
use crate::model::TransferSyntax;

/// The longest frame that is decoded (dicomweb.md section 17).
pub const MAX_FRAME_BYTES: u64 = 512 << 20;

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

/// The octets of a decoded frame laid out as its data set describes it: by planes where it says planes, single bits packed
/// (F40, F41). `described` is what [`decode`] was given.
pub fn octets(samples: Samples, described: &PixelFormat) -> Vec<u8> {
    layout::as_described(samples, described)
}
