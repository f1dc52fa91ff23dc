//! A study in the exact form: every object as it was stored, in one tar file (MINT 16.6).

use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Stdio};

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::corpus::sha256;
use crate::harness::exact::{Object, files};
use crate::harness::load::Random;
use crate::harness::{Answer, Server, instance};

pub(super) const STUDY: &str = "1.2.3.5";

/// An object of [`STUDY`]: in series 1 or 2, with this Instance Number.
pub(super) fn object(series: u32, number: u32, pixels: usize) -> Object {
    let (series_uid, uid) = (
        format!("{STUDY}.{series}"),
        format!("{STUDY}.{series}.{number}"),
    );
    let file = instance(STUDY)
        .uids(STUDY, &series_uid, &uid)
        .text(0x0020_0011, "IS", &series.to_string())
        .text(0x0020_0013, "IS", &number.to_string())
        .bytes(0x7FE0_0010, "OW", vec![number.to_le_bytes()[0]; pixels])
        .file();
    Object::new(&series_uid, &uid, file)
}

/// Objects in viewing order, which is not that of their UIDs.
pub(super) fn objects() -> Vec<Object> {
    vec![
        object(1, 2, 1000),
        object(1, 11, 333),
        object(2, 3, 70_000),
        object(2, 20, 0),
    ]
}

pub(super) async fn stored(server: &Server, token: &str) -> String {
    let mut sent = objects();
    sent.reverse();
    let sent: Vec<_> = sent.into_iter().map(|object| object.bytes).collect();
    server.stored(token, &sent).await;
    let uuid = server.study_uuid(token, STUDY).await;
    format!("/mint/studies/{uuid}/exact")
}

async fn get(server: &Server, token: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = server.request(Method::GET, path, token);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request).await
}

/// Asserts that a tar file holds `expected` behind its manifest, which is given.
fn check(tar: &[u8], expected: &[Object]) -> Value {
    let mut found = files(tar).into_iter();
    let (name, manifest) = found.next().unwrap();
    assert_eq!(name, "manifest.json");
    let found: Vec<_> = found.collect();
    let objects = expected.iter();
    let objects: Vec<_> = objects.map(|it| (it.name(), it.bytes.clone())).collect();
    assert!(found == objects, "other objects, or in another order");
    serde_json::from_slice(&manifest).unwrap()
}

#[tokio::test]
async fn mint_z30_z33_a_study_is_one_tar_file_of_known_length_with_the_digests_of_its_objects() {
    let server = Server::start();
    let token = server.reader("F001");
    let path = stored(&server, &token).await;
    let answer = server.get(&path, &token).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/x-tar");
    assert_eq!(answer.header("content-encoding"), "");
    assert_eq!(answer.header("accept-ranges"), "bytes");
    assert_eq!(answer.header("cache-control"), "private, no-cache");
    assert_eq!(
        answer.header("content-length"),
        answer.body.len().to_string()
    );
    let manifest = check(&answer.body, &objects());
    assert_eq!(manifest["studyInstanceUID"], STUDY);
    assert!(path.contains(manifest["study"].as_str().unwrap()));
    assert_eq!(manifest["version"], 0);
    for (told, object) in manifest["objects"]
        .as_array()
        .unwrap()
        .iter()
        .zip(objects())
    {
        let expected = json!({
            "name": object.name(),
            "size": object.bytes.len(),
            "sha256": sha256(&object.bytes),
            "sopInstanceUID": object.instance,
            "transferSyntaxUID": "1.2.840.10008.1.2.1",
        });
        assert_eq!(*told, expected);
    }
    let head = server
        .send(server.request(Method::HEAD, &path, &token))
        .await;
    assert_eq!(
        head.header("content-length"),
        answer.header("content-length")
    );
    let tag = answer.header("etag");
    assert!(tag.starts_with('"'), "a strong tag: {tag}");
    let known = get(&server, &token, &path, &[("if-none-match", &tag)]).await;
    assert_eq!((known.status, known.body.len()), (304, 0));

    server.stored(&token, &[object(3, 1, 10).bytes]).await;
    let later = get(&server, &token, &path, &[("if-none-match", &tag)]).await;
    assert_eq!(later.status, 200);
    let mut all = objects();
    all.push(object(3, 1, 10));
    assert_eq!(check(&later.body, &all)["version"], 1);
}

#[tokio::test]
async fn mint_z33_any_part_is_that_part_and_the_rest_of_another_study_is_all_of_it() {
    let server = Server::start();
    let token = server.reader("F001");
    let path = stored(&server, &token).await;
    let whole = server.get(&path, &token).await;
    let tag = whole.header("etag");
    let len = whole.body.len() as u64;
    let mut random = Random::seeded();
    let mut parts: Vec<(u64, u64)> = (0..100)
        .map(|_| {
            let first = random.next(len);
            (first, first + random.next(len - first))
        })
        .collect();
    // Borders of headers, files and what fills them up.
    for border in (0..len).step_by(512) {
        parts.push((border, border));
        parts.push((border.saturating_sub(1), border));
    }
    for (first, last) in parts {
        let range = format!("bytes={first}-{last}");
        let part = get(
            &server,
            &token,
            &path,
            &[("range", &range), ("if-range", &tag)],
        )
        .await;
        assert_eq!(part.status, 206, "{range}");
        let expected =
            &whole.body[usize::try_from(first).unwrap()..=usize::try_from(last).unwrap()];
        assert!(part.body == expected, "{range}");
        assert_eq!(
            part.header("content-range"),
            format!("bytes {first}-{last}/{len}")
        );
    }
    let beyond = format!("bytes={len}-");
    let beyond = get(&server, &token, &path, &[("range", &beyond)]).await;
    assert_eq!(beyond.status, 416);
    let other = [("range", "bytes=5-9"), ("if-range", "\"other\"")];
    let other = get(&server, &token, &path, &other).await;
    assert_eq!((other.status, other.body.len() as u64), (200, len));
}

