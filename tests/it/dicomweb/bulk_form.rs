//! In which form a long value stands in metadata, and where it is fetched (dicomweb.md 5.2, 5.3, R13).

use std::io::Read as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{ACCEPT_ENCODING, HOST, IF_NONE_MATCH};
use reqwest::{Method, Url};
use serde_json::Value;

use crate::harness::server::kura;
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

/// A document of 1800 bytes, a nested private value of 2000, one of 500 bytes, a long text, and pixels.
fn with_values(study: &str) -> Vec<u8> {
    let nested = item(&long(0x0009_1002, "OB", &[1; 2000]));
    instance("1")
        .uids(study, &format!("{study}.1"), &format!("{study}.1.1"))
        .text(0x0009_0010, "LO", "ACME")
        .bytes(0x0009_1001, "SQ", nested)
        .bytes(0x0009_1003, "UN", vec![3; 500])
        .bytes(0x0042_0011, "OB", b"%PDF-1.4 ".repeat(200))
        .text(0x0042_0012, "LO", "application/pdf")
        .text(0x0018_9999, "UT", &"long ".repeat(20_000))
        .file()
}

#[tokio::test]
async fn j36_long_values_are_links_or_stand_inline_as_the_request_or_the_facility_says() {
    let server = Server::start();
    let token = server.reader("F001");
    server.stored(&token, &[with_values("1.1")]).await;
    let at = "/studies/1.1/series/1.1.1/instances/1.1.1.1/metadata";
    let shown = |query: &'static str| {
        let (server, token) = (&server, &token);
        async move {
            let answer = server.get(&format!("{at}{query}"), token).await;
            assert_eq!(answer.status, 200, "{query}: {}", answer.text());
            (answer.header("etag"), answer.json()[0].clone())
        }
    };
    let is_linked = |head: &Value| {
        assert!(head["00420011"]["BulkDataURI"].is_string(), "{head}");
        assert!(head["00091001"]["Value"][0]["00091002"]["BulkDataURI"].is_string());
        assert!(head["00091003"]["InlineBinary"].is_string(), "it is short");
        head["00420011"].get("InlineBinary").is_none()
    };
    let is_inline = |head: &Value| {
        let value = |value: &Value| STANDARD.decode(value["InlineBinary"].as_str().unwrap());
        assert_eq!(value(&head["00420011"]).unwrap(), b"%PDF-1.4 ".repeat(200));
        let nested = &head["00091001"]["Value"][0]["00091002"];
        assert_eq!(value(nested).unwrap(), vec![1; 2000]);
        // Pixels stay links (J30), and so do texts, which are no binary values.
        assert!(head["7FE00010"]["BulkDataURI"].is_string());
        assert!(head["00189999"]["BulkDataURI"].is_string());
        head["00420011"].get("BulkDataURI").is_none()
    };
    let (plain_tag, plain) = shown("").await;
    let (uri_tag, uri) = shown("?bulkdata=uri").await;
    let (inline_tag, inline) = shown("?bulkdata=inline").await;
    assert!(is_linked(&plain) && is_linked(&uri) && is_inline(&inline));
    assert!(inline_tag != plain_tag && uri_tag != inline_tag);
    let many = server
        .get("/studies/1.1/metadata?bulkdata=inline", &token)
        .await;
    assert!(is_inline(&many.json()[0]));
    for wrong in [
        "?bulkdata=array",
        "?bulkdata=",
        "?bulkdata=uri&bulkdata=uri",
    ] {
        let answer = server.get(&format!("{at}{wrong}"), &token).await;
        assert_eq!(answer.status, 400, "{wrong}");
    }
    // The facility says what is meant where the request says nothing; whoever had the other form has it no longer.
    let set = |rule: &str| kura(server.data.path(), &["facility", "set", "F001", rule]);
    set("bulkdata=inline");
    let request = server
        .request(Method::GET, at, &token)
        .header(IF_NONE_MATCH, &plain_tag);
    let answer = server.send(request).await;
    assert_eq!(answer.status, 200);
    assert!(is_inline(&answer.json()[0]));
    assert!(is_linked(&shown("?bulkdata=uri").await.1));
    set("bulkdata=");
    assert!(is_linked(&shown("").await.1));
    // Its threshold counts for what is stored from then on.
    set("bulkdata_threshold=0");
    server.stored(&token, &[with_values("1.2")]).await;
    let none = head(
        &server,
        &token,
        "/studies/1.2/series/1.2.1/instances/1.2.1.1",
    )
    .await;
    assert!(none["00091003"]["BulkDataURI"].is_string());
    assert!(shown("").await.1["00091003"]["InlineBinary"].is_string());
    set("bulkdata_threshold=4096");
    server.stored(&token, &[with_values("1.3")]).await;
    let all = head(
        &server,
        &token,
        "/studies/1.3/series/1.3.1/instances/1.3.1.1",
    )
    .await;
    assert!(is_inline(&all));
}

