//! HTTP/2 without TLS: many streams of one connection, under the limits that HTTP/1.1 has.

use std::io::{Read as _, Write as _};
use std::net::TcpStream as Blocking;
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::join_all;
use h2::client::{self, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http::{Method, Request, Response};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::harness::{Server, instance, multipart};

const INSTANCE: &str =
    "/dicomweb/studies/1.2.3.800.1/series/1.2.3.800.1.1/instances/1.2.3.800.1.1.1";
const OCTETS: &str = "application/octet-stream";
/// What OHIF has under way by default, together.
const STREAMS: usize = 200;
/// Bytes of a frame.
const FRAME: usize = 256 * 256 * 2;

/// A connection under way, which ends when it is dropped.
type Under = JoinSet<Result<(), h2::Error>>;

async fn connect(server: &Server) -> (SendRequest<Bytes>, Under) {
    let io = TcpStream::connect(&server.base[7..]).await.unwrap();
    let (requests, connection) = client::handshake(io).await.unwrap();
    let mut under = JoinSet::new();
    under.spawn(connection);
    (requests, under)
}

fn request(server: &Server, method: Method, path: &str, token: &str) -> http::request::Builder {
    let request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", server.base));
    if token.is_empty() {
        return request;
    }
    request.header("authorization", format!("Bearer {token}"))
}

/// Waits for the end of a connection that the server closes.
async fn ended(mut under: Under) {
    let next = tokio::time::timeout(Duration::from_secs(10), under.join_next()).await;
    let next = next.expect("the server closes it");
    next.unwrap().unwrap().unwrap();
}

/// Sends a request without a body.
async fn begin(requests: &SendRequest<Bytes>, request: http::request::Builder) -> ResponseFuture {
    let mut requests = requests.clone().ready().await.unwrap();
    let request = request.body(()).unwrap();
    requests.send_request(request, true).unwrap().0
}

/// All of a body.
async fn whole(mut body: RecvStream) -> Result<Vec<u8>, h2::Error> {
    let mut all = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        all.extend_from_slice(&piece);
        body.flow_control().release_capacity(piece.len()).unwrap();
    }
    Ok(all)
}

async fn get(
    requests: &SendRequest<Bytes>,
    request: http::request::Builder,
) -> (Response<()>, Vec<u8>) {
    let response = begin(requests, request).await.await.unwrap();
    let (head, body) = response.into_parts();
    (Response::from_parts(head, ()), whole(body).await.unwrap())
}

fn header<'a>(response: &'a Response<()>, name: &str) -> &'a str {
    let value = response.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

/// Frame `number`, from 0.
fn frame(number: usize) -> Vec<u8> {
    (0..FRAME)
        .map(|at| u8::try_from((at * 7 + number) % 253).unwrap())
        .collect()
}

/// `frames` frames.
fn film(frames: usize) -> Vec<u8> {
    instance("1.2.3.800")
        .text(0x0028_0008, "IS", &frames.to_string())
        .number(0x0028_0010, 256)
        .number(0x0028_0011, 256)
        .bytes(0x7FE0_0010, "OW", (0..frames).flat_map(frame).collect())
        .file()
}

#[tokio::test]
async fn c30_two_hundred_frames_come_on_one_connection() {
    let server = Server::start();
    let token = server.reader("F001");
    server.stored(&token, &[film(STREAMS)]).await;
    let before = server.memory().0;
    let (requests, _connection) = connect(&server).await;
    // None is read before all have begun: what the client takes at a time is less than one frame.
    let heads = (1..=STREAMS).map(async |number| {
        let path = format!("{INSTANCE}/frames/{number}");
        let request = request(&server, Method::GET, &path, &token).header("accept", OCTETS);
        begin(&requests, request).await.await.unwrap()
    });
    let begun = join_all(heads).await;
    assert_eq!(begun.len(), STREAMS);
    for response in &begun {
        assert_eq!(
            (response.status(), response.version()),
            (http::StatusCode::OK, http::Version::HTTP_2)
        );
        assert_eq!(response.headers()["content-length"], FRAME.to_string());
    }
    let bodies = join_all(begun.into_iter().map(|it| whole(it.into_body()))).await;
    for (number, body) in bodies.into_iter().enumerate() {
        assert!(body.unwrap() == frame(number), "{number}");
    }
    let (_, peak) = server.memory();
    println!(
        "{STREAMS} frames at a time: resident {} MB before, at most {} MB",
        before >> 20,
        peak >> 20
    );
    assert!(peak.saturating_sub(before) < 64 << 20, "{peak}");
}

