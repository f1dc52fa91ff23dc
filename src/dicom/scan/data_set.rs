//! The data set: elements, sequences, items and fragments, from bytes to events.

use super::header::{Decoded, Raw, SHORT, Syntax, decode, tag};
use super::nesting::{Open, never_ends};
use super::{Header, Limits, ScanError, Sink};
use crate::model::Tag;

/// The state of reading one data set. `open` is what is open, innermost last; it stands for the recursion.
#[derive(Debug)]
pub(super) struct DataSet {
    pub(super) limits: Limits,
    pub(super) syntax: Syntax,
    /// Offset of the first byte that is not done with.
    pub(super) offset: u64,
    /// Bytes from `offset` on that are kept: a header and what has to be seen of its value.
    pub(super) carry: Vec<u8>,
    /// Bytes of `carry` without which the header cannot be understood.
    pub(super) need: usize,
    pub(super) state: State,
    pub(super) open: Vec<Open>,
    /// Number of open sequences.
    pub(super) depth: usize,
    /// The last tag of the top level.
    pub(super) last: Option<Tag>,
    /// Whether Pixel Data of the top level have passed; behind them, strange bytes are padding.
    pub(super) pixels_seen: bool,
    pub(super) nodes: u64,
    pub(super) warnings: usize,
}

/// What the next bytes are.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// The header of an element, an item or a delimiter.
    Header,
    /// So many bytes of the value of an element.
    Value { of: Subject, left: u64 },
    /// So many bytes of a value that nobody is told of.
    Skip { of: Subject, left: u64 },
    /// The header of a fragment or the delimiter of the fragments.
    FragmentHeader { of: Subject, number: usize },
    /// So many bytes of a fragment.
    Fragment {
        of: Subject,
        number: usize,
        left: u64,
    },
    /// Strange bytes behind the pixels.
    Trailing,
    /// Zeros up to the end of the file.
    Zeros,
}

/// An element that messages name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subject {
    pub(super) tag: Tag,
    pub(super) offset: u64,
    pub(super) len: u64,
}

impl Subject {
    pub(super) fn of(header: &Header) -> Self {
        Self {
            tag: header.tag,
            offset: header.offset,
            len: header.len.map_or(0, u64::from),
        }
    }
}

/// What every refusal of unreadable bytes says.
pub(super) const NO_ELEMENT: &str = "no element begins here";

/// The outcome of one step.
pub(super) type Outcome<T = ()> = Result<T, ScanError>;

impl DataSet {
    pub(super) fn new(offset: u64, syntax: Syntax, limits: Limits) -> Self {
        Self {
            limits,
            syntax,
            offset,
            carry: Vec::with_capacity(32),
            need: SHORT,
            state: State::Header,
            open: Vec::new(),
            depth: 0,
            last: None,
            pixels_seen: false,
            nodes: 0,
            warnings: 0,
        }
    }

