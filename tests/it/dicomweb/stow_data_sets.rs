//! Storing data sets with their bulk data beside them (dicomweb.md T06, T33).

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Server, instance};

/// A part: its headers but for the blank line, and its body.
type Sent<'a> = (&'a str, Vec<u8>);

async fn send(server: &Server, token: &str, root_type: &str, parts: &[Sent<'_>]) -> Answer {
    let mut body = Vec::new();
    for (headers, bytes) in parts {
        body.extend_from_slice(format!("--b1\r\n{headers}\r\n\r\n").as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b1--\r\n");
    let request = server
        .request(Method::POST, "/studies", token)
        .header(
            "Content-Type",
            format!("multipart/related; type=\"{root_type}\"; boundary=b1"),
        )
        .body(body);
    server.send(request).await
}

const JSON: &str = "application/dicom+json";
const XML: &str = "application/dicom+xml";

fn data_set(uid: &str, more: &Value) -> Value {
    let mut set = json!({
        "00080016": {"vr": "UI", "Value": ["1.2.840.10008.5.1.4.1.1.7"]},
        "00080018": {"vr": "UI", "Value": [uid]},
        "0020000d": {"Value": ["1.7"]},
        "0020000E": {"vr": "UI", "Value": "1.7.1"},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Müller^Jürgen"}]},
        "00100020": {"vr": "LO", "Value": ["P7"]},
        "00280010": {"vr": "US", "Value": ["2"]},
        "00280011": {"vr": "US", "Value": [3]},
        "00280002": {"vr": "US", "Value": [1]},
        "00280100": {"vr": "US", "Value": [8]},
        "00281053": {"vr": "DS", "Value": ["1.50"]},
    });
    let members = set.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    set
}

fn pixels(uri: &str) -> Value {
    json!({"7FE00010": {"vr": "OB", "BulkDataURI": uri}})
}

fn octets(location: &str) -> String {
    format!("Content-Type: application/octet-stream\r\nContent-Location: {location}")
}

fn at(uid: &str) -> String {
    format!("/studies/1.7/series/1.7.1/instances/{uid}")
}

#[tokio::test]
async fn t06_json_and_its_bulk_data_become_a_file() {
    let server = Server::start();
    let token = server.reader("F001");
    let long: Vec<u8> = (0..=255).cycle().take(2_000_001).collect();
    let first = data_set("1.7.1.1", &pixels("pixels/1"));
    let mut more = pixels("pixels/2");
    more["00091001"] = json!({"vr": "OB", "BulkDataURI": "long"});
    more["00090010"] = json!({"Value": ["ACME"]});
    let sets = json!([first, data_set("1.7.1.2", &more)]);
    // Bulk data in another order than the data sets, one of them in memory and one that is put aside.
    let (two, one, put_aside) = (octets("pixels/2"), octets("pixels/1"), octets("long"));
    let parts = [
        (
            "Content-Type: application/dicom+json",
            sets.to_string().into_bytes(),
        ),
        (two.as_str(), vec![1, 2, 3, 4, 5, 6]),
        (put_aside.as_str(), long.clone()),
        (one.as_str(), vec![6, 5, 4, 3, 2, 1]),
    ];
    let answer = send(&server, &token, JSON, &parts).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    for (uid, expected) in [
        ("1.7.1.1", [6, 5, 4, 3, 2, 1]),
        ("1.7.1.2", [1, 2, 3, 4, 5, 6]),
    ] {
        let frame = server
            .get_as(
                &format!("{}/frames/1", at(uid)),
                &token,
                "application/octet-stream",
            )
            .await;
        assert_eq!(frame.body, expected, "{uid}");
    }
    let stored = server
        .get(&format!("{}/metadata", at("1.7.1.2")), &token)
        .await
        .json()[0]
        .clone();
    assert_eq!(
        stored["00100010"]["Value"][0]["Alphabetic"],
        "Müller^Jürgen"
    );
    assert_eq!(stored["00280010"]["Value"], json!([2]));
    assert_eq!(stored["00080005"]["Value"], json!(["ISO_IR 192"]));
    let value = server
        .get(&format!("{}/bulkdata/00091001", at("1.7.1.2")), &token)
        .await;
    assert!(value.body.len() == 2_000_002 && value.body.starts_with(&long));
    // The file is one that is taken again as a file.
    let file = server
        .get_as(
            &at("1.7.1.2"),
            &token,
            "application/dicom; transfer-syntax=*",
        )
        .await;
    assert_eq!(server.store(&token, &[file.body]).await.status, 200);
}

/// An instance leaves as metadata and bulk data, and comes back as another one, with the same pixels.
#[tokio::test]
async fn t06_what_was_retrieved_can_be_stored() {
    let server = Server::start();
    let token = server.reader("F001");
    let item = |bytes: &[u8]| {
        let len = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        [b"\xFE\xFF\x00\xE0", &len[..], bytes].concat()
    };
    let items = [item(b""), item(b"\xFF\xD8one\0"), item(b"\xFF\xD8two!")].concat();
    let file = instance("1")
        .uids("1.7", "1.7.1", "1.7.1.1")
        .text(0x0028_0008, "IS", "2")
        .encapsulated("1.2.840.10008.1.2.4.50", &items)
        .file();
    server.stored(&token, &[file]).await;
    let any = "multipart/related; type=\"*/*\"; transfer-syntax=*";
    let bulk = server
        .get(&format!("{}/bulkdata", at("1.7.1.1")), &token)
        .await
        .parts();
    for (number, (root_type, accept)) in [(JSON, JSON), (XML, XML)].into_iter().enumerate() {
        let uid = format!("1.7.1.{}", number + 2);
        let metadata = server
            .get_as(&format!("{}/metadata", at("1.7.1.1")), &token, accept)
            .await;
        // Of the address of the pixels nothing changes.
        let text = metadata
            .text()
            .replace("[\"1.7.1.1\"]", &format!("[\"{uid}\"]"));
        let text = text.replace(">1.7.1.1<", &format!(">{uid}<"));
        let heads: Vec<String> = bulk
            .iter()
            .map(|part| {
                let headers = part
                    .headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}"));
                headers.collect::<Vec<_>>().join("\r\n")
            })
            .collect();
        let document = format!("Content-Type: {root_type}");
        let mut parts = vec![(document.as_str(), text.into_bytes())];
        parts.extend(
            heads
                .iter()
                .zip(&bulk)
                .map(|(head, part)| (head.as_str(), part.body.clone())),
        );
        let answer = send(&server, &token, root_type, &parts).await;
        assert_eq!(answer.status, 200, "{root_type}: {}", answer.text());
        for frame in ["1", "2"] {
            let of = async |uid: &str| {
                let path = format!("{}/frames/{frame}", at(uid));
                server.get_as(&path, &token, any).await.parts()[0].clone()
            };
            let (ours, theirs) = (of(&uid).await, of("1.7.1.1").await);
            assert_eq!(ours.body, theirs.body, "{root_type} {frame}");
            assert_eq!(ours.header("Content-Type"), theirs.header("Content-Type"));
        }
    }
}

#[tokio::test]
async fn t33_elements_that_cannot_be_written_are_left_out_with_a_warning() {
    let server = Server::start();
    let token = server.reader("F001");
    let odd = json!({"00280103": {"vr": "US", "Value": ["unsigned"]}});
    let set = data_set("1.7.1.1", &odd).to_string();
    let answer = send(&server, &token, JSON, &[("", set.into_bytes())]).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let item = &answer.json()["00081199"]["Value"][0];
    assert_eq!(item["00081196"]["Value"], json!([0xB006]));
    let stored = server
        .get(&format!("{}/metadata", at("1.7.1.1")), &token)
        .await
        .json();
    assert_eq!(stored[0].get("00280103"), None);
}

#[tokio::test]
async fn t06_what_cannot_become_a_file_is_refused_alone() {
    let server = Server::start();
    let token = server.reader("F001");
    let good = data_set("1.7.1.1", &json!({}));
    let missing = data_set("1.7.1.2", &pixels("nowhere"));
    let twice = r#"{"00100020":{"vr":"LO"},"00100020":{"vr":"LO"}}"#.to_owned();
    let no_uid = json!({"00100020": {"vr": "LO", "Value": ["P"]}});
    let document = "Content-Type: application/dicom+json";
    let parts = [
        (document, json!([good, missing]).to_string().into_bytes()),
        (document, twice.into_bytes()),
        (document, no_uid.to_string().into_bytes()),
        (document, b"{".to_vec()),
        (document, vec![0xFF]),
        ("Content-Type: application/dicom+xml", b"<a/>".to_vec()),
    ];
    let answer = send(&server, &token, JSON, &parts).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let json = answer.json();
    assert_eq!(json["00081199"]["Value"].as_array().unwrap().len(), 1);
    let failed = |tag: &str| json[tag]["Value"].as_array().map_or(0, Vec::len);
    assert_eq!(
        failed("00081198") + failed("0008119A"),
        6,
        "{}",
        answer.text()
    );
    let only_bulk = [(octets("a"), vec![1])];
    let only_bulk: Vec<Sent<'_>> = only_bulk
        .iter()
        .map(|(head, body)| (head.as_str(), body.clone()))
        .collect();
    assert_eq!(send(&server, &token, JSON, &only_bulk).await.status, 400);
    let reader = server.token("F001", "dicom.read");
    assert_eq!(send(&server, &reader, JSON, &parts[..1]).await.status, 403);
    let odd_pixels = data_set("1.7.1.3", &pixels("p"));
    let bulk = "Content-Type: text/plain\r\nContent-Location: p";
    let parts = [
        ("", odd_pixels.to_string().into_bytes()),
        (bulk, vec![1, 2]),
    ];
    assert_eq!(send(&server, &token, JSON, &parts).await.status, 409);
}
