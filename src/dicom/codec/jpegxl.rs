//! JPEG XL (ISO/IEC 18181), by jxl-oxide.

use jxl_oxide::{AllocTracker, JxlImage, JxlThreadPool};

use super::{CodecError, Photometric, PixelFormat, Result, Samples};

/// What a frame may take while it is decoded: floats of its samples a few times over.
const BYTES_PER_SAMPLE: u64 = 64;
/// The least of it.
const SPARE_BYTES: u64 = 64 << 20;

/// Decodes a frame.
pub(super) fn decode(format: &PixelFormat, stored: &[u8]) -> Result<Samples> {
    let image = read(format, stored)?;
    let bits = image.image_header().metadata.bit_depth.bits_per_sample();
    if bits > u32::from(format.bits_allocated.min(16)) {
        return Err(CodecError::damaged(
            "it has more bits than the data set allocates",
        ));
    }
    let render = image.render_frame(0).map_err(failed)?;
    let frame = render.image_all_channels();
    let pixels = usize::from(format.rows) * usize::from(format.columns);
    let planes = usize::from(format.samples_per_pixel);
    let channels = frame.channels();
    if frame.width() * frame.height() != pixels || channels < planes {
        return Err(CodecError::damaged(
            "it has other samples than the data set says",
        ));
    }
    let largest = f32::from(u16::try_from((1_u32 << bits) - 1).unwrap_or(u16::MAX));
    let sample_bytes = format.sample_bytes();
    let mut bytes = Vec::with_capacity(pixels * planes * sample_bytes);
    for pixel in frame.buf().chunks_exact(channels) {
        for value in pixel.iter().take(planes) {
            let value = u64::from(whole(value * largest, largest)).to_le_bytes();
            bytes.extend_from_slice(value.get(..sample_bytes).unwrap_or_default());
        }
    }
    let photometric = if planes == 3 {
        Photometric::Rgb
    } else {
        format.photometric
    };
    Ok(Samples {
        format: format.interleaved(photometric),
        bytes,
    })
}

/// The JPEG that was recompressed (PS3.5 A.4.13, 1.2.840.10008.1.2.4.111), bit for bit.
pub(super) fn original(format: &PixelFormat, stored: &[u8]) -> Result<Vec<u8>> {
    let mut jpeg = Vec::new();
    read(format, stored)?
        .reconstruct_jpeg(&mut jpeg)
        .map_err(failed)?;
    Ok(jpeg)
}

/// Reads the codestream, once it is the picture that the data set says.
fn read(format: &PixelFormat, stored: &[u8]) -> Result<JxlImage> {
    let limit = format.interleaved_bytes() * BYTES_PER_SAMPLE + SPARE_BYTES;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut image = JxlImage::builder()
        .pool(JxlThreadPool::none())
        .alloc_tracker(AllocTracker::with_limit(limit))
        .read(stored)
        .map_err(failed)?;
    image.set_render_spot_color(false);
    let found = (image.height(), image.width());
    let expected = (u32::from(format.rows), u32::from(format.columns));
    if found != expected {
        return Err(CodecError::damaged(format!(
            "rows and columns are {found:?}, the data set says {expected:?}"
        )));
    }
    Ok(image)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between 0 and 65535"
)]
fn whole(value: f32, largest: f32) -> u16 {
    value.round().clamp(0.0, largest) as u16
}

#[expect(clippy::needless_pass_by_value, reason = "as map_err gives it")]
fn failed(error: Box<dyn std::error::Error + Send + Sync>) -> CodecError {
    CodecError::damaged(error.to_string())
}
