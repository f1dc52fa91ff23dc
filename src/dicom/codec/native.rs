//! Native frames, and those whose fragments hold native frames, plain or deflated (PS3.5 8.1, A.4.11, A.4.13).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use flate2::{Decompress, FlushDecompress, Status};

use super::{CodecError, Photometric, PixelFormat, Result, Samples, layout};

/// Decodes a native frame in little endian that starts at bit 0.
pub(super) fn decode(format: &PixelFormat, stored: &[u8]) -> Result<Samples> {
    if format.bits_allocated == 1 {
        return layout::unpacked(format, stored);
    }
    if format.photometric == Photometric::YbrFull422 && is_half_chroma(format, stored) {
        return layout::whole_chroma(format, stored);
    }
    let expected = usize::try_from(format.interleaved_bytes()).unwrap_or(usize::MAX);
    let frame = stored
        .get(..expected)
        .ok_or_else(|| CodecError::damaged("it is shorter than the data set says"))?;
    Ok(layout::interleaved(format, frame.to_vec()))
}

/// Whether two pixels share a pair of colour values (PS3.3 C.7.6.3.1.2): some writers say so and store them whole.
fn is_half_chroma(format: &PixelFormat, stored: &[u8]) -> bool {
    let halved = format.pixels().saturating_mul(2);
    let len = u64::try_from(stored.len()).unwrap_or(u64::MAX);
    format.bits_allocated == 8
        && format.samples_per_pixel == 3
        && len < format.interleaved_bytes()
        && len >= halved
}

/// Decodes a raw deflate stream of a native frame; what follows its end is padding.
pub(super) fn inflate(format: &PixelFormat, stored: &[u8]) -> Result<Samples> {
    let expected = usize::try_from(format.frame_bytes()).unwrap_or(usize::MAX);
    let mut frame = Vec::with_capacity(expected);
    let mut inflater = Decompress::new(false);
    let mut left = stored;
    while frame.len() < expected {
        let (before_in, before_out) = (inflater.total_in(), frame.len());
        let status = inflater
            .decompress_vec(left, &mut frame, FlushDecompress::None)
            .map_err(|_| CodecError::damaged("it is no deflate stream"))?;
        let used = inflater.total_in().saturating_sub(before_in);
        left = left
            .get(usize::try_from(used).unwrap_or(usize::MAX)..)
            .unwrap_or_default();
        if status == Status::StreamEnd || (used == 0 && frame.len() == before_out) {
            break;
        }
    }
    decode(format, &frame)
}
