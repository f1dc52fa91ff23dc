//! Into the bin and back.

use super::{
    SERIES, STUDY, change, changed, delete, deleted, file, file_of, filled, one, person, series,
    shown, study, values,
};
use crate::harness::Server;

/// Everything that can be asked of the first instance of the first series, and of its series and study.
fn asked() -> Vec<String> {
    let (first, of_series, whole) = (one(1, 1), series(1), study());
    vec![
        first.clone(),
        format!("{first}/metadata"),
        format!("{first}/frames/1"),
        format!("{first}/bulkdata/7FE00010"),
        of_series.clone(),
        format!("{of_series}/metadata"),
        format!("{of_series}/instances"),
        whole.clone(),
        format!("{whole}/metadata"),
        format!("{whole}/series"),
        format!("{whole}/instances"),
    ]
}

async fn answers(server: &Server, token: &str) -> Vec<(u16, Vec<u8>)> {
    let mut all = Vec::new();
    for path in asked() {
        for encoding in ["identity", "gzip"] {
            let request = server.request(reqwest::Method::GET, &path, token);
            let answer = server
                .send(request.header("accept-encoding", encoding))
                .await;
            // The boundary of a multipart body is a new one each time.
            let body = if answer.header("content-type").starts_with("multipart") {
                let parts = answer.parts();
                parts.into_iter().flat_map(|part| part.body).collect()
            } else {
                answer.body
            };
            all.push((answer.status, body));
        }
    }
    all
}

#[tokio::test]
async fn r20_x01_s04_a_deleted_study_is_nowhere_and_comes_back_byte_for_byte() {
    let (server, token) = filled().await;
    let before = answers(&server, &token).await;
    assert!(before.iter().all(|(status, _)| *status == 200));
    let id = deleted(&server, &token, &study()).await;
    let absent = server.get("/studies/9.9.9/metadata", &token).await;
    for ((status, body), path) in answers(&server, &token).await.iter().zip(asked().iter()) {
        assert_eq!(*status, 404, "{path}");
        assert!(
            *body == absent.body,
            "{path}: {}",
            String::from_utf8_lossy(body)
        );
    }
    for search in ["/studies?count=true", "/series", "/instances"] {
        let found = server.get(search, &token).await;
        assert_eq!(found.status, 204, "{search}");
        assert!(matches!(found.header("x-total-count").as_str(), "" | "0"));
    }
    let again = delete(&server, &token, &study()).await;
    assert_eq!(
        (again.status, again.body),
        (404, absent.body),
        "once is enough"
    );

    let kept = shown(&server, &token, &id).await;
    assert_eq!(
        (&kept["state"], &kept["instanceCount"], &kept["study"]),
        (&"binned".into(), &4.into(), &STUDY.into())
    );
    let back = changed(&server, &token, &id, "restore").await;
    assert_eq!(
        (back.status, &back.json()["state"]),
        (200, &"restored".into())
    );
    assert_eq!(answers(&server, &token).await, before);
}

