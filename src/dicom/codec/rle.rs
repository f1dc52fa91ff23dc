//! RLE Lossless (PS3.5 annex G): each byte of each sample is a segment of its own, the highest byte first.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::{CodecError, PixelFormat, Result, Samples, layout};

/// A number of segments and fifteen offsets, four bytes each (G.5).
const HEADER_BYTES: usize = 64;

/// Decodes a frame.
pub(super) fn decode(format: &PixelFormat, stored: &[u8]) -> Result<Samples> {
    let segments = segments(stored)?;
    if format.bits_allocated == 1 {
        return single_bits(format, &segments);
    }
    let sample_bytes = format.sample_bytes();
    let planes = usize::from(format.samples_per_pixel);
    let expected = planes.saturating_mul(sample_bytes);
    if segments.len() != expected {
        let has = segments.len();
        let reason = format!("it has {has} segments, the data set says {expected}");
        return Err(CodecError::Damaged(reason.into()));
    }
    let pixels = usize::try_from(format.pixels()).unwrap_or(usize::MAX);
    let mut bytes = vec![0; pixels.saturating_mul(expected)];
    for (number, segment) in segments.iter().enumerate() {
        let sample = number.checked_div(sample_bytes).unwrap_or_default();
        let from_top = number.checked_rem(sample_bytes).unwrap_or_default();
        let place = sample
            .saturating_mul(sample_bytes)
            .saturating_add(sample_bytes.saturating_sub(1).saturating_sub(from_top));
        let unpacked = unpack(segment, pixels)?;
        let every = bytes.iter_mut().skip(place).step_by(expected.max(1));
        for (byte, new) in every.zip(unpacked) {
            *byte = new;
        }
    }
    Ok(Samples {
        format: format.interleaved(format.photometric),
        bytes,
    })
}

/// Single bits: packed in one segment, or a byte each as some writers have it.
fn single_bits(format: &PixelFormat, segments: &[&[u8]]) -> Result<Samples> {
    let [segment] = segments else {
        return Err(CodecError::damaged("single bits have one segment"));
    };
    let count = usize::try_from(format.interleaved_bytes()).unwrap_or(usize::MAX);
    match unpack(segment, count) {
        Ok(bytes) => Ok(Samples {
            format: layout::single_bits(format),
            bytes,
        }),
        Err(_) => layout::unpacked(format, &unpack(segment, count.div_ceil(8))?),
    }
}

/// The segments that the header names.
fn segments(stored: &[u8]) -> Result<Vec<&[u8]>> {
    let damaged = || CodecError::damaged("its header names segments that are not there");
    let header = stored.get(..HEADER_BYTES).ok_or_else(damaged)?;
    let mut numbers = header.chunks_exact(4).map(|number| match *number {
        [a, b, c, d] => usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX),
        _ => usize::MAX,
    });
    let count = numbers.next().unwrap_or_default();
    let starts: Vec<usize> = numbers.take(count).collect();
    if starts.len() != count {
        return Err(damaged());
    }
    let ends = starts.iter().skip(1).copied().chain([stored.len()]);
    let ranges = starts.iter().zip(ends);
    ranges
        .map(|(start, end)| {
            stored
                .get(*start..end)
                .filter(|_| *start >= HEADER_BYTES)
                .ok_or_else(damaged)
        })
        .collect()
}

/// Unpacks a segment (G.3.2) to exactly `len` bytes; what follows is padding.
fn unpack(segment: &[u8], len: usize) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(len);
    let mut left = segment;
    while out.len() < len {
        let [control, rest @ ..] = left else {
            return Err(CodecError::damaged("a segment is too short"));
        };
        left = rest;
        let room = len.saturating_sub(out.len());
        match control {
            0..=127 => {
                let count = usize::from(*control).saturating_add(1);
                let literal = left.get(..count).or_else(|| left.get(..room));
                let literal =
                    literal.ok_or_else(|| CodecError::damaged("a segment is too short"))?;
                out.extend(literal.iter().take(room));
                left = left.get(literal.len()..).unwrap_or_default();
            }
            128 => {}
            129..=255 => {
                let [value, rest @ ..] = left else {
                    return Err(CodecError::damaged("a segment is too short"));
                };
                let count = usize::from(*control).abs_diff(257).min(room);
                out.resize(out.len().saturating_add(count), *value);
                left = rest;
            }
        }
    }
    Ok(out)
}

/// Encodes a frame.
#[expect(clippy::unnecessary_wraps, reason = "as every encoder")]
pub(super) fn encode(samples: &Samples) -> Result<Vec<u8>> {
    let format = &samples.format;
    let sample_bytes = format.sample_bytes();
    let pixel_bytes = usize::from(format.samples_per_pixel).saturating_mul(sample_bytes);
    let mut offsets = Vec::new();
    let mut out = vec![0; HEADER_BYTES];
    for sample in 0..usize::from(format.samples_per_pixel) {
        for from_top in 1..=sample_bytes {
            let place = sample
                .saturating_mul(sample_bytes)
                .saturating_add(sample_bytes.saturating_sub(from_top));
            let bytes = samples.bytes.iter().skip(place).step_by(pixel_bytes.max(1));
            let segment: Vec<u8> = bytes.copied().collect();
            offsets.push(u32::try_from(out.len()).unwrap_or(u32::MAX));
            // A run does not go on into the next row (G.3.1).
            for row in segment.chunks(usize::from(format.columns).max(1)) {
                pack(row, &mut out);
            }
            if out.len().checked_rem(2) == Some(1) {
                out.push(0);
            }
        }
    }
    let count = u32::try_from(offsets.len()).unwrap_or(u32::MAX);
    let numbers = std::iter::once(count).chain(offsets);
    for (place, number) in out.chunks_exact_mut(4).take(16).zip(numbers) {
        place.copy_from_slice(&number.to_le_bytes());
    }
    Ok(out)
}

/// Packs one row (G.3.1): three equal bytes and more are a run, two are not worth one.
fn pack(row: &[u8], out: &mut Vec<u8>) {
    let mut left = row;
    let mut literal: &[u8] = &[];
    while let [value, ..] = left {
        let run = left
            .iter()
            .take(128)
            .take_while(|byte| *byte == value)
            .count();
        if run < 3 {
            let end = literal.len().saturating_add(run);
            // What is left begins where the literal ends.
            let start = row
                .len()
                .saturating_sub(left.len())
                .saturating_sub(literal.len());
            literal = row
                .get(start..start.saturating_add(end))
                .unwrap_or_default();
        } else {
            put_literal(literal, out);
            literal = &[];
            let control = u8::try_from(257_usize.saturating_sub(run)).unwrap_or(128);
            out.extend([control, *value]);
        }
        left = left.get(run..).unwrap_or_default();
    }
    put_literal(literal, out);
}

fn put_literal(literal: &[u8], out: &mut Vec<u8>) {
    for piece in literal.chunks(128) {
        out.push(u8::try_from(piece.len().saturating_sub(1)).unwrap_or(127));
        out.extend_from_slice(piece);
    }
}
