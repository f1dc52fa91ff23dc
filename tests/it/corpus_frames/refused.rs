//! Frames that cannot be had (dicomweb.md 7.1, N57).

use super::{OCTETS, STORED, all, frames, walk};
use crate::harness::Server;
use crate::harness::corpus::{self, Entry, Spread, Stored};

const SEVEN_FRAMES: &str = "fragments/syn-multiframe-native.dcm";
const VIDEO: &str = "video/syn-video-h264-hp41-mp4.dcm";
const SEVEN_JPEGS: &str = "fragments/syn-frag-bot-3.dcm";

/// A server with one file of the corpus.
async fn with(file: &str) -> Option<(Server, Stored)> {
    let entries: Vec<Entry> = corpus::manifest()?;
    let entry = entries.iter().find(|entry| entry.file == file).unwrap();
    let server = Server::start();
    let at = Spread::over(&server).store(&server, entry).await.unwrap();
    Some((server, at))
}

async fn check(file: &str, lists: &[&str], status: u16) {
    let Some((server, at)) = with(file).await else {
        return;
    };
    for list in lists {
        let answer = frames(&server, &at, list, OCTETS).await;
        assert_eq!(answer.status, status, "{list:?}: {}", answer.text());
    }
}

#[tokio::test]
async fn r11_f01_f02_frames_come_in_the_order_asked_twice_if_asked_twice() {
    let Some((server, at)) = with(SEVEN_FRAMES).await else {
        return;
    };
    let in_order = frames(&server, &at, &all(7), OCTETS).await.parts();
    let parts = frames(&server, &at, "3,1,1", OCTETS).await.parts();
    let bodies: Vec<_> = parts.iter().map(|part| &part.body).collect();
    assert_eq!(
        bodies,
        [&in_order[2].body, &in_order[0].body, &in_order[0].body]
    );
    assert_ne!(in_order[0].body, in_order[2].body);
    let places: Vec<_> = parts
        .iter()
        .map(|part| {
            part.header("Content-Location")
                .rsplit_once("/frames/")
                .unwrap()
                .1
        })
        .collect();
    assert_eq!(places, ["3", "1", "1"], "F28");
}

#[tokio::test]
async fn f03_f04_a_list_that_is_no_list_of_frames_is_400() {
    check(
        SEVEN_FRAMES,
        &["1-10", "0", "-1", "abc", "", "1,,2", "1,"],
        400,
    )
    .await;
}

#[tokio::test]
async fn f05_a_frame_beyond_the_end_is_404() {
    check(
        SEVEN_FRAMES,
        &["8", "4294967295", "99999999999999999999"],
        404,
    )
    .await;
    check(SEVEN_FRAMES, &["7"], 200).await;
}

#[tokio::test]
async fn f06_one_frame_beyond_the_end_fails_the_request_and_is_named() {
    let Some((server, at)) = with(SEVEN_FRAMES).await else {
        return;
    };
    let answer = frames(&server, &at, "1,8,2,9", OCTETS).await;
    assert_eq!(answer.status, 404);
    let text = answer.text();
    assert!(text.contains('8') && text.contains('9'), "{text}");
}

#[tokio::test]
async fn f07_an_instance_without_pixel_data_has_no_frames() {
    let Some((server, at)) = with("document/cs3d__no-pixel-data.dcm").await else {
        return;
    };
    let answer = frames(&server, &at, "1", OCTETS).await;
    assert_eq!(answer.status, 404);
    assert!(answer.text().contains("not an image"), "{}", answer.text());
}

/// A video is a stream that cannot be cut; the place that the refusal names has it whole.
#[tokio::test]
async fn f10_a_video_has_no_frames_but_says_where_it_is() {
    let Some((server, at)) = with(VIDEO).await else {
        return;
    };
    for accept in [OCTETS, STORED, "*/*"] {
        let answer = frames(&server, &at, "1", accept).await;
        assert_eq!(answer.status, 406, "{}", answer.text());
        assert!(
            answer.text().contains("bulkdata/7FE00010"),
            "{}",
            answer.text()
        );
    }
    let parts = server
        .get_as(&format!("{}/bulkdata/7FE00010", at.path), &at.token, STORED)
        .await
        .parts();
    assert_eq!(parts.len(), 1);
    assert_eq!(
        parts[0].header("Content-Type"),
        "video/mp4; transfer-syntax=1.2.840.10008.1.2.4.102"
    );
    let file = std::fs::read(corpus::root().unwrap().join(VIDEO)).unwrap();
    assert!(walk::encapsulated(&file).frames(1) == [parts[0].body.clone()]);
}

#[tokio::test]
async fn n57_what_cannot_be_made_is_406_and_names_what_can_be_had() {
    let Some((server, at)) = with(SEVEN_JPEGS).await else {
        return;
    };
    for accept in [
        "multipart/related; type=\"image/jp2\"; transfer-syntax=1.2.840.10008.1.2.4.91".to_owned(),
        "multipart/related; type=\"image/jxl\"".to_owned(),
    ] {
        let answer = frames(&server, &at, "1", &accept).await;
        assert_eq!(answer.status, 406, "{accept}: {}", answer.text());
        assert!(
            answer.text().contains("1.2.840.10008.1.2.4.50"),
            "{}",
            answer.text()
        );
    }
    let stored = "multipart/related; type=\"image/jpeg\"; transfer-syntax=1.2.840.10008.1.2.4.50";
    assert_eq!(frames(&server, &at, "1", stored).await.status, 200, "N54");
}
