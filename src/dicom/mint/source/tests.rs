//! Files that are made → instances of a document.

use super::{Reading, Stored};
use crate::dicom::frames::FrameTable;
use crate::dicom::mint::Form;
use crate::dicom::mint::document::{
    Attribute, Bulk, Node, Series, SeriesFacts, Study, StudyFacts, Value,
};
use crate::dicom::scan::build::{BIG_ENDIAN, Build, DEFLATED, EXPLICIT, IMPLICIT, JPEG, file};
use crate::model::{Tag, VR};

const VIDEO: &str = "1.2.840.10008.1.2.4.102";
const ENCAPSULATED: &str = "1.2.840.10008.1.2.1.98";

/// Reads a file as it is asked for; gives the bytes that were read as well.
fn reading(bytes: &[u8], table: Option<FrameTable>) -> (Stored, usize) {
    let mut reading = Reading::new(bytes.len() as u64, table);
    let mut read = 0;
    while let Some(range) = reading.wants() {
        let part =
            &bytes[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()];
        read += part.len();
        reading.feed(part).unwrap();
    }
    (reading.finish().unwrap(), read)
}

fn stored(syntax: &str, set: &Build) -> Stored {
    reading(&file(syntax, &set.bytes), None).0
}

fn value(stored: &Stored, tag: u32) -> Value {
    let [a, b, c, d] = tag.to_be_bytes();
    let tag = Tag(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let mut found = stored.instance.attributes.iter().filter(|it| it.tag == tag);
    let value = found.next().unwrap().value.clone();
    assert!(found.next().is_none(), "{tag} is there once");
    value
}

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// The value that one element comes to in explicit VR little endian.
fn check(vr: &str, bytes: impl AsRef<[u8]>, expected: impl Into<Option<Value>>) {
    let set = Build::new(EXPLICIT).put(0x0009_1001, vr, bytes);
    let found = value(&stored(EXPLICIT, &set), 0x0009_1001);
    assert_eq!(Some(found), expected.into(), "{vr}");
}

/// The items of a file, as bytes.
fn items(bytes: &[u8], stored: &Stored) -> Vec<Vec<u8>> {
    let of = |index| {
        let ranges = stored.items.ranges(index)?.into_iter();
        let bytes = ranges.flat_map(|range| {
            let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            bytes[range].to_vec()
        });
        Some(bytes.collect())
    };
    (0..stored.items.count()).map_while(of).collect()
}

fn image(frames: &str) -> Build {
    Build::new(EXPLICIT)
        .us(0x0028_0002, "US", 1)
        .put(0x0028_0008, "IS", frames)
        .us(0x0028_0010, "US", 2)
        .us(0x0028_0011, "US", 3)
        .us(0x0028_0100, "US", 8)
}

#[test]
fn mint_k01_k02_group_0002_is_there_and_lengths_are_not() {
    let set = Build::new(EXPLICIT)
        .put(0x0008_0000, "UL", [0; 4])
        .put(0x0008_0018, "UI", "1.2\0")
        .put(0x0020_000D, "UI", "1.3\0")
        .put(0x0020_000E, "UI", "1.4\0");
    let stored = stored(EXPLICIT, &set);
    assert_eq!(stored.study_instance_uid, "1.3");
    assert_eq!(stored.series_instance_uid, "1.4");
    assert_eq!(stored.instance.sop_instance_uid, "1.2");
    assert_eq!(
        stored.instance.transfer_syntax_uid.as_deref(),
        Some(EXPLICIT)
    );
    assert_eq!(value(&stored, 0x0002_0001), Value::Bytes(vec![0, 1]));
    assert_eq!(value(&stored, 0x0002_0010), text(EXPLICIT));
    let tags: Vec<Tag> = stored.instance.attributes.iter().map(|it| it.tag).collect();
    assert!(tags.iter().all(|tag| tag.1 != 0));
    assert!(tags.is_sorted());
    assert_eq!(tags.len(), 6 + 3);
}

#[test]
fn mint_k03_private_elements_are_kept() {
    let set = Build::new(IMPLICIT)
        .put(0x0008_0018, "UI", "1.2\0")
        .put(0x0009_0010, "LO", "KURA DEMO ")
        .put(0x0009_1001, "LO", [1, 2]);
    let stored = stored(IMPLICIT, &set);
    assert_eq!(value(&stored, 0x0009_0010), text("KURA DEMO"));
    assert_eq!(value(&stored, 0x0009_1001), Value::Bytes(vec![1, 2]));
    assert_eq!(stored.instance.attributes.last().unwrap().vr, VR::UN);
}

#[test]
fn mint_11_2_values_are_held_by_their_representation() {
    check("DS", " 1.50 \\2.0 ", text("1.50 \\2.0"));
    check("LO", "  ", text(""));
    check("LO", "", Value::Empty);
    check("LT", "  a b  ", text("  a b"));
    check("SH", " a ", text("a"));
    check("UI", "1.2.3\0", text("1.2.3"));
    check("US", [1, 0, 255, 255], text("1\\65535"));
    check("SS", [255, 255], text("-1"));
    check("SV", [255; 8], text("-1"));
    check(
        "AT",
        [0x10, 0x00, 0x20, 0x00, 0xE0, 0x7F, 0x10, 0x00],
        text("00100020\\7FE00010"),
    );
    check("OB", [], Value::Bytes(vec![]));
    check("UN", [7; 255], Value::Bytes(vec![7; 255]));
    check(
        "FD",
        0.625_f64.to_le_bytes(),
        Value::Number {
            text: "0.625".to_owned(),
            bytes: 0.625_f64.to_le_bytes().to_vec(),
        },
    );
    check("FL", [], Value::Empty);
}

#[test]
fn mint_k20_k21_empty_values_and_groups_stay() {
    check("CS", "\\ISO 2022 IR 87", text("\\ISO 2022 IR 87"));
    check("PN", "A^B=C=^D ", text("A^B=C=^D"));
    check("LO", "a\\\\b ", text("a\\\\b"));
}

#[test]
fn mint_k22_what_is_invalid_is_passed_on() {
    check("DS", "abc ", text("abc"));
    check("DA", "2024.01.31", text("2024.01.31"));
    check(
        "US",
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10].split_at(5).0.repeat(2),
        text("513\\1027\\261\\770\\1284"),
    );
    check("FL", [1, 2], Value::Bytes(vec![1, 2]));
}

