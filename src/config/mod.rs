//! Configuration: one struct, read once at the start. A TOML file is weaker than the environment, the environment weaker
//! than flags; whatever is wrong stops the start with one line that names the key.
//!
//! Nothing below the start layer reads configuration: values are handed down as arguments.

mod background;
mod check;
mod example;
mod issuers;
mod keys;
mod legacy;
mod sections;
#[cfg(test)]
mod tests;
mod url;

use std::path::PathBuf;

use figment::Figment;
use figment::providers::{Env, Format, Serialized, Toml};
use figment::value::Value;
use serde::{Deserialize, Serialize};

use crate::http::urls::BulkLinks;
use crate::{Error, Result};

pub use background::{Storage, Worker};
pub use example::example;
pub use issuers::IssuerConfig;
pub use keys::{KEYS, Key};
pub use legacy::LegacyAt;
pub use sections::{Cors, Exports, Limits, Metrics, Traces, ViewerAt};
pub use url::ServiceUrl;

use issuers::WrittenIssuer;
use keys::{ENV_PREFIX, key_of_variable};
use legacy::WrittenMint;

/// Everything an operator can set, checked, with the defaults filled in.
#[derive(Clone, Debug)]
pub struct Config {
    /// Host and port to listen on.
    pub listen: String,
    /// The folder of the embedded default, absolute: database, blobs, local key.
    pub data: PathBuf,
    /// The database: `sqlite://…` or `postgres://…`.
    pub database_url: ServiceUrl,
    /// The object store: `fs:///…`, `s3://…`, `azblob://…`, `gcs://…` or `memory://`.
    pub storage_url: ServiceUrl,
    /// The address under which callers see this server, without a slash at its end; taken from each request where it is not set.
    pub public_url: Option<String>,
    /// Whether `Forwarded` and `X-Forwarded-*` are believed, because a proxy sets them.
    pub trust_forwarded: bool,
    /// How metadata link to bulk data.
    pub bulkdata_uri: BulkLinks,
    /// What is logged, in the syntax of `tracing` directives: `info,kura::http=debug`.
    pub log: String,
    /// How a log line looks.
    pub log_format: LogFormat,
    /// Threads that answer requests; as many as cores where it is not set.
    pub workers: Option<usize>,
    /// Seconds that running requests have left after a stop was asked for.
    pub shutdown_timeout_s: u64,
    /// Seconds between a stop and the closing of the address, in which `/health/ready` says 503 already.
    pub shutdown_delay_s: u64,
    /// Who may sign tokens.
    pub auth: Auth,
    /// Who does due work.
    pub worker: Worker,
    /// How stored bytes are tidied.
    pub storage: Storage,
    /// How much of anything there may be at a time.
    pub limits: Limits,
    /// Which pages of other origins may use the archive.
    pub cors: Cors,
    /// Where traces go.
    pub telemetry: Traces,
    /// Where metrics are read.
    pub metrics: Metrics,
    /// OHIF beside the archive.
    pub viewer: ViewerAt,
    /// Listeners for MINT clients that know neither TLS nor tokens.
    pub legacy: Vec<LegacyAt>,
    /// Where exports go.
    pub export: Exports,
}

/// Who may sign tokens, and with what the archive signs its own.
#[derive(Clone, Debug)]
pub struct Auth {
    /// Whether tokens signed with the key in the data folder are accepted (`kura:local`, sharing.md 2.1).
    pub local_issuer: bool,
    /// The identity providers.
    pub issuers: Vec<IssuerConfig>,
    /// How old a sign-in with two factors may be where one is asked for, in seconds (sharing.md 2.6).
    pub strong_max_age_s: u32,
    /// The local key (PKCS#8 in PEM), which replicas share; `local-key.pem` in the data folder where it is not set.
    pub signing_key: Option<PathBuf>,
}

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// The flags that every command takes; each wins over the environment and the file.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Flags {
    /// Configuration file (TOML)
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Host and port to listen on [default: 127.0.0.1:8080]
    #[arg(long, global = true, value_name = "HOST:PORT")]
    pub listen: Option<String>,
    /// Folder of database, blobs and local key [default: ./kura-data]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Database [default: SQLite in the data folder]
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// Object store [default: a folder in the data folder]
    #[arg(long, global = true, value_name = "URL")]
    pub storage_url: Option<String>,
    /// Address under which callers see this server
    #[arg(long, global = true, value_name = "URL")]
    pub public_url: Option<String>,
    /// What is logged: a level, or levels by module [default: info]
    #[arg(long, global = true, value_name = "DIRECTIVES")]
    pub log: Option<String>,
}

