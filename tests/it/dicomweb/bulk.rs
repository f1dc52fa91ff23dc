//! All bulk data and all pixel data of a study, a series or an instance (dicomweb.md R12, R14, F67).

use serde_json::Value;

use crate::harness::multipart::Part;
use crate::harness::{Answer, Server, instance};

const JPEG: &str = "1.2.840.10008.1.2.4.50";
const OCTETS: &str = "multipart/related; type=\"application/octet-stream\"";

/// Fragments of encapsulated pixel data, after an empty offset table.
fn fragments(of: &[&[u8]]) -> Vec<u8> {
    let mut items = b"\xFE\xFF\x00\xE0\0\0\0\0".to_vec();
    for fragment in of {
        items.extend(b"\xFE\xFF\x00\xE0");
        items.extend(u32::try_from(fragment.len()).unwrap().to_le_bytes());
        items.extend(*fragment);
    }
    items
}

/// A study of an image with a long private value, two frames of JPEG, and a report without bulk data.
async fn stored(server: &Server) -> String {
    let token = server.reader("F001");
    let files = [
        instance("1")
            .uids("1.1", "1.1.1", "1.1.1.1")
            .text(0x0009_0010, "LO", "ACME")
            .bytes(0x0009_1001, "OB", vec![7; 3000])
            .file(),
        instance("1")
            .uids("1.1", "1.1.2", "1.1.2.1")
            .text(0x0028_0008, "IS", "2")
            .encapsulated(JPEG, &fragments(&[b"\xFF\xD8one\0", b"\xFF\xD8two!"]))
            .file(),
        instance("1")
            .uids("1.1", "1.1.3", "1.1.3.1")
            .without(0x7FE0_0010)
            .file(),
    ];
    server.stored(&token, &files).await;
    token
}

/// Every BulkDataURI below a resource, as metadata give them.
async fn links(server: &Server, token: &str, at: &str) -> Vec<String> {
    fn collect(value: &Value, into: &mut Vec<String>) {
        match value {
            Value::Object(members) => {
                if let Some(uri) = members.get("BulkDataURI") {
                    into.push(uri.as_str().unwrap().to_owned());
                }
                members.values().for_each(|member| collect(member, into));
            }
            Value::Array(values) => values.iter().for_each(|value| collect(value, into)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let metadata = server.get(&format!("{at}/metadata"), token).await.json();
    let mut links = Vec::new();
    collect(&metadata, &mut links);
    links
}

fn located(parts: &[Part]) -> Vec<String> {
    let mut locations: Vec<String> = parts
        .iter()
        .map(|part| part.header("Content-Location").to_owned())
        .collect();
    locations.dedup();
    locations
}

fn message(answer: &Answer) -> Vec<Part> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.parts()
}

#[tokio::test]
async fn r12_f67_all_bulk_data_of_a_resource_leave_as_the_links_say() {
    let server = Server::start();
    let token = stored(&server).await;
    for at in [
        "/studies/1.1",
        "/studies/1.1/series/1.1.1",
        "/studies/1.1/series/1.1.2/instances/1.1.2.1",
    ] {
        let answer = server.get(&format!("{at}/bulkdata"), &token).await;
        assert!(answer.header("content-type").starts_with(OCTETS));
        let parts = message(&answer);
        assert_eq!(located(&parts), links(&server, &token, at).await, "{at}");
        for part in &parts {
            assert!(
                part.header("Content-Type")
                    .starts_with("application/octet-stream")
            );
        }
    }
    let whole = message(&server.get("/studies/1.1/bulkdata", &token).await);
    assert_eq!(whole.len(), 4, "a value, pixels, two frames");
    assert_eq!(whole[0].body, vec![7; 3000]);
    assert_eq!(whole[1].body, (0..32).collect::<Vec<u8>>());
    assert_eq!(whole[2].body, b"\xFF\xD8one\0");
    assert_eq!(
        whole[3].header("Content-Type"),
        format!("application/octet-stream; transfer-syntax={JPEG}")
    );
    // One item may leave alone; several cannot.
    let one = instance("2").uids("1.2", "1.2.1", "1.2.1.1").file();
    server.stored(&token, &[one]).await;
    let alone = server
        .get_as("/studies/1.2/bulkdata", &token, "application/octet-stream")
        .await;
    assert_eq!(
        alone.header("content-type"),
        "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1"
    );
    assert_eq!(alone.body, (0..32).collect::<Vec<u8>>());
    for (path, accept, status) in [
        ("/studies/1.1/bulkdata", "application/octet-stream", 406),
        (
            "/studies/1.1/bulkdata",
            "multipart/related; type=\"*/*\"",
            200,
        ),
        (
            "/studies/1.1/bulkdata",
            "multipart/related; type=\"image/jpeg\"",
            406,
        ),
        ("/studies/1.1/series/1.1.3/bulkdata", "*/*", 404),
        ("/studies/9.9/bulkdata", "*/*", 404),
        ("/studies/1.1/series/9.9/bulkdata", "*/*", 404),
        (
            "/studies/1.1/series/1.1.1/instances/9.9/bulkdata",
            "*/*",
            404,
        ),
        ("/studies/x%20y/bulkdata", "*/*", 404),
    ] {
        let answer = server.get_as(path, &token, accept).await;
        assert_eq!(answer.status, status, "{path} {accept}");
    }
}

#[tokio::test]
async fn r14_pixel_data_leave_frame_by_frame_at_every_level() {
    let server = Server::start();
    let token = stored(&server).await;
    let any = "multipart/related; type=\"*/*\"; transfer-syntax=*";
    let of_study = message(&server.get_as("/studies/1.1/pixeldata", &token, any).await);
    assert_eq!(of_study.len(), 3);
    for part in &of_study {
        let location = part.header("Content-Location");
        assert!(location.contains("/frames/"), "{location}");
        let path = location.strip_prefix(&server.base).unwrap();
        let frame = message(&server.get_as(path, &token, any).await);
        assert_eq!(frame[0].body, part.body, "{location}");
    }
    for (at, parts) in [
        ("/studies/1.1/series/1.1.1", 1),
        ("/studies/1.1/series/1.1.2", 2),
        ("/studies/1.1/series/1.1.2/instances/1.1.2.1", 2),
    ] {
        let answer = server.get_as(&format!("{at}/pixeldata"), &token, any).await;
        assert_eq!(message(&answer).len(), parts, "{at}");
    }
    let alone = server
        .get_as(
            "/studies/1.1/series/1.1.1/pixeldata",
            &token,
            "application/octet-stream",
        )
        .await;
    assert_eq!(alone.body, (0..32).collect::<Vec<u8>>());
    for (path, accept, status) in [
        ("/studies/1.1/series/1.1.3/pixeldata", "*/*", 404),
        ("/studies/9.9/pixeldata", "*/*", 404),
        (
            "/studies/1.1/pixeldata",
            "multipart/related; type=\"video/mp4\"",
            406,
        ),
        ("/studies/1.1/pixeldata", "text/html", 406),
    ] {
        let answer = server.get_as(path, &token, accept).await;
        assert_eq!(answer.status, status, "{path} {accept}");
    }
}
