//! Metadata against what independent programs read, over the whole corpus (dicomweb.md 5).

mod compare;
mod oracle;
mod rules;

use std::fmt::Write as _;

use serde_json::Value;

use self::compare::{Bulk, Comparison};
use self::rules::RULES;
use crate::harness::corpus::{self, Spread, Stored};
use crate::harness::{Server, native};

/// Slow: 427 files are stored and asked for, and their bulk data with them.
#[tokio::test]
async fn j01_j54_metadata_says_what_independent_programs_read() {
    let Some(entries) = corpus::manifest() else {
        return;
    };
    let server = Server::start();
    let mut spread = Spread::over(&server);
    let mut comparison = Comparison::default();
    let (mut files, mut fetched) = (0, 0);
    for entry in entries.iter().filter(|entry| entry.group != "broken") {
        let Some(at) = spread.store(&server, entry).await else {
            continue;
        };
        files += 1;
        let answer = server
            .get_as(
                &format!("{}/metadata", at.path),
                &at.token,
                "application/dicom+json",
            )
            .await;
        assert_eq!(answer.status, 200, "{}: {}", entry.file, answer.text());
        assert_eq!(
            answer.header("content-type"),
            "application/dicom+json",
            "J24"
        );
        let Value::Array(instances) = answer.json() else {
            panic!("J01: {}", answer.text())
        };
        assert_eq!(instances.len(), 1, "{}", entry.file);
        let ours = instances[0].as_object().unwrap();
        let xml = server
            .get_as(
                &format!("{}/metadata", at.path),
                &at.token,
                "application/dicom+xml",
            )
            .await;
        assert_eq!(xml.header("content-type"), "application/dicom+xml");
        let (as_xml, as_json) = (
            native::data_set(&xml.text()),
            native::comparable(&instances[0]),
        );
        for (tag, attribute) in as_json.as_object().unwrap() {
            assert_eq!(
                as_xml.get(tag),
                Some(attribute),
                "J54: {} {tag}",
                entry.file
            );
        }
        assert_eq!(as_xml, as_json, "J54: {}", entry.file);
        let syntax = entry.field("transfer_syntax_uid");
        comparison.data_sets(&entry.file, syntax, ours, &oracle::data_set(entry));
        for bulk in std::mem::take(&mut comparison.bulk) {
            fetched += 1;
            compare_bulk(&server, syntax, &at, &bulk, &mut comparison).await;
        }
    }
    let excepted: usize = comparison.excepted.values().sum();
    println!(
        "files {files}, attributes compared {}, equal {}, excepted {excepted}, bulk data fetched {fetched}; by rule:",
        comparison.compared, comparison.equal
    );
    for rule in RULES {
        let count = comparison
            .excepted
            .get(rule.name)
            .copied()
            .unwrap_or_default();
        println!("  {}: {count} of at most {}", rule.name, rule.most);
    }
    let mut unknown = String::new();
    for text in comparison.unknown.iter().take(100) {
        writeln!(unknown, "  {text}").unwrap();
    }
    assert!(
        unknown.is_empty(),
        "{} differences that no rule explains:\n{unknown}",
        comparison.unknown.len()
    );
    assert_eq!(comparison.beyond_bounds(), Vec::<String>::new());
    assert_eq!(files, 427);
}

/// Fetches what a BulkDataURI names and compares it.
async fn compare_bulk(
    server: &Server,
    syntax: &str,
    at: &Stored,
    bulk: &Bulk,
    comparison: &mut Comparison,
) {
    let path = bulk
        .url
        .strip_prefix(&server.base)
        .expect("J40: the URL is ours");
    let answer = server.get_as(path, &at.token, "*/*").await;
    let rule = if answer.status == 200 && bulk.expected.fits(&answer.body) {
        bulk.rule
    } else if answer.status == 200 && bulk.expected.fits_swapped(&bulk.vr, syntax, &answer.body) {
        Some(rules::WORDS)
    } else {
        comparison.equal -= 1;
        let ours = format!("{} {}: {} bytes", bulk.vr, answer.status, answer.body.len());
        let theirs: String = format!("{:?}", bulk.expected).chars().take(200).collect();
        comparison.unknown.push(format!(
            "{}\n    ours   {ours}\n    theirs {theirs}",
            bulk.place
        ));
        return;
    };
    if let Some(rule) = rule {
        comparison.equal -= 1;
        comparison.except(rule);
    }
}
