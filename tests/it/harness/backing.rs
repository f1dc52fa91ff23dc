//! What the servers of a test run on, chosen for the whole run: `KURA_TEST_DATABASE` is `sqlite` (default) or `postgres`,
//! `KURA_TEST_STORAGE` is `fs` (default), `memory` or `s3`.
//!
//! PostgreSQL and the S3 server are started by the first test that needs them and shared by all. A test has a database and a
//! bucket of its own; their addresses stand in a file of its data folder, so that whoever knows the folder finds them.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use kura::storage::Vault;

use super::cluster::Cluster;
use super::server::wait_for;
use super::watched::{SERVER, Watch, free_port};

/// The file in the data folder.
const FILE: &str = "test-backing.env";

/// What `KURA_TEST_DATABASE` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// What `KURA_TEST_STORAGE` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    Fs,
    Memory,
    S3,
}

fn chosen(variable: &str) -> String {
    let value = std::env::var_os(variable).unwrap_or_default();
    value.into_string().unwrap_or_default()
}

/// The database of this run.
pub fn database() -> Database {
    match chosen("KURA_TEST_DATABASE").as_str() {
        "" | "sqlite" => Database::Sqlite,
        "postgres" => Database::Postgres,
        other => panic!("KURA_TEST_DATABASE takes sqlite or postgres, not {other}"),
    }
}

/// The storage of this run.
pub fn storage() -> Storage {
    match chosen("KURA_TEST_STORAGE").as_str() {
        "" | "fs" => Storage::Fs,
        "memory" => Storage::Memory,
        "s3" => Storage::S3,
        other => panic!("KURA_TEST_STORAGE takes fs, memory or s3, not {other}"),
    }
}

/// Whether the run is on something that a test is not about; then it says so and why, and the test returns.
pub fn skips(unfit: bool, why: &str) -> bool {
    static SKIPPED: AtomicUsize = AtomicUsize::new(0);
    if unfit {
        let count = SKIPPED.fetch_add(1, Ordering::SeqCst) + 1;
        println!(
            "skipped on {:?} and {:?} ({count} so far): {why}",
            database(),
            storage()
        );
    }
    unfit
}

/// For tests that start a second server over the same data: what was in memory is gone then.
pub fn forgets() -> bool {
    skips(
        storage() == Storage::Memory,
        "a store in memory ends with its server",
    )
}

/// For tests that look at the files of the embedded default.
pub fn has_no_files() -> bool {
    let unfit = database() != Database::Sqlite || storage() != Storage::Fs;
    skips(unfit, "it looks at the files of the embedded default")
}

/// Gives a data folder the database and the store of this run.
pub fn prepare(data: &Path) {
    let database = (database() == Database::Postgres).then(|| {
        let cluster = Cluster::shared();
        cluster.url(&cluster.database(migrate))
    });
    let storage = match storage() {
        Storage::Fs => None,
        Storage::Memory => Some("memory://".to_owned()),
        Storage::S3 => Some(S3::shared().bucket()),
    };
    place(data, database.as_deref(), storage.as_deref());
}

/// Gives a data folder a database and a store; what is not named is in the folder.
pub fn place(data: &Path, database: Option<&str>, storage: Option<&str>) {
    let database = database.map(|url| format!("KURA_DATABASE_URL={url}"));
    let storage = storage.map(|url| format!("KURA_STORAGE_URL={url}"));
    let credentials = CREDENTIALS.map(|(name, value)| format!("{name}={value}"));
    let lines: Vec<String> = database
        .into_iter()
        .chain(storage)
        .chain(credentials)
        .collect();
    std::fs::write(data.join(FILE), lines.join("\n")).unwrap();
}

