//! The whole corpus from one archive to another in the exact form, byte for byte.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;

use crate::harness::Server;
use crate::harness::corpus::{self, Spread};
use crate::harness::exact::{files, outcomes};

/// Slow: 427 files, three times over the wire.
#[tokio::test]
async fn mint_z30_z41_the_corpus_moves_between_two_archives_byte_for_byte() {
    let Some(entries) = corpus::manifest() else {
        return;
    };
    let (from, to) = (Server::start(), Server::start());
    let mut spread = Spread::over(&from);
    Spread::over(&to);
    // By token and Study Instance UID: the files as they were stored.
    let mut studies: BTreeMap<(String, String), BTreeSet<Vec<u8>>> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.group != "broken") {
        if let Some(at) = spread.store(&from, entry).await {
            let study = at.path.split('/').nth(3).unwrap().to_owned();
            let of_study = studies.entry((at.token, study)).or_default();
            of_study.insert(entry.bytes());
        }
    }
    let (mut moved, mut plain, mut sent) = (0, 0, 0);
    for (number, ((token, study), stored)) in studies.iter().enumerate() {
        let claims = token.split('.').nth(1).unwrap();
        let code = facility(claims);
        let uuid = from.study_uuid(token, study).await;
        let ask = from.request(Method::GET, &format!("/mint/studies/{uuid}/exact"), token);
        let is_packed = number % 2 == 0;
        let ask = if is_packed {
            ask.header("accept-encoding", "zstd")
        } else {
            ask
        };
        let left = from.send(ask).await;
        assert_eq!(left.status, 200, "{study}: {}", left.text());
        sent += left.body.len();
        let other = to.reader(&code);
        let arrives = to
            .request(Method::POST, "/mint/exact/objects", &other)
            .header("content-type", "application/x-tar");
        let arrives = if is_packed {
            arrives.header("content-encoding", "zstd")
        } else {
            arrives
        };
        let (told, last) = outcomes(&to.send(arrives.body(left.body)).await);
        assert!(
            told.iter().all(|(_, outcome)| outcome == "stored"),
            "{study}: {told:?}"
        );
        assert_eq!(last["receipt"]["count"], stored.len(), "{study}: {last}");
        let uuid = to.study_uuid(&other, study).await;
        let back = to.get(&format!("/mint/studies/{uuid}/exact"), &other).await;
        let mut found = files(&back.body);
        found.remove(0);
        let found: BTreeSet<Vec<u8>> = found.into_iter().map(|(_, bytes)| bytes).collect();
        assert!(found == *stored, "{study}");
        moved += stored.len();
        plain += stored.iter().map(Vec::len).sum::<usize>();
    }
    println!(
        "{moved} files of {} studies moved: {plain} bytes of objects, {sent} on the wire",
        studies.len()
    );
    assert_eq!(moved, 427);
}

/// The code of the facility in the claims of a token.
fn facility(claims: &str) -> String {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let claims = engine.decode(claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    claims["kura"]["fac"].as_str().unwrap().to_owned()
}
