//! Reading a stored file without the values that are items.

use std::ops::Range;

use super::gather::Gather;
use super::instance::Stored;
use crate::dicom::frames::FrameTable;
use crate::dicom::scan::{Limits, ScanError, Scanner};
use crate::{Error, Kind, Result};

/// The first portion: most files say all but their pixels in it.
const FIRST_BYTES: u64 = 16 << 10;

/// The longest portion.
const MOST_BYTES: u64 = 1 << 20;

/// A file that is being read.
///
/// ```no_run
/// # use kura::dicom::mint::source::Reading;
/// # fn read(range: std::ops::Range<u64>) -> Vec<u8> { Vec::new() }
/// let mut reading = Reading::new(526_336, None);
/// while let Some(range) = reading.wants() {
///     reading.feed(&read(range))?;
/// }
/// let stored = reading.finish()?;
/// # Ok::<(), kura::Error>(())
/// ```
#[derive(Debug)]
pub struct Reading {
    scanner: Scanner,
    gather: Gather,
    len: u64,
    at: u64,
    portion: u64,
}

impl Reading {
    /// Before the first byte of a file of `len` bytes. With the frame table of its pixel data, their fragments are not looked for.
    pub fn new(len: u64, table: Option<FrameTable>) -> Self {
        Self {
            scanner: Scanner::new(Limits::default()),
            gather: Gather::new(table),
            len,
            at: 0,
            portion: FIRST_BYTES,
        }
    }

    /// The range of the file to be fed next; `None` when there is nothing left to read.
    pub fn wants(&self) -> Option<Range<u64>> {
        let end = self.at.saturating_add(self.portion).min(self.len);
        (self.at < end).then_some(self.at..end)
    }

    /// Takes the bytes of the range that was wanted.
    ///
    /// # Errors
    /// `Kind::Internal` if they are no DICOM file.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            return Err(Error::new(Kind::Internal, "a stored file is cut"));
        }
        self.gather.front(bytes);
        self.scanner
            .feed(bytes, &mut self.gather)
            .map_err(unreadable)?;
        self.at = self
            .at
            .saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.portion = self.portion.saturating_mul(2).min(MOST_BYTES);
        self.skip()
    }

    /// Goes past what need not be read.
    fn skip(&mut self) -> Result<()> {
        let before = self.at;
        if let Some(end) = self.gather.fragments_end_at()
            && end > self.at
        {
            self.scanner.skip_fragments(end);
            self.at = end;
        } else if !self.gather.keeps_value() {
            let left = self.scanner.left();
            self.scanner
                .skip(left, &mut self.gather)
                .map_err(unreadable)?;
            self.at = self.at.saturating_add(left);
        }
        if self.at > before {
            self.portion = FIRST_BYTES;
        }
        Ok(())
    }

    /// The instance, once there is nothing left to read.
    ///
    /// # Errors
    /// `Kind::Internal` if the file is cut, or has no frames where its frame table has some.
    pub fn finish(mut self) -> Result<Stored> {
        self.scanner.finish(&mut self.gather).map_err(unreadable)?;
        self.gather.finish(self.scanner.encoding())
    }
}

fn unreadable(error: ScanError) -> Error {
    Error::internal("what was stored cannot be read any more", error)
}
