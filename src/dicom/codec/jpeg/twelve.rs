//! Grey frames of more than eight bits, sequential or progressive: what the crates for JPEG leave out.

use std::f32::consts::{FRAC_1_SQRT_2, PI};

use super::header::{Header, Process, SCAN, Segments};
use super::scan::{Block, Scan, Tables};
use crate::dicom::codec::{CodecError, PixelFormat, Result, Samples};

/// Where the coefficients of a block lie, in the order in which they are sent (ISO/IEC 10918-1 figure A.6).
#[rustfmt::skip]
const ZIGZAG: [usize; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Decodes a frame whose header is `header`.
pub(super) fn decode(format: &PixelFormat, header: &Header, stored: &[u8]) -> Result<Samples> {
    if header.components != 1 || header.precision > 12 {
        return Err(CodecError::unsupported(
            "JPEG of more than eight bits in colour, or of more than twelve",
        ));
    }
    let (blocks, quantization) = blocks(header, stored)?;
    let across = usize::from(header.columns).div_ceil(8);
    let row_bytes = usize::from(header.columns) * 2;
    let mut bytes = vec![0; row_bytes * usize::from(header.rows)];
    let cosines = cosines();
    let middle = 1_i32 << (header.precision - 1);
    for (number, block) in blocks.iter().enumerate() {
        let (left, top) = (number % across * 8, number / across * 8);
        let samples = samples(block, &quantization, &cosines);
        for (row, line) in bytes
            .chunks_exact_mut(row_bytes)
            .skip(top)
            .zip(samples.chunks_exact(8))
        {
            for (place, sample) in row.chunks_exact_mut(2).skip(left).zip(line) {
                let value = (rounded(*sample) + middle).clamp(0, 2 * middle - 1);
                let value = u16::try_from(value).unwrap_or_default();
                place.copy_from_slice(&value.to_le_bytes());
            }
        }
    }
    Ok(Samples {
        format: format.interleaved(format.photometric),
        bytes,
    })
}

/// The coefficients of every block, row by row, and the steps by which they were divided.
fn blocks(header: &Header, stored: &[u8]) -> Result<(Vec<Block>, [f32; 64])> {
    let count = usize::from(header.columns).div_ceil(8) * usize::from(header.rows).div_ceil(8);
    let mut blocks = vec![[0; 64]; count];
    let mut tables = Tables::default();
    let mut quantizations = [[0.0; 64]; 4];
    let mut quantization = 0;
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
            (0xC0..=0xC2, [_, _, _, _, _, _, _, _, which, ..]) => {
                quantization = usize::from(*which);
            }
            (SCAN, _) => {
                let scan = Scan::parse(body, header.process == Process::Progressive)?;
                scan.read(&tables, segments.rest(), &mut blocks)?;
                has_scan = true;
            }
            _ => {}
        }
    }
    let steps = quantizations.get(quantization).filter(|_| has_scan);
    let steps = steps.ok_or_else(|| CodecError::damaged("it has no scan"))?;
    Ok((blocks, *steps))
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
