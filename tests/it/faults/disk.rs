//! The disk under the embedded default.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use super::{Fault, endure, folder};
use crate::harness::Server;
use crate::harness::watched::Watch;

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    id.stdout.trim_ascii() == b"0"
}

fn run(words: &[&str]) {
    let output = Command::new(words[0]).args(&words[1..]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{words:?}: {told}");
}

/// A file system of 64 MB in memory, gone with the test program.
struct SmallDisk {
    at: PathBuf,
    _watch: Watch,
}

impl SmallDisk {
    /// `None` where this process may not mount one.
    fn mount() -> Option<Self> {
        let at = tempfile::Builder::new()
            .prefix("kura-small-disk-")
            .tempdir()
            .unwrap()
            .keep();
        let text = at.to_str().unwrap();
        let options = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", text];
        let mounted = Command::new(options[0]).args(&options[1..]).output();
        let is_mounted = mounted.is_ok_and(|output| output.status.success());
        let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
        if !is_mounted {
            assert!(!(is_ci && is_root()), "a file system cannot be mounted");
            println!("skipped: mounting a small file system takes root");
            std::fs::remove_dir(&at).unwrap();
            return None;
        }
        let script = r#"cat >/dev/null; umount -l "$1"; rmdir "$1""#;
        Some(Self {
            _watch: Watch::run(script, &[text]),
            at,
        })
    }

    /// Writes until nothing more fits.
    fn fill(&self, name: &str) {
        let filler = std::fs::File::create(self.at.join(name)).unwrap();
        let zeros = vec![0; 64 << 10];
        while std::io::Write::write_all(&mut &filler, &zeros).is_ok() {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s25_a_full_disk_refuses_stores_loses_nothing_and_takes_them_again_when_there_is_room() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let server = Server::start_on(folder(&disk.at, |_| ()));
    let fault = Fault {
        name: "full disk",
        begin: async || disk.fill("filler"),
        repair: async || std::fs::remove_file(disk.at.join("filler")).unwrap(),
        stores: &[507],
        reads: true,
    };
    endure(&server, fault).await;
}

/// Sets whether the folders below and with `at` can be written to.
fn set_writable(at: &Path, writable: bool) {
    for entry in std::fs::read_dir(at).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            set_writable(&entry.path(), writable);
        }
    }
    let mode = if writable { 0o755 } else { 0o555 };
    std::fs::set_permissions(at, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// The server runs as `nobody` where the tests run as root, whom no permission stops.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s24_a_folder_that_became_read_only_refuses_stores_and_loses_nothing() {
    let data = folder(&std::env::temp_dir(), |_| ());
    let program = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kura"));
    if is_root() {
        // Where `nobody` can reach it.
        let copy = program.path().join("kura");
        std::fs::copy(env!("CARGO_BIN_EXE_kura"), &copy).unwrap();
        std::fs::set_permissions(program.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        run(&["chown", "-R", "nobody", data.path().to_str().unwrap()]);
        command = Command::new("setpriv");
        command.args(["--reuid=nobody", "--clear-groups"]).arg(copy);
    }
    let server = Server::start_with(Arc::clone(&data), command);
    let blobs = data.path().join("blobs");
    let fault = Fault {
        name: "read-only folder",
        begin: async || set_writable(&blobs, false),
        repair: async || set_writable(&blobs, true),
        stores: &[503],
        reads: true,
    };
    endure(&server, fault).await;
}
