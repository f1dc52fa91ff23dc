//! What is shown of objects that are no single image (G01, G02, G03, G13, G14, G15).

use super::rendered::{jpeg_size, png, steps};
use crate::harness::{Answer, Server, corpus, instance};

const AT: &str = "/studies/1.2.3.1/series/1.2.3.1.1/instances/1.2.3.1.1.1";

async fn filled(files: &[Vec<u8>]) -> (Server, String) {
    let server = Server::start();
    let token = server.reader("F001");
    server.stored(&token, files).await;
    (server, token)
}

/// Five frames of 2 by 2, the n-th of value 50 n.
fn film() -> Vec<u8> {
    instance("1.2.3")
        .number(0x0028_0010, 2)
        .number(0x0028_0011, 2)
        .number(0x0028_0100, 8)
        .number(0x0028_0101, 8)
        .number(0x0028_0102, 7)
        .text(0x0028_0008, "IS", "5")
        .text(0x0028_1050, "DS", "128")
        .text(0x0028_1051, "DS", "256")
        .bytes(
            0x7FE0_0010,
            "OB",
            (0..5).flat_map(|n| [n * 50; 4]).collect(),
        )
        .file()
}

#[tokio::test]
async fn g02_g14_a_film_is_its_middle_frame_all_of_them_or_moves() {
    let (server, token) = filled(&[film()]).await;
    let ask = async |path: &str, accept: &str| {
        server.get_as(&format!("{AT}{path}"), &token, accept).await
    };
    let grey = async |path: &str| png(&ask(path, "image/png").await).2[0];
    assert_eq!(grey("/rendered").await, 100);
    assert_eq!(grey("/thumbnail").await, 100);
    assert_eq!(grey("/frames/5/rendered").await, 200);
    assert_eq!(grey("/frames/2/thumbnail").await, 50);
    let parts = "multipart/related; type=\"image/png\"";
    for (path, frames) in [
        ("/rendered", vec![1, 2, 3, 4, 5]),
        ("/frames/3,1/rendered", vec![3, 1]),
    ] {
        let answer = ask(path, parts).await;
        let found: Vec<String> = answer
            .parts()
            .iter()
            .map(|part| part.header("Content-Location").to_owned())
            .collect();
        let wanted = frames
            .iter()
            .map(|n| format!("{}/dicomweb{AT}/frames/{n}/rendered", server.base));
        assert_eq!(found, wanted.collect::<Vec<_>>());
    }
    let by_default = ask("/frames/1,2/rendered", "*/*").await;
    assert_eq!(by_default.parts().len(), 2);
    assert_eq!(by_default.parts()[0].header("Content-Type"), "image/jpeg");
    assert_eq!(ask("/frames/1,2/rendered", "image/jpeg").await.status, 406);
    let frames_of = |answer: &Answer| {
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, "image/gif".to_owned())
        );
        assert!(answer.body.ends_with(b";"), "a whole file");
        answer
            .body
            .windows(3)
            .filter(|w| *w == [0x21, 0xF9, 0x04])
            .count()
    };
    assert_eq!(frames_of(&ask("/rendered", "image/gif").await), 5);
    assert_eq!(
        frames_of(&ask("/frames/2,4/rendered", "image/gif").await),
        2
    );
    assert_eq!(ask("/frames/6/rendered", "*/*").await.status, 404);
    let named = instance("1.4")
        .number(0x0028_0010, 1)
        .number(0x0028_0011, 1)
        .number(0x0028_0100, 8)
        .number(0x0028_0101, 8)
        .number(0x0028_0102, 7)
        .text(0x0028_0008, "IS", "4")
        .number(0x0028_6010, 1)
        .text(0x0028_1050, "DS", "128")
        .text(0x0028_1051, "DS", "256")
        .bytes(0x7FE0_0010, "OB", vec![7, 8, 9, 10])
        .file();
    server.stored(&token, &[named]).await;
    let path = "/studies/1.4.1/series/1.4.1.1/instances/1.4.1.1.1/rendered";
    assert_eq!(png(&server.get_as(path, &token, "image/png").await).2, [7]);
}

