//! QIDO-RS (dicomweb.md section 4).

use serde_json::{Value, json};

use crate::harness::{Answer, Server, instance};

/// The values of one attribute over all rows of an answer; nothing for 204.
fn column(answer: &Answer, tag: &str) -> Vec<Value> {
    match answer.status {
        204 => Vec::new(),
        200 => answer
            .json()
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row[tag]["Value"][0].clone())
            .collect(),
        status => panic!("{status}: {}", answer.text()),
    }
}

/// Six studies of four patients.
async fn filled() -> (Server, String) {
    let server = Server::start();
    let token = server.reader("F001");
    let study = |uid: &str, date: &str, time: &str, name: &str, id: &str, modality: &str| {
        instance(uid)
            .text(0x0008_0020, "DA", date)
            .text(0x0008_0030, "TM", time)
            .text(0x0010_0010, "PN", name)
            .text(0x0010_0020, "LO", id)
            .text(0x0008_1030, "LO", &format!("Study {uid}"))
            .modality(modality)
            .file()
    };
    let files = [
        study("1.1", "20240101", "230000", "Doe^John", "A1", "CT"),
        study("1.2", "20240102", "010000", "DOE^JANE", "A2", "MR"),
        study("1.3", "20240215", "101500.5", "Müller^Jürgen", "A3", "CT"),
        study(
            "1.4",
            "20231224",
            "",
            "Yamada^Hanako=山田^花子=やまだ^はなこ",
            "A4",
            "US",
        ),
        study("1.5", "", "", "Doe", "a_5%", "OT"),
        study("1.6", "20240101", "080000", "Doe^John", "A1", "PT"),
    ];
    server.stored(&token, &files).await;
    (server, token)
}

async fn found(server: &Server, token: &str, query: &str) -> Vec<String> {
    let answer = server.get(&format!("/studies?{query}"), token).await;
    let mut uids: Vec<String> = column(&answer, "0020000D")
        .iter()
        .map(|uid| uid.as_str().unwrap().to_owned())
        .collect();
    uids.sort();
    uids
}

#[tokio::test]
async fn q20_q21_q22_q24_q25_matching_by_value_representation() {
    let (server, token) = filled().await;
    let cases: &[(&str, &[&str])] = &[
        ("StudyInstanceUID=1.1.1", &["1.1.1"]),
        ("StudyInstanceUID=1.1.1,1.2.1", &["1.1.1", "1.2.1"]),
        ("StudyInstanceUID=1.1.1%5C1.2.1", &["1.1.1", "1.2.1"]),
        ("0020000d=1.3.1", &["1.3.1"]),
        ("PatientID=A1", &["1.1.1", "1.6.1"]),
        ("PatientID=a1", &["1.1.1", "1.6.1"]),
        (
            "PatientID=A?",
            &["1.1.1", "1.2.1", "1.3.1", "1.4.1", "1.6.1"],
        ),
        ("PatientID=a_5%25", &["1.5.1"]),
        ("PatientID=__5%25", &[]),
        ("ModalitiesInStudy=CT", &["1.1.1", "1.3.1"]),
        ("ModalitiesInStudy=CT,PT", &["1.1.1", "1.3.1", "1.6.1"]),
        ("Modality=MR", &["1.2.1"]),
        ("StudyDate=20240101", &["1.1.1", "1.6.1"]),
        ("StudyDate=2024.01.01", &["1.1.1", "1.6.1"]),
        ("StudyDate=20240101-20240102", &["1.1.1", "1.2.1", "1.6.1"]),
        ("StudyDate=20240201-", &["1.3.1"]),
        ("StudyDate=-20231231", &["1.4.1"]),
        ("StudyTime=10", &["1.3.1"]),
        ("StudyTime=2300-", &["1.1.1"]),
        ("StudyTime=0800-101500.6", &["1.3.1", "1.6.1"]),
        ("StudyDescription=*1.4*", &["1.4.1"]),
        ("AccessionNumber=ACC1&PatientID=A2", &["1.2.1"]),
    ];
    for (query, expected) in cases {
        assert_eq!(found(&server, &token, query).await, *expected, "{query}");
    }
}

#[tokio::test]
async fn q50_q51_q52_q53_q54_q55_person_names() {
    let (server, token) = filled().await;
    let cases: &[(&str, &[&str])] = &[
        ("PatientName=doe*", &["1.1.1", "1.2.1", "1.5.1", "1.6.1"]),
        ("PatientName=DOE^JOHN", &["1.1.1", "1.6.1"]),
        ("PatientName=Doe^John^^^", &["1.1.1", "1.6.1"]),
        ("PatientName=Doe", &["1.5.1"]),
        ("PatientName=muller*", &["1.3.1"]),
        ("PatientName=M%C3%BCller^J%C3%BCrgen", &["1.3.1"]),
        ("PatientName=%E5%B1%B1%E7%94%B0*", &["1.4.1"]),
        ("PatientName==%E5%B1%B1%E7%94%B0*", &["1.4.1"]),
        ("PatientName===%E3%82%84%E3%81%BE%E3%81%A0*", &["1.4.1"]),
        ("PatientName=%E3%83%A4%E3%83%9E%E3%83%80*", &["1.4.1"]),
        (
            "PatientName=%EF%BE%94%EF%BE%8F%EF%BE%80%EF%BE%9E*",
            &["1.4.1"],
        ),
        ("PatientName=*hanako", &["1.4.1"]),
    ];
    for (query, expected) in cases {
        assert_eq!(found(&server, &token, query).await, *expected, "{query}");
    }
}

