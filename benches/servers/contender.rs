//! The servers that are compared, started as their users start them: kura on SQLite and on PostgreSQL, Debian's Orthanc with
//! its DICOMweb plug-in, and nginx, which serves bytes and knows nothing else.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::client::{Ask, Connection};
use super::line::{FAR, Line};
use crate::harness::Server;
use crate::harness::backing;
use crate::harness::cluster::Cluster;
use crate::harness::server::kura;
use crate::harness::watched::free_port;

/// The folder of Debian's package.
const PLUGIN: &str = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so";
/// Clock ticks a second in `/proc` (`getconf CLK_TCK`).
pub(crate) const TICKS: f64 = 100.0;

/// A running server.
pub(crate) struct Contender {
    pub name: &'static str,
    /// `127.0.0.1:PORT`.
    pub address: String,
    pub token: String,
    /// The token of another facility, where there are facilities.
    other: String,
    /// Where its DICOMweb begins.
    pub root: &'static str,
    /// Port of its DIMSE services, where it has any.
    pub dicom: u16,
    data: Arc<TempDir>,
    process: Process,
    /// Another process that works for it: the database.
    database: bool,
}

enum Process {
    Kura(Server),
    Other(Child, Command),
}

impl Contender {
    /// kura with everything in one folder.
    pub(crate) fn kura_on_sqlite() -> Self {
        Self::kura("kura, SQLite", Self::fresh(None), false)
    }

    /// A data folder with two facilities; its database, where it lies elsewhere.
    pub(crate) fn fresh(database: Option<&str>) -> Arc<TempDir> {
        let data = Arc::new(tempfile::tempdir().expect("a folder can be made"));
        if database.is_some() {
            backing::place(data.path(), database, None);
        }
        for code in ["F001", "F002"] {
            kura(data.path(), &["facility", "add", code, "--name", "Bench"]);
        }
        data
    }

    /// kura whose index is a PostgreSQL that really writes.
    pub(crate) fn kura_on_postgres(cluster: &Cluster) -> Self {
        let database = cluster.url(&cluster.database(backing::migrate));
        Self::kura("kura, PostgreSQL", Self::fresh(Some(&database)), true)
    }

    /// kura over a folder of [`Contender::fresh`].
    pub(crate) fn kura(name: &'static str, data: Arc<TempDir>, database: bool) -> Self {
        let command = Command::new(env!("CARGO_BIN_EXE_kura"));
        Self::kura_by(command, name, data, database)
    }

    /// The same behind a line.
    pub(crate) fn kura_behind(line: &Line) -> Self {
        let mut command = line.command(env!("CARGO_BIN_EXE_kura"));
        command.env("KURA_LISTEN", format!("{FAR}:0"));
        Self::kura_by(command, "kura", Self::fresh(None), false)
    }

    fn kura_by(
        mut command: Command,
        name: &'static str,
        data: Arc<TempDir>,
        database: bool,
    ) -> Self {
        command
            .env("KURA_METRICS__LISTEN", "127.0.0.1:0")
            .env("KURA_LIMITS__PARTS", "300000");
        let server = Server::start_with(Arc::clone(&data), command);
        Self {
            name,
            address: server.base.trim_start_matches("http://").to_owned(),
            token: server.reader("F001"),
            other: server.reader("F002"),
            root: "/dicomweb",
            dicom: 0,
            data,
            process: Process::Kura(server),
            database,
        }
    }

    /// Orthanc with an index of its own (SQLite), as its DICOMweb plug-in needs it.
    pub(crate) async fn orthanc() -> Self {
        Self::orthanc_by(Command::new("Orthanc"), "127.0.0.1").await
    }

    /// The same behind a line.
    pub(crate) async fn orthanc_behind(line: &Line) -> Self {
        Self::orthanc_by(line.command("Orthanc"), FAR).await
    }

