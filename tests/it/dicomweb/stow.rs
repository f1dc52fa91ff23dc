//! STOW-RS (dicomweb.md section 9).

use reqwest::Method;
use serde_json::Value;

use crate::harness::{Server, instance, multipart};

const DICOM_JSON: &str = "application/dicom+json";

/// The items of a sequence of the answer.
fn items(answer: &Value, tag: &str) -> Vec<Value> {
    answer[tag]["Value"].as_array().cloned().unwrap_or_default()
}

fn reason(item: &Value) -> u64 {
    item["00081197"]["Value"][0]
        .as_u64()
        .expect("T46: a number")
}

#[tokio::test]
async fn t20_t41_t42_t43_t48_t53_a_stored_instance_is_named_in_one_object() {
    let server = Server::start();
    let answer = server
        .store(&server.reader("F001"), &[instance("1.2.3").file()])
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("content-type"), DICOM_JSON);
    let study = format!("{}/dicomweb/studies/1.2.3.1", server.base);
    assert_eq!(answer.header("location"), study);
    let json = answer.json();
    assert!(json.is_object(), "one object, no array");
    assert_eq!(json["00081190"]["Value"][0], study);
    let stored = items(&json, "00081199");
    assert_eq!(stored.len(), 1);
    assert_eq!(
        stored[0]["00081150"]["Value"][0],
        "1.2.840.10008.5.1.4.1.1.2"
    );
    assert_eq!(stored[0]["00081155"]["Value"][0], "1.2.3.1.1.1");
    assert_eq!(
        stored[0]["00081190"]["Value"][0],
        format!("{study}/series/1.2.3.1.1/instances/1.2.3.1.1.1")
    );
    assert!(json.get("00081198").is_none() && json.get("0008119A").is_none());
}

