//! Person names as keys (dicomweb.md 4.2, 4.3).

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
