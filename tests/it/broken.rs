//! What becomes of broken files, one by one: `broken.tsv` says it, the test holds the server to it (dicomweb.md 9.2).
//!
//! `KURA_BLESS=1` writes the table anew; then docs/conformance.md, "Objects that break a rule", must still be true.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::de::IgnoredAny;
use serde_json::Value;

use crate::harness::corpus::{self, Entry, Spread};
use crate::harness::{Answer, Server, instance};

const HEADER: &str = "file\tverdict\tstatus\tcode\ttag\toffset\n";
/// An answer comes within 2 s on a machine that is not busy.
const PATIENCE: Duration = Duration::from_secs(10);
/// Resident memory of the server, at its highest.
const MEMORY: u64 = 200 << 20;

/// One row of the table.
#[derive(Debug, Default)]
struct Row {
    verdict: &'static str,
    status: u16,
    /// Failure or warning reason.
    code: String,
    /// As the comment of the answer names them.
    tag: String,
    offset: String,
    /// Where the instance is.
    url: String,
    comment: String,
}

impl Row {
    /// From the answer to a store of one file.
    fn of(answer: &Answer) -> Self {
        let json = answer.json();
        let item = |sequence: &str| {
            json[sequence]["Value"][0]
                .as_object()
                .map(|item| Value::Object(item.clone()))
        };
        let refused = item("00081198").or_else(|| item("0008119A"));
        let (item, reason, verdict) = match (refused, item("00081199")) {
            (Some(item), None) => (item, "00081197", "refused"),
            (None, Some(item)) if item["00081196"].is_null() => (item, "00081196", "stored"),
            (None, Some(item)) => (item, "00081196", "stored with a warning"),
            other => panic!("one file, one outcome: {other:?}: {json}"),
        };
        let comment = item["00000902"]["Value"][0]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        Self {
            verdict,
            status: answer.status,
            code: item[reason]["Value"][0]
                .as_u64()
                .map(|code| format!("{code:04X}"))
                .unwrap_or_default(),
            tag: tag_in(&comment).unwrap_or_default(),
            offset: offset_in(&comment).unwrap_or_default(),
            url: item["00081190"]["Value"][0]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            comment,
        }
    }

    fn is_stored(&self) -> bool {
        self.verdict != "refused"
    }
}

/// `(gggg,eeee)` in a comment.
fn tag_in(comment: &str) -> Option<String> {
    let start = comment.find('(')?;
    let tag = comment.get(start..start + 11)?;
    (tag.ends_with(')') && tag.as_bytes()[5] == b',').then(|| tag.to_owned())
}

/// The number behind `at offset` in a comment.
fn offset_in(comment: &str) -> Option<String> {
    let (_, rest) = comment.split_once("at offset ")?;
    Some(rest.chars().take_while(char::is_ascii_digit).collect())
}

#[test]
fn tag_and_offset_are_found_in_a_comment() {
    let comment = "(0028,0010) Rows at offset 1234: value needs 70000 bytes";
    assert_eq!(
        (tag_in(comment).unwrap(), offset_in(comment).unwrap()),
        ("(0028,0010)".to_owned(), "1234".to_owned())
    );
    assert_eq!(
        (tag_in("no DICOM (at all)"), offset_in("no DICOM")),
        (None, None)
    );
}

/// Slow: 127 files, each alone and then between two good ones.
#[tokio::test]
async fn t24_t28_t31_t34_t35_broken_files_meet_the_fate_that_is_written_down() {
    let Some(entries) = corpus::manifest() else {
        return;
    };
    let mut server = Server::start();
    let mut spread = Spread::over(&server);
    let neighbours = server.reader("F001");
    let mut table = HEADER.to_owned();
    let mut counts = [0; 3];
    for (number, entry) in entries
        .iter()
        .filter(|entry| entry.group == "broken")
        .enumerate()
    {
        let file = entry.bytes();
        let started = Instant::now();
        let (answer, token) = spread.send(&server, &file).await;
        assert!(
            started.elapsed() < PATIENCE,
            "{} took {:?}",
            entry.file,
            started.elapsed()
        );
        let row = Row::of(&answer);
        let Row {
            verdict,
            status,
            code,
            tag,
            offset,
            ..
        } = &row;
        let name = entry.file.strip_prefix("broken/").unwrap();
        writeln!(
            table,
            "{name}\t{verdict}\t{status}\t{code}\t{tag}\t{offset}"
        )
        .unwrap();
        counts[["stored", "stored with a warning", "refused"]
            .iter()
            .position(|v| v == verdict)
            .unwrap()] += 1;
        match entry.expect.as_str() {
            "reject" => assert!(!row.is_stored(), "{} must be refused", entry.file),
            "accept" => assert!(
                row.is_stored(),
                "{} must be stored: {}",
                entry.file,
                row.comment
            ),
            _ => {}
        }
        check_comment(entry, &row);
        if row.is_stored() {
            check_stored(&server, entry, &row.url, &token).await;
        }
        check_neighbours(&server, entry, number, &neighbours).await;
        assert!(server.is_alive(), "{}", entry.file);
    }
    let highest = server.memory().1;
    let [stored, warned, refused] = counts;
    println!(
        "broken: stored {stored}, stored with a warning {warned}, refused {refused}; resident memory at most {} MB",
        highest >> 20
    );
    assert!(highest < MEMORY, "{highest} bytes");
    compare_table(&table);
}

