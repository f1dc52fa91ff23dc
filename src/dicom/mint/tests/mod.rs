//! The documents of the worked example (mint.md 14), and both forms against each other.

use proptest::prelude::*;

use super::Form;
use super::document::{
    Attribute, Bulk, Instance, Node, Series, SeriesFacts, Study, StudyFacts, Value,
};
use super::limits::{MAX_LEVELS, MAX_NODES};
use crate::model::{Tag, VR};

const CREATE: &str = include_str!("create.xml");
const UPDATE: &str = include_str!("update.xml");
const CT: &str = "1.2.840.10008.5.1.4.1.1.2";

fn read(form: Form, document: &[u8]) -> crate::Result<Study> {
    form.study(document)
}

fn xml(document: &str) -> Study {
    read(Form::Xml, document.as_bytes()).unwrap()
}

/// What is wrong with an XML document; panics if nothing is.
fn refused(document: &str) -> String {
    let refused = read(Form::Xml, document.as_bytes());
    let error = refused.expect_err(document);
    error.detail().to_owned()
}

fn attribute(attributes: &[Attribute], tag: Tag) -> &Attribute {
    attributes.iter().find(|a| a.tag == tag).unwrap()
}

/// A study with these attributes at its one instance.
fn with(attributes: &str) -> String {
    format!(
        "<study xmlns=\"http://medical.nema.org/mint\" studyInstanceUID=\"1\" type=\"DICOM\"><seriesList>\
         <series seriesInstanceUID=\"1.1\"><instances><instance sopInstanceUID=\"1.2\" \
         transferSyntaxUID=\"1.2.840.10008.1.2.1\"><attributes>{attributes}</attributes></instance></instances>\
         </series></seriesList></study>"
    )
}

fn of_instance(attributes: &str) -> Vec<Attribute> {
    let mut study = xml(&with(attributes));
    study.series.remove(0).instances.remove(0).attributes
}

#[test]
fn the_example_is_what_it_says() {
    let study = xml(CREATE);
    assert_eq!(study.facts.study_instance_uid, "2.25.70010");
    assert_eq!(study.facts.document_type.as_deref(), Some("DICOM"));
    assert_eq!(
        (study.facts.version, study.facts.instance_count),
        (None, Some(3))
    );
    let name = attribute(&study.attributes, Tag(0x0010, 0x0010));
    assert_eq!(name.vr, VR::PN);
    assert_eq!(
        name.value,
        Value::Text("KURAMOTO^HANA=蔵本^花=くらもと^はな".to_owned())
    );
    let [ct, us] = study.series.as_slice() else {
        panic!("two series");
    };
    assert_eq!((ct.normalized.len(), us.normalized.len()), (14, 0));
    let [first, second] = ct.instances.as_slice() else {
        panic!("two instances");
    };
    let value = |tag| attribute(&first.attributes, tag).value.clone();
    assert_eq!(value(Tag(0x0002, 0x0001)), Value::Bytes(vec![0, 1]));
    assert_eq!(value(Tag(0x0020, 0x4000)), Value::Empty);
    assert_eq!(
        value(Tag(0x0018, 0x9306)),
        Value::Number {
            text: "0.625".to_owned(),
            bytes: 0.625_f64.to_le_bytes().to_vec(),
        }
    );
    let text = |tag, vr, text: &str| {
        Node::Attribute(Attribute::new(tag, vr, Value::Text(text.to_owned())))
    };
    assert_eq!(
        value(Tag(0x0008, 0x1140)),
        Value::Items(vec![
            Node::ItemStart,
            text(Tag(0x0008, 0x1150), VR::UI, CT),
            text(Tag(0x0008, 0x1155), VR::UI, "2.25.70999"),
            Node::ItemEnd,
        ])
    );
    let empty = attribute(&second.attributes, Tag(0x0008, 0x1140));
    assert_eq!((empty.vr, &empty.value), (VR::SQ, &Value::Items(vec![])));
    let pixels = attribute(&us.instances[0].attributes, Tag(0x7FE0, 0x0010));
    assert_eq!(
        pixels.value,
        Value::Bulk(Bulk {
            item: 2,
            size: Some(48),
            frames: 3
        })
    );
}

