//! Search.

use super::{assert_document, filled, uuid_of, values};
use crate::harness::{Server, instance};

#[tokio::test]
async fn mint_e03_n01_n03_n07_n09_n10_the_answer_is_what_old_clients_read() {
    let (server, token) = filled().await;
    let path = "/mint/studies?studyInstanceUID=1.2.3.1&patientID=P1";
    let found = server.get(path, &token).await;
    assert_document(&found, "studySearchResults");
    let uuid = uuid_of(&server, &token, "1.2.3.1").await;
    let modified = &values(&found, "lastModified")[0];
    assert!(
        modified.ends_with('Z') && modified.len() <= 24,
        "{modified}"
    );
    let root =
        "studyInstanceUID=\"1.2.3.1\" patientID=\"P1\" timeZone=\"GMT\" offset=\"1\" limit=\"50\"";
    let hit = format!("<study studyUUID=\"{uuid}\" lastModified=\"{modified}\" version=\"0\"/>");
    let text = found.text();
    assert!(
        text.contains(&format!("{root}>{hit}</studySearchResults>")),
        "{text}"
    );
}

#[tokio::test]
async fn mint_q06_q07_q09_q14_n14_pages_are_cut_and_told() {
    let server = Server::start();
    let token = server.reader("F001");
    let files: Vec<_> = (1..=3)
        .map(|n| instance(&format!("1.2.{n}")).file())
        .collect();
    server.stored(&token, &files).await;
    let uuids = async |query: &str| {
        let found = server.get(&format!("/mint/studies?{query}"), &token).await;
        assert_document(&found, "studySearchResults");
        (
            values(&found, "studyUUID"),
            values(&found, "limit"),
            values(&found, "offset"),
        )
    };
    let (all, limit, offset) = uuids("").await;
    assert_eq!(
        (all.len(), limit, offset),
        (3, vec!["50".to_owned()], vec!["1".to_owned()])
    );
    let (second, ..) = uuids("limit=2&offset=2").await;
    assert_eq!(second, all[2..]);
    let (first, _, offset) = uuids("limit=2&offset=-5&studyuid=9").await;
    assert_eq!((first, offset), (all[..2].to_vec(), vec!["1".to_owned()]));
    let (_, limit, _) = uuids("limit=999999").await;
    assert_eq!(limit, ["1000"]);
    let (far, ..) = uuids("limit=1000&offset=99999999999999999999").await;
    assert!(far.is_empty());
    for scope in ["own", "shared", "all"] {
        assert_eq!(uuids(&format!("scope={scope}")).await.0, all);
    }
    let deleter = server.token("F001", "dicom.read dicom.delete");
    assert_eq!(super::delete(&server, &deleter, &all[1]).await.status, 204);
    assert_eq!(uuids("").await.0, [all[0].clone(), all[2].clone()]);
    let foreign = server.reader("F002");
    let none = server.get("/mint/studies", &foreign).await;
    assert_document(&none, "studySearchResults");
    assert!(values(&none, "studyUUID").is_empty());
}

#[tokio::test]
async fn mint_q04_q05_q08_q11_q12_x12_dates_are_those_of_the_study() {
    let (server, token) = filled().await;
    for (query, hits) in [
        ("minStudyDate=20240131", 1),
        ("minStudyDate=20240201", 0),
        ("maxStudyDate=20240131", 0),
        ("maxStudyDate=20240201", 1),
        ("minStudyDateTime=20240131T101500", 1),
        ("minStudyDateTime=20240131T101501Z", 0),
        ("maxStudyDateTime=20240131T101500.0Z", 1),
        ("maxStudyDateTime=20240131T191500%2B0900", 1),
        ("maxStudyDateTime=20240131T191459+0900", 0),
        ("patient_id=P1", 1),
        ("PATIENTID=p1", 0),
        ("patientID=P*", 0),
        ("patientID=&accessionNumber=%20", 1),
        ("accessionNumber=ACC1", 1),
        ("accessionNumber=ACC", 0),
        ("patientIDIssuer=nobody", 0),
    ] {
        let found = server.get(&format!("/mint/studies?{query}"), &token).await;
        assert_document(&found, "studySearchResults");
        assert_eq!(values(&found, "studyUUID").len(), hits, "{query}");
    }
    let echo = server
        .get(
            "/mint/studies?maxStudyDateTime=20240131T191500%2B0900",
            &token,
        )
        .await;
    assert_eq!(values(&echo, "maxStudyDateTime"), ["2024-01-31T10:15:00Z"]);
    for query in [
        "limit=x",
        "limit=",
        "offset=1.5",
        "minStudyDate=2024",
        "minStudyDate=2024-01-31",
        "minStudyDate=20240231",
        "minStudyDate=",
        "maxStudyDateTime=20240131",
        "maxStudyDateTime=20240131T1015",
        "maxStudyDateTime=",
        "scope=mine",
        "patientID=%FF",
    ] {
        let refused = server.get(&format!("/mint/studies?{query}"), &token).await;
        assert_eq!(refused.status, 400, "{query}");
        assert!(!refused.body.is_empty(), "{query}");
    }
}

#[tokio::test]
async fn mint_n11_z13_documents_are_compressed_for_those_who_ask() {
    let server = Server::start();
    let token = server.reader("F001");
    let files: Vec<_> = (1..=20)
        .map(|n| instance(&format!("1.2.{n}")).file())
        .collect();
    server.stored(&token, &files).await;
    for path in ["/mint/studies", "/mint/changelog", "/mint/types/DICOM"] {
        let plain = server.get(path, &token).await;
        assert_eq!(plain.header("content-encoding"), "");
        for coding in ["gzip", "zstd"] {
            let request = server.request(reqwest::Method::GET, path, &token);
            let coded = server.send(request.header("accept-encoding", coding)).await;
            assert_eq!(coded.header("content-encoding"), coding, "{path}");
            assert!(coded.body.len() < plain.body.len() / 2, "{path}");
        }
    }
}

#[tokio::test]
async fn mint_q02_q11_an_issuer_of_accession_numbers_tells_equal_numbers_apart() {
    let server = Server::start();
    let token = server.reader("F001");
    let of = |uid: &str, issuer: &str| {
        let mut item = vec![0x40, 0, 0x31, 0, b'U', b'T', 0, 0];
        item.extend_from_slice(&u32::try_from(issuer.len()).unwrap().to_le_bytes());
        item.extend_from_slice(issuer.as_bytes());
        let mut sequence = vec![0xFE, 0xFF, 0x00, 0xE0];
        sequence.extend_from_slice(&u32::try_from(item.len()).unwrap().to_le_bytes());
        sequence.extend_from_slice(&item);
        instance(uid).bytes(0x0008_0051, "SQ", sequence).file()
    };
    let files = [
        of("1.2.1", "RIS1"),
        of("1.2.2", "RIS2"),
        instance("1.2.3").file(),
    ];
    server.stored(&token, &files).await;
    for (query, hits) in [
        ("accessionNumber=ACC1", 3),
        ("accessionNumber=ACC1&accessionNumberIssuer=RIS2", 1),
        ("accessionNumberIssuer=RIS1", 1),
        ("accessionNumberIssuer=RIS1&offset=2", 0),
        ("accessionNumberIssuer=ris1", 0),
        ("accessionNumberIssuer=RIS*", 0),
    ] {
        let found = server.get(&format!("/mint/studies?{query}"), &token).await;
        assert_document(&found, "studySearchResults");
        assert_eq!(values(&found, "studyUUID").len(), hits, "{query}");
    }
}
