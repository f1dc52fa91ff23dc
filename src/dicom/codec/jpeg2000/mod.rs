//! JPEG 2000 and High-Throughput JPEG 2000 (ISO/IEC 15444-1 and -15): read by `OpenJPEG` in Rust. The first is written here, the
//! second by another crate, whose every frame is read again before it counts.
//!
//! ```text
//! samples ─▶ wavelet ─▶ block (contexts, MQ coder) ─▶ packet ─▶ codestream
//! ```

mod block;
mod codestream;
mod context;
mod mq;
mod packet;
#[cfg(test)]
mod tests;
mod wavelet;

use dicom_toolkit_jpeg2000::{EncodeOptions, encode_htj2k};
use jpeg2k::{DecodeParameters, Image};

use self::codestream::Picture;
use super::{CodecError, Photometric, PixelFormat, Result, Samples, packed, precision};

/// Start of codestream and image size markers.
const START: [u8; 4] = [0xFF, 0x4F, 0xFF, 0x51];

/// Decodes a frame.
pub(super) fn decode(format: &PixelFormat, stored: &[u8]) -> Result<Samples> {
    // A few writers wrap the codestream as a file; its boxes have nothing to say in DICOM (PS3.5 A.4.4).
    let start = memchr::memmem::find(stored, &START);
    let stream = start.and_then(|at| stored.get(at..)).unwrap_or_default();
    check_size(format, stream)?;
    let parameters = DecodeParameters::default().strict(false);
    let image = Image::from_bytes_with(stream, parameters)
        .map_err(|e| CodecError::damaged(e.to_string()))?;
    let components = image.components();
    let pixels = usize::try_from(format.pixels()).unwrap_or(usize::MAX);
    let is_whole = |it: &jpeg2k::ImageComponent| {
        u64::from(it.width()) * u64::from(it.height()) == format.pixels()
    };
    if components.len() != usize::from(format.samples_per_pixel) || !components.iter().all(is_whole)
    {
        return Err(CodecError::unsupported(
            "JPEG 2000 with subsampled components",
        ));
    }
    let sample_bytes = format.sample_bytes();
    let mut bytes = vec![0; pixels * components.len() * sample_bytes];
    for (number, component) in components.iter().enumerate() {
        let bits = component.precision();
        if bits > u32::from(format.bits_allocated) {
            return Err(CodecError::damaged(
                "it has more bits than the data set allocates",
            ));
        }
        let every = bytes
            .chunks_exact_mut(sample_bytes)
            .skip(number)
            .step_by(components.len());
        for (place, value) in every.zip(component.data()) {
            let value = as_said(*value, bits, format.is_signed).to_le_bytes();
            let value = value.get(..sample_bytes).unwrap_or_default();
            place
                .get_mut(..value.len())
                .unwrap_or_default()
                .copy_from_slice(value);
        }
    }
    Ok(Samples {
        format: format.interleaved(photometric(format)),
        bytes,
    })
}

/// What the components are once the transform of the codestream is undone.
fn photometric(format: &PixelFormat) -> Photometric {
    let is_transformed = matches!(
        format.photometric,
        Photometric::YbrRct | Photometric::YbrIct
    );
    if is_transformed {
        Photometric::Rgb
    } else {
        format.photometric
    }
}

/// A sample of `bits` bits, signed or not as the data set says: some writers say it otherwise in the codestream.
fn as_said(value: i32, bits: u32, is_signed: bool) -> i32 {
    let unused = 32_u32.saturating_sub(bits.clamp(1, 32));
    if is_signed {
        (value << unused) >> unused
    } else {
        value & (-1_i32).cast_unsigned().wrapping_shr(unused).cast_signed()
    }
}

/// The size that the codestream names is that of the data set (A.5.1): nothing is reserved by another.
fn check_size(format: &PixelFormat, stream: &[u8]) -> Result<()> {
    let long = |at: usize| {
        let bytes = stream.get(at..at.checked_add(4)?)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let side = |end: usize, start: usize| long(end)?.checked_sub(long(start)?);
    let components = stream
        .get(40..42)
        .map(|it| u16::from_be_bytes([it[0], it[1]]));
    let found = (side(12, 20), side(8, 16), components);
    let expected = (
        Some(u32::from(format.rows)),
        Some(u32::from(format.columns)),
        Some(format.samples_per_pixel),
    );
    if found == expected {
        return Ok(());
    }
    Err(CodecError::damaged(
        "rows, columns and samples of the codestream are not those of the data set",
    ))
}

/// The most samples of a frame that is written: each has four bytes on the way.
const MAX_SAMPLES: u64 = 1 << 27;

/// Whether a frame is written: one tile, one precinct a resolution.
pub(super) fn is_written(format: &PixelFormat) -> bool {
    let samples = format.pixels() * u64::from(format.samples_per_pixel);
    format.rows.max(format.columns) <= codestream::MAX_SIDE && samples <= MAX_SAMPLES
}

/// Encodes a frame without loss in JPEG 2000.
pub(super) fn encode(samples: &Samples) -> Result<Vec<u8>> {
    let format = &samples.format;
    if !is_written(format) {
        return Err(CodecError::unsupported("frames of that size in JPEG 2000"));
    }
    let bits = precision(samples);
    let picture = Picture {
        width: format.columns.into(),
        height: format.rows.into(),
        bits: u8::try_from(bits).unwrap_or(u8::MAX),
        is_signed: format.is_signed,
        is_rgb: format.photometric == Photometric::Rgb && format.samples_per_pixel == 3,
        components: u8::try_from(format.samples_per_pixel).unwrap_or(u8::MAX),
    };
    let sample_bytes = format.sample_bytes();
    let value = |sample: &[u8]| {
        let number = sample
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | i32::from(*byte));
        as_said(number, bits.into(), format.is_signed)
    };
    let components = (0..picture.components).map(|component| {
        let every = samples.bytes.chunks_exact(sample_bytes);
        let every = every
            .skip(component.into())
            .step_by(picture.components.into());
        every.map(value).collect()
    });
    Ok(codestream::write(&picture, components.collect()))
}

/// Encodes a frame without loss in High-Throughput JPEG 2000.
pub(super) fn encode_high_throughput(samples: &Samples) -> Result<Vec<u8>> {
    let format = &samples.format;
    let bits = precision(samples);
    let failed =
        |reason: &str| CodecError::unsupported(format!("these samples in JPEG 2000: {reason}"));
    let stream = encode_htj2k(
        &packed(samples, bits),
        format.columns.into(),
        format.rows.into(),
        u8::try_from(format.samples_per_pixel).unwrap_or(u8::MAX),
        u8::try_from(bits).unwrap_or(u8::MAX),
        format.is_signed,
        &EncodeOptions::default(),
    )
    .map_err(failed)?;
    if decode(format, &stream)?.bytes == samples.bytes {
        Ok(stream)
    } else {
        Err(failed("what was written reads differently"))
    }
}
