//! Frames against what independent programs decoded, and against the stored fragments, over the whole corpus
//! (dicomweb.md 7.1 and 7.3).

mod decoded;
mod pixels;
mod recoded;
mod refused;
mod walk;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::corpus::{self, Entry, Spread, Stored, sha256};
use crate::harness::{Answer, Server};

const OCTETS: &str = "multipart/related; type=\"application/octet-stream\"";
/// Whatever is stored, as it is.
const STORED: &str = "multipart/related; type=\"*/*\"; transfer-syntax=*";
const EXPLICIT_LITTLE: &str = "1.2.840.10008.1.2.1";

/// Transfer syntaxes whose frames leave as octets.
const NATIVE: [&str; 7] = [
    "", // without file meta information: Implicit VR Little Endian
    "1.2.840.10008.1.2",
    EXPLICIT_LITTLE,
    "1.2.840.10008.1.2.1.98",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.8.1",
];

/// Media types of the others (dicomweb.md 2.5), by the start of the part of the UID behind `1.2.840.10008.1.2.`.
const MEDIA_TYPES: [(&str, &str); 7] = [
    ("4.5", "image/jpeg"),
    ("4.7", "image/jpeg"),
    ("4.8", "image/jls"),
    ("4.9", "image/jp2"),
    ("4.11", "image/jxl"),
    ("4.2", "image/jphc"),
    ("5", "image/dicom-rle"),
];

/// What was compared.
#[derive(Debug, Default)]
struct Tally {
    files: usize,
    frames: usize,
    equal: usize,
    excepted: BTreeMap<&'static str, usize>,
    different: Vec<String>,
}

impl Tally {
    fn compare(&mut self, entry: &Entry, number: usize, is_equal: bool) {
        self.frames += 1;
        if is_equal {
            self.equal += 1;
        } else {
            self.different
                .push(format!("{} frame {number}", entry.file));
        }
    }

    fn except(&mut self, rule: &'static str) {
        *self.excepted.entry(rule).or_default() += 1;
    }

    fn print(&self, what: &str) {
        let Self {
            files,
            frames,
            equal,
            ..
        } = self;
        println!(
            "{what}: files {files}, frames {frames}, equal {equal}, excepted by rule {:?}",
            self.excepted
        );
        assert!(
            self.different.is_empty(),
            "{} differ: {:#?}",
            self.different.len(),
            self.different
        );
    }
}

fn oracle(entry: &Entry) -> Value {
    // Only the pixels are of interest here, and NaN stands in other places only.
    let text = entry.oracle_text();
    let at = text
        .rfind("\"pixels\":")
        .map(|at| &text[at + "\"pixels\":".len()..]);
    let Some(text) = at else { return Value::Null };
    serde_json::Deserializer::from_str(text)
        .into_iter()
        .next()
        .unwrap()
        .unwrap()
}

async fn frames(server: &Server, at: &Stored, list: &str, accept: &str) -> Answer {
    server
        .get_as(&format!("{}/frames/{list}", at.path), &at.token, accept)
        .await
}

/// `1,2,…,count`.
fn all(count: usize) -> String {
    (1..=count)
        .map(|number| number.to_string())
        .collect::<Vec<_>>()
        .join(",")
}

fn is_native(entry: &Entry) -> bool {
    NATIVE.contains(&entry.field("transfer_syntax_uid"))
}

