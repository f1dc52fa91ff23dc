//! The legacy listener, by requests as clients of old write them (MINT F05, 12.1 to 12.3).

use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpSocket;

use super::create::{DOCUMENT, STUDY, document, form, form_type, item, items, made};
use super::{assert_document, uuid_of, values};
use crate::harness::server::wait_for;
use crate::harness::wire::{Wire, authority};
use crate::harness::{Answer, Server, backing, instance};

/// The listener of a facility, with further keys.
fn listener(facility: &str, more: &str) -> String {
    format!("{{listen=\"127.0.0.1:0\",facility=\"{facility}\"{more}}}")
}

const WRITING: &str = ",scopes=[\"dicom.read\",\"dicom.write\"]";

/// A server with one legacy listener for F001, which ends in `more`, and the address of its MINT.
pub(super) fn start(more: &str) -> (Server, String) {
    let server = Server::start_set(&[
        (
            "KURA_MINT__LEGACY",
            &format!("[{}]", listener("F001", more)),
        ),
        ("KURA_LOG_FORMAT", "json"),
    ]);
    let base = server.served("MINT is served");
    (server, base)
}

/// GET over a connection of its own, with further lines in its head.
fn get_with(base: &str, path: &str, more: &[&str]) -> Answer {
    let mut wire = Wire::to(base);
    let (line, host) = (format!("GET {path} HTTP/1.1"), host(base));
    let mut lines = vec![&*line, &*host, "Connection: close"];
    lines.extend(more);
    wire.head(&lines);
    wire.answer()
}

pub(super) fn get(base: &str, path: &str) -> Answer {
    get_with(base, path, &[])
}

fn host(base: &str) -> String {
    format!("Host: {}", authority(base))
}

/// The path of an address.
pub(super) fn path_of(url: &str) -> &str {
    let rest = url.strip_prefix("http://").expect("an address");
    rest.find('/').map_or("", |at| &rest[at..])
}

fn post_create(wire: &mut Wire, base: &str, body: &[u8]) -> Answer {
    post(wire, base, "createstudy", body)
}

/// Posts a form as DICOM2MINT does: without a length, and not before it is told to go on.
pub(super) fn post(wire: &mut Wire, base: &str, job: &str, body: &[u8]) -> Answer {
    let line = format!("POST /MINTServer/jobs/{job} HTTP/1.1");
    let form_type = format!("Content-Type: {}", form_type());
    wire.head(&[
        &line,
        "Transfer-Encoding: chunked",
        &form_type,
        &host(base),
        "Connection: Keep-Alive",
        "User-Agent: Apache-HttpClient/4.0.1 (java 1.5)",
        "Expect: 100-Continue",
    ]);
    let told = wire.line();
    assert_eq!(told, "HTTP/1.1 100 Continue");
    assert_eq!(wire.line(), "");
    for piece in body.chunks(2048).chain([&[][..]]) {
        wire.chunk(piece);
    }
    wire.answer()
}

fn example() -> Vec<u8> {
    let mut fields = vec![document(DOCUMENT)];
    fields.extend(items());
    form(&fields)
}

