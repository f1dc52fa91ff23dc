//! What a socket can send that no HTTP client would: every answer has a clear status, or the connection is closed, and the
//! process goes on.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::bad_input::{RELATED, good, holds_only, part, parts};
use crate::harness::{Server, instance};

/// A connection that gives up instead of hanging.
fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
        .set_write_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    stream
}

/// Sends bytes and no more; the status of the answer, `None` where the connection was closed without one. The server may
/// answer and close before it has read everything, so a failed write is no failure.
fn exchange(server: &Server, bytes: &[u8]) -> Option<u16> {
    let mut stream = connect(server);
    drop(stream.write_all(bytes));
    status(stream)
}

/// What is answered; a server that waits for more is told after a moment that nothing comes.
fn status(mut stream: TcpStream) -> Option<u16> {
    let mut answer = Vec::new();
    stream
        .set_read_timeout(Some(Duration::from_millis(700)))
        .unwrap();
    let waits = stream
        .read_to_end(&mut answer)
        .is_err_and(|e| e.kind() == ErrorKind::WouldBlock);
    if waits {
        drop(stream.shutdown(Shutdown::Write));
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        let read = stream.read_to_end(&mut answer);
        assert!(
            !read.is_err_and(|e| e.kind() == ErrorKind::WouldBlock),
            "it hangs"
        );
    }
    let text = String::from_utf8_lossy(&answer);
    let status = text
        .strip_prefix("HTTP/1.1 ")
        .or(text.strip_prefix("HTTP/1.0 "))?;
    Some(status[..3].parse().unwrap())
}

/// The head of a request that closes its connection.
fn head(line: &str, token: &str, headers: &str) -> String {
    format!(
        "{line}\r\nHost: kura\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n{headers}\r\n"
    )
}

fn store(token: &str, headers: &str) -> String {
    let headers = format!("Content-Type: {RELATED}\r\n{headers}");
    head("POST /dicomweb/studies HTTP/1.1", token, &headers)
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

#[tokio::test]
async fn t09_s08_transfer_codings_that_are_none_are_refused() {
    let mut server = Server::start();
    let token = server.reader("F001");
    let chunked = "Transfer-Encoding: chunked\r\n";
    let whole = parts(&[&good(90)]);
    let cases: Vec<(&str, &str, Vec<u8>)> = vec![
        ("no size", chunked, b"\r\n\r\n".to_vec()),
        ("a size that is none", chunked, b"ZZ\r\nabc\r\n".to_vec()),
        ("a negative size", chunked, b"-1\r\nabc\r\n".to_vec()),
        (
            "an endless size",
            chunked,
            b"FFFFFFFFFFFFFFFFFFFF\r\nabc\r\n".to_vec(),
        ),
        (
            "the largest size",
            chunked,
            b"FFFFFFFFFFFFFFFF\r\nabc\r\n".to_vec(),
        ),
        (
            "no line end after a chunk",
            chunked,
            b"3\r\nabcXX3\r\nabc".to_vec(),
        ),
        (
            "a length that is none",
            "Content-Length: abc\r\n",
            whole.clone(),
        ),
        ("a negative length", "Content-Length: -5\r\n", whole.clone()),
        (
            "an endless length",
            "Content-Length: 99999999999999999999999\r\n",
            whole.clone(),
        ),
        (
            "two lengths",
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            whole.clone(),
        ),
        (
            "a length and chunks",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            whole.clone(),
        ),
        (
            "a coding that is none",
            "Transfer-Encoding: cubed\r\n",
            whole.clone(),
        ),
    ];
    for (what, headers, body) in cases {
        let status = exchange(
            &server,
            &[store(&token, headers).as_bytes(), &body].concat(),
        );
        println!("{what}: {status:?}");
        assert!(
            matches!(status, None | Some(400 | 413 | 501)),
            "{what}: {status:?}"
        );
        holds_only(&mut server, &token, &[], what).await;
    }
}

#[tokio::test]
async fn t52_a_request_that_breaks_off_leaves_its_complete_parts_and_nothing_half() {
    let mut server = Server::start();
    let token = server.reader("F001");
    let chunked = "Transfer-Encoding: chunked\r\n";
    // The boundary after a part completes it.
    let complete = |n: usize| [part(&good(n)), b"--bb\r\n\r\n".to_vec()].concat();
    type Case<'a> = (&'a str, &'a str, Vec<u8>, &'a [u8]);
    let cases: Vec<Case<'_>> = vec![
        (
            "a size that is none",
            chunked,
            chunk(&complete(1)),
            b"ZZ\r\n",
        ),
        (
            "a chunk that is cut",
            chunked,
            chunk(&complete(2)),
            b"FFFF\r\nabc",
        ),
        (
            "no last chunk",
            chunked,
            chunk(&complete(3)),
            b"3\r\nabc\r\n",
        ),
        (
            "less than the length",
            "Content-Length: 999999\r\n",
            complete(4),
            b"half of the next part",
        ),
        (
            "the largest length",
            "Content-Length: 18446744073709551615\r\n",
            complete(5),
            b"",
        ),
    ];
    let mut there = Vec::new();
    for (at, (what, headers, first, then)) in cases.into_iter().enumerate() {
        let mut stream = connect(&server);
        stream
            .write_all(&[store(&token, headers).as_bytes(), &first].concat())
            .unwrap();
        // Other requests are answered meanwhile, so the first parts have been read.
        server.stored(&token, &[good(50 + at)]).await;
        server.stored(&token, &[good(60 + at)]).await;
        drop(stream.write_all(then));
        let status = status(stream);
        println!("{what}: {status:?}");
        assert!(
            matches!(status, None | Some(202 | 400)),
            "{what}: {status:?}"
        );
        there.extend([1 + at, 50 + at, 60 + at]);
        eventually_holds(&mut server, &token, &there, 1 + at, what).await;
    }
}

