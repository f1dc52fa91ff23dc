use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::*;
use crate::dicom::json::made::{Made, head};

fn written(head: &Head) -> (String, Notes) {
    let at = At {
        instance_url: "https://pacs.example/studies/1/series/2/instances/3",
        extras: &AttributeSet::default(),
    };
    let mut out = Vec::new();
    let notes = write_head(head, &at, &mut out);
    (String::from_utf8(out).unwrap(), notes)
}

fn check(made: Made, json: &str) {
    let (out, notes) = written(&made.done());
    assert_eq!(out, json);
    assert_eq!(notes, Notes::default());
}

#[test]
fn j02_tags_ascend_at_every_depth_and_the_first_of_two_counts() {
    check(
        head()
            .with((0x0020, 0x0010), VR::SH, "b")
            .sequence((0x0008, 0x1140))
            .item()
            .with((0x0020, 0x000D), VR::UI, "1.2\0")
            .with((0x0008, 0x1150), VR::UI, "1.1")
            .item_end()
            .sequence_end()
            .with((0x0020, 0x0010), VR::SH, "second")
            .with((0x0008, 0xFFFF), VR::AT, [0xE0, 0x7F, 0xAB, 0xCD]),
        concat!(
            r#"{"00081140":{"vr":"SQ","Value":[{"00081150":{"vr":"UI","Value":["1.1"]},"0020000D":{"vr":"UI","Value":["1.2"]}}]},"#,
            r#""0008FFFF":{"vr":"AT","Value":["7FE0CDAB"]},"00200010":{"vr":"SH","Value":["b"]}}"#,
        ),
    );
}

#[test]
fn j03_no_group_lengths_no_group_2_and_the_syntax_as_00083002() {
    check(
        head()
            .syntax("1.2.840.10008.1.2.1")
            .with((0x0002, 0x0010), VR::UI, "1.2.3")
            .with((0x0001, 0x0001), VR::LO, "odd")
            .with((0x0008, 0x0000), VR::UL, [1, 0, 0, 0])
            .with((0x0008, 0x0016), VR::UI, "1.1")
            .with((0x0008, 0x3002), VR::UI, "9.9")
            .with((0x0010, 0x0020), VR::LO, "P"),
        r#"{"00010001":{"vr":"LO","Value":["odd"]},"00080016":{"vr":"UI","Value":["1.1"]},"00083002":{"vr":"UI","Value":["1.2.840.10008.1.2.1"]},"00100020":{"vr":"LO","Value":["P"]}}"#,
    );
}

#[test]
fn j03_extras_stand_for_what_the_file_holds() {
    let head = head()
        .syntax("1.2.840.10008.1.2")
        .with((0x0010, 0x0020), VR::LO, "P")
        .done();
    let mut extras = AttributeSet::default();
    extras.put(Tag(0x0010, 0x0020), VR::LO, "Q");
    extras.put(Tag(0x0008, 0x3002), VR::UI, "1.2\\1.3");
    let at = At {
        instance_url: "",
        extras: &extras,
    };
    let mut out = b"[".to_vec();
    write_head(&head, &at, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        r#"[{"00083002":{"vr":"UI","Value":["1.2","1.3"]},"00100020":{"vr":"LO","Value":["Q"]}}"#
    );
}

#[test]
fn j05_j07_empty_elements_sequences_and_items() {
    check(
        head()
            .with((0x0008, 0x0050), VR::SH, "")
            .with((0x0008, 0x0051), VR::OB, "")
            .with((0x0008, 0x1030), VR::LO, "    ")
            .sequence((0x0008, 0x1110))
            .sequence_end()
            .sequence((0x0008, 0x1140))
            .item()
            .item_end()
            .item()
            .item_end()
            .sequence_end(),
        r#"{"00080050":{"vr":"SH"},"00080051":{"vr":"OB"},"00081030":{"vr":"LO"},"00081110":{"vr":"SQ"},"00081140":{"vr":"SQ","Value":[{},{}]}}"#,
    );
}

#[test]
fn j11_j12_floats() {
    let singles: Vec<u8> = [0.1, 1.0, -0.0, f32::MAX, f32::NAN, f32::INFINITY, 1e-7]
        .iter()
        .flat_map(|value: &f32| value.to_le_bytes())
        .collect();
    let doubles: Vec<u8> = [0.1, 1e15, 1e16, f64::MIN_POSITIVE, f64::NEG_INFINITY]
        .iter()
        .flat_map(|value: &f64| value.to_le_bytes())
        .collect();
    check(
        head()
            .with((0x0018, 0x9073), VR::FL, singles)
            .with((0x0018, 0x9074), VR::FD, doubles),
        concat!(
            r#"{"00189073":{"vr":"FL","Value":[0.1,1,-0,3.4028235e38,"NaN","Infinity",1e-7]},"#,
            r#""00189074":{"vr":"FD","Value":[0.1,1000000000000000,1e16,2.2250738585072014e-308,"-Infinity"]}}"#,
        ),
    );
}

