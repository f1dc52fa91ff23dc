//! Documents → files, looked at by the scanner and by hand.

use super::{Composed, Piece, compose};
use crate::dicom::mint::document::{Attribute, Bulk, Instance, Node, Value};
use crate::dicom::mint::source::Reading;
use crate::dicom::part10::IMPLEMENTATION_CLASS_UID;
use crate::model::{Tag, VR};

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";
const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
const JPEG: &str = "1.2.840.10008.1.2.4.50";

fn text(tag: u32, vr: VR, text: &str) -> Attribute {
    put(tag, vr, Value::Text(text.to_owned()))
}

fn put(tag: u32, vr: VR, value: Value) -> Attribute {
    let [a, b, c, d] = tag.to_be_bytes();
    let tag = Tag(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    Attribute::new(tag, vr, value)
}

fn bulk(tag: u32, item: u32, frames: u32) -> Attribute {
    let bulk = Bulk {
        item,
        size: None,
        frames,
    };
    put(tag, VR::OB, Value::Bulk(bulk))
}

fn instance(syntax: &str, attributes: Vec<Attribute>) -> Instance {
    Instance {
        sop_instance_uid: "1.2.3".to_owned(),
        transfer_syntax_uid: Some(syntax.to_owned()),
        exclude: false,
        attributes,
    }
}

/// The bytes of a file, the value of each item being its number in so many bytes.
fn bytes(composed: &Composed) -> Vec<u8> {
    let mut file = Vec::new();
    for piece in &composed.pieces {
        match piece {
            Piece::Bytes(bytes) => file.extend(bytes),
            Piece::Item { item, range } => {
                let len = usize::try_from(range.end.checked_sub(range.start).unwrap()).unwrap();
                file.extend(vec![u8::try_from(*item).unwrap(); len]);
            }
        }
    }
    assert_eq!(u64::try_from(file.len()), Ok(composed.len()));
    assert_eq!(file.len() % 2, 0);
    file
}

/// Item n has n + 3 bytes; there are ten.
fn file(instance: &Instance) -> Vec<u8> {
    bytes(&composed(instance).unwrap())
}

fn composed(instance: &Instance) -> crate::Result<Composed> {
    compose(&[], instance, &|item| {
        (item < 10).then(|| u64::from(item) + 3)
    })
}

/// The data set of a file.
fn data_set(file: &[u8]) -> &[u8] {
    let len = u32::from_le_bytes(file[140..144].try_into().unwrap());
    file[144..].split_at(usize::try_from(len).unwrap()).1
}

/// What MINT says of a file.
fn read(file: &[u8]) -> Vec<Attribute> {
    let mut reading = Reading::new(u64::try_from(file.len()).unwrap(), None);
    while let Some(range) = reading.wants() {
        let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
        reading.feed(&file[range]).unwrap();
    }
    let mut attributes = reading.finish().unwrap().instance.attributes;
    attributes.retain(|attribute| attribute.tag.0 > 2);
    attributes
}

/// One element of an explicit little endian file, as it is written.
fn check(attribute: Attribute, expected: &[u8]) {
    let file = file(&instance(EXPLICIT, vec![attribute]));
    assert_eq!(data_set(&file), expected);
}

#[test]
fn mint_p01_the_most_specific_value_wins() {
    let study = [
        text(0x0010_0020, VR::LO, "A"),
        text(0x0010_0010, VR::PN, "N"),
    ];
    let series = [text(0x0010_0020, VR::LO, "B")];
    let normalized = [text(0x0010_0020, VR::LO, "C")];
    let mut gone = text(0x0010_0040, VR::CS, "F");
    gone.exclude = true;
    let own = instance(EXPLICIT, vec![text(0x0010_0020, VR::LO, "D"), gone]);
    let file = |above: &[&[Attribute]]| read(&bytes(&compose(above, &own, &|_| None).unwrap()));
    let expected = [
        text(0x0010_0010, VR::PN, "N"),
        text(0x0010_0020, VR::LO, "D"),
    ];
    assert_eq!(file(&[&study, &series, &normalized]), expected);
    let none = instance(EXPLICIT, vec![]);
    let composed = compose(&[&study, &series, &normalized], &none, &|_| None).unwrap();
    assert_eq!(read(&bytes(&composed))[1], text(0x0010_0020, VR::LO, "C"));
}

#[test]
fn mint_p02_group_0002_is_made_of_what_there_is() {
    let mut attributes = vec![
        text(0x0008_0016, VR::UI, "1.9"),
        text(0x0008_0018, VR::UI, "1.2.3"),
    ];
    let made = file(&instance(EXPLICIT, attributes.clone()));
    assert!(made[..128].iter().all(|byte| *byte == 0));
    assert_eq!(&made[128..132], b"DICM");
    let contains = |file: &[u8], part: &[u8]| file.windows(part.len()).any(|it| it == part);
    assert!(contains(
        &made,
        b"\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01\x02\0\x02\0UI\x04\x001.9\0"
    ));
    assert!(contains(&made, b"\x02\0\x03\0UI\x06\x001.2.3\0"));
    assert!(contains(&made, IMPLEMENTATION_CLASS_UID.as_bytes()));
    attributes.insert(0, text(0x0002_0013, VR::SH, "OTHER"));
    attributes.insert(0, text(0x0002_0002, VR::UI, "1.8"));
    let given = file(&instance(EXPLICIT, attributes));
    assert!(contains(&given, b"\x02\0\x13\0SH\x06\0OTHER "));
    assert!(contains(&given, b"\x02\0\x02\0UI\x04\x001.8\0"));
    assert!(!contains(&given, IMPLEMENTATION_CLASS_UID.as_bytes()));
}

#[test]
fn mint_p03_sequences_have_lengths_and_tags_ascend() {
    let nodes = vec![
        Node::ItemStart,
        Node::Attribute(text(0x0008_1150, VR::UI, "1.2")),
        Node::SequenceStart(Tag(0x0040, 0xA170)),
        Node::ItemStart,
        Node::Attribute(bulk(0x0009_1001, 1, 1)),
        Node::ItemEnd,
        Node::SequenceEnd,
        Node::ItemEnd,
        Node::ItemStart,
        Node::ItemEnd,
    ];
    let sequence = put(0x0008_1140, VR::SQ, Value::Items(nodes.clone()));
    let attributes = vec![text(0x0010_0020, VR::LO, "A"), sequence];
    let expected = b"\x08\0\x40\x11SQ\0\0\x40\0\0\0\
        \xFE\xFF\0\xE0\x30\0\0\0\x08\0\x50\x11UI\x04\x001.2\0\
        \x40\0\x70\xA1SQ\0\0\x18\0\0\0\xFE\xFF\0\xE0\x10\0\0\0\x09\0\x01\x10OB\0\0\x04\0\0\0\x01\x01\x01\x01\
        \xFE\xFF\0\xE0\0\0\0\0\x10\0\x20\0LO\x02\0A ";
    let made = file(&instance(EXPLICIT, attributes.clone()));
    assert_eq!(data_set(&made), expected.as_slice());
    let made = file(&instance(IMPLICIT, attributes.clone()));
    assert!(data_set(&made).starts_with(
        b"\x08\0\x40\x11\x38\0\0\0\xFE\xFF\0\xE0\x28\0\0\0\x08\0\x50\x11\x04\0\0\x001.2\0"
    ));
    let made = file(&instance(BIG_ENDIAN, attributes));
    assert!(data_set(&made).starts_with(b"\0\x08\x11\x40SQ\0\0\0\0\0\x40\xFF\xFE\xE0\0\0\0\0\x30"));
    check(
        put(0x0008_1140, VR::SQ, Value::Items(vec![])),
        b"\x08\0\x40\x11SQ\0\0\0\0\0\0",
    );
    // A group length that somebody sends has no place in a file.
    check(put(0x0008_0000, VR::UL, Value::Text("5".to_owned())), b"");
}

#[test]
fn mint_p03_a_deflated_file_is_made_of_stored_blocks() {
    let long = "x".repeat(70_001);
    let attributes = vec![
        text(0x0008_0018, VR::UI, "1.2.3"),
        text(0x0009_1001, VR::UT, &long),
        bulk(0x7FE0_0010, 2, 2),
    ];
    let made = file(&instance(DEFLATED, attributes));
    let stream = data_set(&made);
    assert_eq!(&stream[..5], &[0, 0xFF, 0xFF, 0, 0]);
    let back = read(&made);
    assert_eq!(back[1], text(0x0009_1001, VR::UT, &long));
    let Value::Bulk(pixels) = back[2].value else {
        panic!("pixels");
    };
    assert_eq!(pixels.size, Some(12));
}

#[test]
fn mint_p04_text_is_in_its_character_set() {
    let name = text(0x0010_0010, VR::PN, "Yamada^Tarou=山田^太郎");
    let kanji = text(0x0008_0005, VR::CS, "\\ISO 2022 IR 87");
    let made = composed(&instance(EXPLICIT, vec![kanji.clone(), name.clone()])).unwrap();
    assert!(!made.is_recoded);
    assert!(
        data_set(&bytes(&made))
            .trim_ascii_end()
            .ends_with(b"=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B")
    );
    assert_eq!(read(&bytes(&made)), [kanji, name.clone()]);

    let inner = vec![
        Node::ItemStart,
        Node::Attribute(text(0x0008_0005, VR::CS, "ISO_IR 100")),
        Node::Attribute(text(0x0008_0104, VR::LO, "é")),
        Node::Attribute(put(0x0008_0105, VR::LO, Value::Bytes(vec![0xE9, 1]))),
        Node::ItemEnd,
    ];
    let sequence = put(0x0040_0275, VR::SQ, Value::Items(inner));
    let latin = text(0x0008_0005, VR::CS, "ISO_IR 100");
    let made = composed(&instance(EXPLICIT, vec![latin, name.clone(), sequence])).unwrap();
    assert!(made.is_recoded, "kanji are not in Latin 1");
    let back = read(&bytes(&made));
    assert_eq!(back[0], text(0x0008_0005, VR::CS, "ISO_IR 192"));
    assert_eq!(back[1], name);
    let inner = vec![
        Node::ItemStart,
        Node::Attribute(text(0x0008_0104, VR::LO, "é")),
        Node::Attribute(put(
            0x0008_0105,
            VR::LO,
            Value::Bytes("é\u{1} ".as_bytes().to_vec()),
        )),
        Node::ItemEnd,
    ];
    assert_eq!(back[2].value, Value::Items(inner));
    // Without a character set there is one afterwards.
    let made = composed(&instance(EXPLICIT, vec![name])).unwrap();
    assert_eq!(
        read(&bytes(&made))[0],
        text(0x0008_0005, VR::CS, "ISO_IR 192")
    );
}

#[test]
fn mint_p05_values_are_padded_to_even_length() {
    check(
        text(0x0008_0018, VR::UI, "1.2"),
        b"\x08\0\x18\0UI\x04\x001.2\0",
    );
    check(text(0x0010_0020, VR::LO, "A"), b"\x10\0\x20\0LO\x02\0A ");
    check(
        put(0x0009_1001, VR::OB, Value::Bytes(vec![1])),
        b"\x09\0\x01\x10OB\0\0\x02\0\0\0\x01\0",
    );
    check(
        put(0x0009_1001, VR::UN, Value::Bytes(vec![])),
        b"\x09\0\x01\x10UN\0\0\0\0\0\0",
    );
    // Nothing but blanks is not nothing.
    check(text(0x0020_4000, VR::LT, ""), b"\x20\0\0\x40LT\x02\0  ");
    check(
        put(0x0020_4000, VR::LT, Value::Empty),
        b"\x20\0\0\x40LT\0\0",
    );
}

#[test]
fn mint_p06_numbers_are_checked() {
    check(
        text(0x0028_0010, VR::US, "1\\65535"),
        b"\x28\0\x10\0US\x04\0\x01\0\xFF\xFF",
    );
    check(
        text(0x0028_9001, VR::AT, "00100020"),
        b"\x28\0\x01\x90AT\x04\0\x10\0\x20\0",
    );
    check(
        text(0x0018_9306, VR::FD, "1.0E-1"),
        b"\x18\0\x06\x93FD\x08\0\x9A\x99\x99\x99\x99\x99\xB9\x3F",
    );
    let number = Value::Number {
        text: "2.0".to_owned(),
        bytes: vec![1, 2, 3, 4],
    };
    check(
        put(0x0018_9307, VR::FL, number),
        b"\x18\0\x07\x93FL\x04\0\x01\x02\x03\x04",
    );
    for (vr, value) in [
        (VR::US, "65536"),
        (VR::US, "-1"),
        (VR::SS, "32768"),
        (VR::UL, "x"),
        (VR::US, "1\\"),
        (VR::AT, "0010"),
        (VR::FL, "one"),
        (VR::OB, "text"),
    ] {
        let refused = composed(&instance(EXPLICIT, vec![text(0x0028_0010, vr, value)]));
        let error = refused.expect_err(value);
        assert!(
            error.detail().contains("(0028,0010) Rows"),
            "{}",
            error.detail()
        );
    }
}

#[test]
fn mint_p07_native_frames_are_joined() {
    check(
        bulk(0x7FE0_0010, 2, 2),
        b"\xE0\x7F\x10\0OB\0\0\x0C\0\0\0\x02\x02\x02\x02\x02\x03\x03\x03\x03\x03\x03\0",
    );
    check(
        bulk(0x7FE0_0010, 1, 1),
        b"\xE0\x7F\x10\0OB\0\0\x04\0\0\0\x01\x01\x01\x01",
    );
    let missing = composed(&instance(EXPLICIT, vec![bulk(0x7FE0_0010, 9, 2)]));
    assert!(missing.unwrap_err().detail().contains("missing"));
    let long = compose(
        &[],
        &instance(EXPLICIT, vec![bulk(0x7FE0_0010, 0, 1)]),
        &|_| Some(u64::from(u32::MAX)),
    );
    assert!(long.unwrap_err().detail().contains("longer"));
}

#[test]
fn mint_p08_encapsulated_frames_are_a_fragment_each() {
    let made = file(&instance(JPEG, vec![bulk(0x7FE0_0010, 0, 2)]));
    let two = b"\xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\x08\0\0\0\0\0\0\0\x0C\0\0\0\
        \xFE\xFF\0\xE0\x04\0\0\0\0\0\0\0\xFE\xFF\0\xE0\x04\0\0\0\x01\x01\x01\x01\xFE\xFF\xDD\xE0\0\0\0\0";
    assert_eq!(data_set(&made), two.as_slice());
    let made = file(&instance(JPEG, vec![bulk(0x7FE0_0010, 1, 1)]));
    let one = b"\xE0\x7F\x10\0OB\0\0\xFF\xFF\xFF\xFF\xFE\xFF\0\xE0\0\0\0\0\
        \xFE\xFF\0\xE0\x04\0\0\0\x01\x01\x01\x01\xFE\xFF\xDD\xE0\0\0\0\0";
    assert_eq!(data_set(&made), one.as_slice());
}