/// The same as it is written.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WrittenAuth {
    local_issuer: Option<bool>,
    issuers: Vec<WrittenIssuer>,
    strong_max_age_s: u32,
    signing_key: Option<PathBuf>,
}

impl Default for WrittenAuth {
    fn default() -> Self {
        Self {
            local_issuer: None,
            issuers: Vec::new(),
            strong_max_age_s: 900,
            signing_key: None,
        }
    }
}

/// The keys as they are written, before defaults that depend on others are known.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Written {
    listen: String,
    data: PathBuf,
    database_url: Option<String>,
    storage_url: Option<String>,
    public_url: Option<String>,
    trust_forwarded: bool,
    bulkdata_uri: BulkLinks,
    log: String,
    log_format: LogFormat,
    workers: Option<usize>,
    shutdown_timeout_s: u64,
    shutdown_delay_s: u64,
    auth: WrittenAuth,
    worker: Worker,
    storage: Storage,
    limits: Limits,
    cors: Cors,
    telemetry: Traces,
    metrics: Metrics,
    viewer: ViewerAt,
    mint: WrittenMint,
    export: Exports,
}

impl Default for Written {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".to_owned(),
            data: PathBuf::from("./kura-data"),
            database_url: None,
            storage_url: None,
            public_url: None,
            trust_forwarded: false,
            bulkdata_uri: BulkLinks::default(),
            log: "info".to_owned(),
            log_format: LogFormat::Auto,
            workers: None,
            shutdown_timeout_s: 30,
            shutdown_delay_s: 0,
            auth: WrittenAuth::default(),
            worker: Worker::default(),
            storage: Storage::default(),
            limits: Limits::default(),
            cors: Cors::default(),
            telemetry: Traces::default(),
            metrics: Metrics::default(),
            viewer: ViewerAt::default(),
            mint: WrittenMint::default(),
            export: Exports::default(),
        }
    }
}

impl Config {
    /// Reads the file that `flags` names, the environment of the process and `flags`, and checks the result.
    ///
    /// # Errors
    /// `Kind::Invalid` with one line that names the key and what it takes.
    pub fn load(flags: &Flags) -> Result<Self> {
        let environment: Vec<_> = Env::prefixed(ENV_PREFIX)
            .iter()
            .map(|(name, value)| (name.as_str().to_lowercase(), value))
            .collect();
        let file = match &flags.config {
            None => None,
            Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
                let detail = format!("configuration file {}: {error}", path.display());
                Error::invalid(detail).with_source(error)
            })?),
        };
        Self::from_parts(file.as_deref(), &environment, flags)
    }

    /// Whether the database is the one in the data folder, whose schema is brought up to date without being asked.
    pub fn database_is_embedded(&self) -> bool {
        check::embedded_database(&self.data).is_ok_and(|url| url == self.database_url.expose())
    }

    fn from_parts(
        file: Option<&str>,
        environment: &[(String, String)],
        flags: &Flags,
    ) -> Result<Self> {
        let mut layers = Figment::new();
        if let Some(text) = file {
            layers = layers.merge(Toml::string(text));
        }
        for (name, value) in environment {
            if let Some(key) = key_of_variable(name)? {
                layers = layers.merge(one(key, value));
            }
        }
        let data = flags.data.as_ref().map(|path| path.to_string_lossy());
        for (name, flag) in [
            ("listen", flags.listen.as_deref()),
            ("data", data.as_deref()),
            ("database_url", flags.database_url.as_deref()),
            ("storage_url", flags.storage_url.as_deref()),
            ("public_url", flags.public_url.as_deref()),
            ("log", flags.log.as_deref()),
        ] {
            if let Some(value) = flag {
                layers = layers.merge(Serialized::default(name, value));
            }
        }
        let written: Written = layers.extract().map_err(|error| {
            let line = one_line(&error.to_string());
            let line = match &flags.config {
                Some(path) if line.contains("TOML") => format!("{}: {line}", path.display()),
                _ => line,
            };
            Error::invalid(format!("configuration: {line}")).with_source(error)
        })?;
        written.check()
    }
}

/// What an error says, without the drawing of the place that the TOML parser adds in lines of its own.
fn one_line(error: &str) -> String {
    let is_drawing = |line: &&str| line.trim().is_empty() || line.contains('|');
    let said: Vec<&str> = error
        .lines()
        .filter(|line| !is_drawing(line))
        .map(str::trim)
        .collect();
    said.join(": ")
}

fn one(key: &Key, value: &str) -> Serialized<Value> {
    let value = if key.text {
        Value::from(value)
    } else {
        value
            .parse()
            .unwrap_or_else(|never: std::convert::Infallible| match never {})
    };
    Serialized::default(key.name, value)
}
