//! How samples lie: by pixel or by plane, a byte or a bit each.

#![warn(clippy::arithmetic_side_effects, clippy::as_conversions)]

use super::{CodecError, Photometric, PixelFormat, Result, Samples};

/// A frame as its data set describes it, with its samples brought side by side.
pub(super) fn interleaved(described: &PixelFormat, frame: Vec<u8>) -> Samples {
    let planes = usize::from(described.samples_per_pixel);
    let is_planar = described.planar_configuration == 1 && planes > 1;
    let bytes = if is_planar {
        from_planes(&frame, planes, described.sample_bytes())
    } else {
        frame
    };
    Samples {
        format: described.interleaved(described.photometric),
        bytes,
    }
}

/// Planes one behind the other → the samples of a pixel side by side.
pub(super) fn from_planes(frame: &[u8], planes: usize, sample_bytes: usize) -> Vec<u8> {
    let plane_bytes = frame.len().checked_div(planes).unwrap_or_default();
    let mut bytes = vec![0; frame.len()];
    let pixel_bytes = planes.saturating_mul(sample_bytes);
    for (number, plane) in frame
        .chunks_exact(plane_bytes.max(1))
        .take(planes)
        .enumerate()
    {
        let at = number.saturating_mul(sample_bytes);
        let pixels = bytes.chunks_exact_mut(pixel_bytes.max(1));
        for (pixel, sample) in pixels.zip(plane.chunks_exact(sample_bytes.max(1))) {
            let end = at.saturating_add(sample_bytes);
            if let Some(place) = pixel.get_mut(at..end) {
                place.copy_from_slice(sample);
            }
        }
    }
    bytes
}

/// The samples of a pixel side by side → planes one behind the other.
fn to_planes(frame: &[u8], planes: usize, sample_bytes: usize) -> Vec<u8> {
    let pixel_bytes = planes.saturating_mul(sample_bytes).max(1);
    let mut bytes = Vec::with_capacity(frame.len());
    for number in 0..planes {
        let at = number.saturating_mul(sample_bytes);
        for pixel in frame.chunks_exact(pixel_bytes) {
            bytes.extend_from_slice(
                pixel
                    .get(at..at.saturating_add(sample_bytes))
                    .unwrap_or_default(),
            );
        }
    }
    bytes
}

/// A byte a pixel for a bit a pixel: the first pixel is the lowest bit (PS3.5 8.1.1).
pub(super) fn unpacked(described: &PixelFormat, packed: &[u8]) -> Result<Samples> {
    let count = usize::try_from(described.interleaved_bytes()).unwrap_or(usize::MAX);
    if packed.len() < count.div_ceil(8) {
        return Err(CodecError::damaged("it is shorter than the data set says"));
    }
    let bits = packed
        .iter()
        .flat_map(|byte| (0..8).map(move |bit| (byte >> bit) & 1));
    Ok(Samples {
        format: single_bits(described),
        bytes: bits.take(count).collect(),
    })
}

/// The format of single bits with a byte each.
pub(super) fn single_bits(described: &PixelFormat) -> PixelFormat {
    PixelFormat {
        bits_stored: 1,
        high_bit: 0,
        ..described.interleaved(described.photometric)
    }
}

/// Y Y Cb Cr, of which two pixels share the colour → Y Cb Cr, Y Cb Cr (PS3.3 C.7.6.3.1.2).
pub(super) fn whole_chroma(described: &PixelFormat, halved: &[u8]) -> Result<Samples> {
    let expected = usize::try_from(described.pixels().saturating_mul(2)).unwrap_or(usize::MAX);
    let pairs = halved
        .get(..expected)
        .ok_or_else(|| CodecError::damaged("it is shorter than the data set says"))?;
    let mut bytes = Vec::with_capacity(expected.saturating_mul(3).div_ceil(2));
    for pair in pairs.chunks_exact(4) {
        if let [first, second, blue, red] = *pair {
            bytes.extend_from_slice(&[first, blue, red, second, blue, red]);
        }
    }
    Ok(Samples {
        format: described.interleaved(Photometric::YbrFull),
        bytes,
    })
}

/// See [`super::octets`].
pub(super) fn as_described(samples: Samples, described: &PixelFormat) -> Vec<u8> {
    if described.bits_allocated == 1 {
        let pack = |bits: &[u8]| {
            let ones = bits.iter().zip(0..).filter(|(bit, _)| **bit != 0);
            ones.fold(0_u8, |byte, (_, at)| byte | (1 << at))
        };
        return samples.bytes.chunks(8).map(pack).collect();
    }
    let planes = usize::from(samples.format.samples_per_pixel);
    if described.planar_configuration == 1 && planes > 1 {
        to_planes(&samples.bytes, planes, samples.format.sample_bytes())
    } else {
        samples.bytes
    }
}
