//! Pages of other origins (dicomweb.md 11.2).

use reqwest::Method;

use crate::harness::{Answer, Server, instance};

const VIEWER: &str = "https://viewer.example";
const ONE_VIEWER: (&str, &str) = ("KURA_CORS__ORIGINS", r#"["https://viewer.example"]"#);

async fn preflight(server: &Server, path: &str, origin: &str) -> Answer {
    let request = server
        .request(Method::OPTIONS, path, "")
        .header("origin", origin)
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "accept,authorization");
    server.send(request).await
}

async fn asked(server: &Server, path: &str, token: &str, origin: &str) -> Answer {
    let request = server.request(Method::GET, path, token);
    server.send(request.header("origin", origin)).await
}

/// Whether a list in a header holds each of `names`.
fn holds(answer: &Answer, header: &str, names: &str) {
    let list = answer.header(header).to_ascii_lowercase();
    let list: Vec<&str> = list.split(',').map(str::trim).collect();
    for name in names.split(", ") {
        assert!(
            list.contains(&&*name.to_ascii_lowercase()),
            "{header} lacks {name}: {list:?}"
        );
    }
}

#[tokio::test]
async fn a10_a12_a13_a15_a_preflight_is_answered_before_anybody_signs_in() {
    let server = Server::start_set(&[ONE_VIEWER]);
    for path in [
        "/studies",
        "/studies/1/series/2/metadata",
        "/dicomweb/",
        "/nowhere",
    ] {
        let answer = preflight(&server, path, VIEWER).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), VIEWER);
        holds(
            &answer,
            "access-control-allow-methods",
            "GET, HEAD, POST, PUT, DELETE, OPTIONS",
        );
        holds(
            &answer,
            "access-control-allow-headers",
            "Authorization, Accept, Content-Type, Range, If-None-Match, If-Modified-Since, Cache-Control, \
             X-Requested-With, traceparent",
        );
        let age: u32 = answer.header("access-control-max-age").parse().unwrap();
        assert!(age >= 7200);
    }
    let other = preflight(&server, "/studies", "https://other.example").await;
    assert_eq!(other.status, 204);
    for (name, _) in &other.headers {
        assert!(!name.as_str().starts_with("access-control-"), "{name}");
    }
}

#[tokio::test]
async fn a11_a14_a17_s33_every_answer_to_a_known_origin_may_be_read() {
    let server = Server::start_set(&[ONE_VIEWER]);
    let token = server.reader("F001");
    server.stored(&token, &[instance("1.2.3").file()]).await;
    for (path, token, status) in [
        ("/studies", &*token, 200),
        ("/studies?PatientID=none", &token, 204),
        ("/studies/1.2.3.1", &token, 200),
        ("/studies?limit=x", &token, 400),
        ("/studies", "", 401),
        ("/studies/9", &token, 404),
        ("/nowhere", &token, 404),
        ("/health/live", "", 200),
    ] {
        let answer = asked(&server, path, token, VIEWER).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(
            answer.header("access-control-allow-origin"),
            VIEWER,
            "{path}"
        );
        holds(
            &answer,
            "access-control-expose-headers",
            "Content-Range, Accept-Ranges, Content-Location, Location, ETag, Warning, X-Total-Count, Link, \
             WWW-Authenticate, Retry-After, Content-Disposition",
        );
        holds(&answer, "vary", "Origin");
        let other = asked(&server, path, token, "https://other.example").await;
        assert_eq!(other.header("access-control-allow-origin"), "", "{path}");
        holds(&other, "vary", "Origin");
    }
    let long = asked(
        &server,
        &format!("/studies?{}", "x".repeat(65_100)),
        &token,
        VIEWER,
    )
    .await;
    assert_eq!(
        (long.status, &*long.header("access-control-allow-origin")),
        (414, VIEWER)
    );
    let put = server
        .request(Method::PUT, "/studies", &token)
        .header("origin", VIEWER);
    let put = server.send(put).await;
    assert_eq!(
        (put.status, &*put.header("access-control-allow-origin")),
        (405, VIEWER)
    );
}

#[tokio::test]
async fn a16_credentials_go_with_a_named_origin_only() {
    let credentials = "access-control-allow-credentials";
    let closed = Server::start();
    let answer = asked(&closed, "/health/live", "", VIEWER).await;
    assert_eq!(answer.header("access-control-allow-origin"), "");

    let every = Server::start_set(&[("KURA_CORS__ORIGINS", r#"["*"]"#)]);
    let answer = asked(&every, "/health/live", "", VIEWER).await;
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert_eq!(answer.header(credentials), "");
    let answer = preflight(&every, "/studies", VIEWER).await;
    assert_eq!(answer.header(credentials), "");

    let named = Server::start_set(&[ONE_VIEWER, ("KURA_CORS__CREDENTIALS", "true")]);
    let answer = asked(&named, "/health/live", "", VIEWER).await;
    assert_eq!(answer.header(credentials), "true");
    let answer = preflight(&named, "/studies", VIEWER).await;
    assert_eq!(answer.header(credentials), "true");
    let answer = asked(&named, "/health/live", "", "https://other.example").await;
    assert_eq!(answer.header(credentials), "");
}