#[test]
fn mint_k23_d03_what_does_not_decode_goes_as_bytes() {
    check("LO", [b'a', 0xFF], Value::Bytes(vec![b'a', 0xFF]));
    check("LT", "a\x01b ", Value::Bytes(b"a\x01b ".to_vec()));
    check("LT", "a\r\n\tb ", text("a\r\n\tb"));
    let set = Build::new(EXPLICIT)
        .put(0x0008_0005, "CS", "\\ISO 2022 IR 87")
        .put(0x0010_0010, "PN", b"A^B=\x1b$B;3ED\x1b(B^C ");
    let stored = stored(EXPLICIT, &set);
    assert_eq!(value(&stored, 0x0010_0010), text("A^B=山田^C"));
    assert_eq!(value(&stored, 0x0008_0005), text("\\ISO 2022 IR 87"));
}

#[test]
fn an_item_has_a_character_set_of_its_own() {
    let inner = Build::new(EXPLICIT)
        .put(0x0008_0005, "CS", "ISO_IR 192")
        .put(0x0008_0104, "LO", "蔵 ")
        .sequence(
            0x0008_1140,
            &[Build::new(EXPLICIT).put(0x0008_0104, "LO", "蔵 ")],
        );
    let outer = Build::new(EXPLICIT).put(0x0008_0104, "LO", [0xE9, b' ']);
    let set = Build::new(EXPLICIT)
        .put(0x0008_0005, "CS", "ISO_IR 100")
        .sequence(0x0040_0275, &[inner, outer, Build::new(EXPLICIT)]);
    let put = |tag, vr, it: &str| Node::Attribute(Attribute::new(tag, vr, text(it)));
    let meaning = Tag(0x0008, 0x0104);
    assert_eq!(
        value(&stored(EXPLICIT, &set), 0x0040_0275),
        Value::Items(vec![
            Node::ItemStart,
            put(Tag(0x0008, 0x0005), VR::CS, "ISO_IR 192"),
            put(meaning, VR::LO, "蔵"),
            Node::SequenceStart(Tag(0x0008, 0x1140)),
            Node::ItemStart,
            put(meaning, VR::LO, "蔵"),
            Node::ItemEnd,
            Node::SequenceEnd,
            Node::ItemEnd,
            Node::ItemStart,
            put(meaning, VR::LO, "é"),
            Node::ItemEnd,
            Node::ItemStart,
            Node::ItemEnd,
        ])
    );
}

