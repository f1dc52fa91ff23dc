//! JPEG-LS (ISO/IEC 14495-1), by `CharLS`.

use charls::{CharLS, FrameInfo, InterleaveMode};

use super::layout::from_planes;
use super::{CodecError, PixelFormat, Result, Samples, extend_signs, packed, precision, widen};

/// The end of a frame.
const END: [u8; 2] = [0xFF, 0xD9];

/// Decodes a frame.
pub(super) fn decode(format: &PixelFormat, stored: &[u8]) -> Result<Samples> {
    let failed = |e: charls::Error| CodecError::damaged(e.to_string());
    // `CharLS` 2.4 looks for minutes for the end of a frame that was cut off. One more end does no harm.
    let stored = &[stored, &END].concat()[..];
    // What it would become is asked first: CharLS reserves what the header names.
    let info = CharLS::default().get_frame_info(stored).map_err(failed)?;
    let found = (info.height, info.width, info.component_count);
    let expected = (
        u32::from(format.rows),
        u32::from(format.columns),
        i32::from(format.samples_per_pixel),
    );
    if found != expected {
        return Err(CodecError::damaged(format!(
            "rows, columns and samples are {found:?}, the data set says {expected:?}"
        )));
    }
    let bits = u16::try_from(info.bits_per_sample).unwrap_or(u16::MAX);
    if bits > format.bits_allocated.min(16) {
        return Err(CodecError::damaged(
            "it has more bits than the data set allocates",
        ));
    }
    let decode = |stored: &[u8]| CharLS::default().decode(stored).map_err(failed);
    let mut bytes = decode(stored).or_else(|error| {
        let unpadded = without_padding(stored);
        unpadded.map_or(Err(error), |unpadded| decode(&unpadded))
    })?;
    let planes = usize::from(format.samples_per_pixel);
    if planes > 1 && is_by_plane(stored) {
        bytes = from_planes(&bytes, planes, usize::from(bits.div_ceil(8)));
    }
    if bits <= 8 {
        bytes = widen(bytes, format);
    }
    extend_signs(&mut bytes, format, bits);
    Ok(Samples {
        format: format.interleaved(format.photometric),
        bytes,
    })
}

/// A frame without the zero byte that some writers put between its samples and its end, where `CharLS` looks for a marker.
fn without_padding(stored: &[u8]) -> Option<Vec<u8>> {
    let end = memchr::memmem::find(stored, &END)?;
    let samples = stored.get(..end)?.strip_suffix(&[0])?;
    Some([samples, &END].concat())
}

/// Whether each component has a scan of its own: the interleave mode of the first scan (C.2.3).
fn is_by_plane(stored: &[u8]) -> bool {
    let scan = stored.windows(2).position(|pair| pair == [0xFF, 0xDA]);
    let body = scan.and_then(|at| stored.get(at + 4..)).unwrap_or_default();
    let components = body.first().map_or(0, |count| usize::from(*count));
    body.get(2 + 2 * components) == Some(&0)
}

/// Encodes a frame without loss.
pub(super) fn encode(samples: &Samples) -> Result<Vec<u8>> {
    let failed =
        |e: charls::Error| CodecError::unsupported(format!("these samples in JPEG-LS: {e}"));
    let format = &samples.format;
    let bits = precision(samples).max(2);
    let mut codec = CharLS::default();
    if format.samples_per_pixel > 1 {
        codec
            .set_interleave_mode(InterleaveMode::Sample)
            .map_err(failed)?;
    }
    let info = FrameInfo {
        width: format.columns.into(),
        height: format.rows.into(),
        bits_per_sample: bits.into(),
        component_count: format.samples_per_pixel.into(),
    };
    codec
        .encode(info, 0, &packed(samples, bits))
        .map_err(failed)
}
