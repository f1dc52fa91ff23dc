//! The scanner: what stands before the data set, then the data set, inflated where it is deflated.

use super::data_set::DataSet;
use super::header::Syntax;
use super::inflate::Inflater;
use super::prelude::{Opening, Prelude};
use super::{Limits, ScanError, Sink};
use crate::model::transfer_syntax::Encoding;

/// Reads one file as it arrives. After an error every further call gives the same error.
#[derive(Debug)]
pub struct Scanner {
    limits: Limits,
    stage: Stage,
    encoding: Encoding,
    failed: Option<ScanError>,
}

#[derive(Debug)]
enum Stage {
    Prelude(Box<Prelude>),
    DataSet(DataSet),
    Deflated(Box<Inflater>, DataSet),
}

impl Scanner {
    /// A scanner before the first byte of a file.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            stage: Stage::Prelude(Box::new(Prelude::new(limits))),
            encoding: Encoding::ExplicitLittle,
            failed: None,
        }
    }

    /// Takes the next bytes of the file, any number of them.
    ///
    /// # Errors
    /// What cannot be read or goes beyond a limit, or what the sink refuses.
    pub fn feed(&mut self, chunk: &[u8], sink: &mut dyn Sink) -> Result<(), ScanError> {
        self.guarded(|scanner| scanner.try_feed(chunk, sink))
    }

    /// How many of the next bytes are of the value or fragment that is being read, so that [`skip`](Self::skip) may pass over
    /// them; 0 between values, and in a deflated data set.
    pub fn left(&self) -> u64 {
        match &self.stage {
            Stage::DataSet(data_set) => data_set.left(),
            Stage::Prelude(_) | Stage::Deflated(..) => 0,
        }
    }

    /// Passes over so many bytes of the file, at most [`left`](Self::left) of them; the sink is not told of them.
    ///
    /// # Errors
    /// As [`feed`](Self::feed).
    pub fn skip(&mut self, len: u64, sink: &mut dyn Sink) -> Result<(), ScanError> {
        if let Stage::DataSet(data_set) = &mut self.stage {
            data_set.skip(len);
        }
        self.feed(&[], sink)
    }

    /// Passes over fragments: goes on at the offset `to`, where the header of another or the delimiter behind the last one
    /// stands. Without effect where no fragments are being read.
    pub fn skip_fragments(&mut self, to: u64) {
        if let Stage::DataSet(data_set) = &mut self.stage {
            data_set.skip_fragments(to);
        }
    }

    /// The file has ended.
    ///
    /// # Errors
    /// What is not complete: a value, a sequence, a deflate stream; a file that is not DICOM.
    pub fn finish(&mut self, sink: &mut dyn Sink) -> Result<(), ScanError> {
        self.guarded(|scanner| scanner.try_finish(sink))
    }

    /// The encoding in force: the declared one, or what the bytes say where they belie it. Not settled before
    /// [`Sink::meta`] has been called.
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    fn guarded(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<(), ScanError>,
    ) -> Result<(), ScanError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        work(self).inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn try_feed(&mut self, mut chunk: &[u8], sink: &mut dyn Sink) -> Result<(), ScanError> {
        if let Stage::Prelude(prelude) = &mut self.stage {
            match prelude.feed(&mut chunk)? {
                Some(opening) => self.open(&opening, sink)?,
                None => return Ok(()),
            }
        }
        self.feed_data(chunk, sink)
    }

    fn try_finish(&mut self, sink: &mut dyn Sink) -> Result<(), ScanError> {
        if let Stage::Prelude(prelude) = &mut self.stage {
            let opening = prelude.finish()?;
            self.open(&opening, sink)?;
        }
        match &mut self.stage {
            Stage::Prelude(_) => Ok(()),
            Stage::DataSet(data_set) => data_set.finish(sink),
            Stage::Deflated(inflater, data_set) => {
                inflater.finish()?;
                data_set.finish(sink)
            }
        }
    }

    fn open(&mut self, opening: &Opening, sink: &mut dyn Sink) -> Result<(), ScanError> {
        self.encoding = opening.encoding;
        let offset = opening.meta.data_set_offset;
        let data_set = DataSet::new(offset, Syntax::of(opening.encoding), self.limits);
        self.stage = match opening.encoding {
            Encoding::Deflated => {
                let inflater = Inflater::new(offset, self.limits);
                Stage::Deflated(Box::new(inflater), data_set)
            }
            Encoding::ImplicitLittle | Encoding::ExplicitLittle | Encoding::ExplicitBig => {
                Stage::DataSet(data_set)
            }
        };
        sink.meta(&opening.meta)?;
        for warning in &opening.warnings {
            sink.warn(warning.clone());
        }
        self.feed_data(&opening.rest, sink)
    }

    fn feed_data(&mut self, chunk: &[u8], sink: &mut dyn Sink) -> Result<(), ScanError> {
        match &mut self.stage {
            Stage::Prelude(_) => Ok(()),
            Stage::DataSet(data_set) => data_set.feed(chunk, sink),
            Stage::Deflated(inflater, data_set) => {
                inflater.feed(chunk, |bytes| data_set.feed(bytes, sink))
            }
        }
    }
}