#[tokio::test]
async fn r20_x01_a_part_goes_and_the_rest_is_counted_without_it() {
    let (server, token) = filled().await;
    let counts = async || {
        let found = server.get("/studies", &token).await;
        let counts = ["00201206", "00201208", "00080061"];
        counts.map(|tag| values(&found, tag).join(" ")).join(" ")
    };
    assert_eq!(counts().await, r#"[2] [4] ["CT","MR"]"#);
    let first = deleted(&server, &token, &one(1, 1)).await;
    assert_eq!(counts().await, r#"[2] [3] ["CT","MR"]"#);
    assert_eq!(file_of(&server, &token, &one(1, 1)).await.status, 404);
    assert!(file_of(&server, &token, &one(1, 2)).await.body == file(1, 2));
    for encoding in ["identity", "gzip"] {
        // Of the stored piece of the series one head must not leave.
        let path = format!("{}/metadata", series(1));
        let request = server.request(reqwest::Method::GET, &path, &token);
        let mut heads = server
            .send(request.header("accept-encoding", encoding))
            .await;
        if heads.header("content-encoding") == "gzip" {
            let packed = std::mem::take(&mut heads.body);
            let mut unpacked = flate2::read::GzDecoder::new(&*packed);
            std::io::Read::read_to_end(&mut unpacked, &mut heads.body).unwrap();
        }
        assert_eq!(values(&heads, "00080018"), [r#"["1.2.3.1.1.2"]"#]);
    }
    let second = deleted(&server, &token, &series(2)).await;
    assert_eq!(counts().await, r#"[1] [1] ["CT"]"#);
    let listed = server.get(&format!("{}/series", study()), &token).await;
    assert_eq!(values(&listed, "0020000E"), [format!("[\"{SERIES}\"]")]);
    let mr = server.get("/studies?ModalitiesInStudy=MR", &token).await;
    assert_eq!(mr.status, 204);
    for (id, expected) in [
        (second, r#"[2] [3] ["CT","MR"]"#),
        (first, r#"[2] [4] ["CT","MR"]"#),
    ] {
        assert_eq!(changed(&server, &token, &id, "restore").await.status, 200);
        assert_eq!(counts().await, expected);
    }
}

#[tokio::test]
async fn x01_what_is_in_the_bin_is_not_taken_again_and_the_rest_is() {
    let (server, token) = filled().await;
    let part = deleted(&server, &token, &series(1)).await;
    let rest = deleted(&server, &token, &study()).await;
    assert_eq!(shown(&server, &token, &rest).await["instanceCount"], 2);
    assert_eq!(changed(&server, &token, &rest, "restore").await.status, 200);
    let listed = server.get("/instances", &token).await;
    assert_eq!(values(&listed, "00080018").len(), 2);
    assert_eq!(changed(&server, &token, &part, "restore").await.status, 200);
    let listed = server.get("/instances", &token).await;
    assert_eq!(values(&listed, "00080018").len(), 4);
}

#[tokio::test]
async fn x02_a_rejection_hides_like_a_deletion_and_says_its_code() {
    let (server, token) = filled().await;
    for (path, code) in [
        (one(1, 1), "113001%5EDCM"),
        (series(1), "113037%5EDCM"),
        (study(), "113038^DCM"),
    ] {
        let rejected = server
            .send(server.request(
                reqwest::Method::POST,
                &format!("{path}/reject/{code}"),
                &token,
            ))
            .await;
        assert_eq!(rejected.status, 204, "{path}: {}", rejected.text());
        assert_eq!(server.get(&path, &token).await.status, 404, "{path}");
        let id = rejected.header("x-kura-deletion");
        let kept = shown(&server, &token, &id).await;
        assert_eq!(kept["kind"], "reject");
        assert_eq!(kept["code"], code.replace("%5E", "^"));
        assert_eq!(changed(&server, &token, &id, "restore").await.status, 200);
        assert_eq!(server.get(&path, &token).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn sh_11_4_a_second_person_approves() {
    let (server, hanako) = filled().await;
    let taro = person(&server, "F001", "taro");
    let request = server
        .request(reqwest::Method::DELETE, &study(), &hanako)
        .header("x-kura-reason", "%E4%BA%8C%E9%87%8D");
    let id = server.send(request).await.header("x-kura-deletion");
    let same = changed(&server, &hanako, &id, "approve").await;
    assert_eq!(same.status, 409, "{}", same.text());
    let approved = changed(&server, &taro, &id, "approve").await;
    assert_eq!(approved.status, 200, "{}", approved.text());
    assert_eq!(approved.header("etag"), "\"2\"");
    let body = approved.json();
    assert_eq!(
        (
            &body["reason"],
            &body["requested"]["by"],
            &body["approved"]["by"]
        ),
        (&"二重".into(), &"hanako".into(), &"taro".into())
    );
    let day = |name: &str| body[name].as_str().map(|text| text[..10].to_owned());
    assert!(
        day("purgeAt")
            > body["requested"]["at"]
                .as_str()
                .map(|text| text[..10].to_owned())
    );
    let again = changed(&server, &taro, &id, "approve").await;
    assert_eq!(again.status, 409, "{}", again.text());
    let back = changed(&server, &hanako, &id, "restore").await;
    assert_eq!(back.status, 200, "the bin is a bin until it is emptied");
    for what in ["restore", "approve"] {
        let late = changed(&server, &taro, &id, what).await;
        assert_eq!(late.status, 410, "{}", late.text());
    }
    assert!(file_of(&server, &hanako, &one(1, 1)).await.body == file(1, 1));
}

#[tokio::test]
async fn s17_a_change_is_made_to_the_version_that_was_read() {
    let (server, token) = filled().await;
    let id = deleted(&server, &token, &study()).await;
    let path = format!("/api/v1/deletions/{id}/restore");
    let without = server
        .post(&path, &token, "application/json", Vec::new())
        .await;
    assert_eq!(without.status, 428, "{}", without.text());
    for stale in ["\"2\"", "W/\"1\"", "1", "\"x\"", ""] {
        let refused = change(&server, &token, &id, "restore", stale).await;
        assert_eq!(refused.status, 412, "{stale}: {}", refused.text());
    }
    assert_eq!(server.get(&study(), &token).await.status, 404);
    let any = change(&server, &token, &id, "restore", "*").await;
    assert_eq!(any.status, 200, "{}", any.text());
}

#[tokio::test]
async fn deletions_are_listed_newest_first_page_by_page() {
    let (server, token) = filled().await;
    let mut made = Vec::new();
    for path in [one(1, 1), one(1, 2), one(2, 1)] {
        made.push(deleted(&server, &token, &path).await);
    }
    changed(&server, &token, &made[0], "restore").await;
    let list = async |query: &str| {
        let path = format!("/api/v1/deletions{query}");
        let answer = server.get(&path, &token).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("cache-control"), "no-store");
        answer.json()
    };
    let ids = |page: &serde_json::Value| {
        let rows = page["deletions"].as_array().unwrap().iter();
        let mut ids: Vec<_> = rows
            .map(|row| row["deletionId"].as_str().unwrap().to_owned())
            .collect();
        ids.sort();
        ids
    };
    let sorted = |mut ids: Vec<String>| {
        ids.sort();
        ids
    };
    assert_eq!(ids(&list("").await), sorted(made.clone()));
    assert_eq!(ids(&list("?state=restored").await), [made[0].clone()]);
    assert_eq!(
        ids(&list("?state=binned").await),
        sorted(made[1..].to_vec())
    );
    let first = list("?limit=2").await;
    assert_eq!(ids(&first).len(), 2);
    let cursor = first["nextCursor"].as_str().unwrap();
    let rest = list(&format!("?limit=2&cursor={cursor}")).await;
    assert!(rest["nextCursor"].is_null());
    assert_eq!(sorted([ids(&first), ids(&rest)].concat()), sorted(made));
    for odd in [
        "?state=gone",
        "?limit=0",
        "?limit=201",
        "?limit=-1",
        "?limit=x",
        "?cursor=1",
        "?cursor=%27%20OR%201=1",
    ] {
        let refused = server.get(&format!("/api/v1/deletions{odd}"), &token).await;
        assert_eq!(refused.status, 400, "{odd}: {}", refused.text());
    }
}