#[test]
fn j13_j14_padding_goes_and_leading_spaces_of_prose_stay() {
    check(
        head()
            .with((0x0008, 0x0020), VR::DA, "2024.01.31")
            .with((0x0008, 0x0060), VR::CS, " CT \\MR")
            .with((0x0008, 0x1030), VR::LO, " a  \\ b\0")
            .with((0x0010, 0x0010), VR::PN, "A^B^^ =C ")
            .with((0x0010, 0x21B0), VR::LT, "  a b  ")
            .with((0x0018, 0x0050), VR::DS, " 1.50 \\2 "),
        concat!(
            r#"{"00080020":{"vr":"DA","Value":["2024.01.31"]},"00080060":{"vr":"CS","Value":["CT","MR"]},"#,
            r#""00081030":{"vr":"LO","Value":["a","b"]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B^^","Ideographic":"C"}]},"#,
            r#""001021B0":{"vr":"LT","Value":["  a b"]},"00180050":{"vr":"DS","Value":[1.50,2]}}"#,
        ),
    );
}

#[test]
fn j17_text_is_utf_8_and_says_so() {
    check(
        head()
            .with((0x0008, 0x0005), VR::CS, "\\ISO 2022 IR 87")
            .with((0x0010, 0x0010), VR::PN, b"=\x1b$B;3ED\x1b(B"),
        r#"{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00100010":{"vr":"PN","Value":[{"Ideographic":"山田"}]}}"#,
    );
    check(
        head().with((0x0010, 0x0010), VR::PN, "A"),
        r#"{"00100010":{"vr":"PN","Value":[{"Alphabetic":"A"}]}}"#,
    );
}

#[test]
fn j17_a_set_inside_an_item_holds_in_that_item_only() {
    check(
        head()
            .with((0x0008, 0x0005), VR::CS, "ISO_IR 192")
            .sequence((0x0008, 0x1140))
            .item()
            .with((0x0008, 0x0005), VR::CS, "ISO_IR 100")
            .sequence((0x0008, 0x1140))
            .item()
            .with((0x0008, 0x1030), VR::LO, b"\xe9")
            .item_end()
            .sequence_end()
            .item_end()
            .item()
            .with((0x0008, 0x1030), VR::LO, "é")
            .item_end()
            .sequence_end()
            .with((0x0010, 0x0020), VR::LO, "é"),
        concat!(
            r#"{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00081140":{"vr":"SQ","Value":["#,
            r#"{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00081140":{"vr":"SQ","Value":[{"00081030":{"vr":"LO","Value":["é"]}}]}},"#,
            r#"{"00081030":{"vr":"LO","Value":["é"]}}]},"00100020":{"vr":"LO","Value":["é"]}}"#,
        ),
    );
}

#[test]
fn j18_bytes_that_mean_nothing_cost_one_warning() {
    let made = head()
        .with((0x0008, 0x0001), VR::SH, "a")
        .with((0x0008, 0x1030), VR::LO, b"\xe9");
    let (out, notes) = written(&made.done());
    assert_eq!(
        out,
        "{\"00080001\":{\"vr\":\"SH\",\"Value\":[\"a\"]},\"00080005\":{\"vr\":\"CS\",\"Value\":[\"ISO_IR 192\"]},\
         \"00081030\":{\"vr\":\"LO\",\"Value\":[\"\u{FFFD}\"]}}"
    );
    assert_eq!(
        notes.warnings(),
        ["(0008,1030) StudyDescription at offset 0 has bytes outside its character set"]
    );
}

#[test]
fn j20_private_elements_are_what_their_creator_says() {
    let creator = "Philips PET Private Group ";
    check(
        head()
            .with((0x7053, 0x0010), VR::LO, creator)
            .with((0x7053, 0x1000), VR::UN, "0.000424")
            .with((0x7053, 0x1001), VR::UN, "ab")
            .with((0x7053, 0x1009), VR::UN, "1.5 ")
            .with((0x7053, 0x1100), VR::UN, "ab"),
        concat!(
            r#"{"70530010":{"vr":"LO","Value":["Philips PET Private Group"]},"70531000":{"vr":"DS","Value":[0.000424]},"#,
            r#""70531001":{"vr":"UN","InlineBinary":"YWI="},"70531009":{"vr":"DS","Value":[1.5]},"70531100":{"vr":"UN","InlineBinary":"YWI="}}"#,
        ),
    );
}

fn nested(levels: usize, leaf: impl Fn(Made) -> Made) -> Head {
    let mut made = head();
    for _ in 0..levels {
        made = made.sequence((0x0040, 0xA730)).item();
    }
    made = leaf(made);
    for _ in 0..levels {
        made = made.item_end().sequence_end();
    }
    made.done()
}