#[test]
fn mint_d11_d12_the_example_is_1418_bytes_of_protobuf() {
    let mut study = xml(CREATE);
    study.facts.version = Some(0);
    let document = Form::Protobuf.document(&study);
    assert_eq!(document.len(), 1418);
    // The bare message, and the type and the version behind all series.
    assert!(document.starts_with(b"\x0A\x0A2.25.70010\x12"));
    assert!(document.ends_with(b"\x22\x05DICOM\x2A\x010\x30\x03"));
    assert_eq!(read(Form::Protobuf, &document).unwrap(), study);
}

#[test]
fn mint_n05_output_is_in_the_order_of_the_model() {
    for document in [CREATE, UPDATE] {
        let study = xml(document);
        let written = String::from_utf8(Form::Xml.document(&study)).unwrap();
        assert_eq!(xml(&written), study);
        let plain = |text: &str| -> String { text.split_inclusive('>').map(str::trim).collect() };
        if document == CREATE {
            // The example leaves nothing out, and has its empty containers in the short form.
            let long = plain(document).replace(
                "<normalizedInstanceAttributes/>",
                "<normalizedInstanceAttributes></normalizedInstanceAttributes>",
            );
            assert_eq!(plain(&written), long);
        }
    }
}

#[test]
fn mint_u34_excludes_are_read() {
    let study = xml(UPDATE);
    assert!(attribute(&study.attributes, Tag(0x0010, 0x0040)).exclude);
    assert!(!attribute(&study.attributes, Tag(0x0008, 0x1030)).exclude);
    assert!(study.series[0].instances[0].exclude && !study.series[0].instances[1].exclude);
    assert!(study.series[1].facts.exclude && !study.series[0].facts.exclude);
    let document = Form::Protobuf.document(&study);
    assert_eq!(read(Form::Protobuf, &document).unwrap(), study);
}

#[test]
fn mint_d10_item_0_is_written() {
    let bulk = |item, size, frames| {
        let bulk = Bulk { item, size, frames };
        let attribute = Attribute::new(Tag(0x7FE0, 0x0010), VR::OB, Value::Bulk(bulk));
        let mut instance = Instance::default();
        instance.attributes.push(attribute);
        let mut out = Vec::new();
        super::gpb::instance(&instance, &mut out);
        out
    };
    // mint.md 10.3, each behind the keys and lengths of instance and attribute, and an empty UID.
    let three = b"\x08\x90\x80\x80\xFF\x07\x1A\x02OB\x28\x02\x40\x03\x48\x30";
    assert_eq!(
        bulk(2, Some(48), 3),
        [b"\x2A\x14\x0A\x00\x22\x10".as_slice(), three].concat()
    );
    let zero = b"\x08\x90\x80\x80\xFF\x07\x1A\x02OB\x28\x00";
    assert_eq!(
        bulk(0, None, 1),
        [b"\x2A\x10\x0A\x00\x22\x0C".as_slice(), zero].concat()
    );
}

#[test]
fn text_is_field_4() {
    let mut out = Vec::new();
    let text = Value::Text("0042-7".to_owned());
    let id = Attribute::new(Tag(0x0010, 0x0020), VR::LO, text);
    super::gpb::study_start(&StudyFacts::default(), &[id], &mut out);
    assert_eq!(
        out,
        b"\x0A\x00\x12\x10\x08\xA0\x80\x40\x1A\x02LO\x22\x060042-7"
    );
}

#[test]
fn mint_n02_a_prefix_is_fine_and_another_namespace_is_not() {
    let prefixed = "\u{FEFF}<?xml version=\"1.0\"?>\n<!-- x --><m:study xmlns:m=\"http://medical.nema.org/mint\" \
                    studyInstanceUID=\"1\" type=\"DICOM\"><m:attributes><m:attr tag=\"100020\" vr=\"LO\" val=\"A\"/>\
                    </m:attributes></m:study>";
    assert_eq!(xml(prefixed).attributes[0].tag, Tag(0x0010, 0x0020));
    for other in [
        "<study studyInstanceUID=\"1\" type=\"DICOM\"/>",
        "<study xmlns=\"http://medical.nema.org/xsd/mint\" studyInstanceUID=\"1\" type=\"DICOM\"/>",
        "<m:study xmlns=\"http://medical.nema.org/mint\" studyInstanceUID=\"1\" type=\"DICOM\"/>",
    ] {
        refused(other);
    }
}

