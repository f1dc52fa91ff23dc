//! The change feed, as an edge or a search index follows it.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use super::{assert_document, delete, uuid_of, values};
use crate::harness::{Server, instance};

/// A page of the feed as JSON.
async fn page(server: &Server, token: &str, query: &str) -> Value {
    let path = format!("/mint/changelog?{query}");
    let answer = server.get_as(&path, token, "application/json").await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    answer.json()
}

fn cursor(page: &Value) -> String {
    page["after"].as_str().unwrap().to_owned()
}

/// A study of its own.
async fn store(server: &Server, token: &str, study: &str) {
    server.stored(token, &[instance(study).file()]).await;
}

#[tokio::test]
async fn mint_e11_l06_f06_changes_are_followed_by_a_cursor() {
    let server = Server::start();
    let token = server.reader("F001");
    let deleter = server.token("F001", "dicom.read dicom.delete");
    let none = page(&server, &token, "after=").await;
    assert_eq!(none["changes"].as_array().unwrap().len(), 0);
    store(&server, &server.reader("F002"), "1.2.9").await;
    store(&server, &token, "1.2.3").await;
    store(&server, &token, "1.2.4").await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    assert_eq!(delete(&server, &deleter, &uuid).await.status, 204);
    let (mut after, mut seen) = (cursor(&none), Vec::new());
    loop {
        let query = format!("after={after}&order=asc&limit=2");
        let next = page(&server, &token, &query).await;
        after = cursor(&next);
        seen.extend(next["changes"].as_array().unwrap().clone());
        if next["hasMore"] == false {
            break;
        }
    }
    let told = seen.iter().map(|change| {
        let text = |name: &str| change[name].as_str().unwrap().to_owned();
        assert!(text("time").ends_with('Z'));
        let study = (text("studyInstanceUID"), text("operation"));
        (change["seq"].as_u64(), study, change["version"].as_u64())
    });
    let change = |seq, study: &str, operation: &str, version| {
        let study = (study.to_owned(), operation.to_owned());
        (Some(seq), study, Some(version))
    };
    let expected = [
        change(1, "1.2.3.1", "CREATE", 0),
        change(2, "1.2.4.1", "CREATE", 0),
        change(3, "1.2.3.1", "DELETE", 1),
    ];
    assert!(told.eq(expected), "{seen:?}");
    assert_eq!(seen[2]["studyUUID"], *uuid);
    // As a document it is the log of old with more attributes.
    let document = server.get("/mint/changelog?after=", &token).await;
    assert_document(&document, "changelog");
    assert_eq!(values(&document, "seq"), ["1", "2", "3"]);
    assert_eq!(values(&document, "changeNumber"), ["0", "0", "1"]);
    assert_eq!(values(&document, "studyInstanceUID")[2], "1.2.3.1");
    let after = values(&document, "after").remove(0);
    let rest = page(&server, &token, &format!("after={after}")).await;
    assert_eq!(rest["changes"].as_array().unwrap().len(), 0);
    // A cursor holds for one facility, and a feed of another has its own numbers.
    let other = server.reader("F002");
    let path = format!("/mint/changelog?after={after}");
    assert_eq!(server.get(&path, &other).await.status, 400);
    let foreign = page(&server, &other, "after=").await;
    assert_eq!(foreign["changes"].as_array().unwrap().len(), 1);
    assert_eq!(foreign["changes"][0]["seq"], 1);
}

#[tokio::test]
async fn mint_e11_who_waits_is_told_as_soon_as_something_changes() {
    let server = Server::start();
    let token = server.reader("F001");
    let begun = Instant::now();
    let none = page(&server, &token, "after=&wait=1").await;
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(none["changes"].as_array().unwrap().len(), 0);
    let query = format!("after={}&order=asc&wait=30", cursor(&none));
    let store = async {
        tokio::time::sleep(Duration::from_millis(700)).await;
        // What another facility stores wakes nobody.
        store(&server, &server.reader("F002"), "1.2.9").await;
        store(&server, &token, "1.2.3").await;
    };
    let begun = Instant::now();
    let (told, ()) = tokio::join!(page(&server, &token, &query), store);
    let waited = begun.elapsed();
    assert_eq!(told["changes"][0]["studyInstanceUID"], "1.2.3.1");
    assert!(waited >= Duration::from_millis(700) && waited < Duration::from_secs(25));
}

#[tokio::test]
async fn mint_x12_f03_odd_cursors_and_foreign_tokens_are_refused() {
    let server = Server::start();
    let token = server.reader("F001");
    let long = "A".repeat(40_000);
    for query in [
        "after=1",
        "after=%00",
        "after=-",
        "after=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        &format!("after={long}"),
        "after=&order=desc",
        "after=&order=",
        "after=&consolidate=true",
        "after=&since=20260101T000000Z",
        "after=&offset=1",
        "after=&limit=x",
        "after=&wait=soon",
        // Also where it is not used.
        "wait=null",
    ] {
        let path = format!("/mint/changelog?{query}");
        let refused = server.get(&path, &token).await;
        assert_eq!(refused.status, 400, "{query:.60}");
    }
    // So many are not waited for, and so many are not told.
    let path = "/mint/changelog?after=&limit=99999999999999999999&wait=-99999999999999999999";
    assert_document(&server.get(path, &token).await, "changelog");
    let writing = server.token("F001", "dicom.write");
    for (token, status) in [("", 401), ("x", 401), (&*writing, 403)] {
        let path = "/mint/changelog?after=&wait=60";
        let request = server.request(Method::GET, path, token);
        assert_eq!(server.send(request).await.status, status);
    }
}
