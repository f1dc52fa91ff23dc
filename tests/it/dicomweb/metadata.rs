//! WADO-RS metadata (dicomweb.md section 5).

use std::io::Read;

use reqwest::Method;
use reqwest::header::{ACCEPT_ENCODING, HOST};
use serde_json::Value;

use crate::harness::{Answer, Server, instance};

async fn stored(server: &Server) -> String {
    let token = server.reader("F001");
    let slice = |series: &str, number: &str| {
        instance("1")
            .uids(
                "1.1",
                &format!("1.1.{series}"),
                &format!("1.1.{series}.{number}"),
            )
            .text(0x0020_0013, "IS", number)
            .file()
    };
    server
        .stored(&token, &[slice("1", "1"), slice("2", "1"), slice("1", "2")])
        .await;
    server.stored(&token, &[slice("1", "3")]).await;
    token
}

fn gunzip(answer: &Answer) -> Value {
    let mut json = String::new();
    flate2::read::GzDecoder::new(&*answer.body)
        .read_to_string(&mut json)
        .unwrap();
    serde_json::from_str(&json).unwrap()
}

fn uids(array: &Value) -> Vec<&str> {
    let mut uids: Vec<&str> = array
        .as_array()
        .unwrap()
        .iter()
        .map(|head| head["00080018"]["Value"][0].as_str().unwrap())
        .collect();
    uids.sort_unstable();
    uids
}

#[tokio::test]
async fn j01_j02_j03_j24_metadata_are_arrays_of_heads_at_every_level() {
    let server = Server::start();
    let token = stored(&server).await;
    let cases = [
        (
            "/studies/1.1/metadata",
            vec!["1.1.1.1", "1.1.1.2", "1.1.1.3", "1.1.2.1"],
        ),
        (
            "/studies/1.1/series/1.1.1/metadata",
            vec!["1.1.1.1", "1.1.1.2", "1.1.1.3"],
        ),
        (
            "/studies/1.1/series/1.1.1/instances/1.1.1.2/metadata",
            vec!["1.1.1.2"],
        ),
    ];
    for (path, expected) in cases {
        let answer = server.get(path, &token).await;
        assert_eq!(answer.header("content-type"), "application/dicom+json");
        let array = answer.json();
        assert_eq!(uids(&array), expected, "{path}");
        for head in array.as_array().unwrap() {
            let tags: Vec<&String> = head.as_object().unwrap().keys().collect();
            assert!(tags.is_sorted() && !tags.iter().any(|tag| tag.starts_with("0002")));
            assert_eq!(head["00083002"]["Value"][0], "1.2.840.10008.1.2.1");
        }
    }
}

#[tokio::test]
async fn c10_stored_pieces_leave_as_one_gzip_member_that_holds_the_same() {
    let server = Server::start();
    let token = stored(&server).await;
    for path in [
        "/studies/1.1/metadata",
        "/studies/1.1/series/1.1.1/metadata",
    ] {
        let request = server
            .request(Method::GET, path, &token)
            .header(ACCEPT_ENCODING, "gzip");
        let zipped = server.send(request).await;
        assert_eq!(zipped.header("content-encoding"), "gzip");
        assert_eq!(
            zipped.header("content-length"),
            zipped.body.len().to_string()
        );
        let plain = server.get(path, &token).await.json();
        let unzipped = gunzip(&zipped);
        assert_eq!(uids(&unzipped), uids(&plain));
        for head in unzipped.as_array().unwrap() {
            assert!(plain.as_array().unwrap().contains(head), "{path}");
        }
    }
}

#[tokio::test]
async fn j30_j40_j43_a30_links_name_the_address_the_caller_used_and_work() {
    let server = Server::start();
    let token = stored(&server).await;
    let path = "/studies/1.1/series/1.1.1/instances/1.1.1.1/metadata";
    let head = server.get(path, &token).await.json()[0].clone();
    let link = head["7FE00010"]["BulkDataURI"].as_str().unwrap().to_owned();
    assert_eq!(
        link,
        format!(
            "{}/dicomweb/studies/1.1/series/1.1.1/instances/1.1.1.1/bulkdata/7FE00010",
            server.base
        )
    );
    let pixels = server
        .get(link.strip_prefix(&server.base).unwrap(), &token)
        .await;
    assert_eq!(pixels.status, 200);
    assert_eq!(pixels.body, (0..32).collect::<Vec<u8>>());
    for encoding in ["gzip", "identity"] {
        let request = server
            .request(Method::GET, path, &token)
            .header(HOST, "pacs.example")
            .header(ACCEPT_ENCODING, encoding);
        let answer = server.send(request).await;
        let other = if answer.header("content-encoding") == "gzip" {
            gunzip(&answer)
        } else {
            answer.json()
        };
        let link = other[0]["7FE00010"]["BulkDataURI"].as_str().unwrap();
        assert!(
            link.starts_with("http://pacs.example/dicomweb/studies/1.1/"),
            "{link}"
        );
    }
}

