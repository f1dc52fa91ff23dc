//! The dicomweb-client of the Python world against the real server (clients.md); `tests/python/client.py` asks and judges.

use std::path::PathBuf;
use std::process::Command;

use crate::harness::Server;

/// The fewest calls that count as having tried the client.
const CALLS: usize = 60;

/// A Python with the packages of `tests/python/requirements.txt`: `KURA_TEST_PYTHON`, else the one in `.venv`.
pub fn python() -> Option<PathBuf> {
    let given = std::env::var_os("KURA_TEST_PYTHON").map(PathBuf::from);
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = given.unwrap_or_else(|| root.join(".venv/bin/python"));
    if python.is_file() {
        return Some(python);
    }
    let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(!is_ci, "no Python: scripts/setup --tests makes one");
    println!("no Python: scripts/setup --tests makes one, or set KURA_TEST_PYTHON");
    None
}

#[tokio::test]
async fn the_python_dicomweb_client_stores_searches_and_retrieves() {
    let Some(python) = python() else { return };
    let server = Server::start();
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python/client.py");
    let output = Command::new(python)
        .arg(script)
        .arg(format!("{}/dicomweb", server.base))
        .args([server.reader("F001"), server.reader("F002")])
        .env("PYTHONIOENCODING", "utf-8")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("Python starts");
    let told = String::from_utf8_lossy(&output.stdout);
    let summary = told.lines().last().unwrap_or_default();
    println!("{summary}");
    assert!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let calls = summary
        .strip_prefix("calls ")
        .and_then(|rest| rest.split(',').next());
    let calls: usize = calls.and_then(|n| n.parse().ok()).expect("a summary");
    assert_eq!(summary, format!("calls {calls}, passed {calls}"));
    assert!(calls >= CALLS, "{calls} calls");
}