#[tokio::test]
async fn q60_q61_q68_q70_j24_a_study_shows_what_every_viewer_reads() {
    let (server, token) = filled().await;
    let answer = server.get("/studies?StudyInstanceUID=1.4.1", &token).await;
    assert_eq!(answer.header("content-type"), "application/dicom+json");
    let row = answer.json()[0].clone();
    assert_eq!(
        row,
        json!({
            "00080005": {"vr": "CS", "Value": ["ISO_IR 192"]},
            "00080020": {"vr": "DA", "Value": ["20231224"]},
            "00080030": {"vr": "TM"},
            "00080050": {"vr": "SH", "Value": ["ACC1"]},
            "00080056": {"vr": "CS", "Value": ["ONLINE"]},
            "00080061": {"vr": "CS", "Value": ["US"]},
            "00080090": {"vr": "PN"},
            "00081030": {"vr": "LO", "Value": ["Study 1.4"]},
            "00081190": {"vr": "UR", "Value": [format!("{}/dicomweb/studies/1.4.1", server.base)]},
            "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Yamada^Hanako", "Ideographic": "山田^花子", "Phonetic": "やまだ^はなこ"}]},
            "00100020": {"vr": "LO", "Value": ["A4"]},
            "00100030": {"vr": "DA"},
            "00100040": {"vr": "CS"},
            "0020000D": {"vr": "UI", "Value": ["1.4.1"]},
            "00200010": {"vr": "SH"},
            "00201206": {"vr": "IS", "Value": [1]},
            "00201208": {"vr": "IS", "Value": [1]},
        })
    );
}

#[tokio::test]
async fn q62_q63_q64_q65_series_and_instances_show_their_own() {
    let server = Server::start();
    let token = server.reader("F001");
    server
        .stored(
            &token,
            &[
                instance("1.2").file(),
                instance("1.2")
                    .uids("1.2.1", "1.2.1.2", "1.2.1.2.1")
                    .modality("SR")
                    .text(0x0020_0011, "IS", "2")
                    .file(),
            ],
        )
        .await;
    let series = server.get("/studies/1.2.1/series", &token).await.json();
    assert_eq!(series[0]["00080060"]["Value"][0], "CT");
    assert_eq!(series[0]["0020000E"]["Value"][0], "1.2.1.1");
    assert_eq!(series[0]["0020000D"]["Value"][0], "1.2.1");
    assert_eq!(series[0]["00200011"]["Value"][0], 1);
    assert_eq!(series[0]["00201209"]["Value"][0], 1);
    assert_eq!(series[1]["00080060"]["Value"][0], "SR");
    let instances = server
        .get("/studies/1.2.1/series/1.2.1.1/instances", &token)
        .await
        .json();
    let row = &instances[0];
    assert_eq!(row["00080016"]["Value"][0], "1.2.840.10008.5.1.4.1.1.2");
    assert_eq!(row["00083002"]["Value"][0], "1.2.840.10008.1.2.1");
    assert_eq!(row["00280010"]["Value"][0], 4);
    assert_eq!(row["00280100"]["Value"][0], 16);
    assert_eq!(
        row["00081190"]["Value"][0],
        format!(
            "{}/dicomweb/studies/1.2.1/series/1.2.1.1/instances/1.2.1.1.1",
            server.base
        )
    );
}

#[tokio::test]
async fn q66_relational_searches_bring_the_attributes_of_the_levels_above() {
    let (server, token) = filled().await;
    let series = server.get("/series?Modality=MR", &token).await.json();
    assert_eq!(series[0]["00100020"]["Value"][0], "A2");
    let instances = server.get("/instances?PatientID=A3", &token).await.json();
    assert_eq!(instances[0]["00080060"]["Value"][0], "CT");
    assert_eq!(instances[0]["00100020"]["Value"][0], "A3");
}

#[tokio::test]
async fn q03_q04_q82_what_is_ignored_is_named_in_a_warning() {
    let (server, token) = filled().await;
    let answer = server
        .get(
            "/studies?Nonsense=1&PatientID=A2&includefield=Rubbish",
            &token,
        )
        .await;
    assert_eq!(column(&answer, "0020000D"), ["1.2.1"]);
    let warnings: Vec<&str> = answer
        .headers
        .get_all("warning")
        .iter()
        .map(|w| w.to_str().unwrap())
        .collect();
    let all = warnings.join(" | ");
    assert!(
        all.starts_with("299 ") && all.contains("Nonsense") && all.contains("Rubbish"),
        "{all}"
    );
}