#[test]
fn mint_n03_a_document_type_is_refused() {
    let bomb = format!(
        "<!DOCTYPE a [<!ENTITY b \"c\">]>{}",
        with("<attr tag=\"00100020\" vr=\"LO\" val=\"&b;\"/>")
    );
    assert!(refused(&bomb).contains("document type"));
    assert!(refused(&with("<attr tag=\"00100020\" vr=\"LO\" val=\"&b;\"/>")).contains("reference"));
}

#[test]
fn mint_n06_unknown_marks_are_passed_over_and_elements_are_not() {
    let known = of_instance("<attr tag=\"00100020\" vr=\"LO\" val=\"A\"/>");
    assert_eq!(
        known,
        of_instance("<attr x=\"1\" tag=\"00100020\" vr=\"LO\" val=\"A\"/>")
    );
    refused(&with(
        "<attr tag=\"00100020\" vr=\"LO\" val=\"A\"><x/></attr>",
    ));
    refused(&with("<x/>"));
    refused(&with("<attr tag=\"00100020\" vr=\"LO\">A</attr>"));
}

#[test]
fn mint_d15_unknown_fields_are_skipped() {
    let mut study = xml(CREATE);
    study.series.truncate(1);
    let document = Form::Protobuf.document(&study);
    let unknown = b"\x78\x01\x7A\x02ab\x7D\x01\x02\x03\x04\x79\x01\x02\x03\x04\x05\x06\x07\x08";
    let more = [unknown.as_slice(), &document, unknown].concat();
    assert_eq!(read(Form::Protobuf, &more).unwrap(), study);
    // A group, which nothing writes any more; field 0.
    for bad in [b"\x7B".as_slice(), b"\x02\x00"] {
        assert!(read(Form::Protobuf, &[&document, bad].concat()).is_err());
    }
}

#[test]
fn mint_d14_type_and_version_may_be_missing() {
    let document = b"\x0A\x011".as_slice();
    let study = read(Form::Protobuf, document).unwrap();
    assert_eq!(
        (study.facts.document_type, study.facts.version),
        (None, None)
    );
    let version = |text: &[u8]| read(Form::Protobuf, &[b"\x2A", text].concat());
    assert_eq!(version(b"\x02-1").unwrap().facts.version, None);
    assert!(version(b"\x027x").is_err());
    assert_eq!(version(b"\x0217").unwrap().facts.version, Some(17));
}

#[test]
fn mint_d02_white_space_in_values_comes_back() {
    let value = "a\r\nb\tc&<>\" d";
    let mut study = xml(&with("<attr tag=\"00104000\" vr=\"LT\"/>"));
    study.series[0].instances[0].attributes[0].value = Value::Text(value.to_owned());
    let written = String::from_utf8(Form::Xml.document(&study)).unwrap();
    assert!(written.contains("val=\"a&#13;&#10;b&#9;c&amp;&lt;&gt;&quot; d\""));
    assert_eq!(xml(&written), study);
}

#[test]
fn mint_v04_xml_says_the_vr_and_protobuf_need_not() {
    refused(&with("<attr tag=\"00100020\" val=\"A\"/>"));
    refused(&with("<attr tag=\"00100020\" exclude=\"true\"/>"));
    refused(&with("<attr tag=\"00100020\" vr=\"XX\"/>"));
    assert_eq!(
        of_instance("<attr tag=\"00091001\" vr=\"??\"/>")[0].vr,
        VR::UN
    );
    let vr = |tag: &[u8]| {
        let len = u8::try_from(tag.len() + 1).unwrap();
        let study = read(Form::Protobuf, &[&[0x12, len, 0x08], tag].concat()).unwrap();
        study.attributes[0].vr
    };
    assert_eq!(vr(b"\xA0\x80\x40"), VR::LO);
    assert_eq!(vr(b"\x90\x80\x24"), VR::LO);
    assert_eq!(vr(b"\x81\xA0\x24"), VR::UN);
    assert_eq!(vr(b"\xC0\xA2\x20"), VR::SQ);
}

