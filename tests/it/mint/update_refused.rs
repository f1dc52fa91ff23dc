//! Who may change a study, and what an update has to say (MINT 9.1, 15).

use reqwest::Method;
use sea_orm::{ConnectionTrait as _, Database};

use super::create::{document, form_type};
use super::update::{
    PATH, SERIES, UPDATE, binary, changed, example, failed, field, of_instance, post, small, update,
};
use super::{assert_document, delete};
use crate::dicomweb::stow_wire::ask_at;
use crate::harness::server::kura;
use crate::harness::{Server, backing};

#[tokio::test]
async fn mint_f03_x02_x15_x16_who_may_and_what_is_asked() {
    let (server, token, uuid) = example().await;
    let comment = small(
        "<attr tag=\"00104000\" vr=\"LT\" val=\"more\"/>",
        "",
        "",
        "",
    );
    let other = small("<attr tag=\"00100010\" vr=\"PN\" val=\"X\"/>", "", "", "");
    let gone = UPDATE.to_owned();
    let of_version = |version: &str| vec![field("studyUUID", &uuid), field("oldVersion", version)];
    // Without a field, with an odd one, with one twice.
    for fields in [
        vec![field("oldVersion", "0"), document(&comment)],
        vec![field("studyUUID", &uuid), document(&comment)],
        [of_version("x"), vec![document(&comment)]].concat(),
        [of_version("0"), of_version("0"), vec![document(&comment)]].concat(),
        of_version("0"),
        [of_version(&"1".repeat(300)), vec![document(&comment)]].concat(),
    ] {
        let answer = post(&server, &token, &fields).await;
        assert_eq!(answer.status, 400, "{}", answer.text());
    }
    for name in ["x", "00000000-0000-7000-8000-000000000000"] {
        let answer = update(&server, &token, (name, "0"), &comment, Vec::new()).await;
        assert_eq!(answer.status, 404);
    }
    let foreign = server.reader("F002");
    let answer = update(&server, &foreign, (&uuid, "0"), &comment, Vec::new()).await;
    assert_eq!(answer.status, 404);
    for (token, status) in [
        (server.token("F001", "dicom.read"), 403),
        (String::new(), 401),
        ("x".to_owned(), 401),
    ] {
        let answer = update(&server, &token, (&uuid, "0"), &comment, Vec::new()).await;
        assert_eq!(answer.status, status);
    }
    let blind = server.token("F001", "dicom.write");
    let answer = update(&server, &blind, (&uuid, "0"), &comment, Vec::new()).await;
    assert_eq!(answer.status, 403, "who changes a study has read it");
    // To add takes dicom.write, to replace dicom.correct, to take out dicom.delete.
    let writer = server.token("F001", "dicom.read dicom.write");
    let reason = failed(&update(&server, &writer, (&uuid, "0"), &other, Vec::new()).await);
    assert!(reason.contains("dicom.correct"), "{reason}");
    let reason = failed(
        &update(
            &server,
            &writer,
            (&uuid, "0"),
            &gone,
            vec![binary(0, vec![0; 32])],
        )
        .await,
    );
    assert!(
        reason.contains("dicom.delete") || reason.contains("dicom.correct"),
        "{reason}"
    );
    let job = update(&server, &writer, (&uuid, "0"), &comment, Vec::new()).await;
    changed(&job, "1");
    let correcting = server.token("F001", "dicom.read dicom.write dicom.correct");
    // Fields may stand behind the files.
    let mut fields = vec![document(&other)];
    fields.extend(of_version("1"));
    changed(&post(&server, &correcting, &fields).await, "2");
    let excluded = UPDATE
        .replace("00081030", "00081032")
        .replace("<attr tag=\"00100040\" vr=\"CS\" exclude=\"true\"/>", "");
    let reason = failed(
        &update(
            &server,
            &correcting,
            (&uuid, "2"),
            &excluded,
            vec![binary(0, vec![0; 32])],
        )
        .await,
    );
    assert!(
        reason.contains("level") || reason.contains("dicom.delete"),
        "{reason}"
    );
    assert_eq!(delete(&server, &token, &uuid).await.status, 204);
    let answer = update(&server, &token, (&uuid, "2"), &comment, Vec::new()).await;
    assert_eq!(answer.status, 410);
    let put = server.send(server.request(Method::PUT, PATH, &token)).await;
    assert_eq!((put.status, &*put.header("allow")), (405, "POST, OPTIONS"));
}

