//! Uploads of the exact form: offers, objects, receipts (MINT 16.7).

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::exact::{STUDY, object, objects};
use crate::dicomweb::stow_wire::ask_at;
use crate::harness::corpus::sha256;
use crate::harness::exact::{Object, lines, manifest, outcomes, upload};
use crate::harness::{Server, instance, server};

fn uids<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Vec<String> {
    let mut uids: Vec<_> = objects.into_iter().map(|it| it.instance.clone()).collect();
    uids.sort();
    uids
}

/// What a facility has of [`STUDY`], in viewing order.
async fn fetched(server: &Server, token: &str) -> Vec<(String, Vec<u8>)> {
    let uuid = server.study_uuid(token, STUDY).await;
    let answer = server
        .get(&format!("/mint/studies/{uuid}/exact"), token)
        .await;
    let mut files = crate::harness::exact::files(&answer.body);
    files.remove(0);
    files
}

#[tokio::test]
async fn mint_z40_an_offer_says_what_is_wanted_there_and_in_conflict() {
    let server = Server::start();
    let (token, foreign) = (server.reader("F001"), server.reader("F002"));
    let all = objects();
    let manifest = manifest(STUDY, &all);
    let none = json!({"wanted": uids(&all), "there": [], "conflicting": []});
    assert_eq!(server.offer(&token, &manifest).await, none);
    let other = instance(STUDY)
        .uids(STUDY, &all[1].series, &all[1].instance)
        .text(0x0010_0010, "PN", "Other")
        .file();
    server.stored(&token, &[all[0].bytes.clone(), other]).await;
    let offer = server.offer(&token, &manifest).await;
    assert_eq!(offer["there"], json!(uids(&all[..1])));
    assert_eq!(offer["wanted"], json!(uids(&all[2..])));
    let conflict = json!([{"sopInstanceUID": all[1].instance, "reason": "other-object"}]);
    assert_eq!(offer["conflicting"], conflict);
    assert_eq!(offer["version"], 0);
    // What the one facility has the other is not told.
    assert_eq!(server.offer(&foreign, &manifest).await, none);
    // Bytes say themselves which study they are of, whatever the manifest says.
    let mut elsewhere = manifest.clone();
    elsewhere["studyInstanceUID"] = json!("1.2.3.99");
    let offer = server.offer(&token, &elsewhere).await;
    assert_eq!(offer["there"], json!(uids(&all[..1])));
    assert_eq!(offer["study"], Value::Null);
    let reader = server.token("F001", "dicom.read");
    for (token, expected) in [(reader.as_str(), 403), ("", 401), ("x", 401)] {
        let request = server.request(Method::POST, "/mint/exact/offers", token);
        assert_eq!(server.send(request.json(&manifest)).await.status, expected);
        let sent = server.send_exact(token, upload(&manifest, &all)).await;
        assert_eq!(sent.status, expected);
    }
}

