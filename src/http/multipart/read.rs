//! A `multipart/related` body → parts, while it arrives (dicomweb.md T01 to T04, T11, T52).
//!
//! [`Reader`] is the grammar: fed chunks, it gives events, and never holds more than one chunk, a boundary and a header
//! block. Whoever has the body feeds it.
//!
//! ```text
//! preamble  LF --b  padding  LF  headers  LF LF  data  LF --b  padding  LF …  LF --b--  epilogue
//!           └ delimiter ──────┘                        └ delimiter ──────┘    └ delimiter
//! ```
//! Each LF may have a CR in front; the first delimiter may be the start of the body.
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

use super::headers::Headers;
use crate::error::{Error, Result};

/// The longest header block of a part, in bytes.
const LONGEST_HEADERS: usize = 16 * 1024;
/// How much white space may follow a boundary, in bytes.
const LONGEST_PADDING: usize = 256;

/// One step through a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A part begins.
    Part(Headers),
    /// Some of its bytes; never empty.
    Data(Bytes),
    /// It is complete.
    PartEnd,
    /// The next chunk is wanted.
    NeedMore,
    /// The last boundary has passed; what follows is not looked at.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Preamble,
    Headers,
    Data,
    End,
}

/// What was found of a delimiter in the bytes at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// None; this many bytes cannot be part of one.
    Nothing { free: usize },
    /// Bytes before `start` are free, the delimiter ends at `end`.
    Delimiter {
        start: usize,
        end: usize,
        is_last: bool,
    },
}

/// The grammar of one body.
#[derive(Debug)]
pub struct Reader {
    /// Finds `LF --boundary`.
    finder: Finder<'static>,
    state: State,
    /// Whether a boundary at the very front counts as being on a line of its own.
    at_line_start: bool,
    /// Whether the first boundary line ended in a bare LF: a CR before a boundary is then data.
    bare_lf: Option<bool>,
    /// Not consumed yet.
    pending: Bytes,
    /// Offset of `pending` in the body.
    offset: u64,
}

impl Reader {
    /// A reader for a body whose boundary is `boundary`, without dashes in front.
    pub fn new(boundary: &str) -> Self {
        Self {
            finder: Finder::new(&format!("\n--{boundary}")).into_owned(),
            state: State::Preamble,
            at_line_start: true,
            bare_lf: None,
            pending: Bytes::new(),
            offset: 0,
        }
    }

    /// Takes the next chunk. To be called on [`Event::NeedMore`]; a chunk is copied only if a boundary or a header block
    /// may lie across its start.
    pub fn push(&mut self, chunk: Bytes) {
        if self.state == State::End {
            return;
        }
        if self.pending.is_empty() {
            self.pending = chunk;
            return;
        }
        let mut joined = BytesMut::with_capacity(self.pending.len().saturating_add(chunk.len()));
        joined.extend_from_slice(&self.pending);
        joined.extend_from_slice(&chunk);
        self.pending = joined.freeze();
    }

    /// The next event.
    ///
    /// # Errors
    /// `Kind::Invalid` with the byte offset if the headers of a part cannot be read or are longer than 16 KiB.
    pub fn next_event(&mut self) -> Result<Event> {
        match self.state {
            State::Preamble => self.preamble(),
            State::Headers => self.headers(),
            State::Data => Ok(self.data()),
            State::End => Ok(Event::End),
        }
    }

    /// Says whether the body may end here. Parts that were complete before stay good (T52).
    ///
    /// # Errors
    /// `Kind::Invalid` with the byte offset if the last boundary has not been seen.
    pub fn finish(&self) -> Result<()> {
        let what = match self.state {
            State::End => return Ok(()),
            State::Preamble => "no boundary was found in the body",
            State::Headers => "the body ends before its last boundary",
            State::Data => "the body ends inside a part",
        };
        Err(self.invalid(self.pending.len(), what))
    }

    fn preamble(&mut self) -> Result<Event> {
        match self.delimiter() {
            Found::Nothing { free } => {
                self.take(free);
                Ok(Event::NeedMore)
            }
            Found::Delimiter { end, is_last, .. } => {
                self.pass(end, is_last);
                self.next_event()
            }
        }
    }

    fn headers(&mut self) -> Result<Event> {
        let longest = self.pending.len().min(LONGEST_HEADERS);
        let window = self.pending.get(..longest).unwrap_or_default();
        let Some((block, end)) = header_block(window) else {
            return match longest {
                LONGEST_HEADERS => Err(self.invalid(0, "the headers of a part exceed 16 KiB")),
                _ => Ok(Event::NeedMore),
            };
        };
        let headers = Headers::parse(block)
            .ok_or_else(|| self.invalid(0, "the headers of a part cannot be read"))?;
        self.take(end);
        self.at_line_start = true;
        self.state = State::Data;
        Ok(Event::Part(headers))
    }

    fn data(&mut self) -> Event {
        match self.delimiter() {
            Found::Nothing { free: 0 } => Event::NeedMore,
            Found::Nothing { free } => Event::Data(self.take(free)),
            Found::Delimiter {
                start: 0,
                end,
                is_last,
            } => {
                self.pass(end, is_last);
                Event::PartEnd
            }
            Found::Delimiter { start, .. } => Event::Data(self.take(start)),
        }
    }

