//! The Native DICOM Model in answers (dicomweb.md 5.4, N05, Q114, R01 to R06, R10, R18).

use serde_json::Value;

use crate::harness::native::{comparable, data_set};
use crate::harness::{Answer, Server, instance};

const PARTS: &str = "multipart/related; type=\"application/dicom+xml\"";

async fn stored(server: &Server) -> String {
    let token = server.reader("F001");
    let files: Vec<Vec<u8>> = ["1", "2"]
        .map(|number| {
            instance("1")
                .uids("1.1", "1.1.1", &format!("1.1.1.{number}"))
                .text(0x0010_0010, "PN", "Doe^<J>&")
                .text(0x0020_0013, "IS", number)
                .text(0x0009_0010, "LO", "ACME")
                .text(0x0009_1002, "DS", "1.50\\2")
                .file()
        })
        .to_vec();
    server.stored(&token, &files).await;
    token
}

/// The data sets of a message, and that it is as F20 to F25 say.
fn documents(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(
        answer
            .header("content-type")
            .starts_with(&format!("{PARTS}; boundary="))
    );
    let read = |part: &crate::harness::multipart::Part| {
        assert_eq!(part.header("Content-Type"), "application/dicom+xml");
        assert_eq!(part.header("Content-Length"), part.body.len().to_string());
        data_set(std::str::from_utf8(&part.body).unwrap())
    };
    answer.parts().iter().map(read).collect()
}

fn compared(json: &Answer) -> Vec<Value> {
    json.json()
        .as_array()
        .unwrap()
        .iter()
        .map(comparable)
        .collect()
}

#[tokio::test]
async fn r10_n05_j50_j52_metadata_leave_as_xml_one_part_an_instance() {
    let server = Server::start();
    let token = stored(&server).await;
    for level in [
        "/studies/1.1",
        "/studies/1.1/series/1.1.1",
        "/studies/1.1/series/1.1.1/instances/1.1.1.1",
    ] {
        let path = format!("{level}/metadata");
        let expected = compared(&server.get(&path, &token).await);
        for accept in [
            PARTS,
            "multipart/related",
            "multipart/related; type=application/dicom+xml",
        ] {
            let answer = server.get_as(&path, &token, accept).await;
            assert_eq!(documents(&answer), expected, "{path} as {accept}");
            let location = answer.parts()[0].header("Content-Location").to_owned();
            let location = location.strip_prefix(&server.base).unwrap();
            assert_eq!(compared(&server.get(location, &token).await), expected[..1]);
        }
    }
    let path = "/studies/1.1/series/1.1.1/instances/1.1.1.1/metadata";
    let single = server.get_as(path, &token, "application/dicom+xml").await;
    assert_eq!(single.header("content-type"), "application/dicom+xml");
    assert_eq!(
        data_set(&single.text())["00100010"]["Value"][0]["Alphabetic"],
        "Doe^<J>&"
    );
    assert!(
        single
            .text()
            .contains("privateCreator=\"ACME\"><Value number=\"1\">1.50</Value>")
    );
    let study = server
        .get_as("/studies/1.1/metadata", &token, "application/dicom+xml")
        .await;
    assert_eq!(
        study.status, 406,
        "one document cannot hold several instances"
    );
    let absent = server.get_as("/studies/9.9/metadata", &token, PARTS).await;
    assert_eq!(absent.status, 404);
}

#[tokio::test]
async fn r01_r02_r03_r04_r05_r06_q114_results_leave_as_json_and_as_xml() {
    let server = Server::start();
    let token = stored(&server).await;
    for (path, results) in [
        ("/studies", 1),
        ("/studies/1.1/series", 1),
        ("/studies/1.1/series/1.1.1/instances", 2),
        ("/studies/1.1/instances", 2),
        ("/series", 1),
        ("/instances", 2),
    ] {
        let json = server.get(path, &token).await;
        assert_eq!(json.header("content-type"), "application/dicom+json");
        let alias = server.get_as(path, &token, "application/json").await;
        assert_eq!(alias.header("content-type"), "application/json");
        assert_eq!(alias.body, json.body, "{path}");
        let xml = server.get_as(path, &token, PARTS).await;
        assert_eq!(documents(&xml), compared(&json), "{path}");
        assert_eq!(documents(&xml).len(), results, "{path}");
        assert_eq!(xml.header("x-total-count"), json.header("x-total-count"));
        let single = server.get_as(path, &token, "application/dicom+xml").await;
        assert_eq!(single.status, 406, "{path}");
        for query in ["PatientID=nobody", "PatientID=nobody&empty=200"] {
            let none = server
                .get_as(&format!("{path}?{query}"), &token, PARTS)
                .await;
            assert_eq!((none.status, none.body.len()), (204, 0), "{path}?{query}");
        }
    }
}

#[tokio::test]
async fn r18_t48_an_answer_to_a_store_is_a_document_when_asked() {
    let server = Server::start();
    let token = server.reader("F001");
    let file = instance("1").uids("1.1", "1.1.1", "1.1.1.1").file();
    let boundary = "b";
    let body = [
        b"--b\r\n\r\n",
        &file[..],
        b"\r\n--b\r\n\r\nnone\r\n--b--\r\n",
    ]
    .concat();
    let media_type = format!("multipart/related; type=\"application/dicom\"; boundary={boundary}");
    let request = server
        .request(reqwest::Method::POST, "/studies", &token)
        .header("Content-Type", &media_type)
        .header("Accept", "application/dicom+xml")
        .body(body.clone());
    let answer = server.send(request).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(answer.header("content-type"), "application/dicom+xml");
    let json = server.post("/studies", &token, &media_type, body).await;
    assert_eq!(json.header("content-type"), "application/dicom+json");
    assert_eq!(data_set(&answer.text()), comparable(&json.json()));
    let refused = server
        .request(reqwest::Method::POST, "/studies", &token)
        .header("Content-Type", &media_type)
        .header(
            "Accept",
            "multipart/related; type=\"application/dicom+xml\"",
        )
        .body(file);
    assert_eq!(server.send(refused).await.status, 406, "T49");
}