    async fn orthanc_by(mut command: Command, host: &str) -> Self {
        let data = Arc::new(tempfile::tempdir().expect("a folder can be made"));
        let (port, dicom) = (free_port(), free_port());
        let settings = serde_json::json!({
            "StorageDirectory": data.path().join("storage"),
            "IndexDirectory": data.path().join("index"),
            "HttpPort": port,
            "DicomServerEnabled": true,
            "DicomPort": dicom,
            "DicomAlwaysAllowGet": true,
            "RemoteAccessAllowed": true,
            "AuthenticationEnabled": false,
            "KeepAlive": true,
            "TcpNoDelay": true,
            "Plugins": [PLUGIN],
            "DicomWeb": {"Enable": true, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
        });
        let path = data.path().join("orthanc.json");
        std::fs::write(&path, settings.to_string()).expect("a file can be written");
        command.env("TCP_NODELAY", "1").arg(&path);
        let address = format!("{host}:{port}");
        let mut orthanc = Self::other("Orthanc", data, address, "/dicom-web", command).await;
        orthanc.dicom = dicom;
        orthanc
    }

    /// nginx over a folder.
    pub(crate) async fn nginx() -> Self {
        Self::nginx_by(Command::new("nginx"), "127.0.0.1").await
    }

    /// The same behind a line.
    pub(crate) async fn nginx_behind(line: &Line) -> Self {
        Self::nginx_by(line.command("nginx"), FAR).await
    }

    async fn nginx_by(mut command: Command, host: &str) -> Self {
        let data = Arc::new(tempfile::tempdir().expect("a folder can be made"));
        let (port, folder) = (free_port(), data.path().display());
        let settings = format!(
            "daemon off; user root; worker_processes auto; pid {folder}/pid; error_log {folder}/log;\n\
             events {{ worker_connections 512; }}\n\
             http {{ access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000; \
             open_file_cache max=2000; client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; \
             fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;\n\
             server {{ listen {host}:{port}; root {folder}/files; }} }}\n"
        );
        std::fs::create_dir(data.path().join("files")).expect("a folder can be made");
        let path = data.path().join("nginx.conf");
        std::fs::write(&path, settings).expect("a file can be written");
        command
            .arg("-c")
            .arg(&path)
            .arg("-e")
            .arg(data.path().join("log"));
        Self::other("nginx", data, format!("{host}:{port}"), "", command).await
    }

    async fn other(
        name: &'static str,
        data: Arc<TempDir>,
        address: String,
        root: &'static str,
        mut command: Command,
    ) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{name} is not installed: {error}"));
        wait_for_port(&address).await;
        Self {
            name,
            address,
            token: String::new(),
            other: String::new(),
            root,
            dicom: 0,
            data,
            process: Process::Other(child, command),
            database: false,
        }
    }

    /// Its folder; what nginx serves lies in `files` below it.
    pub(crate) fn folder(&self) -> &Path {
        self.data.path()
    }

    /// The token of another facility.
    pub(crate) fn other_token(&self) -> &str {
        &self.other
    }

    /// A connection of the user who stores and reads.
    pub(crate) async fn connect(&self) -> Connection {
        Connection::open(&self.address, &self.token).await
    }

    /// A request, in its own notation of paths.
    pub(crate) fn get(&self, path: &str, accept: &'static str) -> Ask {
        Ask::get(format!("{}{path}", self.root), accept)
    }

    /// A request to store files.
    pub(crate) fn store(&self, body: (String, Vec<bytes::Bytes>)) -> Ask {
        Ask {
            path: format!("{}/studies", self.root),
            accept: "application/dicom+json",
            body: Some(body),
            ..Ask::default()
        }
    }

    fn pids(&self) -> Vec<u32> {
        let own = match &self.process {
            Process::Kura(server) => server.pid(),
            Process::Other(child, _) => child.id(),
        };
        let helps = |it: &Seen| it.parent == own || (self.database && it.name == "postgres");
        let mut pids = vec![own];
        pids.extend(processes().iter().filter(|it| helps(it)).map(|it| it.pid));
        pids
    }

