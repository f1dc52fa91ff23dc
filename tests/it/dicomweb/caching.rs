//! Validators, ranges and compression (dicomweb.md 12).

use std::io::Read as _;

use flate2::read::GzDecoder;
use reqwest::Method;
use serde_json::Value;

use crate::harness::{Answer, Server, instance};

const STUDY: &str = "/studies/1.2.3.1";
const SERIES: &str = "/studies/1.2.3.1/series/1.2.3.1.1";
const INSTANCE: &str = "/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1";
const FILE: &str = "application/dicom; transfer-syntax=*";
const OCTETS: &str = "application/octet-stream";

async fn filled() -> (Server, String) {
    let server = Server::start();
    let token = server.reader("F001");
    server.stored(&token, &[instance("1.2.3").file()]).await;
    (server, token)
}

async fn ask(server: &Server, path: &str, token: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = server.request(Method::GET, path, token);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request).await
}

/// What has a tag.
fn objects() -> Vec<String> {
    vec![
        STUDY.to_owned(),
        SERIES.to_owned(),
        INSTANCE.to_owned(),
        format!("{STUDY}/metadata"),
        format!("{SERIES}/metadata"),
        format!("{INSTANCE}/metadata"),
        format!("{INSTANCE}/frames/1"),
        format!("{INSTANCE}/bulkdata/7FE00010"),
        format!("{INSTANCE}/bulkdata/00100010"),
    ]
}

#[tokio::test]
async fn c01_s07_c05_what_the_caller_has_is_not_sent_again() {
    let (server, token) = filled().await;
    for path in objects() {
        let first = ask(&server, &path, &token, &[]).await;
        assert_eq!(first.status, 200, "{path}");
        let tag = first.header("etag");
        assert!(
            tag.len() > 20 && tag.starts_with('"') && tag.ends_with('"'),
            "{tag}"
        );
        let again = ask(&server, &path, &token, &[]).await;
        assert_eq!(again.header("etag"), tag, "{path}");
        for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
            let answer = ask(&server, &path, &token, &[("if-none-match", &known)]).await;
            assert_eq!((answer.status, answer.body.len()), (304, 0), "{path}");
            assert_eq!(answer.header("etag"), tag, "{path}");
            assert_eq!(answer.header("cache-control"), "private, no-cache");
            assert_eq!(answer.header("content-type"), "");
            for name in ["Accept", "Accept-Encoding", "Authorization", "Origin"] {
                assert!(answer.header("vary").contains(name), "{path}: {name}");
            }
        }
        let other = ask(&server, &path, &token, &[("if-none-match", "\"x\"")]).await;
        assert_eq!(other.status, 200, "{path}");
        let stranger = server.reader("F002");
        let hidden = ask(&server, &path, &stranger, &[("if-none-match", &tag)]).await;
        assert_eq!((hidden.status, hidden.header("etag")), (404, String::new()));
    }
    let list = ask(&server, "/studies", &token, &[]).await;
    assert_eq!(
        (list.header("etag"), list.header("last-modified")),
        (String::new(), String::new())
    );
}

#[tokio::test]
async fn c01_a_tag_changes_with_the_representation_and_with_what_is_inside() {
    let (server, token) = filled().await;
    let tag = async |path: &str, headers: &[(&str, &str)]| {
        let answer = ask(&server, path, &token, headers).await;
        assert_eq!(answer.status, 200, "{path} {headers:?}");
        answer.header("etag")
    };
    let metadata = format!("{SERIES}/metadata");
    let forms = [
        tag(INSTANCE, &[]).await,
        tag(INSTANCE, &[("accept", FILE)]).await,
        tag(&metadata, &[]).await,
        tag(&metadata, &[("accept", "application/json")]).await,
        tag(&metadata, &[("accept-encoding", "gzip")]).await,
        tag(&metadata, &[("accept-encoding", "zstd")]).await,
        tag(&metadata, &[("host", "elsewhere.example")]).await,
    ];
    for (at, one) in forms.iter().enumerate() {
        assert!(!forms[..at].contains(one), "{at}");
    }
    let inside = async || {
        [
            tag(STUDY, &[]).await,
            tag(SERIES, &[]).await,
            tag(&format!("{STUDY}/metadata"), &[]).await,
            tag(&metadata, &[]).await,
        ]
    };
    let alone = inside().await;
    let second = instance("1.2.3").uids("1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.2");
    server.stored(&token, &[second.file()]).await;
    let both = inside().await;
    assert!(alone.iter().zip(&both).all(|(one, other)| one != other));
    assert_eq!(tag(INSTANCE, &[]).await, forms[0]);
    let stale = ask(&server, &metadata, &token, &[("if-none-match", &alone[3])]).await;
    assert_eq!(
        (stale.status, stale.json().as_array().unwrap().len()),
        (200, 2)
    );
    // One that goes, while another comes: as many as before, and not the same.
    let reject = format!("{SERIES}/instances/1.2.3.1.1.2/reject/113001%5EDCM");
    let all = server.token("F001", "dicom.read dicom.write dicom.correct");
    let gone = server
        .send(server.request(Method::POST, &reject, &all))
        .await;
    assert_eq!(gone.status, 204, "{}", gone.text());
    let third = instance("1.2.3").uids("1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.3");
    server.stored(&token, &[third.file()]).await;
    let after = inside().await;
    assert!(after.iter().zip(&both).all(|(one, other)| one != other));
    assert!(after.iter().zip(&alone).all(|(one, other)| one != other));
}

