//! Types of metadata.

use super::{assert_document, filled};

#[tokio::test]
async fn mint_e12_e13_t02_t05_x11_the_dictionary_is_there_and_no_other() {
    let (server, token) = filled().await;
    let page = server.get("/mint/types", &token).await;
    assert_eq!(page.status, 200);
    let text = page.text();
    assert!(
        text.contains("<dl id=\"type\"><dt class=\"TypeName\">DICOM</dt>"),
        "{text}"
    );
    let dictionary = server.get("/mint/types/DICOM", &token).await;
    assert_document(&dictionary, "metadata");
    assert!(dictionary.body.is_ascii());
    let text = dictionary.text();
    assert!(text.contains("<study-attributes>") && text.contains("<series-attributes>"));
    let named = server.get("/mint/types/DICOM.xml", &token).await;
    assert_eq!(named.body, dictionary.body);
    for path in [
        "/mint/types/dicom",
        "/mint/types/ExternalData",
        "/mint/types/DICOM.gpb",
        "/mint/types/DICOMX",
        "/mint/types/DICOM/",
    ] {
        assert_eq!(server.get(path, &token).await.status, 404, "{path}");
    }
    let tag = dictionary.header("etag");
    let request = server.request(reqwest::Method::GET, "/mint/types/DICOM", &token);
    let again = server.send(request.header("if-none-match", tag)).await;
    assert_eq!(again.status, 304);
}

/// The lists of mint.md 8.1 and 8.2: documents of other servers were made by them.
const STUDY: &str = "00080020 00080030 00080050 00080051 00080080 00080090 00080096 00081030 00081032 00081048 00081049 00081060 \
    00081062 00081080 00081084 00081110 00081120 00100010 00100020 00100021 00100030 00100032 00100040 00101000 00101001 00101002 \
    00101010 00101020 00101030 00102160 00102180 001021B0 00102201 00102202 00102203 00102292 00102293 00102294 00102297 00102298 \
    00102299 00104000 00120010 00120020 00120021 00120030 00120031 00120040 00120042 00120050 00120051 00120062 00120063 00120064 \
    00120081 00120082 00120083 0020000D 00200010 00321034 00380010 00380014 00380060 00380062 00380064 00401012";
const SERIES: &str = "00080021 00080031 00080060 0008103E 00081050 00081052 00081070 00081072 00081111 00081250 00180015 00181030 \
    00185100 0020000E 00200011 00200060 00280108 00280109 00400244 00400245 00400253 00400254 00400260 00400275 00400280";

#[tokio::test]
async fn mint_t03_t04_the_level_lists_are_what_they_always_were() {
    let (server, token) = filled().await;
    let dictionary = server.get("/mint/types/DICOM", &token).await.text();
    for (name, expected) in [("study-attributes", STUDY), ("series-attributes", SERIES)] {
        let (_, list) = dictionary.split_once(&format!("<{name}>")).unwrap();
        let (list, _) = list.split_once(&format!("</{name}>")).unwrap();
        let tags = list.split("tag=\"").skip(1).map(|rest| &rest[..8]);
        assert!(tags.eq(expected.split_whitespace()), "{name}: {list}");
    }
}
