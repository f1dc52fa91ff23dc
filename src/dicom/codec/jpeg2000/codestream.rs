//! The codestream of a picture without loss: one tile of one layer, five levels of the 5/3 wavelet, code blocks of 64 by 64
//! (ISO/IEC 15444-1 Annex A).
//!
//! ```text
//! SOC  SIZ size and components  COD how it is coded  QCD exponents  SOT  SOD  packets by resolution and component  EOC
//! ```

use super::block::{self, Band, Coded};
use super::packet::{self, Blocks};
use super::wavelet;

/// The longest side: one precinct holds a resolution of it (B.6).
pub(super) const MAX_SIDE: u16 = 1 << 15;
/// Levels of the wavelet, where the picture is large enough.
const LEVELS: u32 = 5;
/// The side of a code block.
const BLOCK: usize = 64;
/// Guard bits that nearly every picture does with (E.1).
const GUARD_BITS: u32 = 2;

/// What is written.
#[derive(Debug)]
pub(super) struct Picture {
    /// Columns.
    pub(super) width: usize,
    /// Rows.
    pub(super) height: usize,
    /// Bits of a sample.
    pub(super) bits: u8,
    /// Whether samples have signs.
    pub(super) is_signed: bool,
    /// Whether the components are red, green and blue, which become luminance and differences.
    pub(super) is_rgb: bool,
    /// How many components there are.
    pub(super) components: u8,
}

/// One band of one component: what it is, and its place in the plane.
#[derive(Clone, Copy)]
struct Place {
    band: Band,
    left: usize,
    top: usize,
    width: usize,
    height: usize,
}

/// Writes the codestream of the samples of each component, row by row.
pub(super) fn write(picture: &Picture, components: Vec<Vec<i32>>) -> Vec<u8> {
    let shorter = picture.width.min(picture.height).max(1);
    let levels = u8::try_from(shorter.ilog2().min(LEVELS)).unwrap_or(0);
    let mut coded: Vec<Vec<Vec<Blocks>>> = transformed(picture, components, levels)
        .into_iter()
        .map(|plane| resolutions(picture, &plane, levels))
        .collect();
    let guard_bits = guard_bits(&coded);
    let mut out = Vec::new();
    main_header(picture, levels, guard_bits, &mut out);
    let tile = out.len();
    // SOT: one tile, its only part; the length comes when it is known (A.4.2).
    out.extend([0xFF, 0x90, 0, 10, 0, 0, 0, 0, 0, 0, 0, 1, 0xFF, 0x93]);
    for resolution in 0..=usize::from(levels) {
        for component in &mut coded {
            for blocks in &mut component[resolution] {
                blocks.planes += guard_bits;
            }
            packet::write(&component[resolution], &mut out);
        }
    }
    let length = u32::try_from(out.len() - tile).unwrap_or(u32::MAX);
    out[tile + 6..tile + 10].copy_from_slice(&length.to_be_bytes());
    out.extend([0xFF, 0xD9]);
    out
}

/// The planes of coefficients: samples about zero, colours apart, low and high apart (Annex G, Annex F).
fn transformed(picture: &Picture, mut components: Vec<Vec<i32>>, levels: u8) -> Vec<Vec<i32>> {
    if !picture.is_signed {
        let half = 1 << (picture.bits - 1);
        let samples = components.iter_mut().flatten();
        samples.for_each(|sample| *sample -= half);
    }
    if picture.is_rgb
        && let [red, green, blue] = components.as_mut_slice()
    {
        wavelet::transform_colors(red, green, blue);
    }
    for plane in &mut components {
        wavelet::transform(plane, picture.width, picture.height, levels);
    }
    components
}

/// The coded blocks of each resolution of a plane, band by band; `planes` of each is its exponent less one, guard bits not yet
/// counted.
fn resolutions(picture: &Picture, coefficients: &[i32], levels: u8) -> Vec<Vec<Blocks>> {
    let blocks = |place: &Place| blocks(picture, coefficients, place);
    (0..=levels)
        .map(|resolution| {
            places(picture, levels, resolution)
                .iter()
                .map(blocks)
                .collect()
        })
        .collect()
}

