//! What an answer holds as a whole: everything that was asked for, part by part in a form of its own, and nothing for paths
//! that name no parent (dicomweb.md 2.4, 3, 7.3, 14).

use crate::harness::{Server, instance};

const EXPLICIT: &str = "1.2.840.10008.1.2.1";
const JPEG: &str = "1.2.840.10008.1.2.4.50";

/// Items of encapsulated pixel data: an empty offset table, then the fragments.
fn fragments(of: &[&[u8]]) -> Vec<u8> {
    let mut items = b"\xFE\xFF\x00\xE0\0\0\0\0".to_vec();
    for fragment in of {
        items.extend(b"\xFE\xFF\x00\xE0");
        items.extend(u32::try_from(fragment.len()).unwrap().to_le_bytes());
        items.extend(*fragment);
    }
    items
}

/// A study of a native slice, `1.1.1.1`, and one stored as JPEG, `1.1.2.1`.
async fn mixed(server: &Server) -> String {
    let token = server.reader("F001");
    let files = [
        instance("1").uids("1.1", "1.1.1", "1.1.1.1").file(),
        instance("1")
            .uids("1.1", "1.1.2", "1.1.2.1")
            .text(0x0020_0011, "IS", "2")
            .encapsulated(JPEG, &fragments(&[b"\xFF\xD8jpeg\xFF\xD9"]))
            .file(),
    ];
    server.stored(&token, &files).await;
    token
}

#[tokio::test]
async fn s01_200_says_that_everything_asked_for_is_there() {
    let server = Server::start();
    let token = mixed(&server).await;
    let any = "multipart/related; type=\"application/dicom\"; transfer-syntax=*";
    for (path, accept, parts) in [
        ("/studies/1.1", any, 2),
        ("/studies/1.1/series/1.1.1", any, 1),
        ("/studies/1.1/series/1.1.2/instances/1.1.2.1", any, 1),
        ("/studies/1.1/bulkdata", "*/*", 2),
        (
            "/studies/1.1/pixeldata",
            "multipart/related; type=\"*/*\"; transfer-syntax=*",
            2,
        ),
    ] {
        let answer = server.get_as(path, &token, accept).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.parts().len(), parts, "{path}");
        assert_eq!(answer.header("warning"), "", "{path}");
    }
    for (path, objects) in [
        ("/studies", 1),
        ("/studies/1.1/series", 2),
        ("/studies/1.1/instances", 2),
        ("/studies/1.1/metadata", 2),
    ] {
        let answer = server.get(path, &token).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.json().as_array().unwrap().len(), objects, "{path}");
    }
    // What can be had in part only has another status: the native slice is no JPEG of 8 bits.
    let only = format!("multipart/related; type=\"application/dicom\"; transfer-syntax={JPEG}");
    let partly = server.get_as("/studies/1.1", &token, &only).await;
    assert_eq!((partly.status, partly.parts().len()), (206, 1));
    // A frame beyond the last is no 200 with the others.
    let frames = "/studies/1.1/series/1.1.1/instances/1.1.1.1/frames/1,2";
    assert_eq!(server.get(frames, &token).await.status, 404);
}

