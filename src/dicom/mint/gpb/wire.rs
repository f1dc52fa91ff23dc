//! The encoding of protobuf: keys, numbers and lengths, from a stream and from what is in memory.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::io::{self, BufRead, Read as _};

use crate::dicom::mint::limits::{MAX_LEVEL_BYTES, too_long, unread};
use crate::{Error, Result};

/// The key of a field: its number and what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) field: u32,
    pub(super) wire: Wire,
}

/// What follows a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// A number.
    Number,
    /// A length, and so many bytes.
    Bytes,
    /// So many bytes, which no field here has.
    Fixed(u64),
}

impl Key {
    fn of(key: u64) -> Result<Self> {
        let wire = match key & 7 {
            0 => Wire::Number,
            2 => Wire::Bytes,
            1 => Wire::Fixed(8),
            5 => Wire::Fixed(4),
            _ => return Err(no_message()),
        };
        let field = u32::try_from(key.wrapping_shr(3)).ok();
        let field = field.filter(|field| *field > 0).ok_or_else(no_message)?;
        Ok(Self { field, wire })
    }
}

/// A refusal of what is no protobuf.
pub(super) fn no_message() -> Error {
    Error::invalid("the document is no protobuf message of a study")
}

/// Collects the next byte of a number; `Some` when it is complete.
fn next_byte(number: &mut u64, shift: &mut u32, byte: u8) -> Result<Option<u64>> {
    if *shift > 63 {
        return Err(no_message());
    }
    *number |= u64::from(byte & 0x7F).wrapping_shl(*shift);
    *shift = shift.saturating_add(7);
    Ok((byte < 0x80).then_some(*number))
}

/// A message that comes as a stream.
#[derive(Debug)]
pub(super) struct Stream<R> {
    from: R,
    /// Bytes that have been read.
    pub(super) at: u64,
}

impl<R: BufRead> Stream<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, at: 0 }
    }

    /// The next key; `None` at the end of the stream.
    pub(super) fn key(&mut self) -> Result<Option<Key>> {
        if self.from.fill_buf().map_err(unread)?.is_empty() {
            return Ok(None);
        }
        Key::of(self.number()?).map(Some)
    }

    pub(super) fn number(&mut self) -> Result<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let mut byte = [0];
            self.from.read_exact(&mut byte).map_err(unread)?;
            self.at = self.at.saturating_add(1);
            if let Some(number) = next_byte(&mut number, &mut shift, byte[0])? {
                return Ok(number);
            }
        }
    }

    /// A length and the bytes that follow.
    pub(super) fn bytes(&mut self) -> Result<Vec<u8>> {
        let len = self.number()?;
        if usize::try_from(len).map_or(true, |len| len > MAX_LEVEL_BYTES) {
            return Err(too_long());
        }
        // Nothing is taken for bytes that are only announced.
        let mut bytes = Vec::new();
        let mut part = (&mut self.from).take(len);
        part.read_to_end(&mut bytes).map_err(unread)?;
        if part.limit() > 0 {
            return Err(no_message());
        }
        self.at = self.at.saturating_add(len);
        Ok(bytes)
    }

    pub(super) fn text(&mut self) -> Result<String> {
        String::from_utf8(self.bytes()?).map_err(|_| no_text())
    }

    /// Passes over what follows a key that is not known (MINT D15).
    pub(super) fn skip(&mut self, wire: Wire) -> Result<()> {
        let len = match wire {
            Wire::Number => return self.number().map(drop),
            Wire::Bytes => self.number()?,
            Wire::Fixed(len) => len,
        };
        let mut part = (&mut self.from).take(len);
        io::copy(&mut part, &mut io::sink()).map_err(unread)?;
        if part.limit() > 0 {
            return Err(no_message());
        }
        self.at = self.at.saturating_add(len);
        Ok(())
    }
}

/// A refusal of text that is none.
pub(super) fn no_text() -> Error {
    Error::invalid("the document has text that is not UTF-8")
}

/// A message in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message<'a>(pub(super) &'a [u8]);

/// A field of a message in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Of a kind that no field here has.
    Other,
}

impl<'a> Message<'a> {
    /// The next field and its number; `None` at the end.
    pub(super) fn field(&mut self) -> Result<Option<(u32, Field<'a>)>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let Key { field, wire } = Key::of(self.number()?)?;
        let value = match wire {
            Wire::Number => Field::Number(self.number()?),
            Wire::Bytes => {
                let len = self.number()?;
                Field::Bytes(self.take(len)?)
            }
            Wire::Fixed(len) => {
                self.take(len)?;
                Field::Other
            }
        };
        Ok(Some((field, value)))
    }

    fn number(&mut self) -> Result<u64> {
        let (mut number, mut shift) = (0, 0);
        loop {
            let (byte, rest) = self.0.split_first().ok_or_else(no_message)?;
            self.0 = rest;
            if let Some(number) = next_byte(&mut number, &mut shift, *byte)? {
                return Ok(number);
            }
        }
    }

    fn take(&mut self, len: u64) -> Result<&'a [u8]> {
        let len = usize::try_from(len).map_err(|_| no_message())?;
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(no_message)?;
        self.0 = rest;
        Ok(taken)
    }
}
