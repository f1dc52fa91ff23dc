//! Words of big endian values turned into little endian, in the pieces in which they come (PS3.5 7.3).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use crate::model::{Tag, VR};

const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);

/// The length in bytes of the words that byte order applies to: 1, 2, 4 or 8.
///
/// Pixel data in `OW` of more than 16 bits a sample is one word a sample, as all the writers of such files have it, although
/// `OW` means words of 16 bits; hence `tag` and `bits_allocated`.
pub fn word_len(tag: Tag, vr: VR, bits_allocated: u64) -> u8 {
    match vr {
        VR::OW if tag == PIXEL_DATA && bits_allocated == 32 => 4,
        VR::OW if tag == PIXEL_DATA && bits_allocated == 64 => 8,
        VR::AT | VR::OW | VR::SS | VR::US => 2,
        VR::FL | VR::OF | VR::OL | VR::SL | VR::UL => 4,
        VR::FD | VR::OD | VR::OV | VR::SV | VR::UV => 8,
        VR::AE
        | VR::AS
        | VR::CS
        | VR::DA
        | VR::DS
        | VR::DT
        | VR::IS
        | VR::LO
        | VR::LT
        | VR::OB
        | VR::PN
        | VR::SH
        | VR::SQ
        | VR::ST
        | VR::TM
        | VR::UC
        | VR::UI
        | VR::UN
        | VR::UR
        | VR::UT => 1,
    }
}

/// Turns words around; holds what is left of a word between two pieces.
#[derive(Clone, Debug, Default)]
pub struct Swap {
    word_len: usize,
    held: Vec<u8>,
}

impl Swap {
    /// For words of `word_len` bytes; 0 and 1 change nothing.
    pub fn new(word_len: u8) -> Self {
        Self {
            word_len: usize::from(word_len),
            held: Vec::new(),
        }
    }

    /// Takes the next bytes and appends what is complete to `out`.
    pub fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        if self.word_len <= 1 {
            out.extend_from_slice(bytes);
            return;
        }
        if !self.held.is_empty() {
            let missing = self.word_len.saturating_sub(self.held.len());
            let (now, rest) = bytes.split_at(missing.min(bytes.len()));
            self.held.extend_from_slice(now);
            bytes = rest;
            if self.held.len() < self.word_len {
                return;
            }
            out.extend(self.held.drain(..).rev());
        }
        let words = bytes.chunks_exact(self.word_len);
        self.held.extend_from_slice(words.remainder());
        out.reserve(bytes.len());
        for word in words {
            out.extend(word.iter().rev());
        }
    }

    /// The value has ended: a word that is cut short is appended as it came.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.held);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn swapped(word_len: u8, pieces: &[&[u8]]) -> Vec<u8> {
        let (mut swap, mut out) = (Swap::new(word_len), Vec::new());
        for piece in pieces {
            swap.push(piece, &mut out);
        }
        swap.finish(&mut out);
        out
    }

    #[test]
    fn words_turn_whatever_the_pieces() {
        assert_eq!(swapped(2, &[&[1, 2, 3, 4]]), [2, 1, 4, 3]);
        assert_eq!(
            swapped(4, &[&[1], &[], &[2, 3, 4, 5], &[6, 7, 8]]),
            [4, 3, 2, 1, 8, 7, 6, 5]
        );
        assert_eq!(swapped(1, &[&[1, 2], &[3]]), [1, 2, 3]);
    }

    #[test]
    fn a_word_cut_short_stays() {
        assert_eq!(swapped(2, &[&[1, 2, 3]]), [2, 1, 3]);
        assert_eq!(swapped(8, &[&[1, 2, 3]]), [1, 2, 3]);
    }

    #[test]
    fn only_pixel_data_has_words_of_a_sample() {
        assert_eq!(word_len(PIXEL_DATA, VR::OW, 32), 4);
        assert_eq!(word_len(PIXEL_DATA, VR::OW, 8), 2);
        assert_eq!(word_len(PIXEL_DATA, VR::OB, 32), 1);
        assert_eq!(word_len(Tag(0x0028, 0x1201), VR::OW, 32), 2);
    }

    proptest! {
        #[test]
        fn cut_at_any_position_gives_the_same(bytes: Vec<u8>, at: prop::sample::Index, word in 0_u8..9) {
            let (a, b) = bytes.split_at(if bytes.is_empty() { 0 } else { at.index(bytes.len()) });
            prop_assert_eq!(swapped(word, &[a, b]), swapped(word, &[&bytes]));
        }
    }
}
