//! JPEG Lossless, first-order prediction (ISO/IEC 10918-1 annex H, PS3.5 8.2.1, 1.2.840.10008.1.2.4.70), written.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::super::{Result, Samples, precision};

/// Differences are coded by their number of bits: 0 to 16.
const CATEGORIES: usize = 17;
/// The lengths of codes, the commonest category first; not all of the codes there could be are used, as C.2 wants it.
const CODE_LENGTHS: [u8; CATEGORIES] = [2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];

/// Encodes a frame.
#[expect(clippy::unnecessary_wraps, reason = "as every encoder")]
pub(in super::super) fn encode(samples: &Samples) -> Result<Vec<u8>> {
    // There is no frame of fewer bits (Table B.2).
    let bits = precision(samples).max(2);
    let differences = differences(samples, bits);
    let mut counts = [0_usize; CATEGORIES];
    for difference in &differences {
        if let Some(count) = counts.get_mut(category(*difference)) {
            *count = count.saturating_add(1);
        }
    }
    let mut order: Vec<u8> = (0_u8..).take(CATEGORIES).collect();
    order.sort_by_key(|category| std::cmp::Reverse(counts.get(usize::from(*category)).copied()));
    let mut out = head(samples, bits, &order);
    let codes = codes(&order);
    let mut writer = Writer {
        out: &mut out,
        buffer: 0,
        count: 0,
    };
    for difference in differences {
        let category = category(difference);
        let (code, length) = codes.get(category).copied().unwrap_or_default();
        writer.put(code, length);
        // All 16 bits set is a category without further bits (H.1.2.2).
        if let Ok(length @ 1..=15) = u8::try_from(category) {
            let value = if difference < 0 {
                difference.wrapping_sub(1)
            } else {
                difference
            };
            writer.put(value.cast_unsigned() & !(u32::MAX << length), length);
        }
    }
    writer.finish();
    out.extend([0xFF, 0xD9]);
    Ok(out)
}

/// Each sample less the one before it in its row, that above at the start of a row, or half of the range.
fn differences(samples: &Samples, bits: u16) -> Vec<i32> {
    let planes = usize::from(samples.format.samples_per_pixel);
    let row = usize::from(samples.format.columns).saturating_mul(planes);
    let sample_bytes = samples.format.sample_bytes();
    let mask = !(u32::MAX << bits);
    let values: Vec<i32> = samples
        .bytes
        .chunks_exact(sample_bytes.max(1))
        .map(|sample| {
            let number = sample
                .iter()
                .rev()
                .fold(0_u32, |number, byte| (number << 8) | u32::from(*byte));
            (number & mask).cast_signed()
        })
        .collect();
    let first = 1_i32 << bits.saturating_sub(1);
    let before = |at: usize| {
        let column = at.checked_rem(row).unwrap_or_default();
        let back = if column >= planes { planes } else { row };
        at.checked_sub(back)
            .and_then(|at| values.get(at))
            .copied()
            .unwrap_or(first)
    };
    let difference = |(at, value): (usize, &i32)| {
        let difference = value.wrapping_sub(before(at));
        // Modulo 65536, from -32767 to 32768 (H.1.2.1).
        let low = difference & 0xFFFF;
        if low > 0x8000 {
            low.wrapping_sub(0x1_0000)
        } else {
            low
        }
    };
    values.iter().enumerate().map(difference).collect()
}

fn category(difference: i32) -> usize {
    let bits = u32::BITS.saturating_sub(difference.unsigned_abs().leading_zeros());
    usize::try_from(bits).unwrap_or_default()
}

/// The marker segments up to the coded data.
fn head(samples: &Samples, bits: u16, order: &[u8]) -> Vec<u8> {
    let format = &samples.format;
    let planes = u8::try_from(format.samples_per_pixel).unwrap_or_default();
    let precision = u8::try_from(bits).unwrap_or_default();
    let mut out = vec![0xFF, 0xD8];
    let mut frame = vec![precision];
    frame.extend(format.rows.to_be_bytes());
    frame.extend(format.columns.to_be_bytes());
    frame.push(planes);
    frame.extend((1..=planes).flat_map(|id| [id, 0x11, 0]));
    let mut table = vec![0];
    table.extend((1..=16_u8).map(|length| {
        let codes = CODE_LENGTHS.iter().filter(|it| **it == length);
        u8::try_from(codes.count()).unwrap_or_default()
    }));
    table.extend(order);
    let mut scan = vec![planes];
    scan.extend((1..=planes).flat_map(|id| [id, 0]));
    scan.extend([1, 0, 0]);
    for (marker, body) in [(0xC3, frame), (0xC4, table), (0xDA, scan)] {
        out.extend([0xFF, marker]);
        let len = u16::try_from(body.len().saturating_add(2)).unwrap_or(u16::MAX);
        out.extend(len.to_be_bytes());
        out.extend(body);
    }
    out
}

/// Code and length of each category.
fn codes(order: &[u8]) -> [(u32, u8); CATEGORIES] {
    let mut codes = [(0, 0); CATEGORIES];
    let (mut code, mut before) = (0_u32, 0_u8);
    for (category, length) in order.iter().zip(CODE_LENGTHS) {
        code <<= length.saturating_sub(before);
        if let Some(place) = codes.get_mut(usize::from(*category)) {
            *place = (code, length);
        }
        code = code.wrapping_add(1);
        before = length;
    }
    codes
}

/// Bits on their way into bytes, with a zero byte behind each 0xFF.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    buffer: u32,
    count: u8,
}

impl Writer<'_> {
    /// At most 16 bits; fewer than 8 are waiting.
    fn put(&mut self, bits: u32, length: u8) {
        self.buffer = (self.buffer << length) | bits;
        self.count = self.count.saturating_add(length);
        while let Some(left) = self.count.checked_sub(8) {
            let [.., byte] = (self.buffer >> left).to_be_bytes();
            self.out.push(byte);
            if byte == 0xFF {
                self.out.push(0);
            }
            self.count = left;
        }
    }

    /// Fills the last byte with ones.
    fn finish(&mut self) {
        if self.count > 0 {
            let left = 8_u8.saturating_sub(self.count);
            self.put(!(u32::MAX << left), left);
        }
    }
}
