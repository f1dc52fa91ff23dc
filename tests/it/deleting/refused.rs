//! Who may not, and what is malformed. That every kind of caller is turned away alike is in `visibility`.

use reqwest::Method;

use super::{change, delete, deleted, file, file_of, filled, one, person, study};

#[tokio::test]
async fn s10_s11_only_the_owner_deletes_and_others_see_nothing_to_delete() {
    let (server, token) = filled().await;
    let foreign = person(&server, "F002", "hanako");
    let reader = server.reader("F001");
    let there = delete(&server, &foreign, &study()).await;
    let nowhere = delete(&server, &foreign, "/studies/9.9.9").await;
    assert_eq!((there.status, &there.body), (404, &nowhere.body));
    let reading = delete(&server, &reader, &study()).await;
    assert_eq!(reading.status, 403, "{}", reading.text());
    assert!(reading.text().contains("dicom.delete"));
    assert_eq!(delete(&server, &reader, "/studies/9.9.9").await.status, 404);

    let id = deleted(&server, &token, &study()).await;
    for what in ["restore", "approve"] {
        let path = format!("/api/v1/deletions/{id}/{what}");
        let theirs = server
            .post(&path, &foreign, "application/json", Vec::new())
            .await;
        let absent = path.replace(&id, "019ab0e0-0000-7000-8000-000000000000");
        let absent = server
            .post(&absent, &foreign, "application/json", Vec::new())
            .await;
        assert_eq!((theirs.status, theirs.body), (404, absent.body), "{what}");
        let without = change(&server, &reader, &id, what, "\"1\"").await;
        assert_eq!(without.status, 403, "{what}: {}", without.text());
    }
    let page = server.get("/api/v1/deletions", &foreign).await.json();
    assert_eq!(page["deletions"].as_array().unwrap().len(), 0);
}

/// The same UIDs at another facility are another study (SH-1.2).
#[tokio::test]
async fn sh_1_2_a_deletion_touches_one_owners_copy() {
    let (server, token) = filled().await;
    let other = person(&server, "F002", "jiro");
    server.stored(&other, &[file(1, 1)]).await;
    deleted(&server, &token, &study()).await;
    assert!(file_of(&server, &other, &one(1, 1)).await.body == file(1, 1));
    deleted(&server, &other, &one(1, 1)).await;
    assert_eq!(file_of(&server, &other, &one(1, 1)).await.status, 404);
}

#[tokio::test]
async fn x01_x02_what_is_malformed_deletes_nothing() {
    let (server, token) = filled().await;
    let send = async |method: Method, path: &str, reason: &[u8]| {
        let value = reqwest::header::HeaderValue::from_bytes(reason).unwrap();
        let request = server.request(method, path, &token);
        server
            .send(request.header("x-kura-reason", value))
            .await
            .status
    };
    let long = vec![b'x'; 401];
    for reason in [&b"\xFF\xFE"[..], b"%zz", b"two%0Alines", &long] {
        assert_eq!(
            send(Method::DELETE, &study(), reason).await,
            400,
            "{reason:?}"
        );
        let nowhere = send(Method::DELETE, "/studies/9.9.9", reason).await;
        assert_eq!(
            nowhere, 404,
            "what is not there is not there, whatever else is wrong"
        );
    }
    for (code, status) in [
        ("113001", 400),
        ("%5EDCM", 400),
        ("113001%5E", 400),
        ("113000%5EDCM", 422),
        ("113001%5ESRT", 422),
        ("%27%3B--%5EDCM", 422),
    ] {
        let path = format!("{}/reject/{code}", study());
        assert_eq!(send(Method::POST, &path, b"").await, status, "{code}");
        let nowhere = format!("/studies/9.9.9/reject/{code}");
        assert_eq!(send(Method::POST, &nowhere, b"").await, 404, "{code}");
    }
    for path in [
        "/studies/1.2.3.1/series/1.2.3.1.9",
        "/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.2.1",
        "/studies/x",
        "/studies/1.2.3.1%20",
    ] {
        assert_eq!(send(Method::DELETE, path, b"").await, 404, "{path}");
    }
    assert_eq!(
        send(Method::DELETE, "/studies", b"").await,
        405,
        "never everything"
    );
    assert_eq!(send(Method::DELETE, "/series", b"").await, 405);
    // The client makes the root of it.
    assert_eq!(send(Method::DELETE, "/studies/..", b"").await, 405);
    let found = server.get("/instances", &token).await;
    assert_eq!(found.json().as_array().unwrap().len(), 4);
}
