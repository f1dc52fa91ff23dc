//! Frames of nine to twelve bits, grey or in colour, sequential or progressive: what the crates for JPEG leave out.

use std::f32::consts::{FRAC_1_SQRT_2, PI};

use super::header::{Header, Process, SCAN, Segments};
use super::scan::{Block, Plane, Scan, Tables};
use crate::dicom::codec::{CodecError, Photometric, PixelFormat, Result, Samples};

/// Where the coefficients of a block lie, in the order in which they are sent (ISO/IEC 10918-1 figure A.6).
#[rustfmt::skip]
const ZIGZAG: [usize; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Decodes a frame whose header is `header`; `is_ybr` says that three components are luminance and differences, which become
/// RGB, and `photometric` what they are then.
pub(super) fn decode(
    format: &PixelFormat,
    header: &Header,
    stored: &[u8],
    (is_ybr, photometric): (bool, Photometric),
) -> Result<Samples> {
    if !matches!(header.components, 1 | 3) || header.precision > 12 {
        return Err(CodecError::unsupported(
            "JPEG of more than twelve bits, or of other than one or three components",
        ));
    }
    let (planes, most) = planes(header, stored)?;
    let (columns, rows) = (usize::from(header.columns), usize::from(header.rows));
    let mut bytes = Vec::with_capacity(columns * rows * planes.len() * 2);
    let middle = 1_i32 << (header.precision - 1);
    for (y, x) in (0..rows).flat_map(|y| (0..columns).map(move |x| (y, x))) {
        let mut pixel = [0.0; 3];
        for (value, plane) in pixel.iter_mut().zip(&planes) {
            // What pixels share is repeated.
            let (x, y) = (x * plane.factors.0 / most.0, y * plane.factors.1 / most.1);
            *value = plane.samples[y * plane.width + x];
        }
        if is_ybr && planes.len() == 3 {
            pixel = to_rgb(pixel);
        }
        for value in pixel.iter().take(planes.len()) {
            let value = (rounded(*value) + middle).clamp(0, 2 * middle - 1);
            bytes.extend(u16::try_from(value).unwrap_or_default().to_le_bytes());
        }
    }
    Ok(Samples {
        format: format.interleaved(photometric),
        bytes,
    })
}

/// Luminance and differences of colour to red, green and blue, all around zero.
fn to_rgb([y, blue, red]: [f32; 3]) -> [f32; 3] {
    [
        y + 1.402 * red,
        y - 0.344_136 * blue - 0.714_136 * red,
        y + 1.772 * blue,
    ]
}

/// The samples of one component, around zero.
struct Sampled {
    factors: (usize, usize),
    width: usize,
    samples: Vec<f32>,
}

/// The samples of every component, and the largest sampling factors.
fn planes(header: &Header, stored: &[u8]) -> Result<(Vec<Sampled>, (usize, usize))> {
    let (planes, quantizations, most) = coefficients(header, stored)?;
    let cosines = cosines();
    let sampled = planes.into_iter().map(|plane| {
        let steps = quantizations.get(plane.quantization);
        let steps = steps.ok_or_else(|| CodecError::damaged("a quantization table is missing"))?;
        let width = plane.stride * 8;
        let mut sampled = vec![0.0; plane.blocks.len() * 64];
        for (number, block) in plane.blocks.iter().enumerate() {
            let corner = number / plane.stride * 8 * width + number % plane.stride * 8;
            let lines = samples(block, steps, &cosines);
            for (row, line) in lines.chunks_exact(8).enumerate() {
                let at = corner + row * width;
                sampled[at..at + 8].copy_from_slice(line);
            }
        }
        Ok(Sampled {
            factors: plane.factors,
            width,
            samples: sampled,
        })
    });
    Ok((sampled.collect::<Result<_>>()?, most))
}

type Quantizations = [[f32; 64]; 4];

/// The coefficients of every component, the steps by which they were divided, and the largest sampling factors.
fn coefficients(
    header: &Header,
    stored: &[u8],
) -> Result<(Vec<Plane>, Quantizations, (usize, usize))> {
    let mut tables = Tables::default();
    let mut quantizations = [[0.0; 64]; 4];
    let mut planes = Vec::new();
    let mut most = (1, 1);
    let mut has_scan = false;
    let mut segments = Segments::of(stored);
    while let Some(segment) = segments.next() {
        let (marker, body) = segment?;
        match (marker, body) {
            (0xC4, _) => tables.take(body)?,
            (0xDB, _) => quantize(body, &mut quantizations)?,
            (0xDD, [high, low, ..]) => {
                tables.restart_interval = usize::from(u16::from_be_bytes([*high, *low]));
            }
            (0xC0..=0xC2, [_, _, _, _, _, _, components @ ..]) => {
                (planes, most) = components_of(header, components)?;
            }
            (SCAN, _) => {
                let scan = Scan::parse(body, &planes, header.process == Process::Progressive)?;
                let units = units(header, most);
                scan.read(&tables, segments.rest(), &mut planes, units)?;
                has_scan = true;
            }
            _ => {}
        }
    }
    if has_scan {
        Ok((planes, quantizations, most))
    } else {
        Err(CodecError::damaged("it has no scan"))
    }
}

/// Units that all components share, across and down (A.2.3).
fn units(header: &Header, most: (usize, usize)) -> (usize, usize) {
    (
        usize::from(header.columns).div_ceil(8 * most.0),
        usize::from(header.rows).div_ceil(8 * most.1),
    )
}

/// The components of a frame header, without coefficients, and the largest sampling factors (B.2.2, A.1.1).
fn components_of(header: &Header, body: &[u8]) -> Result<(Vec<Plane>, (usize, usize))> {
    let factors = |both: u8| (usize::from(both >> 4), usize::from(both & 0x0F));
    let rows: Vec<&[u8]> = body.chunks_exact(3).collect();
    let all = rows.iter().map(|row| factors(row[1]));
    let is_allowed = |factor: usize| (1..=4).contains(&factor);
    if rows.len() != usize::from(header.components)
        || !all.clone().all(|(h, v)| is_allowed(h) && is_allowed(v))
    {
        return Err(CodecError::damaged("its components are none"));
    }
    let most = all.fold((1, 1), |most, (h, v)| (most.0.max(h), most.1.max(v)));
    let units = units(header, most);
    let plane = |row: &&[u8]| {
        let (across, down) = factors(row[1]);
        let side = |side: u16, factor: usize, most: usize| {
            (usize::from(side) * factor).div_ceil(most).div_ceil(8)
        };
        Plane {
            id: row[0],
            factors: (across, down),
            quantization: usize::from(row[2]),
            size: (
                side(header.columns, across, most.0),
                side(header.rows, down, most.1),
            ),
            stride: units.0 * across,
            blocks: vec![[0; 64]; units.0 * across * units.1 * down],
        }
    };
    Ok((rows.iter().map(plane).collect(), most))
}

/// Takes the tables of a DQT segment, in zigzag order.
fn quantize(mut body: &[u8], tables: &mut [[f32; 64]; 4]) -> Result<()> {
    while let [which, rest @ ..] = body {
        let step_bytes = if which >> 4 == 0 { 1 } else { 2 };
        let cut_off = || CodecError::damaged("a quantization table is cut off");
        let (steps, rest) = rest.split_at_checked(64 * step_bytes).ok_or_else(cut_off)?;
        if let Some(table) = tables.get_mut(usize::from(which & 0x0F)) {
            for (place, step) in table.iter_mut().zip(steps.chunks_exact(step_bytes)) {
                *place = step
                    .iter()
                    .fold(0.0, |number, byte| number * 256.0 + f32::from(*byte));
            }
        }
        body = rest;
    }
    Ok(())
}

type Cosines = [[f32; 8]; 8];

/// The weight of frequency `u` at sample `x`, as `[u][x]` (A.3.3).
fn cosines() -> Cosines {
    let mut table = [[0.0; 8]; 8];
    for (u, row) in (0_u8..).zip(&mut table) {
        for (x, weight) in (0_u8..).zip(row) {
            let scale = if u == 0 { FRAC_1_SQRT_2 } else { 1.0 };
            *weight = scale / 2.0 * (f32::from(2 * x + 1) * f32::from(u) * PI / 16.0).cos();
        }
    }
    table
}

/// The samples of a block, around zero.
fn samples(block: &Block, steps: &[f32; 64], cosines: &Cosines) -> [f32; 64] {
    let mut coefficients = [0.0; 64];
    for ((value, step), at) in block.iter().zip(steps).zip(ZIGZAG) {
        // A coefficient has at most 16 bits, which a float holds.
        #[expect(clippy::cast_precision_loss, reason = "at most 16 bits")]
        let value = *value as f32;
        coefficients[at] = value * step;
    }
    let mut rows = [0.0; 64];
    for (line, row) in coefficients.chunks_exact(8).zip(rows.chunks_exact_mut(8)) {
        for (weights, coefficient) in cosines.iter().zip(line).filter(|(_, c)| **c != 0.0) {
            row.iter_mut()
                .zip(weights)
                .for_each(|(sum, weight)| *sum += weight * coefficient);
        }
    }
    let mut samples = [0.0; 64];
    for (weights, row) in cosines.iter().zip(rows.chunks_exact(8)) {
        for (line, weight) in samples.chunks_exact_mut(8).zip(weights) {
            line.iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += weight * value);
        }
    }
    samples
}

