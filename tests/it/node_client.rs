//! The dicomweb-client of the JavaScript world against the real server (clients.md); `tests/node/client.mjs` asks and judges.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::{Server, instance};

/// The fewest calls that count as having tried the client.
const CALLS: usize = 35;

#[tokio::test]
async fn the_javascript_dicomweb_client_calls_every_function_it_has() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/node");
    if !folder.join("node_modules/dicomweb-client").is_dir() {
        let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
        assert!(
            !is_ci,
            "no dicomweb-client: scripts/setup --tests installs it"
        );
        println!("no dicomweb-client: scripts/setup --tests installs it");
        return;
    }
    let server = Server::start();
    let files = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for number in 1..4 {
        let uid = format!("1.2.826.7.1.1.{number}");
        let slice = instance("1")
            .uids("1.2.826.7.1", "1.2.826.7.1.1", &uid)
            .text(0x0020_0013, "IS", &number.to_string());
        let path = files.path().join(format!("{number}.dcm"));
        std::fs::write(&path, slice.file()).unwrap();
        paths.push(path);
    }
    let output = Command::new("node")
        .arg("client.mjs")
        .arg(format!("{}/dicomweb", server.base))
        .arg(server.reader("F001"))
        .args(&paths)
        .current_dir(&folder)
        .output()
        .expect("node starts");
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    let summary = told.lines().last().unwrap_or_default();
    println!("{summary}");
    assert!(output.status.success(), "{told}{failed}");
    let calls = summary
        .strip_prefix("calls ")
        .and_then(|rest| rest.split(',').next());
    let calls: usize = calls.and_then(|n| n.parse().ok()).expect("a summary");
    assert!(calls >= CALLS, "{calls} calls");
}