    /// Takes the next bytes.
    pub(super) fn feed(&mut self, mut input: &[u8], sink: &mut dyn Sink) -> Outcome {
        loop {
            let goes_on = match self.state {
                State::Header => {
                    self.close_ended(sink)?;
                    self.check_room(SHORT)?;
                    self.fill(&mut input) && self.header(sink)?
                }
                State::FragmentHeader { of, number } => {
                    self.need = SHORT;
                    self.check_room(SHORT)?;
                    self.fill(&mut input) && self.fragment_header(of, number, sink)?
                }
                State::Value { of, left } => {
                    let left = self.pass(&mut input, left, |bytes| sink.value(bytes))?;
                    self.state = State::Value { of, left };
                    left == 0 && self.value_ends(sink)?
                }
                State::Fragment { of, number, left } => {
                    let left = self.pass(&mut input, left, |bytes| sink.value(bytes))?;
                    self.state = State::Fragment { of, number, left };
                    left == 0 && self.fragment_ends(of, number, sink)?
                }
                State::Skip { of, left } => {
                    let left = self.pass(&mut input, left, |_| Ok(()))?;
                    self.state = State::Skip { of, left };
                    left == 0 && self.back_to_headers()
                }
                State::Trailing | State::Zeros => {
                    self.pad(&mut input)?;
                    false
                }
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// The bytes that are left of the value or fragment at hand.
    pub(super) fn left(&self) -> u64 {
        match self.state {
            State::Value { left, .. } | State::Fragment { left, .. } | State::Skip { left, .. } => {
                left
            }
            State::Header | State::FragmentHeader { .. } | State::Trailing | State::Zeros => 0,
        }
    }

    /// Passes over so many of the bytes that are left.
    pub(super) fn skip(&mut self, len: u64) {
        if let State::Value { left, .. } | State::Fragment { left, .. } | State::Skip { left, .. } =
            &mut self.state
        {
            let len = len.min(*left);
            *left = left.saturating_sub(len);
            self.offset = self.offset.saturating_add(len);
        }
    }

    /// Passes over fragments, to the header at the offset `to`.
    pub(super) fn skip_fragments(&mut self, to: u64) {
        if let State::Fragment { of, number, .. } | State::FragmentHeader { of, number } =
            self.state
        {
            self.carry.clear();
            self.offset = to;
            let number = number.max(1).saturating_add(1);
            self.state = State::FragmentHeader { of, number };
        }
    }

    /// The file has ended.
    pub(super) fn finish(&mut self, sink: &mut dyn Sink) -> Outcome {
        match self.state {
            State::Value { of, left } | State::Skip { of, left } => {
                return Err(short(of, of.len, left));
            }
            State::Fragment { of, number, left } => {
                let reason = format!("fragment {number} is cut, {left} bytes are missing");
                return Err(ScanError::at(of.tag, of.offset, reason));
            }
            // Some writers leave the delimiter out at the end of the file.
            State::FragmentHeader { of, number } if self.carry.is_empty() && number > 1 => {
                self.warn(sink, of.offset, "the fragments end without a delimiter");
                sink.fragments_end()?;
                self.back_to_headers();
            }
            State::FragmentHeader { of, .. } => {
                return Err(ScanError::at(
                    of.tag,
                    of.offset,
                    "its fragments never end: no delimiter up to the end of the file",
                ));
            }
            State::Trailing | State::Zeros => return Ok(()),
            State::Header => self.close_ended(sink)?,
        }
        self.check_carry(sink)?;
        match self.open.last() {
            None => Ok(()),
            Some(open) => Err(never_ends(open)),
        }
    }

    /// Bytes that are too few for a header at the end of the file.
    fn check_carry(&mut self, sink: &mut dyn Sink) -> Outcome {
        if self.carry.is_empty() {
            return Ok(());
        }
        if let Decoded::Header(raw) = decode(&self.carry, self.syntax()) {
            let of = self.subject(raw);
            let there = self.carry.len().saturating_sub(raw.header_len);
            let left = of.len.saturating_sub(wide(there));
            return Err(short(of, of.len, left));
        }
        let blank = self.carry.iter().all(|b| matches!(b, 0 | b'\r' | b'\n'));
        if blank && self.open.is_empty() {
            self.warn(sink, self.offset, "padding follows the data set");
            return Ok(());
        }
        let count = self.carry.len();
        let reason = format!("{count} bytes are left, too few for an element header");
        Err(ScanError {
            offset: self.offset,
            tag: tag(&self.carry, self.syntax()),
            reason: reason.into(),
        })
    }

    pub(super) fn back_to_headers(&mut self) -> bool {
        self.state = State::Header;
        self.need = SHORT;
        true
    }

    /// Fills `carry` up to `need`.
    fn fill(&mut self, input: &mut &[u8]) -> bool {
        let missing = self.need.saturating_sub(self.carry.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        self.carry.extend_from_slice(taken);
        *input = rest;
        self.carry.len() >= self.need
    }

    /// Is done with the first `count` bytes of `carry`.
    pub(super) fn consume(&mut self, count: usize) {
        self.carry.drain(..count.min(self.carry.len()));
        self.offset = self.offset.saturating_add(wide(count));
        self.need = SHORT;
    }

    /// Passes up to `left` bytes to `to`, those of `carry` first; gives how many are still to come.
    fn pass(
        &mut self,
        input: &mut &[u8],
        left: u64,
        mut to: impl FnMut(&[u8]) -> Outcome,
    ) -> Outcome<u64> {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX);
        let (kept, _) = self.carry.split_at(wanted.min(self.carry.len()));
        let from_carry = kept.len();
        if from_carry > 0 {
            to(kept)?;
            self.consume(from_carry);
        }
        let wanted = wanted.saturating_sub(from_carry);
        let (taken, rest) = input.split_at(wanted.min(input.len()));
        if !taken.is_empty() {
            to(taken)?;
            *input = rest;
            self.offset = self.offset.saturating_add(wide(taken.len()));
        }
        Ok(left.saturating_sub(wide(from_carry.saturating_add(taken.len()))))
    }

    fn pad(&mut self, input: &mut &[u8]) -> Outcome {
        let strange = |bytes: &[u8]| bytes.iter().any(|b| *b != 0);
        if matches!(self.state, State::Zeros) && (strange(&self.carry) || strange(input)) {
            return Err(ScanError::byte(self.offset, NO_ELEMENT));
        }
        self.carry.clear();
        *input = &[];
        Ok(())
    }

    pub(super) fn syntax(&self) -> Syntax {
        self.open.last().map_or(self.syntax, |open| open.syntax)
    }

    pub(super) fn subject(&self, raw: Raw) -> Subject {
        Subject {
            tag: raw.tag,
            offset: self.offset,
            len: raw.len.map_or(0, u64::from),
        }
    }

    fn value_ends(&mut self, sink: &mut dyn Sink) -> Outcome<bool> {
        sink.element_end()?;
        Ok(self.back_to_headers())
    }

    pub(super) fn warn(&mut self, sink: &mut dyn Sink, offset: u64, text: &str) {
        if self.warnings < self.limits.warnings {
            self.warnings = self.warnings.saturating_add(1);
            sink.warn(format!("at offset {offset}: {text}"));
        }
    }
}

pub(super) fn short(of: Subject, needs: u64, missing: u64) -> ScanError {
    let left = needs.saturating_sub(missing);
    let reason = format!("value needs {needs} bytes, {left} are left");
    ScanError::at(of.tag, of.offset, reason)
}

pub(super) fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
