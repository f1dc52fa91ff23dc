//! A study: its root, its end, the ways to name it, and the entry page.

use reqwest::Method;

use super::{assert_document, delete, filled, uuid_of, values};
use crate::harness::{Server, instance};

#[tokio::test]
async fn mint_e04_n15_the_root_tells_version_and_types() {
    let (server, token) = filled().await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    let root = server.get(&format!("/mint/studies/{uuid}"), &token).await;
    assert_document(&root, "studyRoot");
    assert_eq!(values(&root, "studyUUID")[0], uuid);
    assert_eq!(values(&root, "version"), ["0"]);
    assert!(root.text().contains("<type>DICOM</type>"));
    let shouted = server
        .get(&format!("/mint/studies/{}", uuid.to_uppercase()), &token)
        .await;
    assert_eq!(shouted.body, root.body);
    let more = instance("1.2.3").uids("1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.2");
    server.stored(&token, &[more.file()]).await;
    let later = server.get(&format!("/mint/studies/{uuid}"), &token).await;
    assert_eq!(values(&later, "version"), ["1"]);
    assert!(values(&later, "lastUpdate") >= values(&root, "lastUpdate"));
}

#[tokio::test]
async fn mint_z10_z11_a_version_has_its_tag() {
    let (server, token) = filled().await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    for path in [
        format!("/mint/studies/{uuid}"),
        format!("/mint/studies/{uuid}/changelog"),
    ] {
        let first = server.get(&path, &token).await;
        let tag = first.header("etag");
        assert!(tag.starts_with('"'), "{path}: {tag}");
        assert_eq!(first.header("cache-control"), "private, no-cache");
        let request = server.request(Method::GET, &path, &token);
        let again = server.send(request.header("if-none-match", &tag)).await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{path}");
    }
    let path = format!("/mint/studies/{uuid}");
    let tag = server.get(&path, &token).await.header("etag");
    let more = instance("1.2.3").uids("1.2.3.1", "1.2.3.1.1", "1.2.3.1.1.2");
    server.stored(&token, &[more.file()]).await;
    let request = server.request(Method::GET, &path, &token);
    let changed = server.send(request.header("if-none-match", &tag)).await;
    assert_eq!(changed.status, 200);
}

#[tokio::test]
async fn mint_e05_x02_f03_what_is_deleted_is_gone_for_its_owner_and_in_the_bin() {
    let (server, token) = filled().await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    let paths = [
        format!("/mint/studies/{uuid}"),
        format!("/mint/studies/{uuid}/changelog"),
    ];
    assert_eq!(delete(&server, &token, &uuid).await.status, 403);
    // Who deletes need not be able to look.
    let deleter = server.token("F001", "dicom.delete");
    let done = delete(&server, &deleter, &uuid).await;
    assert_eq!((done.status, done.body.len()), (204, 0));
    assert_eq!(delete(&server, &deleter, &uuid).await.status, 410);
    for path in &paths {
        assert_eq!(server.get(path, &token).await.status, 410, "{path}");
    }
    let foreign = server.reader("F002");
    for path in &paths {
        assert_eq!(server.get(path, &foreign).await.status, 404, "{path}");
    }
    let log = server
        .get("/mint/changelog?consolidate=false", &token)
        .await;
    assert_eq!(values(&log, "operation"), ["DELETE", "CREATE"]);
    assert_eq!(values(&log, "changeNumber"), ["1", "0"]);
    let bin = server.token("F001", "lifecycle.read dicom.delete");
    let deletions = server.get("/api/v1/deletions", &bin).await;
    assert_eq!(
        deletions.json()["deletions"][0]["study"],
        "1.2.3.1",
        "{}",
        deletions.text()
    );
}

#[tokio::test]
async fn mint_x01_x03_x08_f01_f02_n13_n16_e18_what_is_not_there_has_one_answer() {
    let (server, token) = filled().await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    let foreign = server.reader("F002");
    let absent = server
        .get("/mint/studies/00000000-0000-7000-8000-000000000000", &token)
        .await;
    assert_eq!(absent.status, 404);
    assert!(!absent.body.is_empty());
    for (path, token) in [
        (format!("/mint/studies/{uuid}"), &foreign),
        (format!("/mint/studies/{uuid}/changelog"), &foreign),
        (format!("/mint/studies/{}", uuid.replace('-', "")), &token),
        ("/mint/studies/1.2.3.1".to_owned(), &token),
        (format!("/mint/studies/{uuid}/changelog/"), &token),
        (format!("/mint/studies/{uuid}/DICOM/binaryitems"), &token),
        (format!("/mint/studies/{uuid}/DICOM/binaryitems/"), &token),
        (format!("/mint/studies/{uuid}/DICOM"), &token),
        ("/mint/nothing".to_owned(), &token),
    ] {
        let answer = server.get(&path, token).await;
        assert_eq!(
            (answer.status, answer.body == absent.body),
            (404, true),
            "{path}"
        );
    }
    for (path, allow) in [
        (
            format!("/mint/studies/{uuid}"),
            "GET, HEAD, DELETE, OPTIONS",
        ),
        ("/mint/studies".to_owned(), "GET, HEAD, OPTIONS"),
        ("/mint/types/DICOM".to_owned(), "GET, HEAD, OPTIONS"),
        ("/mint".to_owned(), "GET, HEAD, OPTIONS"),
    ] {
        for method in [Method::POST, Method::PUT] {
            let refused = server.send(server.request(method, &path, &token)).await;
            assert_eq!(
                (refused.status, &*refused.header("allow")),
                (405, allow),
                "{path}"
            );
        }
    }
}

#[tokio::test]
async fn mint_e01_e02_n13_n17_the_entry_page_tells_that_the_server_lives() {
    let server = Server::start();
    let token = server.reader("F001");
    let page = server.get("/mint/", &token).await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").starts_with("text/html"));
    let plain = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let request = plain.get(format!("{}/mint", server.base));
    let moved = server.send(request.bearer_auth(&token)).await;
    assert_eq!(
        (moved.status, moved.header("location")),
        (302, format!("{}/mint/", server.base))
    );
    for path in [
        "/mint/",
        "/mint/studies",
        "/mint/changelog",
        "/mint/types",
        "/mint/types/DICOM",
    ] {
        let whole = server.get(path, &token).await;
        let head = server
            .send(server.request(Method::HEAD, path, &token))
            .await;
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        assert_eq!(
            head.header("content-length"),
            whole.body.len().to_string(),
            "{path}"
        );
        assert_eq!(
            head.header("content-type"),
            whole.header("content-type"),
            "{path}"
        );
    }
    assert_eq!(server.get("/mint/", "").await.status, 401);
}