#[test]
fn mint_11_4_bytes_are_in_the_order_of_the_file() {
    let set = Build::new(BIG_ENDIAN)
        .put(0x0008_0018, "UI", "1.2\0")
        .put(0x0018_9306, "FD", 0.625_f64.to_be_bytes())
        .us(0x0028_0010, "US", 2)
        .put(0x0028_1201, "OW", [1, 2, 3, 4])
        .put(0x0028_1202, "OW", [1, 2].repeat(128));
    let bytes = file(BIG_ENDIAN, &set.bytes);
    let (stored, _) = reading(&bytes, None);
    let number = Value::Number {
        text: "0.625".to_owned(),
        bytes: 0.625_f64.to_be_bytes().to_vec(),
    };
    assert_eq!(value(&stored, 0x0018_9306), number);
    assert_eq!(value(&stored, 0x0028_0010), text("2"));
    assert_eq!(value(&stored, 0x0028_1201), Value::Bytes(vec![1, 2, 3, 4]));
    assert_eq!(items(&bytes, &stored), [[1, 2].repeat(128)]);
}

#[test]
fn mint_d13_the_length_of_what_java_cannot_count_is_left_out() {
    let check = |len: u32, expected: Option<u32>| {
        let set =
            Build::new(EXPLICIT)
                .put(0x0008_0018, "UI", "1.2\0")
                .put(0x0009_1001, "OB", [0; 0]);
        let mut head = file(EXPLICIT, &set.bytes);
        let at = head.len() - 4;
        head[at..].copy_from_slice(&len.to_le_bytes());
        // The value itself is never asked for.
        let mut reading = Reading::new(head.len() as u64 + u64::from(len), None);
        while let Some(range) = reading.wants() {
            let range = usize::try_from(range.start).unwrap()..head.len();
            reading.feed(&head[range]).unwrap();
        }
        let stored = reading.finish().unwrap();
        let Value::Bulk(bulk) = value(&stored, 0x0009_1001) else {
            panic!("an item");
        };
        assert_eq!((bulk.item, bulk.size, bulk.frames), (0, expected, 1));
        let written = |form: Form| {
            let study = study_of(&stored);
            form.study(form.document(&study).as_slice()).unwrap()
        };
        assert_eq!(written(Form::Xml), written(Form::Protobuf));
        let xml = Form::Xml.document(&study_of(&stored));
        let xml = String::from_utf8(xml).unwrap();
        assert_eq!(xml.contains("bsize"), expected.is_some(), "{xml}");
        // The length of the item itself is known all the same.
        let items = stored.items.ranges(0).unwrap();
        assert_eq!(items[0].end - items[0].start, u64::from(len));
    };
    check((1 << 31) - 2, Some((1 << 31) - 2));
    check(1 << 31, None);
    check(u32::MAX - 1, None);
}

/// A study of one instance.
fn study_of(stored: &Stored) -> Study {
    let series = Series {
        facts: SeriesFacts {
            series_instance_uid: "1.3".to_owned(),
            ..SeriesFacts::default()
        },
        attributes: Vec::new(),
        normalized: Vec::new(),
        instances: vec![stored.instance.clone()],
    };
    Study {
        facts: StudyFacts {
            study_instance_uid: "1.4".to_owned(),
            document_type: Some("DICOM".to_owned()),
            ..StudyFacts::default()
        },
        attributes: Vec::new(),
        series: vec![series],
    }
}

/// A bulk value of the document.
fn bulk(item: u32, size: u32, frames: u32) -> Value {
    Value::Bulk(Bulk {
        item,
        size: Some(size),
        frames,
    })
}