#[tokio::test]
async fn c02_the_date_of_an_instance_does_where_there_is_no_tag() {
    let (server, token) = filled().await;
    for path in [
        INSTANCE.to_owned(),
        format!("{INSTANCE}/metadata"),
        format!("{INSTANCE}/frames/1"),
        format!("{INSTANCE}/bulkdata/7FE00010"),
    ] {
        let first = ask(&server, &path, &token, &[]).await;
        let date = first.header("last-modified");
        assert!(date.ends_with(" GMT"), "{path}: {date}");
        let known = ask(&server, &path, &token, &[("if-modified-since", &date)]).await;
        assert_eq!((known.status, known.body.len()), (304, 0), "{path}");
        let old = "Sun, 06 Nov 1994 08:49:37 GMT";
        let older = ask(&server, &path, &token, &[("if-modified-since", old)]).await;
        assert_eq!(older.status, 200, "{path}");
        let both = [("if-modified-since", &*date), ("if-none-match", "\"x\"")];
        assert_eq!(ask(&server, &path, &token, &both).await.status, 200);
    }
    // When something of it was deleted is written nowhere, so several instances have no date.
    let study = ask(&server, &format!("{STUDY}/metadata"), &token, &[]).await;
    assert_eq!(study.header("last-modified"), "");
}

#[tokio::test]
async fn c04_nothing_that_is_kept_stands_between_a_store_and_the_next_request() {
    let (server, token) = filled().await;
    let metadata = format!("{SERIES}/metadata");
    for number in 2..5 {
        let next = format!("1.2.3.1.1.{number}");
        let next = instance("1.2.3").uids("1.2.3.1", "1.2.3.1.1", &next);
        server.stored(&token, &[next.file()]).await;
        for headers in [&[][..], &[("cache-control", "no-cache")]] {
            let answer = ask(&server, &metadata, &token, headers).await;
            assert_eq!(answer.json().as_array().unwrap().len(), number);
        }
    }
}

#[tokio::test]
async fn w05_c20_s05_s21_f63_a_part_of_a_single_part_is_sent() {
    let (server, token) = filled().await;
    for (path, accept) in [
        (INSTANCE.to_owned(), FILE),
        (INSTANCE.to_owned(), "application/dicom"),
        (format!("{INSTANCE}/frames/1"), OCTETS),
        (format!("{INSTANCE}/bulkdata/7FE00010"), OCTETS),
        (format!("{INSTANCE}/bulkdata/00100010"), "*/*"),
    ] {
        let part = async |headers: &[(&str, &str)]| {
            let headers = [&[("accept", accept)], headers].concat();
            ask(&server, &path, &token, &headers).await
        };
        let whole = part(&[]).await;
        assert_eq!(whole.header("accept-ranges"), "bytes", "{path}");
        let len = whole.body.len();
        assert_eq!(whole.header("content-length"), len.to_string(), "{path}");
        for (range, from, to) in [
            ("bytes=0-0", 0, 1),
            ("bytes=3-9", 3, 10),
            ("bytes=5-", 5, len),
            ("bytes=-4", len - 4, len),
            ("bytes=2-999999", 2, len),
        ] {
            let answer = part(&[("range", range)]).await;
            assert_eq!(answer.status, 206, "{path} {range}");
            assert_eq!(
                answer.header("content-range"),
                format!("bytes {from}-{}/{len}", to - 1)
            );
            assert_eq!(answer.header("content-length"), (to - from).to_string());
            assert_eq!(answer.header("content-type"), whole.header("content-type"));
            assert_eq!(answer.header("etag"), whole.header("etag"));
            assert!(answer.body == whole.body[from..to], "{path} {range}");
        }
        let beyond = part(&[("range", &format!("bytes={len}-"))]).await;
        assert_eq!(beyond.status, 416, "{path}");
        assert_eq!(beyond.header("content-range"), format!("bytes */{len}"));
        for all in ["bytes=0-1,3-4", "bytes=x", "lines=0-1"] {
            let answer = part(&[("range", all)]).await;
            assert!(answer.status == 200 && answer.body == whole.body, "{all}");
        }
        let tag = whole.header("etag");
        let same = part(&[("range", "bytes=0-1"), ("if-range", &tag)]).await;
        assert_eq!(same.status, 206, "{path}");
        let other = part(&[("range", "bytes=0-1"), ("if-range", "\"x\"")]).await;
        assert_eq!((other.status, other.body.len()), (200, len), "{path}");
        let known = part(&[("range", "bytes=0-1"), ("if-none-match", &tag)]).await;
        assert_eq!(known.status, 304, "{path}");
    }
}

