//! Every study of the corpus: its documents in both encodings, and all the items that they name.

use std::collections::{BTreeMap, BTreeSet};

use kura::dicom::mint::Form;
use kura::dicom::mint::document::{Attribute, Bulk, Study};

use super::items::read_by_lines;
use super::values;
use crate::harness::Server;
use crate::harness::corpus::{self, Spread};

const PIXEL_DATA: (u16, u16) = (0x7FE0, 0x0010);

/// Native and little endian, so that pixel data leave over DICOMweb as they are stored.
const AS_STORED: [&str; 2] = ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"];

/// What refers to items, in the order of the document.
fn bulks(document: &Study) -> Vec<Bulk> {
    let instances = document.series.iter().flat_map(|series| &series.instances);
    let attributes = instances.flat_map(|instance| &instance.attributes);
    attributes.flat_map(Attribute::bulks).copied().collect()
}

/// All items of a study, by number.
async fn items(server: &Server, token: &str, uuid: &str) -> BTreeMap<u32, Vec<u8>> {
    let path = format!("/mint/studies/{uuid}/DICOM/binaryitems/all");
    let answer = server.get(&path, token).await;
    match answer.status {
        204 => BTreeMap::new(),
        200 if answer.header("content-type").starts_with("multipart") => {
            let parts = read_by_lines(&answer, uuid).into_iter();
            parts
                .map(|(number, bytes)| (u32::try_from(number).unwrap(), bytes))
                .collect()
        }
        200 => BTreeMap::from([(0, answer.body)]),
        status => panic!("{uuid}: {status} {}", answer.text()),
    }
}

/// The pixel data of an instance over DICOMweb, without the pad byte that is no frame's.
async fn pixels(server: &Server, token: &str, path: &str) -> Vec<u8> {
    let path = format!("/dicomweb{path}/bulkdata/7FE00010");
    let answer = server
        .get_as(&path, token, "application/octet-stream")
        .await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    answer.body
}

/// Slow: 446 files go in, and all of their values come out.
#[tokio::test]
async fn mint_m10_m12_k40_k41_k42_every_item_of_the_corpus_is_where_its_document_says() {
    let Some(entries) = corpus::manifest() else {
        return;
    };
    let server = Server::start();
    let mut spread = Spread::over(&server);
    let mut tokens = BTreeSet::new();
    for entry in entries.iter().filter(|entry| entry.group != "broken") {
        if let Some(at) = spread.store(&server, entry).await {
            tokens.insert(at.token);
        }
    }
    let (mut studies, mut named, mut compared) = (0, 0, 0);
    for token in &tokens {
        let found = server.get("/mint/studies?limit=1000", token).await;
        for uuid in values(&found, "studyUUID") {
            studies += 1;
            let at = format!("/mint/studies/{uuid}/DICOM/metadata");
            let xml = server.get(&at, token).await;
            assert_eq!(xml.status, 200, "{uuid}: {}", xml.text());
            let gpb = server.get(&format!("{at}.gpb"), token).await;
            let document = Form::Xml.study(xml.body.as_slice());
            let document = document.unwrap_or_else(|error| panic!("{uuid}: {error}"));
            let same = Form::Protobuf.study(gpb.body.as_slice()).unwrap();
            assert!(document == same, "{uuid}: XML and protobuf differ");
            let items = items(&server, token, &uuid).await;
            let mut numbers = BTreeSet::new();
            for bulk in bulks(&document) {
                let mut len = 0;
                for number in bulk.item..bulk.item + bulk.frames {
                    assert!(numbers.insert(number), "{uuid}: {number} is named twice");
                    len += items[&number].len();
                }
                let size = usize::try_from(bulk.size.unwrap()).unwrap();
                assert!(size == len || size == len + 1, "{uuid}: {size} of {len}");
                named += 1;
            }
            assert!(numbers.iter().eq(items.keys()), "{uuid}: {numbers:?}");
            let uid = &document.facts.study_instance_uid;
            for series in &document.series {
                for instance in &series.instances {
                    let syntax = instance.transfer_syntax_uid.as_deref().unwrap_or_default();
                    let pixel_data =
                        |it: &&Attribute| (it.tag.group(), it.tag.element()) == PIXEL_DATA;
                    let attribute = instance.attributes.iter().find(pixel_data);
                    let Some(bulk) = attribute.and_then(|it| it.bulks().next()) else {
                        continue;
                    };
                    if !AS_STORED.contains(&syntax) {
                        continue;
                    }
                    let path = format!(
                        "/studies/{uid}/series/{}/instances/{}",
                        series.facts.series_instance_uid, instance.sop_instance_uid
                    );
                    let whole = pixels(&server, token, &path).await;
                    let joined: Vec<u8> = (bulk.item..bulk.item + bulk.frames)
                        .flat_map(|number| items[&number].clone())
                        .collect();
                    assert!(whole.starts_with(&joined), "{path}");
                    assert!(whole.len() - joined.len() <= 1, "{path}");
                    compared += 1;
                }
            }
        }
    }
    println!(
        "corpus: {studies} studies, {named} values that are items, {compared} pixel data compared"
    );
    assert!(studies > 100 && compared > 100);
}