#[test]
fn mint_f05_n12_a_client_of_2011_uploads_over_one_connection() {
    let (_server, base) = start(WRITING);
    let mut wire = Wire::to(&base);
    let host = host(&base);
    let ask = |wire: &mut Wire, path: &str| {
        let line = format!("GET {path} HTTP/1.1");
        wire.head(&[&line, &host, "Connection: Keep-Alive"]);
        wire.answer()
    };
    // The steps of MINT 12.1.
    assert_eq!(ask(&mut wire, "/MINTServer/").status, 200);
    let types = ask(&mut wire, "/MINTServer/types/DICOM");
    assert_eq!(types.status, 200);
    assert!(types.body.is_ascii());
    let text = types.text();
    assert!(text.contains("study-attributes") && text.contains("series-attributes"));
    let search = format!("/MINTServer/studies?studyInstanceUID={STUDY}&patientID=P-1");
    let none = ask(&mut wire, &search);
    assert_document(&none, "studySearchResults");
    assert!(values(&none, "studyUUID").is_empty());
    let answer = post_create(&mut wire, &base, &example());
    assert_eq!((answer.status, answer.body.len()), (303, 0));
    let location = answer.header("location");
    assert!(
        location.starts_with(&format!("{base}/jobs/status/")),
        "{location}"
    );
    let job = ask(&mut wire, path_of(&location));
    let uuid = made(&job);
    let again = ask(&mut wire, path_of(&location));
    assert_eq!(made(&again), uuid);
    let found = ask(
        &mut wire,
        &format!("/MINTServer/studies?studyInstanceUID={STUDY}"),
    );
    assert_eq!(values(&found, "studyUUID"), [&*uuid]);
    assert_eq!(values(&found, "version"), ["0"]);
    let study = format!("/MINTServer/studies/{uuid}/DICOM");
    let metadata = ask(&mut wire, &format!("{study}/metadata"));
    assert_eq!(values(&metadata, "studyInstanceUID"), [STUDY]);
    // What the conformance tools ask for.
    assert_eq!(ask(&mut wire, &format!("{study}/summary")).status, 200);
    for number in 0..5 {
        let path = format!("{study}/binaryitems/{number}");
        assert_eq!(ask(&mut wire, &path).body, item(number));
    }
    assert_eq!(ask(&mut wire, "/MINTServer/changelog").status, 200);
}

#[tokio::test]
async fn mint_f05_n12_a_viewer_without_keep_alive_reads() {
    let (server, base) = start("");
    let token = server.reader("F001");
    server.stored(&token, &[instance("1.2.3").file()]).await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    let study = format!("/MINTServer/studies/{uuid}/DICOM");
    let expected: Vec<u8> = (0..32).collect();
    // ClearCanvas closes after each; HTTP/1.0 knows nothing else, nor a host.
    for lines in [
        &["HTTP/1.1", "Connection: close"][..],
        &["HTTP/1.0"],
        &["HTTP/1.0", "Connection: close"],
    ] {
        for (path, len) in [("metadata.xml", None), ("binaryitems/0", Some(32))] {
            let mut wire = Wire::to(&base);
            let line = format!("GET {study}/{path} {}", lines[0]);
            let host = host(&base);
            let mut head = vec![&*line];
            head.extend(&lines[1..]);
            if lines[0] == "HTTP/1.1" {
                head.push(&host);
            }
            wire.head(&head);
            let answer = wire.answer();
            assert_eq!(answer.status, 200, "{head:?}: {}", answer.text());
            let told = answer.header("content-length");
            assert_eq!(told, answer.body.len().to_string(), "{head:?}");
            if len.is_some() {
                assert_eq!(answer.body, expected);
            }
            assert!(wire.is_closed(), "{head:?}");
        }
    }
    let gone = get(&base, "/MINTServer");
    assert_eq!(gone.status, 302);
    assert_eq!(gone.header("location"), format!("{base}/"));
}

#[tokio::test]
async fn mint_f05_f01_f02_it_is_one_facility_with_the_scopes_it_was_given() {
    let (server, base) = start("");
    let own = server.reader("F001");
    let foreign = server.reader("F002");
    server.stored(&own, &[instance("1.2.3").file()]).await;
    server.stored(&foreign, &[instance("1.2.4").file()]).await;
    let ours = uuid_of(&server, &own, "1.2.3.1").await;
    let theirs = uuid_of(&server, &foreign, "1.2.4.1").await;
    let all = get(&base, "/MINTServer/studies");
    assert_eq!(values(&all, "studyUUID"), [&*ours]);
    let absent = "00000000-0000-7000-8000-000000000000";
    for path in ["", "/DICOM/metadata", "/DICOM/binaryitems/0", "/changelog"] {
        let answers = [&theirs, absent].map(|uuid| {
            let answer = get(&base, &format!("/MINTServer/studies/{uuid}{path}"));
            (answer.status, answer.body.len())
        });
        assert_eq!(answers[0].0, 404, "{path}");
        assert_eq!(answers[0], answers[1], "{path}");
        let own = get(&base, &format!("/MINTServer/studies/{ours}{path}"));
        assert_eq!(own.status, 200, "{path}");
    }
    // Nobody gets further by what they bring.
    for credential in [
        format!("Authorization: Bearer {foreign}"),
        "Authorization: Basic eDp5".to_owned(),
        "Cookie: kura-session=x".to_owned(),
    ] {
        let found = get_with(&base, "/MINTServer/studies", &[&credential]);
        assert_eq!(values(&found, "studyUUID"), [&*ours], "{credential}");
    }
    // It was not told that it may write, and nobody deletes there.
    let body = example();
    let mut wire = Wire::to(&base);
    let len = format!("Content-Length: {}", body.len());
    let form_type = format!("Content-Type: {}", form_type());
    let host = host(&base);
    let create = "POST /MINTServer/jobs/createstudy HTTP/1.1";
    wire.head(&[create, &host, &len, &form_type]);
    wire.send(&body);
    assert_eq!(wire.answer().status, 403);
    let mut wire = Wire::to(&base);
    let delete = format!("DELETE /MINTServer/studies/{ours} HTTP/1.1");
    wire.head(&[&delete, &host]);
    assert_eq!(wire.answer().status, 403);
    assert_eq!(
        get(&base, &format!("/MINTServer/studies/{ours}")).status,
        200
    );
}

