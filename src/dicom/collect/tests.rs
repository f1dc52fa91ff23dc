//! Heads of data sets built from bytes.

use super::{BulkRule, Collector, Nesting};
use crate::dicom::head::{Head, Node, PixelPlace, Value};
use crate::dicom::scan::build::{BIG_ENDIAN, Build, EXPLICIT, IMPLICIT, JPEG, file, scan};
use crate::model::{Tag, VR};

fn collect(transfer_syntax_uid: &str, data_set: &Build) -> Head {
    let mut collector = Collector::new();
    let bytes = file(transfer_syntax_uid, &data_set.bytes);
    scan(&bytes, 5, &mut collector).unwrap();
    collector.finish()
}

fn rule(binary_max: u32) -> BulkRule {
    BulkRule {
        binary_max,
        ..BulkRule::default()
    }
}

fn inline(head: &Head, group: u16, element: u16) -> &[u8] {
    head.bytes(head.element(Tag(group, element)).unwrap())
}

#[test]
fn j30_to_j35_long_values_are_bulk() {
    let is_bulk = |tag, vr, len, nesting| BulkRule::default().is_bulk(tag, vr, len, nesting);
    let check = |tag, vr, most: u32, nesting| {
        assert!(!is_bulk(tag, vr, most, nesting), "{tag} {vr} {most}");
        assert!(is_bulk(tag, vr, most + 1, nesting), "{tag} {vr} {most}");
    };
    let pixels = Tag(0x7FE0, 0x0010);
    let private = Tag(0x0009, 0x1001);
    assert!(is_bulk(pixels, VR::OW, 0, Nesting::Top));
    check(pixels, VR::OB, 32 * 1024, Nesting::Icon);
    check(pixels, VR::OB, 1024, Nesting::Item);
    for vr in [VR::OB, VR::OD, VR::OF, VR::OL, VR::OV, VR::OW, VR::UN] {
        check(private, vr, 1024, Nesting::Top);
        check(private, vr, 1024, Nesting::Icon);
    }
    for vr in [VR::UT, VR::LT, VR::ST, VR::UC] {
        check(private, vr, 64 * 1024, Nesting::Top);
    }
    for vr in [VR::DS, VR::IS, VR::FL, VR::FD, VR::US, VR::UR, VR::PN] {
        assert!(!is_bulk(private, vr, u32::MAX, Nesting::Top));
    }
}

#[test]
fn j31_a_threshold_draws_another_line_for_binary_values_only() {
    let private = Tag(0x0009, 0x1001);
    let bulk = |binary_max, vr, len| rule(binary_max).is_bulk(private, vr, len, Nesting::Top);
    assert!(bulk(0, VR::OB, 1) && !bulk(0, VR::OB, 0));
    assert!(!bulk(65_536, VR::UN, 65_536) && bulk(65_536, VR::UN, 65_537));
    assert!(!bulk(0, VR::UT, 65_536) && !bulk(0, VR::DS, 10));
    // A generous one ends where it would cost the object its place.
    let mut set = Build::new(EXPLICIT);
    for element in 0x1000..0x1060 {
        set = set.put(0x0009_0000 | element, "OB", vec![1; 65_536]);
    }
    let mut collector = Collector::with_rule(rule(65_536));
    scan(&file(EXPLICIT, &set.bytes), 50_000, &mut collector).unwrap();
    let head = collector.finish();
    let value = |element| &head.element(Tag(0x0009, element)).unwrap().value;
    assert!(matches!(value(0x1000), Value::Inline(_)));
    assert!(matches!(value(0x105F), Value::Bulk(_)));
    assert!(head.arena.len() < 5 << 20);
}

#[test]
fn values_are_kept_little_endian_and_places_are_those_of_the_file() {
    let set = Build::new(BIG_ENDIAN)
        .put(0x0008_0016, "UI", "1.2\0")
        .put(0x0020_000D, "UI", "1.2.3 ")
        .us(0x0028_0010, "US", 0x0102)
        .put(0x0028_0009, "AT", [0x00, 0x18, 0x10, 0x63])
        .put(0x0009_1001, "FD", 1.5_f64.to_be_bytes())
        .put(0x0009_1002, "UN", "abcd")
        .put(0x7FE0_0010, "OW", "pixels");
    let head = collect(BIG_ENDIAN, &set);
    assert_eq!(inline(&head, 0x0028, 0x0010), [2, 1]);
    assert_eq!(inline(&head, 0x0028, 0x0009), [0x18, 0x00, 0x63, 0x10]);
    assert_eq!(inline(&head, 0x0009, 0x1001), 1.5_f64.to_le_bytes());
    assert_eq!(inline(&head, 0x0009, 0x1002), b"abcd");
    let end = u64::try_from(file(BIG_ENDIAN, &set.bytes).len()).unwrap();
    let place = PixelPlace::Native {
        tag: Tag(0x7FE0, 0x0010),
        range: end - 6..end,
    };
    assert_eq!(head.pixels, Some(place));
}