#[tokio::test]
async fn n58_each_part_has_the_best_syntax_for_itself() {
    let server = Server::start();
    let token = mixed(&server).await;
    let syntaxes = |accept: String, path: &'static str| {
        let (server, token) = (&server, &token);
        async move {
            let answer = server.get_as(path, token, &accept).await;
            assert_eq!(answer.status, 200, "{path} {accept}: {}", answer.text());
            let parts = answer.parts();
            let types = parts.iter().map(|part| part.header("Content-Type"));
            types.map(str::to_owned).collect::<Vec<_>>()
        }
    };
    let dicom = |syntax: &str| {
        format!("multipart/related; type=\"application/dicom\"; transfer-syntax={syntax}")
    };
    let in_syntax = |syntax: &str| format!("application/dicom; transfer-syntax={syntax}");
    // JPEG rather than octets: what is no JPEG comes as the other.
    for accept in [
        format!("{}, {};q=0.5", dicom(JPEG), dicom(EXPLICIT)),
        format!("{};q=0.5, {};q=0.8", dicom(EXPLICIT), dicom(JPEG)),
    ] {
        let found = syntaxes(accept, "/studies/1.1").await;
        assert_eq!(found, [in_syntax(EXPLICIT), in_syntax(JPEG)]);
    }
    // Of equal weight the stored one is sent to each.
    let equal = format!("{}, {}", dicom(EXPLICIT), dicom(JPEG));
    let found = syntaxes(equal, "/studies/1.1").await;
    assert_eq!(found, [in_syntax(EXPLICIT), in_syntax(JPEG)]);
    // Frames the same, each under its own media type.
    let pixels = format!(
        "multipart/related; type=\"image/jpeg\"; transfer-syntax={JPEG}, multipart/related; type=\"application/octet-stream\"; transfer-syntax={EXPLICIT}; q=0.5"
    );
    let found = syntaxes(pixels, "/studies/1.1/pixeldata").await;
    assert_eq!(
        found,
        [
            format!("application/octet-stream; transfer-syntax={EXPLICIT}"),
            format!("image/jpeg; transfer-syntax={JPEG}")
        ]
    );
}

#[tokio::test]
async fn f49_a_compressed_frame_is_never_cut_inside() {
    let server = Server::start();
    let token = server.reader("F001");
    // Each has an end-of-image marker inside, as that of a thumbnail in an application segment; one is padded.
    let (padded, even): (&[u8], &[u8]) = (
        b"\xFF\xD8\xFF\xE0thumb\xFF\xD9rest of it\xFF\xD9\0",
        b"\xFF\xD8\xFF\xE0inner\xFF\xD9\0\0more\0\xFF\xD9",
    );
    assert!(padded.len() % 2 == 0 && even.len() % 2 == 0);
    let file = instance("1")
        .uids("1.1", "1.1.1", "1.1.1.1")
        .text(0x0028_0008, "IS", "2")
        .encapsulated(JPEG, &fragments(&[padded, even]))
        .file();
    server.stored(&token, &[file]).await;
    let at = "/studies/1.1/series/1.1.1/instances/1.1.1.1/frames/1,2";
    let accept = "multipart/related; type=\"*/*\"; transfer-syntax=*";
    let parts = server.get_as(at, &token, accept).await.parts();
    for (part, stored) in parts.iter().zip([padded, even]) {
        let without_pad = stored.strip_suffix(b"\0").unwrap_or(stored);
        assert!(part.body == stored || part.body == without_pad);
    }
    assert_eq!(parts.len(), 2);
}

#[tokio::test]
async fn x12_without_its_parent_nothing_is_retrieved() {
    let server = Server::start();
    let token = mixed(&server).await;
    // Searches across parents are there (R05, R06); retrieval below them is not.
    assert_eq!(server.get("/series", &token).await.status, 200);
    assert_eq!(server.get("/instances", &token).await.status, 200);
    for path in [
        "/series/1.1.1",
        "/series/1.1.1/metadata",
        "/series/1.1.1/rendered",
        "/series/1.1.1/thumbnail",
        "/series/1.1.1/instances",
        "/series/1.1.1/instances/1.1.1.1",
        "/series/1.1.1/instances/1.1.1.1/frames/1",
        "/instances/1.1.1.1",
        "/instances/1.1.1.1/metadata",
        "/instances/1.1.1.1/frames/1",
        "/instances/1.1.1.1/rendered",
        "/instances/1.1.1.1/bulkdata/7FE00010",
        "/studies/1.1/instances/1.1.1.1",
        "/studies/1.1/instances/1.1.1.1/frames/1",
    ] {
        let answer = server.get(path, &token).await;
        assert_eq!(answer.status, 404, "{path}");
        assert_eq!(
            answer.header("content-type"),
            "application/problem+json",
            "{path}"
        );
    }
}
