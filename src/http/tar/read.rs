//! Reading: chunks in, files out, while they arrive. [`Reader`] is the grammar and never holds more than one chunk and a
//! header with what extends it. Names are told as they stand; nothing is ever written under one.
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use bytes::{Buf as _, Bytes, BytesMut};
use tar::{EntryType, Header, PaxExtensions};

use super::BLOCK;
use crate::error::{Error, Result};

/// The longest extension of a header, in bytes.
const LONGEST_EXTENSION: u64 = 64 << 10;

/// Where the checksum stands in a header.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// Kinds of entries (pax, ustar interchange format; the last two are GNU's).
const REGULAR: u8 = b'0';
const CONTINUOUS: u8 = b'7';
const FOLDER: u8 = b'5';
const EXTENDED: u8 = b'x';
const EXTENDED_ALL: u8 = b'g';
const LONG_NAME: u8 = b'L';
const LONG_LINK: u8 = b'K';

/// A file of a tar file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name as it stands there.
    pub name: String,
    /// Its length in bytes.
    pub len: u64,
}

/// One step through a tar file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A file begins.
    Entry(Entry),
    /// Some of its bytes; never empty.
    Data(Bytes),
    /// It is complete.
    EntryEnd,
    /// The next chunk is wanted.
    NeedMore,
    /// The end has passed; what follows is not looked at.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Header,
    /// In what extends the next header: its kind, and its length without and with what fills it up.
    Extension(EntryType, usize, usize),
    /// In a file of which this is left.
    Data {
        left: u64,
        padding: u64,
    },
    /// In what is passed over.
    Skip(u64),
    End,
}

/// A tar file being read.
#[derive(Debug)]
pub struct Reader {
    input: Bytes,
    /// Of the header or the extension that is being read, what came with earlier chunks.
    held: BytesMut,
    state: State,
    /// What the next file is called and how long it is, where extensions say it.
    name: Option<String>,
    len: Option<u64>,
    /// Blocks of zeros that came last.
    zeros: u8,
}

impl Default for Reader {
    fn default() -> Self {
        Self {
            input: Bytes::new(),
            held: BytesMut::new(),
            state: State::Header,
            name: None,
            len: None,
            zeros: 0,
        }
    }
}

impl Reader {
    /// Takes the next chunk, once [`Event::NeedMore`] asked for it.
    pub fn push(&mut self, chunk: Bytes) {
        self.input = chunk;
    }

    /// The next step.
    ///
    /// # Errors
    /// `Kind::Invalid` for what is no tar file, for entries that are neither files nor folders, and for extensions beyond
    /// 64 KiB. There is no next step then.
    pub fn next_event(&mut self) -> Result<Event> {
        loop {
            match self.state {
                State::End => return Ok(Event::End),
                State::Header => {
                    let Some(block) = self.gather(BLOCK) else {
                        return Ok(Event::NeedMore);
                    };
                    if let Some(entry) = self.header(&block)? {
                        return Ok(Event::Entry(entry));
                    }
                }
                State::Extension(kind, len, padded) => {
                    let Some(mut bytes) = self.gather(padded) else {
                        return Ok(Event::NeedMore);
                    };
                    bytes.truncate(len);
                    self.extend(kind, &bytes)?;
                    self.state = State::Header;
                }
                State::Data { left: 0, padding } => {
                    self.state = State::Skip(padding);
                    return Ok(Event::EntryEnd);
                }
                State::Data { left, padding } => {
                    let data = self.take(left);
                    if data.is_empty() {
                        return Ok(Event::NeedMore);
                    }
                    let left = left.saturating_sub(length(&data));
                    self.state = State::Data { left, padding };
                    return Ok(Event::Data(data));
                }
                State::Skip(0) => self.state = State::Header,
                State::Skip(left) => {
                    let skipped = self.take(left);
                    if skipped.is_empty() {
                        return Ok(Event::NeedMore);
                    }
                    self.state = State::Skip(left.saturating_sub(length(&skipped)));
                }
            }
        }
    }

