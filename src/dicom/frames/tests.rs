//! The rows of dicomweb.md 7.3, one after the other.

#![expect(clippy::arithmetic_side_effects, reason = "small numbers")]
#![expect(
    clippy::single_range_in_vec_init,
    reason = "a frame is a list of ranges, often of one"
)]

use proptest::prelude::*;

use super::*;
use crate::dicom::head::{Element, Fragment, Head, Node, PixelPlace, Value};
use crate::model::{Tag, TransferSyntax, VR};

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const EXPLICIT_BIG: &str = "1.2.840.10008.1.2.2";
const UNCOMPRESSED_FRAMES: &str = "1.2.840.10008.1.2.1.98";
const JPEG: &str = "1.2.840.10008.1.2.4.50";
const J2K: &str = "1.2.840.10008.1.2.4.90";
const MPEG2: &str = "1.2.840.10008.1.2.4.100";
const RLE: &str = "1.2.840.10008.1.2.5";

fn put(head: &mut Head, tag: Tag, vr: VR, value: &[u8]) {
    let start = head.arena.len();
    head.arena.extend_from_slice(value);
    let value = Value::Inline(start..head.arena.len());
    head.nodes.push(Node::Element(Element {
        tag,
        vr,
        offset: 0,
        value,
    }));
}

/// `rows`, `columns`, samples, bits allocated; the number of frames as text, empty for none.
fn head(shape: [u16; 4], frames: &str) -> Head {
    let mut head = Head::default();
    let tags = [0x0010, 0x0011, 0x0002, 0x0100].map(|element| Tag(0x0028, element));
    for (tag, value) in tags.into_iter().zip(shape) {
        put(&mut head, tag, VR::US, &value.to_le_bytes());
    }
    if !frames.is_empty() {
        put(&mut head, Tag(0x0028, 0x0008), VR::IS, frames.as_bytes());
    }
    head
}

fn native(shape: [u16; 4], frames: &str, value: Range<u64>) -> Head {
    let mut head = head(shape, frames);
    head.pixels = Some(PixelPlace::Native {
        tag: Tag(0x7FE0, 0x0010),
        range: value,
    });
    head
}

const SOI: [u8; 4] = [0xFF, 0xD8, 0xFF, 0xE0];
const EOI: [u8; 4] = [0x12, 0x34, 0xFF, 0xD9];
const EOI_PADDED: [u8; 4] = [0x34, 0xFF, 0xD9, 0];
const DATA: [u8; 4] = [1, 2, 3, 4];

/// Fragments of (length, first bytes, last bytes), the first item header at offset 1000.
fn encapsulated(frames: &str, offset_table: &[u32], fragments: &[(u32, [u8; 4], [u8; 4])]) -> Head {
    let mut head = head([64, 64, 1, 8], frames);
    let mut next = 1008;
    let fragments = fragments.iter().map(|(len, first, last)| {
        let offset = next;
        next += u64::from(*len) + 8;
        Fragment {
            offset,
            len: *len,
            first: *first,
            last: *last,
        }
    });
    head.pixels = Some(PixelPlace::Encapsulated {
        origin: 1000,
        offset_table: offset_table.to_vec(),
        fragments: fragments.collect(),
    });
    head
}

fn build(head: &Head, uid: &str) -> (FrameTable, Vec<String>) {
    let mut warnings = Vec::new();
    let table = FrameTable::build(head, TransferSyntax::of(uid), &mut warnings).unwrap();
    assert_eq!(FrameTable::decode(&table.encode()).unwrap(), table);
    (table, warnings)
}

/// The frames as ranges, and the number of warnings.
fn check(head: &Head, uid: &str, frames: &[&[Range<u64>]], warned: usize) {
    let (table, warnings) = build(head, uid);
    let ranges: Vec<_> = (0..table.frames())
        .map(|i| table.frame(i).unwrap().ranges)
        .collect();
    assert_eq!(ranges, frames, "{warnings:?}");
    assert_eq!(table.frame(table.frames()), None);
    assert_eq!(warnings.len(), warned, "{warnings:?}");
}

