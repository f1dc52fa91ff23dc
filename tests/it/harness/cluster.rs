//! A PostgreSQL of the tests' own: a cluster in a temporary folder, on a port of its own, without `fsync`, ended with the test
//! program. Its own order of text is not bytewise, so that a column which forgets its collation shows.
//!
//! PostgreSQL refuses to run as root: then it runs as the user `postgres`, whom the Debian package makes; anybody else runs it
//! as himself.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::watched::{Watch, free_port};

/// A running cluster.
#[derive(Debug)]
pub struct Cluster {
    folder: PathBuf,
    port: u16,
    settings: &'static str,
    databases: AtomicUsize,
    template: OnceLock<()>,
    _watch: Watch,
}

/// Where the programs of the newest PostgreSQL are.
fn programs() -> PathBuf {
    let debian = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let mut found: Vec<PathBuf> = debian
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    found.sort();
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    found.extend(std::env::split_paths(&on_path));
    let found = found
        .into_iter()
        .rev()
        .find(|folder| folder.join("initdb").exists());
    let found = found.expect("no PostgreSQL: scripts/setup --tests installs it");
    // A link beside others leads to where all of them are.
    let initdb = found
        .join("initdb")
        .canonicalize()
        .expect("initdb is there");
    initdb.parent().expect("it lies in a folder").to_owned()
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().expect("id runs");
    id.stdout.trim_ascii() == b"0"
}

/// The words before a command that has to run as the user of the cluster.
fn as_user() -> &'static [&'static str] {
    static ROOT: OnceLock<bool> = OnceLock::new();
    if *ROOT.get_or_init(is_root) {
        &[
            "setpriv",
            "--reuid=postgres",
            "--regid=postgres",
            "--clear-groups",
        ]
    } else {
        &[]
    }
}

fn run(words: &[&str]) {
    let output = Command::new(words[0])
        .args(&words[1..])
        // Where any user may stand.
        .current_dir("/")
        .env("LC_ALL", "C.UTF-8")
        .output()
        .unwrap_or_else(|error| panic!("{words:?}: {error}"));
    assert!(
        output.status.success(),
        "{words:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

impl Cluster {
    /// The one of this test program, started when it is first asked for.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Cluster> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    /// A new one, which forgets in a power cut what it was told last.
    pub fn start() -> Self {
        Self::start_with("-c fsync=off -c full_page_writes=off -c shared_buffers=64MB")
    }

    /// A new one with settings of its own, which keeps what it was told.
    pub fn start_with(settings: &'static str) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("kura-postgres-")
            .tempdir()
            .expect("a folder can be made")
            .keep();
        let bin = programs();
        if !as_user().is_empty() {
            run(&["chown", "postgres", text(&folder)]);
        }
        let data = folder.join("data");
        let initdb = bin.join("initdb");
        let mut words = as_user().to_vec();
        words.extend([
            text(&initdb),
            "-D",
            text(&data),
            "-U",
            "kura",
            "--auth=trust",
        ]);
        words.extend([
            "-E",
            "UTF8",
            "--locale-provider=icu",
            "--icu-locale=en-US",
            "-N",
        ]);
        run(&words);
        let clean_up = format!(
            "cat >/dev/null; {} \"$1\" stop -s -m immediate -D \"$2\"; rm -rf \"$3\"",
            as_user().join(" ")
        );
        let pg_ctl = bin.join("pg_ctl");
        let cluster = Self {
            _watch: Watch::run(&clean_up, &[text(&pg_ctl), text(&data), text(&folder)]),
            folder,
            port: free_port(),
            settings,
            databases: AtomicUsize::new(0),
            template: OnceLock::new(),
        };
        cluster.resume();
        cluster
    }

    fn pg_ctl(&self, words: &[&str]) {
        let (pg_ctl, data) = (programs().join("pg_ctl"), self.folder.join("data"));
        let mut all = as_user().to_vec();
        all.extend([text(&pg_ctl), "-s", "-w", "-D", text(&data)]);
        all.extend(words);
        run(&all);
    }

    /// Stops the server at once, as a crash would.
    pub fn stop(&self) {
        self.pg_ctl(&["stop", "-m", "immediate"]);
    }

    /// Starts the server, which answers then.
    pub fn resume(&self) {
        let options = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c max_connections=300 {}",
            self.port,
            text(&self.folder),
            self.settings
        );
        let log = self.folder.join("log");
        self.pg_ctl(&["start", "-l", text(&log), "-o", &options]);
    }

    /// The address of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://kura@127.0.0.1:{}/{database}", self.port)
    }

    /// Runs a statement on a database.
    pub fn sql(&self, database: &str, statement: &str) {
        let psql = programs().join("psql");
        let address = self.url(database);
        run(&[
            text(&psql),
            "-q",
            "-v",
            "ON_ERROR_STOP=1",
            "-c",
            statement,
            &address,
        ]);
    }

    /// Makes an empty database and gives its name.
    pub fn empty_database(&self) -> String {
        self.make("template1")
    }

    /// Makes a database whose schema is current. The first time `migrate` brings that of the template up to date.
    pub fn database(&self, migrate: impl FnOnce(&str)) -> String {
        self.template.get_or_init(|| {
            self.sql("postgres", "CREATE DATABASE template_kura");
            migrate(&self.url("template_kura"));
        });
        self.make("template_kura")
    }

    fn make(&self, template: &str) -> String {
        let name = format!("test_{}", self.databases.fetch_add(1, Ordering::SeqCst));
        self.sql(
            "postgres",
            &format!("CREATE DATABASE {name} TEMPLATE {template}"),
        );
        name
    }

    /// Drops a database, whoever uses it.
    pub fn drop_database(&self, name: &str) {
        self.sql(
            "postgres",
            &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"),
        );
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a temporary folder is UTF-8")
}
