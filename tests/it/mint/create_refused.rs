//! Studies that are not made: the job says why, and nothing of them is seen (MINT 9.5, X14, X16 to X18).

use std::io::Write as _;
use std::time::Duration;

use super::create::{
    DOCUMENT, Field, STUDY, create, document, file, form, form_type, item, items, send,
};
use super::values;
use crate::dicomweb::stow_wire::ask_at;
use crate::harness::{Answer, Server, server};

const PATH: &str = "/mint/jobs/createstudy";

/// Why a job failed.
fn reason(job: &Answer) -> String {
    assert_eq!(job.status, 200, "{}", job.text());
    assert_eq!(values(job, "jobStatus"), ["FAILED"], "{}", job.text());
    values(job, "reason").remove(0)
}

async fn assert_nothing(server: &Server, token: &str) {
    let found = server.get("/mint/studies", token).await;
    assert!(values(&found, "studyUUID").is_empty(), "{}", found.text());
    assert_eq!(
        server.get(&format!("/studies/{STUDY}"), token).await.status,
        404
    );
}

#[tokio::test]
async fn mint_u21_u22_v01_v02_v03_v05_v06_v13_v14_x17_a_job_says_what_is_wrong_with_a_document() {
    let server = Server::start();
    let token = server.reader("F001");
    let check = async |text: &str, items: Vec<Field<'_>>, expected: &str| {
        let reason = reason(&send(&server, &token, text, items).await);
        assert!(reason.contains(expected), "{expected}: {reason}");
    };
    let changed = |from: &str, to: &str| {
        assert!(DOCUMENT.contains(from), "{from}");
        DOCUMENT.replacen(from, to, 1)
    };
    let mut few = items();
    few.remove(3);
    check(DOCUMENT, few, "binary item 3 did not come").await;
    let mut many = items();
    many.push(file("binary9", "binary9", "", item(0)));
    check(DOCUMENT, many, "nothing refers to binary item 9").await;
    check(
        &changed("bid=\"1\"", "bid=\"0\""),
        items(),
        "is referred to twice",
    )
    .await;
    check(
        &changed("type=\"DICOM\"", "type=\"X\""),
        items(),
        "not DICOM",
    )
    .await;
    check(
        &changed("type=\"DICOM\"", "type=\"DICOM\" version=\"0\""),
        items(),
        "version",
    )
    .await;
    check(
        &changed("<attr tag=\"00080020\"", "<attr tag=\"00080060\""),
        items(),
        "level",
    )
    .await;
    check(
        &changed("bsize=\"48\"", "bsize=\"50\""),
        items(),
        "48 bytes",
    )
    .await;
    check(
        &changed("val=\"2.25.70101\"", "val=\"x\""),
        items(),
        "no UID",
    )
    .await;
    let syntax = changed(
        "transferSyntaxUID=\"1.2.840.10008.1.2.1\"",
        "transferSyntaxUID=\"1.2.840.10008.1.2\"",
    );
    check(&syntax, items(), "transferSyntaxUID").await;
    let empty = "<study xmlns=\"http://medical.nema.org/mint\" studyInstanceUID=\"2.25.70010\" type=\"DICOM\"/>";
    check(empty, Vec::new(), "no instance").await;
    check("<study", items(), "").await;
    check("", items(), "").await;
    // Two instances of one UID.
    let twice = DOCUMENT.replace("2.25.70102", "2.25.70101");
    check(&twice, items(), "").await;
    let fields = [file("m", "m.txt", "text/plain", DOCUMENT.into())];
    let neither = reason(&create(&server, &token, &fields).await);
    assert!(neither.contains("neither XML nor protobuf"), "{neither}");
    assert_nothing(&server, &token).await;
    // One instance that the facility refuses, and none is stored.
    let refused = "refused_sop_classes=1.2.840.10008.5.1.4.1.1.3.1";
    server::kura(server.data.path(), &["facility", "set", "F001", refused]);
    check(DOCUMENT, items(), "2.25.70201").await;
    assert_nothing(&server, &token).await;
}

#[tokio::test]
async fn mint_x14_x16_x18_a_form_that_is_none_is_refused_at_once() {
    let server = Server::start();
    let token = server.reader("F001");
    let body = form(&[document(DOCUMENT)]);
    for media_type in [
        "multipart/form-data",
        "multipart/related; boundary=kQ7x",
        "text/xml",
    ] {
        let answer = server.post(PATH, &token, media_type, body.clone()).await;
        assert_eq!(answer.status, 400, "{media_type}");
    }
    let field = (
        "name=\"oldVersion\"".to_owned(),
        "text/plain",
        b"0".to_vec(),
    );
    assert_eq!(create(&server, &token, &[field]).await.status, 400);
    let mut doubled = items();
    doubled.push(file("binary2", "binary2", "", item(2)));
    let answer = send(&server, &token, DOCUMENT, doubled).await;
    assert_eq!(answer.status, 400, "{}", answer.text());
    server::kura(
        server.data.path(),
        &["facility", "set", "F001", "max_request_bytes=1000"],
    );
    let answer = send(&server, &token, DOCUMENT, items()).await;
    assert_eq!(answer.status, 413);
    assert_nothing(&server, &token).await;
}

#[tokio::test]
async fn mint_u07_u12_an_upload_that_breaks_off_leaves_nothing() {
    let server = Server::start();
    let token = server.reader("F001");
    let mut fields = vec![document(DOCUMENT)];
    fields.extend(items());
    let body = form(&fields);
    let headers = format!(
        "Authorization: Bearer {token}\r\nContent-Type: {}\r\nContent-Length: {}\r\n",
        form_type(),
        body.len()
    );
    for sent in [10, body.len() / 2, body.len() - 1] {
        let (mut line, answer) = ask_at(PATH, &server, &headers);
        assert!(answer.starts_with("HTTP/1.1 100 "), "{answer}");
        line.write_all(&body[..sent]).unwrap();
        drop(line);
    }
    let jobs = ended(&server, &token, "mint_create", 3).await;
    assert!(jobs.iter().all(|job| !reason(job).is_empty()));
    assert_nothing(&server, &token).await;
}

/// The jobs of all studies that were begun, as soon as they have ended.
pub async fn ended(server: &Server, token: &str, kind: &str, least: usize) -> Vec<Answer> {
    let manager = server.token("F001", "lifecycle.manage");
    let started = std::time::Instant::now();
    loop {
        let list = server
            .get(&format!("/api/v1/jobs?kind={kind}&limit=200"), &manager)
            .await;
        let mut jobs = Vec::new();
        for job in list.json()["jobs"].as_array().unwrap() {
            let id = job["id"].as_str().unwrap();
            jobs.push(server.get(&format!("/mint/jobs/status/{id}"), token).await);
        }
        let open = jobs
            .iter()
            .filter(|job| values(job, "jobStatus") == ["IN_PROGRESS"]);
        let open = open.count();
        if open == 0 && jobs.len() >= least {
            return jobs;
        }
        assert!(
            started.elapsed() < Duration::from_mins(2),
            "{open} jobs are not over"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}
