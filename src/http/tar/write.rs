//! Writing: headers and what fills files up. Equal files have equal headers: times and owners are left out.

use bytes::Bytes;
use tar::{EntryType, Header};

use super::BLOCK;
use crate::error::{Error, Result};

/// The end of a tar file.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// The longest file whose length the header itself can say: eleven octal digits.
const MOST_BYTES: u64 = 0o777_7777_7777;

/// Everyone may read it, and nobody else than its owner may write it.
const MODE: u32 = 0o644;

/// The header of a file of `len` bytes. A name is at most 100 bytes, or a folder of at most 155 with a name of at most 100.
///
/// # Errors
/// `Kind::Internal` for a name that does not fit.
pub fn header(name: &str, len: u64) -> Result<Bytes> {
    if len <= MOST_BYTES {
        return Ok(Bytes::copy_from_slice(
            block(name, len, EntryType::Regular)?.as_bytes(),
        ));
    }
    let record = record(len);
    let mut extended = block("size", record.len() as u64, EntryType::XHeader)?
        .as_bytes()
        .to_vec();
    extended.extend_from_slice(record.as_bytes());
    extended.resize(2 * BLOCK, 0);
    extended.extend_from_slice(block(name, 0, EntryType::Regular)?.as_bytes());
    Ok(extended.into())
}

fn block(name: &str, len: u64, kind: EntryType) -> Result<Header> {
    let mut header = Header::new_ustar();
    let set = header.set_path(name);
    set.map_err(|cause| Error::internal("a name does not fit into a tar header", cause))?;
    header.set_entry_type(kind);
    header.set_mode(MODE);
    header.set_size(len);
    header.set_cksum();
    Ok(header)
}

/// The extended record that says a length: its own length in decimal digits stands first.
fn record(len: u64) -> String {
    let rest = format!(" size={len}\n");
    let mut total = rest.len();
    loop {
        let text = format!("{total}{rest}");
        if text.len() == total {
            return text;
        }
        total = text.len();
    }
}

/// What fills a file of `len` bytes up, in bytes.
pub fn padding(len: u64) -> u64 {
    len.next_multiple_of(BLOCK as u64) - len
}

/// All that a file of `len` bytes takes, its header included.
pub fn entry_bytes(len: u64) -> u64 {
    let headers = if len <= MOST_BYTES { 1 } else { 3 };
    headers * BLOCK as u64 + len + padding(len)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn mint_z33_another_reader_finds_each_file_under_its_name() {
        let longest = format!("{}/{}.dcm", "1".repeat(64), "2".repeat(64));
        let files = [
            ("manifest.json", 3),
            (longest.as_str(), 513),
            ("1/2.dcm", 0),
            ("1/3.dcm", 512),
        ];
        let mut whole = Vec::new();
        for (name, len) in files {
            let before = whole.len();
            whole.extend_from_slice(&header(name, len).unwrap());
            whole.extend((0..len).map(|at| at.to_le_bytes()[0]));
            whole.resize(whole.len() + usize::try_from(padding(len)).unwrap(), 0);
            assert_eq!((whole.len() - before) as u64, entry_bytes(len), "{name}");
        }
        whole.extend_from_slice(&END);
        let mut read = tar::Archive::new(&whole[..]);
        let mut found = Vec::new();
        for entry in read.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            let name = String::from_utf8(entry.path_bytes().to_vec()).unwrap();
            found.push((name, bytes.len() as u64));
        }
        let expected = files.map(|(name, len)| (name.to_owned(), len));
        assert_eq!(found, expected);
    }

    #[test]
    fn mint_z33_a_file_beyond_eight_gigabytes_says_its_length_beside_its_header() {
        let len = 1 << 34;
        let bytes = header("1/2.dcm", len).unwrap();
        assert_eq!(bytes.len() as u64 + len, entry_bytes(len));
        let mut read = tar::Archive::new(&bytes[..]);
        let entry = read.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.size(), len);
    }
}
