//! Searches that ask more than the index knows (dicomweb.md Q04, Q26, Q30 to Q33, Q80 to Q85).

use serde_json::{Value, json};

use crate::harness::{Answer, Server, instance};

/// A sequence of one attribute an item, explicit VR little endian.
fn items(of: &[&[(u32, &str, &str)]]) -> Vec<u8> {
    let mut value = Vec::new();
    for attributes in of {
        let mut set = Vec::new();
        for (tag, vr, text) in *attributes {
            let padded = format!("{text}{}", if text.len() % 2 == 0 { "" } else { " " });
            let (group, element) = ((tag >> 16) as u16, (tag & 0xFFFF) as u16);
            set.extend([group.to_le_bytes(), element.to_le_bytes()].concat());
            set.extend(vr.as_bytes());
            set.extend(u16::try_from(padded.len()).unwrap().to_le_bytes());
            set.extend(padded.as_bytes());
        }
        value.extend(b"\xFE\xFF\x00\xE0");
        value.extend(u32::try_from(set.len()).unwrap().to_le_bytes());
        value.extend(set);
    }
    value
}

const STEP: u32 = 0x0040_0009;
const PROCEDURE: u32 = 0x0040_1001;

async fn stored(server: &Server) -> String {
    let token = server.reader("F001");
    let file = |n: &str, moment: &str, age: &str, dose: &str, requests: Vec<u8>| {
        let series = if n == "3" { "1.1.2" } else { "1.1.1" };
        instance("1")
            .uids("1.1", series, &format!("1.1.{n}"))
            .text(0x0008_002A, "DT", moment)
            .text(0x0010_1010, "AS", age)
            .text(0x0018_0060, "DS", dose)
            .bytes(0x0028_0009, "AT", vec![0x18, 0, 0x63, 0x10])
            .text(0x0020_0013, "IS", n)
            .text(0x0023_0011, "LO", "AcmeCompany")
            .text(0x0023_1102, "LO", n)
            .bytes(0x0040_0275, "SQ", requests)
            .file()
    };
    let both = items(&[
        &[(STEP, "SH", "A"), (PROCEDURE, "SH", "1")],
        &[(STEP, "SH", "B"), (PROCEDURE, "SH", "2")],
    ]);
    let one = items(&[&[(STEP, "SH", "A"), (PROCEDURE, "SH", "2")]]);
    let files = [
        file("1", "20240131103015-0500", "030Y", "120", both),
        file("2", "20240201", "031Y", "80.5", one),
        file("3", "2023", "030Y", "80", items(&[])),
    ];
    server.stored(&token, &files).await;
    token
}

fn found(answer: &Answer) -> Vec<String> {
    if answer.status == 204 {
        return Vec::new();
    }
    assert_eq!(answer.status, 200, "{}", answer.text());
    let rows = answer.json();
    let uid = |row: &Value| {
        let tag = if row.get("00080018").is_some() {
            "00080018"
        } else {
            "0020000E"
        };
        row[tag]["Value"][0].as_str().unwrap().to_owned()
    };
    rows.as_array().unwrap().iter().map(uid).collect()
}