#[tokio::test]
async fn j31_f60_f61_f62_f65_f66_bulk_data_are_what_the_object_holds() {
    let server = Server::start();
    let token = server.reader("F001");
    let pdf = b"%PDF-1.4 0123456789".repeat(60);
    let document = instance("1")
        .uids("1.1", "1.1.1", "1.1.1.1")
        .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.104.1")
        .without(0x7FE0_0010)
        .bytes(0x0042_0011, "OB", [pdf.clone(), vec![b'!']].concat())
        .text(0x0042_0012, "LO", "application/pdf")
        .bytes(0x0042_0015, "UL", 1141_u32.to_le_bytes().to_vec());
    server.stored(&token, &[document.file()]).await;
    let at = "/studies/1.1/series/1.1.1/instances/1.1.1.1";
    let head = server.get(&format!("{at}/metadata"), &token).await.json()[0].clone();
    let link = head["00420011"]["BulkDataURI"]
        .as_str()
        .unwrap()
        .strip_prefix(&server.base)
        .unwrap()
        .to_owned();
    let whole = server.get(&link, &token).await;
    assert_eq!(whole.header("content-type"), "application/pdf");
    assert_eq!(whole.body.len(), 1141, "F62: without the pad octet");
    assert_eq!(
        server
            .get_as(&link, &token, "application/octet-stream")
            .await
            .header("content-type"),
        "application/octet-stream"
    );
    let parts = server
        .get_as(
            &link,
            &token,
            "multipart/related; type=\"application/octet-stream\"",
        )
        .await
        .parts();
    assert_eq!(parts[0].body, whole.body);
    let name = server.get(&format!("{at}/bulkdata/00100020"), &token).await;
    assert_eq!(
        (name.status, name.body),
        (200, b"P1".to_vec()),
        "F65: what stands inline is served as well"
    );
    for absent in ["00104000", "nonsense", "00400275/1/00400009", "0010002"] {
        assert_eq!(
            server
                .get(&format!("{at}/bulkdata/{absent}"), &token)
                .await
                .status,
            404,
            "{absent}"
        );
    }
}

/// The tags of the first instance of metadata.
fn tags(answer: &Answer) -> Vec<String> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let heads = answer.json();
    heads[0].as_object().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn x10_metadata_leave_out_what_is_not_asked_for_and_what_is_private() {
    let server = Server::start();
    let token = server.reader("F001");
    let request_attributes =
        b"\xFE\xFF\x00\xE0\x18\0\0\0\x40\0\x09\0SH\x02\0S1\x41\0\x10\0LO\x06\0ACME  ";
    let file = instance("1")
        .uids("1.1", "1.1.1", "1.1.1.1")
        .text(0x0009_0010, "LO", "ACME")
        .text(0x0009_1001, "LO", "secret")
        .bytes(0x0040_0275, "SQ", request_attributes.to_vec())
        .file();
    server.stored(&token, &[file]).await;
    for at in [
        "/studies/1.1",
        "/studies/1.1/series/1.1.1",
        "/studies/1.1/series/1.1.1/instances/1.1.1.1",
    ] {
        let ask = |query: &'static str, coding: &'static str| {
            let (server, token) = (&server, &token);
            async move {
                let path = format!("{at}/metadata{query}");
                let request = server.request(Method::GET, &path, token);
                server.send(request.header(ACCEPT_ENCODING, coding)).await
            }
        };
        let whole = ask("", "identity").await;
        assert!(tags(&whole).contains(&"00091001".to_owned()));
        let few = ask(
            "?includefield=PatientID,00280010&includefield=Rubbish",
            "identity",
        )
        .await;
        let named = [
            "00080005", "00080016", "00080018", "00100020", "0020000D", "0020000E", "00280010",
        ];
        assert_eq!(tags(&few), named, "{at}");
        assert!(few.header("warning").contains("Rubbish"));
        let public = ask("?excludeprivate=true", "identity").await;
        let mut expected = tags(&whole);
        expected.retain(|tag| !tag.starts_with("0009"));
        assert_eq!(tags(&public), expected);
        assert!(public.text().contains("00400009") && !public.text().contains("00410010"));
        // A branch of a sequence, a private attribute by its creator, and nothing private after all.
        let branch = ask("?includefield=00400275.00400009", "identity").await;
        let item = branch.json()[0]["00400275"]["Value"][0].clone();
        assert_eq!(
            item,
            serde_json::json!({"00400009": {"vr": "SH", "Value": ["S1"]}})
        );
        let private = ask("?00090010=ACME&includefield=00091001", "identity").await;
        assert_eq!(private.json()[0]["00091001"]["Value"][0], "secret");
        let neither = ask(
            "?00090010=ACME&includefield=00091001,Rows&excludeprivate=true",
            "identity",
        )
        .await;
        assert!(neither.json()[0].get("00091001").is_none());
        assert_eq!(neither.json()[0]["00280010"]["Value"][0], 4);
        let all = ask("?includefield=all", "identity").await;
        assert_eq!(all.json(), whole.json());
        // Each is a representation of its own, and none is the stored one that gzip sends.
        let validators =
            [&whole, &few, &public, &branch, &private, &neither].map(|it| it.header("etag"));
        let mut distinct = validators.to_vec();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), validators.len());
        let again = ask("?excludeprivate=true", "identity").await;
        assert_eq!(again.header("etag"), public.header("etag"));
        let zipped = ask("?excludeprivate=true", "gzip").await;
        let plain = if zipped.header("content-encoding") == "gzip" {
            gunzip(&zipped)
        } else {
            zipped.json()
        };
        assert_eq!(plain, public.json());
        for wrong in [
            "?excludeprivate=yes",
            "?excludeprivate=true&excludeprivate=true",
            "?includefield=%FF",
        ] {
            assert_eq!(ask(wrong, "identity").await.status, 400, "{wrong}");
        }
    }
    let xml = "application/dicom+xml";
    let at = "/studies/1.1/series/1.1.1/instances/1.1.1.1/metadata?includefield=PatientID";
    let document = server.get_as(at, &token, xml).await.text();
    assert!(document.contains("00100020") && !document.contains("00280010"));
    let stranger = server.reader("F002");
    assert_eq!(server.get(at, &stranger).await.status, 404);
    let malformed = "/studies/1.1/metadata?excludeprivate=yes";
    assert_eq!(server.get(malformed, &stranger).await.status, 404);
}
