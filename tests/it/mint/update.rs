//! A study that a document changes (MINT 9.4, 14.3).

use super::create::{self, DOCUMENT, document, file, form, form_type, item, made, send};
use super::{assert_document, values};
use crate::harness::{Answer, Server};

/// The update document of MINT 14.3.
pub const UPDATE: &str = include_str!("../../../src/dicom/mint/tests/update.xml");

pub const PATH: &str = "/mint/jobs/updatestudy";

pub const SERIES: &str = "2.25.70011";

/// A token of somebody who may do everything to images.
pub fn person(server: &Server) -> String {
    let scope = "dicom.read dicom.write dicom.correct dicom.delete";
    server.person("F001", scope, "hanako")
}

/// A form field.
pub fn field(name: &str, value: &str) -> create::Field<'static> {
    let disposition = format!("name=\"{name}\"");
    (disposition, "text/plain", value.as_bytes().to_vec())
}

/// Item `number` of a form.
pub fn binary(number: u32, bytes: Vec<u8>) -> create::Field<'static> {
    let name = format!("binary{number}");
    file(&name, &name, "application/octet-stream", bytes)
}

/// Sends a form and follows to its job.
pub async fn post(server: &Server, token: &str, fields: &[create::Field<'_>]) -> Answer {
    server.post(PATH, token, &form_type(), form(fields)).await
}

/// Sends an update of a version, as clients do.
pub async fn update(
    server: &Server,
    token: &str,
    (uuid, version): (&str, &str),
    text: &str,
    items: Vec<create::Field<'_>>,
) -> Answer {
    let mut fields = vec![field("studyUUID", uuid), field("oldVersion", version)];
    fields.push(document(text));
    fields.extend(items);
    post(server, token, &fields).await
}

/// A job that failed; gives why.
pub fn failed(job: &Answer) -> String {
    assert_document(job, "jobStatus");
    assert_eq!(values(job, "jobStatus"), ["FAILED"], "{}", job.text());
    values(job, "reason").remove(0)
}

/// A job that succeeded as this change.
pub fn changed(job: &Answer, change: &str) {
    assert_document(job, "jobStatus");
    assert_eq!(values(job, "jobStatus"), ["SUCCESS"], "{}", job.text());
    assert_eq!(values(job, "changeNumber"), [change]);
}

/// A document that says this of the study of the example, of its first series, and of instances there.
pub fn small(study: &str, series: &str, normalized: &str, instances: &str) -> String {
    format!(
        "<study xmlns=\"http://medical.nema.org/mint\" studyInstanceUID=\"2.25.70010\" type=\"DICOM\">\
         <attributes>{study}</attributes><seriesList><series seriesInstanceUID=\"{SERIES}\">\
         <attributes>{series}</attributes><normalizedInstanceAttributes>{normalized}</normalizedInstanceAttributes>\
         <instances>{instances}</instances></series></seriesList></study>"
    )
}

pub fn of_instance(uid: &str, attributes: &str) -> String {
    format!(
        "<instance sopInstanceUID=\"{uid}\" transferSyntaxUID=\"1.2.840.10008.1.2.1\">\
         <attributes>{attributes}</attributes></instance>"
    )
}

/// A server with the example, its token and UUID.
pub async fn example() -> (Server, String, String) {
    let server = Server::start();
    let token = person(&server);
    let uuid = made(&send(&server, &token, DOCUMENT, create::items()).await);
    (server, token, uuid)
}

pub async fn metadata(server: &Server, token: &str, uuid: &str) -> Answer {
    let path = format!("/mint/studies/{uuid}/DICOM/metadata.xml");
    let told = server.get(&path, token).await;
    assert_document(&told, "study");
    told
}

/// Of DICOMweb's metadata of an instance, the first value of an attribute.
async fn value(server: &Server, token: &str, instance: &str, tag: &str) -> serde_json::Value {
    let path = format!(
        "/studies/{}/series/{SERIES}/instances/{instance}/metadata",
        create::STUDY
    );
    let told = server.get(&path, token).await;
    assert_eq!(told.status, 200, "{}", told.text());
    told.json()[0][tag]["Value"][0].clone()
}

pub async fn item_of(server: &Server, token: &str, uuid: &str, number: u32) -> Answer {
    let path = format!("/mint/studies/{uuid}/DICOM/binaryitems/{number}");
    server.get(&path, token).await
}

#[tokio::test]
async fn mint_e15_u33_u38_u39_u41_the_update_of_the_example_does_what_is_said_of_it() {
    let (server, token, uuid) = example().await;
    let new: Vec<u8> = (100..132).collect();
    let items = vec![binary(0, new.clone())];
    let job = update(&server, &token, (&uuid, "0"), UPDATE, items).await;
    changed(&job, "1");
    assert_eq!(values(&job, "studyUUID"), [&*uuid]);
    let told = metadata(&server, &token, &uuid).await;
    let text = told.text();
    assert_eq!(values(&told, "version")[0], "1");
    assert_eq!(values(&told, "instanceCount")[0], "2");
    assert_eq!(
        values(&told, "sopInstanceUID"),
        ["2.25.70101", "2.25.70103"]
    );
    assert!(
        text.contains("tag=\"00081030\" vr=\"LO\" val=\"Chest, corrected\""),
        "{text}"
    );
    assert!(
        !text.contains("tag=\"00100040\"") && !text.contains("2.25.70012"),
        "{text}"
    );
    // What all instances of the series have is said once; what the new one lacks went down.
    let normalized = text.split("<normalizedInstanceAttributes>").nth(1).unwrap();
    let (normalized, instances) = normalized
        .split_once("</normalizedInstanceAttributes>")
        .unwrap();
    assert!(normalized.contains("tag=\"00280010\"") && !normalized.contains("tag=\"00280030\""));
    let first = instances.split("2.25.70103").next().unwrap();
    assert!(
        first.contains("tag=\"00280030\"") && first.contains("tag=\"00090010\""),
        "{first}"
    );
    // The highest number ever used was 4.
    assert_eq!(values(&told, "bid"), ["0", "5"]);
    let path = format!("/mint/studies/{uuid}/DICOM/binaryitems/0,5");
    assert_eq!(server.get(&path, &token).await.status, 200);
    for (number, bytes) in [(0, item(0)), (5, new)] {
        let told = item_of(&server, &token, &uuid, number).await;
        assert_eq!((told.status, told.body), (200, bytes), "{number}");
    }
    let path = format!("/mint/studies/{uuid}/DICOM/binaryitems/all");
    let all = server.get(&path, &token).await;
    assert_eq!(
        all.text().matches("Content-ID: ").count(),
        2,
        "{}",
        all.text()
    );
    // The change tells the document with the numbers that hold, what it took out too.
    for ending in ["", ".xml", ".gpb"] {
        let path = format!("/mint/studies/{uuid}/changelog/1{ending}");
        let change = server.get(&path, &token).await;
        assert_eq!(change.status, 200);
        if ending != ".gpb" {
            assert_eq!(values(&change, "bid"), ["5"]);
            assert_eq!(values(&change, "exclude"), ["true", "true", "true"]);
        }
    }
    let log = server
        .get(&format!("/mint/studies/{uuid}/changelog"), &token)
        .await;
    assert_eq!(values(&log, "operation"), ["CREATE", "UPDATE"]);
    assert_eq!(values(&log, "changeNumber"), ["0", "1"]);
    // What speaks DICOMweb finds the same, by the new words too.
    let path = format!("/studies/{}/series", create::STUDY);
    assert_eq!(
        server
            .get(&path, &token)
            .await
            .json()
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let description = value(&server, &token, "2.25.70101", "00081030").await;
    assert_eq!(description, "Chest, corrected");
    let found = server
        .get("/studies?StudyDescription=Chest,%20corrected", &token)
        .await;
    assert_eq!(found.status, 200, "{}", found.text());
    // What went is in the bin, and nothing that was there before is lost.
    let bin = server.get("/api/v1/deletions", &token).await;
    assert_eq!(
        bin.json()["deletions"].as_array().map_or(0, Vec::len),
        2,
        "{}",
        bin.text()
    );
    // Numbers are never used again, whatever became of them.
    let gone = "<instance sopInstanceUID=\"2.25.70103\" transferSyntaxUID=\"1.2.840.10008.1.2.1\" exclude=\"true\"><attributes/></instance>";
    let job = update(
        &server,
        &token,
        (&uuid, "1"),
        &small("", "", "", gone),
        Vec::new(),
    )
    .await;
    changed(&job, "2");
    let third = of_instance(
        "2.25.70104",
        "<attr tag=\"00080016\" vr=\"UI\" val=\"1.2.840.10008.5.1.4.1.1.2\"/>\
         <attr tag=\"00080018\" vr=\"UI\" val=\"2.25.70104\"/>\
         <attr tag=\"00091010\" vr=\"OB\" bid=\"3\"/>",
    );
    let job = update(
        &server,
        &token,
        (&uuid, "2"),
        &small("", "", "", &third),
        vec![binary(3, vec![7; 300])],
    )
    .await;
    changed(&job, "3");
    let told = metadata(&server, &token, &uuid).await;
    assert_eq!(values(&told, "bid"), ["0", "9"]);
    assert_eq!(item_of(&server, &token, &uuid, 9).await.body, [7; 300]);
}

#[tokio::test]
async fn mint_u30_u31_u40_two_updates_of_one_version_are_one() {
    let (server, token, uuid) = example().await;
    let text = small("<attr tag=\"00081030\" vr=\"LO\" val=\"A\"/>", "", "", "");
    let both: Vec<_> = (0..4)
        .map(|n| text.replace("\"A\"", &format!("\"A{n}\"")))
        .collect();
    let jobs = both
        .iter()
        .map(|text| update(&server, &token, (&uuid, "0"), text, Vec::new()));
    let jobs = futures::future::join_all(jobs).await;
    let done = jobs
        .iter()
        .filter(|job| values(job, "jobStatus") == ["SUCCESS"]);
    assert_eq!(done.count(), 1);
    let lost = jobs
        .iter()
        .filter(|job| values(job, "jobStatus") != ["SUCCESS"]);
    for job in lost {
        let reason = failed(job);
        assert!(
            reason.contains("version 1") && reason.contains("version 0"),
            "{reason}"
        );
    }
    for (version, named) in [("7", "version 7"), ("", "version -1"), ("-1", "version -1")] {
        let job = update(&server, &token, (&uuid, version), &text, Vec::new()).await;
        let reason = failed(&job);
        assert!(
            reason.contains("version 1") && reason.contains(named),
            "{reason}"
        );
    }
    // One that changes nothing is a version all the same.
    for (of, nothing) in [
        ("1", small("", "", "", "")),
        ("2", small("<attr tag=\"00104000\" vr=\"LT\" exclude=\"true\"/>", "", "", "")),
        ("3", "<study xmlns=\"http://medical.nema.org/mint\" studyInstanceUID=\"2.25.70010\" type=\"DICOM\"/>".to_owned()),
    ] {
        let job = update(&server, &token, (&uuid, of), &nothing, Vec::new()).await;
        changed(&job, &(of.parse::<u32>().unwrap() + 1).to_string());
    }
    let told = metadata(&server, &token, &uuid).await;
    assert_eq!(values(&told, "version")[0], "4");
    assert_eq!(values(&told, "bid"), ["0", "1", "2"]);
}

#[tokio::test]
async fn mint_u38_an_item_of_several_is_replaced_and_the_others_keep_their_numbers() {
    let (server, token, uuid) = example().await;
    let private = of_instance("2.25.70101", "<attr tag=\"00091010\" vr=\"OB\" bid=\"0\"/>");
    let one = vec![binary(0, vec![1; 400])];
    let job = update(
        &server,
        &token,
        (&uuid, "0"),
        &small("", "", "", &private),
        one,
    )
    .await;
    changed(&job, "1");
    // Now the instance has items 5 and 0, in this order; other pixels get 6, and the other item stays.
    let told = metadata(&server, &token, &uuid).await;
    assert_eq!(values(&told, "bid"), ["5", "0", "1", "2"]);
    let pixels = of_instance(
        "2.25.70101",
        "<attr tag=\"7FE00010\" vr=\"OW\" bid=\"0\" bsize=\"32\"/>",
    );
    let new: Vec<u8> = (50..82).collect();
    let job = update(
        &server,
        &token,
        (&uuid, "1"),
        &small("", "", "", &pixels),
        vec![binary(0, new.clone())],
    )
    .await;
    changed(&job, "2");
    let told = metadata(&server, &token, &uuid).await;
    assert_eq!(values(&told, "bid"), ["5", "6", "1", "2"]);
    // What was replaced stays readable too (MINT I05).
    for (number, bytes) in [
        (0, item(0)),
        (1, item(1)),
        (2, item(2)),
        (3, item(3)),
        (4, item(4)),
        (5, vec![1; 400]),
        (6, new),
    ] {
        let told = item_of(&server, &token, &uuid, number).await;
        assert_eq!((told.status, told.body), (200, bytes), "{number}");
    }
    assert_eq!(item_of(&server, &token, &uuid, 7).await.status, 404);
    let path = format!("/mint/studies/{uuid}/DICOM/binaryitems/all");
    let all = server.get(&path, &token).await;
    let lengths: Vec<_> = all
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("Content-Length: ").map(str::to_owned))
        .collect();
    assert_eq!(lengths, ["32", "16", "16", "16", "400", "32"]);
    // In any order of a list.
    let path = format!("/mint/studies/{uuid}/DICOM/binaryitems/6,1,5");
    let list = server.get(&path, &token).await;
    assert_eq!((list.status, list.body.len() > 464), (200, true));
}

#[tokio::test]
async fn mint_u32_u34_u35_u37_u42_u44_levels_hold_and_names_stay() {
    let (server, token, uuid) = example().await;
    let sent = |text: String, of: u32| {
        let (server, token, uuid) = (&server, token.clone(), uuid.clone());
        async move { update(server, &token, (&uuid, &of.to_string()), &text, Vec::new()).await }
    };
    let five = "<attr tag=\"00280030\" vr=\"DS\" val=\"5\\5\"/>";
    changed(
        &sent(small("", "", "", &of_instance("2.25.70102", five)), 0).await,
        "1",
    );
    assert_eq!(value(&server, &token, "2.25.70102", "00280030").await, 5.0);
    assert_ne!(value(&server, &token, "2.25.70101", "00280030").await, 5.0);
    let gone = "<attr tag=\"00280030\" vr=\"DS\" exclude=\"true\"/>";
    changed(&sent(small("", "", gone, ""), 1).await, "2");
    assert!(
        value(&server, &token, "2.25.70102", "00280030")
            .await
            .is_null()
    );
    // Study and series for every instance below, in the rows of QIDO too.
    let name = "<attr tag=\"00100010\" vr=\"PN\" val=\"NEW^NAME\"/><attr tag=\"00100020\" vr=\"LO\" val=\"N-1\"/>";
    let modality = "<attr tag=\"00080060\" vr=\"CS\" val=\"MR\"/>";
    changed(&sent(small(name, modality, "", ""), 2).await, "3");
    let found = server
        .get(
            "/studies?PatientName=NEW*&PatientID=N-1&ModalitiesInStudy=MR",
            &token,
        )
        .await;
    assert_eq!(
        found.json().as_array().map(Vec::len),
        Some(1),
        "{}",
        found.text()
    );
    let old = server.get("/studies?PatientID=K-4711", &token).await;
    assert_eq!(old.status, 204);
    for instance in ["2.25.70101", "2.25.70102"] {
        let name = value(&server, &token, instance, "00100010").await;
        assert_eq!(name["Alphabetic"], "NEW^NAME");
        assert_eq!(value(&server, &token, instance, "00080060").await, "MR");
    }
    // What something is called is no matter of updates.
    let renamed = of_instance(
        "2.25.70102",
        "<attr tag=\"00080018\" vr=\"UI\" val=\"2.25.1\"/>",
    );
    let nameless = of_instance(
        "2.25.70102",
        "<attr tag=\"00080018\" vr=\"UI\" exclude=\"true\"/>",
    );
    for text in [
        small("", "", "", &renamed),
        small("", "", "", &nameless),
        small(
            "",
            "",
            "<attr tag=\"00080018\" vr=\"UI\" exclude=\"true\"/>",
            "",
        ),
        small(
            "<attr tag=\"0020000D\" vr=\"UI\" val=\"2.25.1\"/>",
            "",
            "",
            "",
        ),
        small(
            "<attr tag=\"0020000D\" vr=\"UI\" exclude=\"true\"/>",
            "",
            "",
            "",
        ),
        small(
            "",
            "<attr tag=\"0020000E\" vr=\"UI\" val=\"2.25.1\"/>",
            "",
            "",
        ),
        small("", "", "", "").replace("2.25.70010", "2.25.1"),
    ] {
        failed(&sent(text.clone(), 3).await);
    }
    let told = metadata(&server, &token, &uuid).await;
    assert_eq!(values(&told, "version")[0], "3");
}

#[tokio::test]
async fn mint_u39_u41_what_takes_out_everything_is_a_deletion_that_can_be_taken_back() {
    let (server, token, uuid) = example().await;
    let all = "<study xmlns=\"http://medical.nema.org/mint\" studyInstanceUID=\"2.25.70010\" type=\"DICOM\"><attributes/>\
        <seriesList><series seriesInstanceUID=\"2.25.70011\" exclude=\"true\"/>\
        <series seriesInstanceUID=\"2.25.70012\" exclude=\"true\"/><series seriesInstanceUID=\"2.25.1\" exclude=\"true\"/>\
        </seriesList></study>";
    let job = update(&server, &token, (&uuid, "0"), all, Vec::new()).await;
    changed(&job, "1");
    let path = format!("/mint/studies/{uuid}");
    assert_eq!(server.get(&path, &token).await.status, 410);
    let log = server
        .get("/mint/changelog?consolidate=false", &token)
        .await;
    assert_eq!(values(&log, "operation"), ["DELETE", "CREATE"]);
    let found = server.get("/mint/studies", &token).await;
    assert!(values(&found, "studyUUID").is_empty());
}
