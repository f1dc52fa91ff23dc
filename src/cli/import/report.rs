//! What was refused and why: lines for people on standard output, or JSON lines in a file.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Kind, Result};

/// How many files went which way.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Files that were found.
    pub(super) found: u64,
    /// Bytes of the files that were read.
    pub(super) bytes: u64,
    /// Stored now.
    pub(super) stored: u64,
    /// There already, byte for byte.
    pub(super) there: u64,
    /// Stored or there, with something odd about it.
    pub(super) warned: u64,
    /// No DICOM instance: other files, DICOMDIR, links.
    pub(super) skipped: u64,
    /// Refused.
    pub(super) refused: u64,
    /// Could not be read from disk.
    pub(super) unreadable: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "found {}, stored {}, already there {}, skipped {}, refused {}, unreadable {}, warnings {}",
            self.found,
            self.stored,
            self.there,
            self.skipped,
            self.refused,
            self.unreadable,
            self.warned
        )
    }
}

/// One line about one file.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct About<'a> {
    /// `refused`, `warning` or `unreadable`.
    pub(super) outcome: &'a str,
    /// Failure or warning reason (PS3.4 table B.2-1) as four hexadecimal digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<String>,
    /// The file.
    pub(super) file: String,
    /// SOP Instance UID, as far as it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sop_instance: Option<&'a str>,
    /// Why.
    pub(super) text: &'a str,
}

/// Where the lines go.
pub(super) struct Report(Option<BufWriter<File>>);

impl Report {
    /// Into the file at `path`, or nowhere, so that they are printed.
    pub(super) fn open(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        let file = File::create(path).map_err(|error| {
            let detail = format!("the report {}: {}", path.display(), error.kind());
            Error::invalid(detail).with_source(error)
        })?;
        Ok(Self(Some(BufWriter::new(file))))
    }

    /// Adds a line; gives it back where it is to be printed. Warnings are not printed: there may be one a file.
    pub(super) fn add(&mut self, about: &About<'_>) -> Result<Option<String>> {
        let Some(file) = &mut self.0 else {
            let code = about.code.as_deref().unwrap_or("-");
            let line = format!("{}\t{code}\t{}\t{}", about.outcome, about.file, about.text);
            return Ok((about.outcome != "warning").then_some(line));
        };
        let written = serde_json::to_writer(&mut *file, about)
            .map_err(io::Error::from)
            .and_then(|()| file.write_all(b"\n"));
        written.map_err(unwritable)?;
        Ok(None)
    }

    /// Makes the report whole.
    pub(super) fn close(&mut self) -> Result<()> {
        let Some(file) = &mut self.0 else {
            return Ok(());
        };
        file.flush()
            .and_then(|()| file.get_ref().sync_all())
            .map_err(unwritable)
    }
}

fn unwritable(error: io::Error) -> Error {
    let detail = format!("the report cannot be written: {}", error.kind());
    Error::new(Kind::Unavailable, detail).with_source(error)
}