/// What a program does with a body.
fn piped(command: &str, folder: &Path, body: &[u8]) {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), body).unwrap();
    assert!(child.wait().unwrap().success(), "{command}");
}

#[tokio::test]
async fn mint_z32_z22_the_programs_tar_and_zstd_take_it() {
    let server = Server::start();
    let token = server.reader("F001");
    let path = stored(&server, &token).await;
    let plain = server.get(&path, &token).await;
    let ranged = [("accept-encoding", "zstd"), ("range", "bytes=0-9")];
    let packed = get(&server, &token, &path, &ranged).await;
    assert_eq!(packed.status, 200, "a range into what is packed is ignored");
    assert_eq!(packed.header("content-encoding"), "zstd");
    assert!(
        packed
            .header("vary")
            .to_lowercase()
            .contains("accept-encoding")
    );
    assert!(packed.body.len() < plain.body.len() / 10);
    assert_ne!(packed.header("etag"), plain.header("etag"));
    let mut frame = Vec::new();
    let mut decoder = zstd::stream::Decoder::new(&packed.body[..])
        .unwrap()
        .single_frame();
    // The window that a receiver can be asked for (RFC 9659).
    decoder.window_log_max(23).unwrap();
    decoder.read_to_end(&mut frame).unwrap();
    assert!(frame == plain.body);
    for (command, body) in [("tar -x", &plain.body), ("zstd -d | tar -x", &packed.body)] {
        let folder = tempfile::tempdir().unwrap();
        piped(command, folder.path(), body);
        for object in objects() {
            let file = std::fs::read(folder.path().join(object.name())).unwrap();
            assert!(file == object.bytes, "{command}: {}", object.name());
        }
    }
}

#[tokio::test]
async fn mint_z34_only_the_objects_that_are_named() {
    let server = Server::start();
    let token = server.reader("F001");
    let path = stored(&server, &token).await;
    let all = objects();
    let wanted = [all[1].clone(), all[3].clone()];
    let query = format!("{path}?sop={},{}", wanted[1].instance, wanted[0].instance);
    let again = format!(
        "{path}?sop={}&sop={}",
        wanted[1].instance, wanted[0].instance
    );
    for path in [&query, &again] {
        let named = server.get(path, &token).await;
        assert_eq!(named.status, 200, "{}", named.text());
        let manifest = check(&named.body, &wanted);
        assert_eq!(manifest["objects"].as_array().unwrap().len(), 2);
        let part = get(&server, &token, path, &[("range", "bytes=600-")]).await;
        assert!(part.status == 206 && part.body == named.body[600..]);
    }
    let ask = async |body: Value| {
        let request = server.request(Method::POST, &path, &token).json(&body);
        server.send(request).await
    };
    let list = json!({"objects": wanted.each_ref().map(|object| object.instance.clone())});
    let posted = ask(list).await;
    assert_eq!(posted.status, 200, "{}", posted.text());
    check(&posted.body, &wanted);
    let nothing = ask(json!({"objects": []})).await;
    let manifest = check(&nothing.body, &[]);
    assert_eq!(manifest["objects"], json!([]));
    for missing in ["1.2.3.4.5", "x", ""] {
        let path = format!("{path}?sop={missing},{}", wanted[0].instance);
        assert_eq!(server.get(&path, &token).await.status, 404, "{missing}");
        let posted = ask(json!({"objects": [missing]})).await;
        assert_eq!(posted.status, 404, "{missing}");
    }
    assert_eq!(ask(json!({"objects": 1})).await.status, 400);
    let text = server
        .post(&path, &token, "text/plain", b"x".to_vec())
        .await;
    assert_eq!(text.status, 415);
}

#[tokio::test]
async fn mint_f02_n15_a_study_is_there_for_those_who_may_see_it() {
    let server = Server::start();
    let token = server.reader("F001");
    let path = stored(&server, &token).await;
    let foreign = server.get(&path, &server.reader("F002")).await;
    let nowhere = path.replace(|c: char| c.is_ascii_digit(), "7");
    let nowhere = server.get(&nowhere, &server.reader("F002")).await;
    assert_eq!((foreign.status, nowhere.status), (404, 404));
    assert_eq!(foreign.body, nowhere.body);
    assert_eq!(
        server.get("/mint/studies/x/exact", &token).await.status,
        404
    );
    assert_eq!(
        server
            .get(
                &path
                    .to_uppercase()
                    .replace("/MINT/STUDIES/", "/mint/studies/")
                    .replace("/EXACT", "/exact"),
                &token
            )
            .await
            .status,
        200
    );
    assert_eq!(server.get(&path, "").await.status, 401);
    let writer = server.token("F001", "dicom.write");
    assert_eq!(server.get(&path, &writer).await.status, 403);
}
