//! What a facility takes and how much of it (dicomweb.md T12, T26, T27, T29, T32, S18, S25).

use serde_json::Value;

use crate::harness::{Server, instance, multipart, server};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const IMPLICIT: &str = "1.2.840.10008.1.2";

/// Sets rules of `F001`.
fn set(server: &Server, rules: &[&str]) {
    server::kura(
        server.data.path(),
        &[&["facility", "set", "F001"], rules].concat(),
    );
}

fn items(answer: &Value, tag: &str) -> Vec<Value> {
    answer[tag]["Value"].as_array().cloned().unwrap_or_default()
}

/// The failure reasons of an answer, identified ones first.
fn reasons(answer: &Value) -> Vec<u64> {
    [items(answer, "00081198"), items(answer, "0008119A")]
        .concat()
        .iter()
        .map(|item| item["00081197"]["Value"][0].as_u64().unwrap())
        .collect()
}

fn length(bytes: &[u8]) -> String {
    bytes.len().to_string()
}

#[tokio::test]
async fn t26_a_sop_class_that_the_facility_refuses_fails_alone() {
    let server = Server::start();
    let token = server.reader("F001");
    set(&server, &[&format!("refused_sop_classes=1.2.3,{CT}")]);
    let files = [
        instance("1.2.3").file(),
        instance("1.2.4")
            .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.4")
            .file(),
    ];
    let answer = server.store(&token, &files).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let json = answer.json();
    assert_eq!(reasons(&json), [0x0122]);
    let failed = &items(&json, "00081198")[0];
    assert_eq!(failed["00081150"]["Value"][0], CT);
    assert_eq!(failed["00081155"]["Value"][0], "1.2.3.1.1.1");
    assert_eq!(items(&json, "00081199").len(), 1);
    // It is the rule of one facility.
    server.stored(&server.reader("F002"), &files[..1]).await;
    // Taken back, it holds from the next request on.
    set(&server, &["refused_sop_classes="]);
    server.stored(&token, &files).await;
}

#[tokio::test]
async fn t27_s14_a_transfer_syntax_that_the_facility_refuses_fails_alone() {
    let server = Server::start();
    let token = server.reader("F001");
    set(&server, &[&format!("refused_transfer_syntaxes={IMPLICIT}")]);
    let files = [
        instance("1.2.3").implicit().file(),
        instance("1.2.4").file(),
    ];
    let answer = server.store(&token, &files).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(reasons(&answer.json()), [0xC122]);
    let alone = server.store(&token, &files[..1]).await;
    assert_eq!((alone.status, reasons(&alone.json())), (409, vec![0xC122]));
}

#[tokio::test]
async fn t12_s18_an_instance_over_the_limit_fails_and_alone_it_is_413() {
    let small = instance("1.2.3").file();
    let large = instance("1.2.4")
        .bytes(0x7FE0_0010, "OW", vec![7; 300_000])
        .file();
    let server = Server::start_set(&[("KURA_LIMITS__INSTANCE_BYTES", "100000")]);
    let token = server.reader("F001");
    let answer = server.store(&token, &[&small, &large, &small]).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(reasons(&answer.json()), [0xA701]);
    let failed = &items(&answer.json(), "00081198")[0];
    assert_eq!(failed["00081155"]["Value"][0], "1.2.4.1.1.1");
    let alone = server.store(&token, &[&large]).await;
    assert_eq!(alone.status, 413, "{}", alone.text());
    assert_eq!(alone.json()["code"], "too_large");
    // The facility's own rule wins, in both directions.
    set(&server, &["max_instance_bytes=1M"]);
    server.stored(&token, &[&large]).await;
    set(&server, &["max_instance_bytes=200"]);
    let other = instance("1.2.5").file();
    assert_eq!(server.store(&token, &[&other]).await.status, 413);
    server.stored(&server.reader("F002"), &[&other]).await;
    assert_eq!(
        server.get("/studies/1.2.5.1/series", &token).await.status,
        404
    );
}

