use super::*;
use crate::dicom::collect::Collector;
use crate::dicom::json::{At, walk, write_head};
use crate::dicom::scan::{Limits, Scanner};
use crate::dicom::visit::MOST_LEVELS;
use crate::dicom::xml;
use crate::model::AttributeSet;

const SYNTAX: &str = "1.2.840.10008.1.2.1";

fn composed(json: &str) -> Composed {
    let mut composer = Composer::default();
    walk(json, MOST_LEVELS, &mut composer).unwrap();
    composer.finish()
}

fn file(composed: Composed) -> Vec<u8> {
    let pieces = composed
        .pieces(SYNTAX)
        .into_iter()
        .map(|piece| match piece {
            Piece::Bytes(bytes) => bytes,
            Piece::Bulk { tag, vr, .. } => {
                let (mut bytes, padding) = around(tag, vr, 3).unwrap();
                bytes.extend(*b"abc");
                bytes.extend(padding);
                bytes
            }
        });
    pieces.collect::<Vec<_>>().concat()
}

/// What a file says, as JSON again.
fn read(file: &[u8]) -> String {
    let (mut scanner, mut collector) = (Scanner::new(Limits::default()), Collector::new());
    scanner.feed(file, &mut collector).unwrap();
    scanner.finish(&mut collector).unwrap();
    let mut out = Vec::new();
    let extras = AttributeSet::default();
    let at = At {
        instance_url: "u",
        extras: &extras,
    };
    write_head(&collector.finish(), &at, &mut out);
    String::from_utf8(out).unwrap()
}

fn check(json: &str) {
    let expected = json.replacen(
        '{',
        r#"{"00083002":{"vr":"UI","Value":["1.2.840.10008.1.2.1"]},"#,
        1,
    );
    assert_eq!(read(&file(composed(json))), expected.replace(",}", "}"));
}

#[test]
fn t06_what_was_sent_is_in_the_file() {
    check(
        r#"{"00100010":{"vr":"PN","Value":[{"Alphabetic":"Doe^J^^","Phonetic":"B"},null]},"00101030":{"vr":"DS","Value":[70.50]},"0020000D":{"vr":"UI","Value":["1.2.3"]},"00280009":{"vr":"AT","Value":["00181063"]},"00280010":{"vr":"US","Value":[512]},"00400275":{"vr":"SQ","Value":[{"00400009":{"vr":"SH","Value":["A"]}},{}]},"00400280":{"vr":"ST","Value":["a\\b"]},"00720080":{"vr":"SQ"},"00720076":{"vr":"FL"},"00189920":{"vr":"FD","Value":["NaN","-Infinity",1e-07]}}"#
            .replace(r#","00720076":{"vr":"FL"},"00189920":{"vr":"FD","Value":["NaN","-Infinity",1e-07]}"#, "")
            .as_str(),
    );
    let floats = r#"{"00189920":{"vr":"FD","Value":["NaN","-Infinity",1e-7]}}"#;
    assert!(read(&file(composed(floats))).contains(r#"["NaN","-Infinity",1e-7]"#));
}

#[test]
fn t06_text_is_utf_8_whatever_the_document_says_of_it() {
    let json = r#"{"00080005":{"vr":"CS","Value":["ISO_IR 100"]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"Müller"}]}}"#;
    let read = read(&file(composed(json)));
    assert!(
        read.contains("Müller") && read.contains("ISO_IR 192"),
        "{read}"
    );
}

#[test]
fn t06_bulk_values_stand_where_their_elements_do() {
    let json = r#"{"7FE00010":{"vr":"OW","BulkDataURI":"p"},"00020010":{"vr":"UI","Value":["1.2.4"]},"00420011":{"vr":"OB","BulkDataURI":"d"},"00080016":{"vr":"UI","Value":["1.2"]}}"#;
    let made = composed(json);
    assert_eq!(made.pixels(), Some("p"));
    assert_eq!(made.transfer_syntax_uid.as_deref(), Some("1.2.4"));
    let uris: Vec<String> = made
        .pieces(SYNTAX)
        .into_iter()
        .filter_map(|piece| match piece {
            Piece::Bulk { uri, .. } => Some(uri),
            Piece::Bytes(_) => None,
        })
        .collect();
    assert_eq!(uris, ["d", "p"]);
    assert!(read(&file(composed(json))).contains(r#""InlineBinary":"YWJjAA==""#));
    assert_eq!(around(PIXEL_DATA, VR::OW, u64::from(u32::MAX)), None);
}

#[test]
fn t33_what_a_value_representation_cannot_hold_is_left_out_and_named() {
    let long = "x".repeat(0xFFFF);
    let json = format!(
        r#"{{"00100020":{{"vr":"LO","Value":["{long}"]}},"00280010":{{"vr":"US","Value":["many"]}},"00280011":{{"vr":"US","Value":[70000]}},"00080060":{{"vr":"CS","Value":["A\\B"]}},"00080050":{{"vr":"SH","Value":["kept"]}},"00420011":{{"vr":"OB","InlineBinary":"%"}}}}"#
    );
    let made = composed(&json);
    assert_eq!(made.dropped.len(), NAMED);
    let read = read(&file(made));
    assert!(
        read.contains("kept") && !read.contains("00280010"),
        "{read}"
    );
}

#[test]
fn private_elements_of_xml_get_a_block() {
    let text = r#"<NativeDicomModel><DicomAttribute tag="00090010" vr="LO"><Value number="1">OTHER</Value></DicomAttribute><DicomAttribute tag="00090002" vr="LO" privateCreator="ACME"><Value number="1">x</Value></DicomAttribute><DicomAttribute tag="00090003" vr="LO" privateCreator="ACME"/></NativeDicomModel>"#;
    let mut composer = Composer::default();
    xml::read(text, MOST_LEVELS, &mut composer).unwrap();
    let read = read(&file(composer.finish()));
    assert!(read.contains(r#""00090010":{"vr":"LO","Value":["OTHER"]},"00090011":{"vr":"LO","Value":["ACME"]},"00091102":{"vr":"LO","Value":["x"]},"00091103":{"vr":"LO"}"#), "{read}");
}

#[test]
fn an_attribute_that_is_there_twice_is_refused() {
    let mut composer = Composer::default();
    let json = r#"{"00100020":{"vr":"LO"},"00100020":{"vr":"LO"}}"#;
    assert!(walk(json, MOST_LEVELS, &mut composer).is_err());
}
