//! Requests to an object store, as its own log counts them: for studies of the usual kinds, what storing, writing anew,
//! sweeping and reading ask for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::harness::Server;
use crate::harness::backing::{self, CREDENTIALS};
use crate::harness::server::{kura, wait_for};
use crate::harness::watched::{Watch, free_port};
use crate::servers::client::{Ask, Connection};
use crate::servers::ct;

/// A server that `$@` starts, its log in `$log`: killed at the end.
const LOGGED: &str =
    r#"log=$1; shift; "$@" >/dev/null 2>"$log" & server=$!; cat >/dev/null; kill -9 $server"#;
const ROOT: &str = "/dicomweb/studies";

/// A kind of study: its name, how many instances, half megabytes of each, frames of each, instances of a request.
const KINDS: &[(&str, usize, usize, usize, usize)] = &[
    ("CT, 600 slices of 0.5 MB", 600, 1, 1, 10),
    ("CR, 2 images of 8 MB", 2, 16, 1, 1),
    ("MG, 4 images of 26 MB", 4, 52, 1, 1),
    ("US, 12 loops of 20 frames, 10 MB", 12, 20, 20, 1),
];

/// A moto server and its log.
struct Logged {
    port: u16,
    log: PathBuf,
    _watch: Watch,
}

impl Logged {
    fn start(folder: &Path) -> Option<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/moto_server");
        if !program.is_file() {
            return None;
        }
        let (port, log) = (free_port(), folder.join("moto.log"));
        let words = [
            log.to_str()?.to_owned(),
            program.to_str()?.to_owned(),
            "-H".to_owned(),
            "127.0.0.1".to_owned(),
            "-p".to_owned(),
            port.to_string(),
        ];
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let watch = Watch::run(LOGGED, &words);
        wait_for(Duration::from_mins(1), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Some(Self {
            port,
            log,
            _watch: watch,
        })
    }

    /// The storage URL of a bucket that is made.
    fn bucket(&self) -> String {
        let made = Command::new("curl")
            .args([
                "-fsS",
                "-X",
                "PUT",
                &format!("http://127.0.0.1:{}/kura", self.port),
            ])
            .output();
        assert!(made.expect("curl runs").status.success());
        format!(
            "s3://kura/archive?endpoint=http://127.0.0.1:{}&region=us-east-1",
            self.port
        )
    }

    /// Requests so far, by kind.
    fn so_far(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        for line in text.lines() {
            let Some(request) = line.split('"').nth(1) else {
                continue;
            };
            // Lines of some statuses are coloured.
            let request = request.rsplit("[1m").next().unwrap_or_default();
            let (method, target) = request.split_once(' ').unwrap_or_default();
            *counts.entry(kind(method, target)).or_insert(0) += 1;
        }
        counts
    }
}

/// What a request is, in the words of price lists: those of one row cost the same.
fn kind(method: &str, target: &str) -> &'static str {
    match method {
        "PUT" | "POST" if target.contains("?delete") => "DELETE",
        "PUT" | "POST" => "PUT",
        "GET" if target.contains("list-type") => "LIST",
        "GET" | "HEAD" => "GET",
        "DELETE" => "DELETE",
        _ => "other",
    }
}

/// Counts, and prints a table; whether there was a server to count at.
#[expect(clippy::print_stdout, reason = "a program for the command line")]
pub(crate) async fn run() -> bool {
    let data = Arc::new(tempfile::tempdir().expect("a folder can be made"));
    let Some(store) = Logged::start(data.path()) else {
        println!("no moto_server: scripts/setup --tests installs it");
        return false;
    };
    backing::place(data.path(), None, Some(&store.bucket()));
    backing::add(
        data.path(),
        &[
            ("KURA_STORAGE__REPACK_QUIET_S", "1"),
            ("KURA_WORKER__POLL_S", "1"),
            ("KURA_METRICS__LISTEN", "127.0.0.1:0"),
            CREDENTIALS[0],
            CREDENTIALS[1],
        ],
    );
    kura(
        data.path(),
        &["facility", "add", "F001", "--name", "Hospital"],
    );
    let server = Server::start_on(Arc::clone(&data));
    let pixels: Vec<Bytes> = (0..ct::SLICES).map(ct::pixels).collect();
    println!("| study | what | PUT | GET | LIST | DELETE |\n| --- | --- | --- | --- | --- | --- |");
    for (at, kind) in KINDS.iter().enumerate() {
        let study = format!("1.2.826.0.1.9{at}");
        let before = store.so_far();
        put(&server, &study, kind, &pixels).await;
        let stored = settled(&store).await;
        row(kind.0, "stored, and written anew once", &before, &stored);
        shown(&server, &study, kind).await;
        row(
            kind.0,
            "every frame looked at once",
            &stored,
            &settled(&store).await,
        );
    }
    true
}

async fn connect(server: &Server) -> Connection {
    let token = server.reader("F001");
    Connection::open(server.base.trim_start_matches("http://"), &token).await
}

async fn put(
    server: &Server,
    study: &str,
    (_, instances, slices, frames, batch): &(&str, usize, usize, usize, usize),
    pixels: &[Bytes],
) {
    let mut connection = connect(server).await;
    let files: Vec<_> = (1..=*instances)
        .map(|n| ct::of_frames(study, n, *frames, &pixels[..*slices]))
        .collect();
    for some in files.chunks(*batch) {
        let ask = Ask {
            path: ROOT.to_owned(),
            accept: "application/dicom+json",
            body: Some(ct::store(some)),
            ..Ask::default()
        };
        connection.ask(&ask).await;
    }
}

/// The counts when none has come for some seconds: what is due has been done then.
async fn settled(store: &Logged) -> BTreeMap<&'static str, usize> {
    let (mut counts, mut since) = (store.so_far(), Instant::now());
    while since.elapsed() < Duration::from_secs(6) {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = store.so_far();
        if now != counts {
            (counts, since) = (now, Instant::now());
        }
    }
    counts
}

async fn shown(
    server: &Server,
    study: &str,
    (_, instances, _, frames, _): &(&str, usize, usize, usize, usize),
) {
    let mut connection = connect(server).await;
    let metadata = Ask::get(
        format!("{ROOT}/{study}/series/{study}.1/metadata"),
        "application/dicom+json",
    );
    connection.ask(&metadata).await;
    for n in 1..=*instances {
        for frame in 1..=*frames {
            let path =
                format!("{ROOT}/{study}/series/{study}.1/instances/{study}.1.{n}/frames/{frame}");
            connection
                .ask(&Ask::get(path, crate::servers::FRAMES))
                .await;
        }
    }
}

#[expect(clippy::print_stdout, reason = "a program for the command line")]
fn row(
    study: &str,
    what: &str,
    before: &BTreeMap<&'static str, usize>,
    after: &BTreeMap<&'static str, usize>,
) {
    let count = |kind| {
        let of = |counts: &BTreeMap<_, usize>| counts.get(kind).copied().unwrap_or(0);
        of(after) - of(before)
    };
    println!(
        "| {study} | {what} | {} | {} | {} | {} |",
        count("PUT"),
        count("GET"),
        count("LIST"),
        count("DELETE")
    );
}
