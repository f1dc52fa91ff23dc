//! The database or the store is away. Each has a server of its own here, since it is stopped.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Fault, endure, folder};
use crate::harness::Server;
use crate::harness::backing::{self, S3};
use crate::harness::cluster::Cluster;
use crate::harness::server::wait_for;
use crate::harness::watched::{SERVER, Watch, free_port};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s24_a_database_that_was_stopped_and_started_loses_nothing() {
    let Some(store) = S3::installed() else { return };
    let cluster = Cluster::start();
    let database = cluster.url(&cluster.empty_database());
    backing::migrate(&database);
    let bucket = store.bucket();
    let place = |data: &Path| backing::place(data, Some(&database), Some(&bucket));
    let server = Server::start_on(folder(&std::env::temp_dir(), place));
    let fault = Fault {
        name: "PostgreSQL away",
        begin: async || cluster.stop(),
        repair: async || cluster.resume(),
        stores: &[503],
        reads: false,
    };
    endure(&server, fault).await;
}

/// What s3rver lets in.
const CREDENTIALS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "S3RVER"),
    ("AWS_SECRET_ACCESS_KEY", "S3RVER"),
];

/// An S3 server that keeps what it was given in a folder, so that it is there again after a kill (s3rver, by npm).
struct Kept {
    program: PathBuf,
    folder: tempfile::TempDir,
    port: u16,
}

/// How it names what belongs to one key.
const OBJECT: &str = "._S3rver_object";
const METADATA: &str = "._S3rver_metadata.json";

impl Kept {
    fn installed() -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let program = root.join("tests/node/node_modules/.bin/s3rver");
        if !program.is_file() {
            let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
            assert!(!is_ci, "no s3rver: scripts/setup --tests installs it");
            println!("skipped: no s3rver; scripts/setup --tests installs it where npm is");
            return None;
        }
        Some(Self {
            program,
            folder: tempfile::tempdir().unwrap(),
            port: free_port(),
        })
    }

    fn start(&self) -> Watch {
        drop_half_written(self.folder.path());
        let port = self.port.to_string();
        let words = [
            self.program.to_str().unwrap(),
            "-d",
            self.folder.path().to_str().unwrap(),
            "-a",
            "127.0.0.1",
            "-p",
            &port,
            "--no-vhost-buckets",
            "--allow-mismatched-signatures",
            "--configure-bucket",
            "kura",
        ];
        let watch = Watch::run(SERVER, &words);
        wait_for(Duration::from_mins(1), || {
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
        watch
    }

    /// The storage URL.
    fn url(&self) -> String {
        let endpoint = format!("http://127.0.0.1:{}", self.port);
        format!("s3://kura/archive?endpoint={endpoint}&region=us-east-1")
    }
}

/// Killed in the middle of a put it leaves an object without readable metadata and cannot list its bucket any more; an S3
/// server that is one shows an object when it is whole. Whoever sent it was told nothing.
fn drop_half_written(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            drop_half_written(&path);
        } else if let Some(key) = path.to_str().and_then(|it| it.strip_suffix(OBJECT)) {
            let metadata = std::fs::read(format!("{key}{METADATA}")).unwrap_or_default();
            if serde_json::from_slice::<serde_json::Value>(&metadata).is_err() {
                std::fs::remove_file(&path).unwrap();
                std::fs::remove_file(format!("{key}{METADATA}")).ok();
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s24_a_store_that_was_killed_and_started_loses_nothing() {
    let Some(store) = Kept::installed() else {
        return;
    };
    let running = std::cell::RefCell::new(Some(store.start()));
    let url = store.url();
    let place = |data: &Path| {
        backing::place(data, None, Some(&url));
        backing::add(data, &CREDENTIALS);
    };
    let server = Server::start_on(folder(&std::env::temp_dir(), place));
    let fault = Fault {
        name: "S3 away",
        begin: async || drop(running.borrow_mut().take()),
        repair: async || *running.borrow_mut() = Some(store.start()),
        stores: &[503],
        reads: false,
    };
    endure(&server, fault).await;
}