#[tokio::test]
async fn q26_q30_q31_q32_q04_within_a_study_everything_stored_is_matched() {
    let server = Server::start();
    let token = stored(&server).await;
    for (query, expected) in [
        ("AcquisitionDateTime=20240131103015-0500", &["1.1.1"][..]),
        ("AcquisitionDateTime=202401311530", &["1.1.1"]),
        ("AcquisitionDateTime=2024", &["1.1.1", "1.1.2"]),
        ("AcquisitionDateTime=2023-20240131", &["1.1.1", "1.1.3"]),
        (
            "AcquisitionDateTime=20240131103015-0500-",
            &["1.1.1", "1.1.2"],
        ),
        (
            "AcquisitionDateTime=20240131003016%2B0900-202402",
            &["1.1.1", "1.1.2"],
        ),
        (
            "FrameIncrementPointer=00181063",
            &["1.1.1", "1.1.2", "1.1.3"],
        ),
        (
            "FrameIncrementPointer=0018106A,00181063",
            &["1.1.1", "1.1.2", "1.1.3"],
        ),
        ("FrameIncrementPointer=00181065", &[]),
        ("PatientAge=030Y", &["1.1.1", "1.1.3"]),
        ("PatientAge=030y", &[]),
        ("KVP=80.50", &["1.1.2"]),
        (
            "RequestAttributesSequence.ScheduledProcedureStepID=A",
            &["1.1.1", "1.1.2"],
        ),
        ("00400275.00400009=a", &["1.1.1", "1.1.2"]),
        (
            "RequestAttributesSequence.ScheduledProcedureStepID=A&RequestAttributesSequence.RequestedProcedureID=2",
            &["1.1.2"],
        ),
        (
            "RequestAttributesSequence.ScheduledProcedureStepID=B*&InstanceNumber=1",
            &["1.1.1"],
        ),
    ] {
        let answer = server
            .get(&format!("/studies/1.1/instances?{query}"), &token)
            .await;
        assert_eq!(found(&answer), expected, "{query}");
        assert_eq!(answer.header("warning"), "", "{query}");
    }
    let paged = "/studies/1.1/instances?PatientAge=030Y&limit=1";
    let answer = server.get(paged, &token).await;
    assert!(
        answer
            .header("warning")
            .contains("There are 1 additional results")
    );
    assert_eq!(answer.header("x-total-count"), "2");
    assert_eq!(
        found(&server.get(&format!("{paged}&offset=1"), &token).await),
        ["1.1.3"]
    );
    let series = server
        .get("/studies/1.1/series?PatientAge=030Y", &token)
        .await;
    assert_eq!(found(&series), ["1.1.1", "1.1.2"]);
    // Elsewhere it is ignored, and the warning says so.
    for path in ["/instances", "/studies"] {
        let query = "PatientAge=031Y&RequestAttributesSequence.ScheduledProcedureStepID=A";
        let answer = server.get(&format!("{path}?{query}"), &token).await;
        let warning = answer.header("warning");
        assert!(warning.contains("PatientAge"), "{warning}");
        assert!(
            warning.contains("RequestAttributesSequence.ScheduledProcedureStepID"),
            "{warning}"
        );
    }
    for wrong in ["AcquisitionDateTime=20241301", "AcquisitionDateTime=-"] {
        let answer = server
            .get(&format!("/studies/1.1/instances?{wrong}"), &token)
            .await;
        assert_eq!(answer.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn q80_q83_q84_q85_instances_show_what_is_stored() {
    let server = Server::start();
    let token = stored(&server).await;
    let one = async |query: &str| {
        let path = format!("/studies/1.1/instances?InstanceNumber=1&{query}");
        server.get(&path, &token).await.json()[0].clone()
    };
    let metadata = server
        .get("/studies/1.1/series/1.1.1/instances/1.1.1/metadata", &token)
        .await
        .json()[0]
        .clone();
    let all = one("includefield=all").await;
    for (tag, attribute) in metadata.as_object().unwrap() {
        assert_eq!(&all[tag], attribute, "Q83: {tag}");
    }
    assert!(all.get("00081190").is_some());
    let field = one("includefield=PatientAge,00180060").await;
    assert_eq!(field["00101010"]["Value"], json!(["030Y"]));
    assert_eq!(field["00180060"]["Value"], json!([120]));
    let sequence = one("includefield=RequestAttributesSequence").await;
    assert_eq!(sequence["00400275"], metadata["00400275"], "Q84");
    let branch = one("includefield=00400275.00401001").await;
    assert_eq!(
        branch["00400275"]["Value"],
        json!([
            {"00401001": {"vr": "SH", "Value": ["1"]}},
            {"00401001": {"vr": "SH", "Value": ["2"]}}
        ])
    );
    // The block of the query is not that of the object.
    let private = one("00230010=AcmeCompany&includefield=00231002").await;
    assert_eq!(private["00230011"]["Value"], json!(["AcmeCompany"]), "Q85");
    assert_eq!(private["00231102"]["Value"], json!(["1"]));
    let path = "/studies/1.1/instances?includefield=00231002";
    let unnamed = server.get(path, &token).await;
    assert!(unnamed.header("warning").contains("00231002"));
    assert_eq!(unnamed.json()[0].get("00231102"), None);
    let matched = one("RequestAttributesSequence.ScheduledProcedureStepID=A").await;
    assert_eq!(
        matched["00400275"]["Value"][0]["00400009"]["Value"],
        json!(["A"]),
        "Q67"
    );
}
