//! The session cookie: what it is, where it counts, and what ends it.

use std::process::Command;
use std::sync::Arc;

use reqwest::Method;
use serde_json::json;

use super::{claims, local, revoke, token_of};
use crate::harness::{Answer, Server, instance, multipart};

/// A session as the browser and the page of it hold it.
struct Session {
    /// `name=value`.
    cookie: String,
    csrf: String,
}

impl Session {
    async fn of(server: &Server, token: &str) -> Self {
        let request = server.request(Method::POST, "/api/v1/auth/session", token);
        let answer = server.send(request).await;
        assert_eq!(answer.status, 204, "{}", answer.text());
        assert_eq!(answer.header("cache-control"), "no-store");
        let cookie = answer.header("set-cookie");
        Self {
            cookie: cookie.split(';').next().unwrap().to_owned(),
            csrf: answer.header("x-kura-csrf"),
        }
    }

    async fn send(&self, server: &Server, method: Method, path: &str, csrf: &str) -> Answer {
        let mut request = server
            .request(method.clone(), path, "")
            .header("cookie", &self.cookie);
        if !csrf.is_empty() {
            request = request.header("x-kura-csrf", csrf);
        }
        if method == Method::POST {
            let (media_type, body) = multipart::write(&[instance("1.2.826.7.9").file()]);
            request = request.header("content-type", media_type).body(body);
        }
        server.send(request).await
    }

    async fn status(&self, server: &Server) -> u16 {
        self.send(server, Method::GET, "/studies", "").await.status
    }
}

#[tokio::test]
async fn sh_2_7_a_token_becomes_a_cookie_that_no_script_and_no_other_site_gets() {
    let server = Server::start();
    let token = token_of(&server, "hanako", "10m");
    let request = server.request(Method::POST, "/api/v1/auth/session", &token);
    let answer = server.send(request).await;
    let cookie = answer.header("set-cookie");
    let mut parts: Vec<&str> = cookie.split("; ").collect();
    let pair = parts.remove(0);
    parts.retain(|part| !part.starts_with("Max-Age="));
    parts.sort_unstable();
    // Plain http on this machine: `Secure` would keep the browser from sending it back.
    assert_eq!(parts, ["HttpOnly", "Path=/", "SameSite=Strict"], "{cookie}");
    let (name, value) = pair.split_once('=').unwrap();
    assert_eq!((name, value.len()), ("kura-session", 43));
    let life: i64 = cookie
        .split("Max-Age=")
        .nth(1)
        .unwrap()
        .split(';')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(
        (500..=600).contains(&life),
        "no longer than the token: {life}"
    );
    assert!(!answer.text().contains(value), "nowhere but in the cookie");
    assert_ne!(answer.header("x-kura-csrf"), value);
    let database = std::fs::read(server.data.path().join("kura.db-wal")).unwrap_or_default();
    let is_there = database
        .windows(value.len())
        .any(|bytes| bytes == value.as_bytes());
    assert!(!is_there, "the database holds its digest only");
}

#[tokio::test]
async fn sh_2_7_behind_https_the_cookie_is_secure_and_of_this_host() {
    let server = Server::start();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kura"));
    command.env("KURA_PUBLIC_URL", "https://kura.example.org");
    let behind = Server::start_with(Arc::clone(&server.data), command);
    let token = token_of(&server, "hanako", "10m");
    let request = behind.request(Method::POST, "/api/v1/auth/session", &token);
    let cookie = behind.send(request).await.header("set-cookie");
    assert!(cookie.starts_with("__Host-kura-session="), "{cookie}");
    assert!(cookie.contains("; Secure"), "{cookie}");
    // A cookie that somebody else of the domain could have planted is none.
    let session = Session::of(&behind, &token).await;
    assert_eq!(session.status(&behind).await, 204);
    let planted = Session {
        cookie: session.cookie.replace("__Host-", ""),
        csrf: String::new(),
    };
    assert_eq!(planted.status(&behind).await, 401);
}

#[tokio::test]
async fn sh_2_7_a_session_is_its_token_at_every_replica() {
    let server = Server::start();
    let other = Server::start_on(Arc::clone(&server.data));
    let token = token_of(&server, "hanako", "10m");
    server
        .stored(&token, &[instance("1.2.826.7.9").file()])
        .await;
    let session = Session::of(&server, &token).await;
    for replica in [&server, &other] {
        let by_token = replica.get("/studies", &token).await;
        let by_cookie = session.send(replica, Method::GET, "/studies", "").await;
        assert_eq!((by_cookie.status, by_cookie.text()), (200, by_token.text()));
        assert!(by_cookie.header("vary").contains("Cookie"));
    }
    let left = session.send(
        &other,
        Method::DELETE,
        "/api/v1/auth/session",
        &session.csrf,
    );
    let left = left.await;
    assert_eq!(left.status, 204);
    let cookie = left.header("set-cookie");
    assert!(cookie.starts_with("kura-session=;"), "{cookie}");
    assert!(cookie.contains("Max-Age=0"), "{cookie}");
    for replica in [&server, &other] {
        assert_eq!(session.status(replica).await, 401);
    }
    assert_eq!(server.get("/studies", &token).await.status, 200);
}

