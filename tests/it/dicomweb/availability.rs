//! In which transfer syntaxes an instance can be had, and how readily (dicomweb.md Q69, Q71).

use serde_json::Value;

use crate::harness::{Server, instance};

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
