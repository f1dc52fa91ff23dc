//! Who is let in: identity providers, revocation, sessions, links (sharing.md 2).

mod links;
mod provider;
mod revocation;
mod sessions;

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::server::kura;
use crate::harness::{Answer, Server};

/// Longer than a second that has to go by, and than what a fetch may take.
const LIMIT: Duration = Duration::from_secs(20);

/// POST of a JSON body to `/api/v1`.
async fn post(server: &Server, path: &str, token: &str, body: &Value) -> Answer {
    let request = server.request(reqwest::Method::POST, &format!("/api/v1{path}"), token);
    server.send(request.json(body)).await
}

/// A token of the local key for `subject` of `F001`, which lives for `ttl`.
fn token_of(server: &Server, subject: &str, ttl: &str) -> String {
    let scope = "dicom.read dicom.write report.read dose.read";
    let arguments = [
        "token",
        "--facility",
        "F001",
        "--scope",
        scope,
        "--subject",
        subject,
        "--ttl",
        ttl,
    ];
    kura(server.data.path(), &arguments).trim().to_owned()
}

/// Takes something back, as an administrator of tokens.
async fn revoke(server: &Server, what: Value) {
    let admin = server.token("F002", "admin.token");
    let done = post(server, "/auth/revoke", &admin, &what).await;
    assert_eq!(done.status, 204, "{what}: {}", done.text());
}

fn local(subject: &str) -> Value {
    json!({"issuer": "kura:local", "subject": subject})
}

/// The claims of a token, unverified.
fn claims(token: &str) -> Value {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let claims = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

/// Asks until `condition` holds for the answer, since some instants have to go by.
async fn until<F: Future<Output = Answer>>(
    ask: impl Fn() -> F,
    condition: impl Fn(&Answer) -> bool,
) {
    let wait = async {
        while !condition(&ask().await) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.expect("in time");
}