    /// Ends the body.
    ///
    /// # Errors
    /// `Kind::Invalid` where it broke off.
    pub fn finish(&self) -> Result<()> {
        let is_over = self.state == State::End
            || self.state == State::Header && self.zeros > 0 && self.held.is_empty();
        if is_over {
            Ok(())
        } else {
            Err(Error::invalid("the tar file ends in the middle"))
        }
    }

    /// The next `len` bytes in one piece; `None` while they are not there.
    fn gather(&mut self, len: usize) -> Option<Bytes> {
        if self.held.is_empty() && self.input.len() >= len {
            return Some(self.input.split_to(len));
        }
        let missing = len.saturating_sub(self.held.len()).min(self.input.len());
        self.held.extend_from_slice(&self.input.split_to(missing));
        (self.held.len() == len).then(|| self.held.split().freeze())
    }

    /// At most `len` of the bytes at hand.
    fn take(&mut self, len: u64) -> Bytes {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        self.input.split_to(len.min(self.input.len()))
    }

    /// Reads a header; the file that it begins, if it begins one.
    fn header(&mut self, block: &[u8]) -> Result<Option<Entry>> {
        if block.iter().all(|byte| *byte == 0) {
            self.zeros = self.zeros.saturating_add(1);
            if self.zeros == 2 {
                self.state = State::End;
            }
            return Ok(None);
        }
        self.zeros = 0;
        let odd = |_| Error::invalid("a header of the tar file cannot be read");
        let header = Header::from_byte_slice(block);
        if header.cksum().map_err(odd)? != checksum(block) {
            return Err(Error::invalid(
                "a header of the tar file has a wrong checksum",
            ));
        }
        let told = header.entry_size().map_err(odd)?;
        let kind = header.entry_type();
        match kind.as_byte() {
            0 | REGULAR | CONTINUOUS => {}
            EXTENDED | LONG_NAME => {
                let fits = usize::try_from(told)
                    .ok()
                    .filter(|_| told <= LONGEST_EXTENSION);
                let len = fits.ok_or_else(|| {
                    Error::invalid("a header of the tar file has too long an extension")
                })?;
                self.state = State::Extension(kind, len, len.next_multiple_of(BLOCK));
                return Ok(None);
            }
            EXTENDED_ALL | FOLDER | LONG_LINK => {
                self.state = State::Skip(told.saturating_add(padding(told)));
                return Ok(None);
            }
            _ => {
                return Err(Error::invalid(
                    "the tar file has an entry that is neither a file nor a folder",
                ));
            }
        }
        let len = self.len.take().unwrap_or(told);
        let name = match self.name.take() {
            Some(name) => name,
            None => String::from_utf8_lossy(&header.path_bytes()).into_owned(),
        };
        let padding = padding(len);
        self.state = State::Data { left: len, padding };
        Ok(Some(Entry { name, len }))
    }