#[test]
fn mint_v08_no_frames_are_one_frame() {
    let frames = |count| {
        let pixels = format!("<attr tag=\"7FE00010\" vr=\"OW\" bid=\"5\" framecount=\"{count}\"/>");
        let attributes = of_instance(&pixels);
        let bulk = attributes[0].bulks().next();
        bulk.map(|bulk| bulk.frames)
    };
    assert_eq!(
        (frames("0"), frames("1"), frames("4")),
        (Some(1), Some(1), Some(4))
    );
    for bad in [
        "bid=\"-1\"",
        "bid=\"x\"",
        "bid=\"2147483648\"",
        "bid=\"2147483647\" framecount=\"2\"",
        "bid=\"1\" bytes=\"AA==\"",
        "bid=\"1\" val=\"a\"",
        "bytes=\"AA\"",
        "bytes=\"AA==\" val=\"a\"",
    ] {
        refused(&with(&format!("<attr tag=\"7FE00010\" vr=\"OW\" {bad}/>")));
    }
}

#[test]
fn mint_v09_a_tag_is_one_to_eight_digits_of_either_case() {
    let tag = |tag| of_instance(&format!("<attr tag=\"{tag}\" vr=\"LO\"/>"))[0].tag;
    assert_eq!(tag("7fe00010"), Tag(0x7FE0, 0x0010));
    assert_eq!(tag("80050"), Tag(0x0008, 0x0050));
    assert_eq!(tag("0"), Tag(0, 0));
    for bad in ["", "000800500", "0008,0050", "+8", "x"] {
        refused(&with(&format!("<attr tag=\"{bad}\" vr=\"LO\"/>")));
    }
}

#[test]
fn mint_v10_exclude_is_a_boolean_in_xml_and_presence_in_protobuf() {
    let exclude = |text| {
        let attribute = format!("<attr tag=\"00100040\" vr=\"CS\" exclude=\"{text}\"/>");
        of_instance(&attribute)[0].exclude
    };
    assert!(exclude("true") && exclude("1") && !exclude("false") && !exclude("0"));
    for bad in ["", "TRUE", "yes"] {
        refused(&with(&format!(
            "<attr tag=\"00100040\" vr=\"CS\" exclude=\"{bad}\"/>"
        )));
    }
    let study = read(Form::Protobuf, b"\x12\x06\x08\xC0\x80\x40\x12\x00").unwrap();
    assert!(study.attributes[0].exclude);
}

#[test]
fn mint_v11_elements_stand_in_their_order() {
    let study = |inside: &str| {
        format!(
            "<study xmlns=\"http://medical.nema.org/mint\" studyInstanceUID=\"1\" type=\"DICOM\">{inside}</study>"
        )
    };
    xml(&study("<attributes/><seriesList/>"));
    for bad in [
        "<seriesList/><attributes/>",
        "<attributes/><attributes/>",
        "<seriesList/><seriesList/>",
        "<series seriesInstanceUID=\"1\"/>",
        "<seriesList><series/></seriesList>",
        "<seriesList><series seriesInstanceUID=\"1\"><instances/><attributes/></series></seriesList>",
        "<seriesList><series seriesInstanceUID=\"1\"><normalizedInstanceAttributes/><attributes/></series></seriesList>",
        "<seriesList><instances/></seriesList>",
        "text",
        "<attr tag=\"00100040\" vr=\"CS\"/>",
    ] {
        refused(&study(bad));
    }
    for bad in [
        "<attr tag=\"00081140\" vr=\"SQ\"><attributes/></attr>",
        "<attr tag=\"00081140\" vr=\"SQ\"><item><attr tag=\"00081150\" vr=\"UI\"/></item></attr>",
        "<attr tag=\"00081140\" vr=\"SQ\"><item><attributes/><attributes/></item></attr>",
        "<attr tag=\"00081140\" vr=\"SQ\" val=\"a\"/>",
        "<attr tag=\"00081140\" vr=\"LO\"><item/></attr>",
        "<attr tag=\"00081140\" vr=\"SQ\"><item><attributes><attr tag=\"00081150\" vr=\"UI\" exclude=\"true\"/></attributes></item></attr>",
    ] {
        refused(&with(bad));
    }
    for bad in [
        "",
        "x",
        "<a/>",
        "<study/>",
        &CREATE[..400],
        &format!("{CREATE}{CREATE}"),
    ] {
        refused(bad);
    }
}

