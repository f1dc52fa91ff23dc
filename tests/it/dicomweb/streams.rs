//! Answers on their way: bytes leave as the store gives them, nobody reads on for a caller who left, and what breaks off is
//! seen to have broken off.

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::StreamExt as _;
use reqwest::header::{ACCEPT, RANGE};
use reqwest::{Method, Response};

use crate::harness::backing::{self, Storage};
use crate::harness::{Server, corpus, instance, multipart};

const STUDY: &str = "/studies/1.2.3.700.1";
const SERIES: &str = "/studies/1.2.3.700.1/series/1.2.3.700.1.1";
const STORED: &str = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
const READ: &str = "kura_storage_bytes_total{operation=\"read\"}";

fn watched() -> Server {
    Server::start_set(&[("KURA_METRICS__LISTEN", "127.0.0.1:0")])
}

/// Number `number` of the study.
fn slice(number: usize) -> instance::Builder {
    let uid = format!("1.2.3.700.1.1.{number}");
    instance("1.2.3.700")
        .uids("1.2.3.700.1", "1.2.3.700.1.1", &uid)
        .text(0x0020_0013, "IS", &number.to_string())
}

/// The same with `rows` × 1024 pixels of 16 bits.
fn large(number: usize, rows: u16) -> Vec<u8> {
    let len = usize::from(rows) * 2048;
    slice(number)
        .number(0x0028_0010, rows)
        .number(0x0028_0011, 1024)
        .bytes(0x7FE0_0010, "OW", noise(len, number))
        .file()
}

/// Bytes that do not shrink.
fn noise(len: usize, seed: usize) -> Vec<u8> {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64 ^ (seed as u64 + 1);
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(len).collect()
}

/// One figure of `/metrics`; 0 where there is none.
async fn figure(server: &Server, series: &str) -> u64 {
    let page = server.client.get(format!("{}/metrics", server.metrics()));
    let page = server.send(page).await.text();
    let value = page.lines().find_map(|line| line.strip_prefix(series));
    value.map_or(0, |value| value.trim().parse().unwrap())
}

/// A token of a person who may delete.
fn person(server: &Server) -> String {
    let scope = "dicom.read dicom.write dicom.delete";
    server.person("F001", scope, "hanako")
}

/// Deletes the study; gives the id of the deletion.
async fn delete(server: &Server, token: &str) -> String {
    let answer = server
        .send(server.request(Method::DELETE, STUDY, token))
        .await;
    assert_eq!(answer.status, 204, "{}", answer.text());
    answer.header("x-kura-deletion")
}

/// A request of which only the head has been read.
async fn open(server: &Server, path: &str, token: &str, accept: &str) -> Response {
    let request = server.request(Method::GET, path, token);
    let response = request.header(ACCEPT, accept).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

/// The rest of a body, and whether it came to its end.
async fn rest(response: Response) -> (Vec<u8>, bool) {
    let (mut all, mut pieces) = (Vec::new(), response.bytes_stream());
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => all.extend_from_slice(&piece),
            Err(_) => return (all, false),
        }
    }
    (all, true)
}

/// More than the sockets between server and client hold, so that the server cannot be done while the client waits.
const MORE_THAN_SOCKETS: u64 = 24 << 20;

#[tokio::test]
async fn j25_the_first_metadata_leave_before_the_last_are_read() {
    let server = watched();
    let token = server.reader("F001");
    // Values of 60 KiB stay in the metadata (J33).
    let files: Vec<_> = (0..500)
        .map(|number| {
            let text = STANDARD.encode(noise(45_000, number));
            slice(number).text(0x0010_21B0, "LT", &text).file()
        })
        .collect();
    server.stored(&token, &files).await;
    for path in [format!("{STUDY}/metadata"), format!("{SERIES}/metadata")] {
        let before = figure(&server, READ).await;
        let mut response = open(&server, &path, &token, "application/dicom+json").await;
        let first = response.chunk().await.unwrap().unwrap();
        assert_eq!(first[..2], *b"[{", "no pretty printing");
        let early = figure(&server, READ).await - before;
        let (last, is_whole) = rest(response).await;
        let all = figure(&server, READ).await - before;
        assert!(is_whole && last.ends_with(b"}]"));
        println!(
            "{path}: {early} of {all} bytes were read for the first of {}",
            last.len()
        );
        assert!(last.len() as u64 > MORE_THAN_SOCKETS);
        assert!(early < all - all / 8, "{early} of {all}");
    }
}

