//! Health, and how the process stops.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use crate::harness::backing::{self, Storage};
use crate::harness::server::wait_for;
use crate::harness::{Server, instance, multipart};

#[tokio::test]
async fn ready_names_the_part_that_fails_in_one_word() {
    if backing::skips(
        backing::storage() != Storage::Fs,
        "it takes the folder away",
    ) {
        return;
    }
    let server = Server::start();
    let ready = server.get("/health/ready", "").await;
    assert_eq!(
        (ready.status, ready.text().as_str()),
        (200, "database good\nstorage good\nschema good\n")
    );
    let blobs = server.data.path().join("blobs");
    let away = server.data.path().join("blobs-away");
    std::fs::rename(&blobs, &away).unwrap();
    let failed = server.get("/health/ready", "").await;
    assert_eq!(
        (failed.status, failed.text().as_str()),
        (503, "database good\nstorage failed\nschema good\n")
    );
    assert_eq!(failed.header("retry-after"), "5");
    assert_eq!(server.get("/health/live", "").await.status, 200);
    std::fs::rename(&away, &blobs).unwrap();
    assert_eq!(server.get("/health/ready", "").await.status, 200);
}

/// A store that has sent half of its body.
fn half(server: &Server, token: &str) -> (TcpStream, Vec<u8>) {
    begin(server, token, &[instance("1.2.3").file()], 400)
}

/// A store that has sent the first bytes of its body, with the rest.
fn begin(server: &Server, token: &str, files: &[Vec<u8>], bytes: usize) -> (TcpStream, Vec<u8>) {
    let (media_type, body) = multipart::write(files);
    let mut stream = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let head = format!(
        "POST /dicomweb/studies HTTP/1.1\r\nHost: kura\r\nAuthorization: Bearer {token}\r\nContent-Type: {media_type}\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut leave = [0; 25];
    stream.read_exact(&mut leave).unwrap();
    assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
    let (first, rest) = body.split_at(bytes);
    stream.write_all(first).unwrap();
    (stream, rest.to_vec())
}

#[tokio::test]
async fn a_stop_is_announced_then_finishes_what_runs_and_ends_with_0() {
    let mut server = Server::start_set(&[("KURA_SHUTDOWN_DELAY_S", "2")]);
    let token = server.reader("F001");
    let (mut stream, rest) = half(&server, &token);
    server.signal("TERM");
    let stopping = loop {
        let ready = server.get("/health/ready", "").await;
        if ready.status == 503 {
            break ready;
        }
    };
    assert!(
        stopping.text().contains("process stopping"),
        "{}",
        stopping.text()
    );
    assert_eq!(server.get("/health/live", "").await.status, 200);
    // After the delay nobody new gets in, and the one who is in is still served.
    let address = server.base.trim_start_matches("http://").to_owned();
    wait_for(Duration::from_secs(20), || {
        TcpStream::connect(&address).is_err().then_some(())
    });
    assert!(server.is_alive());
    stream.write_all(&rest).unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    assert_eq!(server.code(), Some(0));
    assert!(server.log().iter().any(|line| line.contains("stopped")));
}

#[tokio::test]
async fn what_does_not_come_to_its_end_is_cut_off_in_time() {
    if backing::forgets() {
        return;
    }
    let mut server = Server::start_set(&[("KURA_SHUTDOWN_TIMEOUT_S", "1")]);
    let token = server.reader("F001");
    let files = ["1.2.3", "1.2.4"].map(|uid| instance(uid).file());
    let cut = files[0].len() + 400;
    let (stream, _) = begin(&server, &token, &files, cut);
    // Others are answered meanwhile, so the first part has been read.
    server.stored(&token, &[instance("1.2.5").file()]).await;
    server.signal("TERM");
    assert_eq!(server.code(), Some(0));
    drop(stream);
    let again = Server::start_on(std::sync::Arc::clone(&server.data));
    let status = async |uid: &str| {
        let path = format!("/studies/{uid}.1/metadata");
        again.get(&path, &token).await.status
    };
    assert_eq!(status("1.2.3").await, 200, "its first part was whole");
    assert_eq!(status("1.2.4").await, 404);
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let mut server = Server::start();
    let token = server.reader("F001");
    let (stream, _) = half(&server, &token);
    server.signal("TERM");
    wait_for(Duration::from_secs(10), || {
        let log = server.log();
        log.iter()
            .find(|line| line.contains("stopping"))
            .map(|_| ())
    });
    server.signal("TERM");
    assert_eq!(server.code(), Some(1));
    drop(stream);
}
