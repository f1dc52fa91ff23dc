//! What an earlier run came to, so that the next one need not open the same files again.
//!
//! One line a file in the order of the walk: length, time of the last change, SOP Instance UID (a dash where it is no DICOM),
//! path. The walk and the journal are followed side by side, so nothing of either is held. The index has the last word: a
//! file counts as stored only while the index has its UID, so a journal may be old, torn or deleted.
//!
//! A run writes `….new`; when it has come to the end, that becomes the journal. Of a run that was broken off the new lines
//! come first, then what the old journal says of the paths behind them.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::walk::Found;
use crate::error::{Error, Result};
use crate::model::SopInstanceUid;
use crate::storage::digest::{sha256, to_hex};

/// A file that was read before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    found: Found,
    /// What it holds; `None` if it is no DICOM.
    pub(super) instance: Option<SopInstanceUid>,
}

/// The journal of one folder that goes to one owner.
pub(super) struct Journal {
    path: PathBuf,
    old: Option<Lines>,
    next: Option<Line>,
    new: BufWriter<File>,
    /// Held while the run lasts.
    _lock: File,
}

type Lines = std::iter::Peekable<Box<dyn Iterator<Item = Line> + Send>>;

impl Journal {
    /// Opens the journal of `root` for `owner` in the data folder; forgets what it says if `is_again`.
    ///
    /// # Errors
    /// `Kind::Conflict` if another run uses it, `Kind::Unavailable` if it cannot be written.
    pub(super) fn open(data: &Path, owner: &str, root: &Path, is_again: bool) -> Result<Self> {
        let folder = data.join("imports");
        fs::create_dir_all(&folder).map_err(unwritable)?;
        let hash = to_hex(&sha256(root.as_os_str().as_bytes()));
        let path = folder.join(format!("{owner}-{}", &hash[..32]));
        let lock = File::create(path.with_extension("lock")).map_err(unwritable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::new(
                    crate::Kind::Conflict,
                    "another import of this folder into this facility is under way",
                ));
            }
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        let new = path.with_extension("new");
        if is_again {
            remove(&path)
                .and_then(|()| remove(&new))
                .map_err(unwritable)?;
        }
        merge(&path, &new).map_err(unwritable)?;
        let old = lines(&path).map_err(unwritable)?;
        Ok(Self {
            old: old.map(Iterator::peekable),
            next: None,
            new: BufWriter::new(File::create(new).map_err(unwritable)?),
            path,
            _lock: lock,
        })
    }

    /// What is known of a file; asked in the order of the walk. A file that has changed is not known.
    pub(super) fn known(&mut self, found: &Found) -> Option<Line> {
        let old = self.old.as_mut()?;
        while old
            .next_if(|line| line.found.relative < found.relative)
            .is_some()
        {}
        self.next = old.next_if(|line| line.found.relative == found.relative);
        self.next.take().filter(|line| line.found == *found)
    }

    /// Notes a file that is stored, or that is no DICOM; in the order of the walk.
    pub(super) fn note(&mut self, found: &Found, instance: Option<&SopInstanceUid>) -> Result<()> {
        write(&mut self.new, found, instance).map_err(unwritable)
    }

    /// Makes the notes so far survive the process.
    pub(super) fn flush(&mut self) -> Result<()> {
        self.new.flush().map_err(unwritable)
    }

    /// The folder was walked to its end.
    pub(super) fn complete(mut self) -> Result<()> {
        self.flush()?;
        fs::rename(self.path.with_extension("new"), &self.path).map_err(unwritable)
    }
}

fn unwritable(error: io::Error) -> Error {
    let detail = format!(
        "the journal in the data folder cannot be used: {}",
        error.kind()
    );
    Error::unavailable(detail, error)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Puts the notes of a run that was broken off before what the journal says of the paths behind them.
fn merge(path: &Path, new: &Path) -> io::Result<()> {
    let Some(noted) = lines(new)? else {
        return Ok(());
    };
    let merged = path.with_extension("merged");
    let mut out = BufWriter::new(File::create(&merged)?);
    let mut last = PathBuf::new();
    for line in noted {
        write(&mut out, &line.found, line.instance.as_ref())?;
        last = line.found.relative;
    }
    if let Some(old) = lines(path)? {
        for line in old.filter(|line| line.found.relative > last) {
            write(&mut out, &line.found, line.instance.as_ref())?;
        }
    }
    out.flush()?;
    fs::rename(merged, path)?;
    fs::remove_file(new)
}

/// The lines of a journal; `None` if there is none. One that cannot be read is as good as not there.
fn lines(path: &Path) -> io::Result<Option<Box<dyn Iterator<Item = Line> + Send>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let lines = BufReader::new(file).split(b'\n').map_while(io::Result::ok);
    Ok(Some(Box::new(lines.filter_map(|line| parse(&line)))))
}