/// A client that nobody wrote for this test.
#[tokio::test]
async fn c30_curl_speaks_both_protocols_on_one_address() {
    let server = Server::start();
    let token = server.reader("F001");
    server.stored(&token, &[film(2)]).await;
    for (flag, version) in [("--http2-prior-knowledge", "2"), ("--http1.1", "1.1")] {
        let url = format!("{}{INSTANCE}/frames/2", server.base);
        let output = Command::new("curl")
            .args(["--silent", "--noproxy", "*", flag, "--header"])
            .arg(format!("Authorization: Bearer {token}"))
            .args(["--header", &format!("Accept: {OCTETS}"), "--write-out"])
            .args(["%{stderr}%{http_version} %{http_code}", &url])
            .output()
            .expect("curl runs; scripts/setup --tests installs it");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(told, format!("{version} 200"));
        assert!(output.stdout == frame(1), "{flag}");
    }
}

#[tokio::test]
async fn c30_http_1_1_keeps_its_connection() {
    let server = Server::start();
    let mut io = Blocking::connect(&server.base[7..]).unwrap();
    for _ in 0..3 {
        io.write_all(b"GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            io.read_exact(&mut byte).unwrap();
            answer.push(byte[0]);
        }
        let head = String::from_utf8(answer).unwrap().to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{head}");
        let len = head.split("content-length: ").nth(1).unwrap();
        let len = len.split("\r\n").next().unwrap().parse().unwrap();
        io.read_exact(&mut vec![0; len]).unwrap();
    }
}

#[tokio::test]
async fn c30_answers_are_those_of_http_1_1() {
    let server = Server::start();
    let token = server.reader("F001");
    let (requests, _connection) = connect(&server).await;
    // A store, and what is made of the address that the caller used.
    let (media_type, body) = multipart::write(&[film(3)]);
    let store = request(&server, Method::POST, "/dicomweb/studies", &token)
        .header("content-type", media_type)
        .header("expect", "100-continue");
    let mut ready = requests.clone().ready().await.unwrap();
    let (mut answer, mut to) = ready.send_request(store.body(()).unwrap(), false).unwrap();
    let go_on = std::future::poll_fn(|context| answer.poll_informational(context)).await;
    assert_eq!(go_on.unwrap().unwrap().status(), 100);
    to.send_data(body.into(), true).unwrap();
    let response = answer.await.unwrap();
    assert_eq!(response.status(), 200);
    let told = whole(response.into_body()).await.unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    let url = told["00081190"]["Value"][0].as_str().unwrap();
    assert_eq!(url, format!("{}/dicomweb/studies/1.2.3.800.1", server.base));
    // A body that may not come is refused before it does.
    let refused =
        request(&server, Method::POST, "/dicomweb/studies", "").header("expect", "100-continue");
    let mut ready = requests.clone().ready().await.unwrap();
    let (answer, _to) = ready
        .send_request(refused.body(()).unwrap(), false)
        .unwrap();
    assert_eq!(answer.await.unwrap().status(), 401);

    let frames = format!("{INSTANCE}/frames/1");
    for (path, accept) in [
        (frames.as_str(), OCTETS),
        (INSTANCE, "application/dicom"),
        ("/dicomweb/studies", "application/dicom+json"),
        (
            "/dicomweb/studies/1.2.3.800.1/metadata",
            "application/dicom+json",
        ),
        ("/dicomweb/studies/9.9.9", "*/*"),
        ("/health/live", "*/*"),
    ] {
        let one = server.get_as(path, &token, accept).await;
        for method in [Method::GET, Method::HEAD] {
            let asked = request(&server, method.clone(), path, &token).header("accept", accept);
            let (head, body) = get(&requests, asked).await;
            assert_eq!(head.status(), one.status, "{path}");
            for name in [
                "content-type",
                "content-length",
                "etag",
                "cache-control",
                "accept-ranges",
                "vary",
            ] {
                assert_eq!(
                    header(&head, name),
                    one.header(name),
                    "{method} {path} {name}"
                );
            }
            assert!(!header(&head, "date").is_empty());
            let expected = if method == Method::HEAD || path.ends_with("9.9.9") {
                Vec::new()
            } else {
                one.body.clone()
            };
            assert!(
                body == expected || path.ends_with("9.9.9"),
                "{method} {path}"
            );
        }
    }
    let asked = request(&server, Method::GET, &frames, &token)
        .header("accept", OCTETS)
        .header("range", "bytes=10-19");
    let (head, body) = get(&requests, asked).await;
    assert_eq!(
        (head.status().as_u16(), &body[..]),
        (206, &frame(0)[10..20])
    );
}