#[tokio::test]
async fn q05_q67_q80_what_is_asked_for_is_shown() {
    let (server, token) = filled().await;
    let row = |query: &'static str| {
        let (server, token) = (&server, &token);
        async move {
            server
                .get(&format!("/studies?StudyInstanceUID=1.1.1&{query}"), token)
                .await
                .json()[0]
                .clone()
        }
    };
    assert!(row("").await.get("00080062").is_none());
    assert_eq!(
        row("includefield=SOPClassesInStudy").await["00080062"]["Value"][0],
        "1.2.840.10008.5.1.4.1.1.2"
    );
    assert_eq!(
        row("includefield=00080062%2C00080080").await["00080062"]["vr"],
        "UI"
    );
    assert_eq!(
        row("00080062=").await["00080062"]["vr"],
        "UI",
        "Q05: universal matching returns the attribute"
    );
    assert_eq!(row("includefield=all").await["00080062"]["vr"], "UI");
    assert!(
        row("includefield=00080060").await.get("00080060").is_none(),
        "Q81: of a lower level"
    );
}

#[tokio::test]
async fn q90_q92_q93_q95_q96_q97_q99_q100_paging_is_stable_and_complete() {
    let (server, token) = filled().await;
    let mut seen = Vec::new();
    for offset in 0..6 {
        let page = server
            .get(&format!("/studies?limit=1&offset={offset}"), &token)
            .await;
        seen.extend(column(&page, "0020000D"));
        let left = 5 - offset;
        let warning = page.header("warning");
        if left > 0 {
            assert!(
                warning.contains(&format!(
                    "There are {left} additional results that can be requested"
                )),
                "{warning}"
            );
        } else {
            assert_eq!(warning, "");
        }
    }
    assert_eq!(
        seen,
        ["1.3.1", "1.2.1", "1.1.1", "1.6.1", "1.4.1", "1.5.1"],
        "newest first, empty dates last"
    );
    assert_eq!(server.get("/studies?offset=6", &token).await.status, 204);
    let none = server.get("/studies?limit=0", &token).await;
    assert_eq!(
        (none.status, none.header("x-total-count")),
        (204, "6".to_owned())
    );
    let counted = server
        .get("/studies?limit=2&count=true&PatientName=doe*", &token)
        .await;
    assert_eq!(counted.header("x-total-count"), "4");
    for wrong in ["limit=-1", "limit=x", "offset=-1", "offset=1.5"] {
        assert_eq!(
            server
                .get(&format!("/studies?{wrong}"), &token)
                .await
                .status,
            400,
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn q110_no_match_is_204_without_a_body() {
    let (server, token) = filled().await;
    let answer = server.get("/studies?PatientID=nobody", &token).await;
    assert_eq!((answer.status, answer.body.len()), (204, 0));
    assert_eq!(answer.header("content-type"), "");
}

#[tokio::test]
async fn q112_the_series_of_an_unknown_study_are_404() {
    let (server, token) = filled().await;
    assert_eq!(
        server.get("/studies/1.9.9/series", &token).await.status,
        404
    );
    assert_eq!(
        server.get("/studies/1.9.9/instances", &token).await.status,
        404
    );
    assert_eq!(
        server
            .get("/studies/1.1.1/series/1.9/instances", &token)
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn s08_values_that_cannot_be_are_400_with_what_and_where() {
    let (server, token) = filled().await;
    for wrong in [
        "StudyDate=garbage",
        "StudyDate=-",
        "StudyDate=20240230",
        "StudyDate=20240201-20240101",
        "StudyInstanceUID=1.2*",
        "PatientName=%FF",
        "fuzzymatching=maybe",
    ] {
        let answer = server.get(&format!("/studies?{wrong}"), &token).await;
        assert_eq!(answer.status, 400, "{wrong}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(!answer.json()["detail"].as_str().unwrap().is_empty());
    }
}

#[tokio::test]
async fn q13_a_list_of_a_thousand_uids_works() {
    let (server, token) = filled().await;
    let mut uids: Vec<String> = (0..1000)
        .map(|n| format!("1.2.840.113619.2.55.3.604688119.969.1268071029.{n}.{n}"))
        .collect();
    uids.push("1.2.1".to_owned());
    let answer = server
        .get(
            &format!("/studies?StudyInstanceUID={}", uids.join(",")),
            &token,
        )
        .await;
    assert_eq!(column(&answer, "0020000D"), ["1.2.1"]);
}

#[tokio::test]
async fn r30_a_path_may_end_in_a_slash() {
    let (server, token) = filled().await;
    assert_eq!(
        server.get("/studies/", &token).await.body,
        server.get("/studies", &token).await.body
    );
}
