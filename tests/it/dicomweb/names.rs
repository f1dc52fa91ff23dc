//! Person names as keys (dicomweb.md 4.2, 4.3).

use crate::harness::server::kura;
use crate::harness::{Server, instance};

/// Three studies of three patients, each with a referring and a performing physician.
async fn filled() -> (Server, String) {
    let server = Server::start();
    let token = server.reader("F001");
    let study = |uid: &str, patient: &str, referring: &str, performing: &str| {
        instance(uid)
            .text(0x0010_0010, "PN", patient)
            .text(0x0008_0090, "PN", referring)
            .text(0x0008_1050, "PN", performing)
            .file()
    };
    let files = [
        study("1.1", "Doe^John", "House^Gregory", "Kelso^Bob"),
        study("1.2", "Doe^Jane", "House^Ann", "Cox^Percival"),
        study("1.3", "Yamada^Hanako=山田^花子=やまだ^はなこ", "", "Cox"),
    ];
    server.stored(&token, &files).await;
    (server, token)
}

async fn found(server: &Server, token: &str, path: &str) -> Vec<String> {
    let answer = server.get(path, token).await;
    if answer.status == 204 {
        return Vec::new();
    }
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let rows = answer.json();
    let rows = rows.as_array().unwrap().iter();
    let mut uids: Vec<String> = rows
        .map(|row| row["0020000D"]["Value"][0].as_str().unwrap().to_owned())
        .collect();
    uids.sort();
    uids
}

#[tokio::test]
async fn q23_names_are_matched_by_one_value_by_wildcards_and_fuzzily() {
    let (server, token) = filled().await;
    let cases: &[(&str, &[&str])] = &[
        // A single value.
        ("/studies?PatientName=DOE%5Ejohn", &["1.1.1"]),
        ("/studies?00100010=Doe%5EJane", &["1.2.1"]),
        ("/studies?PatientName=Doe", &[]),
        ("/studies?ReferringPhysicianName=House%5EAnn", &["1.2.1"]),
        ("/series?PerformingPhysicianName=cox", &["1.3.1"]),
        // Wildcards: any run, and one character.
        ("/studies?PatientName=Doe*", &["1.1.1", "1.2.1"]),
        ("/studies?PatientName=*j%3Fne", &["1.2.1"]),
        ("/studies?PatientName=%E5%B1%B1%E7%94%B0%5E*", &["1.3.1"]),
        (
            "/studies?ReferringPhysicianName=house*",
            &["1.1.1", "1.2.1"],
        ),
        (
            "/series?PerformingPhysicianName=c%3Fx*",
            &["1.2.1", "1.3.1"],
        ),
        ("/instances?PatientName=doe%5Ej*", &["1.1.1", "1.2.1"]),
        // Fuzzily: beginnings of words in any order, of every name in the query.
        (
            "/studies?fuzzymatching=true&PatientName=jane+do",
            &["1.2.1"],
        ),
        (
            "/studies?fuzzymatching=true&PatientName=do&ReferringPhysicianName=greg",
            &["1.1.1"],
        ),
        (
            "/series?fuzzymatching=true&PerformingPhysicianName=perc+cox",
            &["1.2.1"],
        ),
        ("/studies?fuzzymatching=true&PatientName=ane", &[]),
        ("/studies?fuzzymatching=false&PatientName=jane+do", &[]),
        // No list: a comma is part of the name (Q08), and the backslash too.
        ("/studies?PatientName=Doe%5EJohn,Doe%5EJane", &[]),
    ];
    for (path, expected) in cases {
        assert_eq!(found(&server, &token, path).await, *expected, "{path}");
    }
}

#[tokio::test]
async fn q58_where_a_facility_switches_it_off_names_are_matched_literally_and_that_is_said() {
    let (server, token) = filled().await;
    let set = |rule: &str| kura(server.data.path(), &["facility", "set", "F001", rule]);
    set("fuzzy_matching=off");
    let said = format!(
        "299 {}/dicomweb: The fuzzymatching parameter is not supported. Only literal matching has been performed.",
        server.base
    );
    let warnings = |path: &'static str| {
        let (server, token) = (&server, &token);
        async move {
            let answer = server.get(path, token).await;
            let all = answer.headers.get_all("warning").iter();
            let all: Vec<String> = all.map(|it| it.to_str().unwrap().to_owned()).collect();
            (answer.status, all)
        }
    };
    for (path, status) in [
        ("/studies?fuzzymatching=true&PatientName=jane+do", 204),
        ("/studies?fuzzymatching=true&PatientName=doe%5Ejane", 200),
        ("/studies?fuzzyMatching=true", 200),
        ("/studies/1.1.1/series?fuzzymatching=true", 200),
        ("/instances?fuzzymatching=true", 200),
        ("/studies/count?fuzzymatching=true", 200),
        ("/dicomweb/patients?fuzzymatching=true", 200),
    ] {
        assert_eq!(warnings(path).await, (status, vec![said.clone()]), "{path}");
    }
    let beside = warnings("/studies?fuzzymatching=true&Nonsense=1").await.1;
    assert!(beside.len() == 2 && beside[0] == said && beside[1].contains("Nonsense"));
    // Who does not ask is not told, and what is malformed stays so (Q59).
    for path in ["/studies?PatientName=doe*", "/studies?fuzzymatching=false"] {
        assert_eq!(warnings(path).await, (200, vec![]), "{path}");
    }
    assert_eq!(warnings("/studies?fuzzymatching=maybe").await.0, 400);
    // It is a matter of the facility alone.
    let other = server.reader("F002");
    server
        .stored(
            &other,
            &[instance("2.1").text(0x0010_0010, "PN", "Doe^Jane").file()],
        )
        .await;
    let path = "/studies?fuzzymatching=true&PatientName=jane+do";
    assert_eq!(found(&server, &other, path).await, ["2.1.1"]);
    set("fuzzy_matching=on");
    assert_eq!(found(&server, &token, path).await, ["1.2.1"]);
}
