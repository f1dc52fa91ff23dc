//! A zip archive written as it is sent (W07; APPNOTE 6.3.10): nothing is sought back to and nothing of a file is held.
//!
//! ```text
//! local header | deflate, stored blocks only | descriptor with CRC and lengths | next file … | directory | end
//! ```
//!
//! Pixel data do not shrink, so blocks are stored; they stand in a deflate stream all the same, because its end can be told
//! by who reads without seeking, and that of a stored file whose checksum comes behind it cannot. Lengths of 64 bits (zip64)
//! where 32 are too few.
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use bytes::Bytes;
use crc32fast::Hasher;

/// The longest stored block of deflate (RFC 1951 3.2.4).
const BLOCK_BYTES: usize = 0xFFFF;
/// What says that a field of 32 bits is in the zip64 extra field instead.
const WIDE: u32 = u32::MAX;
/// The lengths of a file whose plain length is below it fit 32 bits, the borders of its blocks included.
const WIDE_FROM: u64 = 0xFFF0_0000;
/// 1980-01-01, the first day that there is: when a file was stored is nothing of the file.
const DATE: u16 = 0x0021;
/// Deflate; checksum and lengths behind the file; its name is UTF-8.
const METHOD: u16 = 8;
const FLAGS: u16 = 1 << 3 | 1 << 11;

/// An archive in the making. What each step gives is to be sent in this order.
#[derive(Debug, Default)]
pub struct Zip {
    /// What was given so far, in bytes.
    offset: u64,
    /// The directory, which stands at the end.
    directory: Vec<u8>,
    files: u64,
    open: Option<Open>,
}

/// The file that is being written.
#[derive(Debug)]
struct Open {
    name: String,
    at: u64,
    is_wide: bool,
    crc: Hasher,
    len: u64,
    packed: u64,
}

impl Zip {
    /// Begins a file of `len` bytes.
    pub fn begin(&mut self, name: &str, len: u64) -> Bytes {
        let is_wide = len >= WIDE_FROM;
        let mut header = Vec::with_capacity(name.len().saturating_add(64));
        put(&mut header, &[0x0403_4B50_u32.to_le_bytes()]);
        put(
            &mut header,
            &[version(is_wide), FLAGS, METHOD, 0, DATE].map(u16::to_le_bytes),
        );
        let unknown = if is_wide { WIDE } else { 0 };
        put(&mut header, &[0, unknown, unknown].map(u32::to_le_bytes));
        let extra: u16 = if is_wide { 20 } else { 0 };
        put(&mut header, &[name_len(name), extra].map(u16::to_le_bytes));
        header.extend_from_slice(name.as_bytes());
        if is_wide {
            put(&mut header, &[1_u16, 16].map(u16::to_le_bytes));
            put(&mut header, &[0_u64, 0].map(u64::to_le_bytes));
        }
        self.open = Some(Open {
            name: name.to_owned(),
            at: self.offset,
            is_wide,
            crc: Hasher::new(),
            len: 0,
            packed: 0,
        });
        self.given(header)
    }

    /// The next bytes of the file.
    pub fn data(&mut self, mut bytes: Bytes) -> Vec<Bytes> {
        let mut blocks = Vec::new();
        while !bytes.is_empty() {
            let block = bytes.split_to(bytes.len().min(BLOCK_BYTES));
            let len = u16::try_from(block.len()).unwrap_or(u16::MAX);
            let mut head = vec![0];
            put(&mut head, &[len, !len].map(u16::to_le_bytes));
            if let Some(open) = &mut self.open {
                open.crc.update(&block);
                open.len = open.len.saturating_add(u64::from(len));
                open.packed = open.packed.saturating_add(u64::from(len)).saturating_add(5);
            }
            self.offset = self.offset.saturating_add(u64::from(len));
            blocks.extend([self.given(head), block]);
        }
        blocks
    }