    /// Seconds of processor that it and its database have used so far.
    pub(crate) fn cpu(&self) -> f64 {
        let pids = self.pids();
        let all = processes();
        let mine = all.iter().filter(|it| pids.contains(&it.pid));
        mine.map(|it| it.ticks).sum::<f64>() / TICKS
    }

    /// Forgets the highest resident memory so far.
    pub(crate) fn forget_peak(&self) {
        drop(std::fs::write(
            format!("/proc/{}/clear_refs", self.pids()[0]),
            "5",
        ));
    }

    /// Highest resident memory since, of the server alone, in MB.
    pub(crate) fn peak_mb(&self) -> f64 {
        self.memory_mb("VmHWM:")
    }

    /// Resident memory now, of the server alone, in MB.
    pub(crate) fn resident_mb(&self) -> f64 {
        self.memory_mb("VmRSS:")
    }

    /// Bytes that kura has read from its store so far.
    pub(crate) async fn bytes_read(&self) -> f64 {
        let Process::Kura(server) = &self.process else {
            return 0.0;
        };
        let metrics = server.metrics();
        let mut connection = Connection::open(metrics.trim_start_matches("http://"), "").await;
        let mut ask = Ask::get("/metrics", "");
        ask.keep = true;
        let told = connection.ask(&ask).await.body;
        let told = String::from_utf8_lossy(&told).into_owned();
        let name = "kura_storage_bytes_total{operation=\"read\"}";
        let line = told.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse().ok())
            .unwrap_or(0.0)
    }

    fn memory_mb(&self, name: &str) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pids()[0]));
        let status = status.expect("the server lives");
        let line = status.lines().find(|line| line.starts_with(name));
        let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
        kilobytes.expect("a number") * 1024.0 / 1e6
    }

    /// Ends it in an orderly way and starts it again over the same data; how long it took until a search was answered.
    pub(crate) async fn restart(&mut self) -> Duration {
        let begun;
        match &mut self.process {
            Process::Kura(server) => {
                server.signal("TERM");
                server.code();
                begun = Instant::now();
                *server = Server::start_on(Arc::clone(&self.data));
                server
                    .base
                    .trim_start_matches("http://")
                    .clone_into(&mut self.address);
            }
            Process::Other(child, command) => {
                let kill = format!("kill -TERM {}", child.id());
                let sent = Command::new("sh").args(["-c", &kill]).status();
                sent.expect("a shell");
                child.wait().expect("it ends");
                begun = Instant::now();
                *child = command.spawn().expect("it starts");
                wait_for_port(&self.address).await;
            }
        }
        let ask = self.get("/studies?limit=1", "application/dicom+json");
        self.connect().await.ask(&ask).await;
        begun.elapsed()
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        if let Process::Other(child, _) = &mut self.process {
            // nginx ends its workers when it is told to end, and leaves them when it is killed.
            let kill = format!("kill -TERM {}", child.id());
            drop(Command::new("sh").args(["-c", &kill]).status());
            drop(child.wait());
        }
    }
}

async fn wait_for_port(address: &str) {
    let begun = Instant::now();
    while tokio::net::TcpStream::connect(address).await.is_err() {
        assert!(
            begun.elapsed() < Duration::from_mins(1),
            "{address} does not answer"
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// A process as `/proc` shows it.
struct Seen {
    pid: u32,
    parent: u32,
    name: String,
    /// Of itself and of its children that have ended.
    ticks: f64,
}

fn processes() -> Vec<Seen> {
    let folder = std::fs::read_dir("/proc").expect("Linux");
    let pids = folder
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (head, rest) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let ticks = fields
            .get(11..15)?
            .iter()
            .filter_map(|it| it.parse::<f64>().ok());
        Some(Seen {
            pid,
            parent: fields.get(1)?.parse().ok()?,
            name: head.split_once('(')?.1.to_owned(),
            ticks: ticks.sum(),
        })
    })
    .collect()
}