    /// Reads what extends the next header.
    fn extend(&mut self, kind: EntryType, bytes: &[u8]) -> Result<()> {
        if kind == EntryType::GNULongName {
            let name = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
            self.name = Some(String::from_utf8_lossy(name).into_owned());
            return Ok(());
        }
        let odd = || Error::invalid("an extension of the tar file cannot be read");
        for record in PaxExtensions::new(bytes) {
            let record = record.map_err(|_| odd())?;
            match record.key_bytes() {
                b"path" => {
                    let name = String::from_utf8_lossy(record.value_bytes());
                    self.name = Some(name.into_owned());
                }
                b"size" => {
                    let len = record.value().ok().and_then(|text| text.parse().ok());
                    self.len = Some(len.ok_or_else(odd)?);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The sum of a header's bytes, its checksum taken for spaces.
fn checksum(block: &[u8]) -> u32 {
    let bytes = block.iter().enumerate();
    let values = bytes.map(|(at, byte)| {
        if CHECKSUM.contains(&at) {
            u32::from(b' ')
        } else {
            u32::from(*byte)
        }
    });
    values.sum()
}

/// What fills `len` bytes up.
fn padding(len: u64) -> u64 {
    let block = u64::try_from(BLOCK).unwrap_or(u64::MAX);
    len.checked_next_multiple_of(block)
        .unwrap_or(len)
        .saturating_sub(len)
}

fn length(bytes: &Bytes) -> u64 {
    u64::try_from(bytes.remaining()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    type Files = Vec<(String, Vec<u8>)>;

    fn read(tar: &[u8], piece: usize) -> Result<Files> {
        let mut reader = Reader::default();
        let mut files: Files = Vec::new();
        let mut chunks = tar.chunks(piece);
        loop {
            match reader.next_event()? {
                Event::Entry(entry) => files.push((entry.name, Vec::new())),
                Event::Data(bytes) => files.last_mut().unwrap().1.extend_from_slice(&bytes),
                Event::EntryEnd => {}
                Event::End => return Ok(files),
                Event::NeedMore => match chunks.next() {
                    Some(chunk) => reader.push(Bytes::copy_from_slice(chunk)),
                    None => return reader.finish().map(|()| files),
                },
            }
        }
    }

    fn written(header: impl Fn() -> Header, files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = header();
            header.set_size(u64::try_from(bytes.len()).unwrap());
            header.set_mode(0o644);
            builder.append_data(&mut header, name, *bytes).unwrap();
        }
        builder.into_inner().unwrap()
    }

    #[test]
    fn mint_z41_what_other_programs_write_is_read_wherever_it_is_cut() {
        let long = format!("{}/{}.dcm", "1".repeat(120), "2".repeat(64));
        let many: Vec<u8> = (0..3000_u32).flat_map(u32::to_le_bytes).collect();
        let files: [(&str, &[u8]); 4] = [
            ("manifest.json", b"{}"),
            ("1/2.dcm", &many),
            ("1/3.dcm", b""),
            (&long, b"x"),
        ];
        let expected: Files = files
            .map(|(name, bytes)| (name.to_owned(), bytes.to_vec()))
            .into();
        for tar in [
            written(Header::new_gnu, &files),
            written(Header::new_ustar, &files),
        ] {
            for piece in [1, 7, 512, 513, tar.len()] {
                assert!(read(&tar, piece).unwrap() == expected, "{piece}");
            }
        }
    }

    #[test]
    fn mint_z41_extensions_say_name_and_length() {
        let mut builder = tar::Builder::new(Vec::new());
        builder
            .append_pax_extensions([("path", b"1/2.dcm".as_slice()), ("size", b"5")])
            .unwrap();
        let mut tar = builder.into_inner().unwrap();
        tar.truncate(tar.len() - 1024);
        tar.extend(super::super::header("other", 0).unwrap());
        tar.extend(b"12345");
        tar.resize(tar.len() + 507 + 1024, 0);
        let files = read(&tar, 100).unwrap();
        assert_eq!(files, [("1/2.dcm".to_owned(), b"12345".to_vec())]);
    }

    #[test]
    fn mint_z41_what_is_no_whole_tar_file_is_refused() {
        let whole = written(Header::new_ustar, &[("1/2.dcm", b"abc")]);
        for len in [1, 511, 512, 513, 515, 1023, 1024] {
            let error = read(&whole[..len], 300).unwrap_err();
            assert_eq!(error.kind(), Kind::Invalid, "{len}");
        }
        let mut bent = whole.clone();
        bent[0] ^= 1;
        assert!(read(&bent, 300).is_err());
        for kind in [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Char,
            EntryType::Fifo,
        ] {
            let mut header = Header::new_ustar();
            header.set_path("1/2.dcm").unwrap();
            header.set_entry_type(kind);
            header.set_size(0);
            header.set_cksum();
            assert!(read(header.as_bytes(), 300).is_err(), "{kind:?}");
        }
        let mut header = Header::new_ustar();
        header.set_path("x").unwrap();
        header.set_entry_type(EntryType::XHeader);
        header.set_size(LONGEST_EXTENSION + 1);
        header.set_cksum();
        assert!(read(header.as_bytes(), 300).is_err());
    }
}
