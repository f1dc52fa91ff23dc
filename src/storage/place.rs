//! Where bytes lie: in which object, at which range.

use std::ops::Range;

use crate::model::SeriesUid;

/// A run of bytes of a stored object. Opaque to those above: it comes from a sealed pack or from a `Visible<Instance>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobRef {
    /// Name of the object in the store.
    pub object: String,
    /// The bytes within the object.
    pub range: Range<u64>,
}

/// Where the head of one instance lies in a metadata object (architecture.md 7.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaPlace {
    /// Range of the raw deflate block in the metadata object; the block inflates by itself.
    pub block: Range<u64>,
    /// Range of the head's JSON object in the inflated block.
    pub json: Range<u32>,
}

/// One metadata piece: the heads of one series in one pack, joined by commas, as one run of raw deflate that ends in a full
/// flush.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Whose heads.
    pub series: SeriesUid,
    /// Range in the metadata object.
    pub range: Range<u64>,
    /// Length when inflated, in bytes.
    pub inflated_len: u64,
    /// CRC-32 of the inflated bytes.
    pub crc32: u32,
    /// How many heads.
    pub instance_count: u32,
}
