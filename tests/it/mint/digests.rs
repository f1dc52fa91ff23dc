//! Digests of what is sent, for those who ask (MINT Z31).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Method;
use sha2::{Digest as _, Sha256};

use super::items::{path, study};
use crate::harness::{Answer, Server, instance};

fn digest(bytes: &[u8]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(Sha256::digest(bytes)))
}

/// GET with headers.
async fn ask(server: &Server, path: &str, token: &str, headers: &[(&str, &str)]) -> Answer {
    let request = server.request(Method::GET, path, token);
    let request = headers
        .iter()
        .fold(request, |it, (name, value)| it.header(*name, *value));
    server.send(request).await
}

const WANT: (&str, &str) = ("want-repr-digest", "sha-256=1");

#[tokio::test]
async fn mint_z31_an_item_and_a_part_of_it_tell_the_digest_of_the_whole() {
    let (server, token, uuid) = study().await;
    for number in ["0", "2", "5"] {
        let path = path(&uuid, number);
        let plain = server.get(&path, &token).await;
        assert_eq!(plain.header("repr-digest"), "");
        let expected = digest(&plain.body);
        let whole = ask(&server, &path, &token, &[WANT]).await;
        assert_eq!(whole.header("repr-digest"), expected);
        assert!(whole.body == plain.body);
        // The bytes are the same, so their tag is.
        assert_eq!(whole.header("etag"), plain.header("etag"));
        let part = ask(&server, &path, &token, &[WANT, ("range", "bytes=3-9")]).await;
        assert_eq!((part.status, part.body.len()), (206, 7));
        assert_eq!(part.header("repr-digest"), expected);
        let tag = plain.header("etag");
        let known = ask(&server, &path, &token, &[WANT, ("if-none-match", &tag)]).await;
        assert_eq!((known.status, &*known.header("repr-digest")), (304, ""));
        let head = server.request(Method::HEAD, &path, &token);
        let head = server.send(head.header(WANT.0, WANT.1)).await;
        assert_eq!((head.body.len(), head.header("repr-digest")), (0, expected));
    }
    let path = path(&uuid, "0");
    for wish in [
        "sha-512=9",
        "sha-256=0",
        "md5",
        "\u{1F600}",
        ",,=;",
        &"a,".repeat(9000),
    ] {
        let answer = ask(&server, &path, &token, &[(WANT.0, wish)]).await;
        assert_eq!((answer.status, &*answer.header("repr-digest")), (200, ""));
    }
    let foreign = server.reader("F002");
    for (token, status) in [(&*foreign, 404), ("", 401)] {
        let refused = ask(&server, &path, token, &[WANT]).await;
        assert_eq!(
            (refused.status, &*refused.header("repr-digest")),
            (status, "")
        );
    }
}

#[tokio::test]
async fn mint_z31_each_part_of_the_standard_form_tells_its_digest() {
    let (server, token, uuid) = study().await;
    let related = (
        "accept",
        "multipart/related; type=\"application/octet-stream\"",
    );
    for list in ["all", "5,0-3,5"] {
        let path = path(&uuid, list);
        let plain = ask(&server, &path, &token, &[related]).await;
        let whole = ask(&server, &path, &token, &[related, WANT]).await;
        assert_eq!(whole.header("content-length"), whole.body.len().to_string());
        let mut varies = whole.headers.get_all("vary").iter();
        assert!(varies.any(|line| line.as_bytes() == b"want-repr-digest"));
        // Another body, so another tag.
        let tag = whole.header("etag");
        assert_ne!(tag, plain.header("etag"));
        let (parts, without) = (whole.parts(), plain.parts());
        assert_eq!(parts.len(), without.len());
        for (part, without) in parts.iter().zip(without) {
            assert_eq!(part.header("Repr-Digest"), digest(&part.body));
            assert_eq!(without.header("Repr-Digest"), "");
            assert!(part.body == without.body);
        }
        // A broken download goes on where it broke off, in the middle of a digest too.
        let len = whole.body.len();
        for start in (0..len).step_by(13).chain([len - 1]) {
            let range = format!("bytes={start}-");
            let headers = [related, WANT, ("range", &*range), ("if-range", &*tag)];
            let rest = ask(&server, &path, &token, &headers).await;
            assert_eq!(rest.status, 206, "{list} {range}");
            assert!(rest.body == whole.body[start..], "{list} {range}");
        }
        let few = [related, WANT, ("range", "bytes=190-260")];
        let few = ask(&server, &path, &token, &few).await;
        assert!(few.body == whole.body[190..261]);
    }
    // The readers of old want three lines and no more.
    let old = ask(&server, &path(&uuid, "all"), &token, &[WANT]).await;
    assert!(old.body == server.get(&path(&uuid, "all"), &token).await.body);
}

#[tokio::test]
async fn mint_z31_documents_and_objects_tell_their_digests() {
    let (server, token, uuid) = study().await;
    let root = format!("/mint/studies/{uuid}/DICOM");
    for name in [
        "metadata",
        "metadata.xml.gz",
        "metadata.gpb",
        "metadata.gpb.gz",
        "summary.xml",
    ] {
        let path = format!("{root}/{name}");
        for coding in ["identity", "gzip", "zstd", "zstd, gzip"] {
            let answer = ask(&server, &path, &token, &[WANT, ("accept-encoding", coding)]).await;
            assert_eq!(answer.status, 200);
            let told = answer.header("repr-digest");
            assert_eq!(told, digest(&answer.body), "{name} {coding}");
        }
        let plain = server.get(&path, &token).await;
        assert_eq!(plain.header("repr-digest"), "");
    }
    let file = instance("1.2.9").file();
    server.stored(&token, &[&file]).await;
    let path = "/studies/1.2.9.1/series/1.2.9.1.1/instances/1.2.9.1.1.1";
    let stored = ("accept", "application/dicom; transfer-syntax=*");
    let answer = ask(&server, path, &token, &[WANT, stored]).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(answer.body == file);
    assert_eq!(answer.header("repr-digest"), digest(&file));
}