/// Cornerstone's loader of ranges asks for the message piece by piece.
#[tokio::test]
async fn f26_f63_parts_of_a_message_fit_together() {
    let (server, token) = filled().await;
    for path in [INSTANCE.to_owned(), format!("{INSTANCE}/bulkdata/00100010")] {
        let accept = ("accept", "multipart/related");
        let whole = ask(&server, &path, &token, &[accept]).await;
        assert_eq!(whole.header("content-length"), whole.body.len().to_string());
        let mut pieces = Vec::new();
        let message = loop {
            let range = format!("bytes={}-{}", pieces.len(), pieces.len() + 63);
            let answer = ask(&server, &path, &token, &[accept, ("range", &range)]).await;
            assert_eq!(answer.status, 206, "{path}");
            pieces.extend_from_slice(&answer.body);
            let told = answer.header("content-range");
            let total: usize = told.rsplit('/').next().unwrap().parse().unwrap();
            if pieces.len() >= total {
                break answer.header("content-type");
            }
        };
        let parts = crate::harness::multipart::read(&message, &pieces);
        assert_eq!(parts, whole.parts(), "{path}");
    }
}

/// Stored metadata come in the order of their pieces.
fn in_order(mut json: Value) -> Value {
    if let Some(list) = json.as_array_mut() {
        list.sort_by_key(ToString::to_string);
    }
    json
}

fn expanded(answer: &Answer) -> Value {
    let mut text = Vec::new();
    match &*answer.header("content-encoding") {
        "gzip" => {
            GzDecoder::new(&*answer.body)
                .read_to_end(&mut text)
                .unwrap();
        }
        "zstd" => text = zstd::decode_all(&*answer.body).unwrap(),
        "" => text.clone_from(&answer.body),
        other => panic!("{other}"),
    }
    serde_json::from_slice(&text).unwrap()
}

#[tokio::test]
async fn c10_c21_json_leaves_as_the_caller_takes_it_and_has_no_ranges() {
    let (server, token) = filled().await;
    let more: Vec<_> = (2..12)
        .map(|number| {
            let uid = format!("1.2.3.1.1.{number}");
            instance("1.2.3").uids("1.2.3.1", "1.2.3.1.1", &uid).file()
        })
        .collect();
    server.stored(&token, &more).await;
    for path in [
        "/studies/1.2.3.1/instances?includefield=all".to_owned(),
        format!("{SERIES}/metadata"),
        format!("{STUDY}/metadata"),
        "/openapi.json".to_owned(),
    ] {
        let plain = ask(&server, &path, &token, &[]).await;
        assert_eq!(plain.header("content-encoding"), "", "{path}");
        for (accepted, expected) in [
            ("zstd", "zstd"),
            ("gzip", "gzip"),
            ("gzip;q=0.5, zstd", "zstd"),
            ("br, gzip", "gzip"),
            ("br", ""),
            ("gzip;q=0", ""),
            ("identity", ""),
        ] {
            let headers = [("accept-encoding", accepted), ("range", "bytes=0-9")];
            let answer = ask(&server, &path, &token, &headers).await;
            assert_eq!(answer.status, 200, "{path} {accepted}");
            // Metadata lie in the store as gzip and leave untouched for whoever takes that.
            let stored = path.contains("metadata") && accepted.contains("gzip;q=0.5");
            let expected = if stored { "gzip" } else { expected };
            assert_eq!(
                answer.header("content-encoding"),
                expected,
                "{path} {accepted}"
            );
            assert!(
                answer
                    .header("vary")
                    .to_lowercase()
                    .contains("accept-encoding")
            );
            assert!(
                in_order(expanded(&answer)) == in_order(plain.json()),
                "{path} {accepted}"
            );
            if !expected.is_empty() {
                assert!(answer.body.len() < plain.body.len(), "{path} {accepted}");
            }
        }
    }
    // What is short is not worth it.
    let short = ask(
        &server,
        "/studies?limit=1&PatientID=P1",
        &token,
        &[("accept-encoding", "zstd")],
    )
    .await;
    assert!(short.body.len() <= 1024);
    assert_eq!(short.header("content-encoding"), "");
}

#[tokio::test]
async fn c11_f27_objects_and_pixels_are_never_compressed() {
    let (server, token) = filled().await;
    let big = instance("2").bytes(0x7FE0_0010, "OW", vec![0; 8192]).file();
    server.stored(&token, &[big]).await;
    let at = "/studies/2.1/series/2.1.1/instances/2.1.1.1";
    for (path, accept) in [
        (at.to_owned(), FILE),
        (
            at.to_owned(),
            "multipart/related; type=\"application/dicom\"",
        ),
        ("/studies/2.1".to_owned(), "*/*"),
        (format!("{at}/frames/1"), OCTETS),
        (format!("{at}/frames/1"), "*/*"),
        (format!("{at}/bulkdata/7FE00010"), "*/*"),
    ] {
        let headers = [("accept", accept), ("accept-encoding", "zstd, gzip")];
        let answer = ask(&server, &path, &token, &headers).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-encoding"), "", "{path}");
    }
}