#[test]
fn the_study_is_known_as_soon_as_it_has_passed() {
    let study = Build::new(EXPLICIT).put(0x0020_000D, "UI", "1.2.3\0");
    let item = Build::new(EXPLICIT).put(0x0020_000D, "UI", "9.9.9\0");
    let set = Build::new(EXPLICIT).sequence(0x0008_1110, &[item]);
    let mut collector = Collector::new();
    scan(&file(EXPLICIT, &set.bytes), 99, &mut collector).unwrap();
    assert_eq!(collector.study_uid(), None);
    let mut collector = Collector::new();
    let set = set.raw(study.bytes).head(0x0020_000E, "UI", 60);
    scan(&file(EXPLICIT, &set.bytes), 99, &mut collector).unwrap_err();
    assert_eq!(collector.study_uid(), Some("1.2.3"));
    assert_eq!(collector.sop_instance_uid(), None);
}

#[test]
fn j22_us_or_ss_follows_the_pixel_representation_around_it() {
    let vr_of_nodes = |head: &Head| {
        let vr = |node: &Node| match node {
            Node::Element(element) => (element.tag.element() == 0x0106).then_some(element.vr),
            Node::SequenceStart(_) | Node::ItemStart | Node::ItemEnd | Node::SequenceEnd => None,
        };
        head.nodes.iter().filter_map(vr).collect::<Vec<_>>()
    };
    let value = |build: Build| build.us(0x0028_0106, "US", 1);
    for (uid, signed, expected) in [
        (IMPLICIT, 1, [VR::US, VR::SS, VR::SS]),
        (IMPLICIT, 0, [VR::US, VR::US, VR::US]),
        // The file says US: it is believed.
        (EXPLICIT, 1, [VR::US, VR::US, VR::US]),
    ] {
        let own = value(Build::new(uid).us(0x0028_0103, "US", 0));
        let outer = value(Build::new(uid));
        let set = Build::new(uid).sequence(0x0008_1140, &[own, outer]);
        let set = value(set.us(0x0028_0103, "US", signed));
        assert_eq!(vr_of_nodes(&collect(uid, &set)), expected, "{uid} {signed}");
    }
}

#[test]
fn f44_fragments_and_their_table_are_placed() {
    let set = Build::new(EXPLICIT).fragments(&[&[0, 0, 0, 0, 8, 0, 0, 0], b"ab", b"abcdef"]);
    let head = collect(JPEG, &set);
    let Some(PixelPlace::Encapsulated {
        origin,
        offset_table,
        fragments,
    }) = &head.pixels
    else {
        panic!("{:?}", head.pixels);
    };
    assert_eq!(offset_table, &[0, 8]);
    assert_eq!(fragments[0].offset, origin + 8);
    assert_eq!(
        (fragments[0].first, fragments[0].last),
        (*b"ab\0\0", *b"\0\0ab")
    );
    assert_eq!(
        (fragments[1].first, fragments[1].last),
        (*b"abcd", *b"cdef")
    );
    assert_eq!(fragments[1].len, 6);
    assert_eq!(
        head.element(Tag(0x7FE0, 0x0010)).unwrap().value,
        Value::Fragments
    );

    // A writer that leaves the table out begins with a frame.
    let set = Build::new(EXPLICIT).fragments(&[b"\xFF\xD8\xFF\xE0rest"]);
    let head = collect(JPEG, &set);
    let Some(PixelPlace::Encapsulated { fragments, .. }) = &head.pixels else {
        panic!("{:?}", head.pixels);
    };
    assert_eq!((fragments.len(), head.warnings.len()), (1, 1));
}

#[test]
fn f45_extended_offsets_are_read_whatever_their_length() {
    let offsets: Vec<u64> = (0..300).map(|frame| frame * 10).collect();
    let lengths = vec![9_u64; 300];
    let bytes = |words: &[u64]| {
        words
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect::<Vec<_>>()
    };
    let set = Build::new(EXPLICIT)
        .put(0x7FE0_0001, "OV", bytes(&offsets))
        .put(0x7FE0_0002, "OV", bytes(&lengths))
        .fragments(&[b""]);
    let head = collect(JPEG, &set);
    assert_eq!(head.extended_offsets, Some((offsets, lengths)));
    let element = head.element(Tag(0x7FE0, 0x0001)).unwrap();
    assert!(matches!(&element.value, Value::Bulk(range) if range.end - range.start == 2400));
    // One of the two is of no use.
    let alone = Build::new(EXPLICIT).put(0x7FE0_0001, "OV", [0; 8]);
    assert_eq!(collect(JPEG, &alone).extended_offsets, None);
}

#[test]
fn a_head_beyond_its_limit_is_refused() {
    let value = vec![b'1'; 60_000];
    let set = (0..300).fold(Build::new(EXPLICIT), |set, at| {
        set.put(0x0009_1000 + at, "DS", &value)
    });
    let error = scan(&file(EXPLICIT, &set.bytes), 50_000, &mut Collector::new()).unwrap_err();
    assert!(error.to_string().contains("larger than 16 MiB"), "{error}");
}