/// The bands of a resolution in the order in which they are written (B.9).
fn places(picture: &Picture, levels: u8, resolution: u8) -> Vec<Place> {
    let side = |side: usize, level: u8| side.div_ceil(1 << level);
    let whole = |level| (side(picture.width, level), side(picture.height, level));
    let (width, height) = whole(levels - resolution.saturating_sub(1));
    if resolution == 0 {
        let (width, height) = whole(levels);
        return vec![Place {
            band: Band::LowLow,
            left: 0,
            top: 0,
            width,
            height,
        }];
    }
    let (all_across, all_down) = whole(levels - resolution);
    let place = |band, left, top| Place {
        band,
        left,
        top,
        width: if left == 0 { width } else { all_across - width },
        height: if top == 0 { height } else { all_down - height },
    };
    vec![
        place(Band::HighLow, width, 0),
        place(Band::LowHigh, 0, height),
        place(Band::HighHigh, width, height),
    ]
}

fn blocks(picture: &Picture, coefficients: &[i32], place: &Place) -> Blocks {
    let (across, down) = (place.width.div_ceil(BLOCK), place.height.div_ceil(BLOCK));
    let code = |at: usize| -> Coded {
        let (x, y) = (at % across * BLOCK, at / across * BLOCK);
        let width = BLOCK.min(place.width - x);
        let rows = y..(y + BLOCK).min(place.height);
        let values = rows.flat_map(|row| {
            let from = (place.top + row) * picture.width + place.left + x;
            coefficients[from..from + width].iter().copied()
        });
        block::encode(values.collect(), width, place.band)
    };
    Blocks {
        across,
        down,
        coded: (0..across * down).map(code).collect(),
        planes: exponent(picture, place.band) - 1,
    }
}

/// The exponent of a band: bits of a sample and what the wavelet adds to them (E.1.1, Table E.1).
fn exponent(picture: &Picture, band: Band) -> u32 {
    let gain = match band {
        Band::LowLow => 0,
        Band::HighLow | Band::LowHigh => 1,
        Band::HighHigh => 2,
    };
    u32::from(picture.bits) + gain
}

/// As many guard bits as the largest coefficient needs: noise in colour overflows the usual two.
fn guard_bits(coded: &[Vec<Vec<Blocks>>]) -> u32 {
    let bands = coded.iter().flatten().flatten();
    let needed = bands.flat_map(|band| {
        let planes = band.coded.iter().map(|block| block.planes);
        planes.map(|planes| planes.saturating_sub(band.planes))
    });
    needed.max().unwrap_or(0).max(GUARD_BITS)
}

/// SOC, SIZ, COD and QCD (A.4.1, A.5.1, A.6.1, A.6.4).
fn main_header(picture: &Picture, levels: u8, guard_bits: u32, out: &mut Vec<u8>) {
    let long = |number: usize| u32::try_from(number).unwrap_or(u32::MAX).to_be_bytes();
    let components = picture.components;
    out.extend([0xFF, 0x4F, 0xFF, 0x51, 0, 38 + 3 * components, 0, 0]);
    for number in [
        picture.width,
        picture.height,
        0,
        0,
        picture.width,
        picture.height,
        0,
        0,
    ] {
        out.extend(long(number));
    }
    out.extend([0, components]);
    let depth = (picture.bits - 1) | u8::from(picture.is_signed) << 7;
    for _ in 0..components {
        out.extend([depth, 1, 1]);
    }
    // Layer by layer, one layer, whether colours are transformed; levels, blocks of 2^(4 + 2), no style, 5/3.
    out.extend([0xFF, 0x52, 0, 12, 0, 0, 0, 1, u8::from(picture.is_rgb)]);
    out.extend([levels, 4, 4, 0, 1]);
    out.extend([0xFF, 0x5C, 0, 4 + 3 * levels]);
    let byte = |number: u32| u8::try_from(number).unwrap_or(u8::MAX);
    out.push(byte(guard_bits << 5));
    for resolution in 0..=levels {
        for place in places(picture, levels, resolution) {
            out.push(byte(exponent(picture, place.band) << 3));
        }
    }
}
