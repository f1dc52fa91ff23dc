//! Frames that do not start at an octet of their own, or whose words stand the other way round (F41, F64, N56).

use super::FramePlace;
use crate::dicom::swap::Swap;

/// Makes a frame of the bytes read at its place, piece by piece: turns words, moves the first bit to bit 0 of the first octet,
/// and fills the last octet with zeros.
///
/// ```text
///   read      ······aa aaaaaabb      first_bit 6, least significant bit first, as PS3.5 8.1.1 packs them
///   given     aaaaaaaa bb000000
/// ```
#[derive(Clone, Debug)]
pub struct Cutter {
    swap: Swap,
    turned: Vec<u8>,
    skip_bytes: u8,
    shift: u8,
    /// An octet whose upper bits wait for the next one.
    waiting: Option<u8>,
    bits_left: u64,
}

impl Cutter {
    /// For the frame at `place`.
    pub fn new(place: &FramePlace) -> Self {
        Self {
            swap: Swap::new(place.word_len),
            turned: Vec::new(),
            skip_bytes: place.first_bit / 8,
            shift: place.first_bit % 8,
            waiting: None,
            bits_left: place.bits,
        }
    }

    /// Takes the next bytes and appends what is complete to `out`.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let mut turned = std::mem::take(&mut self.turned);
        turned.clear();
        self.swap.push(bytes, &mut turned);
        self.shift_in(&turned, out);
        self.turned = turned;
    }

    /// The place is read: appends what is still waiting.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        let mut turned = Vec::new();
        self.swap.finish(&mut turned);
        self.shift_in(&turned, out);
        if let Some(last) = self.waiting.take() {
            self.give(last >> self.shift, out);
        }
    }

    fn shift_in(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let skipped = bytes.len().min(usize::from(self.skip_bytes));
        self.skip_bytes = self
            .skip_bytes
            .saturating_sub(u8::try_from(skipped).unwrap_or(u8::MAX));
        let bytes = bytes.get(skipped..).unwrap_or_default();
        if self.shift == 0 {
            let whole = usize::try_from(self.bits_left / 8)
                .unwrap_or(usize::MAX)
                .min(bytes.len());
            let (straight, rest) = bytes.split_at(whole);
            out.extend_from_slice(straight);
            let given = u64::try_from(whole).unwrap_or(u64::MAX).saturating_mul(8);
            self.bits_left = self.bits_left.saturating_sub(given);
            if let Some(last) = rest.first() {
                self.give(*last, out);
            }
            return;
        }
        for byte in bytes {
            if let Some(before) = self.waiting.replace(*byte) {
                let upper = u16::from_le_bytes([before, *byte]).wrapping_shr(u32::from(self.shift));
                let [low, _] = upper.to_le_bytes();
                self.give(low, out);
            }
        }
    }

    /// Appends one octet of the frame, with zeros beyond its last bit.
    fn give(&mut self, octet: u8, out: &mut Vec<u8>) {
        match self.bits_left {
            0 => {}
            1..8 => {
                let keep = u32::try_from(self.bits_left).unwrap_or(0);
                out.push(octet & !u8::MAX.wrapping_shl(keep));
                self.bits_left = 0;
            }
            _ => {
                out.push(octet);
                self.bits_left = self.bits_left.saturating_sub(8);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "small numbers")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn place(word_len: u8, first_bit: u8, bits: u64) -> FramePlace {
        FramePlace {
            ranges: Vec::new(),
            word_len,
            first_bit,
            bits,
        }
    }

    fn cut(place: &FramePlace, pieces: &[&[u8]]) -> Vec<u8> {
        let (mut cutter, mut out) = (Cutter::new(place), Vec::new());
        for piece in pieces {
            cutter.push(piece, &mut out);
        }
        cutter.finish(&mut out);
        out
    }

    #[test]
    fn f41_a_frame_starts_at_bit_0_and_ends_with_zeros() {
        assert_eq!(
            cut(&place(1, 6, 10), &[&[0b1100_0000, 0b0111_1101, 0xFF]]),
            [0b1111_0111, 0b01]
        );
        assert_eq!(cut(&place(1, 0, 3), &[&[0xFF, 0xFF]]), [0b111]);
        assert_eq!(cut(&place(1, 4, 4), &[&[0xA5]]), [0x0A]);
        assert_eq!(cut(&place(1, 0, 16), &[&[1, 2, 3]]), [1, 2]);
    }

    #[test]
    fn n56_frames_of_big_endian_words_are_turned_before_they_are_cut() {
        // pydicom's SC_rgb_small_odd_big_endian: octets of RGB triples in words of 16 bits.
        let words = [0x3F, 0x34, 0xB0, 0x57, 0x57, 0x3F];
        assert_eq!(cut(&place(2, 0, 24), &[&words]), [0x34, 0x3F, 0x57]);
        assert_eq!(cut(&place(2, 8, 24), &[&words[2..]]), [0xB0, 0x3F, 0x57]);
    }

    proptest! {
        #[test]
        fn f41_a_frame_is_the_bits_from_its_first(bytes in prop::collection::vec(any::<u8>(), 1..40), first in 0_u8..8, cut_at: prop::sample::Index) {
            let bits = u64::try_from(bytes.len()).unwrap() * 8 - u64::from(first);
            for bits in [bits, bits.saturating_sub(5), 1] {
                let (a, b) = bytes.split_at(cut_at.index(bytes.len()));
                let frame = cut(&place(1, first, bits), &[a, b]);
                prop_assert_eq!(u64::try_from(frame.len()).unwrap(), bits.div_ceil(8));
                let bit = |of: &[u8], at: usize| of[at / 8] >> (at % 8) & 1;
                for at in 0..frame.len() * 8 {
                    let wanted = if u64::try_from(at).unwrap() < bits { bit(&bytes, at + usize::from(first)) } else { 0 };
                    prop_assert_eq!(bit(&frame, at), wanted, "bit {}", at);
                }
            }
        }
    }
}
