//! How a store travels: packed (T10), or not at all (T13, S24).

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Method;

use crate::harness::{Server, instance, multipart, server};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).unwrap()
}

async fn packed(
    server: &Server,
    token: &str,
    coding: &str,
    media_type: &str,
    body: Vec<u8>,
) -> crate::harness::Answer {
    let request = server
        .request(Method::POST, "/studies", token)
        .header("content-type", media_type)
        .header("content-encoding", coding)
        .body(body);
    server.send(request).await
}

#[tokio::test]
async fn t10_a_packed_body_is_stored_as_what_it_expands_to() {
    let server = Server::start();
    let token = server.reader("F001");
    for (number, (coding, pack)) in [
        ("gzip", gzip as fn(&[u8]) -> Vec<u8>),
        ("zstd", zstd),
        ("identity", <[u8]>::to_vec),
    ]
    .iter()
    .enumerate()
    {
        let file = instance(&format!("1.2.3.{number}"))
            .bytes(0x7FE0_0010, "OW", vec![7; 500_000])
            .file();
        let (media_type, body) = multipart::write(&[&file]);
        let answer = packed(&server, &token, coding, &media_type, pack(&body)).await;
        assert_eq!(answer.status, 200, "{coding}: {}", answer.text());
        let uid = format!("1.2.3.{number}");
        let path = format!("/studies/{uid}.1/series/{uid}.1.1/instances/{uid}.1.1.1");
        let back = server
            .get_as(&path, &token, "application/dicom; transfer-syntax=*")
            .await;
        assert!(back.body == file, "{coding}");
        let cut = packed(
            &server,
            &token,
            coding,
            &media_type,
            pack(&body)[..300].to_vec(),
        )
        .await;
        assert_eq!(cut.status, 400, "{coding}: {}", cut.text());
    }
    let (media_type, body) = multipart::write(&[instance("1.2.4").file()]);
    let other = packed(&server, &token, "br", &media_type, body.clone()).await;
    assert_eq!(other.status, 415, "{}", other.text());
    assert!(other.text().contains("zstd"), "{}", other.text());
    let wrong = packed(&server, &token, "gzip", &media_type, body).await;
    assert_eq!(wrong.status, 400, "{}", wrong.text());
}

#[tokio::test]
async fn t10_a_bomb_is_refused_in_bounded_memory() {
    let server = Server::start_set(&[("KURA_LIMITS__EXPANDED_BYTES", "8000000")]);
    let token = server.reader("F001");
    let file = instance("1.2.3").file();
    server.stored(&token, &[&file]).await;
    let before = server.memory().1;
    let zeros = vec![0; 256 << 20];
    let huge = instance("1.2.4").bytes(0x7FE0_0010, "OW", zeros).file();
    let (media_type, body) = multipart::write(&[&huge]);
    for (coding, body) in [("gzip", gzip(&body)), ("zstd", zstd(&body))] {
        let answer = packed(&server, &token, coding, &media_type, body).await;
        assert_eq!(answer.status, 413, "{coding}: {}", answer.text());
    }
    let grown = server.memory().1.saturating_sub(before);
    println!("two bombs of 256 MiB: grown by {} KiB", grown >> 10);
    assert!(grown < 64 << 20, "{grown}");
    assert_eq!(
        server.get("/studies/1.2.4.1/series", &token).await.status,
        404
    );
}

/// Sends the head of a store that waits for leave; what is answered before a byte of the body.
pub(super) fn ask(server: &Server, headers: &str) -> (TcpStream, String) {
    ask_at("/dicomweb/studies", server, headers)
}

/// The same for what is stored at a path.
pub fn ask_at(path: &str, server: &Server, headers: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: kura\r\nExpect: 100-continue\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 4096];
    let read = stream.read(&mut answer).unwrap();
    let text = String::from_utf8_lossy(&answer[..read]).into_owned();
    (stream, text)
}

#[tokio::test]
async fn t13_a_refused_store_does_not_travel() {
    let server = Server::start();
    server::kura(
        server.data.path(),
        &["facility", "set", "F001", "max_request_bytes=1G"],
    );
    let token = server.reader("F001");
    let reading = server.token("F001", "dicom.read");
    let (media_type, body) = multipart::write(&[instance("1.2.3").file()]);
    let length = body.len();
    let with = |token: &str, media_type: &str, length: u64, more: &str| {
        format!(
            "Authorization: Bearer {token}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n{more}"
        )
    };
    let long = 1 << 40;
    for (status, headers) in [
        (
            401,
            format!("Content-Type: {media_type}\r\nContent-Length: {long}\r\n"),
        ),
        (401, with("x", &media_type, long, "")),
        (403, with(&reading, &media_type, long, "")),
        (406, with(&token, &media_type, 9, "Accept: image/png\r\n")),
        (413, with(&token, &media_type, long, "")),
        (415, with(&token, "text/plain", 9, "")),
        (
            415,
            with(&token, &media_type, 9, "Content-Encoding: br\r\n"),
        ),
    ] {
        let (_, answer) = ask(&server, &headers);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{status}: {answer}"
        );
        assert!(answer.contains("application/problem+json"), "{answer}");
    }
    let (mut stream, answer) = ask(&server, &with(&token, &media_type, length as u64, ""));
    assert!(
        answer.starts_with("HTTP/1.1 100 Continue\r\n\r\n"),
        "{answer}"
    );
    stream.write_all(&body).unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
}

#[tokio::test]
async fn s19_a_head_that_is_too_long_is_told_which_part_is() {
    let server = Server::start();
    let token = server.reader("F001");
    let long = |len: usize| format!("/studies?PatientID={}", "a".repeat(len));
    let fits = server.get(&long(60_000), &token).await;
    assert_ne!(fits.status, 414);
    let line = server.get(&long(65_200), &token).await;
    assert_eq!(line.status, 414, "{}", line.text());
    assert_eq!(line.header("content-type"), "application/problem+json");
    let request = server
        .request(Method::GET, "/studies", &token)
        .header("x-long", "x".repeat(70_000));
    let headers = server.send(request).await;
    assert_eq!(headers.status, 431, "{}", headers.text());
    assert_eq!(headers.header("content-type"), "application/problem+json");
}

#[tokio::test]
async fn a_head_that_does_not_arrive_in_time_is_given_up() {
    let server = Server::start_set(&[("KURA_LIMITS__HEADER_TIMEOUT_S", "1")]);
    let mut stream = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream.write_all(b"GET /health/live HTTP/1.1\r\n").unwrap();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    assert!(!read.is_err_and(|e| e.kind() == ErrorKind::WouldBlock));
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"));
}

#[tokio::test]
async fn t52_s24_a_sender_who_falls_silent_gives_its_place_up() {
    let server = Server::start_set(&[
        ("KURA_LIMITS__UPLOADS", "1"),
        ("KURA_LIMITS__BODY_IDLE_S", "1"),
    ]);
    let token = server.reader("F001");
    let files = ["1.2.3", "1.2.4"].map(|uid| instance(uid).file());
    let (media_type, body) = multipart::write(&files);
    let headers = format!(
        "Authorization: Bearer {token}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\n",
        body.len()
    );
    let (mut stream, _) = ask(&server, &headers);
    stream.write_all(&body[..files[0].len() + 400]).unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 202", "the first part was whole");
    let found = server.get("/studies/1.2.3.1/metadata", &token).await;
    assert_eq!(found.status, 200);
    server.stored(&token, &files[1..]).await;
}