#[tokio::test]
async fn mint_f05_nothing_but_mint_lies_there() {
    let (server, base) = start(WRITING);
    let token = server.reader("F001");
    server.stored(&token, &[instance("1.2.3").file()]).await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    for path in [
        "/",
        "/mint/",
        "/mint/studies",
        "/mintserver/studies",
        "/MINTServerX/studies",
        "/dicomweb",
        "/dicomweb/studies",
        "/dicomweb/studies/1.2.3.1",
        "/api/v1/jobs",
        "/api/v1/auth/session",
        "/health/live",
        "/health/ready",
        "/metrics",
        "/docs",
        "/docs/index.html",
        "/openapi.json",
        "/MINTServer/../dicomweb/studies",
        "/MINTServer/%2e%2e/dicomweb/studies",
        "/MINTServer//../dicomweb/studies",
        "//dicomweb/studies",
        "/MINTServer/exact/receipts/x",
        &format!("/MINTServer/studies/{uuid}/exact"),
    ] {
        for method in ["GET", "POST", "OPTIONS", "DELETE"] {
            let mut wire = Wire::to(&base);
            let line = format!("{method} {path} HTTP/1.1");
            wire.head(&[
                &line,
                &host(&base),
                "Content-Length: 0",
                "Connection: close",
            ]);
            assert_eq!(wire.answer().status, 404, "{method} {path}");
        }
    }
    // No store is even asked whether it may go on.
    for path in ["/dicomweb/studies", "/mint/exact/objects"] {
        let mut wire = Wire::to(&base);
        let line = format!("POST {path} HTTP/1.1");
        let (host, len) = (host(&base), "Content-Length: 9");
        wire.head(&[&line, &host, len, "Expect: 100-continue"]);
        let mut told = wire.line();
        if told.ends_with("100 Continue") {
            wire.line();
            told = wire.line();
        }
        assert!(told.starts_with("HTTP/1.1 404"), "{told}");
    }
    // Nor is anything of it elsewhere.
    assert_eq!(server.get("/MINTServer/", &token).await.status, 404);
    let put = format!("PUT /MINTServer/studies/{uuid} HTTP/1.1");
    let mut wire = Wire::to(&base);
    wire.head(&[&put, &host(&base), "Content-Length: 0"]);
    let refused = wire.answer();
    assert_eq!(refused.status, 405);
    assert_eq!(refused.header("allow"), "GET, HEAD, DELETE, OPTIONS");
    let mut wire = Wire::to(&base);
    wire.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert!(!wire.line().contains("200"));
}

/// A connection from another address of this machine.
async fn from(source: &str, base: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{source}:0").parse().unwrap()).unwrap();
    let stream = socket.connect(authority(base).parse().unwrap()).await;
    let stream = stream.unwrap().into_std().unwrap();
    stream.set_nonblocking(false).unwrap();
    stream
}

