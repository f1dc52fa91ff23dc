//! Search with attributes in its answer, and the Python client that asks so.

use std::path::PathBuf;
use std::process::Command;

use super::{assert_document, uuid_of, values};
use crate::harness::{Answer, Server, instance};

/// A study of two series, of two slices and of one.
async fn filled() -> (Server, String) {
    let server = Server::start();
    let token = server.reader("F001");
    let of = |series: u8, number: u8, modality: &str| {
        let of_series = format!("1.2.3.1.{series}");
        instance("1.2.3")
            .uids("1.2.3.1", &of_series, &format!("{of_series}.{number}"))
            .text(0x0020_0011, "IS", &series.to_string())
            .text(0x0020_0013, "IS", &number.to_string())
            .text(0x0008_103E, "LO", &format!("Series {series}"))
            .text(0x0008_1030, "LO", "Head")
            .modality(modality)
            .file()
    };
    let files = [
        of(1, 1, "CT"),
        of(1, 2, "CT"),
        of(2, 1, "MR"),
        instance("1.2.4").file(),
    ];
    server.stored(&token, &files).await;
    (server, token)
}

async fn ask(server: &Server, token: &str, query: &str) -> Answer {
    let answer = server.get(&format!("/mint/studies?{query}"), token).await;
    assert_document(&answer, "studySearchResults");
    answer
}

#[tokio::test]
async fn mint_w01_w02_w03_w04_w05_w06_w07_attributes_stand_where_they_belong() {
    let (server, token) = filled().await;
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    let found = ask(
        &server,
        &token,
        "PatientName=yama*&StudyDescription=HEAD&QueryLevel=STUDY",
    )
    .await;
    assert_eq!(values(&found, "studyUUID"), [uuid]);
    assert_eq!(values(&found, "query_level"), ["STUDY"]);
    assert_eq!(
        values(&found, "tag"),
        ["00081030", "00100010", "00100020", "0020000D"]
    );
    let names = &values(&found, "val")[1..];
    assert_eq!(
        names,
        ["Yamada^Hanako=山田^花子=やまだ^はなこ", "P1", "1.2.3.1"]
    );
    assert!(!found.text().contains("<series>"));

    let query = "PatientID=P*&StudyInstanceUID=1.2.3.1&QueryLevel=SERIES&IncludeFields=Modality,StudyDescription,Nonsense";
    let found = ask(&server, &token, query).await;
    let text = found.text();
    let series = |uid: &str, modality: &str| {
        format!(
            "<series><attr tag=\"00080060\" vr=\"CS\" val=\"{modality}\"/>\
             <attr tag=\"0020000E\" vr=\"UI\" val=\"{uid}\"/></series>"
        )
    };
    let both = series("1.2.3.1.1", "CT") + &series("1.2.3.1.2", "MR");
    let study =
        format!("{both}<attr tag=\"00081030\" vr=\"LO\" val=\"Head\"/><attr tag=\"00100010\"");
    assert!(text.contains(&study), "{text}");
    assert_eq!(
        values(&found, "includefields"),
        ["Modality,StudyDescription,Nonsense"]
    );

    let query = "SeriesInstanceUID=1.2.3.1.1&QueryLevel=INSTANCE&IncludeFields=InstanceNumber,Rows";
    let found = ask(&server, &token, query).await;
    assert_eq!(found.text().matches("<instance>").count(), 2);
    assert_eq!(
        found
            .text()
            .matches("tag=\"00020010\" vr=\"UI\" val=\"1.2.840.10008.1.2.1\"")
            .count(),
        2
    );
    assert_eq!(
        found
            .text()
            .matches("tag=\"00280010\" vr=\"US\" val=\"4\"")
            .count(),
        2
    );
    assert!(
        found
            .text()
            .contains("tag=\"00080018\" vr=\"UI\" val=\"1.2.3.1.1.2\"")
    );
}

#[tokio::test]
async fn mint_q13_w02_what_is_below_a_study_narrows_it_and_days_are_inclusive() {
    let (server, token) = filled().await;
    for (query, hits) in [
        ("QueryLevel=STUDY", 2),
        ("QueryLevel=STUDY&limit=1", 1),
        ("QueryLevel=STUDY&limit=0", 2),
        ("querylevel=STUDY&ModalitiesInStudy=MR", 1),
        ("QueryLevel=STUDY&SeriesDescription=Series+2", 1),
        ("QueryLevel=STUDY&SeriesDescription=Series*", 1),
        ("QueryLevel=STUDY&patientsex=M", 0),
        (
            "QueryLevel=SERIES&min_study_date=20240131&max_study_date=20240131",
            2,
        ),
        (
            "QueryLevel=STUDY&minStudyDate=20240201&maxStudyDate=20240202",
            0,
        ),
        ("IncludeFields=PatientID", 2),
    ] {
        let found = ask(&server, &token, query).await;
        assert_eq!(values(&found, "studyUUID").len(), hits, "{query}");
    }
    let foreign = server.reader("F002");
    let none = ask(&server, &foreign, "QueryLevel=INSTANCE").await;
    assert!(values(&none, "studyUUID").is_empty());
    for query in [
        "QueryLevel=PATIENT",
        "QueryLevel=STUDY&limit=x",
        "QueryLevel=STUDY&min_study_date=1",
    ] {
        let refused = server.get(&format!("/mint/studies?{query}"), &token).await;
        assert_eq!(refused.status, 400, "{query}");
    }
}

/// The download tool of the Python world that speaks this dialect (clients.md).
#[tokio::test]
async fn mint_w01_the_python_dicomtrolley_finds_studies_series_and_instances() {
    let Some(python) = crate::python_client::python() else {
        return;
    };
    let (server, token) = filled().await;
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/python/trolley.py");
    let output = Command::new(python)
        .arg(script)
        .args([&format!("{}/mint", server.base), &token])
        .env("PYTHONIOENCODING", "utf-8")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("Python starts");
    let told = String::from_utf8_lossy(&output.stdout);
    let failed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{failed}");
    assert_eq!(told.lines().last(), Some("calls 4, passed 4"), "{told}");
}
