//! Long answers: that they are cut where something fails, and that memory does not grow with them.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use futures::StreamExt as _;
use reqwest::{Method, Response};

use super::uuid_of;
use crate::harness::backing::{self, Storage};
use crate::harness::{Server, instance};

/// What the resident memory may grow by (MINT A12).
const ALLOWED: u64 = 64 << 20;

async fn open(server: &Server, uuid: &str, token: &str) -> Response {
    let path = format!("/mint/studies/{uuid}/DICOM/binaryitems/all");
    let request = server.request(Method::GET, &path, token);
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

/// How long the rest of a body is, its end, and whether it came to it.
async fn rest(response: Response) -> (u64, Vec<u8>, bool) {
    let (mut len, mut end, mut pieces) = (0, Vec::new(), response.bytes_stream());
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else {
            return (len, end, false);
        };
        len += piece.len() as u64;
        end.extend_from_slice(&piece);
        end.drain(..end.len().saturating_sub(64));
    }
    (len, end, true)
}

#[tokio::test]
async fn mint_i18_what_fails_on_the_way_is_cut_and_never_ended() {
    let elsewhere = backing::storage() != Storage::Fs;
    if backing::skips(elsewhere, "only of a folder can a test take something away") {
        return;
    }
    let server = Server::start();
    let token = server.reader("F001");
    // Each in a pack of its own.
    for number in 1..=3 {
        let large = instance("1.2.3")
            .uids("1.2.3.1", "1.2.3.1.1", &format!("1.2.3.1.1.{number}"))
            .number(0x0028_0010, 2048)
            .number(0x0028_0011, 4096)
            .bytes(0x7FE0_0010, "OW", vec![number; 16 << 20]);
        server.stored(&token, &[large.file()]).await;
    }
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    let response = open(&server, &uuid, &token).await;
    let told = response.content_length().unwrap();
    let blobs = server.data.path().join("blobs");
    for pack in backing::objects(server.data.path(), ".pack").await {
        std::fs::remove_file(blobs.join(pack)).unwrap();
    }
    let (len, end, is_whole) = rest(response).await;
    assert!(!is_whole && len < told, "{len} of {told}");
    assert!(!end.ends_with(b"--"));
    let path = format!("/mint/studies/{uuid}/DICOM/binaryitems/2");
    assert_eq!(server.get(&path, &token).await.status, 503);
}

/// Slow: fifty thousand parts.
#[tokio::test]
async fn mint_i19_memory_does_not_grow_with_items() {
    let server = Server::start();
    let token = server.reader("F001");
    let frames = 50_000_u32;
    let pixels: Vec<u8> = (0..frames)
        .flat_map(|frame| [frame.to_le_bytes(); 4].concat())
        .collect();
    let long = instance("1.2.3")
        .text(0x0028_0008, "IS", &frames.to_string())
        .number(0x0028_0100, 8)
        .number(0x0028_0101, 8)
        .number(0x0028_0102, 7)
        .bytes(0x7FE0_0010, "OW", pixels);
    server.stored(&token, &[long.file()]).await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    let path = format!("/mint/studies/{uuid}/DICOM/binaryitems/49999");
    let last = server.get(&path, &token).await;
    assert_eq!(last.body, [(frames - 1).to_le_bytes(); 4].concat());
    let before = server.memory().0;
    let response = open(&server, &uuid, &token).await;
    let told = response.content_length().unwrap();
    let (len, end, is_whole) = rest(response).await;
    assert!(
        is_whole && len == told && end.ends_with(b"--"),
        "{len} of {told}"
    );
    let grew = server.memory().1.saturating_sub(before);
    println!("{frames} items, {len} bytes: grew by {} MB", grew >> 20);
    assert!(grew < ALLOWED, "grew by {} MB", grew >> 20);
}

/// Reads one answer off a connection: its status line, and its body by Content-Length.
fn answer(socket: &mut BufReader<TcpStream>) -> (String, Vec<u8>) {
    let mut status = String::new();
    socket.read_line(&mut status).unwrap();
    let mut len = 0;
    loop {
        let mut line = String::new();
        socket.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            len = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; len];
    socket.read_exact(&mut body).unwrap();
    (status, body)
}

#[tokio::test]
async fn mint_z53_requests_that_do_not_wait_are_answered_in_turn() {
    let server = Server::start();
    let token = server.reader("F001");
    let loop_of = instance("1.2.3")
        .text(0x0028_0008, "IS", "16")
        .number(0x0028_0100, 8)
        .number(0x0028_0101, 8)
        .number(0x0028_0102, 7)
        .bytes(0x7FE0_0010, "OW", (0..=255).collect());
    server.stored(&token, &[loop_of.file()]).await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    let all = open(&server, &uuid, &token).await;
    rest(all).await;
    let address = server.base.strip_prefix("http://").unwrap().to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let mut socket = TcpStream::connect(&address).unwrap();
        for number in 0..16 {
            let last = if number == 15 { "close" } else { "keep-alive" };
            let request = format!(
                "GET /mint/studies/{uuid}/DICOM/binaryitems/{number} HTTP/1.1\r\nHost: {address}\r\n\
                 Authorization: Bearer {token}\r\nConnection: {last}\r\n\r\n"
            );
            socket.write_all(request.as_bytes()).unwrap();
        }
        let mut socket = BufReader::new(socket);
        (0..16).map(|_| answer(&mut socket)).collect::<Vec<_>>()
    });
    for (number, (status, body)) in (0_u8..).zip(read.await.unwrap()) {
        assert!(status.starts_with("HTTP/1.1 200"), "{status}");
        let expected: Vec<u8> = (number * 16..=number * 16 + 15).collect();
        assert_eq!(body, expected);
    }
}

/// Rows come by 250; a page that is full to the last may be the last.
#[tokio::test]
async fn mint_n10_a_study_of_exactly_two_pages_of_rows_has_every_item_once() {
    let server = Server::start();
    let token = server.reader("F001");
    let files: Vec<_> = (1..=500)
        .map(|number| {
            let uid = format!("1.2.3.1.1.{number}");
            let one = instance("1.2.3").uids("1.2.3.1", "1.2.3.1.1", &uid);
            one.number(0x0028_0010, 2)
                .number(0x0028_0011, 2)
                .bytes(0x7FE0_0010, "OW", vec![7; 8])
                .file()
        })
        .collect();
    server.stored(&token, &files).await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    // The first answer finds where the items lie, the second knows it.
    for _ in 0..2 {
        let path = format!("/mint/studies/{uuid}/DICOM/binaryitems/all");
        let all = server.get(&path, &token).await;
        assert_eq!(all.header("content-length"), all.body.len().to_string());
        let parts = String::from_utf8_lossy(&all.body);
        let numbers = parts.lines().filter_map(|line| {
            line.strip_prefix("Content-ID: <")?
                .split('@')
                .next()?
                .parse::<u32>()
                .ok()
        });
        assert!(numbers.eq(0..500_u32));
    }
}
