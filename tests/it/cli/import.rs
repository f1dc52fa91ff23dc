//! `kura import`: folders into the archive, once.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use super::{command, ended, fails, run};
use crate::harness::server::wait_for;
use crate::harness::{Server, instance};

/// Small instances of one study below a folder, a hundred in each.
fn fill(folder: &Path, count: usize) {
    for number in 0..count {
        let below = folder.join(format!("{:03}", number / 100));
        fs::create_dir_all(&below).unwrap();
        let file = instance("1.2.3.8")
            .uids("1.2.3.8.1", "1.2.3.8.1.1", &format!("1.2.3.8.1.1.{number}"))
            .file();
        fs::write(below.join(format!("{number}.dcm")), file).unwrap();
    }
}

/// The SOP Instance UIDs that the server lists, each of which must be there once.
async fn listed(server: &Server, token: &str) -> BTreeSet<String> {
    let answer = server.get("/instances?limit=5000", token).await;
    if answer.status == 204 {
        return BTreeSet::new();
    }
    let rows = answer.json().as_array().unwrap().clone();
    let uids: BTreeSet<String> = rows
        .iter()
        .map(|row| row["00080018"]["Value"][0].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(uids.len(), rows.len(), "nothing is there twice");
    uids
}

#[tokio::test]
async fn a_folder_is_stored_beside_a_server_and_what_is_refused_is_named() {
    let server = Server::start();
    let at = server.data.path();
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    put("a/1", &instance("1.2.3.1").file());
    put("a/2", &instance("1.2.3.2").file());
    put("a/2 again", &instance("1.2.3.2").file());
    put(
        "b/odd",
        &instance("1.2.3.3")
            .text(0x0008_0020, "DA", "yesterday")
            .file(),
    );
    put("b/bad", &instance("1.2.3.4").without(0x0020_000E).file());
    put("b/notes.txt", "これはDICOMではない".as_bytes());
    put("b/empty", b"");
    put("DICOMDIR", &instance("1.2.3.5").file());
    std::os::unix::fs::symlink(at, folder.path().join("link")).unwrap();
    let words = [
        "import",
        "--facility",
        "F001",
        folder.path().to_str().unwrap(),
    ];

    let first = ended(&mut command(at, &words));
    let bad = folder.path().canonicalize().unwrap().join("b/bad");
    let lines: Vec<&str> = first.out.lines().collect();
    assert_eq!(
        (first.code, first.err.as_str(), lines.len()),
        (1, "", 2),
        "{first:?}"
    );
    assert!(
        lines[0].starts_with(&format!("refused\tC000\t{}\t", bad.display()))
            && lines[0].contains("SeriesInstanceUID"),
        "{}",
        lines[0]
    );
    assert_eq!(
        lines[1],
        "found 8, stored 3, already there 1, skipped 4, refused 1, unreadable 0, warnings 1"
    );
    let token = server.reader("F001");
    assert_eq!(listed(&server, &token).await.len(), 3);

    let report = folder.path().join("../report.jsonl");
    let report = tempfile::NamedTempFile::new_in(report.parent().unwrap()).unwrap();
    let mut again = command(at, &words);
    let again = ended(again.arg("--report").arg(report.path()));
    assert_eq!(
        (again.code, again.out.as_str()),
        (
            1,
            "found 8, stored 0, already there 4, skipped 4, refused 1, unreadable 0, warnings 0\n"
        )
    );
    let said: serde_json::Value =
        serde_json::from_str(fs::read_to_string(report.path()).unwrap().trim()).unwrap();
    assert_eq!(
        (
            &said["outcome"],
            &said["code"],
            &said["file"],
            &said["sopInstance"]
        ),
        (
            &"refused".into(),
            &"C000".into(),
            &bad.to_str().unwrap().into(),
            &"1.2.3.4.1.1.1".into()
        )
    );

    fs::remove_file(bad).unwrap();
    let clean = ended(command(at, &words).arg("--again"));
    assert_eq!(
        (clean.code, clean.out.as_str()),
        (
            0,
            "found 7, stored 0, already there 4, skipped 4, refused 0, unreadable 0, warnings 0\n"
        )
    );
}

#[test]
fn an_import_that_cannot_begin_says_why() {
    let data = tempfile::tempdir().unwrap();
    let at = data.path();
    run(at, "facility add F001 --name One");
    fails(
        &run(at, "import /nonexistent --facility F001"),
        2,
        "/nonexistent",
    );
    fails(&run(at, "import . --facility F009"), 2, "F009");
    fails(
        &run(at, "import . --facility F001 --report /nonexistent/report"),
        2,
        "report",
    );
    assert_eq!(run(at, "import --facility F001").code, 2, "no folder");
    assert_eq!(run(at, "import .").code, 2, "no facility");
}

#[tokio::test]
async fn an_import_that_was_killed_goes_on_and_stores_nothing_twice() {
    const FILES: usize = 2_500;
    let server = Server::start();
    let (at, token) = (server.data.path(), server.reader("F001"));
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), FILES);
    let words = [
        "import",
        "--facility",
        "F001",
        folder.path().to_str().unwrap(),
    ];
    let mut child = command(at, &words)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut before = BTreeSet::new();
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while before.is_empty() && std::time::Instant::now() < deadline {
        before = listed(&server, &token).await;
    }
    child.kill().unwrap();
    wait_for(Duration::from_secs(20), || child.try_wait().unwrap());
    let before = listed(&server, &token).await.len();
    assert!(
        (1..FILES).contains(&before),
        "killed in the middle, after {before}"
    );

    let second = ended(&mut command(at, &words));
    let there = FILES - before;
    assert_eq!(
        (second.code, second.out),
        (
            0,
            format!(
                "found {FILES}, stored {there}, already there {before}, skipped 0, refused 0, unreadable 0, warnings 0\n"
            )
        ),
        "{}",
        second.err
    );
    assert_eq!(listed(&server, &token).await.len(), FILES);
    let third = ended(&mut command(at, &words));
    assert!(
        third
            .out
            .contains(&format!("stored 0, already there {FILES}")),
        "{third:?}"
    );
    let verified = run(at, "verify --grace 0");
    assert!(verified.out.contains("nothing is wrong") || verified.out.contains("orphan"));
}

#[tokio::test]
async fn a_journal_does_not_stand_in_for_an_index_that_was_lost() {
    let data = tempfile::tempdir().unwrap();
    let at = data.path();
    let folder = tempfile::tempdir().unwrap();
    fill(folder.path(), 20);
    let words = [
        "import",
        "--facility",
        "F001",
        folder.path().to_str().unwrap(),
    ];
    for _ in 0..2 {
        run(at, "facility add F001 --name One");
        let imported = ended(&mut command(at, &words));
        assert!(
            imported.out.contains("stored 20, already there 0"),
            "{imported:?}"
        );
        for name in ["kura.db", "kura.db-wal", "kura.db-shm"] {
            fs::remove_file(at.join(name)).ok();
        }
        fs::remove_dir_all(at.join("blobs")).unwrap();
    }
}
