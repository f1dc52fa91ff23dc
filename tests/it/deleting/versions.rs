//! T22: what a store over an existing UID does, by the policy of the facility.

use super::{INSTANCE, SERIES, STUDY, deleted, file, file_of, filled, one, person};
use crate::harness::server::kura;
use crate::harness::{Server, instance};

/// The first instance with other content.
fn other(text: &str) -> Vec<u8> {
    instance("1.2.3")
        .uids(STUDY, SERIES, INSTANCE)
        .text(0x0020_0011, "IS", "1")
        .text(0x0020_0013, "IS", "1")
        .text(0x0008_103E, "LO", text)
        .bytes(0x7FE0_0010, "OW", (100..132).collect())
        .file()
}

fn policy(server: &Server, word: &str) {
    let rule = format!("on_conflict={word}");
    kura(server.data.path(), &["facility", "set", "F001", &rule]);
}

#[tokio::test]
async fn t22_reject_is_the_default_and_changes_nothing() {
    let (server, token) = filled().await;
    let refused = server.store(&token, &[other("newer")]).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    let item = &refused.json()["00081198"]["Value"][0];
    assert_eq!(item["00081197"]["Value"][0], 273);
    assert!(file_of(&server, &token, &one(1, 1)).await.body == file(1, 1));
}

#[tokio::test]
async fn t22_replace_serves_the_newer_one_everywhere() {
    let (server, token) = filled().await;
    policy(&server, "replace");
    server.stored(&token, &[other("newer")]).await;
    assert!(file_of(&server, &token, &one(1, 1)).await.body == other("newer"));
    let frame = server.get(&format!("{}/frames/1", one(1, 1)), &token).await;
    assert_eq!(frame.parts()[0].body, (100..132).collect::<Vec<u8>>());
    let heads = server.get(&format!("{}/metadata", one(1, 1)), &token).await;
    assert!(heads.text().contains("newer"));
    let heads = server
        .get(&format!("/studies/{STUDY}/metadata"), &token)
        .await;
    assert_eq!(heads.json().as_array().unwrap().len(), 4);
    let found = server.get("/studies", &token).await;
    assert_eq!(found.json()[0]["00201208"]["Value"][0], 4);
    let again = server.store(&token, &[other("newer")]).await;
    assert_eq!(again.status, 200, "T21: {}", again.text());
    // The other way round is another version, not the first one again.
    server.stored(&token, &[file(1, 1)]).await;
    assert!(file_of(&server, &token, &one(1, 1)).await.body == file(1, 1));
}

/// One request that says two things of one UID means the first (T36), and keeps the UID in its place (T22).
#[tokio::test]
async fn t36_t22_in_one_request_the_first_wins_under_any_policy() {
    let (server, token) = filled().await;
    policy(&server, "replace");
    let mixed = server
        .store(&token, &[other("one"), other("two"), other("one")])
        .await;
    assert_eq!(mixed.status, 202, "{}", mixed.text());
    assert_eq!(
        mixed.json()["00081199"]["Value"].as_array().unwrap().len(),
        2
    );
    assert!(file_of(&server, &token, &one(1, 1)).await.body == other("one"));
    let elsewhere = instance("1.2.3")
        .uids("1.2.3.9", "1.2.3.9.1", INSTANCE)
        .file();
    assert_eq!(server.store(&token, &[elsewhere]).await.status, 409);
    assert_eq!(server.get("/studies/1.2.3.9", &token).await.status, 404);
}

#[tokio::test]
async fn t22_where_both_are_kept_the_old_one_can_be_asked_for() {
    let (server, token) = filled().await;
    let version = async |number: &str, token: &str| {
        let path = format!("{}?version={number}", one(1, 1));
        file_of(&server, token, &path).await
    };
    policy(&server, "replace");
    server.stored(&token, &[other("newer")]).await;
    assert_eq!(version("1", &token).await.status, 404, "kept, not served");
    policy(&server, "keep-both-versions");
    server.stored(&token, &[other("newest")]).await;
    assert!(file_of(&server, &token, &one(1, 1)).await.body == other("newest"));
    for (number, expected) in [
        ("1", file(1, 1)),
        ("2", other("newer")),
        ("3", other("newest")),
    ] {
        let answer = version(number, &token).await;
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
        assert!(answer.body == expected, "version {number} differs");
    }
    for odd in ["0", "4", "-1", "x", "", "99999999999"] {
        assert_eq!(version(odd, &token).await.status, 404, "{odd}");
    }
    let foreign = person(&server, "F002", "jiro");
    let absent = server.get("/studies/9.9.9", &foreign).await;
    let theirs = version("1", &foreign).await;
    assert_eq!((theirs.status, theirs.body), (404, absent.body));
    deleted(&server, &token, &one(1, 1)).await;
    assert_eq!(version("1", &token).await.status, 404, "they go together");
}
