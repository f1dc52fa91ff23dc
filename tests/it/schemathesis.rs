//! Requests made up from our own OpenAPI document, right ones and wrong ones, by schemathesis (clients.md): every answer has a
//! status and a shape that the document names, and none is a failure of ours.

use std::path::Path;
use std::process::Command;

use crate::harness::{Server, instance};

/// Requests of one operation that are made up, beside those that cover what its document says.
/// `KURA_TEST_EXAMPLES=150` makes some 5,000 in all.
const EXAMPLES: &str = "5";

/// Slow: a thousand requests and more.
#[tokio::test]
async fn the_openapi_document_is_kept_by_what_it_describes() {
    let Some(python) = crate::python_client::python() else {
        return;
    };
    let server = Server::start();
    let scope = "dicom.read dicom.write report.read dose.read dicom.delete lifecycle.manage lifecycle.read admin.policy";
    let token = server.token("F001", scope);
    server.stored(&token, &[instance("1.2.3").file()]).await;
    let examples = std::env::var_os("KURA_TEST_EXAMPLES").unwrap_or_else(|| EXAMPLES.into());
    let scratch = tempfile::tempdir().unwrap();
    let hooks = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/openapi_hooks.py");
    let output = Command::new(python.with_file_name("st"))
        .args(["run", &format!("{}/openapi.json", server.base)])
        .args(["--url", &server.base, "--header"])
        .arg(format!("Authorization: Bearer {token}"))
        .args(["--phases", "examples,coverage,fuzzing", "--seed", "1"])
        .arg("--max-examples")
        .arg(examples)
        .arg("--continue-on-failure")
        // No document can say which cursors were given out, or which studies there are.
        .args(["--exclude-checks", "positive_data_acceptance"])
        // These end the session and the rights of the one who asks.
        .args(["--exclude-path-regex", "auth/(session|revoke)"])
        .args(["--no-color", "--generation-database", "none"])
        .env("SCHEMATHESIS_HOOKS", hooks)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(scratch.path())
        .output()
        .expect("schemathesis starts");
    let told = String::from_utf8_lossy(&output.stdout);
    for line in told
        .lines()
        .filter(|line| line.contains("generated") || line.contains("Tested"))
    {
        println!("{}", line.trim());
    }
    assert!(
        output.status.success(),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let log = server.log();
    assert!(!log.iter().any(|line| line.contains("a defect")));
}
