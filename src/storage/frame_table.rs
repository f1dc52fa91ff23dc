//! How a frame table is kept: what stands in the column of the database, and in the footer of the pack.
//!
//! ```text
//! 00 | the table itself                                    up to 64 KiB
//! 01 | offset 8 | length 8 | CRC-32 4, little endian       a table that lies in the pack, behind its file
//! ```
//!
//! What the table says is not known here (`dicom::frames`).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::ops::Range;

use super::trailer::torn;
use super::vault::Vault;
use crate::Result;

/// The longest table that a row of the database carries (schema.md 5.6).
pub const MAX_INLINE_BYTES: usize = 64 << 10;

/// The longest table that is kept: some ten million frames.
pub const MAX_BYTES: usize = 64 << 20;

const INLINE: u8 = 0;
const IN_PACK: u8 = 1;

/// Where a table is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Here(&'a [u8]),
    InPack { range: Range<u64>, crc32: u32 },
}

/// The column of a table that stands in it.
pub(super) fn inline(table: &[u8]) -> Vec<u8> {
    [&[INLINE], table].concat()
}

/// The column of a table that lies in the pack.
pub(super) fn in_pack(range: &Range<u64>, crc32: u32) -> Vec<u8> {
    let len = range.end.saturating_sub(range.start);
    let mut column = vec![IN_PACK];
    column.extend_from_slice(&range.start.to_le_bytes());
    column.extend_from_slice(&len.to_le_bytes());
    column.extend_from_slice(&crc32.to_le_bytes());
    column
}

/// Reads a column.
pub(super) fn parse(column: &[u8]) -> Result<Place<'_>> {
    match column.split_first() {
        Some((&INLINE, table)) if table.len() <= MAX_INLINE_BYTES => Ok(Place::Here(table)),
        Some((&IN_PACK, rest)) => place(rest).ok_or_else(malformed),
        _ => Err(malformed()),
    }
}

fn place(rest: &[u8]) -> Option<Place<'_>> {
    let (start, rest) = rest.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let (crc32, rest) = rest.split_first_chunk()?;
    let start = u64::from_le_bytes(*start);
    let end = start.checked_add(u64::from_le_bytes(*len))?;
    rest.is_empty().then(|| Place::InPack {
        range: start..end,
        crc32: u32::from_le_bytes(*crc32),
    })
}

fn malformed() -> crate::Error {
    torn("has a frame table that is kept in no known way")
}

/// The frame table that `column` holds or, in the pack `object`, points at.
///
/// # Errors
/// `Kind::Internal` for a column that says neither, and for bytes that are not there or are others; `Kind::Unavailable` if
/// the store does not answer.
pub async fn frame_table(vault: &Vault, column: &[u8], object: &str) -> Result<Vec<u8>> {
    match parse(column)? {
        Place::Here(table) => Ok(table.to_vec()),
        Place::InPack { range, crc32 } => {
            let table = vault.read_small(object, range, MAX_BYTES).await?;
            if crc32fast::hash(&table) == crc32 {
                Ok(table.into())
            } else {
                Err(torn("has a frame table with another checksum"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_come_back() {
        assert_eq!(parse(&inline(b"ab")).unwrap(), Place::Here(b"ab"));
        assert_eq!(parse(&inline(b"")).unwrap(), Place::Here(b""));
        let (range, crc32) = (5..7, 0xCBF4_3926);
        assert_eq!(
            parse(&in_pack(&range, crc32)).unwrap(),
            Place::InPack { range, crc32 }
        );
    }

    #[test]
    fn their_neighbours_are_refused() {
        let place = in_pack(&(5..7), 1);
        for column in [
            &[][..],
            &[2, 0],
            &place[..20],
            &[&place[..], &[0]].concat(),
            &[&[IN_PACK][..], &[0xFF; 20]].concat(),
            &inline(&vec![0; MAX_INLINE_BYTES + 1]),
        ] {
            assert!(parse(column).is_err(), "{} bytes", column.len());
        }
    }

    proptest::proptest! {
        #[test]
        fn any_column_is_read_or_refused(column: Vec<u8>) {
            parse(&column).ok();
        }
    }
}
