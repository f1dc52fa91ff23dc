//! What changed.

use super::{assert_document, filled, uuid_of, values};
use crate::harness::instance;

fn more(number: u32) -> Vec<u8> {
    let uid = format!("1.2.3.1.1.{number}");
    instance("1.2.3").uids("1.2.3.1", "1.2.3.1.1", &uid).file()
}

#[tokio::test]
async fn mint_e09_l03_a_request_is_one_change_however_many_instances_it_brings() {
    let (server, token) = filled().await;
    server.stored(&token, &[more(2), more(3)]).await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    let log = server
        .get(&format!("/mint/studies/{uuid}/changelog"), &token)
        .await;
    assert_document(&log, "changelog");
    assert_eq!(values(&log, "studyUUID"), [uuid]);
    assert_eq!(values(&log, "changeNumber"), ["0", "1"]);
    assert_eq!(values(&log, "type"), ["DICOM", "DICOM"]);
    assert_eq!(values(&log, "operation"), ["CREATE", "UPDATE"]);
    assert_eq!(values(&log, "remoteHost").len(), 2);
    // Zeros at the end of a fraction may be missing, and Z is behind all digits.
    let times = values(&log, "dateTime");
    assert!(times.is_sorted_by_key(|time| time.trim_end_matches('Z')));
}

#[tokio::test]
async fn mint_e11_l01_l02_l03_l04_l05_l06_f06_the_archive_is_polled_from_a_point_on() {
    let (server, token) = filled().await;
    for number in 2..=4 {
        server.stored(&token, &[more(number)]).await;
    }
    server.stored(&token, &[instance("1.2.4").file()]).await;
    let list = async |query: &str| {
        let log = server
            .get(&format!("/mint/changelog?{query}"), &token)
            .await;
        assert_document(&log, "changelog");
        assert_eq!(
            values(&log, "studyUUID").len(),
            values(&log, "dateTime").len()
        );
        values(&log, "changeNumber").join("")
    };
    assert_eq!(list("").await, "03");
    assert_eq!(list("consolidate=true&order=asc").await, "30");
    assert_eq!(list("consolidate=false").await, "03210");
    assert_eq!(list("consolidate=false&order=asc").await, "01230");
    assert_eq!(list("consolidate=false&limit=2&offset=1").await, "21");
    assert_eq!(list("consolidate=false&limit=2&offset=9").await, "");
    let whole = server
        .get("/mint/changelog?consolidate=false&order=asc", &token)
        .await;
    let basic = |at: &str| at.replace(['-', ':'], "");
    let times = values(&whole, "dateTime");
    let since = list(&format!(
        "consolidate=false&order=asc&since={}",
        basic(&times[1])
    ))
    .await;
    // Documents have milliseconds, the archive counts finer: what shares its millisecond with the point may come again.
    assert!(
        "1230".ends_with(&since) && since.ends_with("230"),
        "{since}"
    );
    let foreign = server.get("/mint/changelog", &server.reader("F002")).await;
    assert_document(&foreign, "changelog");
    assert!(values(&foreign, "studyUUID").is_empty());
}

#[tokio::test]
async fn mint_x12_x13_odd_questions_are_told() {
    let (server, token) = filled().await;
    for query in [
        "since=",
        "since=20260311",
        "since=yesterday",
        "consolidate=yes",
        "consolidate=",
        "limit=x",
        "offset=x",
        "order=up",
    ] {
        let refused = server
            .get(&format!("/mint/changelog?{query}"), &token)
            .await;
        assert_eq!(refused.status, 400, "{query}");
    }
    let future = server
        .get("/mint/changelog?since=29991231T000000Z", &token)
        .await;
    assert_eq!((future.status, future.body.len()), (204, 0));
}
