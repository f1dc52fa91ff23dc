//! WADO-RS: whole instances (dicomweb.md section 6).

use crate::harness::{Server, instance};

const STORED: &str = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
const INSTANCE: &str = "/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1";

#[tokio::test]
async fn r07_r08_w02_w04_n60_f20_f21_f22_f24_f25_a_study_comes_in_parts_in_the_order_of_q90() {
    let server = Server::start();
    let token = server.reader("F001");
    let slice = |series: &str, number: u32| {
        instance("1")
            .uids(
                "1.1",
                &format!("1.1.{series}"),
                &format!("1.1.{series}.{number}"),
            )
            .text(0x0020_0011, "IS", series)
            .text(0x0020_0013, "IS", &number.to_string())
            .file()
    };
    let files = [
        slice("2", 1),
        slice("1", 10),
        slice("1", 9),
        slice("2", 2),
        slice("1", 1),
    ];
    server.stored(&token, &files).await;
    let answer = server.get_as("/studies/1.1", &token, STORED).await;
    assert_eq!(answer.status, 200);
    let parts = answer.parts();
    let expected = [
        (4, "1", 1),
        (2, "1", 9),
        (1, "1", 10),
        (0, "2", 1),
        (3, "2", 2),
    ];
    assert_eq!(parts.len(), expected.len());
    for (part, (file, series, number)) in parts.iter().zip(expected) {
        assert!(part.body == files[file], "series {series} number {number}");
        assert_eq!(
            part.header("Content-Type"),
            "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
        );
        let location = format!(
            "{}/dicomweb/studies/1.1/series/1.1.{series}/instances/1.1.{series}.{number}",
            server.base
        );
        assert_eq!(part.header("Content-Location"), location);
    }
    assert_eq!(
        server
            .get_as("/studies/1.1/series/1.1.2", &token, STORED)
            .await
            .parts()
            .len(),
        2
    );
}

#[tokio::test]
async fn r09_w05_one_instance_is_a_file_of_its_own_when_asked_for() {
    let server = Server::start();
    let token = server.reader("F001");
    let file = instance("1.2.3").file();
    server.stored(&token, &[&file]).await;
    let answer = server.get_as(INSTANCE, &token, "application/dicom").await;
    assert_eq!(
        answer.header("content-type"),
        "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    );
    assert_eq!(answer.header("content-length"), file.len().to_string());
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"1.2.3.1.1.1.dcm\""
    );
    assert!(answer.body == file);
}

#[tokio::test]
async fn w08_what_is_not_there_is_404() {
    let server = Server::start();
    let token = server.reader("F001");
    server.stored(&token, &[instance("1.2.3").file()]).await;
    for path in [
        "/studies/9",
        "/studies/1.2.3.1/series/9",
        "/studies/1.2.3.1/series/1.2.3.1.1/instances/9",
    ] {
        let answer = server.get(path, &token).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
    }
}

#[tokio::test]
async fn n51_native_data_leave_in_explicit_little_endian_unless_any_syntax_will_do() {
    let server = Server::start();
    let token = server.reader("F001");
    let (explicit, implicit) = (
        instance("1.2.3").file(),
        instance("1.2.3").implicit().file(),
    );
    server.stored(&token, &[&implicit]).await;
    let rewritten = server
        .get_as(
            INSTANCE,
            &token,
            "multipart/related; type=\"application/dicom\"",
        )
        .await;
    let part = &rewritten.parts()[0];
    assert_eq!(
        part.header("Content-Type"),
        "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    );
    let data_set = |file: &[u8]| {
        let at = file
            .windows(8)
            .position(|w| w == b"\x08\0\x05\0CS\x0A\0")
            .unwrap();
        file[at..].to_vec()
    };
    assert!(
        data_set(&part.body) == data_set(&explicit),
        "the data set is that of the explicit file"
    );
    let stored = server.get_as(INSTANCE, &token, STORED).await;
    assert!(stored.parts()[0].body == implicit);
    assert_eq!(
        stored.parts()[0].header("Content-Type"),
        "application/dicom; transfer-syntax=1.2.840.10008.1.2"
    );
}

#[tokio::test]
async fn w03_t14_a_file_without_its_preamble_leaves_whole_unless_asked_for_as_stored() {
    let server = Server::start();
    let token = server.reader("F001");
    let whole = instance("1.2.3").file();
    let bare = whole[132..].to_vec();
    let answer = server.store(&token, &[&bare]).await;
    assert_eq!(answer.status, 202, "B000: {}", answer.text());
    let plain = server.get_as(INSTANCE, &token, "application/dicom").await;
    assert_eq!(&plain.body[128..132], b"DICM");
    assert!(plain.body.ends_with(&whole[whole.len() - 100..]));
    assert_eq!(plain.header("content-length"), plain.body.len().to_string());
    let stored = server
        .get_as(INSTANCE, &token, "application/dicom; transfer-syntax=*")
        .await;
    assert!(stored.body == bare);
}

#[tokio::test]
async fn n57_n59_what_cannot_be_made_is_named_and_the_rest_is_sent() {
    let server = Server::start();
    let token = server.reader("F001");
    // Compressed without loss: explicit little endian would need a decoder, which there is none of.
    let fragments = b"\xFE\xFF\x00\xE0\0\0\0\0\xFE\xFF\x00\xE0\x04\0\0\0\xFF\x4F\xFF\x51\xFE\xFF\xDD\xE0\0\0\0\0";
    let compressed = instance("1")
        .uids("1.1", "1.1.1", "1.1.1.2")
        .encapsulated("1.2.840.10008.1.2.4.92", fragments)
        .file();
    server
        .stored(
            &token,
            &[
                instance("1").uids("1.1", "1.1.1", "1.1.1.1").file(),
                compressed.clone(),
            ],
        )
        .await;
    let explicit = "multipart/related; type=\"application/dicom\"";
    let alone = server
        .get_as(
            "/studies/1.1/series/1.1.1/instances/1.1.1.2",
            &token,
            explicit,
        )
        .await;
    assert_eq!(alone.status, 406);
    assert!(
        alone.json()["acceptable"]
            .to_string()
            .contains("1.2.840.10008.1.2.4.92"),
        "{}",
        alone.text()
    );
    let study = server.get_as("/studies/1.1", &token, explicit).await;
    assert_eq!((study.status, study.parts().len()), (206, 1));
    assert!(
        study.header("warning").starts_with("299 "),
        "{}",
        study.header("warning")
    );
    let stored = server.get_as("/studies/1.1", &token, STORED).await;
    assert!(stored.parts()[1].body == compressed);
}

#[tokio::test]
async fn c03_a23_answers_are_kept_by_nobody_but_their_caller() {
    let server = Server::start();
    let token = server.reader("F001");
    server.stored(&token, &[instance("1.2.3").file()]).await;
    for (path, kept) in [
        ("/studies", "no-store"),
        (INSTANCE, "private, no-cache"),
        ("/studies/1.2.3.1/metadata", "private, no-cache"),
    ] {
        let answer = server.get(path, &token).await;
        assert_eq!(answer.header("cache-control"), kept, "{path}");
        assert!(answer.header("vary").contains("Authorization"), "{path}");
    }
}
