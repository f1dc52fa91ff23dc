//! Documents: metadata in each encoding, the summary, the document of a change.

use std::io::Read as _;

use flate2::read::GzDecoder;
use kura::dicom::mint::Form;
use kura::dicom::mint::document::{Attribute, Study, Value};
use reqwest::Method;

use super::{NAMESPACE, uuid_of, values};
use crate::harness::{Answer, Server, instance};

/// Two slices and a third of another series, each with a value that is long.
async fn study() -> (Server, String, String) {
    let server = Server::start();
    let token = server.reader("F001");
    let files: Vec<_> = [(1, 1), (1, 2), (2, 1)]
        .iter()
        .map(|of| slice(*of))
        .collect();
    server.stored(&token, &files).await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    (server, token, uuid)
}

fn slice((series, number): (u8, u8)) -> Vec<u8> {
    let of_series = format!("1.2.3.1.{series}");
    instance("1.2.3")
        .uids("1.2.3.1", &of_series, &format!("{of_series}.{number}"))
        .text(0x0020_0011, "IS", &series.to_string())
        .text(0x0020_0013, "IS", &number.to_string())
        .text(0x0008_103E, "LO", &format!("Series {series}"))
        .bytes(0x0009_1001, "OB", vec![series; 300])
        .bytes(0x7FE0_0010, "OW", vec![series * 16 + number; 32])
        .file()
}

async fn ask(server: &Server, token: &str, path: &str) -> Answer {
    let answer = server.get(path, token).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    assert_eq!(
        answer.header("content-length"),
        answer.body.len().to_string(),
        "{path}"
    );
    answer
}

fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut whole).unwrap();
    whole
}

async fn metadata(server: &Server, token: &str, uuid: &str) -> Study {
    let answer = ask(
        server,
        token,
        &format!("/mint/studies/{uuid}/DICOM/metadata.gpb"),
    )
    .await;
    Form::Protobuf.study(answer.body.as_slice()).unwrap()
}

fn tags(attributes: &[Attribute]) -> Vec<String> {
    let tag = |it: &Attribute| format!("{:04X}{:04X}", it.tag.group(), it.tag.element());
    attributes.iter().map(tag).collect()
}

#[tokio::test]
async fn mint_e06_m01_m02_m03_m04_m10_m11_m13_n05_n09_n11_all_encodings_say_the_same() {
    let (server, token, uuid) = study().await;
    let at = format!("/mint/studies/{uuid}/DICOM/metadata");
    let mut documents = Vec::new();
    for (ending, content_type) in [
        ("", "text/xml;charset=UTF-8"),
        (".xml", "text/xml;charset=UTF-8"),
        (".gz", "application/gzip"),
        (".xml.gz", "application/gzip"),
        (".gpb", "application/octet-stream"),
        (".gpb.gz", "application/gzip"),
    ] {
        let answer = ask(&server, &token, &format!("{at}{ending}")).await;
        assert_eq!(answer.header("content-type"), content_type, "{ending}");
        assert_eq!(answer.header("content-encoding"), "", "{ending}");
        let body = if ending.ends_with("gz") {
            unpacked(&answer.body)
        } else {
            answer.body
        };
        let form = if ending.contains("gpb") {
            Form::Protobuf
        } else {
            Form::Xml
        };
        documents.push(form.study(body.as_slice()).unwrap());
    }
    let first = &documents[0];
    assert!(documents.iter().all(|document| document == first));
    assert_eq!(first.facts.study_instance_uid, "1.2.3.1");
    assert_eq!(
        (first.facts.version, first.facts.instance_count),
        (Some(0), Some(3))
    );
    let counts: Vec<_> = first
        .series
        .iter()
        .map(|series| series.facts.instance_count)
        .collect();
    assert_eq!(counts, [Some(2), Some(1)]);
}

#[tokio::test]
async fn mint_m12_p20_d10_numbers_of_the_document_are_those_of_the_items() {
    let (server, token, uuid) = study().await;
    let document = metadata(&server, &token, &uuid).await;
    let mut bulks = Vec::new();
    for instance in document.series.iter().flat_map(|series| &series.instances) {
        for attribute in &instance.attributes {
            if let Value::Bulk(bulk) = attribute.value {
                let path = format!("/mint/studies/{uuid}/DICOM/binaryitems/{}", bulk.item);
                let item = ask(&server, &token, &path).await;
                assert_eq!(Some(u32::try_from(item.body.len()).unwrap()), bulk.size);
                bulks.push((bulk.item, item.body[0]));
            }
        }
    }
    assert_eq!(bulks, [(0, 1), (1, 17), (2, 1), (3, 18), (4, 2), (5, 33)]);
}