/// Slow: every native image of the corpus.
#[tokio::test]
async fn f40_f41_f42_native_frames_are_what_independent_programs_decoded() {
    let Some(entries) = corpus::manifest() else {
        return;
    };
    let server = Server::start();
    let mut spread = Spread::over(&server);
    let mut tally = Tally::default();
    for entry in entries
        .iter()
        .filter(|entry| entry.group != "broken" && is_native(entry))
    {
        let oracle = oracle(entry);
        if oracle.is_null() {
            continue;
        }
        let Some(at) = spread.store(&server, entry).await else {
            continue;
        };
        let Some(expected) = oracle["frames"].as_array() else {
            tally.except("no independent program can decode it");
            continue;
        };
        tally.files += 1;
        let answer = frames(&server, &at, &all(expected.len()), OCTETS).await;
        assert_eq!(answer.status, 200, "{}: {}", entry.file, answer.text());
        let parts = answer.parts();
        assert_eq!(parts.len(), expected.len(), "{}", entry.file);
        // A note says that these are the hashes of the bits as they lie.
        let is_packed = oracle["note"] == "1-bit";
        for (number, (part, expected)) in parts.iter().zip(expected).enumerate() {
            let media_type = format!("application/octet-stream; transfer-syntax={EXPLICIT_LITTLE}");
            assert_eq!(
                part.header("Content-Type"),
                media_type,
                "N60: {}",
                entry.file
            );
            let samples = pixels::samples(entry, &part.body, is_packed);
            if pixels::without_unused_bits(entry, &samples)
                .is_some_and(|cleared| cleared != samples && expected[0] == sha256(&cleared))
            {
                tally.frames += 1;
                tally.except("the oracle clears what stands above Bits Stored");
                continue;
            }
            tally.compare(entry, number + 1, expected[0] == sha256(&samples));
        }
    }
    tally.print("native");
    // One file that nothing decodes, and the three frames of the other rule.
    assert_eq!((tally.files, tally.frames, tally.equal), (195, 417, 414));
}

/// Slow: every compressed image of the corpus.
#[tokio::test]
async fn f43_f44_f45_f46_f47_j42_compressed_frames_are_the_stored_fragments() {
    let Some(entries) = corpus::manifest() else {
        return;
    };
    let server = Server::start();
    let mut spread = Spread::over(&server);
    let mut tally = Tally::default();
    for entry in entries
        .iter()
        .filter(|entry| entry.group != "broken" && entry.group != "video" && !is_native(entry))
    {
        let Some(at) = spread.store(&server, entry).await else {
            continue;
        };
        let file = entry.bytes();
        let count = entry.number("frames").unwrap_or(1);
        let expected = walk::encapsulated(&file).frames(count);
        assert_eq!(expected.len(), count, "{}", entry.file);
        tally.files += 1;
        let uid = entry.field("transfer_syntax_uid");
        let stored = format!("multipart/related; type=\"*/*\"; transfer-syntax={uid}");
        let answer = frames(&server, &at, &all(count), &stored).await;
        assert_eq!(answer.status, 200, "{}: {}", entry.file, answer.text());
        let parts = answer.parts();
        assert_eq!(parts.len(), count, "{}", entry.file);
        for (number, (part, expected)) in parts.iter().zip(&expected).enumerate() {
            assert_eq!(
                part.header("Content-Type"),
                media_type(entry),
                "{}",
                entry.file
            );
            tally.compare(entry, number + 1, part.body == *expected);
        }
        let bulk = server
            .get_as(
                &format!("{}/bulkdata/7FE00010", at.path),
                &at.token,
                &stored,
            )
            .await;
        assert_eq!(bulk.status, 200, "{}: {}", entry.file, bulk.text());
        let bulk = bulk.parts();
        let is_same = bulk
            .iter()
            .map(|part| &part.body)
            .eq(parts.iter().map(|part| &part.body));
        assert!(is_same, "J42: {}: all frames, one part each", entry.file);
    }
    tally.print("compressed");
    assert_eq!((tally.files, tally.frames, tally.equal), (142, 405, 405));
}

/// The media type of the parts of a compressed image.
fn media_type(entry: &Entry) -> String {
    let uid = entry.field("transfer_syntax_uid");
    let end = uid.strip_prefix("1.2.840.10008.1.2.").unwrap();
    let found = MEDIA_TYPES.iter().find(|(start, _)| end.starts_with(start));
    format!("{}; transfer-syntax={uid}", found.unwrap().1)
}
