//! Methods and paths: HEAD, OPTIONS, what is not allowed, and the ways to write one path (dicomweb.md 1, 11).

use reqwest::Method;

use crate::harness::{Answer, Server, instance};

const STUDY: &str = "/studies/1.2.3.1";
const SERIES: &str = "/studies/1.2.3.1/series/1.2.3.1.1";
const INSTANCE: &str = "/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1";

async fn filled() -> (Server, String) {
    let server = Server::start();
    let token = server.reader("F001");
    server.stored(&token, &[instance("1.2.3").file()]).await;
    (server, token)
}

/// What may not differ between two answers to the same question; a boundary is another each time (F24).
fn told(answer: &Answer) -> Vec<(String, String)> {
    let mut told: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "date" | "x-request-id"))
        .map(|(name, value)| {
            let value = value.to_str().unwrap();
            let value = value.split("boundary=").next().unwrap_or_default();
            (name.to_string(), value.to_owned())
        })
        .collect();
    told.sort();
    told
}

async fn options(server: &Server, path: &str) -> Answer {
    let request = server.request(Method::OPTIONS, path, "");
    server.send(request).await
}

#[tokio::test]
async fn q115_head_is_get_without_its_body() {
    let (server, token) = filled().await;
    for path in [
        "/studies",
        "/studies?count=true&limit=0",
        "/studies?PatientID=none",
        "/studies?limit=x",
        "/series?count=true",
        "/instances",
        STUDY,
        SERIES,
        INSTANCE,
        &format!("{STUDY}/metadata"),
        &format!("{SERIES}/instances?count=true"),
        &format!("{INSTANCE}/metadata"),
        &format!("{INSTANCE}/frames/1"),
        &format!("{INSTANCE}/frames/2"),
        &format!("{INSTANCE}/bulkdata/7FE00010"),
        "/studies/9",
        "/studies/9/metadata",
        "/health/ready",
        "/nowhere",
        "/",
    ] {
        let get = server.get(path, &token).await;
        let head = server
            .send(server.request(Method::HEAD, path, &token))
            .await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(told(&head), told(&get), "{path}");
        assert!(head.body.is_empty(), "{path}");
    }
    let count = server
        .send(server.request(Method::HEAD, "/studies?count=true", &token))
        .await;
    assert_eq!(count.header("x-total-count"), "1");
    let stranger = server
        .send(server.request(Method::HEAD, STUDY, &server.reader("F002")))
        .await;
    assert_eq!(stranger.status, 404);
    let nobody = server.send(server.request(Method::HEAD, STUDY, "")).await;
    assert_eq!(nobody.status, 401);
}

#[tokio::test]
async fn r31_s12_a_known_path_with_another_method_is_405_with_allow() {
    let (server, token) = filled().await;
    for (method, path, allow) in [
        (Method::PUT, "/studies", "GET, HEAD, POST, OPTIONS"),
        (Method::DELETE, "/studies", "GET, HEAD, POST, OPTIONS"),
        (Method::PATCH, "/studies/", "GET, HEAD, POST, OPTIONS"),
        (Method::PUT, "/%73tudies", "GET, HEAD, POST, OPTIONS"),
        (Method::PUT, STUDY, "GET, HEAD, POST, DELETE, OPTIONS"),
        (Method::POST, INSTANCE, "GET, HEAD, DELETE, OPTIONS"),
        (Method::POST, "/openapi.json", "GET, HEAD, OPTIONS"),
    ] {
        let path = if path.starts_with("/%") {
            format!("/dicomweb{path}")
        } else {
            path.to_owned()
        };
        let answer = server
            .send(server.request(method.clone(), &path, &token))
            .await;
        assert_eq!(answer.status, 405, "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
    let metadata = format!("{INSTANCE}/metadata");
    let answer = server
        .send(server.request(Method::POST, &metadata, &token))
        .await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (405, "application/problem+json".to_owned())
    );
    let nowhere = server
        .send(server.request(Method::PUT, "/nowhere", &token))
        .await;
    assert_eq!(nowhere.status, 404);
}

#[tokio::test]
async fn a02_options_of_a_resource_is_204_with_allow_and_asks_for_no_token() {
    let (server, _) = filled().await;
    for (path, allow) in [
        ("/studies", "GET, HEAD, POST, OPTIONS"),
        (STUDY, "GET, HEAD, POST, DELETE, OPTIONS"),
        ("/studies/9.9.9", "GET, HEAD, POST, DELETE, OPTIONS"),
        (&format!("{STUDY}/metadata/"), "GET, HEAD, OPTIONS"),
        (&format!("{INSTANCE}/frames/1%2C2"), "GET, HEAD, OPTIONS"),
        (
            &format!("{INSTANCE}/bulkdata/7FE00010"),
            "GET, HEAD, OPTIONS",
        ),
        ("/", "GET, HEAD, OPTIONS"),
    ] {
        let answer = options(&server, path).await;
        assert_eq!((answer.status, answer.body.len()), (204, 0), "{path}");
        assert_eq!(answer.header("allow"), allow, "{path}");
    }
    assert_eq!(options(&server, "/nowhere").await.status, 404);
    assert_eq!(options(&server, "/dicomweb/nowhere").await.status, 404);
}

#[tokio::test]
async fn r30_r34_the_ways_to_write_a_path_name_one_resource() {
    let (server, token) = filled().await;
    let rows = [
        ("/studies/1.2.3.1/", STUDY),
        ("/dicomweb/%73tudies/1.2.3%2E1", STUDY),
        (
            &format!("{STUDY}/%6Detadata"),
            &*format!("{STUDY}/metadata"),
        ),
        (
            &format!("{INSTANCE}/frames/1%2C1"),
            &format!("{INSTANCE}/frames/1,1"),
        ),
        (
            &format!("{INSTANCE}/frames/1%2c1/"),
            &format!("{INSTANCE}/frames/1,1"),
        ),
        (
            &format!("{INSTANCE}/bulkdata/7FE0%30010"),
            &format!("{INSTANCE}/bulkdata/7FE00010"),
        ),
    ];
    for (other, plain) in rows {
        let (one, two) = (
            server.get(other, &token).await,
            server.get(plain, &token).await,
        );
        assert_eq!((one.status, two.status), (200, 200), "{other}");
        assert_eq!(told(&one), told(&two), "{other}");
        let bodies = |answer: &Answer| match &*answer.header("content-type") {
            kind if kind.starts_with("multipart/") => answer.parts(),
            _ => Vec::new(),
        };
        assert_eq!(bodies(&one), bodies(&two), "{other}");
    }
    assert!(
        server.get("/studies/", &token).await.body == server.get("/studies", &token).await.body
    );
}

#[tokio::test]
async fn r35_the_order_of_headers_means_nothing() {
    let (server, token) = filled().await;
    let headers = [
        ("accept", "application/dicom+json"),
        ("accept-encoding", "identity"),
        ("authorization", &*format!("Bearer {token}")),
        ("range", "bytes=0-1"),
        ("origin", "https://viewer.example"),
    ];
    let path = format!("{}/dicomweb{STUDY}/metadata", server.base);
    let mut answers = Vec::new();
    for turn in 0..headers.len() {
        let mut request = server.client.get(&path);
        for at in 0..headers.len() {
            let (name, value) = headers[(turn + at) % headers.len()];
            request = request.header(name, value);
        }
        let answer = server.send(request).await;
        answers.push((answer.status, told(&answer), answer.body));
    }
    assert_eq!(answers[0].0, 200);
    assert!(answers.iter().all(|answer| *answer == answers[0]));
}
