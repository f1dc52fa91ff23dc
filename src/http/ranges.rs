//! Byte ranges (RFC 9110 14, dicomweb.md 12.3): what a `Range` asks for, and a body cut to it.
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::fmt;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;

/// What of a body is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: nothing else was asked for in a way that is understood.
    All,
    /// A part.
    Part(Range<u64>),
    /// A part that it does not have: 416.
    Beyond,
}

impl Wanted {
    /// What the value of a `Range` header asks of a body of `len` bytes. More than one range is all of it, which the header
    /// allows (F63).
    pub fn of(range: &str, len: u64) -> Self {
        let Some(set) = range.trim().strip_prefix("bytes=") else {
            return Self::All;
        };
        let Some((first, last)) = set.trim().split_once('-') else {
            return Self::All;
        };
        let (first, last) = (first.trim(), last.trim());
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // A number beyond any body is no less a number.
        let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
        match (is_number(first), is_number(last)) {
            (false, true) if first.is_empty() => match number(last) {
                0 => Self::Beyond,
                suffix if len > 0 => Self::Part(len.saturating_sub(suffix)..len),
                _ => Self::Beyond,
            },
            (true, _) if last.is_empty() || is_number(last) => {
                let start = number(first);
                let end = if last.is_empty() {
                    len
                } else {
                    number(last).saturating_add(1).min(len)
                };
                if !last.is_empty() && number(last) < start {
                    return Self::All;
                }
                if start < end {
                    Self::Part(start..end)
                } else {
                    Self::Beyond
                }
            }
            _ => Self::All,
        }
    }
}

/// A body of which a part leaves. What stands before it is read and dropped.
pub struct Cut {
    body: BoxBody,
    skip: u64,
    left: u64,
    len: u64,
}

impl fmt::Debug for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cut")
            .field("skip", &self.skip)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Cut {
    /// The part `range` of `body`.
    pub fn new(body: BoxBody, range: &Range<u64>) -> Self {
        let len = range.end.saturating_sub(range.start);
        Self {
            body,
            skip: range.start,
            left: len,
            len,
        }
    }

    /// What of the next piece is wanted.
    fn take(&mut self, mut piece: Bytes) -> Bytes {
        let piece_len = |piece: &Bytes| u64::try_from(piece.len()).unwrap_or(u64::MAX);
        let at = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let skipped = self.skip.min(piece_len(&piece));
        self.skip = self.skip.saturating_sub(skipped);
        piece = piece.slice(at(skipped)..);
        let taken = self.left.min(piece_len(&piece));
        self.left = self.left.saturating_sub(taken);
        piece.truncate(at(taken));
        piece
    }
}

impl MessageBody for Cut {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.len)
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.get_mut();
        while this.left > 0 {
            let next = match ready!(Pin::new(&mut this.body).poll_next(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                Some(Ok(piece)) => this.take(piece),
            };
            if !next.is_empty() {
                return Poll::Ready(Some(Ok(next)));
            }
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn check(range: &str, expected: &Wanted) {
        assert_eq!(Wanted::of(range, 100), *expected, "{range}");
    }

    #[test]
    fn s05_s21_f63_a_range_is_a_part_or_all_or_beyond() {
        check("bytes=0-9", &Wanted::Part(0..10));
        check("bytes=0-0", &Wanted::Part(0..1));
        check("bytes=90-", &Wanted::Part(90..100));
        check("bytes=90-1000", &Wanted::Part(90..100));
        check("bytes=-10", &Wanted::Part(90..100));
        check("bytes=-1000", &Wanted::Part(0..100));
        check("bytes=0-99999999999999999999999", &Wanted::Part(0..100));
        for beyond in [
            "bytes=100-",
            "bytes=100-200",
            "bytes=-0",
            "bytes=99999999999999999999999-",
        ] {
            check(beyond, &Wanted::Beyond);
        }
        for all in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=a-b",
            "bytes=0-9,20-29",
            "bytes=9-0",
            "items=0-9",
            "bytes=+1-2",
            "bytes=--1",
        ] {
            check(all, &Wanted::All);
        }
        assert_eq!(Wanted::of("bytes=-5", 0), Wanted::Beyond);
        assert_eq!(Wanted::of("bytes=0-", 0), Wanted::Beyond);
    }

    #[actix_web::test]
    async fn s05_a_body_is_cut_wherever_its_pieces_end() {
        let whole: Vec<u8> = (0..100).collect();
        for piece in [1, 7, 100] {
            for range in [0..1_u8, 0..100, 6..8, 7..14, 99..100] {
                let pieces: Vec<_> = whole
                    .chunks(piece)
                    .map(|piece| Ok::<_, actix_web::Error>(Bytes::copy_from_slice(piece)))
                    .collect();
                let body = actix_web::body::BodyStream::new(stream::iter(pieces));
                let wide = u64::from(range.start)..u64::from(range.end);
                let cut = Cut::new(BoxBody::new(body), &wide);
                let found = actix_web::body::to_bytes(cut).await.unwrap();
                assert!(
                    found == whole[usize::from(range.start)..usize::from(range.end)],
                    "{range:?} of pieces of {piece}"
                );
            }
        }
    }
}