#[tokio::test]
async fn mint_f05_who_comes_from_elsewhere_is_told_nothing() {
    let (server, base) = start(",networks=[\"127.0.0.2\",\"127.0.1.0/24\"]");
    for (source, is_in) in [
        ("127.0.0.1", false),
        ("127.0.0.2", true),
        ("127.0.0.3", false),
        ("127.0.1.9", true),
    ] {
        let mut wire = Wire::over(from(source, &base).await);
        if !is_in {
            assert!(wire.is_closed(), "{source}");
            continue;
        }
        wire.head(&["GET /MINTServer/ HTTP/1.1", &host(&base)]);
        assert_eq!(wire.answer().status, 200, "{source}");
    }
    // The line is there, with where it came from.
    wait_for(Duration::from_secs(10), || {
        let log = server.log();
        let closed = log
            .iter()
            .filter(|line| line.contains("none of its networks"));
        let closed: Vec<&String> = closed.collect();
        (closed.len() == 2 && closed[0].contains("127.0.0.1")).then_some(())
    });
}

#[test]
fn mint_f05_pages_in_a_browser_of_an_allowed_network_get_nothing() {
    let (_server, base) = start(",names=[\"mint.hospital.example\"]");
    let ask = |more: &[&str]| {
        let mut wire = Wire::to(&base);
        let mut lines = vec!["GET /MINTServer/studies HTTP/1.1"];
        lines.extend(more);
        wire.head(&lines);
        wire.answer()
    };
    for host in [
        "Host: 127.0.0.1",
        "Host: localhost:1",
        "Host: Mint.Hospital.Example:80",
    ] {
        assert_eq!(ask(&[host]).status, 200, "{host}");
        let page = ask(&[host, "Origin: https://evil.example"]);
        assert_eq!(page.status, 403, "{host}");
        assert_eq!(page.header("access-control-allow-origin"), "");
    }
    // A name that somebody made to point here.
    let rebound = ask(&["Host: evil.example"]);
    assert_eq!(rebound.status, 403);
    assert!(!rebound.text().contains("study"), "{}", rebound.text());
}

#[test]
fn mint_f05_links_stay_below_the_listener() {
    let server = Server::start_set(&[
        (
            "KURA_MINT__LEGACY",
            &format!("[{}]", listener("F001", WRITING)),
        ),
        ("KURA_PUBLIC_URL", "https://kura.example/vna"),
        ("KURA_TRUST_FORWARDED", "true"),
    ]);
    let base = server.served("MINT is served");
    let forwarded = [
        "X-Forwarded-Host: other.example",
        "X-Forwarded-Proto: https",
        "Forwarded: host=other.example",
    ];
    let moved = get_with(&base, "/MINTServer", &forwarded);
    assert_eq!(moved.header("location"), format!("{base}/"));
    let mut wire = Wire::to(&base);
    let made = post_create(&mut wire, &base, &example());
    let location = made.header("location");
    assert!(location.starts_with(&format!("{base}/jobs/")), "{location}");
    let uuid = values(&get(&base, path_of(&location)), "studyUUID").remove(0);
    let related = ["Accept: multipart/related; type=\"application/octet-stream\""];
    let path = format!("/MINTServer/studies/{uuid}/DICOM/binaryitems/0-1");
    let parts = get_with(&base, &path, &related).text();
    let links: Vec<&str> = parts
        .lines()
        .filter_map(|line| line.strip_prefix("Content-Location: "))
        .collect();
    assert_eq!(links.len(), 2, "{parts}");
    assert!(
        links
            .iter()
            .all(|link| link.contains("/MINTServer/studies/"))
    );
}