#[test]
fn mint_k25_k47_values_of_256_bytes_are_items() {
    let inner = Build::new(EXPLICIT).put(0x5400_1010, "OW", [3; 300]);
    let set = image("1 ")
        .put(
            0x5400_0100,
            "SQ",
            Build::new(EXPLICIT).put(0xFFFE_E000, "", inner.bytes).bytes,
        )
        .put(0x6000_3000, "OW", [1; 255 + 1])
        .put(0x6002_3000, "OW", [1; 254])
        .put(0x7FE0_0010, "OB", [2; 6])
        .put(0xFFFC_FFFC, "OB", [0; 400]);
    let bytes = file(EXPLICIT, &set.bytes);
    let (stored, _) = reading(&bytes, None);
    let Value::Items(nodes) = value(&stored, 0x5400_0100) else {
        panic!("a sequence");
    };
    let waveform = Attribute::new(Tag(0x5400, 0x1010), VR::OW, bulk(0, 300, 1));
    assert_eq!(
        nodes,
        [Node::ItemStart, Node::Attribute(waveform), Node::ItemEnd]
    );
    assert_eq!(value(&stored, 0x6000_3000), bulk(1, 256, 1));
    assert_eq!(value(&stored, 0x6002_3000), Value::Bytes(vec![1; 254]));
    assert_eq!(value(&stored, 0x7FE0_0010), bulk(2, 6, 1));
    assert_eq!(value(&stored, 0xFFFC_FFFC), bulk(3, 400, 1));
    let lens: Vec<usize> = items(&bytes, &stored).iter().map(Vec::len).collect();
    assert_eq!(lens, [300, 256, 6, 400]);
}

#[test]
fn mint_k40_k42_native_frames_are_items() {
    let check = |frames, pixels: &[u8], expected: &[&[u8]], size| {
        let bytes = file(
            EXPLICIT,
            &image(frames).put(0x7FE0_0010, "OB", pixels).bytes,
        );
        let (stored, _) = reading(&bytes, None);
        assert_eq!(items(&bytes, &stored), expected, "{frames}");
        let count = u32::try_from(expected.len()).unwrap();
        assert_eq!(value(&stored, 0x7FE0_0010), bulk(0, size, count));
    };
    check("1 ", b"abcdef", &[b"abcdef"], 6);
    check("1 ", b"abcdefgh", &[b"abcdefgh"], 8);
    check("2 ", b"abcdefghijkl", &[b"abcdef", b"ghijkl"], 12);
    check("3 ", b"abcdefghijkl", &[b"abcdefghijkl"], 12);
    check("2 ", b"abcdefghijklmn", &[b"abcdefghijklmn"], 14);
}

#[test]
fn mint_k43_k46_fragments_of_a_frame_are_joined() {
    let soi = [0xFF, 0xD8, 0xFF, 0xE0];
    let fragments: [&[u8]; 4] = [&[0, 0, 0, 0, 20, 0, 0, 0], &soi, &[1, 2, 3, 0], &soi];
    let bytes = file(
        JPEG,
        &image("2 ")
            .fragments(&fragments)
            .put(0xFFFC_FFFC, "OB", [0; 2])
            .bytes,
    );
    let (stored, _) = reading(&bytes, None);
    // The offset table says where the second frame starts: 8 + 4 + 8 + 4 bytes.
    let table: [&[u8]; 4] = [&[0, 0, 0, 0, 24, 0, 0, 0], &soi, &[1, 2, 3, 0], &soi];
    let told = file(JPEG, &image("2 ").fragments(&table).bytes);
    let by_table = reading(&told, None).0;
    for (stored, bytes) in [(&stored, &bytes), (&by_table, &told)] {
        assert_eq!(value(stored, 0x7FE0_0010), bulk(0, 12, 2));
        assert_eq!(
            items(bytes, stored),
            [[soi, [1, 2, 3, 0]].concat(), soi.to_vec()]
        );
    }
    assert_eq!(value(&stored, 0xFFFC_FFFC), Value::Bytes(vec![0; 2]));
    // Uncompressed frames in fragments: the pad byte stays.
    let odd = file(
        ENCAPSULATED,
        &Build::new(EXPLICIT)
            .us(0x0028_0010, "US", 1)
            .us(0x0028_0011, "US", 3)
            .us(0x0028_0100, "US", 8)
            .fragments(&[&[], &[1, 2, 3, 0]])
            .bytes,
    );
    let (stored, _) = reading(&odd, None);
    assert_eq!(items(&odd, &stored), [[1, 2, 3, 0]]);
}

#[test]
fn mint_k45_video_is_one_item() {
    let bytes = file(VIDEO, &image("9 ").fragments(&[&[], b"ab", b"cd"]).bytes);
    let (stored, _) = reading(&bytes, None);
    assert_eq!(value(&stored, 0x7FE0_0010), bulk(0, 4, 1));
    assert_eq!(items(&bytes, &stored), [b"abcd"]);
}

