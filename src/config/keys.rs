//! The table of configuration keys: the environment and the operator's page are made from it.

use crate::{Error, Result};

/// One configuration key, for the environment and the operator's table.
#[derive(Debug)]
pub struct Key {
    /// As the file writes it; a dot is a table.
    pub name: &'static str,
    /// The default, for people.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// Whether its value is text, so that `KURA_DATA=2026` names a folder and no number.
    pub(super) text: bool,
}

const TEXT: bool = true;
const PARSED: bool = false;

const fn key(name: &'static str, text: bool, default: &'static str, meaning: &'static str) -> Key {
    Key {
        name,
        default,
        meaning,
        text,
    }
}

/// Every key, in the order of the operator's table (docs/operations.md is compared with it).
#[rustfmt::skip]
pub static KEYS: &[Key] = &[
    key("listen", TEXT, "`127.0.0.1:8080`", "host and port to listen on"),
    key("data", TEXT, "`./kura-data`", "folder of database, blobs and local key"),
    key("database_url", TEXT, "SQLite in the data folder", "the database, `sqlite://…` or `postgres://…`"),
    key("storage_url", TEXT, "`blobs` in the data folder", "the object store: `fs:///…`, `s3://…`, `azblob://…`, `gcs://…` or `memory://`"),
    key("public_url", TEXT, "from each request", "address under which callers see this server"),
    key("trust_forwarded", PARSED, "`false`", "believe `Forwarded` and `X-Forwarded-*`; only behind a proxy that sets them"),
    key("bulkdata_uri", TEXT, "`absolute`", "links of metadata to bulk data: `absolute`, or `relative` to the address of the metadata, for proxies that tell nothing"),
    key("log", TEXT, "`info`", "what is logged: `warn`, `info,kura::http=debug`"),
    key("log_format", TEXT, "`auto`", "`human`, `json`, or `auto`: human on a terminal"),
    key("workers", PARSED, "one per core", "threads that answer requests"),
    key("shutdown_timeout_s", PARSED, "`30`", "seconds that running requests have left after a stop"),
    key("shutdown_delay_s", PARSED, "`0`", "seconds between a stop and the closing of the address, in which `/health/ready` says 503 already"),
    key("auth.local_issuer", PARSED, "`true` without issuers", "accept tokens signed with the local key"),
    key("auth.issuers", PARSED, "none", "identity providers, see Sign-in"),
    key("auth.signing_key", TEXT, "`local-key.pem` in the data folder, made at the first start", "the local key, an Ed25519 key in PEM that is there already; replicas share one"),
    key("auth.strong_max_age_s", PARSED, "`900`", "how old a sign-in with two factors may be for what needs one, such as a deletion"),
    key("worker.enabled", PARSED, "`true`", "do due work in this process; at least one process has to"),
    key("worker.concurrency", PARSED, "`2`", "jobs that run at the same time"),
    key("worker.lease_s", PARSED, "`60`", "seconds after which a job whose worker went silent is another's"),
    key("worker.poll_s", PARSED, "`5`", "seconds between looks for work that another process asked for"),
    key("storage.repack_quiet_s", PARSED, "`600`", "seconds after the last store until the packs of a study are written anew"),
    key("storage.replaced_grace_s", PARSED, "`86400`", "seconds for which replaced packs are kept for those who still read them"),
    key("storage.orphan_age_s", PARSED, "`86400`", "seconds after which an object that no row knows is dropped"),
    key("storage.bin_days", PARSED, "`14`", "days in which what was deleted can be restored; never fewer than 14"),
    key("limits.request_line_bytes", PARSED, "`65000`", "longest request target; 414 beyond it, 400 beyond 65,534"),
    key("limits.header_bytes", PARSED, "`65536`", "all headers of a request; 431 beyond it, at most 96 headers"),
    key("limits.header_timeout_s", PARSED, "`30`", "seconds that the head of a request may take to arrive; 408 beyond it"),
    key("limits.idle_timeout_s", PARSED, "`75`", "seconds after which an idle connection is closed"),
    key("limits.requests", PARSED, "`1024`", "requests under way at a time, stores not counted; 503 beyond it"),
    key("limits.uploads", PARSED, "`256`", "stores under way at a time, each with up to 32 MiB of buffers; those beyond it wait"),
    key("limits.uploads_per_facility", PARSED, "a quarter of `limits.uploads`", "stores of one facility under way at a time, so that it leaves places to others; those beyond it wait"),
    key("limits.uploads_waiting", PARSED, "`256`", "stores that wait for their turn (over HTTP/2 each may hold 8 MiB); 503 beyond it, for the facility with most of them. `0`: none may"),
    key("limits.upload_wait_s", PARSED, "`30`", "seconds that a store waits for its turn; 503 beyond it"),
    key("limits.request_bytes", PARSED, "none", "longest body of a store, expanded; 413 beyond it. A facility's `max_request_bytes` wins"),
    key("limits.instance_bytes", PARSED, "none", "longest instance; failure A701 beyond it. A facility's `max_instance_bytes` wins"),
    key("limits.expanded_bytes", PARSED, "`17179869184`", "longest body with a `Content-Encoding`, expanded; 413 beyond it"),
    key("limits.body_idle_s", PARSED, "`120`", "seconds that the body of a store may stay silent; what was whole by then is kept"),
    key("limits.parts", PARSED, "`100000`", "parts of one store; 413 beyond it"),
    key("limits.open_packs", PARSED, "`8`", "studies of which one store keeps a pack open, up to 4 MiB of buffers each"),
    key("cors.origins", PARSED, "none", "origins of pages that may use the archive from a browser, `[\"https://viewer.example\"]`; `[\"*\"]` for every one"),
    key("cors.credentials", PARSED, "`false`", "let those pages use the session of whoever looks at them; needs a list of origins"),
    key("telemetry.otlp_endpoint", TEXT, "off", "collector that takes traces as OTLP over HTTP: `http://127.0.0.1:4318`"),
    key("telemetry.sampling", PARSED, "`1.0`", "part of the requests that is traced, 0 to 1, where the caller has not decided"),
    key("metrics.listen", TEXT, "off", "address of its own for `/metrics` and `/health`, without a token: only for a network of yours"),
    key("viewer.listen", TEXT, "off", "address of its own for OHIF, where `viewer.folder` holds its build: `127.0.0.1:8081`"),
    key("viewer.folder", TEXT, "none", "folder with OHIF's finished build: `dist` of its npm package"),
    key("viewer.public_url", TEXT, "from each request", "the address that readers see, where a proxy stands in front"),
    key("mint.legacy", PARSED, "none", "addresses for MINT clients that know neither TLS nor tokens, see MINT clients of old"),
    key("export.folder", TEXT, "none", "folder for exports that are asked for over DICOMweb; every worker has to reach it"),
];

impl Key {
    /// The environment variable: the name in capitals, two underscores for a dot.
    pub fn env(&self) -> String {
        format!("{ENV_PREFIX}{}", self.name.replace('.', "__")).to_uppercase()
    }
}

pub(super) const ENV_PREFIX: &str = "KURA_";

/// Names with our prefix that are not configuration: what Kubernetes sets for a service called `kura`, and what the tests read.
const NOT_OURS: &[&str] = &["service_", "port", "test_", "bless"];

/// The key that an environment name without its prefix sets; `None` if the variable is none of ours.
pub(super) fn key_of_variable(name: &str) -> Result<Option<&'static Key>> {
    let dotted = name.replace("__", ".");
    if let Some(key) = KEYS.iter().find(|key| key.name == dotted) {
        return Ok(Some(key));
    }
    if NOT_OURS.iter().any(|prefix| name.starts_with(prefix)) {
        return Ok(None);
    }
    Err(Error::invalid(format!(
        "configuration: {ENV_PREFIX}{} is no setting; kura serve --help and docs/operations.md list them",
        name.to_uppercase()
    )))
}