/// A request that broke off is settled after its connection is gone, so the test waits for its good part.
async fn eventually_holds(
    server: &mut Server,
    token: &str,
    there: &[usize],
    part: usize,
    what: &str,
) {
    let path = format!("/studies/1.2.3.{part}.1/metadata");
    let started = Instant::now();
    while server.get(&path, token).await.status != 200 {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{what}: {part} is not kept"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    holds_only(server, token, there, what).await;
}

#[tokio::test]
async fn t52_a_reset_in_mid_body_keeps_the_parts_that_were_complete() {
    let mut server = Server::start();
    let token = server.reader("F001");
    for n in 1..=8 {
        let mut stream = connect(&server);
        // Closed with an unread answer in its buffer, a socket sends RST instead of FIN.
        let live = "GET /health/live HTTP/1.1\r\nHost: kura\r\n\r\n";
        stream.write_all(live.as_bytes()).unwrap();
        let mut unread = [0];
        assert_eq!(stream.peek(&mut unread).unwrap(), 1);
        let body = [
            part(&good(n)),
            part(&good(100 + n))[..300 + 40 * n].to_vec(),
        ]
        .concat();
        let head =
            store(&token, "Content-Length: 1000000\r\n").replace("Connection: close\r\n", "");
        stream
            .write_all(&[head.as_bytes(), &body].concat())
            .unwrap();
        drop(stream);
        // Whether the server read the body before the reset is up to the two; half a part is there in neither case.
        let what = format!("reset {n}");
        assert!(server.is_alive(), "{what}");
        assert_eq!(
            server
                .get(&format!("/studies/1.2.3.{}.1/metadata", 100 + n), &token)
                .await
                .status,
            404
        );
    }
    // With the part read for certain: its neighbour is answered for on another connection meanwhile.
    let mut stream = connect(&server);
    let live = "GET /health/live HTTP/1.1\r\nHost: kura\r\n\r\n";
    stream.write_all(live.as_bytes()).unwrap();
    let mut unread = [0];
    assert_eq!(stream.peek(&mut unread).unwrap(), 1);
    let head = store(&token, "Content-Length: 1000000\r\n").replace("Connection: close\r\n", "");
    let body = [part(&good(50)), part(&good(51))[..400].to_vec()].concat();
    stream
        .write_all(&[head.as_bytes(), &body].concat())
        .unwrap();
    for n in 60..64 {
        server.stored(&token, &[good(n)]).await;
    }
    drop(stream);
    let started = Instant::now();
    while server
        .get("/studies/1.2.3.50.1/metadata", &token)
        .await
        .status
        != 200
    {
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "the complete part is lost"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(
        server
            .get("/studies/1.2.3.51.1/metadata", &token)
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn s08_s19_request_lines_of_every_kind_are_refused_without_harm() {
    let mut server = Server::start();
    let token = server.reader("F001");
    server.stored(&token, &[good(1)]).await;
    let long = |len: usize| {
        format!(
            "GET /dicomweb/studies?PatientID={} HTTP/1.1",
            "a".repeat(len)
        )
    };
    let get = |path: &str| format!("GET /dicomweb/studies{path} HTTP/1.1");
    let one = "/1.2.3.1.1/series/1.2.3.1.1.1/instances/1.2.3.1.1.1.1";
    let frames = |list: &str| get(&format!("{one}/frames/{list}"));
    let cases: Vec<(String, &[u16])> = vec![
        (long(70_000), &[400, 414, 431]),
        (long(300_000), &[400, 414, 431]),
        (long(3_000_000), &[400, 414, 431]),
        (
            format!("{}\r\nX-Long: {}", get(""), "x".repeat(3_000_000)),
            &[400, 431],
        ),
        (
            format!("{}\r\n{}X-Last: 1", get(""), "X-Many: 1\r\n".repeat(5000)),
            &[400, 431],
        ),
        (get("/%00"), &[400, 404]),
        (get("/1.2.3.1.1%00/metadata"), &[400, 404]),
        (get("/1.2%2F3/metadata"), &[400, 404]),
        (get("/%2e%2e/%2e%2e/%2e%2e/etc/passwd"), &[400, 404]),
        (get("/../../../../etc/passwd"), &[400, 404]),
        (get("/..%5c..%5clocal-key.pem"), &[400, 404]),
        (get("/%FF%FE/metadata"), &[400, 404]),
        (get("/%zz/metadata"), &[400, 404]),
        (
            get(&format!("/{}/metadata", "1.".repeat(20_000))),
            &[400, 404],
        ),
        (get("//////"), &[200, 400, 404]),
        (get("?%00%FF%FE&=&&&==&%zz=%"), &[200, 400]),
        (get("?PatientName=%FF%FE%00"), &[204, 400]),
        (
            get("?PatientName=%2a%2a%2a%2a%2a%2a%2a%3f%3f%3f%25%5f%27%22%3b--"),
            &[200, 204, 400],
        ),
        (get("?PatientID=%27%20OR%201%3d1%20--"), &[204]),
        (get("?limit=abc"), &[400]),
        (get("?limit=-1"), &[400]),
        (get("?limit=99999999999999999999999999"), &[200, 400]),
        (get("?offset=99999999999999999999999999"), &[200, 204, 400]),
        (get("?offset=18446744073709551615"), &[204, 400]),
        (get("?StudyDate=99999999-00000000"), &[204, 400]),
        (
            get(&format!("?StudyInstanceUID={}", "1.2,".repeat(15_000))),
            &[200, 204, 400],
        ),
        (
            get(&format!("?includefield={}", "all,".repeat(15_000))),
            &[200, 400],
        ),
        (
            get(&"?a=b".replace('b', &"&a=b".repeat(15_000))),
            &[200, 400],
        ),
        (frames("1-10"), &[400]),
        (frames("0"), &[400]),
        (frames("-1"), &[400]),
        (frames(""), &[400, 404]),
        (frames("1,,2"), &[400]),
        (frames(","), &[400]),
        (frames("1%00"), &[400, 404]),
        (frames("%EF%BC%91"), &[400]),
        (frames("1%3B2"), &[400]),
        (frames("99999999999999999999999999999"), &[404]),
        (frames(&format!("1{}", ",1".repeat(30_000))), &[200, 400]),
        (frames(&format!("1{}", ",999999999".repeat(6_000))), &[404]),
        (
            get(&format!("{one}/bulkdata/{}", "7FE00010/0/".repeat(5_000))),
            &[400, 404],
        ),
        (
            get(&format!("{one}/bulkdata/..%2F..%2Flocal-key.pem")),
            &[400, 404],
        ),
        (
            "BREW /dicomweb/studies HTTP/1.1".to_owned(),
            &[400, 404, 405, 501],
        ),
        ("GET  HTTP/1.1".to_owned(), &[400, 404]),
        ("GET /dicomweb/studies HTTP/9.9".to_owned(), &[400, 505]),
        ("GET http://[:::/ HTTP/1.1".to_owned(), &[400, 404]),
        ("\u{16}\u{3}\u{1}\u{2}".to_owned(), &[400]),
        ("PRI * HTTP/2.0\r\n\r\nSM".to_owned(), &[400, 404]),
    ];
    let before = server.memory().0;
    for (line, allowed) in &cases {
        let status = exchange(&server, head(line, &token, "").as_bytes());
        let what: String = line.chars().take(100).collect();
        println!("{what}: {status:?}");
        assert!(
            status.is_none_or(|status| allowed.contains(&status)),
            "{what}: {status:?}"
        );
        assert!(server.is_alive(), "{what}");
    }
    let grown = server.memory().1.saturating_sub(before);
    println!("{} lines, grown by {} KiB", cases.len(), grown >> 10);
    assert!(grown < 100 << 20, "{grown}");
    holds_only(&mut server, &token, &[1], "request lines").await;
}

/// Idle and slow connections do not keep others from being served: neither those of the same facility, as far as its places
/// go, nor any number of them another one.
#[tokio::test]
async fn a_hundred_half_requests_do_not_stop_the_next_one() {
    let mut server = Server::start();
    let (token, other) = (server.reader("F001"), server.reader("F002"));
    let head = store(&token, "Content-Length: 1000000\r\n");
    let begin = |n: usize| {
        let mut stream = connect(&server);
        let half = part(&instance(&format!("1.2.9.{n}")).file());
        let sent = stream.write_all(&[head.as_bytes(), &half[..500]].concat());
        sent.unwrap();
        stream
    };
    let mut open: Vec<TcpStream> = (0..60).map(begin).collect();
    server.stored(&token, &[good(1)]).await;
    open.extend((60..100).map(begin));
    let theirs = instance("1.2.8").file();
    server.stored(&other, &[&theirs]).await;
    holds_only(&mut server, &token, &[1], "while they are open").await;
    drop(open);
    holds_only(&mut server, &token, &[1], "after they are gone").await;
}