#[test]
fn mint_f05_each_facility_has_its_own_and_each_request_its_line() {
    let both = [listener("F001", WRITING), listener("F002", "")].join(",");
    let server = Server::start_set(&[
        ("KURA_MINT__LEGACY", &format!("[{both}]")),
        ("KURA_LOG_FORMAT", "json"),
    ]);
    let lines = || {
        let log = server.log();
        let lines = log
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.collect::<Vec<Value>>()
    };
    let bases: Vec<String> = lines()
        .iter()
        .filter(|line| {
            line["message"]
                .as_str()
                .is_some_and(|it| it.starts_with("MINT is served without TLS"))
        })
        .map(|line| line["address"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(bases.len(), 2);
    let mut wire = Wire::to(&bases[0]);
    let answer = post_create(&mut wire, &bases[0], &example());
    let job = get(&bases[0], path_of(&answer.header("location")));
    let uuid = made(&job);
    let path = format!("/MINTServer/studies/{uuid}/DICOM/binaryitems/all");
    assert_eq!(get(&bases[0], &path).status, 200);
    assert_eq!(get(&bases[1], &path).status, 404);
    let ended = wait_for(Duration::from_secs(10), || {
        let ended: Vec<Value> = lines()
            .into_iter()
            .filter(|line| line["message"] == "answered")
            .collect();
        (ended.len() == 4).then_some(ended)
    });
    let told: Vec<_> = ended
        .iter()
        .map(|line| {
            (
                line["facility"].as_str().unwrap(),
                line["status"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [("F001", 303), ("F001", 200), ("F001", 200), ("F002", 404)]
    );
    assert!(
        ended.iter().all(|line| line["from"] == "127.0.0.1"),
        "{ended:?}"
    );
    let shown = format!("/MINTServer/studies/{uuid}/…/binaryitems/…");
    assert_eq!(ended[2]["path"], shown);
    let handed = lines();
    let mut handed = handed.iter().filter(|line| line["message"] == "handed out");
    let handed = handed.find(|line| line["id"] == ended[2]["id"]).unwrap();
    assert_eq!(handed["subject"], "legacy@F001");
    assert_eq!(handed["study"], STUDY);
}

#[test]
fn mint_f05_there_is_none_unless_it_is_asked_for_and_its_facility_exists() {
    let server = Server::start();
    assert!(
        server
            .log()
            .iter()
            .all(|line| !line.contains("MINT is served"))
    );
    let command = |arguments: &[&str], facility: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_kura"))
            .args(arguments)
            .envs(backing::environment(server.data.path()))
            .env("KURA_DATA", server.data.path())
            .env("KURA_LISTEN", "127.0.0.1:0")
            .env("KURA_MINT__LEGACY", format!("[{}]", listener(facility, "")))
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.code(),
            text(&output.stdout),
            text(&output.stderr),
        )
    };
    let (code, said, _) = command(&["serve", "--check"], "F001");
    assert_eq!(code, Some(0));
    assert!(
        said.contains("127.0.0.1:0 without TLS and tokens, as F001 with dicom.read"),
        "{said}"
    );
    for arguments in [&["serve", "--check"][..], &["serve"]] {
        let (code, _, error) = command(arguments, "F099");
        assert_eq!(code, Some(2), "{error}");
        assert!(
            error.contains("mint.legacy[0].facility") && error.contains("F099"),
            "{error}"
        );
    }
}

#[test]
fn mint_f05_f07_hostile_requests_are_refused_and_the_next_is_served() {
    let (_server, base) = start(WRITING);
    let long = format!("GET /MINTServer/studies?a={} HTTP/1.1", "a".repeat(70_000));
    let many = format!(
        "GET /MINTServer/studies?{} HTTP/1.1",
        "patientID=x&".repeat(6_000)
    );
    for line in [
        &*long,
        &*many,
        "GET /MINTServer/studies/%00 HTTP/1.1",
        "GET /MINTServer/studies/../../etc/passwd HTTP/1.1",
        "GET /MINTServer/studies?limit=x HTTP/1.1",
        "\u{1}\u{2}\u{3}",
        "GET http://evil.example/MINTServer/studies HTTP/1.1",
    ] {
        let mut wire = Wire::to(&base);
        wire.head(&[line, &host(&base), "Connection: close"]);
        let told = wire.line();
        assert!(told.starts_with("HTTP/1.1 4"), "{told}");
    }
    let mut wire = Wire::to(&base);
    let form_type = format!("Content-Type: {}", form_type());
    let create = "POST /MINTServer/jobs/createstudy HTTP/1.1";
    wire.head(&[
        create,
        &host(&base),
        &form_type,
        "Transfer-Encoding: chunked",
    ]);
    wire.send(b"zz\r\nnonsense\r\n");
    let told = wire.line();
    // What is no chunk is no request either: the connection may just end.
    assert!(told.is_empty() || told.starts_with("HTTP/1.1 4"), "{told}");
    assert_eq!(get(&base, "/MINTServer/").status, 200);
}
