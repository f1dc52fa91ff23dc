//! `kura export`: the way out.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{command, ended, fails, run};
use crate::harness::{Server, instance};

fn export(at: &Path, query: &str, folder: &Path) -> super::Ended {
    let folder = folder.to_str().unwrap();
    ended(command(at, &["export", "--facility", "F001", query, folder]).env("KURA_LOG", "off"))
}

/// The one pack of the data folder that holds `bytes`, and where.
pub fn pack_with(data: &Path, bytes: &[u8]) -> (PathBuf, usize) {
    let mut open = vec![data.join("blobs")];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|end| end == "pack") {
                let found = memchr::memmem::find(&fs::read(&path).unwrap(), bytes);
                if let Some(found) = found {
                    return (path, found);
                }
            }
        }
    }
    panic!("no pack holds it");
}

#[tokio::test]
async fn what_a_facility_owns_leaves_byte_for_byte_with_digests() {
    let server = Server::start();
    let at = server.data.path();
    let one = instance("1.2.3.1").file();
    // Without preamble and meta information, as it is taken too (T14).
    let bare = instance("1.2.3.2")
        .implicit()
        .text(0x0010_0020, "LO", "P2")
        .file();
    let bare = bare[bare.windows(4).position(|w| w == b"\x08\0\x05\0").unwrap()..].to_vec();
    let other = instance("1.2.3.3").text(0x0010_0020, "LO", "P3").file();
    server
        .stored(&server.reader("F001"), &[&one[..], &bare])
        .await;
    server.stored(&server.reader("F001"), &[&other]).await;
    server
        .stored(&server.reader("F002"), &[instance("1.2.3.9").file()])
        .await;

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let none = export(at, "PatientID=P9", &out);
    assert_eq!(
        none.out,
        "exported 0 studies: 0 files written (0 B), 0 there already, 0 damaged\n"
    );
    let first = export(at, "PatientID=P?&StudyDate=20240101-", &out);
    let size = indicatif::HumanBytes((one.len() + bare.len() + other.len()) as u64);
    assert_eq!(
        (first.code, first.out, first.err.as_str()),
        (
            0,
            format!("exported 3 studies: 3 files written ({size}), 0 there already, 0 damaged\n"),
            ""
        )
    );
    for (uid, file) in [("1.2.3.1", &one), ("1.2.3.2", &bare), ("1.2.3.3", &other)] {
        let path = out.join(format!("{uid}.1/{uid}.1.1/{uid}.1.1.1.dcm"));
        assert!(fs::read(&path).unwrap() == *file, "{uid}");
    }
    assert!(!out.join("1.2.3.9.1").exists(), "another facility's");
    let checked = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .current_dir(&out)
        .status()
        .unwrap();
    assert!(checked.success());

    // Torn by hand: what is whole stays, what is not is written again.
    let torn = out.join("1.2.3.3.1/1.2.3.3.1.1/1.2.3.3.1.1.1.dcm");
    fs::write(torn, &other[..99]).unwrap();
    let second = export(at, "", &out);
    assert!(
        second.out.contains("1 files written") && second.out.contains("2 there already"),
        "{second:?}"
    );

    // One study only: the digests of the others stay in the list.
    let third = export(at, "StudyInstanceUID=1.2.3.3.1", &out);
    assert!(
        third.out.starts_with("exported 1 studies: 0 files"),
        "{third:?}"
    );
    assert_eq!(
        fs::read_to_string(out.join("SHA256SUMS"))
            .unwrap()
            .lines()
            .count(),
        3
    );
}

#[tokio::test]
async fn a_damaged_file_is_named_and_the_rest_goes_on() {
    let server = Server::start();
    let at = server.data.path();
    let (good, bad) = (instance("1.2.3.1").file(), instance("1.2.3.2").file());
    server.stored(&server.reader("F001"), &[&good, &bad]).await;
    let (pack, place) = pack_with(at, &bad);
    let mut bytes = fs::read(&pack).unwrap();
    bytes[place + bad.len() - 1] ^= 1;
    fs::write(&pack, bytes).unwrap();
    let out = tempfile::tempdir().unwrap();
    let exported = export(at, "", out.path());
    let lines: Vec<&str> = exported.out.lines().collect();
    assert_eq!((exported.code, lines.len()), (1, 2), "{exported:?}");
    assert!(
        lines[0].starts_with("damaged\t1.2.3.2.1/1.2.3.2.1.1/1.2.3.2.1.1.1.dcm\t"),
        "{}",
        lines[0]
    );
    assert!(
        lines[1].contains("1 files written") && lines[1].ends_with("1 damaged"),
        "{}",
        lines[1]
    );
    let sums = fs::read_to_string(out.path().join("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count(), 1);
    let left = fs::read_dir(out.path().join("1.2.3.2.1/1.2.3.2.1.1"))
        .unwrap()
        .count();
    assert_eq!(left, 0, "no partial file stays");
}

#[tokio::test]
async fn an_export_is_noted_and_what_would_take_too_much_is_refused() {
    let server = Server::start();
    let at = server.data.path();
    server
        .stored(&server.reader("F001"), &[instance("1.2.3.1").file()])
        .await;
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().to_str().unwrap();
    let words = ["export", "--facility", "F001", "PatientID=P1", folder];
    let noted = ended(command(at, &words).env("KURA_LOG", "info"));
    let trail = noted
        .err
        .lines()
        .find(|line| line.contains("handed out"))
        .unwrap();
    assert!(
        trail.contains("duty:export") && trail.contains("F001") && trail.contains("1.2.3.1.1"),
        "{trail}"
    );
    assert!(
        !noted.err.contains("P1") && !noted.err.contains("Yamada"),
        "{}",
        noted.err
    );

    for (query, hint) in [
        ("PatientIdd=P1", "PatientIdd"),
        ("StudyDate=soon", "StudyDate"),
        ("PatientID=P1&limit=3", "limit"),
    ] {
        let refused = export(at, query, &out.path().join("none"));
        fails(&refused, 2, hint);
    }
    assert!(!out.path().join("none").exists());
    fails(
        &run(at, "export --facility F009 PatientID=1 /nonexistent"),
        2,
        "F009",
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    fails(&export(at, "", file.path()), 1, "folder of the export");
    assert_eq!(run(at, "export --facility F001").code, 2);
}
