//! `POST /api/v1/auth/revoke`: what it takes back counts from the next request on.

use serde_json::{Value, json};

use super::{claims, local, post, revoke, token_of, until};
use crate::harness::Server;

async fn status(server: &Server, token: &str) -> u16 {
    server.get("/studies", token).await.status
}

#[tokio::test]
async fn sh_2_2_7_a_denied_token_is_refused_and_its_neighbour_is_not() {
    let server = Server::start();
    let (denied, other) = (
        token_of(&server, "hanako", "1h"),
        token_of(&server, "hanako", "1h"),
    );
    assert_eq!(status(&server, &denied).await, 204);
    let named = claims(&denied);
    let deny = json!({"denyToken": {"jti": named["jti"], "exp": named["exp"]}});
    revoke(&server, deny.clone()).await;
    revoke(&server, deny).await;
    let refused = server.get("/studies", &denied).await;
    assert_eq!(refused.status, 401);
    let asked = "Bearer realm=\"kura\", error=\"invalid_token\"";
    assert_eq!(refused.header("www-authenticate"), asked);
    assert!(!refused.text().contains("den"), "{}", refused.text());
    assert_eq!(status(&server, &other).await, 204);
}

#[tokio::test]
async fn sh_2_2_7_a6_a_subject_is_signed_out_suspended_and_allowed_again() {
    let server = Server::start();
    let (old, stranger) = (
        token_of(&server, "hanako", "1h"),
        token_of(&server, "taro", "1h"),
    );
    revoke(&server, json!({"signOut": local("hanako")})).await;
    assert_eq!(status(&server, &old).await, 401, "from the next request on");
    assert_eq!(status(&server, &stranger).await, 204);
    let fresh = || server_token(&server);
    until(fresh, |answer| answer.status == 204).await;
    revoke(&server, json!({"suspend": local("hanako")})).await;
    assert_eq!(server_token(&server).await.status, 401);
    assert_eq!(status(&server, &stranger).await, 204);
    revoke(&server, json!({"unsuspend": local("hanako")})).await;
    until(fresh, |answer| answer.status == 204).await;
    assert_eq!(status(&server, &old).await, 401, "what was issued before");
}

/// A request with a token that is made for it.
async fn server_token(server: &Server) -> crate::harness::Answer {
    let token = token_of(server, "hanako", "1h");
    server.get("/studies", &token).await
}

#[tokio::test]
async fn sh_2_5_revocation_is_not_there_for_those_without_an_administrative_scope() {
    let server = Server::start();
    let body = json!({"signOut": local("hanako")});
    for (scope, expected) in [
        ("dicom.read dicom.write", 404),
        ("openid", 404),
        ("audit.read.own", 403),
        ("admin.facility admin.policy", 403),
        ("admin.token", 204),
    ] {
        let token = server.token("F001", scope);
        let answer = post(&server, "/auth/revoke", &token, &body).await;
        assert_eq!(answer.status, expected, "{scope}: {}", answer.text());
    }
    let absent = post(&server, "/auth/revoke", "", &body).await;
    assert_eq!(absent.status, 401);
}

#[tokio::test]
async fn a_revocation_that_makes_no_sense_is_refused_and_not_repeated() {
    let server = Server::start();
    let admin = server.token("F001", "admin.token");
    let long = "x".repeat(1025);
    let now = claims(&admin)["iat"].as_i64().unwrap();
    for (body, expected) in [
        (json!({}), 400),
        (json!([]), 400),
        (json!("signOut"), 400),
        (json!({"signOut": {}}), 400),
        (json!({"signOut": {"issuer": "kura:local"}}), 400),
        (
            json!({"signOut": {"issuer": "kura:local", "subject": 7}}),
            400,
        ),
        (
            json!({"signOut": {"issuer": "a", "subject": "b", "all": true}}),
            400,
        ),
        (json!({"signOut": local("a"), "suspend": local("b")}), 400),
        (json!({"signin": local("secret-name")}), 400),
        (json!({"signOut": local("")}), 422),
        (json!({"signOut": local(&long)}), 422),
        (json!({"signOut": local("a\u{0}b")}), 422),
        (json!({"denyToken": {"jti": "", "exp": now + 60}}), 422),
        (json!({"denyToken": {"jti": "a", "exp": now - 61}}), 422),
        (json!({"denyToken": {"jti": "a", "exp": now * 1000}}), 422),
        (json!({"denyToken": {"jti": "a", "exp": i64::MAX}}), 422),
        (json!({"denyToken": {"jti": "a", "exp": i64::MIN}}), 422),
        (json!({"denyToken": {"jti": "a", "exp": 1e300}}), 400),
        (Value::String("x".repeat(70_000)), 413),
    ] {
        let answer = post(&server, "/auth/revoke", &admin, &body).await;
        let what: String = body.to_string().chars().take(80).collect();
        assert_eq!(answer.status, expected, "{what}: {}", answer.text());
        assert!(!answer.text().contains("secret-name"), "{}", answer.text());
        let named = answer.header("content-type");
        assert_eq!(named, "application/problem+json", "{what}");
    }
    let text = server.post("/api/v1/auth/revoke", &admin, "text/plain", b"{}".to_vec());
    assert_eq!(text.await.status, 415);
    let cut = server.post(
        "/api/v1/auth/revoke",
        &admin,
        "application/json",
        b"{\"sign".to_vec(),
    );
    assert_eq!(cut.await.status, 400);
}
