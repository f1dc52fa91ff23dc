//! A study that comes as a document and its items, as its clients send it (MINT 9.1 to 9.3, 9.6).

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use kura::dicom::mint::Form;
use kura::dicom::mint::document::Study;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use reqwest::redirect::Policy;

use super::{assert_document, uuid_of, values};
use crate::harness::{Answer, Server};

/// The document of MINT 14.1.
pub const DOCUMENT: &str = include_str!("../../../src/dicom/mint/tests/create.xml");

/// Its Study Instance UID.
pub const STUDY: &str = "2.25.70010";

const PATH: &str = "/mint/jobs/createstudy";
const BOUNDARY: &str = "kQ7x";

/// A part of a form: what Content-Disposition says behind its first word, a type, the bytes.
pub type Field<'a> = (String, &'a str, Vec<u8>);

/// The bytes of an item of the example.
pub fn item(number: u8) -> Vec<u8> {
    let len = if number < 2 { 32 } else { 16 };
    (0..len).map(|at| at * 7 + number).collect()
}

/// A file part.
pub fn file<'a>(name: &str, file_name: &str, media_type: &'a str, bytes: Vec<u8>) -> Field<'a> {
    let disposition = format!("name=\"{name}\"; filename=\"{file_name}\"");
    (disposition, media_type, bytes)
}

/// The items of the example under the names of DICOM2MINT 1.2.
pub fn items() -> Vec<Field<'static>> {
    let named = |number| {
        let name = format!("binary{number}");
        file(&name, &name, "application/octet-stream", item(number))
    };
    (0..5).map(named).collect()
}

/// The document as DICOM2MINT 1.2 sends it.
pub fn document(text: &str) -> Field<'static> {
    let name = "metadata81.xml";
    file(name, name, "text/xml", text.as_bytes().to_vec())
}

