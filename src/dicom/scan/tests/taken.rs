//! What is odd and taken.

use super::{Recorder, SMALL, check, refused, small};
use crate::dicom::scan::build::{
    BIG_ENDIAN, Build, EXPLICIT, IMPLICIT, JPEG, UNDEFINED, file, scan,
};

#[test]
fn t14_a_file_may_lack_its_preamble_or_all_of_its_meta_information() {
    let whole = file(EXPLICIT, &small(EXPLICIT).bytes);
    check(&whole[132..], SMALL, 1);
    for uid in [EXPLICIT, IMPLICIT, BIG_ENDIAN] {
        let naked = small(uid).bytes;
        let text = SMALL.replace("0201", if uid == BIG_ENDIAN { "0102" } else { "0201" });
        assert_eq!(check(&naked, &text, 1).transfer_syntax_uid, uid);
        let magic = [&[0; 128][..], b"DICM", &naked].concat();
        assert_eq!(check(&magic, &text, 1).transfer_syntax_uid, uid);
    }
    // The magic may stand in a data set by accident.
    let naked = Build::new(EXPLICIT)
        .put(0x0008_0005, "CS", "ISO_IR 100")
        .put(0x0008_1030, "LO", [&[b'x'; 102][..], b"DICMAAAA"].concat());
    assert_eq!(&naked.bytes[128..132], b"DICM");
    scan(&naked.bytes, 1000, &mut Recorder::default()).unwrap();
}

#[test]
fn a_transfer_syntax_that_the_bytes_belie_is_not_believed() {
    let implicit = file(IMPLICIT, &small(EXPLICIT).bytes);
    assert_eq!(check(&implicit, SMALL, 2).transfer_syntax_uid, EXPLICIT);
    let explicit = file(EXPLICIT, &small(IMPLICIT).bytes);
    assert_eq!(check(&explicit, SMALL, 2).transfer_syntax_uid, IMPLICIT);
    // The name of the codec stays.
    let jpeg = file(JPEG, &small(IMPLICIT).bytes);
    assert_eq!(check(&jpeg, SMALL, 2).transfer_syntax_uid, JPEG);
    assert_eq!(
        check(&file("1.2.3", &small(EXPLICIT).bytes), SMALL, 2).transfer_syntax_uid,
        "1.2.3"
    );
    let private = "1.2.840.113619.5.2";
    check(&file(private, &small(IMPLICIT).bytes), SMALL, 2);
    refused(&file(private, &small(EXPLICIT).bytes), "not DICOM");
}

#[test]
fn the_group_length_of_the_meta_information_may_lie() {
    let mut file = file(EXPLICIT, &small(EXPLICIT).bytes);
    for lie in [0, 10, 250] {
        file[140] = lie;
        check(&file, SMALL, 2);
    }
    // Without the group length, nothing lies.
    file.drain(132..144);
    check(&file, SMALL, 1);
}

#[test]
fn j21_un_is_read_by_the_dictionary_and_by_its_content() {
    let inner = Build::new(IMPLICIT).put(0x0008_1155, "UI", "1.2\0");
    let item = Build::new(IMPLICIT)
        .put(0xFFFE_E000, "", &inner.bytes)
        .bytes;
    let set = |build: Build| file(EXPLICIT, &build.bytes);
    let explicit = || Build::new(EXPLICIT);

    check(
        &set(explicit().put(0x0010_0010, "UN", "A^B ")),
        "00100010:PN=415e4220",
        0,
    );
    check(
        &set(explicit().put(0x0009_0010, "UN", "ACME")),
        "00090010:LO=41434d45",
        0,
    );
    check(
        &set(explicit().put(0x0009_1001, "UN", "ACME")),
        "00091001:UN=41434d45",
        0,
    );
    let nested = "00081140:SQ[{00081155:UI=312e3200 }]";
    check(&set(explicit().put(0x0008_1140, "UN", &item)), nested, 0);
    check(
        &set(explicit().put(0x0008_1140, "UN", "")),
        "00081140:SQ[]",
        0,
    );
    check(
        &set(explicit().put(0x0008_1140, "UN", "no item!")),
        "00081140:UN=6e6f206974656d21",
        1,
    );
    let undefined = explicit().delimited(0x0008_1140, "UN", std::slice::from_ref(&inner));
    check(&set(undefined), nested, 0);
    // Undefined length in private UN, big endian: still implicit little endian inside.
    let private = Build::new(IMPLICIT)
        .delimited(0x0009_1002, "UN", &[inner])
        .bytes;
    let header = Build::new(BIG_ENDIAN)
        .head(0x0009_1002, "UN", UNDEFINED)
        .bytes;
    let bytes = [&header[..], &private[8..]].concat();
    check(
        &file(BIG_ENDIAN, &bytes),
        "00091002:SQ[{00081155:UI=312e3200 }]",
        0,
    );
}