#[tokio::test]
async fn mint_k04_k05_k08_m14_attributes_are_said_once() {
    let (server, token, uuid) = study().await;
    let document = metadata(&server, &token, &uuid).await;
    assert_eq!(
        tags(&document.attributes),
        [
            "00080020", "00080030", "00080050", "00100010", "00100020", "0020000D"
        ]
    );
    let [first, second] = document.series.as_slice() else {
        panic!("two series");
    };
    assert_eq!(
        tags(&first.attributes),
        ["00080060", "0008103E", "0020000E", "00200011"]
    );
    assert!(tags(&first.normalized).contains(&"00280010".to_owned()));
    assert!(second.normalized.is_empty());
    let of_slice = tags(&first.instances[0].attributes);
    assert_eq!(
        of_slice,
        [
            "00020001", "00020003", "00080018", "00091001", "00200013", "7FE00010"
        ]
    );
    let xml = ask(
        &server,
        &token,
        &format!("/mint/studies/{uuid}/DICOM/metadata"),
    )
    .await;
    let text = xml.text();
    assert!(
        text.contains(&format!("<study {NAMESPACE} studyInstanceUID=\"1.2.3.1\"")),
        "{text}"
    );
    for (element, count) in [
        ("seriesList", 1),
        ("normalizedInstanceAttributes", 2),
        ("instances", 2),
    ] {
        assert_eq!(
            text.matches(&format!("<{element}")).count(),
            count,
            "{element}: {text}"
        );
    }
    assert_eq!(text.matches("<attributes").count(), 1 + 2 + 3);
}

#[tokio::test]
async fn mint_e07_n09_the_summary_stops_at_the_series() {
    let (server, token, uuid) = study().await;
    let at = format!("/mint/studies/{uuid}/DICOM/summary");
    let summary = ask(&server, &token, &at).await;
    assert_eq!(summary.header("content-type"), "text/xml;charset=UTF-8");
    assert_eq!(
        values(&summary, "seriesInstanceUID"),
        ["1.2.3.1.1", "1.2.3.1.2"]
    );
    assert_eq!(values(&summary, "instanceCount"), ["3", "2", "1"]);
    assert_eq!(values(&summary, "version"), ["0"]);
    let text = summary.text();
    assert!(
        text.contains("tag=\"00100010\"") && text.contains("val=\"Series 2\""),
        "{text}"
    );
    assert!(!text.contains("instances") && !text.contains("normalized"));
    assert_eq!(
        ask(&server, &token, &format!("{at}.xml")).await.body,
        summary.body
    );
}