    /// Ends the file.
    pub fn end(&mut self) -> Bytes {
        let Some(open) = self.open.take() else {
            return Bytes::new();
        };
        let crc = open.crc.finalize();
        let packed = open.packed.saturating_add(5);
        let mut end = vec![1, 0, 0, 0xFF, 0xFF];
        put(&mut end, &[0x0807_4B50, crc].map(u32::to_le_bytes));
        if open.is_wide {
            put(&mut end, &[packed, open.len].map(u64::to_le_bytes));
        } else {
            put(
                &mut end,
                &[low(packed), low(open.len)].map(u32::to_le_bytes),
            );
        }
        let needs_wide = open.is_wide || open.at >= u64::from(WIDE);
        let entry = &mut self.directory;
        put(entry, &[0x0201_4B50_u32.to_le_bytes()]);
        // Made by a version of the same needs, on no system in particular.
        let version = version(needs_wide);
        put(
            entry,
            &[version, version, FLAGS, METHOD, 0, DATE].map(u16::to_le_bytes),
        );
        let narrow = |value| if needs_wide { WIDE } else { low(value) };
        put(
            entry,
            &[crc, narrow(packed), narrow(open.len)].map(u32::to_le_bytes),
        );
        let extra: u16 = if needs_wide { 28 } else { 0 };
        put(
            entry,
            &[name_len(&open.name), extra, 0, 0, 0].map(u16::to_le_bytes),
        );
        put(entry, &[0, narrow(open.at)].map(u32::to_le_bytes));
        entry.extend_from_slice(open.name.as_bytes());
        if needs_wide {
            put(entry, &[1_u16, 24].map(u16::to_le_bytes));
            put(entry, &[open.len, packed, open.at].map(u64::to_le_bytes));
        }
        self.files = self.files.saturating_add(1);
        self.given(end)
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Bytes {
        let (at, files) = (self.offset, self.files);
        let mut end = std::mem::take(&mut self.directory);
        let len = u64::try_from(end.len()).unwrap_or(u64::MAX);
        let is_wide = at >= u64::from(WIDE) || len >= u64::from(WIDE) || files >= 0xFFFF;
        if is_wide {
            put(&mut end, &[0x0606_4B50_u32.to_le_bytes()]);
            put(&mut end, &[44_u64.to_le_bytes()]);
            put(&mut end, &[45_u16, 45].map(u16::to_le_bytes));
            put(&mut end, &[0_u32, 0].map(u32::to_le_bytes));
            put(&mut end, &[files, files, len, at].map(u64::to_le_bytes));
            put(&mut end, &[0x0706_4B50_u32, 0].map(u32::to_le_bytes));
            put(&mut end, &[at.saturating_add(len).to_le_bytes()]);
            put(&mut end, &[1_u32.to_le_bytes()]);
        }
        let few = if is_wide {
            u16::MAX
        } else {
            u16::try_from(files).unwrap_or(u16::MAX)
        };
        let narrow = |value| if is_wide { WIDE } else { low(value) };
        put(&mut end, &[0x0605_4B50_u32.to_le_bytes()]);
        put(&mut end, &[0, 0, few, few].map(u16::to_le_bytes));
        put(&mut end, &[narrow(len), narrow(at)].map(u32::to_le_bytes));
        put(&mut end, &[0_u16.to_le_bytes()]);
        end.into()
    }

    fn given(&mut self, bytes: Vec<u8>) -> Bytes {
        let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.offset = self.offset.saturating_add(len);
        bytes.into()
    }
}

fn put<const N: usize>(out: &mut Vec<u8>, fields: &[[u8; N]]) {
    out.extend(fields.iter().flatten());
}

/// The version that a reader needs: 4.5 for zip64, else 2.0.
fn version(is_wide: bool) -> u16 {
    if is_wide { 45 } else { 20 }
}

fn low(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(WIDE)
}

fn name_len(name: &str) -> u16 {
    u16::try_from(name.len()).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read as _};

    use super::*;

    fn archive(files: &[(&str, Vec<u8>)], pretend: u64) -> Vec<u8> {
        let mut zip = Zip::default();
        let mut out = Vec::new();
        for (name, content) in files {
            // A longer promise writes the wide form, which holds for short files as well.
            out.extend(zip.begin(name, pretend.max(u64::try_from(content.len()).unwrap())));
            for piece in content.chunks(100_000) {
                for bytes in zip.data(Bytes::copy_from_slice(piece)) {
                    out.extend(bytes);
                }
            }
            out.extend(zip.end());
        }
        out.extend(zip.finish());
        out
    }

    fn files() -> Vec<(&'static str, Vec<u8>)> {
        vec![
            ("1/1.2.3.dcm", b"abc".to_vec()),
            ("2/empty.dcm", Vec::new()),
            (
                "2/long.dcm",
                (0..200_000_u32).flat_map(u32::to_le_bytes).collect(),
            ),
        ]
    }

    #[test]
    fn w07_another_reader_finds_every_file_by_the_directory() {
        for pretend in [0, 1 << 33] {
            let bytes = archive(&files(), pretend);
            let mut read = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
            assert_eq!(read.len(), 3);
            for (name, content) in files() {
                let mut found = Vec::new();
                read.by_name(name).unwrap().read_to_end(&mut found).unwrap();
                assert!(found == content, "{name} {pretend}");
            }
        }
    }

    #[test]
    fn w07_more_files_than_sixteen_bits_count() {
        let mut zip = Zip::default();
        let mut bytes = Vec::new();
        for number in 0..70_000 {
            bytes.extend(zip.begin(&number.to_string(), 0));
            bytes.extend(zip.end());
        }
        bytes.extend(zip.finish());
        let read = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        assert_eq!(read.len(), 70_000);
    }
}