#[test]
fn j23_a_thousand_levels_are_written_whole() {
    let levels = 1000;
    let (out, notes) = written(&nested(levels, |made| {
        made.with((0x0008, 0x0100), VR::SH, "deep")
    }));
    let leaf = r#"{"00080100":{"vr":"SH","Value":["deep"]}}"#;
    let start = r#"{"0040A730":{"vr":"SQ","Value":["#.repeat(levels);
    assert_eq!(out, format!("{start}{leaf}{}", "]}}".repeat(levels)));
    assert_eq!(notes, Notes::default());
}

#[test]
fn j40_bulk_in_the_deep_has_a_uri_as_long_as_one_can_be_fetched() {
    let tag = (0x7FE0, 0x0010);
    let (out, _) = written(&nested(300, |made| made.bulk(tag, VR::OW)));
    assert!(out.contains(&format!(
        "/bulkdata/{}7FE00010\"",
        "0040A730/1/".repeat(300)
    )));
    let (out, notes) = written(&nested(400, |made| made.bulk(tag, VR::OW)));
    assert!(out.contains(r#"{"7FE00010":{"vr":"OW"}}"#));
    assert_eq!(notes.unwritable, [Tag::from(tag)]);
}

#[test]
fn j27_a_value_that_contradicts_its_representation_costs_itself_alone() {
    let made = head()
        .with((0x0028, 0x0009), VR::AT, [1, 2, 3])
        .with((0x0028, 0x0010), VR::US, [1, 2, 3])
        .with((0x0028, 0x0011), VR::US, [1, 0]);
    let (out, notes) = written(&made.done());
    assert_eq!(
        out,
        r#"{"00280009":{"vr":"AT"},"00280010":{"vr":"US"},"00280011":{"vr":"US","Value":[1]}}"#
    );
    assert_eq!(
        notes.warnings(),
        [
            "values that cannot be written are left out: (0028,0009) FrameIncrementPointer, (0028,0010) Rows"
        ]
    );
}

#[test]
fn j31_j40_binary_values_are_inline_or_behind_a_uri() {
    check(
        head()
            .with((0x0042, 0x0011), VR::OB, [0xFF, 0])
            .sequence((0x0088, 0x0200))
            .item()
            .item_end()
            .item()
            .bulk((0x7FE0, 0x0010), VR::OW)
            .item_end()
            .sequence_end()
            .fragments((0x7FE0, 0x0010)),
        concat!(
            r#"{"00420011":{"vr":"OB","InlineBinary":"/wA="},"00880200":{"vr":"SQ","Value":[{},{"7FE00010":{"vr":"OW","#,
            r#""BulkDataURI":"https://pacs.example/studies/1/series/2/instances/3/bulkdata/00880200/2/7FE00010"}}]},"#,
            r#""7FE00010":{"vr":"OB","BulkDataURI":"https://pacs.example/studies/1/series/2/instances/3/bulkdata/7FE00010"}}"#,
        ),
    );
}

#[derive(Clone, Debug)]
enum Part {
    Element(u16, VR, Vec<u8>),
    Node(Node),
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    const VRS: [VR; 16] = [
        VR::AT,
        VR::CS,
        VR::DS,
        VR::FD,
        VR::FL,
        VR::IS,
        VR::LO,
        VR::LT,
        VR::OB,
        VR::PN,
        VR::SS,
        VR::SV,
        VR::UI,
        VR::UN,
        VR::US,
        VR::UV,
    ];
    let element = (
        0_u16..9,
        proptest::sample::select(&VRS[..]),
        proptest::collection::vec(any::<u8>(), 0..12),
    );
    let node = prop_oneof![
        Just(Node::SequenceStart(Tag(0x0008, 0x1140))),
        Just(Node::ItemStart),
        Just(Node::ItemEnd),
        Just(Node::SequenceEnd),
    ];
    let part = prop_oneof![
        element.prop_map(|(tag, vr, bytes)| Part::Element(tag, vr, bytes)),
        node.prop_map(Part::Node),
    ];
    proptest::collection::vec(part, 0..40)
}

proptest! {
    #[test]
    fn whatever_the_head_the_json_is_valid_and_in_order(parts in parts()) {
        let mut made = head();
        for part in parts {
            made = match part {
                Part::Element(element, vr, bytes) => made.with((0x0008, element), vr, bytes),
                Part::Node(node) => made.node(node),
            };
        }
        let (out, _) = written(&made.done());
        let sorted: BTreeMap<String, &RawValue> = serde_json::from_str(&out).unwrap();
        let attributes: Vec<String> = sorted.iter().map(|(tag, json)| format!("\"{tag}\":{json}")).collect();
        prop_assert_eq!(out.clone(), format!("{{{}}}", attributes.join(",")));
    }
}
