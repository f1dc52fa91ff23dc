//! Exports into the operator's folder (dicomweb.md X06).

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::server::kura;
use crate::harness::{Answer, Server, instance};

async fn ask(server: &Server, token: &str, body: &Value) -> Answer {
    let body = body.to_string().into_bytes();
    server
        .post("/dicomweb/export", token, "application/json", body)
        .await
}

fn of(values: &[&str]) -> Value {
    json!({"source": {"type": "identifiers", "settings": {"values": values}}})
}

/// How an export stands once it is over.
async fn over(server: &Server, token: &str, begun: &Answer) -> Value {
    assert_eq!(begun.status, 202, "{}", begun.text());
    let href = begun.header("location");
    assert_eq!(begun.json()["href"], href);
    let path = href.strip_prefix(&server.base).unwrap().to_owned();
    let started = Instant::now();
    loop {
        let answer = server.get(&path, token).await;
        match answer.status {
            200 => return answer.json(),
            202 => assert!(!answer.header("retry-after").is_empty()),
            status => panic!("{status}: {}", answer.text()),
        }
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{}",
            answer.text()
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Every file below a folder, by its path from there.
fn below(folder: &Path, at: &str) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder.join(at))
        .unwrap()
        .map(Result::unwrap)
    {
        let name = entry.file_name().into_string().unwrap();
        let name = if at.is_empty() {
            name
        } else {
            format!("{at}/{name}")
        };
        if entry.file_type().unwrap().is_dir() {
            names.extend(below(folder, &name));
        } else {
            names.push(name);
        }
    }
    names.sort();
    names
}

#[tokio::test]
async fn x06_what_is_named_is_written_where_the_operator_wants_it() {
    let server = Server::start_exporting();
    let token = server.reader("F001");
    let image = instance("1").uids("1.1", "1.1.1", "1.1.1.1").file();
    let report = instance("1")
        .uids("1.1", "1.1.2", "1.1.2.1")
        .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.104.1")
        .without(0x7FE0_0010)
        .file();
    let other = instance("2").uids("1.2", "1.2.1", "1.2.1.1").file();
    let beside = instance("2").uids("1.2", "1.2.2", "1.2.2.1").file();
    server
        .stored(&token, &[&image, &report, &other, &beside])
        .await;
    let begun = ask(&server, &token, &of(&["1.1", "1.2/1.2.1"])).await;
    let done = over(&server, &token, &begun).await;
    assert_eq!(
        (&done["type"], &done["status"]),
        (&json!("export"), &json!("succeeded"))
    );
    assert_eq!(done["results"], json!({"exported": 3, "skipped": 0}));
    assert_eq!(done["operationId"], begun.json()["id"]);
    let exports = server.data.path().join("exports");
    let folder = exports.join(done["folder"].as_str().unwrap());
    let files = [
        "1.1/1.1.1/1.1.1.1.dcm",
        "1.1/1.1.2/1.1.2.1.dcm",
        "1.2/1.2.1/1.2.1.1.dcm",
        "SHA256SUMS",
    ];
    assert_eq!(below(&folder, ""), files);
    assert!(std::fs::read(folder.join(files[0])).unwrap() == image);
    assert!(std::fs::read(folder.join(files[2])).unwrap() == other);
    // With the rights of whoever asked: one who reads no reports gets none.
    let images = server.token("F001", "dicom.read");
    let begun = ask(&server, &images, &of(&["1.1"])).await;
    let done = over(&server, &images, &begun).await;
    let folder = exports.join(done["folder"].as_str().unwrap());
    assert_eq!(below(&folder, ""), ["1.1/1.1.1/1.1.1.1.dcm", "SHA256SUMS"]);
    // Who runs the archive sees that there was an export, and not of what.
    let operator = server.token("F001", "lifecycle.manage");
    let jobs = server.get("/api/v1/jobs?kind=export", &operator).await;
    let listed = jobs.json()["jobs"][0]["payload"].clone();
    assert_eq!(listed, json!({"kind": "export", "resources": 1}));
    assert!(!jobs.text().contains("1.1\""));
}

#[tokio::test]
async fn x06_what_may_not_be_exported_is_refused_before_it_is_begun() {
    let server = Server::start_exporting();
    let (token, stranger) = (server.reader("F001"), server.reader("F002"));
    server
        .stored(
            &token,
            &[instance("1").uids("1.1", "1.1.1", "1.1.1.1").file()],
        )
        .await;
    server
        .stored(
            &stranger,
            &[instance("2").uids("1.2", "1.2.1", "1.2.1.1").file()],
        )
        .await;
    let folder = json!({"type": "folder"});
    let blob = json!({"type": "azureblob", "settings": {"containerName": "x"}});
    let path = json!({"type": "folder", "path": "/etc"});
    let to = |destination: &Value| {
        let mut body = of(&["1.1"]);
        body["destination"] = destination.clone();
        body
    };
    let many: Vec<String> = (0..1001).map(|n| format!("1.{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for (body, status) in [
        (to(&folder), 202),
        (to(&blob), 400),
        (to(&path), 400),
        (of(&["9.9"]), 404),
        (of(&["1.1", "9.9"]), 404),
        (of(&["1.2"]), 404),
        (of(&["1.1/1.2.1"]), 404),
        (of(&["../1.1"]), 400),
        (of(&["1.1/1.1.1/1.1.1.1/frames"]), 400),
        (of(&[""]), 400),
        (of(&[]), 400),
        (of(&many), 400),
        (json!({}), 400),
        (json!([]), 400),
    ] {
        let answer = ask(&server, &token, &body).await;
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
    }
    let plain = server
        .post("/dicomweb/export", &token, "text/plain", b"{}".to_vec())
        .await;
    assert_eq!(plain.status, 415);
    // A facility that is not allowed to, whatever the folder; and a server without one.
    assert_eq!(ask(&server, &stranger, &of(&["1.2"])).await.status, 501);
    assert_eq!(ask(&server, &stranger, &of(&["1.1"])).await.status, 404);
    let none = Server::start();
    kura(none.data.path(), &["facility", "set", "F001", "export=on"]);
    let own = none.reader("F001");
    none.stored(&own, &[instance("1").file()]).await;
    assert_eq!(ask(&none, &own, &of(&["1.1"])).await.status, 501);
    for path in [
        "/dicomweb/operations/x",
        "/dicomweb/operations/01900000-0000-7000-8000-000000000001",
    ] {
        assert_eq!(server.get(path, &token).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn x06_an_export_that_cannot_be_written_says_so() {
    let data = Server::fresh();
    kura(data.path(), &["facility", "set", "F001", "export=on"]);
    // A file stands where the folder should be.
    let folder = data.path().join("exports");
    std::fs::write(&folder, "in the way").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_kura"));
    command
        .env("KURA_EXPORT__FOLDER", &folder)
        .env("KURA_WORKER__POLL_S", "1");
    let server = Server::start_with(data, command);
    let token = server.reader("F001");
    server.stored(&token, &[instance("1").file()]).await;
    let begun = ask(&server, &token, &of(&["1.1"])).await;
    let path = begun.header("location");
    let path = path.strip_prefix(&server.base).unwrap();
    let started = Instant::now();
    let told = loop {
        let answer = server.get(path, &token).await;
        assert_eq!(answer.status, 202);
        if answer.json()["error"].is_string() {
            break answer.json();
        }
        assert!(started.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!(told["status"], "running", "it is tried again");
    let error = told["error"].as_str().unwrap();
    assert!(error.contains("cannot be written"), "{error}");
    assert!(!error.contains("exports"), "no path: {error}");
}
