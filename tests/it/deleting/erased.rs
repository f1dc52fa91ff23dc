//! What the bin does to a store, and what is left when it was emptied.

use super::{changed, deleted, file, file_of, filled, one, person, study};
use crate::harness::Server;
use crate::harness::server::purge;

/// Failure Reason and Error Comment of the one instance of a refused store.
async fn refusal(server: &Server, token: &str, file: &[u8]) -> (u64, String) {
    let answer = server.store(token, &[file]).await;
    assert_eq!(answer.status, 409, "{}", answer.text());
    let item = answer.json()["00081198"]["Value"][0].clone();
    let code = item["00081197"]["Value"][0].as_u64().unwrap();
    (
        code,
        item["00000902"]["Value"][0].as_str().unwrap().to_owned(),
    )
}

#[tokio::test]
async fn t37_a_binned_uid_is_refused_and_says_where_it_is() {
    let (server, token) = filled().await;
    let id = deleted(&server, &token, &one(1, 1)).await;
    let (code, text) = refusal(&server, &token, &file(1, 1)).await;
    assert_eq!(code, 273);
    assert!(text.contains("bin") && text.contains("restored"), "{text}");
    let mixed = server.store(&token, &[file(1, 1), file(1, 9)]).await;
    assert_eq!(
        mixed.status,
        202,
        "its neighbours are stored: {}",
        mixed.text()
    );
    let other = person(&server, "F002", "jiro");
    server.stored(&other, &[file(1, 1)]).await;
    assert_eq!(changed(&server, &token, &id, "restore").await.status, 200);
    let again = server.store(&token, &[file(1, 1)]).await;
    assert_eq!(again.status, 200, "T21: {}", again.text());
}

#[tokio::test]
async fn s15_t37_what_was_erased_is_gone_for_its_owner_and_never_was_for_others() {
    let (server, token) = filled().await;
    let (taro, foreign) = (
        person(&server, "F001", "taro"),
        person(&server, "F002", "x"),
    );
    let id = deleted(&server, &token, &study()).await;
    assert_eq!(changed(&server, &taro, &id, "approve").await.status, 200);
    assert_eq!(purge(&server, 13).await.deletions, 0, "not before its time");
    let purged = purge(&server, 15).await;
    assert_eq!(
        (purged.deletions, purged.instances, purged.packs),
        (1, 4, 1)
    );
    assert_eq!(purge(&server, 15).await.deletions, 0, "once");
    for path in [
        study(),
        format!("{}/metadata", study()),
        format!("{}/series", study()),
        one(1, 1),
        format!("{}/frames/1", one(1, 1)),
    ] {
        let owner = server.get(&path, &token).await;
        assert_eq!(owner.status, 410, "{path}: {}", owner.text());
        assert_eq!(server.get(&path, &foreign).await.status, 404, "{path}");
    }
    let again = super::delete(&server, &token, &study()).await;
    assert_eq!(again.status, 410);
    assert_eq!(server.get("/studies/9.9.9", &token).await.status, 404);
    let late = changed(&server, &token, &id, "restore").await;
    assert_eq!(late.status, 410, "{}", late.text());
    assert_eq!(super::shown(&server, &token, &id).await["state"], "erased");
    let (code, text) = refusal(&server, &token, &file(1, 1)).await;
    assert_eq!(code, 273);
    assert!(text.contains("erased"), "{text}");
    // A new instance of the study begins it anew.
    server.stored(&token, &[file(1, 9)]).await;
    assert!(file_of(&server, &token, &one(1, 9)).await.body == file(1, 9));
    assert_eq!(file_of(&server, &token, &one(1, 1)).await.status, 410);
}
