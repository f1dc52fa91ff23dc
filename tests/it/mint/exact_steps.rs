//! Uploads that go on within an object, over several requests and processes (MINT Z43).

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Method;

use super::exact::{STUDY, objects};
use crate::harness::exact::{files, manifest, outcomes, upload};
use crate::harness::{Answer, Server, backing};

const PATH: &str = "/mint/exact/uploads";

/// Begins an upload; gives the answer, and the path where it goes on.
async fn begin(
    server: &Server,
    token: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> (Answer, String) {
    let request = server.request(Method::POST, PATH, token);
    let request = headers
        .iter()
        .fold(request, |it, (name, value)| it.header(*name, *value));
    let answer = server.send(request.body(body.to_vec())).await;
    let location = answer.header("location");
    let path = location.strip_prefix(server.base.as_str());
    let path = path.unwrap_or_default().to_owned();
    (answer, path)
}

const TAR: (&str, &str) = ("content-type", "application/x-tar");

/// Goes on at a place.
async fn go_on(
    server: &Server,
    (path, token): (&str, &str),
    (at, complete): (usize, &str),
    body: &[u8],
) -> Answer {
    let request = server
        .request(Method::PATCH, path, token)
        .header("content-type", "application/partial-upload")
        .header("upload-offset", at)
        .header("upload-complete", complete);
    server.send(request.body(body.to_vec())).await
}

/// How far an upload is.
async fn offset(server: &Server, path: &str, token: &str) -> usize {
    let answer = server.send(server.request(Method::HEAD, path, token)).await;
    assert_eq!(answer.status, 204);
    assert_eq!(answer.header("upload-complete"), "?0");
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.header("upload-offset").parse().unwrap()
}

#[tokio::test]
async fn mint_z43_an_upload_goes_on_within_an_object_and_in_another_process() {
    let data = Server::fresh();
    let mut server = Server::start_on(std::sync::Arc::clone(&data));
    let token = server.reader("F001");
    let all = objects();
    let tar = upload(&manifest(STUDY, &all), &all);
    let length = tar.len().to_string();
    let headers = [TAR, ("upload-complete", "?0"), ("upload-length", &*length)];
    let (begun, path) = begin(&server, &token, &headers, &tar[..1000]).await;
    assert_eq!(
        (begun.status, &*begun.header("upload-offset")),
        (201, "1000")
    );
    assert_eq!(offset(&server, &path, &token).await, 1000);
    // At another place it does not go on, and is told where it does.
    for at in [0, 999, 1001, tar.len()] {
        let refused = go_on(&server, (&path, &token), (at, "?0"), b"x").await;
        assert_eq!(
            (refused.status, &*refused.header("upload-offset")),
            (409, "1000")
        );
    }
    let step = go_on(&server, (&path, &token), (1000, "?0"), &tar[1000..1001]).await;
    assert_eq!((step.status, &*step.header("upload-offset")), (204, "1001"));
    assert_eq!(step.header("upload-length"), length);
    // A line that breaks: what came before is kept.
    let mut line = TcpStream::connect(server.base.trim_start_matches("http://")).unwrap();
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nHost: kura\r\nAuthorization: Bearer {token}\r\nUpload-Offset: 1001\r\n\
         Upload-Complete: ?1\r\nContent-Type: application/partial-upload\r\nContent-Length: {}\r\n\r\n",
        tar.len() - 1001
    );
    line.write_all(head.as_bytes()).unwrap();
    line.write_all(&tar[1001..2500]).unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(line);
    let mut at = 1001;
    for _ in 0..100 {
        at = offset(&server, &path, &token).await;
        if at > 1001 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(at, 2500);
    assert!(server.offer(&token, &manifest(STUDY, &all)).await["there"] == serde_json::json!([]));
    // Too early is not over.
    let early = go_on(&server, (&path, &token), (2500, "?1"), &tar[2500..2600]).await;
    assert_eq!(
        (early.status, &*early.header("upload-offset")),
        (400, "2600")
    );
    if !backing::forgets() {
        server.kill();
        server = Server::start_on(data);
    }
    let at = offset(&server, &path, &token).await;
    assert_eq!(at, 2600);
    let whole = go_on(&server, (&path, &token), (at, "?1"), &tar[at..]).await;
    assert_eq!(whole.status, 200, "{}", whole.text());
    assert_eq!(whole.header("upload-complete"), "?1");
    let (told, last) = outcomes(&whole);
    assert!(
        told.iter().all(|(_, outcome)| outcome == "stored"),
        "{told:?}"
    );
    assert_eq!(last["receipt"]["count"], all.len());
    let uuid = server.study_uuid(&token, STUDY).await;
    let fetched = server
        .get(&format!("/mint/studies/{uuid}/exact"), &token)
        .await;
    let fetched: Vec<_> = files(&fetched.body).into_iter().skip(1).collect();
    assert_eq!(fetched.len(), all.len());
    for object in &all {
        let found = fetched.iter().find(|(name, _)| *name == object.name());
        assert!(found.is_some_and(|(_, bytes)| *bytes == object.bytes));
    }
    // It is over, and nothing of it is left.
    let over = server.wait_gone(&path, &token).await;
    assert_eq!(over.status, 404);
    // What says that it is there goes first, its parts follow.
    let mut left = backing::objects(server.data.path(), ".part").await;
    for _ in 0..100 {
        if left.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        left = backing::objects(server.data.path(), ".part").await;
    }
    assert!(left.is_empty(), "{left:?}");
}

impl Server {
    /// What is answered once an upload is dropped, which follows its last line.
    async fn wait_gone(&self, path: &str, token: &str) -> Answer {
        for _ in 0..100 {
            let answer = self.get(path, token).await;
            if answer.status != 204 {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.get(path, token).await
    }
}

#[tokio::test]
async fn mint_z43_f03_odd_steps_and_foreign_tokens_are_refused() {
    let server = Server::start();
    let token = server.reader("F001");
    let complete = ("upload-complete", "?0");
    let whole = {
        let all = objects();
        upload(&manifest(STUDY, &all), &all)
    };
    for (headers, status) in [
        (vec![TAR], 400),
        (vec![TAR, ("upload-complete", "true")], 400),
        (vec![TAR, complete, ("upload-length", "-1")], 400),
        (vec![TAR, complete, ("upload-length", "1e3")], 400),
        (
            vec![TAR, complete, ("upload-length", "99999999999999999999")],
            400,
        ),
        (vec![TAR, complete, ("content-encoding", "gzip")], 400),
        (vec![complete], 415),
        (vec![("content-type", "application/dicom"), complete], 415),
    ] {
        let (refused, _) = begin(&server, &token, &headers, b"x").await;
        assert_eq!(refused.status, status, "{headers:?}");
    }
    // Whole at once, and longer than was said.
    let (at_once, _) = begin(&server, &token, &[TAR, ("upload-complete", "?1")], &whole).await;
    assert_eq!(at_once.status, 200);
    assert!(outcomes(&at_once).1["receipt"].is_object());
    let (no_tar, path) = begin(&server, &token, &[TAR, complete], &[7; 2000]).await;
    assert_eq!(no_tar.status, 201);
    let refused = go_on(&server, (&path, &token), (2000, "?1"), b"").await;
    assert_eq!(refused.status, 400, "{}", refused.text());
    let short = [TAR, complete, ("upload-length", "9")];
    let (long, _) = begin(&server, &token, &short, &[7; 20]).await;
    assert_eq!(long.status, 413);
    // Who is not its owner, or may not write, does not find it.
    let (foreign, reading) = (server.reader("F002"), server.token("F001", "dicom.read"));
    for (token, status) in [(&*foreign, 404), (&*reading, 403), ("", 401), ("x", 401)] {
        assert_eq!(server.get(&path, token).await.status, status);
        let step = go_on(&server, (&path, token), (2000, "?0"), b"x").await;
        assert_eq!(step.status, status);
        let delete = server.request(Method::DELETE, &path, token);
        assert_eq!(server.send(delete).await.status, status);
        let (begun, _) = begin(&server, token, &[TAR, complete], b"").await;
        assert_eq!(begun.status, if status == 404 { 201 } else { status });
    }
    for id in [
        "x",
        "00000000-0000-7000-8000-000000000000",
        "01932f3e-0000-7000-8000-000000000000",
        "..%2F..",
    ] {
        let path = format!("{PATH}/{id}");
        assert_eq!(server.get(&path, &token).await.status, 404, "{id}");
    }
    let typed = server.request(Method::PATCH, &path, &token);
    assert_eq!(server.send(typed.body("x")).await.status, 415);
    let put = server
        .send(server.request(Method::PUT, &path, &token))
        .await;
    let allow = put.header("allow");
    assert_eq!(
        (put.status, &*allow),
        (405, "GET, HEAD, PATCH, DELETE, OPTIONS")
    );
    let gone = server.request(Method::DELETE, &path, &token);
    assert_eq!(server.send(gone).await.status, 204);
    assert_eq!(server.get(&path, &token).await.status, 404);
}
