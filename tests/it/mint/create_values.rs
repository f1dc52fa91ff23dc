//! Values of studies that are made: in which form they come, which numbers their items have afterwards, and where they lie.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use kura::dicom::mint::Form;
use kura::dicom::mint::document::{Bulk, Value};
use kura::model::Tag;

use super::create::{DOCUMENT, Field, STUDY, file, item, items, made, send};
use super::{uuid_of, values};
use crate::harness::backing::{self, Storage};
use crate::harness::{Server, instance};

const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
const PRIVATE: Tag = Tag(0x0009, 0x1001);
const FIRST: &str = "2.25.70101";
const SECOND: &str = "2.25.70102";
const LOOP: &str = "2.25.70201";

fn changed(from: &str, to: &str) -> String {
    assert!(DOCUMENT.contains(from), "{from}");
    DOCUMENT.replacen(from, to, 1)
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// The values of `tag` by SOP Instance UID, whatever their form.
async fn told(server: &Server, token: &str, tag: Tag) -> BTreeMap<String, (Vec<u8>, Option<u32>)> {
    let uuid = uuid_of(server, token, STUDY).await;
    let path = format!("/mint/studies/{uuid}/DICOM");
    let document = server.get(&format!("{path}/metadata"), token).await;
    let document = Form::Xml.study(document.body.as_slice()).unwrap();
    let mut told = BTreeMap::new();
    for instance in document.series.iter().flat_map(|it| &it.instances) {
        let attribute = instance.attributes.iter().find(|it| it.tag == tag);
        let value = match attribute.map(|it| &it.value) {
            None => continue,
            Some(Value::Bytes(bytes)) => (bytes.clone(), None),
            Some(Value::Bulk(Bulk { item, frames, .. })) => {
                let mut bytes = Vec::new();
                for number in *item..item + frames {
                    let path = format!("{path}/binaryitems/{number}");
                    let answer = server.get(&path, token).await;
                    assert_eq!(answer.status, 200, "{number}");
                    bytes.extend(answer.body);
                }
                (bytes, Some(*item))
            }
            other => panic!("{other:?}"),
        };
        told.insert(instance.sop_instance_uid.clone(), value);
    }
    told
}

/// The pixel data of the example, with the numbers of their first items.
fn pixels(numbers: [u32; 3]) -> BTreeMap<String, (Vec<u8>, Option<u32>)> {
    let frames = (2..5).flat_map(item).collect();
    let bytes = [item(0), item(1), frames];
    let named = [FIRST, SECOND, LOOP].into_iter().zip(bytes).zip(numbers);
    named
        .map(|((uid, bytes), number)| (uid.to_owned(), (bytes, Some(number))))
        .collect()
}

#[tokio::test]
async fn mint_k26_a_short_value_may_come_as_an_item() {
    let server = Server::start();
    let token = server.reader("F001");
    let inline = "vr=\"OB\" bytes=\"AQID/w==\"";
    let text = changed(inline, "vr=\"OB\" bid=\"5\" bsize=\"4\"");
    let mut items = items();
    items.push(file("binary5", "binary5", "", vec![1, 2, 3, 255]));
    made(&send(&server, &token, &text, items).await);
    let short = told(&server, &token, PRIVATE).await;
    assert_eq!(short[FIRST], (vec![1, 2, 3, 255], None));
    let pixel_data = told(&server, &token, PIXEL_DATA).await;
    let bytes = |of: &BTreeMap<String, (Vec<u8>, Option<u32>)>| {
        let values = of.values().map(|(bytes, _)| bytes.clone());
        values.collect::<Vec<_>>()
    };
    assert_eq!(bytes(&pixel_data), bytes(&pixels([0, 1, 2])));
}

#[tokio::test]
async fn mint_k27_u24_a_long_value_may_come_inline_and_then_numbers_are_given_anew() {
    for len in [256, 300] {
        let server = Server::start();
        let token = server.reader("F001");
        let long: Vec<u8> = (0..len).map(|at: u32| at.to_le_bytes()[0]).collect();
        let bytes = format!("vr=\"OB\" bytes=\"{}\"", base64(&long));
        let text = changed("vr=\"OB\" bytes=\"AQID/w==\"", &bytes);
        made(&send(&server, &token, &text, items()).await);
        // What is an item now would have the number that the pixel data of the next instance came with.
        let inline = told(&server, &token, PRIVATE).await;
        assert_eq!(inline[FIRST], (long, Some(0)));
        let pixel_data = told(&server, &token, PIXEL_DATA).await;
        assert_eq!(pixel_data, pixels([1, 2, 3]));
        let uuid = uuid_of(&server, &token, STUDY).await;
        let path = format!("/mint/studies/{uuid}/DICOM/binaryitems");
        assert_eq!(server.get(&format!("{path}/6"), &token).await.status, 404);
        // They stay, and what comes later has later ones.
        let later = instance("2.25.9").uids(STUDY, "2.25.70011", "2.25.70103");
        server.stored(&token, &[later.file()]).await;
        assert_eq!(
            server.get(&format!("{path}/6"), &token).await.body,
            (0..32).collect::<Vec<u8>>()
        );
        assert_eq!(told(&server, &token, PRIVATE).await[FIRST].1, Some(0));
    }
}

#[tokio::test]
async fn mint_v07_what_a_document_counts_is_not_asked() {
    let server = Server::start();
    let token = server.reader("F001");
    let text = changed("instanceCount=\"3\"", "instanceCount=\"99\"")
        .replace("instanceCount=\"2\"", "instanceCount=\"0\"");
    let uuid = made(&send(&server, &token, &text, items()).await);
    let path = format!("/mint/studies/{uuid}/DICOM/summary");
    let summary = server.get(&path, &token).await;
    assert_eq!(values(&summary, "instanceCount"), ["3", "2", "1"]);
}

#[tokio::test]
async fn mint_d01_values_are_unicode_and_go_back_into_their_character_set() {
    let server = Server::start();
    let token = server.reader("F001");
    let uuid = made(&send(&server, &token, DOCUMENT, items()).await);
    let name = "KURAMOTO^HANA=蔵本^花=くらもと^はな";
    let metadata = format!("/mint/studies/{uuid}/DICOM/metadata");
    let told = server.get(&metadata, &token).await.text();
    assert!(told.contains(&format!("tag=\"00100010\" vr=\"PN\" val=\"{name}\"")));
    assert!(told.contains("tag=\"00080005\" vr=\"CS\" val=\"\\ISO 2022 IR 87\""));
    let path = format!("/studies/{STUDY}/series/2.25.70011/instances/{FIRST}");
    let stored = server.get_as(&path, &token, "application/dicom; transfer-syntax=*");
    let stored = stored.await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    // JIS X 0208 between its escapes (PS3.5 H.3).
    let encoded =
        b"KURAMOTO^HANA=\x1b$BB\"K\\\x1b(B^\x1b$B2V\x1b(B=\x1b$B$/$i$b$H\x1b(B^\x1b$B$O$J\x1b(B";
    let holds = |bytes: &[u8]| stored.body.windows(bytes.len()).any(|it| it == bytes);
    assert!(holds(encoded), "{}", stored.text());
    assert!(!holds("蔵".as_bytes()));
    // And out of another one.
    let latin = instance("1.2.5")
        .text(0x0008_0005, "CS", "ISO_IR 100")
        .bytes(0x0010_0010, "PN", b"M\xFCller^J\xF6rg".to_vec());
    server.stored(&token, &[latin.file()]).await;
    let uuid = uuid_of(&server, &token, "1.2.5.1").await;
    let metadata = format!("/mint/studies/{uuid}/DICOM/metadata");
    let told = server.get(&metadata, &token).await.text();
    assert!(told.contains("val=\"Müller^Jörg\""), "{told}");
    assert!(told.contains("val=\"ISO_IR 100\""));
}

/// A study of so many series, each with one instance, and its items.
fn spread(series: usize, last: &str) -> (String, Vec<Field<'static>>) {
    let (head, _) = DOCUMENT.split_once("<seriesList>").unwrap();
    let mut text = head.to_owned() + "<seriesList>";
    for at in 0..series {
        let number = if at + 1 == series { last } else { "1" };
        write!(
            text,
            "<series seriesInstanceUID=\"2.25.8.{at}\"><attributes>\
             <attr tag=\"00080060\" vr=\"CS\" val=\"CT\"/><attr tag=\"0020000E\" vr=\"UI\" val=\"2.25.8.{at}\"/>\
             <attr tag=\"00200011\" vr=\"IS\" val=\"{at}\"/></attributes><normalizedInstanceAttributes/><instances>\
             <instance sopInstanceUID=\"2.25.8.{at}.1\" transferSyntaxUID=\"1.2.840.10008.1.2.1\"><attributes>\
             <attr tag=\"00080016\" vr=\"UI\" val=\"1.2.840.10008.5.1.4.1.1.2\"/>\
             <attr tag=\"00080018\" vr=\"UI\" val=\"2.25.8.{at}.1\"/>\
             <attr tag=\"00280002\" vr=\"US\" val=\"{number}\"/><attr tag=\"00280010\" vr=\"US\" val=\"4\"/>\
             <attr tag=\"00280011\" vr=\"US\" val=\"4\"/><attr tag=\"00280100\" vr=\"US\" val=\"16\"/>\
             <attr tag=\"7FE00010\" vr=\"OW\" bid=\"{at}\"/></attributes></instance></instances></series>"
        )
        .unwrap();
    }
    text += "</seriesList></study>";
    let items = (0..series).map(|at| {
        let name = format!("binary{at}");
        file(&name, &name, "application/octet-stream", spread_item(at))
    });
    (text, items.collect())
}

fn spread_item(at: usize) -> Vec<u8> {
    vec![u8::try_from(at).unwrap(); 32]
}

/// A pack takes at most 32 series.
const SERIES: usize = 70;

#[tokio::test]
async fn mint_u10_u24_z44_a_study_of_several_packs_is_whole_and_the_same_again_takes_no_space() {
    let server = Server::start();
    let token = server.reader("F001");
    let (text, items) = spread(SERIES, "1");
    let uuid = made(&send(&server, &token, &text, items).await);
    let stored = backing::objects(server.data.path(), "").await;
    let packs = backing::objects(server.data.path(), ".pack").await;
    // What lies in the memory of a process, no other one sees.
    let is_seen = backing::storage() != Storage::Memory;
    assert!(packs.len() >= 3 || !is_seen, "{packs:?}");
    let log = format!("/mint/studies/{uuid}/changelog");
    let changes = server.get(&log, &token).await;
    assert_eq!(values(&changes, "operation"), ["CREATE"]);
    let path = format!("/mint/studies/{uuid}/DICOM");
    let metadata = server.get(&format!("{path}/summary"), &token).await;
    assert_eq!(values(&metadata, "instanceCount")[0], SERIES.to_string());
    for number in [0, 31, 32, 33, 64, SERIES - 1] {
        let path = format!("{path}/binaryitems/{number}");
        let item = server.get(&path, &token).await;
        assert_eq!(item.body, spread_item(number), "{number}");
    }
    // The same once more, and under another number of connections.
    let (text, items) = spread(SERIES, "1");
    let again = [
        send(&server, &token, &text, items.clone()),
        send(&server, &token, &text, items),
    ];
    for job in futures::future::join_all(again).await {
        assert_eq!(made(&job), uuid);
    }
    assert_eq!(backing::objects(server.data.path(), "").await, stored);
}

#[tokio::test]
async fn mint_u12_x17_of_a_study_of_several_packs_that_fails_at_its_end_nothing_stays() {
    let server = Server::start();
    let token = server.reader("F001");
    let (text, items) = spread(SERIES, "70000");
    let job = send(&server, &token, &text, items).await;
    assert_eq!(values(&job, "jobStatus"), ["FAILED"], "{}", job.text());
    let found = server.get("/mint/studies", &token).await;
    assert!(values(&found, "studyUUID").is_empty(), "{}", found.text());
    let log = server.get("/mint/changelog", &token).await;
    assert!(values(&log, "operation").is_empty(), "{}", log.text());
    let left = backing::objects(server.data.path(), ".pack").await;
    println!("{} packs are left for the sweep", left.len());
    // What is there does not stand in the way of the right one.
    let (text, items) = spread(SERIES, "1");
    made(&send(&server, &token, &text, items).await);
}