#[tokio::test]
async fn mint_f09_who_reads_a_part_is_not_told_by_a_change_of_the_rest() {
    let (server, token, uuid) = example().await;
    let report = of_instance(
        "2.25.70301",
        "<attr tag=\"00080016\" vr=\"UI\" val=\"1.2.840.10008.5.1.4.1.1.88.11\"/>\
         <attr tag=\"00080018\" vr=\"UI\" val=\"2.25.70301\"/>\
         <attr tag=\"00104000\" vr=\"LT\" val=\"what it finds\"/>",
    );
    let text = small(
        "",
        "<attr tag=\"0020000E\" vr=\"UI\" val=\"2.25.70019\"/>",
        "",
        &report,
    );
    let text = text.replace(SERIES, "2.25.70019");
    changed(
        &update(&server, &token, (&uuid, "0"), &text, Vec::new()).await,
        "1",
    );
    let path = format!("/mint/studies/{uuid}/changelog/1");
    let told = server.get(&path, &token).await;
    assert_document(&told, "study");
    assert!(!told.text().contains("what it finds"), "{}", told.text());
    let all = server.token("F001", "dicom.read report.read");
    let told = server.get(&path, &all).await;
    assert!(told.text().contains("what it finds"), "{}", told.text());
    // And who does not read all of it does not change it.
    let none = small("", "", "", "");
    let reason = failed(&update(&server, &token, (&uuid, "1"), &none, Vec::new()).await);
    assert!(reason.contains("read all"), "{reason}");
}

#[tokio::test]
async fn mint_x19_what_must_be_kept_is_corrected_and_not_taken_out() {
    let (server, token, uuid) = example().await;
    let database = Database::connect(backing::database_url(server.data.path()))
        .await
        .unwrap();
    // In microseconds: the year 2200.
    let keep = "UPDATE study SET retain_until = 7258118400000000";
    database.execute_unprepared(keep).await.unwrap();
    let items = vec![binary(0, vec![0; 32])];
    let reason = failed(&update(&server, &token, (&uuid, "0"), UPDATE, items).await);
    assert!(reason.contains("retention"), "{reason}");
    assert_eq!(delete(&server, &token, &uuid).await.status, 409);
    let corrected = small("<attr tag=\"00081030\" vr=\"LO\" val=\"A\"/>", "", "", "");
    let job = update(&server, &token, (&uuid, "0"), &corrected, Vec::new()).await;
    changed(&job, "1");
}

#[tokio::test]
async fn mint_n12_a_form_that_is_refused_does_not_travel() {
    let server = Server::start();
    let words = ["facility", "set", "F001", "max_request_bytes=1G"];
    kura(server.data.path(), &words);
    let (token, reading) = (server.reader("F001"), server.token("F001", "dicom.read"));
    let form = form_type();
    for path in [PATH, "/mint/jobs/createstudy"] {
        for (token, media_type, length, status) in [
            ("x", &*form, 9, 401),
            (&*reading, &*form, 9, 403),
            (&*token, &*form, 1_u64 << 40, 413),
            (&*token, "text/plain", 9, 400),
            (&*token, &*form, 9, 100),
        ] {
            let headers = format!(
                "Authorization: Bearer {token}\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n"
            );
            let (_, told) = ask_at(path, &server, &headers);
            let expected = format!("HTTP/1.1 {status}");
            assert!(told.starts_with(&expected), "{path}: {expected} {told}");
        }
    }
}
