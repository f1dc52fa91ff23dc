//! Inflating a deflated data set as it arrives (PS3.5 A.5): raw deflate, RFC 1951.

use flate2::{Decompress, FlushDecompress, Status};

use super::{Limits, ScanError};

/// Bytes inflated at a time.
const STEP: usize = 32 * 1024;

/// A raw deflate stream.
#[derive(Debug)]
pub(super) struct Inflater {
    stream: Decompress,
    buffer: Box<[u8]>,
    ended: bool,
    /// Offset of the stream in the file.
    origin: u64,
    limits: Limits,
}

impl Inflater {
    pub(super) fn new(origin: u64, limits: Limits) -> Self {
        Self {
            stream: Decompress::new(false),
            buffer: vec![0; STEP].into_boxed_slice(),
            ended: false,
            origin,
            limits,
        }
    }

    /// Inflates `input` and hands on what comes out, a portion at a time.
    pub(super) fn feed(
        &mut self,
        mut input: &[u8],
        mut each: impl FnMut(&[u8]) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        // Bytes after the end of the stream are padding to an even length and whatever a sender adds.
        while !self.ended {
            let (taken, given) = (self.stream.total_in(), self.stream.total_out());
            let status = self
                .stream
                .decompress(input, &mut self.buffer, FlushDecompress::None);
            self.ended = matches!(status, Ok(Status::StreamEnd));
            let taken = length(self.stream.total_in(), taken);
            let given = length(self.stream.total_out(), given);
            self.check_ratio()?;
            input = input.get(taken..).unwrap_or_default();
            // What stands before the damage counts, so that it is the same however the file is cut.
            each(self.buffer.get(..given).unwrap_or_default())?;
            if status.is_err() {
                return Err(self.error("the deflated data set is damaged"));
            }
            // A full buffer may mean that more is waiting inside.
            if taken == 0 && given == 0 || input.is_empty() && given < self.buffer.len() {
                break;
            }
        }
        Ok(())
    }

    /// The file has ended.
    pub(super) fn finish(&self) -> Result<(), ScanError> {
        if self.ended {
            return Ok(());
        }
        Err(self.error("the deflated data set is cut"))
    }

    fn check_ratio(&self) -> Result<(), ScanError> {
        let (taken, given) = (self.stream.total_in(), self.stream.total_out());
        let most = taken.saturating_mul(self.limits.inflate_ratio);
        if given > self.limits.inflated_bytes && given > most {
            return Err(self.error(format!(
                "the deflated data set grows more than {} times",
                self.limits.inflate_ratio
            )));
        }
        Ok(())
    }

    /// Names the start of the stream: how far inflating came depends on the cuts.
    fn error(&self, reason: impl Into<std::borrow::Cow<'static, str>>) -> ScanError {
        ScanError::byte(self.origin, reason)
    }
}

fn length(after: u64, before: u64) -> usize {
    usize::try_from(after.saturating_sub(before)).unwrap_or(usize::MAX)
}