fn write(out: &mut impl Write, found: &Found, instance: Option<&SopInstanceUid>) -> io::Result<()> {
    let uid = instance.map_or("-", SopInstanceUid::as_str);
    write!(out, "{}\t{}\t{uid}\t", found.len, found.modified_ns)?;
    for byte in found.relative.as_os_str().as_bytes() {
        match byte {
            b'%' | b'\n' => write!(out, "%{byte:02X}")?,
            _ => out.write_all(&[*byte])?,
        }
    }
    // The end of the line is the proof that it is whole.
    out.write_all(b"\t.\n")
}

fn parse(line: &[u8]) -> Option<Line> {
    let whole = line.strip_suffix(b"\t.")?;
    let mut fields = whole.splitn(4, |byte| *byte == b'\t');
    let mut text = || std::str::from_utf8(fields.next()?).ok();
    let len = text()?.parse().ok()?;
    let modified_ns = text()?.parse().ok()?;
    let instance = match text()? {
        "-" => None,
        uid => Some(SopInstanceUid::parse(uid).ok()?),
    };
    let mut path = Vec::new();
    let mut bytes = fields.next()?.iter();
    while let Some(byte) = bytes.next() {
        if *byte == b'%' {
            let digits = [*bytes.next()?, *bytes.next()?];
            path.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            path.push(*byte);
        }
    }
    Some(Line {
        found: Found {
            relative: OsString::from_vec(path).into(),
            len,
            modified_ns,
        },
        instance,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, len: u64) -> Found {
        Found {
            relative: path.into(),
            len,
            modified_ns: -5,
        }
    }

    fn open(data: &Path) -> Journal {
        Journal::open(data, "F001", Path::new("/x"), false).unwrap()
    }

    fn note(journal: &mut Journal, path: &str) {
        let uid = SopInstanceUid::parse("1.2").unwrap();
        journal.note(&found(path, 1), Some(&uid)).unwrap();
    }

    #[test]
    fn a_second_run_knows_what_has_not_changed() {
        let data = tempfile::tempdir().unwrap();
        let mut journal = open(data.path());
        for path in ["a%\n\t/1", "a%\n\t/2", "b"] {
            note(&mut journal, path);
        }
        journal.note(&found("c", 9), None).unwrap();
        journal.complete().unwrap();
        let mut journal = open(data.path());
        let is_known = |journal: &mut Journal, path: &str, len| {
            journal
                .known(&found(path, len))
                .map(|line| line.instance.is_some())
        };
        assert_eq!(is_known(&mut journal, "a%\n\t/1", 1), Some(true));
        assert_eq!(is_known(&mut journal, "a%\n\t/10", 1), None, "it is new");
        assert_eq!(is_known(&mut journal, "b", 2), None, "it has changed");
        assert_eq!(is_known(&mut journal, "c", 9), Some(false));
    }

    #[test]
    fn notes_of_a_broken_run_stand_before_the_old_ones() {
        let data = tempfile::tempdir().unwrap();
        let mut journal = open(data.path());
        for path in ["a", "c", "d"] {
            note(&mut journal, path);
        }
        journal.complete().unwrap();
        let mut journal = open(data.path());
        for path in ["a", "b"] {
            note(&mut journal, path);
        }
        journal.new.write_all(b"12\t34\t1.2.3\tc-tor").unwrap();
        journal.flush().unwrap();
        drop(journal);
        let mut journal = open(data.path());
        for path in ["a", "b", "c", "d"] {
            assert!(journal.known(&found(path, 1)).is_some(), "{path}");
        }
        assert!(
            Journal::open(data.path(), "F001", Path::new("/x"), false).is_err(),
            "one run at a time"
        );
        drop(journal);
        let mut journal = Journal::open(data.path(), "F001", Path::new("/x"), true).unwrap();
        assert!(journal.known(&found("a", 1)).is_none());
    }
}
