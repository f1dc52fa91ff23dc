//! A window on a scanned file: the bytes of chosen ranges of it, counted as the scanner counts.
//!
//! For what cannot be read in place because the data set is deflated: a frame lies at a range of the inflated file, so the
//! file is inflated up to there and the rest thrown away.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::ops::Range;

use bytes::Bytes;

use super::head::FileMeta;
use super::scan::{Header, ScanError, Sink};

/// Hands out the bytes of values that lie in its ranges. The ranges ascend and lie within values.
#[derive(Debug)]
pub struct Window {
    ranges: Vec<Range<u64>>,
    position: u64,
    output: Vec<u8>,
}

impl Window {
    /// For these ranges of the inflated file.
    pub fn new(ranges: Vec<Range<u64>>) -> Self {
        Self {
            ranges,
            position: 0,
            output: Vec::new(),
        }
    }

    /// What has passed since the last call.
    pub fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.output).into()
    }

    /// Whether everything has passed.
    pub fn is_done(&self) -> bool {
        self.ranges
            .last()
            .is_none_or(|last| self.position >= last.end)
    }
}

impl Sink for Window {
    fn meta(&mut self, _meta: &FileMeta) -> Result<(), ScanError> {
        Ok(())
    }

    fn element(&mut self, header: &Header) -> Result<(), ScanError> {
        self.position = header.value_offset;
        Ok(())
    }

    fn value(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        let start = self.position;
        let end = start.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        for range in &self.ranges {
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                let at = |offset: u64| {
                    usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX)
                };
                self.output
                    .extend(bytes.get(at(from)..at(to)).unwrap_or_default());
            }
        }
        self.position = end;
        Ok(())
    }

    fn element_end(&mut self) -> Result<(), ScanError> {
        Ok(())
    }

    fn sequence_start(&mut self, _header: &Header) -> Result<(), ScanError> {
        Ok(())
    }

    fn item_start(&mut self, _offset: u64) -> Result<(), ScanError> {
        Ok(())
    }

    fn item_end(&mut self) -> Result<(), ScanError> {
        Ok(())
    }

    fn sequence_end(&mut self) -> Result<(), ScanError> {
        Ok(())
    }

    fn fragments_start(&mut self, _header: &Header) -> Result<(), ScanError> {
        Ok(())
    }

    fn fragment_start(&mut self, _number: usize, offset: u64, _len: u32) -> Result<(), ScanError> {
        self.position = offset;
        Ok(())
    }

    fn fragment_end(&mut self) -> Result<(), ScanError> {
        Ok(())
    }

    fn fragments_end(&mut self) -> Result<(), ScanError> {
        Ok(())
    }

    fn warn(&mut self, _text: String) {}
}
