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
