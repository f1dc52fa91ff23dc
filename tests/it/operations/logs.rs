//! Logs: one line a request, its id in every line of it, and nothing of a patient.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::harness::server::wait_for;
use crate::harness::{Answer, Server, instance, multipart};

/// The JSON lines of the log that belong to the request of `answer`; waits for the one that ends it.
fn lines_of(server: &Server, id: &str) -> Vec<Value> {
    wait_for(Duration::from_secs(10), || {
        let lines: Vec<Value> = server
            .log()
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &Value| line.to_string().contains(id))
            .collect();
        let has_ended =
            |line: &Value| line["message"] == "answered" || line["message"] == "cut off";
        lines.iter().any(has_ended).then_some(lines)
    })
}

fn last_line(server: &Server, answer: &Answer) -> Value {
    let lines = lines_of(server, &answer.header("x-request-id"));
    let ended = lines.iter().find(|line| line["message"] == "answered");
    ended.expect("it was answered").clone()
}

fn json() -> Server {
    Server::start_set(&[("KURA_LOG_FORMAT", "json"), ("KURA_LOG", "info,kura=debug")])
}

#[tokio::test]
async fn a_request_is_one_line_with_what_became_of_it() {
    let server = json();
    let token = server.reader("F001");
    let (media_type, body) = multipart::write(&[instance("1.2.3").file()]);
    let sent = body.len();
    let request = server
        .request(Method::POST, "/studies", &token)
        .header("content-type", media_type)
        .header("user-agent", "python-requests/2.31")
        .body(body);
    let stored = server.send(request).await;
    assert_eq!(stored.status, 200);
    let line = last_line(&server, &stored);
    assert_eq!(line["id"], stored.header("x-request-id"));
    assert_eq!(line["method"], "POST");
    assert_eq!(line["path"], "/dicomweb/studies");
    assert_eq!(line["status"], 200);
    assert_eq!(line["bytes_in"], sent);
    assert_eq!(line["bytes_out"], stored.body.len());
    assert_eq!(line["facility"], "F001");
    assert_eq!(line["client"], "python");
    assert!(line["elapsed_ms"].is_u64());
    let fetched = server
        .get(
            "/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1",
            &token,
        )
        .await;
    let line = last_line(&server, &fetched);
    let path = "/dicomweb/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1";
    assert_eq!(
        (&line["path"], &line["status"]),
        (&path.into(), &200.into())
    );
    assert_eq!(line["bytes_out"], fetched.body.len());
    let missed = server.get("/studies/1.2.4/metadata", "").await;
    let line = last_line(&server, &missed);
    assert_eq!(
        (&line["status"], &line["facility"]),
        (&401.into(), &Value::Null)
    );
}

#[tokio::test]
async fn every_line_of_a_request_has_its_id_those_of_the_store_included() {
    let server = json();
    let token = server.reader("F001");
    let stored = server.store(&token, &[instance("1.2.3").file()]).await;
    let id = stored.header("x-request-id");
    let lines = lines_of(&server, &id);
    let sealed = lines.iter().find(|line| line["message"] == "sealed");
    let sealed = sealed.expect("the line of the task that stores");
    assert_eq!(sealed["spans"][0]["id"], id, "{sealed}");
    let fetched = server.get("/studies/1.2.3.1/metadata", &token).await;
    let lines = lines_of(&server, &fetched.header("x-request-id"));
    assert!(lines.iter().any(|line| line["message"] == "handed out"));
}

#[tokio::test]
async fn an_id_is_taken_from_a_trusted_proxy_only() {
    let told = "0190a5a0-0000-7000-8000-00000000cafe";
    let ask = async |server: &Server, id: &str| {
        let request = server.request(Method::GET, "/health/live", "");
        let answer = server.send(request.header("x-request-id", id)).await;
        answer.header("x-request-id")
    };
    let trusting = Server::start_set(&[("KURA_TRUST_FORWARDED", "true")]);
    assert_eq!(ask(&trusting, told).await, told);
    for wrong in ["", "1", "Yamada^Hanako", &"a".repeat(5000)] {
        let id = ask(&trusting, wrong).await;
        assert!(id.len() == 36 && id != wrong, "{id}");
    }
    let plain = Server::start();
    assert_ne!(ask(&plain, told).await, told);
}