#[tokio::test]
async fn t21_same_bytes_again_is_success() {
    let server = Server::start();
    let token = server.reader("F001");
    let file = instance("1.2.3").file();
    server.stored(&token, &[&file]).await;
    let again = server.store(&token, &[&file]).await;
    assert_eq!(again.status, 200, "{}", again.text());
    assert_eq!(items(&again.json(), "00081199").len(), 1);
    let found = server.get("/instances", &token).await.json();
    assert_eq!(found.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn t22_other_content_under_a_stored_uid_is_refused() {
    let server = Server::start();
    let token = server.reader("F001");
    let first = instance("1.2.3").file();
    server.stored(&token, &[&first]).await;
    let other = instance("1.2.3")
        .text(0x0010_0010, "PN", "Other^Name")
        .file();
    let answer = server.store(&token, &[&other]).await;
    assert_eq!(answer.status, 409);
    assert_eq!(reason(&items(&answer.json(), "00081198")[0]), 0x0111);
    let back = server
        .get_as(
            "/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1",
            &token,
            "application/dicom; transfer-syntax=*",
        )
        .await;
    assert!(back.body == first, "what was stored first stays");
}

#[tokio::test]
async fn sh_1_2_the_same_uid_lives_once_in_each_facility() {
    let server = Server::start();
    let (one, two) = (server.reader("F001"), server.reader("F002"));
    let mine = instance("1.2.3").text(0x0010_0010, "PN", "Mine^A").file();
    let yours = instance("1.2.3").text(0x0010_0010, "PN", "Yours^B").file();
    server.stored(&one, &[&mine]).await;
    server.stored(&two, &[&yours]).await;
    let path = "/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1";
    assert!(
        server
            .get_as(path, &one, "application/dicom; transfer-syntax=*")
            .await
            .body
            == mine
    );
    assert!(
        server
            .get_as(path, &two, "application/dicom; transfer-syntax=*")
            .await
            .body
            == yours
    );
}

#[tokio::test]
async fn t23_t40_an_instance_of_another_study_than_the_path_is_refused_and_its_neighbour_stored() {
    let server = Server::start();
    let token = server.reader("F001");
    let files = [instance("1.2.3").file(), instance("1.2.4").file()];
    let answer = server.store_at("/studies/1.2.3.1", &token, &files).await;
    assert_eq!(answer.status, 202);
    assert_eq!(
        items(&answer.json(), "00081199")[0]["00081155"]["Value"][0],
        "1.2.3.1.1.1"
    );
    let failed = items(&answer.json(), "00081198");
    assert_eq!((failed.len(), reason(&failed[0])), (1, 0xA900));
    assert_eq!(failed[0]["00081155"]["Value"][0], "1.2.4.1.1.1");
    assert_eq!(
        server.get("/studies/1.2.4.1/series", &token).await.status,
        404
    );
}

#[tokio::test]
async fn t24_t44_a_missing_uid_is_named() {
    let server = Server::start();
    let token = server.reader("F001");
    for tag in [0x0020_000D, 0x0020_000E, 0x0008_0018, 0x0008_0016] {
        for file in [
            instance("1.2.3").without(tag).file(),
            instance("1.2.3").text(tag, "UI", "").file(),
        ] {
            let answer = server.store(&token, &[&file]).await;
            assert_eq!(answer.status, 409, "{tag:08x}");
            let json = answer.json();
            let failed = [items(&json, "00081198"), items(&json, "0008119A")].concat();
            assert_eq!(reason(&failed[0]), 0xC000);
            let comment = failed[0]["00000902"]["Value"][0]
                .as_str()
                .unwrap()
                .to_owned();
            let name = format!("({:04X},{:04X})", tag >> 16, tag & 0xFFFF);
            assert!(comment.contains(&name) && comment.len() <= 64, "{comment}");
        }
    }
    assert_eq!(
        server.get("/instances", &token).await.status,
        204,
        "nothing was stored"
    );
}

#[tokio::test]
async fn t25_an_instance_without_patient_id_is_stored() {
    let server = Server::start();
    let token = server.reader("F001");
    server
        .stored(
            &token,
            &[
                instance("1.2.3").without(0x0010_0020).file(),
                instance("1.2.4").text(0x0010_0020, "LO", "").file(),
            ],
        )
        .await;
    let found = server.get("/studies", &token).await.json();
    assert_eq!(found.as_array().unwrap().len(), 2);
    assert_eq!(found[0]["00100020"], serde_json::json!({"vr": "LO"}));
}

#[tokio::test]
async fn t14_a_data_set_of_a_few_bytes_is_an_instance_too() {
    let server = Server::start();
    let token = server.reader("F001");
    let mut tiny = Vec::new();
    for (tag, uid) in [(0x16_u16, "1.2"), (0x18, "1.9")] {
        tiny.extend([8, 0, tag.to_le_bytes()[0], 0, b'U', b'I', 4, 0]);
        tiny.extend(uid.as_bytes());
        tiny.push(0);
    }
    for (tag, uid) in [(0x0D_u8, "1.7"), (0x0E, "1.8")] {
        tiny.extend([0x20, 0, tag, 0, b'U', b'I', 4, 0]);
        tiny.extend(uid.as_bytes());
        tiny.push(0);
    }
    assert!(tiny.len() < 128, "shorter than a preamble");
    let files = [
        instance("1.2.3").file(),
        tiny.clone(),
        instance("1.2.4").file(),
    ];
    let answer = server.store(&token, &files).await;
    assert_eq!(answer.status, 202, "B000: {}", answer.text());
    assert_eq!(items(&answer.json(), "00081199").len(), 3);
    let path = "/studies/1.7/series/1.8/instances/1.9";
    let back = server
        .get_as(path, &token, "application/dicom; transfer-syntax=*")
        .await;
    assert!(back.body == tiny);
}

#[tokio::test]
async fn t31_t45_a_part_that_is_no_dicom_fails_alone() {
    let server = Server::start();
    let token = server.reader("F001");
    let files = [
        b"<html>not DICOM</html>".to_vec(),
        instance("1.2.3").file(),
        Vec::new(),
    ];
    let answer = server.store(&token, &files).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(items(&answer.json(), "00081199").len(), 1);
    let other = items(&answer.json(), "0008119A");
    assert_eq!(
        other.iter().map(reason).collect::<Vec<_>>(),
        [0xC000, 0xC000]
    );
}

#[tokio::test]
async fn t35_a_value_that_breaks_its_representation_is_stored_with_a_warning() {
    let server = Server::start();
    let token = server.reader("F001");
    let answer = server
        .store(
            &token,
            &[instance("1.2.3").text(0x0008_0020, "DA", "NotADate").file()],
        )
        .await;
    assert_eq!(answer.status, 202);
    assert_eq!(
        items(&answer.json(), "00081199")[0]["00081196"]["Value"][0],
        0xB007
    );
    assert_eq!(
        server
            .get("/studies?StudyDate=20240131", &token)
            .await
            .status,
        204
    );
    let shown = server.get("/studies", &token).await.json()[0]["00080020"].clone();
    assert_eq!(
        shown,
        serde_json::json!({"vr": "DA"}),
        "the index does not repeat what is no date"
    );
}

#[tokio::test]
async fn t36_t50_the_first_of_two_wins_and_outcomes_keep_the_order_of_the_parts() {
    let server = Server::start();
    let token = server.reader("F001");
    let other = instance("1.2.3").text(0x0010_0010, "PN", "Other").file();
    let files = [
        instance("1.2.9").file(),
        instance("1.2.3").file(),
        other,
        instance("1.2.3").file(),
        instance("1.2.1").file(),
    ];
    let answer = server.store(&token, &files).await;
    assert_eq!(answer.status, 202);
    let stored: Vec<Value> = items(&answer.json(), "00081199")
        .iter()
        .map(|i| i["00081155"]["Value"][0].clone())
        .collect();
    assert_eq!(
        stored,
        ["1.2.9.1.1.1", "1.2.3.1.1.1", "1.2.3.1.1.1", "1.2.1.1.1.1"]
    );
    assert_eq!(reason(&items(&answer.json(), "00081198")[0]), 0x0111);
    assert_eq!(
        answer.json()["00081190"],
        serde_json::json!({"vr": "UR"}),
        "T42: several studies"
    );
}

#[tokio::test]
async fn t01_t02_t03_t04_bodies_as_real_senders_write_them_are_read() {
    let server = Server::start();
    let token = server.reader("F001");
    let forms: [(&str, &str, &str, &str); 6] = [
        (
            "multipart/related; type=\"application/dicom\"; boundary=\"b b\"",
            "--b b\r\nContent-Type: application/dicom\r\n\r\n",
            "\r\n--b b--\r\n",
            "quoted boundary",
        ),
        (
            "multipart/related; boundary=bb; type=application/dicom",
            "--bb\r\ncontent-type:application/dicom\r\n\r\n",
            "\r\n--bb--",
            "unquoted type, no final CRLF",
        ),
        (
            "multipart/related;type=\"application/dicom\";boundary=bb;transfer-syntax=1.2",
            "\r\n--bb\r\nContent-Type: application/dicom\r\n\r\n",
            "\r\n--bb--\r\nepilogue",
            "leading CRLF, epilogue",
        ),
        (
            "multipart/related; type=\"application/dicom\"; boundary=bb",
            "preamble\r\n--bb\r\n\r\n",
            "\r\n--bb--\r\n",
            "preamble, no part headers",
        ),
        (
            "Multipart/Related; TYPE=\"application/dicom\"; Boundary=bb",
            "--bb \t\r\nContent-Type: application/octet-stream\r\n\r\n",
            "\r\n--bb--\r\n",
            "white space after the boundary",
        ),
        (
            "multipart/related; type=\"application/dicom\"; boundary=bb",
            "--bb\nContent-Type: application/dicom\n\n",
            "\n--bb--\n",
            "line feeds alone",
        ),
    ];
    for (number, (media_type, before, after, what)) in forms.iter().enumerate() {
        let file = instance(&format!("1.2.3.{number}")).file();
        let body = [before.as_bytes(), &file, after.as_bytes()].concat();
        let answer = server.post("/studies", &token, media_type, body).await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.text());
        let url = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
            .as_str()
            .unwrap()
            .to_owned();
        let back = server
            .get_as(
                url.strip_prefix(&server.base).unwrap(),
                &token,
                "application/dicom; transfer-syntax=*",
            )
            .await;
        assert!(back.body == file, "{what}");
    }
}

#[tokio::test]
async fn t05_a_single_file_is_a_request() {
    let server = Server::start();
    let token = server.reader("F001");
    let answer = server
        .post(
            "/studies",
            &token,
            "application/dicom",
            instance("1.2.3").file(),
        )
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}

#[tokio::test]
async fn t07_t08_s20_other_media_types_are_refused_with_what_works() {
    let server = Server::start();
    let token = server.reader("F001");
    for media_type in [
        "multipart/form-data; boundary=x",
        "application/zip",
        "text/plain",
        "nonsense",
    ] {
        let answer = server
            .post("/studies", &token, media_type, b"x".to_vec())
            .await;
        assert_eq!(answer.status, 415, "{media_type}");
        assert!(
            answer.text().contains("multipart/related"),
            "{}",
            answer.text()
        );
    }
    let without = server
        .send(server.request(Method::POST, "/studies", &token).body("x"))
        .await;
    assert_eq!(without.status, 415);
    let no_boundary = server
        .post(
            "/studies",
            &token,
            "multipart/related; type=\"application/dicom\"",
            b"x".to_vec(),
        )
        .await;
    assert_eq!(no_boundary.status, 400);
}

#[tokio::test]
async fn t49_an_accept_that_cannot_be_met_is_refused_before_the_body() {
    let server = Server::start();
    let (media_type, body) = multipart::write(&[instance("1.2.3").file()]);
    let token = server.reader("F001");
    let request = server
        .request(Method::POST, "/studies", &token)
        .header("content-type", media_type)
        .header("accept", "image/png")
        .body(body);
    assert_eq!(server.send(request).await.status, 406);
    assert_eq!(server.get("/studies", &token).await.status, 204);
}

#[tokio::test]
async fn t51_what_was_answered_is_found_at_once() {
    let server = Server::start();
    let token = server.reader("F001");
    for number in 0..20 {
        server
            .stored(&token, &[instance(&format!("1.2.3.{number}")).file()])
            .await;
        let found = server
            .get(
                &format!("/studies?StudyInstanceUID=1.2.3.{number}.1"),
                &token,
            )
            .await;
        assert_eq!(found.status, 200);
    }
}

#[tokio::test]
async fn r32_a_uid_with_leading_zeros_is_kept_as_it_came() {
    let server = Server::start();
    let token = server.reader("F001");
    server.stored(&token, &[instance("1.02.003").file()]).await;
    assert_eq!(
        server
            .get(
                "/studies/1.02.003.1/series/1.02.003.1.1/instances/1.02.003.1.1.1/metadata",
                &token
            )
            .await
            .status,
        200
    );
    assert_eq!(
        server.get("/studies/1.2.3.1/metadata", &token).await.status,
        404
    );
    assert_eq!(
        server
            .store_at("/studies/abc", &token, &[instance("1.2.3").file()])
            .await
            .status,
        400
    );
    assert_eq!(
        server.get("/studies/abc/metadata", &token).await.status,
        404
    );
}

#[tokio::test]
async fn r33_the_parent_chain_is_checked() {
    let server = Server::start();
    let token = server.reader("F001");
    // One series UID in two studies.
    server
        .stored(
            &token,
            &[
                instance("1").uids("1.1", "1.9", "1.1.1").file(),
                instance("1").uids("1.2", "1.9", "1.2.1").file(),
            ],
        )
        .await;
    assert_eq!(
        server
            .get("/studies/1.1/series/1.9/instances/1.1.1/metadata", &token)
            .await
            .status,
        200
    );
    for wrong in [
        "/studies/1.2/series/1.9/instances/1.1.1/metadata",
        "/studies/1.1/series/1.8/instances/1.1.1/metadata",
        "/studies/1.1/series/1.8/metadata",
    ] {
        assert_eq!(server.get(wrong, &token).await.status, 404, "{wrong}");
    }
}
