//! A deflated data set of stored blocks (RFC 1951 3.2.4): how well a library compresses changes with its version, these never do.

use std::ops::Range;

use super::Piece;
use super::data_set::len;

/// The longest stored block, in bytes.
const MOST: u64 = 0xFFFF;

/// Writes pieces as a deflate stream, of even length.
pub(super) fn deflated(pieces: Vec<Piece>) -> Vec<Piece> {
    let mut left = len(&pieces);
    let blocks = left.div_ceil(MOST).max(1);
    let is_odd = left.saturating_add(blocks.saturating_mul(5)) % 2 == 1;
    let mut out = Vec::new();
    let mut room = 0;
    start(&mut out, &mut room, &mut left);
    for piece in pieces {
        let mut at = 0;
        let end = len(std::slice::from_ref(&piece));
        while at < end {
            if room == 0 {
                start(&mut out, &mut room, &mut left);
            }
            let to = at.saturating_add(room).min(end);
            room = room.saturating_sub(to.saturating_sub(at));
            out.push(slice(&piece, at..to));
            at = to;
        }
    }
    if is_odd {
        out.push(Piece::Bytes(vec![0]));
    }
    out
}

/// Begins a block with as much of what is left as it holds.
fn start(out: &mut Vec<Piece>, room: &mut u64, left: &mut u64) {
    let len = u16::try_from((*left).min(MOST)).unwrap_or(u16::MAX);
    *left = left.saturating_sub(u64::from(len));
    *room = u64::from(len);
    let [a, b] = len.to_le_bytes();
    out.push(Piece::Bytes(vec![u8::from(*left == 0), a, b, !a, !b]));
}

fn slice(piece: &Piece, part: Range<u64>) -> Piece {
    match piece {
        Piece::Bytes(bytes) => {
            let index = |at| usize::try_from(at).unwrap_or(usize::MAX);
            let part = bytes.get(index(part.start)..index(part.end));
            Piece::Bytes(part.unwrap_or_default().to_vec())
        }
        Piece::Item { item, range } => {
            let start = range.start.saturating_add(part.start);
            Piece::Item {
                item: *item,
                range: start..range.start.saturating_add(part.end),
            }
        }
    }
}
