//! The start of a DICOM file (PS3.10 section 7.1): recognising one, writing one.
//!
//! ```text
//! 128 bytes preamble | "DICM" | group 0002 in Explicit VR Little Endian | data set
//! ```

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::scan::fits;
use crate::model::transfer_syntax::Encoding;

/// Bytes before the magic, of any content.
pub const PREAMBLE_LEN: usize = 128;
/// The magic.
pub const MAGIC: &[u8; 4] = b"DICM";
/// Bytes of preamble and magic.
pub const PREFIX_LEN: usize = 132;
/// Bytes that [`recognise`] looks at, if there are so many.
pub const START_LEN: usize = 140;

/// Implementation Class UID (0002,0012) of the files written here.
pub const IMPLEMENTATION_CLASS_UID: &str = "2.25.237017085880587937471080278582760402286";
/// Implementation Version Name (0002,0013) of the files written here.
pub const IMPLEMENTATION_VERSION_NAME: &str = "KURA_0_1";

/// How a file begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// With a preamble and the magic.
    Preamble,
    /// With the file meta information.
    Meta,
    /// With the data set, in this encoding.
    DataSet(Encoding),
}

/// How a file begins whose first bytes are `bytes`: [`START_LEN`] of them, or the whole file; `None` if it is not DICOM.
///
/// The magic alone proves nothing: it may stand in the middle of a data set that has no preamble. It counts where an
/// element follows.
pub fn recognise(bytes: &[u8]) -> Option<Start> {
    if bytes.get(PREAMBLE_LEN..PREFIX_LEN) == Some(MAGIC.as_slice()) {
        let rest = bytes.get(PREFIX_LEN..).unwrap_or_default();
        if begins_meta(rest) || sniff(rest).is_some() {
            return Some(Start::Preamble);
        }
    }
    if begins_meta(bytes) {
        return Some(Start::Meta);
    }
    sniff(bytes).map(Start::DataSet)
}

/// The encoding in which `bytes` may begin a data set.
pub fn sniff(bytes: &[u8]) -> Option<Encoding> {
    [
        Encoding::ExplicitLittle,
        Encoding::ExplicitBig,
        Encoding::ImplicitLittle,
    ]
    .into_iter()
    .find(|encoding| fits(bytes, *encoding))
}

/// Whether an element of group 0002 stands here: little endian, and low, as its elements are.
fn begins_meta(bytes: &[u8]) -> bool {
    matches!(bytes, [0x02, 0x00, _, 0x00 | 0x01, _, _, _, _, ..])
}

/// The values of a file meta group that is to be written.
#[derive(Clone, Copy, Debug)]
pub struct NewMeta<'a> {
    /// SOP Class UID of the data set.
    pub sop_class_uid: &'a str,
    /// SOP Instance UID of the data set.
    pub sop_instance_uid: &'a str,
    /// Transfer Syntax UID of the data set.
    pub transfer_syntax_uid: &'a str,
}

/// Everything in front of a data set: preamble of zeros, magic, file meta group (PS3.10 table 7.1-1).
pub fn write_meta(meta: &NewMeta<'_>) -> Vec<u8> {
    let mut group = Vec::with_capacity(256);
    long(&mut group, 0x0001, *b"OB", &[0, 1]);
    text(&mut group, 0x0002, *b"UI", meta.sop_class_uid);
    text(&mut group, 0x0003, *b"UI", meta.sop_instance_uid);
    text(&mut group, 0x0010, *b"UI", meta.transfer_syntax_uid);
    text(&mut group, 0x0012, *b"UI", IMPLEMENTATION_CLASS_UID);
    text(&mut group, 0x0013, *b"SH", IMPLEMENTATION_VERSION_NAME);

    let mut file = vec![0; PREAMBLE_LEN];
    file.extend_from_slice(MAGIC);
    let group_length = u32::try_from(group.len()).unwrap_or(u32::MAX);
    short(&mut file, 0x0000, *b"UL", &group_length.to_le_bytes());
    file.append(&mut group);
    file
}

fn text(to: &mut Vec<u8>, element: u16, vr: [u8; 2], value: &str) {
    let mut value = value.as_bytes().to_vec();
    if !value.len().is_multiple_of(2) {
        value.push(if vr == *b"UI" { 0 } else { b' ' });
    }
    short(to, element, vr, &value);
}

fn short(to: &mut Vec<u8>, element: u16, vr: [u8; 2], value: &[u8]) {
    let len = u16::try_from(value.len()).expect("UIDs and names are short");
    start(to, element, vr);
    to.extend_from_slice(&len.to_le_bytes());
    to.extend_from_slice(value);
}

fn long(to: &mut Vec<u8>, element: u16, vr: [u8; 2], value: &[u8]) {
    let len = u32::try_from(value.len()).expect("two bytes of version");
    start(to, element, vr);
    to.extend_from_slice(&[0, 0]);
    to.extend_from_slice(&len.to_le_bytes());
    to.extend_from_slice(value);
}

fn start(to: &mut Vec<u8>, element: u16, vr: [u8; 2]) {
    to.extend_from_slice(&2_u16.to_le_bytes());
    to.extend_from_slice(&element.to_le_bytes());
    to.extend_from_slice(&vr);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_recognised_and_even() {
        let file = write_meta(&NewMeta {
            sop_class_uid: "1.2.840.10008.5.1.4.1.1.7",
            sop_instance_uid: "1.2.3",
            transfer_syntax_uid: "1.2.840.10008.1.2.1",
        });
        assert_eq!(recognise(&file), Some(Start::Preamble));
        assert_eq!(recognise(&file[PREFIX_LEN..]), Some(Start::Meta));
        assert_eq!(file.len() % 2, 0);
        // The group length counts from behind its own element (PS3.10 table 7.1-1).
        let group_length = u32::from_le_bytes(file[140..144].try_into().unwrap());
        assert_eq!(u32::try_from(file.len()).unwrap(), 144 + group_length);
        assert!(IMPLEMENTATION_CLASS_UID.len() <= 64);
        assert!(IMPLEMENTATION_VERSION_NAME.len() <= 16);
    }

    #[test]
    fn a_data_set_shows_its_encoding() {
        let check = |bytes: &[u8], expected| assert_eq!(sniff(bytes), expected, "{bytes:?}");
        check(b"\x08\0\x05\0CS\x0a\0", Some(Encoding::ExplicitLittle));
        check(b"\0\x08\0\x05CS\0\x0a", Some(Encoding::ExplicitBig));
        check(b"\x08\0\x05\0\x0a\0\0\0", Some(Encoding::ImplicitLittle));
        check(b"\x08\0\0\0\x04\0\0\0", Some(Encoding::ImplicitLittle));
        check(b"\x09\0\x10\0LO\x04\0", Some(Encoding::ExplicitLittle));
        // An unknown tag, a length that no first element has, seven bytes, group 0002.
        check(b"\x08\0\x06\xffCS\x0a\0", None);
        check(b"\x08\0\x05\0\x0a\0\0\x01", None);
        check(b"\x08\0\x05\0CS\x0a", None);
        check(b"\x02\0\x10\0UI\x0a\0", None);
        check(b"<!DOCTYP", None);
    }
}