#[test]
fn implicit_vrs_come_from_the_dictionary() {
    let set = Build::new(IMPLICIT)
        .us(0x0028_0106, "", 7)
        .put(0x0029_0010, "", "ME")
        .put(0x0029_1010, "", "x ")
        .put(0x7FE0_0010, "", "ab");
    let text = "00280106:US=0700 00290010:LO=4d45 00291010:UN=7820 7FE00010:OW=6162";
    check(&file(IMPLICIT, &set.bytes), text, 0);
    // A sequence by the dictionary that is none: the file is believed.
    let set = Build::new(IMPLICIT).put(0x0040_A170, "", "NAMED TYPE");
    check(
        &file(IMPLICIT, &set.bytes),
        "0040A170:UN=4e414d45442054595045",
        1,
    );
}

#[test]
fn vrs_that_nobody_knows_are_read_as_un() {
    let set = |text: &[u8]| file(EXPLICIT, text);
    check(
        &set(b"\x10\x00\x10\x00ZZ\x04\0A^B "),
        "00100010:PN=415e4220",
        1,
    );
    check(
        &set(b"\x10\x00\x10\x00ZZ\0\0\x04\0\0\0A^B "),
        "00100010:PN=415e4220",
        1,
    );
    check(
        &set(b"\x10\x00\x10\x00pn\x04\0A^B "),
        "00100010:PN=415e4220",
        1,
    );
    check(
        &set(b"\x10\x00\x10\x00??\x04\0A^B "),
        "00100010:PN=415e4220",
        1,
    );
    refused(
        &set(b"\x10\x00\x10\x00\x01\x02\x04\0A^B "),
        "(0010,0010) PatientName at offset",
    );
    // A sequence of an explicit file may hold items in implicit VR.
    let implicit = Build::new(IMPLICIT).put(0x0008_1155, "UI", "1.2\0");
    let mixed = Build::new(EXPLICIT).sequence(0x0008_1140, &[implicit]);
    check(
        &set(&mixed.bytes),
        "00081140:SQ[{00081155:UI=312e3200 }]",
        1,
    );
}

#[test]
fn fragments_are_found_by_their_lengths() {
    let delimiter = b"\xfe\xff\xdd\xe0\0\0\0\0";
    let set = Build::new(EXPLICIT).fragments(&[&[0, 0, 0, 0], delimiter, b""]);
    let bytes = file(JPEG, &set.bytes);
    let start = file(JPEG, &[]).len() + 12;
    let text = format!(
        "7FE00010:OB<0@{}+4:00000000;1@{}+8:feffdde000000000;2@{}+0:;>",
        start + 8,
        start + 20,
        start + 36
    );
    check(&bytes, &text, 0);
    // The delimiter may be missing at the end of the file, nothing else.
    check(&bytes[..bytes.len() - 8], &text, 1);
    refused(&bytes[..bytes.len() - 4], "its fragments never end");
    refused(
        &bytes[..bytes.len() - 20],
        "fragment 1 is cut, 4 bytes are missing",
    );
    let garbage =
        Build::new(EXPLICIT)
            .head(0x7FE0_0010, "OB", UNDEFINED)
            .put(0x0010_0010, "PN", "");
    refused(&file(JPEG, &garbage.bytes), "between the fragments");
    let endless = Build::new(EXPLICIT)
        .head(0x7FE0_0010, "OB", UNDEFINED)
        .head(0xFFFE_E000, "", UNDEFINED);
    refused(
        &file(JPEG, &endless.bytes),
        "fragment 0 has an undefined length",
    );
}

#[test]
fn oddities_are_taken_with_a_warning() {
    let explicit = || Build::new(EXPLICIT).put(0x0010_0020, "LO", "1 ");
    let id = "00100020:LO=3120";
    let take = |build: Build, text: &str| check(&file(EXPLICIT, &build.bytes), text, 1);
    take(
        explicit().put(0x0010_0020, "LO", "2 "),
        &format!("{id} 00100020:LO=3220"),
    );
    take(
        explicit().put(0x0010_0010, "PN", ""),
        &format!("{id} 00100010:PN="),
    );
    take(explicit().head(0xFFFE_E0DD, "", 0), id);
    take(explicit().put(0x0002_0016, "AE", "ME"), id);
    take(explicit().raw([0; 20]), id);
    take(explicit().raw([0; 3]), id);
    let pixels = explicit().put(0x7FE0_0010, "OB", "ab");
    let text = format!("{id} 7FE00010:OB=6162");
    take(pixels.clone().raw([0xFF; 30]), &text);
    check(
        &file(EXPLICIT, &pixels.put(0xFFFC_FFFC, "OB", "").bytes),
        &format!("{text} FFFCFFFC:OB="),
        0,
    );
    // Before the pixels, strange bytes are a damaged file.
    refused(
        &file(EXPLICIT, &explicit().raw([0xFF; 30]).bytes),
        "no element begins here",
    );
    refused(
        &file(EXPLICIT, &explicit().raw([0; 20]).raw([1; 20]).bytes),
        "no element begins here",
    );
    refused(
        &file(EXPLICIT, &explicit().head(0xFFFE_E000, "", 0).bytes),
        "an item, no sequence",
    );
}