#[tokio::test]
async fn mint_z41_z42_z30_objects_are_stored_told_line_by_line_and_receipted() {
    let server = Server::start();
    let token = server.reader("F001");
    let all = objects();
    let manifest = manifest(STUDY, &all);
    // Some of it, and the rest later: the second receipt is for all.
    let first = server
        .send_exact(&token, upload(&manifest, &all[..2]))
        .await;
    assert_eq!(first.header("content-type"), "application/x-ndjson");
    let (told, last) = outcomes(&first);
    let expected = |outcomes: [&str; 4]| {
        let both = all.iter().zip(outcomes);
        let mut told: Vec<_> = both
            .map(|(it, outcome)| (it.name(), outcome.to_owned()))
            .collect();
        told.sort();
        told
    };
    let sorted = |mut told: Vec<(String, String)>| {
        told.sort();
        told
    };
    assert_eq!(
        sorted(told),
        expected(["stored", "stored", "missing", "missing"])
    );
    assert_eq!(last["receipt"]["count"], 2);
    let packed = zstd::stream::encode_all(&upload(&manifest, &all[1..])[..], 1).unwrap();
    let request = server
        .request(Method::POST, "/mint/exact/objects", &token)
        .header("content-type", "application/x-tar")
        .header("content-encoding", "zstd")
        .body(packed);
    let second = server.send(request).await;
    let digests: Vec<_> = lines(&second.body)
        .iter()
        .filter_map(|line| line["sha256"].as_str().map(str::to_owned))
        .collect();
    assert!(all.iter().all(|it| digests.contains(&sha256(&it.bytes))));
    let (told, last) = outcomes(&second);
    assert_eq!(
        sorted(told),
        expected(["there", "there", "stored", "stored"])
    );
    let receipt = &last["receipt"];
    assert_eq!(receipt["count"], 4);
    assert_eq!(receipt["version"], 1);
    assert_eq!(receipt["studyInstanceUID"], STUDY);
    assert_eq!(receipt["study"], server.study_uuid(&token, STUDY).await);
    let expected: Vec<_> = all.iter().map(|it| (it.name(), it.bytes.clone())).collect();
    assert!(fetched(&server, &token).await == expected);

    let path = format!("/mint/exact/receipts/{}", receipt["id"].as_str().unwrap());
    let shown = server.get(&path, &token).await;
    assert_eq!(shown.status, 200, "{}", shown.text());
    let shown = shown.json();
    for name in ["id", "study", "studyInstanceUID", "version", "createdAt"] {
        assert_eq!(shown[name], receipt[name], "{name}");
    }
    let mut held: Vec<_> = all
        .iter()
        .map(|it| json!({"sopInstanceUID": it.instance, "sha256": sha256(&it.bytes)}))
        .collect();
    held.sort_by_key(|one| one["sopInstanceUID"].to_string());
    assert_eq!(shown["objects"], json!(held));
    let foreign = server.get(&path, &server.reader("F002")).await;
    assert_eq!(foreign.status, 404);
    let writer = server.token("F001", "dicom.write");
    assert_eq!(server.get(&path, &writer).await.status, 403);
    assert_eq!(server.get(&path, "").await.status, 401);
    let never = "/mint/exact/receipts/01900000-0000-7000-8000-000000000001";
    let never = server.get(never, &token).await;
    assert_eq!((never.status, never.body), (404, foreign.body));
    assert_eq!(
        server.get("/mint/exact/receipts/x", &token).await.status,
        404
    );
}

/// A body of which parts are sent when the test says so, and the lines that come back meanwhile.
pub(super) struct Wire {
    /// `None` once the body has ended.
    send: Option<mpsc::UnboundedSender<Bytes>>,
    lines: mpsc::UnboundedReceiver<Value>,
    /// Aborted when it is dropped.
    _hearing: JoinSet<()>,
}

impl Wire {
    pub(super) fn open(server: &Server, token: &str) -> Self {
        let (send, body) = mpsc::unbounded_channel();
        let (tell, lines) = mpsc::unbounded_channel();
        let body = stream::unfold(body, async |mut body: mpsc::UnboundedReceiver<Bytes>| {
            let piece = body.recv().await?;
            Some((Ok::<_, std::io::Error>(piece), body))
        });
        let request = server
            .request(Method::POST, "/mint/exact/objects", token)
            .header("content-type", "application/x-tar")
            .body(reqwest::Body::wrap_stream(body));
        let mut hearing = JoinSet::new();
        hearing.spawn(async move {
            let Ok(answer) = request.send().await else {
                return;
            };
            let mut bytes = answer.bytes_stream();
            let mut held = Vec::new();
            while let Some(Ok(piece)) = bytes.next().await {
                held.extend_from_slice(&piece);
                while let Some(end) = held.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = held.drain(..=end).collect();
                    tell.send(serde_json::from_slice(&line).unwrap()).ok();
                }
            }
        });
        Self {
            send: Some(send),
            lines,
            _hearing: hearing,
        }
    }

    pub(super) fn send(&self, bytes: &[u8]) {
        let send = self.send.as_ref().expect("a body that goes on");
        send.send(Bytes::copy_from_slice(bytes)).ok();
    }

    fn end(&mut self) {
        self.send = None;
    }

    /// The next line; `None` at the end.
    pub(super) async fn line(&mut self) -> Option<Value> {
        let next = tokio::time::timeout(Duration::from_mins(1), self.lines.recv()).await;
        next.expect("a line in time")
    }
}

#[tokio::test]
async fn mint_z41_lines_come_while_the_body_runs() {
    let server = Server::start();
    let token = server.reader("F001");
    let small: Vec<_> = (0..5).map(|number| object(1, number, 100)).collect();
    // What came before a large object does not wait for it.
    let large = object(2, 1, 17 << 20);
    let all: Vec<_> = small.iter().chain([&large]).cloned().collect();
    let body = upload(&manifest(STUDY, &all), &all);
    let cut = body.len() - (1 << 20);
    let mut wire = Wire::open(&server, &token);
    let begun = Instant::now();
    wire.send(&body[..cut]);
    for object in &small {
        let line = wire.line().await.unwrap();
        assert_eq!(line["outcome"], "stored", "{line}");
        assert_eq!(line["sopInstanceUID"], object.instance.as_str());
    }
    println!("five lines after {} ms", begun.elapsed().as_millis());
    // They are there for everybody by then.
    assert_eq!(fetched(&server, &token).await.len(), 5);
    wire.send(&body[cut..]);
    wire.end();
    assert_eq!(wire.line().await.unwrap()["outcome"], "stored");
    assert_eq!(wire.line().await.unwrap()["receipt"]["count"], 6);
    assert!(wire.line().await.is_none());
}