    /// Leaves a delimiter behind.
    fn pass(&mut self, end: usize, is_last: bool) {
        let line = self.take(end);
        self.bare_lf.get_or_insert(!line.ends_with(b"\r\n"));
        self.state = if is_last { State::End } else { State::Headers };
        if is_last {
            self.pending.clear();
        }
    }

    /// Takes `len` bytes off the front.
    fn take(&mut self, len: usize) -> Bytes {
        let taken = self.pending.split_to(len.min(self.pending.len()));
        let count = u64::try_from(taken.len()).unwrap_or(u64::MAX);
        self.offset = self.offset.saturating_add(count);
        self.at_line_start &= taken.is_empty();
        taken
    }

    fn delimiter(&self) -> Found {
        let bytes = self.pending.as_ref();
        let needle = self.finder.needle();
        if self.at_line_start {
            let dashes = needle.get(1..).unwrap_or_default();
            match boundary_line(bytes, dashes) {
                Line::Whole { len, is_last } => {
                    return Found::Delimiter {
                        start: 0,
                        end: len,
                        is_last,
                    };
                }
                Line::Cut => return Found::Nothing { free: 0 },
                Line::Other => {}
            }
        }
        let mut from = 0;
        while let Some(at) = self.finder.find(bytes.get(from..).unwrap_or_default()) {
            let at = from.saturating_add(at);
            let start = at.saturating_sub(usize::from(self.has_cr_before(at)));
            match boundary_line(bytes.get(at..).unwrap_or_default(), needle) {
                Line::Whole { len, is_last } => {
                    return Found::Delimiter {
                        start,
                        end: at.saturating_add(len),
                        is_last,
                    };
                }
                Line::Cut => return Found::Nothing { free: start },
                Line::Other => from = at.saturating_add(1),
            }
        }
        Found::Nothing {
            free: self.free_len(),
        }
    }

    /// Whether the LF at `at` has a CR in front that belongs to the line end.
    fn has_cr_before(&self, at: usize) -> bool {
        let before = at.checked_sub(1).and_then(|at| self.pending.get(at));
        before == Some(&b'\r') && self.bare_lf != Some(true)
    }

    /// The length of what is pending without an end that may be the start of a delimiter.
    fn free_len(&self) -> usize {
        let bytes = self.pending.as_ref();
        let needle = self.finder.needle();
        let window = bytes.len().saturating_sub(needle.len());
        (window..bytes.len())
            .find(|&at| {
                let tail = bytes.get(at..).unwrap_or_default();
                let after_cr = tail.strip_prefix(b"\r");
                needle.starts_with(tail)
                    || (self.bare_lf != Some(true)
                        && after_cr.is_some_and(|tail| needle.starts_with(tail)))
            })
            .unwrap_or(bytes.len())
    }

    /// A refusal that names the byte `at` bytes after the front.
    fn invalid(&self, at: usize, what: &str) -> Error {
        let at = u64::try_from(at).unwrap_or(u64::MAX);
        let offset = self.offset.saturating_add(at);
        Error::invalid(format!("{what}, at byte {offset}"))
    }
}

/// What bytes that begin like a boundary are.
enum Line {
    /// A boundary with the rest of its line.
    Whole { len: usize, is_last: bool },
    /// It may become one.
    Cut,
    /// Something else, the boundary of another message for instance.
    Other,
}

/// Reads a boundary, the dashes after the last one, or white space and the end of the line.
fn boundary_line(bytes: &[u8], boundary: &[u8]) -> Line {
    let Some(rest) = bytes.strip_prefix(boundary) else {
        let may_become_one = boundary.starts_with(bytes);
        return if may_become_one {
            Line::Cut
        } else {
            Line::Other
        };
    };
    if rest.starts_with(b"--") {
        return Line::Whole {
            len: boundary.len().saturating_add(2),
            is_last: true,
        };
    }
    let padding = rest
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t'))
        .count();
    if padding > LONGEST_PADDING {
        return Line::Other;
    }
    let line_end = match rest.get(padding..).unwrap_or_default() {
        [b'\n', ..] => 1,
        [b'\r', b'\n', ..] => 2,
        [] | [b'\r'] => return Line::Cut,
        [b'-'] if padding == 0 => return Line::Cut,
        _ => return Line::Other,
    };
    Line::Whole {
        len: boundary
            .len()
            .saturating_add(padding)
            .saturating_add(line_end),
        is_last: false,
    }
}

/// The header lines at the front, and where the blank line after them ends.
fn header_block(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let blank = |at: usize| match bytes.get(at..)? {
        [b'\n', ..] => at.checked_add(1),
        [b'\r', b'\n', ..] => at.checked_add(2),
        _ => None,
    };
    if let Some(end) = blank(0) {
        return Some((&[], end));
    }
    memchr::memchr_iter(b'\n', bytes).find_map(|at| {
        let end = blank(at.checked_add(1)?)?;
        Some((bytes.get(..at)?, end))
    })
}
