//! Huffman tables and the bits they read (ISO/IEC 10918-1 annexes C and F.2.2).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use crate::dicom::codec::{CodecError, Result};

/// A table: for each length of code the first code, their number, and where their values begin.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    lengths: [(u32, u32, usize); 16],
    values: Vec<u8>,
}

impl Table {
    /// Reads a table; what follows it is given back.
    pub(super) fn parse(bytes: &[u8]) -> Result<(Self, &[u8])> {
        let cut_off = || CodecError::damaged("a Huffman table is cut off");
        let (counts, rest) = bytes.split_at_checked(16).ok_or_else(cut_off)?;
        let mut lengths = [(0, 0, 0); 16];
        let (mut code, mut at) = (0_u32, 0_usize);
        for (length, count) in lengths.iter_mut().zip(counts) {
            *length = (code, u32::from(*count), at);
            code = code.saturating_add(u32::from(*count)).saturating_mul(2);
            at = at.saturating_add(usize::from(*count));
        }
        let (values, rest) = rest.split_at_checked(at).ok_or_else(cut_off)?;
        let values = values.to_vec();
        Ok((Self { lengths, values }, rest))
    }

    /// The next value.
    pub(super) fn read(&self, bits: &mut Bits<'_>) -> Result<u8> {
        let mut code = 0_u32;
        for (first, count, at) in &self.lengths {
            code = (code << 1) | bits.bit();
            let index = code.wrapping_sub(*first);
            if index < *count {
                let at = at.saturating_add(usize::try_from(index).unwrap_or(usize::MAX));
                let value = self.values.get(at).copied();
                return value.ok_or_else(|| CodecError::damaged("a Huffman table is cut off"));
            }
        }
        Err(CodecError::damaged("a code is not in its Huffman table"))
    }
}

/// The bits of an entropy-coded segment; zeros behind its end.
#[derive(Debug)]
pub(super) struct Bits<'a> {
    left: &'a [u8],
    buffer: u32,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn of(left: &'a [u8]) -> Self {
        Self {
            left,
            buffer: 0,
            count: 0,
        }
    }

    /// One bit.
    pub(super) fn bit(&mut self) -> u32 {
        if self.count == 0 {
            self.fill();
        }
        self.count = self.count.saturating_sub(1);
        (self.buffer >> self.count) & 1
    }

    /// The next byte into the buffer, unstuffed.
    fn fill(&mut self) {
        let (byte, used) = match *self.left {
            [0xFF, 0x00, ..] => (0xFF, 2),
            [] | [0xFF, ..] => (0, 0),
            [byte, ..] => (byte, 1),
        };
        self.left = self.left.get(used..).unwrap_or_default();
        self.buffer = u32::from(byte);
        self.count = 8;
    }

    /// Whether the segment is used up.
    pub(super) fn is_over(&self) -> bool {
        self.count == 0 && matches!(*self.left, [] | [0xFF] | [0xFF, 1..=0xCF | 0xD8.., ..])
    }

    /// A number of `count` bits.
    pub(super) fn number(&mut self, count: u8) -> i32 {
        let mut number = 0_i32;
        for _ in 0..count {
            number = (number << 1) | i32::from(self.bit() == 1);
        }
        number
    }

    /// A number of `count` bits with its sign (F.2.2.1, EXTEND).
    pub(super) fn signed(&mut self, count: u8) -> i32 {
        let number = self.number(count);
        let half = 1_i32.checked_shl(u32::from(count)).unwrap_or_default() >> 1;
        if number < half {
            number.wrapping_sub(half.wrapping_mul(2)).wrapping_add(1)
        } else {
            number
        }
    }

    /// To behind the next restart marker.
    pub(super) fn restart(&mut self) {
        self.count = 0;
        let marker = self
            .left
            .windows(2)
            .position(|pair| matches!(pair, [0xFF, 0xD0..=0xD7]));
        let end = marker.map_or(self.left.len(), |at| at.saturating_add(2));
        self.left = self.left.get(end..).unwrap_or_default();
    }
}