#[tokio::test]
async fn t12_s18_a_body_over_the_limit_is_413_and_keeps_what_was_whole() {
    let server = Server::start();
    let token = server.reader("F001");
    let files = ["1.2.3", "1.2.4"].map(|uid| instance(uid).file());
    let (media_type, body) = multipart::write(&files);
    let limit = format!("max_request_bytes={}", body.len() - 200);
    set(&server, &[&limit]);
    // A length that says so is refused before the body is read.
    let told = server
        .post("/studies", &token, &media_type, body.clone())
        .await;
    assert_eq!(told.status, 413, "{}", told.text());
    assert_eq!(server.get("/studies", &token).await.status, 204);
    // In chunks it is found out on the way: the first part was whole.
    let chunks = futures::stream::iter(
        body.chunks(1000)
            .map(|chunk| Ok::<_, std::io::Error>(bytes::Bytes::copy_from_slice(chunk)))
            .collect::<Vec<_>>(),
    );
    let request = server
        .request(reqwest::Method::POST, "/studies", &token)
        .header("content-type", &media_type)
        .body(reqwest::Body::wrap_stream(chunks));
    let found = server.send(request).await;
    assert_eq!(found.status, 202, "{}", found.text());
    assert_eq!(items(&found.json(), "00081199").len(), 1);
    assert_eq!(reasons(&found.json()), [0xA701]);
    set(&server, &["max_request_bytes="]);
    server.stored(&token, &files).await;
}

#[tokio::test]
async fn t29_s25_a_quota_that_is_used_up_refuses_what_is_new_and_nothing_else() {
    let server = Server::start();
    let token = server.reader("F001");
    let [first, second, third] = ["1.2.3", "1.2.4", "1.2.5"].map(|uid| instance(uid).file());
    let room = first.len() * 2 + 10;
    set(&server, &[&format!("quota_bytes={room}")]);
    server.stored(&token, &[&first]).await;
    let both = server.store(&token, &[&second, &third]).await;
    assert_eq!(both.status, 202, "{}", both.text());
    assert_eq!(reasons(&both.json()), [0xA700]);
    let full = server.store(&token, &[&third]).await;
    assert_eq!(full.status, 507, "{}", full.text());
    assert!(!full.header("retry-after").is_empty());
    assert_eq!(full.json()["code"], "full");
    // What is stored already stays a success (T21), and another facility has a quota of its own.
    server.stored(&token, &[&first, &second]).await;
    server.stored(&server.reader("F002"), &[&third]).await;
    set(
        &server,
        &[&format!("quota_bytes={}", length(&first.repeat(4)))],
    );
    server.stored(&token, &[&third]).await;
}

#[tokio::test]
async fn t32_a_foreign_issuer_is_told_and_the_bytes_stay() {
    let server = Server::start();
    let token = server.reader("F001");
    let own = instance("1.2.3").text(0x0010_0021, "LO", "HOSP-A").file();
    assert_eq!(server.store(&token, &[&own]).await.status, 200);
    let silent = instance("1.2.4").file();
    assert_eq!(server.store(&token, &[&silent]).await.status, 200);
    let foreign = instance("1.2.5")
        .text(0x0010_0021, "LO", "ELSEWHERE")
        .file();
    let answer = server.store(&token, &[&foreign]).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let item = &items(&answer.json(), "00081199")[0];
    assert_eq!(item["00081196"]["Value"][0], 0xB000);
    let original = &item["04000561"]["Value"][0];
    let said = &original["04000550"]["Value"][0]["00100021"];
    assert_eq!(
        *said,
        serde_json::json!({"vr": "LO", "Value": ["ELSEWHERE"]})
    );
    assert_eq!(original["04000565"]["Value"][0], "COERCE");
    let when = original["04000562"]["Value"][0].as_str().unwrap();
    assert!(when.len() == 19 && when.ends_with("+0000"), "{when}");
    let back = server
        .get_as(
            "/studies/1.2.5.1/series/1.2.5.1.1/instances/1.2.5.1.1.1",
            &token,
            "application/dicom; transfer-syntax=*",
        )
        .await;
    assert!(back.body == foreign);
    // Without a number there is nobody whose issuer it could be.
    let nobody = instance("1.2.6")
        .text(0x0010_0021, "LO", "ELSEWHERE")
        .without(0x0010_0020)
        .file();
    assert_eq!(server.store(&token, &[&nobody]).await.status, 200);
}

#[tokio::test]
async fn t12_more_parts_than_are_taken_are_refused_and_those_before_are_kept() {
    let server = Server::start_set(&[("KURA_LIMITS__PARTS", "2")]);
    let token = server.reader("F001");
    let files = ["1.2.3", "1.2.4", "1.2.5"].map(|uid| instance(uid).file());
    server.stored(&token, &files[..2]).await;
    let answer = server.store(&token, &files).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(reasons(&answer.json()), [0xA701]);
    assert_eq!(items(&answer.json(), "00081199").len(), 2);
}
