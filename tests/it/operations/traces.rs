//! Traces: what a collector is sent, and that one who is away holds nobody up.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use reqwest::Method;

use crate::harness::{Server, instance};

/// A collector: keeps what is posted to it.
fn collector() -> (String, Receiver<(String, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            std::thread::spawn(move || {
                let mut reader = BufReader::new(stream);
                loop {
                    let (mut line, mut length) = (String::new(), 0);
                    if reader.read_line(&mut line).unwrap_or(0) == 0 {
                        return;
                    }
                    loop {
                        let mut header = String::new();
                        reader.read_line(&mut header).unwrap();
                        let header = header.trim().to_ascii_lowercase();
                        if header.is_empty() {
                            break;
                        }
                        if let Some(value) = header.strip_prefix("content-length:") {
                            length = value.trim().parse().unwrap();
                        }
                    }
                    let mut body = vec![0; length];
                    reader.read_exact(&mut body).unwrap();
                    drop(sender.send((line.trim().to_owned(), body)));
                    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                    drop(reader.get_mut().write_all(answer));
                }
            });
        }
    });
    (address, receiver)
}

/// The fields of a protobuf message, each with its number and its bytes; numbers are left out.
fn fields(mut message: &[u8]) -> Vec<(u64, &[u8])> {
    fn varint(message: &mut &[u8]) -> u64 {
        let (mut value, mut shift) = (0, 0);
        loop {
            let byte = message[0];
            *message = &message[1..];
            value |= u64::from(byte & 0x7F) << shift;
            if byte < 0x80 {
                return value;
            }
            shift += 7;
        }
    }
    let mut found = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        match key & 7 {
            0 => drop(varint(&mut message)),
            1 => message = &message[8..],
            5 => message = &message[4..],
            2 => {
                let len = usize::try_from(varint(&mut message)).unwrap();
                let (bytes, rest) = message.split_at(len);
                found.push((key >> 3, bytes));
                message = rest;
            }
            wire => panic!("wire type {wire}"),
        }
    }
    found
}

fn field(message: &[u8], number: u64) -> Vec<&[u8]> {
    let found = fields(message).into_iter();
    found
        .filter(|(at, _)| *at == number)
        .map(|(_, bytes)| bytes)
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

#[derive(Clone, Debug)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
}

/// The spans of an export request (opentelemetry-proto, trace.proto).
fn spans(body: &[u8]) -> Vec<Span> {
    let scopes = field(body, 1)
        .into_iter()
        .flat_map(|resource| field(resource, 2));
    let spans = scopes.flat_map(|scope| field(scope, 2));
    spans
        .map(|span| {
            let one = |number| field(span, number).first().copied().unwrap_or_default();
            Span {
                trace: hex(one(1)),
                id: hex(one(2)),
                parent: hex(one(4)),
                name: String::from_utf8(one(5).to_vec()).unwrap(),
            }
        })
        .collect()
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

#[tokio::test]
async fn a_request_is_a_span_below_its_callers_with_children_for_what_it_asked() {
    let (address, received) = collector();
    let mut server = Server::start_set(&[("KURA_TELEMETRY__OTLP_ENDPOINT", &address)]);
    let token = server.reader("F001");
    let (media_type, body) = crate::harness::multipart::write(&[instance("1.2.3").file()]);
    let request = server
        .request(Method::POST, "/studies", &token)
        .header("content-type", media_type)
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"))
        .body(body);
    let stored = server.send(request).await;
    assert_eq!(stored.status, 200);
    let told = stored.header("traceresponse");
    assert!(told.starts_with(&format!("00-{TRACE}-")), "{told}");
    // A caller who does not want to be traced is not.
    let unwanted = "0af7651916cd43dd8448eb211c80319d";
    let request = server
        .request(Method::GET, "/studies", &token)
        .header("traceparent", format!("00-{unwanted}-{CALLER}-00"));
    server.send(request).await;
    // What is queued is sent when the process stops.
    server.signal("TERM");
    assert_eq!(server.code(), Some(0));
    let mut all = Vec::new();
    while let Ok((line, body)) = received.try_recv() {
        assert_eq!(line, "POST /v1/traces HTTP/1.1");
        for secret in ["Yamada", "山田", "ACC1", "Bearer", "SELECT"] {
            let is_there = body.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!is_there, "{secret} is in a trace");
        }
        all.extend(spans(&body));
    }
    let by_id: BTreeMap<&str, &Span> = all.iter().map(|span| (&*span.id, span)).collect();
    let ours: Vec<&Span> = all.iter().filter(|span| span.trace == TRACE).collect();
    let root = ours.iter().find(|span| span.name == "request").unwrap();
    assert_eq!(
        (root.parent.as_str(), &told[36..52]),
        (CALLER, root.id.as_str())
    );
    for name in [
        "ingest",
        "database begin",
        "database insert",
        "database commit",
        "storage seal",
        "storage sync",
    ] {
        let span = ours.iter().find(|span| span.name == name);
        let span = span.unwrap_or_else(|| panic!("no {name} among {ours:?}"));
        let mut at = *span;
        while at.id != root.id {
            at = by_id
                .get(&*at.parent)
                .unwrap_or_else(|| panic!("{name} is below nobody"));
        }
    }
    assert!(all.iter().all(|span| span.trace != unwanted));
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nobody_up() {
    // Nobody listens there any more.
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let endpoint = format!("http://{gone}");
    let mut server = Server::start_set(&[("KURA_TELEMETRY__OTLP_ENDPOINT", &endpoint)]);
    let token = server.reader("F001");
    let started = Instant::now();
    for number in 0..20 {
        server
            .stored(&token, &[instance(&format!("1.2.3.{number}")).file()])
            .await;
    }
    println!("20 stores in {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(20));
    server.signal("TERM");
    let started = Instant::now();
    assert_eq!(server.code(), Some(0));
    assert!(started.elapsed() < Duration::from_secs(15));
}

#[tokio::test]
async fn without_a_collector_nothing_is_traced() {
    let server = Server::start();
    let request = server
        .request(Method::GET, "/health/live", "")
        .header("traceparent", format!("00-{TRACE}-{CALLER}-01"));
    assert_eq!(server.send(request).await.header("traceresponse"), "");
}