#[tokio::test]
async fn s19_c30_a_head_is_no_longer_than_of_http_1_1() {
    let server = Server::start();
    let token = server.reader("F001");
    let (requests, _connection) = connect(&server).await;
    let long = |len: usize| "x".repeat(len);
    let asked = request(
        &server,
        Method::GET,
        &format!("/dicomweb/studies?PatientName={}", long(65_100)),
        &token,
    );
    assert_eq!(get(&requests, asked).await.0.status(), 414);
    let asked = request(&server, Method::GET, "/dicomweb/studies", &token);
    assert_eq!(
        get(&requests, asked.header("x-long", long(65_537)))
            .await
            .0
            .status(),
        431
    );
    let asked = request(&server, Method::GET, "/dicomweb/studies", &token);
    assert_eq!(
        get(&requests, asked.header("x-long", long(160 << 10)))
            .await
            .0
            .status(),
        431
    );
    let asked = request(&server, Method::GET, "/dicomweb/studies", &token);
    assert_eq!(get(&requests, asked).await.0.status(), 204);
}

#[tokio::test]
async fn c30_what_is_no_http_2_ends_its_connection_alone() {
    let server = Server::start();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let headers = |block: &[u8]| {
        let len = u8::try_from(block.len()).unwrap();
        [&[0, 0, len, 1, 5, 0, 0, 0, 1], block].concat()
    };
    // GET / of :scheme http, by the static table, and what is no such thing.
    let good = headers(&[0x82, 0x84, 0x86]);
    for rest in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xFF; 4096],
        [&settings[..], &headers(&[0xFF; 20])].concat(),
        [&settings[..], &headers(b"\x82\x84\x86\x00\x01\n\x01\r")].concat(),
        // A request twice on one stream; data of a stream that was never begun; an endless header.
        [&settings[..], &good, &good].concat(),
        [&settings[..], &[0, 0, 1, 0, 0, 0, 0, 0, 9, 7]].concat(),
        [
            &settings[..],
            &[0, 0, 1, 1, 0, 0, 0, 0, 1, 0x82],
            &[0, 0, 0, 9, 0, 0, 0, 0, 1].repeat(5000),
        ]
        .concat(),
        // 20,000 requests that are taken back at once.
        (0..20_000_u32).fold(settings.to_vec(), |mut all, number| {
            let stream = (number * 2 + 1).to_be_bytes();
            all.extend([0, 0, 3, 1, 5]);
            all.extend(stream);
            all.extend([0x82, 0x84, 0x86, 0, 0, 4, 3, 0]);
            all.extend(stream);
            all.extend([0, 0, 0, 8]);
            all
        }),
    ] {
        let mut io = Blocking::connect(&server.base[7..]).unwrap();
        io.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        // The server may have closed it by then.
        let sent = io.write_all(preface).and_then(|()| io.write_all(&rest));
        let shut = sent.and_then(|()| io.shutdown(std::net::Shutdown::Write));
        let ended = io.read_to_end(&mut Vec::new());
        let timed_out = |e: &std::io::Error| e.kind() == std::io::ErrorKind::WouldBlock;
        assert!(!ended.as_ref().is_err_and(timed_out), "{shut:?} {ended:?}");
    }
    let (requests, _connection) = connect(&server).await;
    let live = request(&server, Method::GET, "/health/live", "");
    assert_eq!(get(&requests, live).await.0.status(), 200);
    assert!(server.memory().1 < 160 << 20);
    let panicked = server.log().iter().any(|line| line.contains("panic"));
    assert!(!panicked);
}