/// A form.
pub fn form(fields: &[Field<'_>]) -> Vec<u8> {
    let mut body = Vec::new();
    for (disposition, media_type, bytes) in fields {
        let head = format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; {disposition}\r\nContent-Type: {media_type}\r\n\
             Content-Transfer-Encoding: binary\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{BOUNDARY}--\r\n").as_bytes());
    body
}

/// The type of a form.
pub fn form_type() -> String {
    format!("multipart/form-data; boundary={BOUNDARY}")
}

/// Sends a form and follows to its job, as clients do.
pub async fn create(server: &Server, token: &str, fields: &[Field<'_>]) -> Answer {
    server.post(PATH, token, &form_type(), form(fields)).await
}

/// Sends the example with a document and items.
pub async fn send(server: &Server, token: &str, text: &str, items: Vec<Field<'_>>) -> Answer {
    let mut fields = vec![document(text)];
    fields.extend(items);
    create(server, token, &fields).await
}

/// A job that succeeded; gives the UUID of its study.
pub fn made(job: &Answer) -> String {
    assert_document(job, "jobStatus");
    assert_eq!(values(job, "jobStatus"), ["SUCCESS"], "{}", job.text());
    assert_eq!(values(job, "changeNumber"), ["0"]);
    values(job, "studyUUID").remove(0)
}

/// The document without what only answers have: the version, and what every file has of its own (MINT P02).
fn plain(bytes: &[u8], form: Form) -> Study {
    let mut study = form.study(bytes).unwrap();
    study.facts.version = None;
    for series in &mut study.series {
        let ours = |tag: kura::model::Tag| tag.0 == 2 && matches!(tag.1, 1 | 0x12 | 0x13);
        series.normalized.retain(|attribute| !ours(attribute.tag));
        for instance in &mut series.instances {
            instance.attributes.retain(|attribute| !ours(attribute.tag));
        }
    }
    study
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The study is what was sent: its document level by level, its items byte by byte.
async fn assert_sent(server: &Server, token: &str, uuid: &str) {
    let path = format!("/mint/studies/{uuid}/DICOM");
    let told = server.get(&format!("{path}/metadata.xml"), token).await;
    assert_eq!(values(&told, "version")[0], "0");
    let sent = plain(DOCUMENT.as_bytes(), Form::Xml);
    assert_eq!(plain(&told.body, Form::Xml), sent);
    for number in 0..5 {
        let path = format!("{path}/binaryitems/{number}");
        let told = server.get(&path, token).await;
        assert_eq!((told.status, told.body), (200, item(number)), "{number}");
    }
}

#[tokio::test]
async fn mint_e14_e16_u04_u08_u09_u10_u23_u24_what_was_sent_is_there_when_the_job_says_so() {
    let server = Server::start();
    let token = server.reader("F001");
    let mut fields = vec![document(DOCUMENT)];
    fields.extend(items());
    let client = reqwest::Client::builder().redirect(Policy::none());
    let request = client
        .build()
        .unwrap()
        .post(format!("{}{PATH}", server.base));
    let request = request
        .header(AUTHORIZATION, format!("Bearer {token}"))
        .header(CONTENT_TYPE, form_type());
    let answer = server.send(request.body(form(&fields))).await;
    assert_eq!(
        (answer.status, answer.body.len()),
        (303, 0),
        "{}",
        answer.text()
    );
    let location = answer.header("location");
    let path = location.strip_prefix(server.base.as_str()).unwrap();
    assert!(path.starts_with("/mint/jobs/status/"), "{path}");
    let job = server.get(path, &token).await;
    let uuid = made(&job);
    assert_eq!(values(&job, "jobID"), [path.rsplit('/').next().unwrap()]);
    assert_eq!(uuid_of(&server, &token, STUDY).await, uuid);
    assert_sent(&server, &token, &uuid).await;
    let log = server.get("/mint/changelog", &token).await;
    assert_eq!(values(&log, "operation"), ["CREATE"]);
    // What speaks DICOMweb finds the same.
    let instance = format!("/studies/{STUDY}/series/2.25.70012/instances/2.25.70201");
    let frames = format!("{instance}/frames/2");
    let frame = server.get_as(
        &frames,
        &token,
        "multipart/related; type=\"application/octet-stream\"; transfer-syntax=*",
    );
    assert_eq!(frame.await.parts()[0].body, item(3));
    let metadata = server.get(&format!("{instance}/metadata"), &token).await;
    assert_eq!(metadata.json()[0]["00280008"]["Value"][0], 3);
    // Another's job is none, and who may not store may not ask.
    assert_eq!(server.get(path, &server.reader("F002")).await.status, 404);
    let reading = server.token("F001", "dicom.read");
    assert_eq!(server.get(path, &reading).await.status, 403);
    assert_eq!(server.get(path, "").await.status, 401);
    let slash = path.rsplit_once('/').unwrap().0;
    for name in ["1", "00000000-0000-7000-8000-000000000000"] {
        let absent = server.get(&format!("{slash}/{name}"), &token).await;
        assert_eq!(absent.status, 404, "{name}");
    }
}

#[tokio::test]
async fn mint_u01_u02_u03_u05_u06_every_client_is_understood() {
    let server = Server::start();
    let token = server.reader("F001");
    let study = Form::Xml.study(DOCUMENT.as_bytes()).unwrap();
    let (xml, gpb) = (
        DOCUMENT.as_bytes().to_vec(),
        Form::Protobuf.document(&study),
    );
    let octets = "application/octet-stream";
    let field = |name: &str| (format!("name=\"{name}\""), "text/plain", b"x".to_vec());
    let mut turned = items();
    turned.reverse();
    let one_name: Vec<_> = (0..5)
        .map(|n| file("binary", "binary", octets, item(n)))
        .collect();
    let sendfile = (0..5).map(|n| file("sendfile", &format!("{n}.dat"), octets, item(n)));
    let zeros = (0..5).map(|n| file(&format!("binary00{n}"), "x", octets, item(n)));
    let forms = [
        (file("m", "m.xml.gz", octets, packed(&xml)), items()),
        (file("m", "m.gpb", octets, gpb.clone()), turned),
        (file("m", "m.gpb.gz", octets, packed(&gpb)), one_name),
        (
            file("sendfile", "metadata.gpb", octets, gpb.clone()),
            sendfile.collect(),
        ),
        (
            file("metadata", "metadata", "text/xml", xml),
            zeros.collect(),
        ),
        (file("metadata", "metadata", octets, gpb), items()),
    ];
    for (at, (document, items)) in forms.into_iter().enumerate() {
        // A facility of its own: there each is new.
        let facility = format!("F{:03}", at + 1);
        if at >= 3 {
            let add = [
                "facility", "add", &facility, "--name", &facility, "--issuer", &facility,
            ];
            crate::harness::server::kura(server.data.path(), &add);
        }
        let token = if at == 0 {
            token.clone()
        } else {
            server.reader(&facility)
        };
        let mut fields = vec![field("filedata"), document];
        fields.extend(items);
        fields.push(field("type"));
        let job = create(&server, &token, &fields).await;
        let uuid = made(&job);
        assert_sent(&server, &token, &uuid).await;
    }
}

#[tokio::test]
async fn mint_u20_u25_the_same_again_is_the_same_study_and_another_is_refused() {
    let server = Server::start();
    let token = server.reader("F001");
    let uuid = made(&send(&server, &token, DOCUMENT, items()).await);
    let again = send(&server, &token, DOCUMENT, items()).await;
    assert_eq!(made(&again), uuid);
    let root = server.get(&format!("/mint/studies/{uuid}"), &token).await;
    assert_eq!(values(&root, "version"), ["0"]);
    let other = DOCUMENT.replace("K-4711", "K-4712");
    let more = DOCUMENT.replace("2.25.70102", "2.25.70103");
    for text in [other, more] {
        let refused = send(&server, &token, &text, items()).await;
        assert_eq!(values(&refused, "jobStatus"), ["FAILED"]);
        let reason = values(&refused, "reason").remove(0);
        assert!(reason.contains(&uuid), "{reason}");
    }
    assert_sent(&server, &token, &uuid).await;
    // Another facility has its own.
    let foreign = server.reader("F002");
    assert_ne!(
        made(&send(&server, &foreign, DOCUMENT, items()).await),
        uuid
    );
}

#[tokio::test]
async fn mint_e18_f03_who_may_not_store_makes_no_study() {
    let server = Server::start();
    let reading = server.token("F001", "dicom.read");
    for (token, status) in [(reading.as_str(), 403), ("", 401), ("x", 401)] {
        let answer = send(&server, token, DOCUMENT, items()).await;
        assert_eq!(answer.status, status);
    }
    let token = server.reader("F001");
    let get = server.send(server.request(Method::PUT, PATH, &token)).await;
    assert_eq!((get.status, &*get.header("allow")), (405, "POST, OPTIONS"));
}

#[tokio::test]
async fn mint_u20_where_stores_replace_what_is_there_a_study_that_is_there_is_changed() {
    let server = Server::start();
    let words = ["facility", "set", "F001", "on_conflict=replace"];
    crate::harness::server::kura(server.data.path(), &words);
    let token = server.reader("F001");
    let uuid = made(&send(&server, &token, DOCUMENT, items()).await);
    assert_eq!(made(&send(&server, &token, DOCUMENT, items()).await), uuid);
    let path = format!("/mint/studies/{uuid}");
    let root = server.get(&path, &token).await;
    assert_eq!(values(&root, "version"), ["0"]);
    // Another second slice, and a third one in the place of what the document had there.
    let other = DOCUMENT.replace("2.25.70102", "2.25.70103");
    let job = send(&server, &token, &other, items()).await;
    assert_eq!(values(&job, "jobStatus"), ["SUCCESS"], "{}", job.text());
    assert_eq!(values(&job, "changeNumber"), ["1"]);
    assert_eq!(values(&job, "studyUUID"), [&*uuid]);
    let told = server
        .get(&format!("{path}/DICOM/metadata.xml"), &token)
        .await;
    let uids = ["2.25.70101", "2.25.70102", "2.25.70103", "2.25.70201"];
    assert_eq!(values(&told, "sopInstanceUID"), uids);
    assert_eq!(values(&told, "bid"), ["0", "1", "5", "2"]);
    let path = format!("{path}/DICOM/binaryitems/5");
    assert_eq!(server.get(&path, &token).await.body, item(1));
}

#[tokio::test]
async fn mint_p04_a_text_beyond_its_character_set_is_kept_and_noted() {
    let server = Server::start();
    let token = server.reader("F001");
    let french = DOCUMENT.replacen("K-4711", "K-4711 \u{e9}", 1);
    assert_ne!(french, DOCUMENT);
    let job = send(&server, &token, &french, items()).await;
    made(&job);
    assert_eq!(values(&job, "note").len(), 1, "{}", job.text());
    let path = format!("/studies/{STUDY}/series/2.25.70012/instances/2.25.70201/metadata");
    let told = server.get(&path, &token).await.text();
    assert!(told.contains("\u{e9}"), "{told}");
    // Where everything fits there is nothing to say.
    let other = DOCUMENT.replace("2.25.70", "2.25.71");
    let job = send(&server, &token, &other, items()).await;
    made(&job);
    assert!(values(&job, "note").is_empty());
}