fn cannot_be_cut(head: &Head, uid: &str, cut: Cut) {
    let (table, _) = build(head, uid);
    assert_eq!(
        (table.cut(), table.frames(), table.frame(0)),
        (cut, 0, None)
    );
    assert_eq!(table.parts(), 1);
    assert_eq!(table.part(0).unwrap().len(), table.total_bytes());
}

#[test]
fn f07_without_pixel_data_there_is_no_table() {
    assert_eq!(
        FrameTable::build(&head([1, 1, 1, 8], ""), None, &mut Vec::new()),
        None
    );
}

#[test]
fn f40_native_frames_lie_one_behind_the_other() {
    check(
        &native([10, 20, 1, 16], "2", 500..1300),
        EXPLICIT,
        &[&[500..900], &[900..1300]],
        0,
    );
    check(
        &native([10, 20, 3, 8], "", 500..1100),
        EXPLICIT,
        &[&[500..1100]],
        0,
    );
}

#[test]
fn f40_chrominance_that_two_pixels_share_takes_half() {
    let mut shared = native([48, 64, 3, 8], "", 936..7080);
    put(&mut shared, Tag(0x0028, 0x0004), VR::CS, b"YBR_FULL_422");
    check(&shared, EXPLICIT, &[&[936..7080]], 0);
    let mut three_samples = native([48, 64, 3, 8], "", 0..9216);
    put(
        &mut three_samples,
        Tag(0x0028, 0x0004),
        VR::CS,
        b"YBR_FULL_422",
    );
    check(&three_samples, EXPLICIT, &[&[0..9216]], 0);
}

#[test]
fn f41_frames_of_one_bit_start_inside_of_octets() {
    // 20 rows of 19 bits: 47.5 octets.
    let (table, warnings) = build(&native([20, 19, 1, 1], "5", 0..238), EXPLICIT);
    assert!(warnings.is_empty());
    let second = table.frame(1).unwrap();
    assert_eq!(
        (second.ranges, second.first_bit, second.bits),
        (vec![47..95], 4, 380)
    );
    let last = table.frame(4).unwrap();
    assert_eq!(
        (last.ranges.as_slice(), last.first_bit, last.len()),
        (&[190..238][..], 0, 48)
    );
    assert!(!last.is_verbatim());
}

#[test]
fn f42_a_frame_of_odd_length_has_no_padding() {
    let odd = native([33, 33, 1, 8], "3", 0..3268);
    check(
        &odd,
        EXPLICIT,
        &[&[0..1089], &[1089..2178], &[2178..3267]],
        0,
    );
    let odd = encapsulated("2", &[], &[(4097 + 1, DATA, DATA), (4096, DATA, DATA)]);
    check(
        &odd,
        UNCOMPRESSED_FRAMES,
        &[&[1008..5106], &[5114..9210]],
        0,
    );
    let odd = encapsulated("1", &[], &[(4097, DATA, DATA)]);
    check(&odd, UNCOMPRESSED_FRAMES, &[&[1008..5104]], 0);
}

#[test]
fn n56_frames_of_words_that_are_turned_are_cut_at_words() {
    let (table, _) = build(&native([3, 3, 3, 8], "2", 100..154), EXPLICIT_BIG);
    let second = table.frame(1).unwrap();
    assert_eq!((second.ranges, second.first_bit), (vec![126..154], 8));
    assert_eq!((second.word_len, table.part(0).unwrap().word_len), (2, 2));
}

#[test]
fn f43_with_an_empty_offset_table_a_fragment_is_a_frame() {
    let three = [(10, SOI, EOI), (20, DATA, DATA), (30, SOI, DATA)];
    check(
        &encapsulated("3", &[], &three),
        JPEG,
        &[&[1008..1018], &[1026..1046], &[1054..1084]],
        0,
    );
}