#[tokio::test]
async fn g03_g16_a_series_and_a_study_are_their_middle_image() {
    let slice = |series: &str, number: u8| {
        instance("1")
            .uids("1.2.3.1", series, &format!("{series}.{number}"))
            .text(0x0020_0011, "IS", series.rsplit('.').next().unwrap())
            .text(0x0020_0013, "IS", &number.to_string())
            .number(0x0028_0010, 1)
            .number(0x0028_0011, 1)
            .number(0x0028_0100, 8)
            .number(0x0028_0101, 8)
            .number(0x0028_0102, 7)
            .text(0x0028_1050, "DS", "128")
            .text(0x0028_1051, "DS", "256")
            .bytes(0x7FE0_0010, "OB", vec![number])
            .file()
    };
    let report = instance("1")
        .uids("1.2.3.1", "1.2.3.1.9", "1.2.3.1.9.1")
        .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.88.11")
        .without(0x7FE0_0010)
        .file();
    let mut files = vec![slice("1.2.3.1.5", 200), report];
    files.extend((1..=4).map(|number| slice("1.2.3.1.7", number)));
    let (server, token) = filled(&files).await;
    let ask = async |path: &str, accept: &str| {
        server
            .get_as(&format!("/studies/1.2.3.1{path}"), &token, accept)
            .await
    };
    let grey = async |path: &str| png(&ask(path, "image/png").await).2[0];
    assert_eq!(grey("/rendered").await, 3);
    assert_eq!(grey("/thumbnail?viewport=1,1").await, 3);
    assert_eq!(grey("/series/1.2.3.1.5/rendered").await, 200);
    // A slice more: another one is in the middle (G16).
    server
        .stored(&token, &[slice("1.2.3.1.7", 5), slice("1.2.3.1.7", 6)])
        .await;
    assert_eq!(grey("/thumbnail?viewport=1,1").await, 4);
    let parts = ask("/rendered", "multipart/related; type=\"image/jpeg\"")
        .await
        .parts();
    assert_eq!(parts.len(), 7, "the report has no picture");
    assert!(
        parts[0]
            .header("Content-Location")
            .ends_with("/instances/1.2.3.1.5.200/rendered")
    );
    let text = ask("/series/1.2.3.1.9/rendered", "*/*").await;
    assert_eq!(text.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(
        jpeg_size(&ask("/series/1.2.3.1.9/thumbnail", "*/*").await),
        (128, 128)
    );
}

#[tokio::test]
async fn g13_g15_g18_reports_documents_waveforms_and_the_rest() {
    let Some(entries) = corpus::manifest() else {
        return;
    };
    let server = Server::start();
    let token = server.reader("F001");
    let store = async |name: &str| {
        let entry = entries.iter().find(|entry| entry.file == name).expect(name);
        let answer = server.store(&token, &[entry.bytes()]).await;
        let url = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0].clone();
        let url = url
            .as_str()
            .unwrap_or_else(|| panic!("{name}: {}", answer.text()))
            .to_owned();
        url.strip_prefix(&server.base).unwrap().to_owned()
    };
    let ask = async |at: &str, accept: &str| {
        server
            .get_as(&format!("{at}/rendered"), &token, accept)
            .await
    };
    for (name, expected) in [
        ("document/syn-mix-sr.dcm", "text/html; charset=utf-8"),
        ("document/dcmqi__sr.dcm", "text/html; charset=utf-8"),
        ("dose/openrem__RF-RDSR-GE.dcm", "text/html; charset=utf-8"),
        ("document/syn-mix-ko.dcm", "text/html; charset=utf-8"),
        ("document/syn-mix-pdf.dcm", "application/pdf"),
        ("modality/syn-mod-ecg.dcm", "image/png"),
        ("modality/pydicom__waveform_ecg.dcm", "image/png"),
        ("document/syn-rt-struct.dcm", "image/png"),
        ("document/syn-rt-plan.dcm", "image/png"),
    ] {
        let at = store(name).await;
        let answer = ask(&at, "*/*").await;
        assert_eq!(
            (answer.status, answer.header("content-type").as_str()),
            (200, expected),
            "{name}"
        );
        assert_eq!(answer.header("content-disposition"), "inline");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(
            answer.header("content-security-policy").contains("sandbox"),
            "{name}"
        );
        assert_eq!(
            answer.header("cross-origin-resource-policy"),
            "cross-origin"
        );
        let small = server.get(&format!("{at}/thumbnail"), &token).await;
        assert_eq!(small.header("content-type"), "image/jpeg", "{name}");
        assert_eq!(ask(&at, "image/webp").await.status, 406);
        assert_eq!(
            server
                .get(&format!("{at}/frames/1/rendered"), &token)
                .await
                .status,
            404
        );
        if expected.starts_with("text/html") {
            assert!(!answer.text().contains("<script"), "{name}");
            let plain = ask(&at, "text/plain").await;
            assert_eq!(plain.header("content-type"), "text/plain; charset=utf-8");
        }
        if expected == "application/pdf" {
            assert!(answer.body.starts_with(b"%PDF"));
        }
    }
    let at = store("modality/dcmqi__rwvm.dcm").await;
    let refused = ask(&at, "*/*").await;
    assert_eq!(refused.status, 406);
    assert!(
        refused.json()["acceptable"]
            .to_string()
            .contains("application/dicom")
    );
    assert_eq!(
        jpeg_size(&server.get(&format!("{at}/thumbnail"), &token).await),
        (128, 128)
    );
}

