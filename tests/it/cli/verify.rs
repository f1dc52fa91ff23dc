//! `kura verify`: each kind of damage has its line.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Ended, fails, run};
use crate::harness::{Server, instance};

const FIRST: &str = "1.2.3.1.1.1.1";

/// A copy of a data folder.
pub fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    copy_below(from, to.path());
    to
}

fn copy_below(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let at = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_below(&path, &at);
        } else {
            fs::copy(path, at).unwrap();
        }
    }
}

/// The objects of a data folder with an ending, sorted.
pub fn objects(data: &Path, ending: &str) -> Vec<PathBuf> {
    let (mut found, mut open) = (Vec::new(), vec![data.join("blobs")]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Runs SQL over the database of a data folder.
pub async fn sql(data: &Path, statement: impl Into<String>) {
    use sqlx::Connection as _;
    let url = format!("sqlite://{}/kura.db", data.display());
    let mut connection = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let statement = sqlx::AssertSqlSafe(statement.into());
    sqlx::query(statement)
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

/// A data folder with two packs: a study of two series of one facility, one study of another.
async fn filled() -> std::sync::Arc<TempDir> {
    let server = Server::start();
    let files = [
        instance("1.2.3.1").file(),
        instance("1.2.3.1")
            .uids("1.2.3.1.1", "1.2.3.1.1.2", "1.2.3.1.1.2.1")
            .modality("SR")
            .file(),
    ];
    server.stored(&server.reader("F001"), &files).await;
    server
        .stored(&server.reader("F002"), &[instance("1.2.3.2").file()])
        .await;
    std::sync::Arc::clone(&server.data)
}

/// Columns of each line but the last.
fn findings(ended: &Ended) -> Vec<Vec<&str>> {
    let lines: Vec<&str> = ended.out.lines().collect();
    let (last, lines) = lines.split_last().expect("the counts");
    assert!(last.starts_with("verified "), "{last}");
    let columns = lines.iter().map(|line| line.split('\t').collect());
    let columns: Vec<Vec<&str>> = columns.collect();
    assert!(
        columns.iter().all(|columns| columns.len() == 8),
        "{}",
        ended.out
    );
    columns
}

fn pack(at: &Path) -> PathBuf {
    objects(at, "pack")[0].clone()
}

fn meta(at: &Path) -> PathBuf {
    objects(at, "meta")[0].clone()
}

/// Words, what is done to a data folder, what must be found.
type Case = (
    &'static str,
    Box<dyn FnOnce(&Path)>,
    (&'static str, &'static str, &'static str, &'static str),
);

/// `damage` must be found: a line whose first columns are `kind`, an object with the ending, the owner, and which says `hint`.
#[track_caller]
fn check(data: &Path, line: &str, damage: impl FnOnce(&Path), expected: (&str, &str, &str, &str)) {
    let copy = copy(data);
    damage(copy.path());
    let verified = run(copy.path(), line);
    let (kind, ending, owner, hint) = expected;
    let found = findings(&verified);
    let fits = |columns: &&Vec<&str>| {
        columns[0] == kind
            && columns[1].ends_with(ending)
            && columns[2] == owner
            && columns.iter().any(|column| column.contains(hint))
    };
    assert!(
        found.iter().any(|columns| fits(&columns)),
        "{expected:?}: {}",
        verified.out
    );
    assert_eq!(
        verified.code,
        i32::from(kind != "newer"),
        "{}",
        verified.out
    );
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[tokio::test]
async fn each_kind_of_damage_is_named_with_object_and_owner() {
    let data = filled().await;
    let at = data.path();
    let bytes: u64 = objects(at, "meta")
        .iter()
        .map(|path| path.metadata().unwrap().len())
        .sum();
    let clean = run(at, "verify");
    let files = 2 * instance("1.2.3.1").file().len()
        + instance("1.2.3.1")
            .uids("1.2.3.1.1", "1.2.3.1.1.2", "1.2.3.1.1.2.1")
            .file()
            .len();
    let size = indicatif::HumanBytes(bytes + files as u64);
    assert_eq!(
        (clean.code, clean.out, clean.err.as_str()),
        (
            0,
            format!(
                "verified 2 packs, 3 instances, 4 objects, {size} digested: nothing is wrong\n"
            ),
            ""
        )
    );
    let quick = run(at, "verify --quick");
    assert_eq!(
        quick.out,
        "verified 2 packs, 3 instances, 4 objects, no digests: nothing is wrong\n"
    );

    let cases: Vec<Case> = vec![
        (
            "verify",
            Box::new(|at| change(&pack(at), |b| b[300] ^= 1)),
            ("corrupt", ".pack", "F001", FIRST),
        ),
        (
            "verify",
            Box::new(|at| fs::remove_file(pack(at)).unwrap()),
            ("missing", ".pack", "F001", "1.2.3.1.1"),
        ),
        (
            "verify --quick",
            Box::new(|at| fs::remove_file(meta(at)).unwrap()),
            ("missing", ".meta", "F001", "1.2.3.1.1"),
        ),
        (
            "verify --quick",
            Box::new(|at| change(&pack(at), |b| b.truncate(400))),
            ("torn", ".pack", "F001", "400 bytes"),
        ),
        (
            "verify --quick",
            Box::new(|at| change(&meta(at), |b| b.push(0))),
            ("torn", ".meta", "F001", "bytes"),
        ),
        (
            "verify --quick",
            Box::new(|at| {
                change(&pack(at), |b| {
                    let n = b.len();
                    b[n - 30] ^= 1;
                });
            }),
            ("torn", ".pack", "F001", "checksum"),
        ),
        (
            "verify",
            Box::new(|at| change(&meta(at), |b| b[5] ^= 1)),
            ("corrupt", ".meta", "F001", "1.2.3.1.1.1"),
        ),
        (
            "verify --quick",
            Box::new(|at| fs::write(at.join("blobs/stray.bin"), b"x").unwrap()),
            ("orphan", "stray.bin", "-", "not a name"),
        ),
        (
            "verify --quick --grace 0",
            Box::new(orphan),
            ("orphan", ".pack", "F001", "no row"),
        ),
        (
            "verify --quick",
            Box::new(orphan),
            ("newer", ".pack", "F001", "newer"),
        ),
    ];
    for (line, damage, expected) in cases {
        check(at, line, damage, expected);
    }
}

/// A pack that no row knows: begun before the newest, under a key of its own.
fn orphan(at: &Path) {
    let from = objects(at, "pack")[0].clone();
    let name = from.file_stem().unwrap().to_str().unwrap();
    let other = format!("{}{}", &name[..name.len() - 12], "0123456789ab");
    fs::copy(&from, from.with_file_name(format!("{other}.pack"))).unwrap();
}

#[tokio::test]
async fn rows_that_say_something_else_are_found() {
    let data = filled().await;
    for (statement, expected) in [
        (
            "UPDATE instance SET digest = zeroblob(32) WHERE sop_instance_uid = '1.2.3.1.1.1.1'",
            ("mismatch", ".pack", "F001", FIRST),
        ),
        (
            "UPDATE instance SET pack_offset = pack_offset + 1 WHERE sop_instance_uid = '1.2.3.1.1.1.1'",
            ("mismatch", ".pack", "F001", FIRST),
        ),
        (
            "UPDATE metadata_piece SET crc32 = crc32 + 1",
            ("mismatch", ".meta", "F001", "1.2.3.1.1.1"),
        ),
        (
            "UPDATE pack SET digest = zeroblob(32)",
            ("corrupt", ".pack", "F002", "footer"),
        ),
        (
            "DELETE FROM instance_uid WHERE sop_instance_uid = '1.2.3.1.1.1.1'",
            ("mismatch", ".pack", "F001", "SOP Instance UID"),
        ),
        (
            "UPDATE study SET instance_count = 7 WHERE study_instance_uid = '1.2.3.1.1'",
            ("count", "-", "-", "1.2.3.1.1"),
        ),
        (
            "UPDATE series SET class_mask = 0 WHERE series_instance_uid = '1.2.3.1.1.2'",
            ("count", "-", "-", "1.2.3.1.1.2"),
        ),
    ] {
        let copy = copy(data.path());
        sql(copy.path(), statement).await;
        check(copy.path(), "verify --quick", |_| (), expected);
    }
    let copy = copy(data.path());
    sql(
        copy.path(),
        "DELETE FROM instance_uid WHERE sop_instance_uid = '1.2.3.1.1.1.1'",
    )
    .await;
    sql(
        copy.path(),
        "DELETE FROM instance WHERE sop_instance_uid = '1.2.3.1.1.1.1'",
    )
    .await;
    check(
        copy.path(),
        "verify --quick",
        |_| (),
        ("orphan", ".pack", "F001", FIRST),
    );
}

#[test]
fn a_verify_that_cannot_look_says_so() {
    let data = tempfile::tempdir().unwrap();
    let at = data.path();
    let empty = run(at, "verify");
    assert_eq!(
        (empty.code, empty.out.as_str()),
        (
            0,
            "verified 0 packs, 0 instances, 0 objects, 0 B digested: nothing is wrong\n"
        )
    );
    fs::write(at.join("file"), "").unwrap();
    let url = format!("fs://{}/file/blobs", at.display());
    fails(
        &run(at, &format!("verify --storage-url {url}")),
        1,
        "storage folder",
    );
    assert_eq!(run(at, "verify --grace soon").code, 2);
}
