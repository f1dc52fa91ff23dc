//! One gzip member (RFC 1952) around metadata pieces that lie in the store.
//!
//! ```text
//! header 10 | stored "[" | piece | stored "," | piece | … | stored "]", final | CRC-32 4 | length 4
//! ```
//!
//! The pieces are raw deflate that ends at a byte border (RFC 1951, stored blocks of length 0), so stored blocks can stand
//! between them and their bytes go out untouched; the checksum of the whole is combined from theirs. Several members in a
//! row would be shorter to explain, but browsers read the first and drop the rest.
//!
//! ```
//! use kura::storage::{Piece, gzip::GzipArray};
//!
//! # fn send(_: bytes::Bytes) {}
//! # let pieces: Vec<Piece> = Vec::new();
//! let (mut array, head) = GzipArray::begin();
//! send(head);
//! for piece in &pieces {
//!     send(array.before(piece));
//!     // … and then the bytes of the piece, as the vault reads them.
//! }
//! send(array.end());
//! ```

use bytes::Bytes;
use crc32fast::Hasher;

use super::place::Piece;

/// RFC 1952 2.3: magic, deflate, no flags, no time, no hint, unknown system.
const HEADER: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];

/// What a stored block of one byte takes: type, length, its complement, the byte.
const STORED_LEN: u64 = 6;

/// The bytes between pieces, in the making.
#[derive(Debug)]
pub struct GzipArray {
    crc: Hasher,
    inflated_len: u64,
    is_first: bool,
}

impl GzipArray {
    /// Begins an array; the second value is what stands first.
    pub fn begin() -> (Self, Bytes) {
        let mut array = Self {
            crc: Hasher::new(),
            inflated_len: 0,
            is_first: true,
        };
        let bracket = array.stored(b'[', false);
        (array, [&HEADER[..], &bracket].concat().into())
    }

    /// What stands before `piece`, whose bytes must follow.
    pub fn before(&mut self, piece: &Piece) -> Bytes {
        let comma = if self.is_first {
            Bytes::new()
        } else {
            Bytes::copy_from_slice(&self.stored(b',', false))
        };
        self.is_first = false;
        let of_piece = Hasher::new_with_initial_len(piece.crc32, piece.inflated_len);
        self.crc.combine(&of_piece);
        self.inflated_len = self.inflated_len.wrapping_add(piece.inflated_len);
        comma
    }

    /// What stands last.
    pub fn end(mut self) -> Bytes {
        let bracket = self.stored(b']', true);
        let crc32 = self.crc.finalize().to_le_bytes();
        let [a, b, c, d, ..] = self.inflated_len.to_le_bytes(); // modulo 2^32, as RFC 1952 2.3.1 asks
        [&bracket[..], &crc32, &[a, b, c, d]].concat().into()
    }

    /// The length of the whole for `pieces`, in bytes.
    pub fn byte_count<'a>(pieces: impl IntoIterator<Item = &'a Piece>) -> u64 {
        let frame = HEADER.len() as u64 + 2 * STORED_LEN + 8;
        let with_comma = |piece: &Piece| piece.range.end - piece.range.start + STORED_LEN;
        let lens = pieces.into_iter().map(with_comma);
        let inner = lens.reduce(|all, next| all + next);
        frame + inner.map_or(0, |inner| inner - STORED_LEN)
    }

    /// RFC 1951 3.2.4: one byte as it is.
    fn stored(&mut self, byte: u8, is_final: bool) -> [u8; 6] {
        self.crc.update(&[byte]);
        self.inflated_len = self.inflated_len.wrapping_add(1);
        [u8::from(is_final), 1, 0, 0xFE, 0xFF, byte]
    }
}