#[tokio::test]
async fn w11_who_leaves_is_read_for_no_longer() {
    let server = watched();
    let token = server.reader("F001");
    let files: Vec<_> = (0..20).map(|number| large(number, 1024)).collect();
    server.stored(&token, &files).await;
    for (path, accept) in [
        (STUDY.to_owned(), STORED),
        (STUDY.to_owned(), "application/zip"),
        (
            format!("{STUDY}/pixeldata"),
            "multipart/related; type=\"application/octet-stream\"",
        ),
        // Made anew on the way.
        (
            STUDY.to_owned(),
            "multipart/related; type=\"application/dicom\"; transfer-syntax=1.2.840.10008.1.2.5",
        ),
    ] {
        let before = figure(&server, READ).await;
        let mut response = open(&server, &path, &token, accept).await;
        response.chunk().await.unwrap().unwrap();
        drop(response);
        let left = Instant::now();
        let (mut read, mut last) = (figure(&server, READ).await, Duration::ZERO);
        loop {
            let is_over = figure(&server, "kura_http_requests_in_flight").await == 0;
            let now = figure(&server, READ).await;
            if now != read {
                (read, last) = (now, left.elapsed());
            }
            if is_over {
                break;
            }
            assert!(left.elapsed() < Duration::from_secs(20), "{path} {accept}");
        }
        println!(
            "{accept}: {} bytes read, the last after {last:?}, over after {:?}",
            read - before,
            left.elapsed()
        );
        assert!(last < Duration::from_secs(1), "{path} {accept}");
        server.get("/studies?limit=1", &token).await;
        assert_eq!(figure(&server, READ).await, read, "{path} {accept}");
        assert!(read - before < 40 << 20, "{path} {accept}");
    }
}

#[tokio::test]
async fn w12_what_was_opened_goes_on_when_it_is_deleted() {
    let server = Server::start();
    let token = server.reader("F001");
    let files: Vec<_> = (0..3).map(|number| large(number, 5 << 10)).collect();
    server.stored(&token, &files).await;
    let response = open(&server, STUDY, &token, STORED).await;
    let message = response.headers()["content-type"]
        .to_str()
        .unwrap()
        .to_owned();
    delete(&server, &person(&server)).await;
    assert_eq!(server.get(STUDY, &token).await.status, 404);
    let (body, is_whole) = rest(response).await;
    assert!(is_whole);
    let parts = multipart::read(&message, &body);
    assert_eq!(parts.len(), files.len());
    for (part, file) in parts.iter().zip(&files) {
        assert!(part.body == *file);
    }
}

/// A few instances are opened first, then 200 at a time. The study goes when the second lot has begun to arrive, and long
/// before the server can have asked for the third: that is when half of the second have left.
#[tokio::test]
async fn w12_s34_what_was_not_opened_yet_is_missed_when_it_is_deleted() {
    const ROWS: u16 = 128;
    const EACH: usize = ROWS as usize * 2048;
    const { assert!(100 * EACH as u64 > MORE_THAN_SOCKETS) };
    let server = Server::start();
    let token = server.reader("F001");
    let token_of_a_person = person(&server);
    let files: Vec<_> = (0..240).map(|number| large(number, ROWS)).collect();
    server.stored(&token, &files).await;
    for (accept, end) in [(STORED, &b"--\r\n"[..]), ("application/zip", b"PK\x05\x06")] {
        let mut response = open(&server, STUDY, &token, accept).await;
        let mut begun = 0;
        while begun < 6 * EACH {
            begun += response.chunk().await.unwrap().unwrap().len();
        }
        let id = delete(&server, &token_of_a_person).await;
        let (body, is_whole) = rest(response).await;
        let len = begun + body.len();
        assert!(len > 180 * EACH, "{accept}: {len}");
        assert!(!is_whole, "{accept}: the end is not said to be one");
        let tail = &body[body.len() - 64..];
        assert!(!tail.windows(end.len()).any(|at| at == end), "{accept}");
        let path = format!("/api/v1/deletions/{id}/restore");
        let back = server.request(Method::POST, &path, &token_of_a_person);
        let back = server.send(back.header("if-match", "\"1\"")).await;
        assert_eq!(back.status, 200, "{}", back.text());
    }
}

#[tokio::test]
async fn s34_a_store_that_fails_on_the_way_cuts_the_answer() {
    if backing::skips(
        backing::storage() != Storage::Fs,
        "only of a folder can a test take something away",
    ) {
        return;
    }
    let server = Server::start();
    let token = server.reader("F001");
    // Each in a pack of its own.
    for number in 0..3 {
        server.stored(&token, &[large(number, 6 << 10)]).await;
    }
    let response = open(&server, STUDY, &token, STORED).await;
    let packs = backing::objects(server.data.path(), ".pack").await;
    let blobs = server.data.path().join("blobs");
    for pack in &packs {
        std::fs::remove_file(blobs.join(pack)).unwrap();
    }
    assert_eq!(packs.len(), 3);
    let (body, is_whole) = rest(response).await;
    assert!(!is_whole);
    assert!(body.len() < 3 * (12 << 20), "{}", body.len());
    assert!(!body.ends_with(b"--\r\n"));
    // What does not begin is told by its status.
    let frames = format!("{SERIES}/instances/1.2.3.700.1.1.2/frames/1");
    assert_eq!(server.get(&frames, &token).await.status, 503);
}