#[tokio::test]
async fn c30_silent_connections_are_closed() {
    let server = Server::start_set(&[
        ("KURA_LIMITS__IDLE_TIMEOUT_S", "1"),
        ("KURA_LIMITS__HEADER_TIMEOUT_S", "1"),
        ("KURA_LIMITS__BODY_IDLE_S", "1"),
    ]);
    let token = server.reader("F001");
    // One that was used, one that says nothing after its preface, and some that never get so far.
    let (requests, used) = connect(&server).await;
    get(&requests, request(&server, Method::GET, "/health/live", "")).await;
    let (_held, unused) = connect(&server).await;
    let limit = Duration::from_secs(10);
    ended(used).await;
    ended(unused).await;
    for begin in [&b""[..], b"PRI", b"PRI * HTTP/2.0\r\n\r\nSM"] {
        let mut io = Blocking::connect(&server.base[7..]).unwrap();
        io.set_read_timeout(Some(limit)).unwrap();
        io.write_all(begin).unwrap();
        let mut rest = Vec::new();
        let ended = io.read_to_end(&mut rest);
        let is_cut = ended
            .as_ref()
            .is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset);
        assert!(ended.is_ok() || is_cut, "{begin:?}: {ended:?}");
    }
    // A store that falls silent.
    let (requests, _connection) = connect(&server).await;
    let store = request(&server, Method::POST, "/dicomweb/studies", &token)
        .header("content-type", multipart::write(&[film(1)]).0);
    let mut ready = requests.clone().ready().await.unwrap();
    let (answer, mut to) = ready.send_request(store.body(()).unwrap(), false).unwrap();
    to.send_data(
        Bytes::from_static(b"--kura-test-boundary-7d1f0a\r\n"),
        false,
    )
    .unwrap();
    let answer = tokio::time::timeout(limit, answer)
        .await
        .expect("an answer")
        .unwrap();
    assert_eq!(answer.status(), 400);
}

#[tokio::test]
async fn c30_a_stop_lets_streams_come_to_their_end() {
    let mut server = Server::start();
    let token = server.reader("F001");
    server.stored(&token, &[film(40)]).await;
    let (requests, connection) = connect(&server).await;
    let (_idle, idle) = connect(&server).await;
    let asked =
        request(&server, Method::GET, INSTANCE, &token).header("accept", "application/dicom");
    let response = begin(&requests, asked).await.await.unwrap();
    server.signal("TERM");
    // The idle one ends at once, the other when its stream has.
    ended(idle).await;
    assert!(whole(response.into_body()).await.unwrap() == film(40));
    drop(requests);
    ended(connection).await;
    assert_eq!(server.code(), Some(0));
}

#[tokio::test]
async fn w11_s34_c30_a_stream_that_is_given_up_is_read_for_no_longer() {
    let server = Server::start_set(&[("KURA_METRICS__LISTEN", "127.0.0.1:0")]);
    let token = server.reader("F001");
    server.stored(&token, &[film(160)]).await;
    let (requests, connection) = connect(&server).await;
    let asked =
        request(&server, Method::GET, INSTANCE, &token).header("accept", "application/dicom");
    let mut requests_ready = requests.clone().ready().await.unwrap();
    let (answer, mut to) = requests_ready
        .send_request(asked.body(()).unwrap(), true)
        .unwrap();
    let mut body = answer.await.unwrap().into_body();
    body.data().await.unwrap().unwrap();
    to.send_reset(Reason::CANCEL);
    drop(body);
    let left = Instant::now();
    let metrics = format!("{}/metrics", server.metrics());
    loop {
        let page = server.send(server.client.get(&metrics)).await.text();
        if page.contains("kura_http_requests_in_flight 0") {
            break;
        }
        assert!(left.elapsed() < Duration::from_secs(1), "{page}");
    }
    // The connection has lost nothing.
    let (head, _) = get(&requests, request(&server, Method::GET, "/health/live", "")).await;
    assert_eq!(head.status(), 200);
    // One that goes away takes its streams with it.
    let asked =
        request(&server, Method::GET, INSTANCE, &token).header("accept", "application/dicom");
    let response = begin(&requests, asked).await.await.unwrap();
    drop(connection);
    drop(response);
    let left = Instant::now();
    while server
        .send(server.client.get(&metrics))
        .await
        .text()
        .contains("in_flight 1")
    {
        assert!(left.elapsed() < Duration::from_secs(1));
    }
}