/// What of a patient, of a query or of a token must not be in the log.
const SECRETS: [&str; 12] = [
    "Himitsu",
    "himitsu",
    "秘密",
    "ひみつ",
    "%E7%A7%98",
    "PID-4711",
    "pid-4711",
    "19450815",
    "1945",
    "ACC-0815",
    "Referrer",
    "token-that-is-none",
];

#[tokio::test]
async fn nothing_of_a_patient_is_logged_at_any_level() {
    let server = Server::start_set(&[("KURA_LOG", "debug,kura=trace")]);
    let token = server.reader("F001");
    let secret = |uid: &str| {
        instance(uid)
            .text(0x0010_0010, "PN", "Himitsu^Taro=秘密^太郎=ひみつ^たろう")
            .text(0x0010_0020, "LO", "PID-4711")
            .text(0x0010_0030, "DA", "19450815")
            .text(0x0008_0050, "SH", "ACC-0815")
            .text(0x0008_0090, "PN", "Referrer^Jiro")
    };
    server.stored(&token, &[secret("1.2.3").file()]).await;
    // Warnings, conflicts, refusals and broken bodies have lines of their own.
    let odd = [
        secret("1.2.4").text(0x0010_0030, "DA", "1945-08-15").file(),
        secret("1.2.3").text(0x0010_0040, "CS", "M").file(),
        secret("1.2.5").text(0x0020_000D, "UI", "Himitsu").file(),
        secret("1.2.6").file()[..600].to_vec(),
        b"Himitsu PID-4711".to_vec(),
    ];
    assert_eq!(server.store(&token, &odd).await.status, 202);
    for query in [
        "PatientName=Himitsu*",
        "PatientName=%E7%A7%98%E5%AF%86*",
        "PatientID=PID-4711",
        "PatientBirthDate=19450815",
        "PatientBirthDate=1945x",
        "AccessionNumber=ACC-0815&limit=Himitsu",
        "Himitsu=1&fuzzymatching=true&PatientName=Himitsu%5ETaro",
    ] {
        let found = server.get(&format!("/studies?{query}"), &token).await;
        assert!(found.status < 500, "{query}: {}", found.status);
    }
    for path in [
        "/studies/Himitsu%5ETaro/metadata",
        "/Himitsu/PID-4711",
        "/dicomweb/himitsu?pid-4711",
        "/studies/1.2.3.1/series/PID-4711/instances/Himitsu",
        "/studies/1.2.3.1/metadata?PatientName=Himitsu",
    ] {
        server.get(path, &token).await;
    }
    server.get("/studies", "token-that-is-none").await;
    let (header, query) = ("x-patient", "/studies?PatientID=PID-4711");
    let request = server.request(Method::GET, query, &token);
    server
        .send(
            request
                .header(header, "Himitsu")
                .header("user-agent", "Himitsu/1 PID-4711"),
        )
        .await;
    let answer = server.get("/health/live", "").await;
    // The last line is there, so those before it are.
    lines_as_text(&server, &answer.header("x-request-id"));
    let log = server.log();
    assert!(log.len() > 30, "{}", log.len());
    for line in &log {
        for secret in SECRETS {
            assert!(!line.contains(secret), "{secret} is in: {line}");
        }
        assert!(!line.contains(&token[..40]), "{line}");
    }
}

fn lines_as_text(server: &Server, id: &str) {
    wait_for(Duration::from_secs(10), || {
        let log = server.log();
        let ended = |line: &&String| line.contains(id) && line.contains("answered");
        log.iter().find(ended).map(|_| ())
    });
}

#[tokio::test]
async fn a_caller_who_leaves_is_written_down_as_cut_off() {
    use std::io::Write as _;
    let server = json();
    let token = server.reader("F001");
    let mut stream =
        std::net::TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    let head = format!(
        "POST /dicomweb/studies HTTP/1.1\r\nHost: kura\r\nAuthorization: Bearer {token}\r\nContent-Type: application/dicom\r\nContent-Length: 1000\r\n\r\n0123456789"
    );
    stream.write_all(head.as_bytes()).unwrap();
    wait_for(Duration::from_secs(10), || {
        stream.write_all(b"x").ok()?;
        Some(())
    });
    drop(stream);
    wait_for(Duration::from_secs(10), || {
        let log = server.log();
        let is_it = |line: &&String| {
            line.contains("\"method\":\"POST\"")
                && (line.contains("cut off") || line.contains("\"status\":400"))
        };
        log.iter().find(is_it).map(|_| ())
    });
}