/// Adds to what stands in a data folder; what is named again counts as it is named last.
pub fn add(data: &Path, settings: &[(&str, &str)]) {
    let mut lines = vec![std::fs::read_to_string(data.join(FILE)).unwrap()];
    lines.extend(
        settings
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    std::fs::write(data.join(FILE), lines.join("\n")).unwrap();
}

/// Brings a database up to date, as an operator does.
pub fn migrate(url: &str) {
    let data = tempfile::tempdir().unwrap();
    let migrated = Command::new(env!("CARGO_BIN_EXE_kura"))
        .arg("migrate")
        .env("KURA_DATA", data.path())
        .env("KURA_DATABASE_URL", url)
        .output()
        .unwrap();
    assert!(
        migrated.status.success(),
        "{}",
        String::from_utf8_lossy(&migrated.stderr)
    );
}

/// The environment of a command of kura over a data folder; empty for the embedded default.
pub fn environment(data: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(data.join(FILE)).unwrap_or_default();
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// The address of the database of a data folder.
pub fn database_url(data: &Path) -> String {
    let mut environment = environment(data).into_iter();
    let named = environment.find(|(name, _)| name == "KURA_DATABASE_URL");
    let embedded = || format!("sqlite://{}", data.join("kura.db").display());
    named.map_or_else(embedded, |(_, url)| url)
}

/// The store of a data folder, opened once more by the test itself. One in memory is its server's alone: this is another.
/// For S3 the credentials have to be in the environment of the tests, where scripts/test puts them.
pub async fn vault(data: &Path) -> Vault {
    kura::storage::install_transport();
    let mut environment = environment(data).into_iter();
    let named = environment.find(|(name, _)| name == "KURA_STORAGE_URL");
    let folder = || format!("fs://{}", data.join("blobs").display());
    let url = named.map_or_else(folder, |(_, url)| url);
    for (name, value) in CREDENTIALS {
        let given = std::env::var_os(name);
        let fits = !url.starts_with("s3:") || given.is_some_and(|given| given == value);
        assert!(
            fits,
            "{name} has to be {value} in the environment of the tests"
        );
    }
    Vault::open(&url).await.unwrap()
}

/// The names of the objects in the store of a data folder that end so, in order.
pub async fn objects(data: &Path, ending: &str) -> Vec<String> {
    let listed: Vec<_> = vault(data).await.list("").try_collect().await.unwrap();
    let mut names: Vec<String> = listed.into_iter().map(|it| it.object).collect();
    names.retain(|name| name.ends_with(ending));
    names.sort();
    names
}

/// Gives another data folder the database and the store of `data`.
pub fn share(data: &Path, with: &Path) {
    std::fs::copy(data.join(FILE), with.join(FILE)).unwrap();
}

/// Gives up what `data` was given of this run. The S3 server forgets when it ends.
pub fn release(data: &Path) {
    if database() != Database::Postgres {
        return;
    }
    for (name, value) in environment(data) {
        if name == "KURA_DATABASE_URL" {
            let database = value.rsplit('/').next().unwrap_or_default();
            Cluster::shared().drop_database(database);
        }
    }
}

/// What the S3 server lets in.
pub const CREDENTIALS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", "kura"),
    ("AWS_SECRET_ACCESS_KEY", "kura-kura"),
];

/// A moto server (Python).
#[derive(Debug)]
pub struct S3 {
    port: u16,
    buckets: AtomicUsize,
    watch: Watch,
}

impl S3 {
    /// The one of this test program, started when it is first asked for.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<S3> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(free_port()))
    }

    /// The one of this test program where moto is installed, as it has to be in CI.
    pub fn installed() -> Option<&'static Self> {
        let is_ci = std::env::var_os("CI").is_some_and(|ci| ci == "true");
        if moto().is_none() && !is_ci {
            println!("no moto_server: scripts/setup --tests installs it");
            return None;
        }
        Some(Self::shared())
    }

    /// A new one, empty.
    pub fn start(port: u16) -> Self {
        let program = moto().expect("no moto_server: scripts/setup --tests installs it");
        let port_text = port.to_string();
        let words = [
            program.to_str().unwrap(),
            "-H",
            "127.0.0.1",
            "-p",
            &port_text,
        ];
        let server = Self {
            port,
            buckets: AtomicUsize::new(0),
            watch: Watch::run(SERVER, &words),
        };
        wait_for(Duration::from_mins(1), || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        server
    }

    /// Kills it; what it held is gone.
    pub fn stop(self) {
        drop(self.watch);
    }

    /// Makes a bucket and gives its storage URL.
    pub fn bucket(&self) -> String {
        let name = format!("kura-{}", self.buckets.fetch_add(1, Ordering::SeqCst));
        self.make(&name);
        format!(
            "s3://{name}/archive?endpoint=http://127.0.0.1:{}&region=us-east-1",
            self.port
        )
    }

    fn make(&self, bucket: &str) {
        let answer = self.ask("PUT", &format!("/{bucket}"));
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// A plain request, which moto takes without a signature, and the whole answer.
    pub fn ask(&self, method: &str, path: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.port
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

/// `moto_server` of the tests' Python.
fn moto() -> Option<PathBuf> {
    let python = PathBuf::from(std::env::var_os("KURA_TEST_PYTHON").unwrap_or_default());
    let beside = python.with_file_name("moto_server");
    let in_venv = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/moto_server");
    [beside, in_venv].into_iter().find(|path| path.is_file())
}