#[test]
fn mint_k24_pixels_of_an_icon_are_items() {
    let native = Build::new(EXPLICIT).put(0x7FE0_0010, "OB", [1; 4]);
    let fragments = Build::new(EXPLICIT).fragments(&[&[], &[1, 2], &[3, 4]]);
    let none = Build::new(EXPLICIT).fragments(&[&[]]);
    let set = image("1 ")
        .delimited(0x0088_0200, "SQ", &[native, fragments, none])
        .put(0x7FE0_0010, "OB", [2; 6]);
    let bytes = file(EXPLICIT, &set.bytes);
    let (stored, _) = reading(&bytes, None);
    assert_eq!(
        items(&bytes, &stored),
        [vec![1; 4], vec![1, 2, 3, 4], vec![2; 6]]
    );
    assert_eq!(value(&stored, 0x7FE0_0010), bulk(2, 6, 1));
}

#[test]
fn mint_z51_pixels_are_not_read() {
    let pixels = vec![5; 500_000];
    let native = image("1 ")
        .put(0x7FE0_0010, "OB", &pixels)
        .put(0xFFFC_FFFC, "OB", [9; 2]);
    let bytes = file(EXPLICIT, &native.bytes);
    let (stored, read) = reading(&bytes, None);
    assert_eq!(value(&stored, 0xFFFC_FFFC), Value::Bytes(vec![9; 2]));
    assert_eq!(value(&stored, 0x7FE0_0010), bulk(0, 500_000, 1));
    assert!(read < 20_000, "{read} bytes");

    let mut fragments: Vec<&[u8]> = vec![&[]];
    fragments.resize(101, &pixels[..4_000]);
    let encapsulated = image("100 ")
        .fragments(&fragments)
        .put(0xFFFC_FFFC, "OB", [9; 2]);
    let bytes = file(JPEG, &encapsulated.bytes);
    let (whole, read) = reading(&bytes, None);
    assert_eq!(
        read,
        bytes.len(),
        "without a table all of it has to be seen"
    );
    let table = {
        let mut collector = crate::dicom::collect::Collector::new();
        crate::dicom::scan::build::scan(&bytes, 4096, &mut collector).unwrap();
        let syntax = crate::model::TransferSyntax::of(JPEG);
        FrameTable::build(&collector.finish(), syntax, &mut Vec::new())
    };
    let (quick, read) = reading(&bytes, table);
    assert!(read < 50_000, "{read} bytes");
    assert_eq!(quick.instance, whole.instance);
    assert_eq!(value(&quick, 0xFFFC_FFFC), Value::Bytes(vec![9; 2]));
}

#[test]
fn a_deflated_file_is_given_inflated() {
    use flate2::{Compression, write::DeflateEncoder};
    use std::io::Write as _;
    let set = image("1 ").put(0x7FE0_0010, "OB", b"abcdef");
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::default());
    deflate.write_all(&set.bytes).unwrap();
    let bytes = file(DEFLATED, &deflate.finish().unwrap());
    let (stored, read) = reading(&bytes, None);
    assert_eq!(read, bytes.len());
    assert_eq!(value(&stored, 0x7FE0_0010), bulk(0, 6, 1));
    assert_eq!(
        stored.instance.transfer_syntax_uid.as_deref(),
        Some(DEFLATED)
    );
}

#[test]
fn of_an_element_that_is_there_twice_the_first_counts() {
    let set = Build::new(EXPLICIT)
        .put(0x0010_0020, "LO", "B ")
        .put(0x0008_0050, "SH", "first ")
        .put(0x0010_0020, "LO", "A ");
    let stored = stored(EXPLICIT, &set);
    assert_eq!(value(&stored, 0x0010_0020), text("B"));
    assert_eq!(value(&stored, 0x0008_0050), text("first"));
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>, start in proptest::bool::ANY) {
        let bytes = if start { file(EXPLICIT, &bytes) } else { bytes };
        let mut reading = Reading::new(bytes.len() as u64, None);
        while let Some(range) = reading.wants() {
            let range = usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap();
            if reading.feed(&bytes[range]).is_err() {
                return Ok(());
            }
        }
        let _unread = reading.finish();
    }
}