/// The comment is short, plain and free of patient data.
fn check_comment(entry: &Entry, row: &Row) {
    let comment = &row.comment;
    assert!(
        row.verdict == "stored" || !comment.is_empty(),
        "{}: no comment",
        entry.file
    );
    assert!(
        comment.chars().count() <= 64 && !comment.contains(|c: char| c.is_control() || c == '\\'),
        "{comment}"
    );
    let oracle: Value = serde_json::from_str(&entry.oracle_text()).unwrap();
    for tag in ["00100010", "00100020", "00100030"] {
        let value = &oracle["json"][tag]["Value"][0];
        let texts = [&value["Alphabetic"], &value["Ideographic"], value];
        for word in texts
            .iter()
            .filter_map(|text| text.as_str())
            .flat_map(|text| text.split('^'))
        {
            assert!(
                word.len() < 3 || !comment.contains(word),
                "{}: {comment}",
                entry.file
            );
        }
    }
}

/// What is stored comes back byte for byte, and its metadata are JSON, however deep.
async fn check_stored(server: &Server, entry: &Entry, url: &str, token: &str) {
    let path = url.strip_prefix(&server.base).unwrap();
    let started = Instant::now();
    let back = server
        .get_as(path, token, "application/dicom; transfer-syntax=*")
        .await;
    assert_eq!(back.status, 200, "{}: {}", entry.file, back.text());
    assert!(back.body == entry.bytes(), "{} differs", entry.file);
    let metadata = server.get(&format!("{path}/metadata"), token).await;
    assert_eq!(metadata.status, 200, "{}: {}", entry.file, metadata.text());
    // Nothing is built from it, so the depth does not matter to the reader.
    let parsed = serde_json::from_slice::<IgnoredAny>(&metadata.body);
    assert!(parsed.is_ok(), "{}: {parsed:?}", entry.file);
    let frame = server.get(&format!("{path}/frames/1"), token).await;
    assert!(
        frame.status < 500,
        "{}: {} {}",
        entry.file,
        frame.status,
        frame.text()
    );
    assert!(
        started.elapsed() < PATIENCE,
        "{} took {:?}",
        entry.file,
        started.elapsed()
    );
}

/// Good instances before and behind the broken file are stored.
async fn check_neighbours(server: &Server, entry: &Entry, number: usize, token: &str) {
    let good = |side: usize| {
        let uid = format!("1.2.3.127.{number}.{side}");
        (format!("{uid}.1.1.1"), instance(&uid).file())
    };
    let [before, behind] = [good(1), good(2)];
    let answer = server
        .store(token, &[before.1, entry.bytes(), behind.1])
        .await;
    let json = answer.json();
    let items = json["00081199"]["Value"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    for uid in [before.0, behind.0] {
        let is_stored = items
            .iter()
            .any(|item| item["00081155"]["Value"][0] == uid.as_str());
        assert!(
            is_stored,
            "{}: a neighbour is not stored: {json}",
            entry.file
        );
    }
}

/// The table as it is checked in.
fn compare_table(table: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/broken.tsv");
    if std::env::var_os("KURA_BLESS").is_some() {
        return std::fs::write(path, table).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    let differing: Vec<_> = table
        .lines()
        .filter(|line| !written.lines().any(|other| other == *line))
        .collect();
    assert!(
        differing.is_empty(),
        "not as tests/it/broken.tsv says: {differing:#?}"
    );
    assert_eq!(table, written, "tests/it/broken.tsv has other lines too");
}
