//! The end of a pack and of a metadata object: a footer, and a trailer of fixed length by which it is found.
//!
//! ```text
//! … body …
//! ┌──────────────────────────────┐ length of the object − 24 − n
//! │ footer: JSON, n bytes        │
//! ├──────────────────────────────┤ length of the object − 24
//! │ n            8  little endian│
//! │ CRC-32 of it 4  little endian│
//! │ version      4  little endian│
//! │ magic        8               │
//! └──────────────────────────────┘
//! ```

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use bytes::Bytes;

use super::vault::Vault;
use crate::{Error, Kind, Result};

/// Ends a pack.
pub(super) const PACK: [u8; 8] = *b"KURAPACK";

/// Ends a metadata object.
pub(super) const METADATA: [u8; 8] = *b"KURAMETA";

/// The one version there is. A reader refuses any other.
const VERSION: u32 = 1;

/// Length of the trailer in bytes.
pub(super) const LEN: u64 = 24;

/// The longest footer that is read. A pack at its limits has one of about 7 MiB (pack.rs).
pub(super) const MAX_FOOTER_BYTES: usize = 16 << 20;

/// The trailer of `footer`.
pub(super) fn write(magic: [u8; 8], footer: &[u8]) -> Bytes {
    let len = u64::try_from(footer.len()).unwrap_or(u64::MAX);
    let mut trailer = Vec::with_capacity(24);
    trailer.extend_from_slice(&len.to_le_bytes());
    trailer.extend_from_slice(&crc32fast::hash(footer).to_le_bytes());
    trailer.extend_from_slice(&VERSION.to_le_bytes());
    trailer.extend_from_slice(&magic);
    trailer.into()
}

/// A footer as found, unread.
pub(super) struct Found {
    /// Its bytes; their CRC-32 was right.
    pub(super) footer: Bytes,
    /// How many bytes of the object stand before it.
    pub(super) body_len: u64,
}

/// Finds the footer of `object`.
///
/// # Errors
/// `Kind::Internal` where the object is not there or has no whole footer of a known version.
pub(super) async fn read(vault: &Vault, object: &str, magic: [u8; 8]) -> Result<Found> {
    let end = vault.byte_count(object).await?;
    let at = end
        .checked_sub(LEN)
        .ok_or_else(|| torn("is shorter than its trailer"))?;
    let trailer = vault.read_small(object, at..end, 24).await?;
    let (len, crc32) = parse(&trailer, magic)?;
    let body_len = at
        .checked_sub(len)
        .ok_or_else(|| torn("is shorter than its footer"))?;
    let footer = vault
        .read_small(object, body_len..at, MAX_FOOTER_BYTES)
        .await?;
    if crc32fast::hash(&footer) != crc32 {
        return Err(torn("has a footer with another checksum"));
    }
    Ok(Found { footer, body_len })
}

/// The length and the CRC-32 of the footer that `trailer` names.
fn parse(trailer: &[u8], magic: [u8; 8]) -> Result<(u64, u32)> {
    let mut rest = trailer;
    let len = u64::from_le_bytes(take(&mut rest)?);
    let crc32 = u32::from_le_bytes(take(&mut rest)?);
    let version = u32::from_le_bytes(take(&mut rest)?);
    if rest != magic {
        return Err(torn("does not end as it should"));
    }
    if version != VERSION {
        return Err(torn("is of a version this build does not read"));
    }
    if usize::try_from(len).map_or(true, |len| len > MAX_FOOTER_BYTES) {
        return Err(torn("has a footer longer than any that is written"));
    }
    Ok((len, crc32))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N]> {
    let (head, tail) = rest
        .split_first_chunk::<N>()
        .ok_or_else(|| torn("is shorter than its trailer"))?;
    *rest = tail;
    Ok(*head)
}

/// A stored object that is not what was written.
pub(super) fn torn(what: &'static str) -> Error {
    Error::new(Kind::Internal, format!("a stored object {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trailer_names_its_footer() {
        let trailer = write(PACK, b"123456789");
        // The check value of CRC-32/ISO-HDLC.
        assert_eq!(parse(&trailer, PACK).unwrap(), (9, 0xCBF4_3926));
    }

    fn refused(change: impl FnOnce(&mut Vec<u8>)) {
        let mut trailer = write(PACK, b"{}").to_vec();
        change(&mut trailer);
        assert_eq!(parse(&trailer, PACK).unwrap_err().kind(), Kind::Internal);
    }

    #[test]
    fn any_other_trailer_is_refused() {
        refused(Vec::clear);
        refused(|t| t.push(0));
        refused(|t| t.truncate(23));
        refused(|t| t[16] = b'k');
        refused(|t| t[12] = 2);
        refused(|t| t[3] = 2);
        refused(|t| t[7] = 0x80);
        assert!(parse(&write(METADATA, b"{}"), PACK).is_err());
    }
}
