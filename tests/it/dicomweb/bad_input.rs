//! Bodies as nobody should send them: a clear status, bounded memory, nothing stored half. The files in them are broken in
//! `bad_files.rs`, what is below HTTP in `bad_wire.rs`.

use serde_json::Value;

use crate::harness::{Answer, Server, instance};

pub(super) const RELATED: &str = "multipart/related; type=\"application/dicom\"; boundary=bb";

/// How much the server may grow, whatever is sent.
pub(super) const MEMORY: u64 = 100 << 20;

/// The file of number `n`, and the last line of its path.
pub(super) fn good(n: usize) -> Vec<u8> {
    instance(&format!("1.2.3.{n}")).file()
}

/// A part with its boundary in front.
pub(super) fn part(file: &[u8]) -> Vec<u8> {
    [
        b"--bb\r\nContent-Type: application/dicom\r\n\r\n",
        file,
        b"\r\n",
    ]
    .concat()
}

pub(super) fn parts(files: &[&[u8]]) -> Vec<u8> {
    files
        .iter()
        .flat_map(|file| part(file))
        .chain(*b"--bb--\r\n")
        .collect()
}

/// The good files of these numbers are there, byte for byte, and nothing else is.
pub(super) async fn holds_only(server: &mut Server, token: &str, numbers: &[usize], what: &str) {
    assert!(server.is_alive(), "{what}");
    let listed = server.get("/instances?limit=5000", token).await;
    let mut found: Vec<String> = match listed.status {
        204 => Vec::new(),
        _ => listed.json().as_array().unwrap().iter().map(uid).collect(),
    };
    found.sort();
    let mut expected: Vec<String> = numbers.iter().map(|n| format!("1.2.3.{n}.1.1.1")).collect();
    expected.sort();
    assert_eq!(found, expected, "{what}");
    for n in numbers {
        let path = format!("/studies/1.2.3.{n}.1/series/1.2.3.{n}.1.1/instances/1.2.3.{n}.1.1.1");
        let all = "application/dicom; transfer-syntax=*";
        assert!(
            server.get_as(&path, token, all).await.body == good(*n),
            "{what}: {n} differs"
        );
    }
}

fn uid(row: &Value) -> String {
    row["00080018"]["Value"][0].as_str().unwrap().to_owned()
}