#[tokio::test]
async fn sh_2_7_a_change_under_a_session_needs_its_csrf_value() {
    let server = Server::start();
    let token = token_of(&server, "hanako", "10m");
    let (session, other) = (
        Session::of(&server, &token).await,
        Session::of(&server, &token).await,
    );
    assert_ne!(session.csrf, other.csrf);
    for wrong in ["", "x", &other.csrf] {
        for (method, path) in [
            (Method::POST, "/studies"),
            (Method::POST, "/api/v1/links"),
            (Method::DELETE, "/api/v1/auth/session"),
        ] {
            let answer = session.send(&server, method.clone(), path, wrong).await;
            assert_eq!(answer.status, 403, "{method} {path} {wrong}");
            assert!(answer.text().contains("X-Kura-CSRF"), "{}", answer.text());
            // Another token would not help, so none is asked for.
            assert_eq!(answer.header("www-authenticate"), "");
        }
    }
    assert_eq!(
        server.get("/studies", &token).await.status,
        204,
        "nothing was stored"
    );
    let stored = session
        .send(&server, Method::POST, "/studies", &session.csrf)
        .await;
    assert_eq!(stored.status, 200, "{}", stored.text());
    assert_eq!(session.status(&server).await, 200);
}

#[tokio::test]
async fn sh_2_7_authorization_counts_and_the_cookie_beside_it_does_not() {
    let server = Server::start();
    let mine = token_of(&server, "hanako", "10m");
    server
        .stored(&mine, &[instance("1.2.826.7.9").file()])
        .await;
    let session = Session::of(&server, &mine).await;
    let with = async |authorization: &str| {
        let request = server
            .request(Method::GET, "/studies", "")
            .header("cookie", &session.cookie)
            .header("authorization", authorization);
        server.send(request).await.status
    };
    let theirs = server.reader("F002");
    assert_eq!(
        with(&format!("Bearer {theirs}")).await,
        204,
        "the token's facility"
    );
    for bad in ["Bearer x.y.z", "Bearer", "Basic aGFuYWtvOng="] {
        assert_eq!(with(bad).await, 401, "{bad}");
    }
    // A change by a token needs no CSRF header: no other site can make a browser send one.
    let (media_type, body) = multipart::write(&[instance("1.2.826.7.8").file()]);
    let store = server
        .request(Method::POST, "/studies", &theirs)
        .header("cookie", &session.cookie)
        .header("content-type", media_type);
    assert_eq!(server.send(store.body(body)).await.status, 200);
    assert_eq!(
        session.status(&server).await,
        200,
        "and the other facility has it not"
    );
}

#[tokio::test]
async fn sh_2_7_no_credential_is_taken_for_another_kind() {
    let server = Server::start();
    let token = token_of(&server, "hanako", "10m");
    let session = Session::of(&server, &token).await;
    let id = session.cookie.split_once('=').unwrap().1;
    let ask = async |path: &str, header: &'static str, value: &str| {
        let request = server.request(Method::GET, path, "").header(header, value);
        server.send(request).await.status
    };
    assert_eq!(
        ask("/studies", "cookie", &format!("kura-session={token}")).await,
        401
    );
    assert_eq!(
        ask("/studies", "authorization", &format!("Bearer {id}")).await,
        401
    );
    assert_eq!(ask(&format!("/studies?link={id}"), "x-n", "1").await, 401);
    assert_eq!(
        ask(&format!("/studies?link={token}"), "x-n", "1").await,
        401
    );
    assert_eq!(
        ask(&format!("/studies?kura-session={id}"), "x-n", "1").await,
        401
    );
    assert_eq!(ask("/studies", "x-kura-csrf", &session.csrf).await, 401);
    let csrf_as_id = format!("kura-session={}", session.csrf);
    assert_eq!(ask("/studies", "cookie", &csrf_as_id).await, 401);
    // A session makes no further one.
    let again = session.send(&server, Method::POST, "/api/v1/auth/session", &session.csrf);
    assert_eq!(again.await.status, 401);
}

#[tokio::test]
async fn sh_2_7_a6_what_ends_a_token_ends_its_session() {
    let server = Server::start();
    let tokens = ["denied", "signed out", "suspended"].map(|name| token_of(&server, name, "10m"));
    let mut sessions = Vec::new();
    for token in &tokens {
        let session = Session::of(&server, token).await;
        assert_eq!(session.status(&server).await, 204);
        sessions.push(session);
    }
    let denied = claims(&tokens[0]);
    let deny = json!({"denyToken": {"jti": denied["jti"], "exp": denied["exp"]}});
    for (session, what) in sessions.iter().zip([
        deny,
        json!({"signOut": local("signed out")}),
        json!({"suspend": local("suspended")}),
    ]) {
        revoke(&server, what.clone()).await;
        assert_eq!(session.status(&server).await, 401, "{what}");
    }
}

#[tokio::test]
async fn sh_2_7_a_session_ends_with_its_token() {
    let server = Server::start();
    let session = Session::of(&server, &token_of(&server, "hanako", "2s")).await;
    let ask = || session.send(&server, Method::GET, "/studies", "");
    super::until(ask, |answer| answer.status == 401).await;
}