#[tokio::test]
async fn mint_z41_what_is_refused_says_why_and_the_rest_is_stored() {
    let server = Server::start();
    let token = server.reader("F001");
    let all = objects();
    let mut wrong = manifest(STUDY, &all);
    // Another digest, another length, another SOP Instance UID than in the file, another study in the file.
    wrong["objects"][0]["sha256"] = json!(sha256(b"other"));
    wrong["objects"][1]["size"] = json!(1);
    let mut posing = all[2].clone();
    posing.instance = "1.2.3.5.2.999".to_owned();
    wrong["objects"][2] = posing.told();
    let stray = Object::new("1.2.9.1.1", "1.2.9.1.1.1", instance("1.2.9").file());
    let announced = wrong["objects"].as_array_mut().unwrap();
    announced.push(stray.told());
    let unknown = Object::new("1.2.9.2", "1.2.9.2.1", b"not announced".to_vec());
    let sent = [
        &all[0], &all[1], &posing, &all[3], &stray, &unknown, &all[3],
    ];
    let answer = server.send_exact(&token, upload(&wrong, sent)).await;
    let (told, last) = outcomes(&answer);
    let of = |object: &Object| -> Vec<&str> {
        let of_it = told.iter().filter(|(name, _)| *name == object.name());
        of_it.map(|(_, outcome)| outcome.as_str()).collect()
    };
    for refused in [&all[0], &all[1], &posing, &stray, &unknown] {
        assert_eq!(
            of(refused),
            ["refused"],
            "{}: {}",
            refused.name(),
            answer.text()
        );
    }
    let mut twice = of(&all[3]);
    twice.sort_unstable();
    assert_eq!(twice, ["refused", "stored"], "{}", answer.text());
    assert_eq!(last["receipt"]["count"], 1, "{last}");
    assert_eq!(
        fetched(&server, &token).await,
        [(all[3].name(), all[3].bytes.clone())]
    );
    for reason in ["SHA-256", "length", "UIDs", "does not name it", "twice"] {
        assert!(
            answer.text().contains(reason),
            "{reason}: {}",
            answer.text()
        );
    }
    let nothing = manifest(STUDY, &all[..1]);
    let answer = server.send_exact(&token, upload(&nothing, [])).await;
    let (told, last) = outcomes(&answer);
    assert_eq!(told, [(all[0].name(), "missing".to_owned())]);
    assert_eq!(last["problem"]["status"], 409);
}

#[tokio::test]
async fn mint_z41_an_upload_that_is_refused_does_not_travel() {
    let server = Server::start();
    server::kura(
        server.data.path(),
        &["facility", "set", "F001", "max_request_bytes=1G"],
    );
    let (token, reading) = (server.reader("F001"), server.token("F001", "dicom.read"));
    let body = upload(&manifest(STUDY, &objects()), &objects());
    let ask = |token: &str, media_type: &str, len: usize, more: &str| {
        let headers = format!(
            "Authorization: Bearer {token}\r\nContent-Type: {media_type}\r\nContent-Length: {len}\r\n{more}"
        );
        ask_at("/mint/exact/objects", &server, &headers)
    };
    let tar = "application/x-tar";
    for (status, (_, answer)) in [
        (401, ask("x", tar, 1 << 40, "")),
        (403, ask(&reading, tar, 1 << 40, "")),
        (413, ask(&token, tar, 1 << 40, "")),
        (415, ask(&token, "text/plain", 9, "")),
        (415, ask(&token, tar, 9, "Content-Encoding: br\r\n")),
    ] {
        let expected = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&expected), "{status}: {answer}");
    }
    let (mut line, answer) = ask(&token, tar, body.len(), "");
    assert!(
        answer.starts_with("HTTP/1.1 100 Continue\r\n\r\n"),
        "{answer}"
    );
    line.write_all(&body).unwrap();
    let mut status = [0; 12];
    line.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
}
