//! Uploads that nobody means well: they are refused in bounded memory, and what was good before them is stored (MINT F07).

use reqwest::Method;
use serde_json::json;

use super::exact::{STUDY, object, objects};
use crate::harness::corpus::sha256;
use crate::harness::exact::{lines, manifest, outcomes, tar, upload};
use crate::harness::{Answer, Server};

async fn send(server: &Server, token: &str, coding: &str, body: Vec<u8>) -> Answer {
    let request = server
        .request(Method::POST, "/mint/exact/objects", token)
        .header("content-type", "application/x-tar")
        .header("content-encoding", coding)
        .body(body);
    server.send(request).await
}

#[tokio::test]
async fn mint_f07_z41_what_is_no_upload_is_refused_by_its_status() {
    let server = Server::start();
    let token = server.reader("F001");
    let all = objects();
    let good = upload(&manifest(STUDY, &all), &all);
    let of = |text: &str| tar(&[("manifest.json".to_owned(), text.as_bytes())]);
    for (status, body) in [
        (400, Vec::new()),
        (400, b"no tar file at all".repeat(100)),
        (400, good[..300].to_vec()),
        (400, good[..700].to_vec()),
        (400, vec![0; 10_240]),
        (400, tar(&[(all[0].name(), &all[0].bytes[..])])),
        (400, of("")),
        (400, of("{")),
        (400, of(r#"{"studyInstanceUID":"../../etc","objects":[]}"#)),
        (
            400,
            of(
                r#"{"studyInstanceUID":"1.2","objects":[{"name":"../x.dcm","size":1,"sha256":"","sopInstanceUID":"x"}]}"#,
            ),
        ),
        (400, of(&"[".repeat(100_000))),
    ] {
        let answer = server.send_exact(&token, body).await;
        assert_eq!(answer.status, status, "{}", answer.text());
    }
    let other = server.post(
        "/mint/exact/objects",
        &token,
        "application/zip",
        good.clone(),
    );
    assert_eq!(other.await.status, 415);
    let cut = zstd::stream::encode_all(&good[..], 1).unwrap();
    assert_eq!(
        send(&server, &token, "zstd", cut[..40].to_vec())
            .await
            .status,
        400
    );
    assert_eq!(
        send(&server, &token, "gzip", good.clone()).await.status,
        400
    );
    assert_eq!(send(&server, &token, "br", good).await.status, 415);
    assert_eq!(server.get("/studies", &token).await.status, 204);
}

#[tokio::test]
async fn mint_f07_z41_a_tar_file_that_is_cut_or_bent_keeps_what_was_whole() {
    let server = Server::start();
    let token = server.reader("F001");
    let all = objects();
    let body = upload(&manifest(STUDY, &all[..2]), &all[..2]);
    let second = body.windows(4).rposition(|it| it == b"DICM").unwrap();
    // In the second object, in its header, and without an end.
    let cut_at = [second + 50, second - 128 - 300, body.len() - 1024];
    for (number, cut) in cut_at.into_iter().enumerate() {
        let answer = server.send_exact(&token, body[..cut].to_vec()).await;
        let (told, last) = outcomes(&answer);
        assert_eq!(last["problem"]["status"], 400, "{}", answer.text());
        let first = if number == 0 { "stored" } else { "there" };
        let expected = (all[0].name(), first.to_owned());
        assert!(told.contains(&expected), "{cut}: {told:?}");
    }
    let (announced, sent) = (manifest(STUDY, &all[2..]), &all[2..]);
    let good = upload(&announced, sent);
    let first = 512 + announced.to_string().len().next_multiple_of(512);
    let bent = |at: usize| {
        let mut bent = good.clone();
        bent[at] ^= 1;
        bent
    };
    // A byte of a header, and one of a pixel.
    let answer = server.send_exact(&token, bent(first)).await;
    assert_eq!(outcomes(&answer).1["problem"]["status"], 400);
    let answer = server.send_exact(&token, bent(first + 40_000)).await;
    let (told, last) = outcomes(&answer);
    let expected = [(&sent[0], "refused"), (&sent[1], "stored")];
    assert_eq!(
        told,
        expected.map(|(it, what)| (it.name(), what.to_owned()))
    );
    assert!(answer.text().contains("SHA-256"), "{}", answer.text());
    assert_eq!(last["receipt"]["count"], 1, "{last}");
    // A header that promises more than there is.
    let short = object(1, 77, 100);
    let mut lie = manifest(STUDY, std::slice::from_ref(&short));
    lie["objects"][0]["size"] = json!(1_u64 << 40);
    let text = lie.to_string();
    let mut lying = tar(&[("manifest.json".to_owned(), text.as_bytes())]);
    lying.truncate(lying.len() - 1024);
    let mut header = tar::Header::new_gnu();
    header.set_path(short.name()).unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    lying.extend_from_slice(header.as_bytes());
    lying.extend_from_slice(&short.bytes);
    let answer = server.send_exact(&token, lying).await;
    let (told, last) = outcomes(&answer);
    assert_eq!(
        told,
        [(short.name(), "refused".to_owned())],
        "{}",
        answer.text()
    );
    assert_eq!(last["problem"]["status"], 400);
}

#[tokio::test]
async fn mint_f07_z40_names_lead_nowhere() {
    let server = Server::start();
    let token = server.reader("F001");
    let all = objects();
    let text = manifest(STUDY, &all).to_string();
    let mut files = vec![("manifest.json".to_owned(), text.as_bytes())];
    let evil = [
        format!("../{}", all[0].name()),
        format!("/{}", all[0].name()),
        format!("{}/../{}", all[0].name(), all[0].name()),
        "../../../../etc/passwd".to_owned(),
        "manifest.json".to_owned(),
        "\u{1b}[2J\n\"".to_owned(),
        format!("{}.dcm", "9".repeat(90)),
    ];
    for name in &evil {
        files.push((name.clone(), &all[0].bytes));
    }
    files.push((all[0].name(), &all[0].bytes));
    let answer = server.send_exact(&token, tar(&files)).await;
    let (told, last) = outcomes(&answer);
    let refused = told.iter().filter(|(_, outcome)| outcome == "refused");
    assert_eq!(refused.count(), evil.len(), "{}", answer.text());
    assert_eq!(last["receipt"]["count"], 1);
}

/// Slow: bombs of hundreds of megabytes.
#[tokio::test]
async fn mint_f07_z45_bombs_and_endless_lists_are_refused_in_bounded_memory() {
    let server = Server::start_set(&[("KURA_LIMITS__EXPANDED_BYTES", "60000000")]);
    let token = server.reader("F001");
    let all = objects();
    server.stored(&token, &[all[0].bytes.clone()]).await;
    let before = server.memory().0;
    let digest = sha256(b"x");
    let endless: Vec<String> = (0..200_000)
        .map(|number| {
            format!(r#"{{"name":"1.2/1.{number}.dcm","size":1,"sha256":"{digest}","sopInstanceUID":"1.{number}"}}"#)
        })
        .collect();
    let endless = format!(
        r#"{{"studyInstanceUID":"1.2","objects":[{}]}}"#,
        endless.join(",")
    );
    let offer = server
        .request(Method::POST, "/mint/exact/offers", &token)
        .header("content-type", "application/json")
        .body(endless.clone());
    let offer = server.send(offer).await;
    assert_eq!(offer.status, 413, "{}", offer.text());
    let sent = tar(&[("manifest.json".to_owned(), endless.as_bytes())]);
    assert_eq!(server.send_exact(&token, sent).await.status, 413);
    let spaces = vec![b' '; 300 << 20];
    let packed = zstd::stream::encode_all(&spaces[..], 1).unwrap();
    let offer = server
        .request(Method::POST, "/mint/exact/offers", &token)
        .header("content-type", "application/json")
        .header("content-encoding", "zstd")
        .body(packed);
    assert_eq!(server.send(offer).await.status, 413);
    let sent = tar(&[("manifest.json".to_owned(), &spaces[..])]);
    let sent = zstd::stream::encode_all(&sent[..], 1).unwrap();
    assert_eq!(send(&server, &token, "zstd", sent).await.status, 413);
    let large = object(1, 2, 200 << 20);
    let sent = upload(&manifest(STUDY, std::slice::from_ref(&large)), [&large]);
    let sent = zstd::stream::encode_all(&sent[..], 1).unwrap();
    let answer = send(&server, &token, "zstd", sent).await;
    let last = lines(&answer.body).pop().unwrap();
    assert_eq!(last["problem"]["status"], 413, "{last}");
    let grown = server.memory().1.saturating_sub(before);
    println!("bombs and lists: grown by {} MiB", grown >> 20);
    assert!(grown < 100 << 20, "{grown}");
}