#[tokio::test]
async fn mint_e10_x10_a_change_has_the_document_that_made_it() {
    let (server, token, uuid) = study().await;
    server.stored(&token, &[slice((1, 3))]).await;
    let at = format!("/mint/studies/{uuid}/changelog");
    for (number, instances) in [(0, 3), (1, 1)] {
        for ending in ["", ".xml", ".gz", ".xml.gz", ".gpb", ".gpb.gz"] {
            let answer = ask(&server, &token, &format!("{at}/{number}{ending}")).await;
            let body = if ending.ends_with("gz") {
                unpacked(&answer.body)
            } else {
                answer.body
            };
            let form = if ending.contains("gpb") {
                Form::Protobuf
            } else {
                Form::Xml
            };
            let document = form.study(body.as_slice()).unwrap();
            let found: usize = document
                .series
                .iter()
                .map(|series| series.instances.len())
                .sum();
            assert_eq!(
                (found, document.facts.version),
                (instances, None),
                "{number}{ending}"
            );
        }
    }
    for (ending, status) in [
        ("x", 400),
        ("-1", 400),
        ("", 404),
        ("2", 404),
        ("99999999999999999999", 404),
        ("0.json", 404),
        ("0/", 404),
    ] {
        let path = format!("{at}/{ending}");
        assert_eq!(server.get(&path, &token).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn mint_m05_x04_n13_f02_what_is_not_offered_is_not_there() {
    let (server, token, uuid) = study().await;
    let foreign = server.reader("F002");
    for path in [
        "DICOM/metadata.json",
        "DICOM/metadata.",
        "DICOM/metadata/",
        "DICOM/metadata.gpb/",
        "DICOM/summary.gz",
        "DICOM/summary/",
        "Other/metadata",
        "Other/summary",
    ] {
        let path = format!("/mint/studies/{uuid}/{path}");
        assert_eq!(server.get(&path, &token).await.status, 404, "{path}");
    }
    for path in [
        "DICOM/metadata",
        "DICOM/metadata.gpb",
        "DICOM/summary",
        "changelog/0",
    ] {
        let path = format!("/mint/studies/{uuid}/{path}");
        assert_eq!(server.get(&path, &foreign).await.status, 404, "{path}");
        let narrow = server.token("F001", "report.read");
        assert_eq!(server.get(&path, &narrow).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn mint_z10_z13_z22_m15_an_unchanged_document_costs_no_body() {
    let (server, token, uuid) = study().await;
    for ending in [
        "DICOM/metadata",
        "DICOM/metadata.gpb",
        "DICOM/metadata.gpb.gz",
        "DICOM/summary",
    ] {
        let path = format!("/mint/studies/{uuid}/{ending}");
        let first = ask(&server, &token, &path).await;
        let tag = first.header("etag");
        let request = server.request(Method::GET, &path, &token);
        let again = server.send(request.header("if-none-match", &tag)).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
        assert_eq!(ask(&server, &token, &path).await.body, first.body);
        let request = server.request(Method::GET, &path, &token);
        let packed = server.send(request.header("accept-encoding", "gzip")).await;
        if !ending.ends_with("gz") {
            assert_eq!(packed.header("content-encoding"), "gzip", "{path}");
            assert_eq!(unpacked(&packed.body), first.body, "{path}");
            assert_ne!(packed.header("etag"), tag, "{path}");
        }
    }
    let path = format!("/mint/studies/{uuid}/DICOM/metadata.gpb");
    let tag = ask(&server, &token, &path).await.header("etag");
    server.stored(&token, &[slice((2, 2))]).await;
    let request = server.request(Method::GET, &path, &token);
    let changed = server.send(request.header("if-none-match", &tag)).await;
    assert_eq!(changed.status, 200);
    let document = Form::Protobuf.study(changed.body.as_slice()).unwrap();
    assert_eq!(
        (document.facts.version, document.facts.instance_count),
        (Some(1), Some(4))
    );
}

#[tokio::test]
async fn mint_f09_a_reader_of_a_part_gets_the_document_of_that_part() {
    let (server, token, uuid) = study().await;
    let report = instance("1.2.3")
        .uids("1.2.3.1", "1.2.3.1.0", "1.2.3.1.0.1")
        .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.88.33")
        .text(0x0020_0011, "IS", "0")
        .bytes(0x0009_1001, "OB", vec![9; 300])
        .modality("SR")
        .without(0x7FE0_0010);
    server.stored(&token, &[report.file()]).await;
    let images = server.token("F001", "dicom.read");
    let whole = metadata(&server, &token, &uuid).await;
    assert_eq!(whole.facts.instance_count, Some(4));
    let part = metadata(&server, &images, &uuid).await;
    assert_eq!(part.facts.instance_count, Some(3));
    assert_eq!(part.series.len(), 2);
    // The report comes first in the study, so that the numbers of the others begin behind its item.
    let item = |number: u32| format!("/mint/studies/{uuid}/DICOM/binaryitems/{number}");
    assert_eq!(server.get(&item(0), &token).await.body, vec![9; 300]);
    assert_eq!(server.get(&item(0), &images).await.status, 404);
    assert_eq!(server.get(&item(1), &images).await.status, 200);
    let all = format!("/mint/studies/{uuid}/DICOM/binaryitems/all");
    let counted = async |token: &str| {
        let answer = server.get(&all, token).await;
        answer.text().matches("Content-ID: <").count()
    };
    assert_eq!((counted(&token).await, counted(&images).await), (7, 6));
}

#[tokio::test]
async fn a_bundle_is_the_document_and_the_items_of_one_version() {
    let (server, token, uuid) = study().await;
    let at = format!("/mint/studies/{uuid}/DICOM/bundle");
    let document = ask(
        &server,
        &token,
        &format!("/mint/studies/{uuid}/DICOM/metadata"),
    )
    .await;
    let bundle = ask(&server, &token, &at).await;
    let parts = bundle.parts();
    assert_eq!(parts[0].header("Content-Type"), "text/xml;charset=UTF-8");
    assert!(parts[0].body == document.body);
    let numbers = |parts: &[crate::harness::multipart::Part]| {
        let ids = parts[1..].iter().map(|part| part.header("Content-ID"));
        let numbers = ids.map(|id| id[1..].split('@').next().unwrap().to_owned());
        numbers.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(numbers(&parts), "0 1 2 3 4 5");
    assert!(parts[2].body == vec![17; 32]);
    let tag = bundle.header("etag");
    let request = server.request(Method::GET, &at, &token);
    let rest = request
        .header("range", "bytes=1000-")
        .header("if-range", &tag);
    let rest = server.send(rest).await;
    assert_eq!(
        (rest.status, rest.body),
        (206, bundle.body[1000..].to_vec())
    );
    let protobuf = server.get_as(&at, &token, "application/x-protobuf").await;
    let part = &protobuf.parts()[0];
    assert_eq!(part.header("Content-Type"), "application/x-protobuf");
    Form::Protobuf.study(part.body.as_slice()).unwrap();
    for (query, expected) in [
        ("items=5,0-1", "5 0 1"),
        ("series=1.2.3.1.2", "4 5"),
        ("series=1.2.3.1.2&items=5", "5"),
        ("known=0", ""),
    ] {
        let some = ask(&server, &token, &format!("{at}?{query}")).await;
        assert_eq!(numbers(&some.parts()), expected, "{query}");
    }
    server.stored(&token, &[slice((1, 3))]).await;
    let newer = ask(&server, &token, &format!("{at}?known=0")).await;
    assert_eq!(numbers(&newer.parts()), "6 7");
    for (query, status) in [
        ("items=9", 404),
        ("items=x", 400),
        ("known=x", 400),
        ("series=x", 400),
        ("series=1.2.3.1.2&items=0", 404),
    ] {
        let path = format!("{at}?{query}");
        assert_eq!(server.get(&path, &token).await.status, status, "{path}");
    }
}