/// The nearest number; far outside of what twelve bits hold it does not matter which.
#[expect(clippy::cast_possible_truncation, reason = "saturates, and is clamped")]
fn rounded(sample: f32) -> i32 {
    sample.round().clamp(-1e6, 1e6) as i32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::codec::decode as decode_frame;
    use crate::model::TransferSyntax;

    /// Frames of 28 by 20 pixels of twelve bits, red along the row, green down, blue along both, that `libjpeg-turbo` wrote with
    /// shared differences of colour; behind eight bytes for the fuzzer.
    const SHARED: &[u8] = include_bytes!("../../../../fuzz/corpus/codec/jpeg-twelve-420");
    const WHOLE: &[u8] = include_bytes!("../../../../fuzz/corpus/codec/jpeg-twelve-444");

    #[test]
    fn f52_colour_of_twelve_bits_is_decoded() {
        let format = PixelFormat {
            rows: 20,
            columns: 28,
            samples_per_pixel: 3,
            bits_allocated: 16,
            bits_stored: 12,
            high_bit: 11,
            photometric: Photometric::YbrFull422,
            ..PixelFormat::default()
        };
        // What the library's own decoder is off by is 6.65 and 0.97 of 4095 in the mean.
        for (frame, limit) in [(SHARED, 60), (WHOLE, 2)] {
            let syntax = TransferSyntax::of("1.2.840.10008.1.2.4.51").unwrap();
            let found = decode_frame(syntax, &format, &frame[8..]).unwrap();
            assert_eq!(found.format.photometric, Photometric::Rgb);
            let words = found.bytes.chunks(2).zip(0_u32..);
            let off = words.map(|(word, at)| {
                let (x, y) = (at / 3 % 28, at / 3 / 28);
                let expected = [x * 140, y * 200, (x + y) * 80][at as usize % 3];
                u32::from(u16::from_le_bytes([word[0], word[1]])).abs_diff(expected)
            });
            let mean = off.sum::<u32>() / (28 * 20 * 3);
            assert!(mean <= limit, "{mean}");
        }
    }
}
