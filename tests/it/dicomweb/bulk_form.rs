//! In which form a long value stands in metadata, and where it is fetched (dicomweb.md 5.2, 5.3, R13).

use serde_json::Value;

use crate::harness::{Server, instance};

const AT: &str = "/studies/1.1/series/1.1.1/instances/1.1.1.1";

/// One element in Explicit VR Little Endian with a length of 32 bits.
fn long(tag: u32, vr: &str, value: &[u8]) -> Vec<u8> {
    let tag = [(tag >> 16) as u16, (tag & 0xFFFF) as u16];
    let mut bytes: Vec<u8> = tag.iter().flat_map(|half| half.to_le_bytes()).collect();
    bytes.extend(vr.as_bytes());
    bytes.extend([0, 0]);
    bytes.extend(u32::try_from(value.len()).unwrap().to_le_bytes());
    bytes.extend(value);
    bytes
}

/// An item of a sequence.
fn item(elements: &[u8]) -> Vec<u8> {
    let mut bytes = b"\xFE\xFF\x00\xE0".to_vec();
    bytes.extend(u32::try_from(elements.len()).unwrap().to_le_bytes());
    bytes.extend(elements);
    bytes
}

/// Icon Image Sequence with pixels of so many bytes.
fn icon(len: usize) -> Vec<u8> {
    item(&long(0x7FE0_0010, "OW", &vec![5; len]))
}

async fn head(server: &Server, token: &str, at: &str) -> Value {
    let answer = server.get(&format!("{at}/metadata"), token).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()[0].clone()
}

#[tokio::test]
async fn r13_one_value_is_fetched_by_its_path() {
    let server = Server::start();
    let token = server.reader("F001");
    let nested = [
        item(&long(0x0009_1002, "OB", &[1; 2000])),
        item(&long(0x0009_1002, "OB", &[2; 2000])),
    ];
    let file = instance("1")
        .uids("1.1", "1.1.1", "1.1.1.1")
        .text(0x0009_0010, "LO", "ACME")
        .bytes(0x0009_1001, "SQ", nested.concat())
        .bytes(0x0042_0011, "OB", b"%PDF-1.4 ".repeat(200))
        .text(0x0042_0012, "LO", "application/pdf")
        .file();
    server.stored(&token, &[file]).await;
    let pixels: Vec<u8> = (0..32).collect();
    let (octets, pdf) = ("application/octet-stream", "application/pdf");
    let message = format!("multipart/related; type=\"{octets}\"");
    for (path, accept, media_type, body) in [
        ("7FE00010", "", octets, &pixels),
        ("7fe00010", octets, octets, &pixels),
        ("7FE00010", &*message, &*message, &pixels),
        ("00091001/1/00091002", "*/*", octets, &vec![1; 2000]),
        ("00091001/2/00091002", "*/*", octets, &vec![2; 2000]),
        ("00091001/2/00091002/", octets, octets, &vec![2; 2000]),
        ("00091001/2/00091002", &message, &message, &vec![2; 2000]),
        ("00420011", "*/*", pdf, &b"%PDF-1.4 ".repeat(200)),
        ("00420011", pdf, pdf, &b"%PDF-1.4 ".repeat(200)),
        ("00420011", octets, octets, &b"%PDF-1.4 ".repeat(200)),
    ] {
        let at = format!("{AT}/bulkdata/{path}");
        let answer = if accept.is_empty() {
            server.get(&at, &token).await
        } else {
            server.get_as(&at, &token, accept).await
        };
        assert_eq!(answer.status, 200, "{path} {accept}: {}", answer.text());
        let sent = answer.header("content-type");
        assert!(sent.starts_with(media_type), "{path} {accept}: {sent}");
        let found = if media_type == message {
            let parts = answer.parts();
            assert_eq!(parts.len(), 1);
            parts[0].body.clone()
        } else {
            answer.body
        };
        assert!(found == *body, "{path} {accept}");
    }
    for path in ["00091001/3/00091002", "00091001", "00189999", "x", "../1"] {
        let answer = server.get(&format!("{AT}/bulkdata/{path}"), &token).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let refused = format!("{AT}/bulkdata/7FE00010");
    let refused = server.get_as(&refused, &token, "image/png").await;
    assert_eq!(refused.status, 406);
    let foreign = format!("{AT}/bulkdata/7FE00010");
    let foreign = server.get(&foreign, &server.reader("F002")).await;
    assert_eq!(foreign.status, 404);
}

#[tokio::test]
async fn j35_icons_up_to_32_kib_stand_in_the_metadata() {
    let server = Server::start();
    let token = server.reader("F001");
    for (number, len, is_inline) in [(1, 4096, true), (2, 32 * 1024, true), (3, 33_000, false)] {
        let series = format!("1.1.{number}");
        let file = instance("1")
            .uids("1.1", &series, &format!("{series}.1"))
            .bytes(0x0088_0200, "SQ", icon(len))
            .file();
        server.stored(&token, &[file]).await;
        let at = format!("/studies/1.1/series/{series}/instances/{series}.1");
        let head = head(&server, &token, &at).await;
        let pixels = &head["00880200"]["Value"][0]["7FE00010"];
        assert_eq!(pixels["vr"], "OW");
        assert_eq!(pixels["InlineBinary"].is_string(), is_inline, "{len}");
        assert_eq!(pixels["BulkDataURI"].is_string(), !is_inline, "{len}");
        if is_inline {
            let text = pixels["InlineBinary"].as_str().unwrap();
            assert_eq!(text.len(), len.div_ceil(3) * 4, "{len}");
        } else {
            let link = pixels["BulkDataURI"].as_str().unwrap();
            let link = link.strip_prefix(&server.base).unwrap();
            assert_eq!(server.get(link, &token).await.body, vec![5; len]);
        }
        // Those of the image itself never do (J30).
        assert!(head["7FE00010"]["BulkDataURI"].is_string());
    }
}
