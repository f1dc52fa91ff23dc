//! Heads out of a metadata object: one block, or a whole piece as a stream.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::ops::Range;

use bytes::{Buf as _, Bytes};
use crc32fast::Hasher;
use flate2::{Decompress, FlushDecompress, Status};
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _, stream};

use super::metadata::MAX_HEAD_BYTES;
use super::place::Piece;
use super::trailer::torn;
use crate::{Error, Result};

/// What is inflated at a time.
const STEP_BYTES: usize = 64 << 10;

/// The longest inflated block: what a piece gathers before it is flushed, or one head that is longer.
const MAX_BLOCK_BYTES: usize = MAX_HEAD_BYTES;

/// The head at `json` of the block `bytes`.
///
/// Memory grows with what comes out, never with what `json` claims.
///
/// # Errors
/// `Kind::Internal` for a block that is damaged or does not reach so far.
pub fn inflate_block(bytes: &[u8], json: &Range<u32>) -> Result<Vec<u8>> {
    let start = usize::try_from(json.start).map_err(|_| too_long())?;
    let end = usize::try_from(json.end).map_err(|_| too_long())?;
    if end > MAX_BLOCK_BYTES {
        return Err(too_long());
    }
    let mut inflater = Inflater::new();
    let mut rest = bytes;
    let mut out = Vec::new();
    while out.len() < end {
        let step = inflater.step(&mut rest)?;
        if step.is_empty() {
            return Err(torn("has a metadata block shorter than promised"));
        }
        out.extend_from_slice(&step);
    }
    out.truncate(end);
    if start > end {
        return Err(torn("has a head that ends before it begins"));
    }
    out.drain(..start);
    Ok(out)
}

fn too_long() -> Error {
    torn("has a metadata block longer than any that is written")
}

/// The heads of `piece`, joined by commas, from its bytes as the vault reads them. Slices of at most 64 KiB; the stream
/// fails with `Kind::Internal` if length or checksum are not those of the piece.
pub fn inflate_piece(
    bytes: impl Stream<Item = Result<Bytes>> + Send + 'static,
    piece: &Piece,
) -> BoxStream<'static, Result<Bytes>> {
    let state = Inflating {
        bytes: bytes.boxed(),
        inflater: Inflater::new(),
        input: Bytes::new(),
        crc: Hasher::new(),
        left: piece.inflated_len,
        crc32: piece.crc32,
    };
    stream::try_unfold(state, async |mut state| {
        let slice = state.next().await?;
        Ok(slice.map(|slice| (slice, state)))
    })
    .boxed()
}

struct Inflating {
    bytes: BoxStream<'static, Result<Bytes>>,
    inflater: Inflater,
    input: Bytes,
    crc: Hasher,
    left: u64,
    crc32: u32,
}

impl Inflating {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let mut rest: &[u8] = &self.input;
            let step = self.inflater.step(&mut rest)?;
            let used = self.input.len().saturating_sub(rest.len());
            self.input.advance(used);
            if !step.is_empty() {
                self.crc.update(&step);
                let len = u64::try_from(step.len()).unwrap_or(u64::MAX);
                self.left = self.left.checked_sub(len).ok_or_else(differs)?;
                return Ok(Some(step.into()));
            }
            match self.bytes.try_next().await? {
                Some(more) if self.input.is_empty() => self.input = more,
                None if self.left == 0 && self.crc.clone().finalize() == self.crc32 => {
                    return Ok(None);
                }
                Some(_) | None => return Err(differs()),
            }
        }
    }
}

fn differs() -> Error {
    torn("has a metadata piece other than what was written")
}

/// Raw deflate without an end.
struct Inflater(Decompress);

impl Inflater {
    fn new() -> Self {
        Self(Decompress::new(false))
    }

    /// Inflates up to [`STEP_BYTES`] of `rest` and moves it on; nothing where more input is needed.
    fn step(&mut self, rest: &mut &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(STEP_BYTES);
        let before = self.0.total_in();
        let status = self
            .0
            .decompress_vec(rest, &mut out, FlushDecompress::None)
            .map_err(|cause| torn("has damaged metadata").with_source(cause))?;
        let used = usize::try_from(self.0.total_in().saturating_sub(before)).unwrap_or(usize::MAX);
        *rest = rest.get(used..).unwrap_or_default();
        match status {
            Status::Ok | Status::BufError => Ok(out),
            // A piece is the middle of a gzip member, so none of its blocks is the last one.
            Status::StreamEnd => Err(torn("has metadata that ends too early")),
        }
    }
}