pub(super) fn items(answer: &Answer, tag: &str) -> Vec<Value> {
    answer.json()[tag]["Value"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

/// Failures of both sequences: their reasons and comments.
pub(super) fn failures(answer: &Answer) -> Vec<(u64, String)> {
    let both = [items(answer, "00081198"), items(answer, "0008119A")].concat();
    let one = |item: &Value| {
        let reason = item["00081197"]["Value"][0].as_u64().expect("a number");
        (
            reason,
            item["00000902"]["Value"][0]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        )
    };
    both.iter().map(one).collect()
}

#[tokio::test]
async fn t40_t52_s08_a_body_that_is_broken_has_a_clear_status_and_keeps_what_was_complete() {
    let mut server = Server::start();
    let token = server.reader("F001");
    let long = format!("{RELATED}{}", "b".repeat(300));
    let head = b"--bb\r\nContent-Type: application/dicom\r\n\r\n".as_slice();
    let many_headers = "x: y\r\n".repeat(170_000);
    let one_header = format!("x: {}\r\n", "y".repeat(1 << 20));
    let with_head = |number: usize, head: &str| {
        let start = format!("--bb\r\n{head}\r\n");
        [start.as_bytes(), &good(number), b"\r\n--bb--\r\n"].concat()
    };
    let half = |number: usize| good(number)[..500].to_vec();
    type Case<'a> = (&'a str, &'a str, Vec<u8>, u16, &'a [usize]);
    let cases: Vec<Case<'_>> = vec![
        ("an empty body", RELATED, Vec::new(), 400, &[]),
        (
            "no boundary named",
            "multipart/related; type=\"application/dicom\"",
            parts(&[&good(1)]),
            400,
            &[],
        ),
        (
            "an empty boundary",
            "multipart/related; boundary=",
            parts(&[&good(1)]),
            415,
            &[],
        ),
        ("an endless boundary", &long, parts(&[&good(1)]), 400, &[]),
        ("the boundary never comes", RELATED, good(1), 400, &[]),
        (
            "another boundary comes",
            "multipart/related; boundary=cc",
            parts(&[&good(1)]),
            400,
            &[],
        ),
        ("zeros", RELATED, vec![0; 3 << 20], 400, &[]),
        ("only the end", RELATED, b"--bb--\r\n".to_vec(), 400, &[]),
        (
            "cut in the first boundary",
            RELATED,
            b"--b".to_vec(),
            400,
            &[],
        ),
        (
            "cut after the first boundary",
            RELATED,
            b"--bb\r\n".to_vec(),
            400,
            &[],
        ),
        (
            "cut in the first headers",
            RELATED,
            head[..20].to_vec(),
            400,
            &[],
        ),
        (
            "cut before the first byte",
            RELATED,
            head.to_vec(),
            400,
            &[],
        ),
        (
            "cut in the first part",
            RELATED,
            [head, &half(1)].concat(),
            400,
            &[],
        ),
        (
            "no boundary after the first part",
            RELATED,
            [head, &good(1)].concat(),
            400,
            &[],
        ),
        (
            "headers that are none",
            RELATED,
            with_head(1, "no colon\r\n"),
            400,
            &[],
        ),
        (
            "a megabyte in one header",
            RELATED,
            with_head(1, &one_header),
            400,
            &[],
        ),
        (
            "a megabyte of headers",
            RELATED,
            with_head(1, &many_headers),
            400,
            &[],
        ),
        (
            "cut in the second part",
            RELATED,
            [part(&good(11)), head.to_vec(), half(2)].concat(),
            202,
            &[11],
        ),
        (
            "no end after two parts",
            RELATED,
            [part(&good(12)), part(&good(13)), head.to_vec(), good(14)].concat(),
            202,
            &[12, 13],
        ),
        (
            "cut in the second headers",
            RELATED,
            [part(&good(15)), head[..20].to_vec()].concat(),
            202,
            &[15],
        ),
        (
            "second headers that are none",
            RELATED,
            [part(&good(16)), with_head(2, "no colon\r\n")].concat(),
            202,
            &[16],
        ),
        (
            "a megabyte of second headers",
            RELATED,
            [part(&good(17)), with_head(2, &many_headers)].concat(),
            202,
            &[17],
        ),
        (
            "a part that says it is short",
            RELATED,
            with_head(20, "Content-Length: 4\r\n"),
            200,
            &[20],
        ),
        (
            "a part that says it is long",
            RELATED,
            with_head(21, "Content-Length: 99999999999999999999\r\n"),
            200,
            &[21],
        ),
        (
            "a part of length minus one",
            RELATED,
            with_head(22, "Content-Length: -1\r\n"),
            200,
            &[22],
        ),
        ("one file, cut", "application/dicom", half(1), 409, &[]),
        ("one file, empty", "application/dicom", Vec::new(), 409, &[]),
        (
            "one file that is none",
            "application/dicom",
            b"<html>".to_vec(),
            409,
            &[],
        ),
    ];
    let mut there = Vec::new();
    let before = server.memory().0;
    for (what, media_type, body, status, stored) in cases {
        let answer = server.post("/studies", &token, media_type, body).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text());
        if matches!(status, 400 | 415) {
            assert_eq!(
                answer.header("content-type"),
                "application/problem+json",
                "{what}"
            );
            assert!(
                answer.json()["detail"].is_string(),
                "{what}: {}",
                answer.text()
            );
        } else {
            assert_eq!(items(&answer, "00081199").len(), stored.len(), "{what}");
            let failed = failures(&answer);
            assert_eq!(
                failed.len(),
                usize::from(status != 200),
                "{what}: {failed:?}"
            );
            assert!(
                failed
                    .iter()
                    .all(|(reason, comment)| *reason == 0xC000 && !comment.is_empty()),
                "{what}: {failed:?}"
            );
        }
        there.extend_from_slice(stored);
        holds_only(&mut server, &token, &there, what).await;
    }
    let grown = server.memory().1.saturating_sub(before);
    println!("grown by {} KiB", grown >> 10);
    assert!(grown < MEMORY, "{grown}");
}

#[tokio::test]
async fn t12_t45_a_hundred_thousand_garbage_parts_get_as_many_outcomes() {
    const COUNT: usize = 100_000;
    let mut server = Server::start();
    let token = server.reader("F001");
    let before = server.memory().0;
    let mut body = Vec::new();
    for number in 0..COUNT {
        body.extend(part(format!("garbage {number}").as_bytes()));
    }
    body.extend_from_slice(b"--bb--\r\n");
    let answer = server.post("/studies", &token, RELATED, body).await;
    assert_eq!(answer.status, 409);
    let failed = failures(&answer);
    assert_eq!(failed.len(), COUNT);
    assert!(failed.iter().all(|(reason, _)| *reason == 0xC000));
    let grown = server.memory().1.saturating_sub(before);
    println!(
        "{COUNT} outcomes, answer {} KiB, grown by {} KiB",
        answer.body.len() >> 10,
        grown >> 10
    );
    assert!(grown < MEMORY, "{grown}");
    holds_only(&mut server, &token, &[], "garbage").await;
}