#[test]
fn mint_v12_characters_that_xml_has_no_place_for_are_refused() {
    for bad in [
        "\u{1}", "&#1;", "&#x1F;", "\u{FFFF}", "&#xFFFE;", "&#xD800;", "&#0;",
    ] {
        refused(&with(&format!(
            "<attr tag=\"00104000\" vr=\"LT\" val=\"a{bad}\"/>"
        )));
    }
}

#[test]
fn mint_v13_a_document_of_its_root_alone_is_one() {
    let study = xml(
        "<study xmlns=\"http://medical.nema.org/mint\" studyInstanceUID=\"1\" type=\"DICOM\"/>",
    );
    assert!(study.attributes.is_empty() && study.series.is_empty());
}

#[test]
fn mint_v15_depth_and_number_are_limited() {
    let deep = |levels: usize| {
        let open = "<attr tag=\"00081140\" vr=\"SQ\"><item><attributes>".repeat(levels);
        with(&format!(
            "{open}{}",
            "</attributes></item></attr>".repeat(levels)
        ))
    };
    let study = xml(&deep(MAX_LEVELS));
    let document = Form::Protobuf.document(&study);
    assert_eq!(read(Form::Protobuf, &document).unwrap(), study);
    assert!(refused(&deep(MAX_LEVELS + 1)).contains("64 levels"));

    let mut nodes = vec![Node::ItemStart];
    for _ in 0..=MAX_LEVELS {
        nodes.extend([Node::SequenceStart(Tag(0x0008, 0x1140)), Node::ItemStart]);
    }
    for _ in 0..=MAX_LEVELS {
        nodes.extend([Node::ItemEnd, Node::SequenceEnd]);
    }
    nodes.push(Node::ItemEnd);
    let mut study = Study::default();
    let too_deep = Attribute::new(Tag(0x0008, 0x1140), VR::SQ, Value::Items(nodes));
    study.attributes.push(too_deep);
    let document = Form::Protobuf.document(&study);
    assert!(read(Form::Protobuf, &document).is_err());

    let many = "<attr tag=\"00100020\" vr=\"LO\"/>".repeat(MAX_NODES + 1);
    assert!(refused(&with(&many)).contains("300000"));
}

#[test]
fn mint_f07_announced_lengths_take_no_memory() {
    for bad in [
        b"\x0A\xFF\xFF\xFF\xFF\x0F".as_slice(),
        b"\x0A\xFF\xFF\xFF\x0Fx",
        b"\x0A\x05abc",
        b"\x1A\x05\x0A\x011",
        b"\x1A\x02\x0A\x0A1234567890",
        b"\x1A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01\x0A\x011",
        b"\x12\x05\x3A\x7F\x00\x00\x00",
        b"\x0A\x02\xFF\xFE",
        b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
        b"\x12\x02\x22\x00",
        b"\x0A",
    ] {
        assert!(read(Form::Protobuf, bad).is_err(), "{bad:?}");
    }
}

fn text() -> impl Strategy<Value = String> {
    "[ -~\\t\\n\\ré蔵\\\\]{0,12}"
}