#[test]
fn f44_fragments_are_joined_by_the_basic_offset_table() {
    let three = [(10, SOI, DATA), (20, DATA, EOI), (30, SOI, EOI)];
    let joined: &[&[_]] = &[&[1008..1018, 1026..1046], &[1054..1084]];
    check(&encapsulated("2", &[0, 46], &three), JPEG, joined, 0);
    let other = three.map(|(len, ..)| (len, DATA, DATA));
    check(&encapsulated("2", &[0, 46], &other), J2K, joined, 0);
}

#[test]
fn f44_an_offset_table_that_is_wrong_gives_way_to_the_other_rules() {
    let three = [(10, SOI, DATA), (20, DATA, EOI), (30, SOI, EOI)];
    let joined: &[&[_]] = &[&[1008..1018, 1026..1046], &[1054..1084]];
    for wrong in [&[0, 47][..], &[46, 0], &[0, 0], &[18, 46], &[0, u32::MAX]] {
        check(&encapsulated("2", wrong, &three), JPEG, joined, 1);
        let separate: &[&[_]] = &[&[1008..1018], &[1026..1046], &[1054..1084]];
        check(&encapsulated("3", wrong, &three), JPEG, separate, 1);
    }
}

#[test]
fn f45_the_extended_offset_table_trims_the_pad_octet_and_no_more() {
    let mut head = encapsulated("2", &[], &[(10, SOI, EOI_PADDED), (20, SOI, EOI)]);
    head.extended_offsets = Some((vec![0, 18], vec![9, 12]));
    check(&head, JPEG, &[&[1008..1017], &[1026..1046]], 0);
    head.extended_offsets = Some((vec![0, 19], vec![9, 20]));
    check(&head, JPEG, &[&[1008..1018], &[1026..1046]], 1);
    head.extended_offsets = Some((vec![0, u64::MAX], vec![9]));
    check(&head, JPEG, &[&[1008..1018], &[1026..1046]], 1);
}

#[test]
fn f46_all_fragments_of_a_single_frame_are_joined() {
    let two = [(10, SOI, DATA), (20, DATA, EOI)];
    for frames in ["", "1", "1 "] {
        check(
            &encapsulated(frames, &[], &two),
            JPEG,
            &[&[1008..1018, 1026..1046]],
            0,
        );
        check(
            &encapsulated(frames, &[0], &two),
            RLE,
            &[&[1008..1018, 1026..1046]],
            0,
        );
    }
}

#[test]
fn f47_without_a_table_frames_start_at_markers() {
    let joined: &[&[_]] = &[&[1008..1018, 1026..1046], &[1054..1084]];
    // The second fragment looks like the start of an image, but no image has ended before it.
    let jpeg = [(10, SOI, DATA), (20, SOI, EOI_PADDED), (30, SOI, EOI)];
    check(&encapsulated("2", &[], &jpeg), JPEG, joined, 0);
    let soc = [0xFF, 0x4F, 0xFF, 0x51];
    let j2k = [(10, soc, DATA), (20, DATA, EOI), (30, soc, EOI)];
    check(&encapsulated("2", &[], &j2k), J2K, joined, 0);
    let rle = [
        (10, [1, 0, 0, 0], DATA),
        (20, DATA, DATA),
        (30, [3, 0, 0, 0], DATA),
    ];
    check(&encapsulated("2", &[], &rle), RLE, joined, 0);
}

#[test]
fn f47_what_fits_nothing_is_not_cut() {
    let three = [(10, DATA, DATA), (20, DATA, DATA), (30, DATA, DATA)];
    let unresolved = Cut::Unresolved(Obstacle::Fragments);
    for uid in [JPEG, J2K, RLE, UNCOMPRESSED_FRAMES, "1.2.3.4"] {
        cannot_be_cut(&encapsulated("2", &[], &three), uid, unresolved);
        cannot_be_cut(&encapsulated("4", &[], &three), uid, unresolved);
    }
    cannot_be_cut(
        &encapsulated("1", &[], &[]),
        JPEG,
        Cut::Unresolved(Obstacle::Empty),
    );
    cannot_be_cut(
        &encapsulated("1", &[], &three),
        EXPLICIT,
        Cut::Unresolved(Obstacle::Form),
    );
    cannot_be_cut(
        &native([1, 1, 1, 8], "", 0..2),
        JPEG,
        Cut::Unresolved(Obstacle::Form),
    );
}

