//! WADO-URI (dicomweb.md section 10).

use super::rendered::{jpeg_size, png, steps};
use crate::harness::{Server, instance};

const AT: &str =
    "/dicomweb/wado?requestType=WADO&studyUID=1.2.3.1&seriesUID=1.2.3.1.1&objectUID=1.2.3.1.1.1";

async fn filled() -> (Server, String) {
    let server = Server::start();
    let token = server.reader("F001");
    server.stored(&token, &[steps().file()]).await;
    (server, token)
}

#[tokio::test]
async fn r21_u01_u02_u07_u08_an_object_is_a_picture() {
    let (server, token) = filled().await;
    for path in [
        AT.to_owned(),
        AT.replace("/wado?", "?"),
        AT.replace("/wado?", "/?"),
        AT.replace("requestType", "requesttype")
            .replace("objectUID", "OBJECTUID"),
        "/dicomweb/wado?requestType=WADO&objectUID=1.2.3.1.1.1".to_owned(),
        format!("{AT}&contentType=image/jpeg"),
        format!("{AT}&contentType=image%2Fjpg"),
        format!("{AT}&contentType=image/jp2,image/jpeg"),
    ] {
        assert_eq!(
            jpeg_size(&server.get(&path, &token).await),
            (4, 2),
            "{path}"
        );
    }
    let answer = server
        .get(&format!("{AT}&contentType=image/png"), &token)
        .await;
    assert_eq!(png(&answer).0, 4);
    assert_eq!(
        answer.header("cross-origin-resource-policy"),
        "cross-origin"
    );
    let answer = server.get_as(AT, &token, "image/png").await;
    assert_eq!(
        png(&answer).0,
        4,
        "the header where there is no contentType"
    );
    let gif = server
        .get(&format!("{AT}&contentType=image/gif"), &token)
        .await;
    assert_eq!(gif.header("content-type"), "image/gif");
    for (query, status) in [
        ("requestType=WADO", 400),
        ("objectUID=1.2.3.1.1.1", 400),
        ("requestType=XDS&objectUID=1.2.3.1.1.1", 400),
        ("requestType=WADO&objectUID=9.9", 404),
        ("requestType=WADO&objectUID=zz", 404),
        ("requestType=WADO&objectUID=1.2.3.1.1.1&studyUID=9", 404),
        ("requestType=WADO&objectUID=1.2.3.1.1.1&seriesUID=9", 404),
        ("requestType=WADO&objectUID=1.2.3.1.1.1&objectUID=1", 400),
        (
            "requestType=WADO&objectUID=1.2.3.1.1.1&contentType=video/mp4",
            406,
        ),
    ] {
        let answer = server.get(&format!("/dicomweb/wado?{query}"), &token).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text());
    }
    assert_eq!(server.get(AT, &server.reader("F002")).await.status, 404);
    assert_eq!(server.get(AT, "").await.status, 401);
}

#[tokio::test]
async fn u03_the_file_is_sent_where_it_is_asked_for() {
    let (server, token) = filled().await;
    let ask = async |query: &str| server.get(&format!("{AT}{query}"), &token).await;
    let file = ask("&contentType=application/dicom&transferSyntax=*").await;
    assert_eq!(file.status, 200, "{}", file.text());
    assert!(
        file.header("content-type")
            .starts_with("application/dicom; transfer-syntax=")
    );
    assert!(file.body == steps().file());
    let file = ask("&contentType=application%2Fdicom").await;
    let explicit = "application/dicom; transfer-syntax=1.2.840.10008.1.2.1";
    assert_eq!(file.header("content-type"), explicit);
    for (query, status) in [
        ("&contentType=application/dicom&transferSyntax=1.2.3.4", 406),
        ("&contentType=application/dicom&transferSyntax=a;b", 400),
        ("&transferSyntax=*", 400),
    ] {
        assert_eq!(ask(query).await.status, status, "{query}");
    }
    // Of what is shown in no way the file is what there is, where any type will do it is not guessed.
    let raw = instance("1.9")
        .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.66")
        .without(0x7FE0_0010)
        .file();
    server.stored(&token, &[raw]).await;
    let path = "/dicomweb/wado?requestType=WADO&objectUID=1.9.1.1.1";
    let refused = server.get(path, &token).await;
    assert_eq!(refused.status, 406);
    assert!(refused.text().contains("application/dicom"));
}

#[tokio::test]
async fn u04_u09_the_query_says_how_it_is_shown() {
    let (server, token) = filled().await;
    let ask = async |query: &str| {
        server
            .get(&format!("{AT}&contentType=image/png{query}"), &token)
            .await
    };
    let size = async |query: &str| {
        let (width, height, _) = png(&ask(query).await);
        (width, height)
    };
    assert_eq!(size("&rows=4").await, (8, 4));
    assert_eq!(size("&columns=40&rows=40").await, (40, 20));
    assert_eq!(size("&region=0.5,0,1,1").await, (2, 2));
    assert_eq!(size("&region=0.5,0,1,1&rows=10&columns=10").await, (10, 10));
    let (_, _, samples) = png(&ask("&windowCenter=-800&windowWidth=201").await);
    assert_eq!(samples, [0, 1, 128, 255, 255, 255, 255, 255]);
    assert_eq!(size("&frameNumber=1").await, (4, 2));
    assert_eq!(size("&frame=1").await, (4, 2));
    assert_eq!(ask("&frameNumber=2").await.status, 404);
    assert!(
        ask("&annotation=patient")
            .await
            .header("warning")
            .contains("annotation")
    );
    for bad in [
        "&windowCenter=1",
        "&windowCenter=1&windowWidth=0",
        "&rows=0",
        "&region=1,0,0,1",
        "&imageQuality=0",
        "&frameNumber=x",
        "&frameNumber=1,2",
    ] {
        assert_eq!(ask(bad).await.status, 400, "{bad}");
    }
    let multipart = "multipart/related; type=\"image/png\"";
    let answer = server.get_as(AT, &token, multipart).await;
    assert_eq!(answer.status, 406, "one part is no message of parts");
    let tag = server.get(AT, &token).await.header("etag");
    let again = server
        .request(reqwest::Method::GET, AT, &token)
        .header("if-none-match", tag);
    assert_eq!(server.send(again).await.status, 304);
}

#[tokio::test]
async fn u05_nothing_is_passed_over_in_silence_that_changes_what_is_seen() {
    let (server, token) = filled().await;
    let answer = server.get(&format!("{AT}&anonymize=yes"), &token).await;
    assert_eq!(answer.status, 501);
}
