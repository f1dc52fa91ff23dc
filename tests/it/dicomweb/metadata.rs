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