#[tokio::test]
async fn g01_c20_a_video_plays_from_any_place() {
    let Some(entries) = corpus::manifest() else {
        return;
    };
    let server = Server::start();
    let token = server.reader("F001");
    for (name, media_type) in [
        ("video/syn-video-h264-hp41-mp4.dcm", "video/mp4"),
        ("video/syn-video-hevc-mp51.dcm", "video/mp4"),
        ("video/syn-video-mpeg2-mpml.dcm", "video/mpeg"),
    ] {
        let entry = entries.iter().find(|entry| entry.file == name).expect(name);
        let answer = server.store(&token, &[entry.bytes()]).await;
        let url = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0].clone();
        let at = url
            .as_str()
            .unwrap()
            .strip_prefix(&server.base)
            .unwrap()
            .to_owned();
        let path = format!("{at}/rendered");
        let whole = server.get(&path, &token).await;
        assert_eq!(
            (whole.status, whole.header("content-type").as_str()),
            (200, media_type),
            "{name}"
        );
        assert_eq!(whole.header("accept-ranges"), "bytes");
        let stored = server
            .get_as(&format!("{at}/bulkdata/7FE00010"), &token, "*/*")
            .await;
        assert!(
            whole.body == stored.body && whole.body.len() > 100,
            "{name}"
        );
        let len = whole.body.len();
        let tag = whole.header("etag");
        for (range, expected) in [
            ("bytes=0-9", 0..10),
            ("bytes=10-", 10..len),
            ("bytes=-5", len - 5..len),
            ("bytes=7-7", 7..8),
        ] {
            let request = server.request(reqwest::Method::GET, &path, &token);
            let answer = server
                .send(request.header("range", range).header("if-range", &tag))
                .await;
            assert_eq!(answer.status, 206, "{range}");
            let said = format!("bytes {}-{}/{len}", expected.start, expected.end - 1);
            assert_eq!(answer.header("content-range"), said);
            assert!(answer.body == whole.body[expected], "{range}");
        }
        let ask = async |name: &'static str, value: &str| {
            let request = server.request(reqwest::Method::GET, &path, &token);
            server
                .send(request.header("range", "bytes=0-1").header(name, value))
                .await
        };
        assert_eq!(ask("if-range", "\"other\"").await.status, 200);
        let request = server.request(reqwest::Method::GET, &path, &token);
        let beyond = server
            .send(request.header("range", format!("bytes={len}-")))
            .await;
        assert_eq!(
            (beyond.status, beyond.header("content-range")),
            (416, format!("bytes */{len}"))
        );
        assert_eq!(
            jpeg_size(&server.get(&format!("{at}/thumbnail"), &token).await),
            (128, 128)
        );
        assert_eq!(
            server
                .get(&format!("{at}/frames/1/rendered"), &token)
                .await
                .status,
            404
        );
    }
}