#[test]
fn f47_an_empty_fragment_is_no_frame() {
    let head = encapsulated(
        "2",
        &[],
        &[(0, [0; 4], [0; 4]), (10, SOI, EOI), (20, SOI, EOI)],
    );
    check(&head, JPEG, &[&[1008..1008, 1016..1026], &[1034..1054]], 0);
}

#[test]
fn f48_native_the_fewer_of_declared_and_stored_count() {
    check(
        &native([10, 10, 1, 8], "3", 0..200),
        EXPLICIT,
        &[&[0..100], &[100..200]],
        1,
    );
    check(
        &native([10, 10, 1, 8], "", 0..5000),
        EXPLICIT,
        &[&[0..100]],
        0,
    );
    check(
        &native([10, 10, 1, 8], "2147483647", 0..100),
        EXPLICIT,
        &[&[0..100]],
        1,
    );
    check(
        &native([65535, 65535, 65535, 65535], "2147483647", 0..100),
        EXPLICIT,
        &[],
        1,
    );
    check(&native([0, 10, 1, 8], "9", 0..100), EXPLICIT, &[], 1);
    for no_number in ["many", "0", "-1"] {
        check(
            &native([10, 10, 1, 8], no_number, 0..100),
            EXPLICIT,
            &[&[0..100]],
            1,
        );
    }
}

#[test]
fn f48_encapsulated_the_real_count_rules() {
    let two = [(10, SOI, EOI), (20, SOI, EOI)];
    for (frames, warned) in [("7", 1), ("", 1), ("0", 2)] {
        check(
            &encapsulated(frames, &[], &two),
            JPEG,
            &[&[1008..1018], &[1026..1046]],
            warned,
        );
        check(
            &encapsulated(frames, &[0, 18], &two),
            JPEG,
            &[&[1008..1018], &[1026..1046]],
            warned,
        );
    }
}

#[test]
fn f10_video_is_one_stream() {
    cannot_be_cut(
        &encapsulated("100", &[], &[(10, DATA, DATA)]),
        MPEG2,
        Cut::WholeStream,
    );
}

#[test]
fn j42_the_whole_value_is_one_part_or_one_a_frame() {
    let (table, _) = build(&native([10, 10, 1, 8], "2", 0..202), EXPLICIT);
    assert_eq!(
        (table.parts(), table.part(0).unwrap().ranges),
        (1, vec![0..202])
    );
    assert_eq!((table.part(1), table.total_bytes()), (None, 202));
    let (table, _) = build(
        &encapsulated("2", &[], &[(10, SOI, EOI), (20, SOI, EOI)]),
        JPEG,
    );
    assert_eq!(
        (table.parts(), table.part(1), table.total_bytes()),
        (2, table.frame(1), 30)
    );
}

proptest! {
    #[test]
    fn any_fragments_give_a_table(
        parts in prop::collection::vec((0_u32..50, 0..4_usize, 0..3_usize), 0..12),
        table in prop::collection::vec(0_u32..200, 0..6),
        frames in "[0-9]{0,3}|x",
        uid in prop::sample::select(vec![JPEG, J2K, RLE, MPEG2, UNCOMPRESSED_FRAMES, EXPLICIT, "1.2"]),
    ) {
        let firsts = [SOI, DATA, [0xFF, 0x4F, 0xFF, 0x51], [1, 0, 0, 0]];
        let parts: Vec<_> = parts.iter().map(|(len, f, l)| (*len, firsts[*f], [EOI, DATA, EOI_PADDED][*l])).collect();
        let (table, _) = build(&encapsulated(&frames, &table, &parts), uid);
        let stored: u64 = (0..table.parts()).map(|i| table.part(i).unwrap().stored_len()).sum();
        prop_assert_eq!(stored, table.total_bytes());
    }
}