#[tokio::test]
async fn j41_relative_links_lead_from_the_metadata_to_the_value_at_every_level() {
    let server = Server::start_set(&[("KURA_BULKDATA_URI", "relative")]);
    let token = server.reader("F001");
    server.stored(&token, &[with_values("1.1")]).await;
    let document = b"%PDF-1.4 ".repeat(200);
    for (path, link) in [
        (
            "/studies/1.1/metadata",
            "series/1.1.1/instances/1.1.1.1/bulkdata/00420011",
        ),
        (
            "/studies/1.1/series/1.1.1/metadata",
            "instances/1.1.1.1/bulkdata/00420011",
        ),
        (
            "/studies/1.1/series/1.1.1/instances/1.1.1.1/metadata",
            "bulkdata/00420011",
        ),
        (
            "/studies/1.1/metadata/",
            "../series/1.1.1/instances/1.1.1.1/bulkdata/00420011",
        ),
        (
            "/studies/1.1/series/1.1.1/instances/1.1.1.1/metadata/?bulkdata=uri",
            "../bulkdata/00420011",
        ),
    ] {
        let asked = Url::parse(&format!("{}/dicomweb{path}", server.base)).unwrap();
        for (coding, host) in [("identity", ""), ("gzip", ""), ("gzip", "proxy.example")] {
            let mut request = server
                .request(Method::GET, path, &token)
                .header(ACCEPT_ENCODING, coding);
            if !host.is_empty() {
                request = request.header(HOST, host);
            }
            let answer = server.send(request).await;
            let mut json = answer.body.clone();
            if answer.header("content-encoding") == "gzip" {
                json.clear();
                let mut reader = flate2::read::GzDecoder::new(&*answer.body);
                reader.read_to_end(&mut json).unwrap();
            }
            let heads: Value = serde_json::from_slice(&json).unwrap();
            assert_eq!(heads[0]["00420011"]["BulkDataURI"], link, "{path} {coding}");
            let nested = &heads[0]["00091001"]["Value"][0]["00091002"]["BulkDataURI"];
            for (uri, value) in [
                (link, &document),
                (nested.as_str().unwrap(), &vec![1; 2000]),
            ] {
                // RFC 3986 5.2, as any client does it.
                let resolved = asked.join(uri).unwrap();
                let found = server.get(resolved.path(), &token).await;
                assert!(found.status == 200 && found.body == *value, "{resolved}");
            }
        }
    }
    // A client that writes more slashes gets whole addresses.
    let odd = server.get("/studies/1.1/metadata//", &token).await;
    let link = odd.json()[0]["00420011"]["BulkDataURI"].clone();
    assert!(link.as_str().unwrap().starts_with(&server.base), "{link}");
    // XML the same; a part has no address against which it would be resolved otherwise.
    let xml = "multipart/related; type=\"application/dicom+xml\"";
    let answer = server.get_as("/studies/1.1/metadata", &token, xml).await;
    let part = &answer.parts()[0];
    assert_eq!(part.header("Content-Location"), "");
    let text = String::from_utf8(part.body.clone()).unwrap();
    assert!(text.contains("uri=\"series/1.1.1/instances/1.1.1.1/bulkdata/00420011\""));
    // What is no metadata has whole addresses.
    let row = server
        .get("/studies/1.1/instances?includefield=all", &token)
        .await;
    let row = row.json()[0].clone();
    for link in [
        &row["00081190"]["Value"][0],
        &row["00420011"]["BulkDataURI"],
    ] {
        assert!(link.as_str().unwrap().starts_with(&server.base), "{link}");
    }
    let all = server.get("/studies/1.1/bulkdata", &token).await.parts();
    assert!(all[0].header("Content-Location").starts_with(&server.base));
}

#[tokio::test]
async fn j36_a_long_value_passes_through_without_being_held() {
    const LEN: usize = 40 << 20;
    let server = Server::start();
    let token = server.reader("F001");
    let file = instance("1")
        .uids("1.1", "1.1.1", "1.1.1.1")
        .bytes(0x0042_0011, "OB", vec![7; LEN])
        .file();
    server.stored(&token, &[file]).await;
    let (_, before) = server.memory();
    let path = format!("{AT}/metadata?bulkdata=inline");
    let answer = server.get(&path, &token).await;
    let (_, after) = server.memory();
    let text = &answer.json()[0]["00420011"]["InlineBinary"];
    assert_eq!(text.as_str().unwrap().len(), LEN.div_ceil(3) * 4);
    let grown = after.saturating_sub(before) >> 20;
    println!(
        "{grown} MiB more while {} MiB were sent",
        answer.body.len() >> 20
    );
    assert!(grown < 16, "{grown} MiB");
}