#[tokio::test]
async fn s23_g15_a_thumbnail_of_what_cannot_be_decoded_is_a_symbol() {
    let strange = instance("1.2.3")
        .encapsulated(
            "1.2.3.4.5",
            &[
                0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0, 0xFE, 0xFF, 0x00, 0xE0, 2, 0, 0, 0, 1, 2, 0xFE,
                0xFF, 0xDD, 0xE0, 0, 0, 0, 0,
            ],
        )
        .file();
    let short = steps()
        .uids("1.6", "1.6.1", "1.6.1.1")
        .number(0x0028_0010, 60_000)
        .number(0x0028_0011, 60_000)
        .file();
    let (server, token) = filled(&[strange, short]).await;
    for at in [AT, "/studies/1.6/series/1.6.1/instances/1.6.1.1"] {
        let small = server
            .get(&format!("{at}/thumbnail?viewport=64,64"), &token)
            .await;
        assert_eq!(jpeg_size(&small), (64, 64), "{at}");
        let whole = server.get(&format!("{at}/rendered"), &token).await;
        assert_eq!(whole.status, 406, "{at}: {}", whole.text());
    }
    // What Weasis switches on: 404 for what is not there, and never another failure (S23).
    assert_eq!(
        server
            .get("/studies/9.9/series/9/thumbnail", &token)
            .await
            .status,
        404
    );
}

#[tokio::test]
async fn g11_u06_an_image_is_shown_as_a_presentation_state_wants_it() {
    let Some(entries) = corpus::manifest() else {
        return;
    };
    let server = Server::start();
    let token = server.reader("F001");
    let mut at = Vec::new();
    for name in ["document/syn-mix-pr.dcm", "document/syn-mix-dx.dcm"] {
        let entry = entries.iter().find(|entry| entry.file == name);
        let answer = server.store(&token, &[entry.expect(name).bytes()]).await;
        let url = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0].clone();
        let url = url.as_str().unwrap().to_owned();
        at.push(url.strip_prefix(&server.base).unwrap().to_owned());
        if at.len() == 1 {
            let alone = server.get(&format!("{}/rendered", at[0]), &token).await;
            assert_eq!(alone.status, 406, "its image is not here");
        }
    }
    let ask = async |path: &str| png(&server.get_as(path, &token, "image/png").await).2;
    let plain = ask(&format!("{}/rendered?window=1500,1000,linear", at[1])).await;
    let presented = ask(&format!("{}/rendered", at[0])).await;
    // The window of the state, its one figure, a square from column and row 30 to 60, and two letters beside their anchor.
    let mut expected = plain.clone();
    for x in 29..60 {
        for (x, y) in [(x, 29), (x, 59), (29, x), (59, x)] {
            expected[y * 128 + x] = 255;
        }
    }
    let is_letters = |at: usize| (43..75).contains(&(at % 128)) && (39..55).contains(&(at / 128));
    let letters: Vec<usize> = (0..expected.len())
        .filter(|at| presented[*at] != expected[*at])
        .collect();
    assert!(
        letters.len() > 60
            && letters
                .iter()
                .all(|at| is_letters(*at) && presented[*at] == 255)
    );
    let right = letters.iter().filter(|at| *at % 128 >= 59).count();
    assert!(right > 30 && right < letters.len() - 30, "two of them");
    let uid = |at: &str| at.rsplit('/').next().unwrap().to_owned();
    let uri = format!(
        "/dicomweb/wado?requestType=WADO&contentType=image/png&objectUID={}&presentationUID={}",
        uid(&at[1]),
        uid(&at[0])
    );
    assert!(ask(&uri).await == presented);
    for (query, status) in [
        (uri.replace("objectUID", "objectUID=1&x"), 404),
        (format!("{uri}9"), 404),
        (format!("{uri}&presentationSeriesUID=9"), 404),
        (
            uri.replace(
                &format!("presentationUID={}", uid(&at[0])),
                &format!("presentationUID={}", uid(&at[1])),
            ),
            400,
        ),
    ] {
        assert_eq!(server.get(&query, &token).await.status, status, "{query}");
    }
}