#[tokio::test]
async fn f70_a_range_of_an_htj2k_frame_is_that_part_of_its_bytes() {
    let Some(manifest) = corpus::manifest() else {
        return;
    };
    let server = Server::start();
    let mut spread = corpus::Spread::over(&server);
    let mut seen = Vec::new();
    for entry in manifest {
        let syntax = entry.field("transfer_syntax_uid").to_owned();
        let is_asked = ["201", "202", "203"]
            .iter()
            .any(|end| syntax.ends_with(&format!(".4.{end}")));
        if !is_asked {
            continue;
        }
        let Some(stored) = spread.store(&server, &entry).await else {
            continue;
        };
        let path = format!(
            "{}/frames/1",
            stored.path.strip_prefix("/dicomweb").unwrap()
        );
        let single = format!("image/jphc; transfer-syntax={syntax}");
        let message = format!("multipart/related; type=\"image/jphc\"; transfer-syntax={syntax}");
        let get = async |accept: &str, range: &str| {
            let request = server
                .request(Method::GET, &path, &stored.token)
                .header(ACCEPT, accept);
            let request = if range.is_empty() {
                request
            } else {
                request.header(RANGE, range)
            };
            server.send(request).await
        };
        let whole = get(&single, "").await;
        assert_eq!(
            (whole.status, &*whole.header("content-type")),
            (200, &*single)
        );
        let half = whole.body.len() / 2;
        let first = get(&single, &format!("bytes=0-{}", half - 1)).await;
        assert_eq!(first.status, 206, "{}", entry.file);
        assert!(first.body == whole.body[..half]);
        let told = first.header("content-range");
        assert_eq!(told, format!("bytes 0-{}/{}", half - 1, whole.body.len()));
        let rest = get(&single, &format!("bytes={half}-")).await;
        assert!(rest.body == whole.body[half..]);
        // The message, in pieces that fit together.
        let in_parts = get(&message, "").await;
        let len = in_parts.body.len();
        assert_eq!(in_parts.header("content-length"), len.to_string());
        assert!(in_parts.parts()[0].body == whole.body);
        let first = get(&message, "bytes=0-299").await;
        let rest = get(&message, &format!("bytes=300-{}", len - 1)).await;
        assert_eq!((first.status, rest.status), (206, 206));
        assert_eq!(first.header("content-range"), format!("bytes 0-299/{len}"));
        assert!([first.body, rest.body].concat() == in_parts.body);
        seen.push(syntax);
    }
    println!("{} frames in HTJ2K", seen.len());
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn f71_a_frame_leaves_in_pieces_as_the_store_gives_them() {
    let server = watched();
    let token = server.reader("F001");
    // One fragment of 40 MB that says to be HTJ2K; nobody decodes it.
    let frame = noise(40 << 20, 1);
    let mut items = b"\xFE\xFF\x00\xE0\0\0\0\0\xFE\xFF\x00\xE0".to_vec();
    items.extend(u32::try_from(frame.len()).unwrap().to_le_bytes());
    items.extend_from_slice(&frame);
    items.extend(b"\xFE\xFF\xDD\xE0\0\0\0\0");
    let file = slice(1)
        .encapsulated("1.2.840.10008.1.2.4.202", &items)
        .file();
    server.stored(&token, &[file]).await;
    let path = format!("{SERIES}/instances/1.2.3.700.1.1.1/frames/1");
    for accept in [
        "image/jphc; transfer-syntax=1.2.840.10008.1.2.4.202",
        "multipart/related; type=\"image/jphc\"; transfer-syntax=1.2.840.10008.1.2.4.202",
    ] {
        let before = figure(&server, READ).await;
        let started = Instant::now();
        let mut response = open(&server, &path, &token, accept).await;
        let first = response.chunk().await.unwrap().unwrap();
        let took = started.elapsed();
        let early = figure(&server, READ).await - before;
        let (rest, is_whole) = rest(response).await;
        assert!(is_whole);
        println!(
            "first {} bytes after {took:?}, {early} bytes read",
            first.len()
        );
        assert!(early < MORE_THAN_SOCKETS, "{early}");
        let all = [&first[..], &rest].concat();
        assert!(all.windows(64).any(|at| at == &frame[..64]) && all.len() >= frame.len());
    }
}