fn plain() -> impl Strategy<Value = Attribute> {
    let value = prop_oneof![
        Just((VR::LT, Value::Empty)),
        text().prop_map(|text| (VR::LT, Value::Text(text))),
        any::<Vec<u8>>().prop_map(|bytes| (VR::OB, Value::Bytes(bytes))),
        (any::<f64>(), "[ -~]{1,9}").prop_map(|(number, text)| {
            let bytes = number.to_le_bytes().to_vec();
            (VR::FD, Value::Number { text, bytes })
        }),
        (0..=1_000_000_u32, any::<Option<u32>>(), 1..9_u32).prop_map(|(item, size, frames)| {
            (VR::OW, Value::Bulk(Bulk { item, size, frames }))
        }),
    ];
    (any::<u16>(), any::<u16>(), value)
        .prop_map(|(group, element, (vr, value))| Attribute::new(Tag(group, element), vr, value))
}

/// The nodes of some items, nested.
fn items() -> impl Strategy<Value = Vec<Node>> {
    let leaf = proptest::collection::vec(plain().prop_map(Node::Attribute), 0..3);
    let item = |nodes: Vec<Node>| {
        let start = std::iter::once(Node::ItemStart);
        let nodes: Vec<Node> = start.chain(nodes).chain([Node::ItemEnd]).collect();
        nodes
    };
    leaf.prop_map(item).prop_recursive(4, 32, 3, move |inner| {
        let sequence = (any::<u16>(), proptest::collection::vec(inner, 0..3));
        let sequence = sequence.prop_map(|(element, items)| {
            let start = std::iter::once(Node::SequenceStart(Tag(0x0008, element)));
            let nodes: Vec<Node> = start
                .chain(items.into_iter().flatten())
                .chain([Node::SequenceEnd])
                .collect();
            nodes
        });
        (sequence, plain()).prop_map(move |(mut nodes, attribute)| {
            nodes.push(Node::Attribute(attribute));
            item(nodes)
        })
    })
}

fn attributes() -> impl Strategy<Value = Vec<Attribute>> {
    let sequence =
        (any::<u16>(), proptest::collection::vec(items(), 0..3)).prop_map(|(element, items)| {
            let nodes = items.into_iter().flatten().collect();
            Attribute::new(Tag(0x0040, element), VR::SQ, Value::Items(nodes))
        });
    let attribute = (prop_oneof![4 => plain(), 1 => sequence], any::<bool>());
    let attribute = attribute.prop_map(|(attribute, exclude)| Attribute {
        exclude,
        ..attribute
    });
    proptest::collection::vec(attribute, 0..4)
}

fn studies() -> impl Strategy<Value = Study> {
    let instance = ("[0-9.]{1,9}", any::<bool>(), attributes()).prop_map(
        |(sop_instance_uid, exclude, attributes)| Instance {
            sop_instance_uid,
            transfer_syntax_uid: Some("1.2".to_owned()),
            exclude,
            attributes,
        },
    );
    let instances = proptest::collection::vec(instance, 0..3);
    let facts = ("[0-9.]{1,9}", any::<bool>(), any::<Option<u32>>());
    let series = (facts, attributes(), attributes(), instances).prop_map(
        |((series_instance_uid, exclude, instance_count), attributes, normalized, instances)| {
            Series {
                facts: SeriesFacts {
                    series_instance_uid,
                    exclude,
                    instance_count,
                },
                attributes,
                normalized,
                instances,
            }
        },
    );
    let series = proptest::collection::vec(series, 0..3);
    let facts = ("[0-9.]{1,9}", any::<Option<u64>>(), any::<Option<u32>>());
    (facts, attributes(), series).prop_map(
        |((study_instance_uid, version, instance_count), attributes, series)| Study {
            facts: StudyFacts {
                study_instance_uid,
                document_type: Some("DICOM".to_owned()),
                version,
                instance_count,
            },
            attributes,
            series,
        },
    )
}

proptest! {
    #[test]
    fn mint_m10_both_forms_say_the_same(study in studies()) {
        for form in [Form::Xml, Form::Protobuf] {
            let document = form.document(&study);
            prop_assert_eq!(&form.study(document.as_slice()).unwrap(), &study);
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        for form in [Form::Xml, Form::Protobuf] {
            let _unread = form.study(bytes.as_slice());
        }
    }
}
