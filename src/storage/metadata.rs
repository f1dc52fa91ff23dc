//! The metadata object beside a pack: the heads of its instances as DICOM JSON (architecture.md 7.5).
//!
//! ```text
//! piece of series A: block | block | …       raw deflate, no final block
//! piece of series B: block | …
//! footer, trailer (KURAMETA)
//! ```
//!
//! A piece is the heads of one series, joined by commas. Each of its blocks ends in a full flush and begins without a
//! dictionary, so that it inflates by itself, and holds whole heads: one, or as many as fit into 256 KiB. All pieces one
//! after the other are still one stream of deflate, which is what [`super::gzip`] makes use of.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::ops::Range;

use bytes::Bytes;
use crc32fast::Hasher;
use flate2::{Compress, Compression, FlushCompress};
use serde::{Deserialize, Serialize};

use super::backend::blocking;
use super::place::{MetaPlace, Piece};
use super::trailer::{self, torn};
use super::vault::{Put, Vault};
use crate::model::{PackId, SeriesUid};
use crate::{Error, Kind, Result};

/// JSON that a block gathers. The metadata of one instance is one block to read and inflate, so it should be small; deflate
/// looks back 32 KiB, so a larger one would hardly be tighter.
pub const BLOCK_BYTES: usize = 256 << 10;

/// JSON that is packed on the spot: it takes less than to have it done elsewhere.
const AT_ONCE_BYTES: usize = 8 << 10;

/// How hard deflate looks for repeats, of which heads of one series are made: what 6 leaves is half as long again. It costs
/// some 25 µs an instance.
const LEVEL: u32 = 7;

/// The longest head that is kept: four times the longest that is read (16 MiB), for what JSON adds.
pub const MAX_HEAD_BYTES: usize = 64 << 20;

/// Heads that wait for their pack to be sealed.
#[derive(Debug, Default)]
pub(super) struct MetadataWriter {
    series: Vec<SeriesHeads>,
    held_bytes: usize,
}

/// The piece of one series in the making.
#[derive(Debug)]
struct SeriesHeads {
    series: SeriesUid,
    /// JSON of the open block.
    open: Vec<u8>,
    blocks: Vec<Bytes>,
    crc: Hasher,
    inflated_len: u64,
    instance_count: u32,
}

/// A head among those that wait.
#[derive(Debug)]
pub(super) struct Head {
    series: usize,
    block: usize,
    json: Range<u32>,
}

impl MetadataWriter {
    /// Adds the head of an instance of `series`.
    ///
    /// # Errors
    /// `Kind::TooLarge` for a head beyond [`MAX_HEAD_BYTES`]; nothing was added then.
    pub(super) async fn add(&mut self, series: &SeriesUid, json: &[u8]) -> Result<Head> {
        if json.len() > MAX_HEAD_BYTES {
            return Err(Error::new(
                Kind::TooLarge,
                "the attributes of the instance are longer than 64 MiB as JSON",
            ));
        }
        let at = self.place_of(series);
        let heads = self.series.get_mut(at).ok_or_else(lost)?;
        if !heads.open.is_empty() && heads.open.len().saturating_add(json.len()) >= BLOCK_BYTES {
            let packed = heads.flush().await?;
            self.held_bytes = self.held_bytes.saturating_add(packed);
        }
        let (block, json) = heads.push(json)?;
        Ok(Head {
            series: at,
            block,
            json,
        })
    }

    /// How many series have a head here.
    pub(super) fn series_count(&self) -> usize {
        self.series.len()
    }

    /// Bytes of finished blocks that are held until the pack is sealed.
    pub(super) fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Ends all pieces.
    pub(super) async fn finish(mut self) -> Result<Metadata> {
        let mut metadata = Metadata::default();
        let mut at = 0_u64;
        for heads in &mut self.series {
            heads.flush().await?;
            let start = at;
            let mut blocks = Vec::with_capacity(heads.blocks.len());
            for block in heads.blocks.drain(..) {
                let end = at.saturating_add(u64::try_from(block.len()).unwrap_or(u64::MAX));
                blocks.push(at..end);
                at = end;
                metadata.bytes.push(block);
            }
            metadata.blocks.push(blocks);
            metadata.pieces.push(Piece {
                series: heads.series.clone(),
                range: start..at,
                inflated_len: heads.inflated_len,
                crc32: heads.crc.clone().finalize(),
                instance_count: heads.instance_count,
            });
        }
        Ok(metadata)
    }

    fn place_of(&mut self, series: &SeriesUid) -> usize {
        let known = self.series.iter().position(|heads| heads.series == *series);
        known.unwrap_or_else(|| {
            self.series.push(SeriesHeads::new(series.clone()));
            self.series.len().saturating_sub(1)
        })
    }
}

impl SeriesHeads {
    fn new(series: SeriesUid) -> Self {
        Self {
            series,
            open: Vec::new(),
            blocks: Vec::new(),
            crc: Hasher::new(),
            inflated_len: 0,
            instance_count: 0,
        }
    }

    /// Adds a head to the open block; gives the number of the block and the place in it.
    fn push(&mut self, json: &[u8]) -> Result<(usize, Range<u32>)> {
        if self.instance_count > 0 {
            self.open.push(b',');
        }
        let start = u32::try_from(self.open.len()).map_err(|_| lost())?;
        self.open.extend_from_slice(json);
        let end = u32::try_from(self.open.len()).map_err(|_| lost())?;
        self.instance_count = self.instance_count.saturating_add(1);
        Ok((self.blocks.len(), start..end))
    }

