//! What is refused, and what the refusal says.

use super::{Recorder, deflate, refused, small};
use crate::dicom::scan::build::{Build, DEFLATED, EXPLICIT, JPEG, UNDEFINED, file, scan};
use crate::dicom::scan::{Limits, Scanner};

#[test]
fn t31_what_is_not_dicom_is_refused() {
    let html = format!("<!DOCTYPE html><html>{}", " ".repeat(300));
    refused(html.as_bytes(), "not DICOM");
    refused(
        &[b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &[0; 200][..]].concat(),
        "not DICOM",
    );
    refused(b"", "not DICOM");
    refused(b"\x08\x00\x05", "not DICOM");
    refused(&[0; 128], "not DICOM");
    refused(&[&[0; 128][..], b"DICM"].concat(), "not DICOM");
    refused(
        &[&[0; 128][..], b"DICM", &[0; 128], b"DICM"].concat(),
        "not DICOM",
    );
    refused(
        &file(EXPLICIT, &[])[..150],
        "the file meta information is cut",
    );
}

#[test]
fn meta_information_beyond_its_limit_is_refused() {
    let mut bytes = vec![0; 128];
    bytes.extend_from_slice(b"DICM\x02\x00\x02\x01OB\0\0\xff\xff\xff\x7f");
    refused(
        &bytes,
        "(0002,0102) PrivateInformation at offset 132: the file meta information is larger",
    );
    let empties = b"\x02\x00\x00\x00UL\0\0".repeat(10_000);
    bytes.truncate(132);
    bytes.extend_from_slice(&empties);
    refused(&bytes, "larger than 65536 bytes");
}

#[test]
fn t28_lengths_that_lie_are_refused_with_tag_and_offset() {
    let set = |build: Build| file(EXPLICIT, &build.bytes);
    let explicit = || Build::new(EXPLICIT);
    let offset = file(EXPLICIT, &[]).len();
    refused(
        &set(explicit().head(0x0028_0010, "US", 70).raw("abc")),
        &format!("(0028,0010) Rows at offset {offset}: value needs 70 bytes, 3 are left"),
    );
    refused(
        &set(explicit().head(0x7FE0_0010, "OB", UNDEFINED - 1)),
        "value needs 4294967294 bytes, 0",
    );
    refused(
        &set(explicit().raw(b"\x10\x00\x10\x00P")),
        "(0010,0010) PatientName",
    );
    refused(
        &set(explicit().head(0x0008_1140, "SQ", 8)),
        "the sequence is longer than the file",
    );
    refused(
        &set(explicit().head(0x0008_1140, "SQ", UNDEFINED)),
        "the sequence never ends",
    );
    refused(
        &set(explicit()
            .head(0x0010_0010, "PN", 0)
            .head(0x0009_1001, "UT", UNDEFINED)),
        "VR UT with",
    );
    // At once, before the end of the file is known.
    let inner = explicit().head(0x0028_0010, "US", 70);
    let set = file(EXPLICIT, &explicit().sequence(0x0008_1140, &[inner]).bytes);
    let mut scanner = Scanner::new(Limits::default());
    let error = scanner.feed(&set, &mut Recorder::default()).unwrap_err();
    assert!(error.to_string().contains("(0028,0010) Rows"), "{error}");
    assert_eq!(scanner.finish(&mut Recorder::default()), Err(error));
    refused(
        &file(
            EXPLICIT,
            &explicit().put(0x0008_1140, "SQ", "garbage!!").bytes,
        ),
        "an item should follow",
    );
    let over = Build::new(EXPLICIT).head(0xFFFE_E000, "", 9).bytes;
    refused(
        &file(EXPLICIT, &explicit().put(0x0008_1140, "SQ", over).bytes),
        "value needs 9 bytes, 0",
    );
    let rest = Build::new(EXPLICIT)
        .head(0xFFFE_E000, "", 0)
        .raw("abc")
        .bytes;
    refused(
        &file(EXPLICIT, &explicit().put(0x0008_1140, "SQ", rest).bytes),
        "too few for what follows",
    );
}

#[test]
fn j23_a_thousand_levels_are_read_and_five_thousand_refused() {
    let nest = |depth: usize| {
        let head = Build::new(EXPLICIT)
            .head(0x0040_A730, "SQ", UNDEFINED)
            .head(0xFFFE_E000, "", UNDEFINED)
            .bytes;
        let tail = Build::new(EXPLICIT)
            .head(0xFFFE_E00D, "", 0)
            .head(0xFFFE_E0DD, "", 0)
            .bytes;
        file(EXPLICIT, &[head.repeat(depth), tail.repeat(depth)].concat())
    };
    scan(&nest(1024), 4096, &mut Recorder::default()).unwrap();
    refused(&nest(1025), "sequences are nested more than 1024 deep");
    refused(&nest(5000), "(0040,A730) ContentSequence");
}

#[test]
fn limits_of_elements_and_fragments_hold() {
    let limits = Limits {
        nodes: 3,
        fragments: 1,
        ..Limits::default()
    };
    let scan = |data_set: Build| {
        let mut scanner = Scanner::new(limits);
        let sink = &mut Recorder::default();
        scanner
            .feed(&file(JPEG, &data_set.bytes), sink)
            .and_then(|()| scanner.finish(sink))
    };
    let set = Build::new(EXPLICIT)
        .put(0x0010_0010, "PN", "")
        .put(0x0010_0020, "LO", "");
    scan(set.clone().put(0x0010_0030, "DA", "")).unwrap();
    assert!(scan(set.put(0x0010_0030, "DA", "").put(0x0010_0040, "CS", "")).is_err());
    scan(Build::new(EXPLICIT).fragments(&[b"", b"a"])).unwrap();
    assert!(scan(Build::new(EXPLICIT).fragments(&[b"", b"a", b"b"])).is_err());
}

#[test]
fn a_deflated_data_set_is_whole_and_no_bomb() {
    let set = small(EXPLICIT).put(0x7FE0_0010, "OB", vec![0; 1_000_000]);
    let bytes = file(DEFLATED, &deflate(&set.bytes));
    scan(&bytes, 100, &mut Recorder::default()).unwrap();
    scan(&[&bytes[..], b"\0"].concat(), 100, &mut Recorder::default()).unwrap();
    refused(&bytes[..bytes.len() - 1], "the deflated data set is cut");
    let limits = Limits {
        inflated_bytes: 500_000,
        ..Limits::default()
    };
    let error = Scanner::new(limits)
        .feed(&bytes, &mut Recorder::default())
        .unwrap_err();
    assert!(
        error.to_string().contains("grows more than 200 times"),
        "{error}"
    );
}
