//! What the scanner tells of data sets built from bytes.

mod refused;
mod taken;

use std::fmt::Write as _;
use std::io::Write as _;

use proptest::prelude::*;

use super::build::{BIG_ENDIAN, Build, DEFLATED, EXPLICIT, IMPLICIT, JPEG, file, scan};
use super::{Header, ScanError, Sink};
use crate::dicom::head::FileMeta;
use crate::model::Tag;

/// Writes events as one line of text: `00100010:PN=4142 00081140:SQ[{...}]`.
#[derive(Debug, Default, PartialEq)]
struct Recorder {
    text: String,
    warnings: Vec<String>,
    transfer_syntax_uid: String,
}

impl Recorder {
    #[expect(
        clippy::unnecessary_wraps,
        reason = "what every method of a sink returns"
    )]
    fn add(&mut self, text: &str) -> Result<(), ScanError> {
        self.text.push_str(text);
        Ok(())
    }
}

fn tagged(header: &Header) -> String {
    let Tag(group, element) = header.tag;
    format!("{group:04X}{element:04X}:{}", header.vr)
}

impl Sink for Recorder {
    fn meta(&mut self, meta: &FileMeta) -> Result<(), ScanError> {
        self.transfer_syntax_uid
            .clone_from(&meta.transfer_syntax_uid);
        Ok(())
    }
    fn element(&mut self, header: &Header) -> Result<(), ScanError> {
        self.add(&format!("{}=", tagged(header)))
    }
    fn value(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        for byte in bytes {
            write!(self.text, "{byte:02x}").unwrap();
        }
        Ok(())
    }
    fn element_end(&mut self) -> Result<(), ScanError> {
        self.add(" ")
    }
    fn sequence_start(&mut self, header: &Header) -> Result<(), ScanError> {
        self.add(&format!("{}[", tagged(header)))
    }
    fn item_start(&mut self, _offset: u64) -> Result<(), ScanError> {
        self.add("{")
    }
    fn item_end(&mut self) -> Result<(), ScanError> {
        self.add("}")
    }
    fn sequence_end(&mut self) -> Result<(), ScanError> {
        self.add("] ")
    }
    fn fragments_start(&mut self, header: &Header) -> Result<(), ScanError> {
        self.add(&format!("{}<", tagged(header)))
    }
    fn fragment_start(&mut self, number: usize, offset: u64, len: u32) -> Result<(), ScanError> {
        self.add(&format!("{number}@{offset}+{len}:"))
    }
    fn fragment_end(&mut self) -> Result<(), ScanError> {
        self.add(";")
    }
    fn fragments_end(&mut self) -> Result<(), ScanError> {
        self.add("> ")
    }
    fn warn(&mut self, text: String) {
        self.warnings.push(text);
    }
}

/// The bytes give `expected` however they are cut, and so many warnings.
fn check(bytes: &[u8], expected: &str, warnings: usize) -> Recorder {
    let mut whole = Recorder::default();
    scan(bytes, bytes.len().max(1), &mut whole).unwrap();
    assert_eq!(whole.text.trim_end(), expected);
    assert_eq!(whole.warnings.len(), warnings, "{:?}", whole.warnings);
    for size in [1, 3] {
        let mut cut = Recorder::default();
        scan(bytes, size, &mut cut).unwrap();
        assert_eq!(cut, whole, "in pieces of {size}");
    }
    whole
}

/// The bytes are refused with a message that holds `expected`, however they are cut.
fn refused(bytes: &[u8], expected: &str) {
    for size in [bytes.len().max(1), 1] {
        let error = scan(bytes, size, &mut Recorder::default()).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

fn small(transfer_syntax_uid: &str) -> Build {
    Build::new(transfer_syntax_uid)
        .put(0x0008_0005, "CS", "ISO_IR 100")
        .us(0x0028_0010, "US", 0x0102)
        .delimited(
            0x0008_1140,
            "SQ",
            &[Build::new(transfer_syntax_uid).put(0x0008_1155, "UI", "1.2\0")],
        )
        .sequence(
            0x0008_1199,
            &[
                Build::new(transfer_syntax_uid).put(0x0008_1155, "UI", "1\0"),
                Build::new(transfer_syntax_uid),
            ],
        )
}

const SMALL: &str = "00080005:CS=49534f5f495220313030 00280010:US=0201 \
     00081140:SQ[{00081155:UI=312e3200 }] 00081199:SQ[{00081155:UI=3100 }{}]";

#[test]
fn every_encoding_gives_the_same_events() {
    check(&file(EXPLICIT, &small(EXPLICIT).bytes), SMALL, 1);
    check(&file(IMPLICIT, &small(IMPLICIT).bytes), SMALL, 1);
    let big = SMALL.replace("0201", "0102");
    check(&file(BIG_ENDIAN, &small(BIG_ENDIAN).bytes), &big, 1);
    check(&file(DEFLATED, &deflate(&small(EXPLICIT).bytes)), SMALL, 1);
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut stream = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    stream.write_all(bytes).unwrap();
    stream.finish().unwrap()
}

proptest! {
    #[test]
    fn any_bytes_give_events_or_an_error(
        uid in prop::sample::select(vec![EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED, JPEG]),
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        naked in any::<bool>(),
    ) {
        let bytes = if naked { bytes } else { file(uid, &bytes) };
        let mut whole = Recorder::default();
        let mut cut = Recorder::default();
        let first = scan(&bytes, 1000, &mut whole);
        prop_assert_eq!(first, scan(&bytes, 1, &mut cut));
        prop_assert_eq!(whole, cut);
    }

    #[test]
    fn a_damaged_file_gives_the_same_however_it_is_cut(
        uid in prop::sample::select(vec![EXPLICIT, IMPLICIT, BIG_ENDIAN]),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        size in 1..50_usize,
    ) {
        let set = small(uid).fragments(&[b"", b"abc"]);
        let mut bytes = file(uid, &set.bytes);
        *at.get_mut(&mut bytes) = byte;
        let mut whole = Recorder::default();
        let mut cut = Recorder::default();
        let first = scan(&bytes, 1000, &mut whole);
        prop_assert_eq!(first, scan(&bytes, size, &mut cut));
        prop_assert_eq!(whole, cut);
    }
}