    /// Ends the open block; gives its length when packed.
    async fn flush(&mut self) -> Result<usize> {
        if self.open.is_empty() {
            return Ok(0);
        }
        let json = std::mem::take(&mut self.open);
        self.crc.update(&json);
        let len = u64::try_from(json.len()).unwrap_or(u64::MAX);
        self.inflated_len = self.inflated_len.saturating_add(len);
        // Some milliseconds a full block: too long for a thread that serves requests.
        let block = if json.len() <= AT_ONCE_BYTES {
            deflate_block(&json)?
        } else {
            blocking(move || deflate_block(&json)).await??
        };
        let packed = block.len();
        self.blocks.push(block);
        Ok(packed)
    }
}

fn lost() -> Error {
    Error::new(Kind::Internal, "a head has no place in its metadata block")
}

/// `json` as raw deflate, without a dictionary before it, ended by a full flush.
fn deflate_block(json: &[u8]) -> Result<Bytes> {
    let mut deflate = Compress::new(Compression::new(LEVEL), false);
    let mut out = Vec::with_capacity(json.len() / 4);
    let mut rest = json;
    loop {
        out.reserve(32 << 10);
        let before = deflate.total_in();
        deflate
            .compress_vec(rest, &mut out, FlushCompress::Full)
            .map_err(|cause| Error::internal("metadata cannot be compressed", cause))?;
        let used = usize::try_from(deflate.total_in().saturating_sub(before)).unwrap_or(usize::MAX);
        rest = rest.get(used..).unwrap_or_default();
        // zlib's rule: the flush is complete when room is left over.
        if rest.is_empty() && out.len() < out.capacity() {
            out.shrink_to_fit();
            return Ok(out.into());
        }
    }
}

/// A metadata object in whole, still in memory: about a hundredth of its pack.
#[derive(Debug, Default)]
pub(super) struct Metadata {
    pub(super) pieces: Vec<Piece>,
    /// Ranges of the blocks of each piece, in the object.
    blocks: Vec<Vec<Range<u64>>>,
    bytes: Vec<Bytes>,
}

impl Metadata {
    /// Where `head` came to lie.
    pub(super) fn place(&self, head: &Head) -> Result<MetaPlace> {
        let block = self
            .blocks
            .get(head.series)
            .and_then(|blocks| blocks.get(head.block));
        Ok(MetaPlace {
            block: block.cloned().ok_or_else(lost)?,
            json: head.json.clone(),
        })
    }

    /// Writes the object, all but its end: [`Put::close_unsynced`] is left to the caller. Gives its SHA-256.
    pub(super) async fn write(&mut self, pack_id: PackId, put: &mut Put) -> Result<[u8; 32]> {
        let footer = self.footer(pack_id)?;
        let trailer = trailer::write(trailer::METADATA, &footer);
        let mut digest = super::digest::Digester::default();
        for bytes in self.bytes.drain(..).chain([footer, trailer]) {
            digest.update(&bytes);
            put.write(bytes).await?;
        }
        Ok(digest.finish())
    }

    fn footer(&self, pack_id: PackId) -> Result<Bytes> {
        let pieces = self.pieces.iter().map(WirePiece::of).collect();
        let footer = WireFooter {
            pack: pack_id.to_string(),
            pieces,
        };
        let footer = serde_json::to_vec(&footer)
            .map_err(|cause| Error::internal("a metadata footer cannot be written", cause))?;
        Ok(footer.into())
    }
}

/// The footer as it is stored.
#[derive(Serialize, Deserialize)]
struct WireFooter {
    pack: String,
    pieces: Vec<WirePiece>,
}

#[derive(Serialize, Deserialize)]
struct WirePiece {
    series: String,
    offset: u64,
    length: u64,
    inflated_length: u64,
    crc32: u32,
    instances: u32,
}

impl WirePiece {
    fn of(piece: &Piece) -> Self {
        Self {
            series: piece.series.to_string(),
            offset: piece.range.start,
            length: piece.range.end.saturating_sub(piece.range.start),
            inflated_length: piece.inflated_len,
            crc32: piece.crc32,
            instances: piece.instance_count,
        }
    }

    /// The piece, if it lies within the first `body_len` bytes and not before `from`.
    fn checked(self, from: u64, body_len: u64) -> Option<Piece> {
        let end = self.offset.checked_add(self.length)?;
        (self.offset >= from && end <= body_len).then_some(())?;
        Some(Piece {
            series: SeriesUid::parse(&self.series).ok()?,
            range: self.offset..end,
            inflated_len: self.inflated_length,
            crc32: self.crc32,
            instance_count: self.instances,
        })
    }
}

/// The pieces of a metadata object, as its own footer names them.
///
/// # Errors
/// `Kind::Internal` for an object that is not there, torn, or contradicts itself; `Kind::Unavailable` if the store does not
/// answer.
pub async fn read_pieces(vault: &Vault, object: &str) -> Result<Vec<Piece>> {
    let found = trailer::read(vault, object, trailer::METADATA).await?;
    parse(&found.footer, found.body_len)
}

fn parse(footer: &[u8], body_len: u64) -> Result<Vec<Piece>> {
    let footer: WireFooter = serde_json::from_slice(footer)
        .map_err(|cause| torn("has a footer that cannot be read").with_source(cause))?;
    let mut from = 0;
    let mut pieces = Vec::new();
    for piece in footer.pieces {
        let piece = piece
            .checked(from, body_len)
            .ok_or_else(|| torn("has a footer that contradicts it"))?;
        from = piece.range.end;
        pieces.push(piece);
    }
    Ok(pieces)
}

#[cfg(test)]
#[path = "metadata_tests.rs"]
mod tests;
