//! In which transfer syntaxes an instance can be had, and how readily (dicomweb.md Q69, Q71).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::cli::{objects, run};
use crate::harness::{Server, backing, instance};

const EXPLICIT: &str = "1.2.840.10008.1.2.1";

/// Available Transfer Syntax UID of an instance.
fn available(row: &Value) -> Vec<String> {
    let values = row["00083002"]["Value"].as_array().unwrap().iter();
    values.map(|uid| uid.as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn q71_the_stored_syntax_comes_first_then_explicit_then_what_can_be_made() {
    let server = Server::start();
    let token = server.reader("F001");
    let items = b"\xFE\xFF\x00\xE0\0\0\0\0\xFE\xFF\x00\xE0\x02\0\0\0\xFF\xD8";
    let of = |series: &str| instance("1").uids("1.1", series, &format!("{series}.1"));
    let stored = [
        ("1.1.1", EXPLICIT),
        ("1.1.2", "1.2.840.10008.1.2"),
        ("1.1.3", "1.2.840.10008.1.2.5"),
        ("1.1.4", "1.2.840.10008.1.2.4.90"),
        ("1.1.5", "1.2.840.10008.1.2.4.92"),
        ("1.1.6", "1.2.840.10008.1.2.4.102"),
    ];
    let files: Vec<Vec<u8>> = stored
        .iter()
        .map(|(series, syntax)| match *syntax {
            EXPLICIT => of(series).file(),
            "1.2.840.10008.1.2" => of(series).implicit().file(),
            other => of(series).encapsulated(other, items).file(),
        })
        .collect();
    server.stored(&token, &files).await;
    for (series, syntax) in stored {
        let rows = server
            .get(
                &format!("/studies/1.1/series/{series}/instances?includefield=00083002"),
                &token,
            )
            .await
            .json();
        let uids = available(&rows[0]);
        assert_eq!(uids[0], syntax, "the stored one first");
        let is_decodable = !matches!(syntax, "1.2.840.10008.1.2.4.92" | "1.2.840.10008.1.2.4.102");
        if is_decodable {
            let explicit = uids.iter().position(|uid| uid == EXPLICIT);
            assert_eq!(explicit, Some(usize::from(syntax != EXPLICIT)), "{uids:?}");
            assert!(uids.len() > 3, "what can be made: {uids:?}");
        } else {
            assert_eq!(uids.len(), 1, "nothing can be made of it: {uids:?}");
        }
        let mut once = uids.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), uids.len(), "each once");
    }
    // What is listed can be had, and what is not is 406.
    let at = "/studies/1.1/series/1.1.1/instances/1.1.1.1";
    let row = server
        .get("/studies/1.1/series/1.1.1/instances", &token)
        .await
        .json();
    let uids = available(&row[0]);
    for uid in &uids {
        let accept = format!("multipart/related; type=\"*/*\"; transfer-syntax={uid}");
        let answer = server
            .get_as(&format!("{at}/frames/1"), &token, &accept)
            .await;
        assert_eq!(answer.status, 200, "{uid}: {}", answer.text());
        let part = answer.parts()[0].header("Content-Type").to_owned();
        assert!(part.ends_with(&format!("transfer-syntax={uid}")), "{part}");
    }
    for uid in ["1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.92"] {
        assert!(!uids.contains(&uid.to_owned()), "{uid}");
        let accept = format!("multipart/related; type=\"*/*\"; transfer-syntax={uid}");
        let answer = server
            .get_as(&format!("{at}/frames/1"), &token, &accept)
            .await;
        assert_eq!(answer.status, 406, "{uid}");
    }
}

/// Instance Availability of each result of a search, by the UID in `tag`.
async fn availability(
    server: &Server,
    token: &str,
    path: &str,
    tag: &str,
) -> BTreeMap<String, String> {
    let answer = server.get(path, token).await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let rows = answer.json();
    let text = |value: &Value| value["Value"][0].as_str().unwrap().to_owned();
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| (text(&row[tag]), text(&row["00080056"])))
        .collect()
}

/// Moves a file away, or back.
fn moved(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap();
}

#[tokio::test]
async fn q69_what_is_known_to_be_missing_is_unavailable_and_its_study_with_it() {
    let server = Server::start();
    let token = server.reader("F001");
    let image = instance("1").uids("1.1", "1.1.1", "1.1.1.1").file();
    let whole = instance("2").uids("1.2", "1.2.1", "1.2.1.1").file();
    server.stored(&token, &[image, whole]).await;
    let known = [("1.1", "ONLINE"), ("1.2", "ONLINE")];
    let known = BTreeMap::from(known.map(|(uid, how)| (uid.to_owned(), how.to_owned())));
    let studies = availability(&server, &token, "/studies", "0020000D").await;
    assert_eq!(studies, known);
    if backing::storage() != backing::Storage::Fs {
        println!("only of a folder can a test take something away");
        return;
    }
    let data = server.data.path();
    let before = objects(data, "pack");
    // A report, which not everybody reads, in a pack of its own.
    let report = instance("1")
        .uids("1.1", "1.1.2", "1.1.2.1")
        .text(0x0008_0016, "UI", "1.2.840.10008.5.1.4.1.1.104.1")
        .without(0x7FE0_0010)
        .modality("DOC")
        .file();
    server.stored(&token, &[report]).await;
    let packs = objects(data, "pack");
    let new: Vec<&PathBuf> = packs.iter().filter(|path| !before.contains(path)).collect();
    assert_eq!(new.len(), 1);
    let (lost, kept) = (new[0], data.join("kept"));
    moved(lost, &kept);
    // Nobody knows yet.
    let studies = availability(&server, &token, "/studies", "0020000D").await;
    assert_eq!(studies["1.1"], "ONLINE");
    let verified = run(data, "verify --quick");
    assert_eq!(verified.code, 1, "{}", verified.err);
    assert!(verified.out.contains("1 missing"), "{}", verified.out);
    for (path, tag, expected) in [
        (
            "/studies",
            "0020000D",
            [("1.1", "UNAVAILABLE"), ("1.2", "ONLINE")],
        ),
        (
            "/studies/1.1/series?includefield=00080056",
            "0020000E",
            [("1.1.1", "ONLINE"), ("1.1.2", "UNAVAILABLE")],
        ),
        (
            "/studies/1.1/instances",
            "00080018",
            [("1.1.1.1", "ONLINE"), ("1.1.2.1", "UNAVAILABLE")],
        ),
    ] {
        let expected = expected.map(|(uid, how)| (uid.to_owned(), how.to_owned()));
        let found = availability(&server, &token, path, tag).await;
        assert_eq!(found, BTreeMap::from(expected), "{path}");
    }
    let relational = availability(&server, &token, "/instances?limit=10", "00080018").await;
    assert_eq!(relational["1.1.2.1"], "UNAVAILABLE");
    assert_eq!(relational["1.2.1.1"], "ONLINE");
    // Who does not see the report sees a study that is all there.
    let images = server.token("F001", "dicom.read");
    let studies = availability(&server, &images, "/studies", "0020000D").await;
    assert_eq!(studies, known);
    // What came back is found again.
    moved(&kept, lost);
    assert_eq!(run(data, "verify --quick").code, 0);
    let studies = availability(&server, &token, "/studies", "0020000D").await;
    assert_eq!(studies, known);
}
