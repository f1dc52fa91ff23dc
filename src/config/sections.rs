//! The tables of the configuration: limits, traces, metrics, the viewer. Each field is a key `table.field`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::archive::StoreLimits;
use crate::http::cors::Origins;
use crate::http::limits::RequestLimits;

/// How much of anything there may be at a time. Each limit bounds memory or time; a request beyond one is told so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// The longest request target, in bytes: 414 beyond it (S19). The HTTP library answers 400 beyond 65,534.
    pub request_line_bytes: usize,
    /// All headers of a request, in bytes: 431 beyond it (S19). The HTTP library answers 431 beyond 128 KiB or 96 headers.
    pub header_bytes: usize,
    /// Seconds that the head of a request may take to arrive.
    pub header_timeout_s: u64,
    /// Seconds after which an idle connection is closed.
    pub idle_timeout_s: u64,
    /// Requests under way at a time: 503 beyond it (S24).
    pub requests: usize,
    /// Stores under way at a time, which each hold open packs; those beyond it wait (S24).
    pub uploads: usize,
    /// Stores of one facility under way at a time, a quarter of all where it is not set; those beyond it wait.
    pub uploads_per_facility: Option<usize>,
    /// Stores that wait for their turn: 503 beyond it (S24). None may, where it is 0.
    pub uploads_waiting: usize,
    /// Seconds that a store waits for its turn: 503 beyond it (S24).
    pub upload_wait_s: u64,
    /// The longest body of a store, in bytes, expanded: 413 beyond it (S18, T12).
    pub request_bytes: Option<u64>,
    /// The longest instance, in bytes (T12).
    pub instance_bytes: Option<u64>,
    /// The longest body that came with a `Content-Encoding`, expanded, in bytes (T10).
    pub expanded_bytes: u64,
    /// Seconds that the body of a store may stay silent: it is taken for cut off then, so that it holds no place (S24).
    pub body_idle_s: u64,
    /// Parts of one store.
    pub parts: usize,
    /// Studies of which one store keeps a pack open.
    pub open_packs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let (request, store) = (RequestLimits::default(), StoreLimits::default());
        Self {
            request_line_bytes: request.request_line_bytes,
            header_bytes: request.header_bytes,
            header_timeout_s: 30,
            // Viewers keep many connections open and come back within a minute.
            idle_timeout_s: 75,
            requests: request.requests,
            uploads: store.uploads,
            uploads_per_facility: store.uploads_per_facility,
            uploads_waiting: store.uploads_waiting,
            upload_wait_s: store.upload_wait_s,
            request_bytes: store.request_bytes,
            instance_bytes: store.instance_bytes,
            expanded_bytes: store.expanded_bytes,
            body_idle_s: store.body_idle_s,
            parts: store.parts,
            open_packs: store.open_packs,
        }
    }
}

impl Limits {
    /// Those of stores.
    pub fn of_stores(&self) -> StoreLimits {
        StoreLimits {
            uploads: self.uploads,
            uploads_per_facility: self.uploads_per_facility,
            uploads_waiting: self.uploads_waiting,
            upload_wait_s: self.upload_wait_s,
            request_bytes: self.request_bytes,
            instance_bytes: self.instance_bytes,
            expanded_bytes: self.expanded_bytes,
            body_idle_s: self.body_idle_s,
            parts: self.parts,
            open_packs: self.open_packs,
        }
    }

    /// Those of requests.
    pub fn of_requests(&self) -> RequestLimits {
        RequestLimits {
            request_line_bytes: self.request_line_bytes,
            header_bytes: self.header_bytes,
            requests: self.requests,
        }
    }

    /// The keys that may not be zero, with their values.
    pub(super) fn counts(&self) -> [(&'static str, u64); 11] {
        let wide = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        [
            ("limits.request_line_bytes", wide(self.request_line_bytes)),
            ("limits.header_bytes", wide(self.header_bytes)),
            ("limits.header_timeout_s", self.header_timeout_s),
            ("limits.idle_timeout_s", self.idle_timeout_s),
            ("limits.requests", wide(self.requests)),
            ("limits.uploads", wide(self.uploads)),
            ("limits.upload_wait_s", self.upload_wait_s),
            ("limits.expanded_bytes", self.expanded_bytes),
            ("limits.body_idle_s", self.body_idle_s),
            ("limits.parts", wide(self.parts)),
            ("limits.open_packs", wide(self.open_packs)),
        ]
    }
}

/// Which pages of other origins may use the archive from a browser.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cors {
    /// Origins as browsers write them, `https://viewer.example`; `*` alone for every one, nothing for none (A11).
    pub origins: Vec<String>,
    /// Whether their pages may use the session of whoever looks at them (A16).
    pub credentials: bool,
}

impl Cors {
    /// As the server takes it.
    pub fn origins(&self) -> Origins {
        Origins::new(self.origins.clone(), self.credentials)
    }
}

/// Where traces go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Traces {
    /// A collector that takes OTLP over HTTP, `http://127.0.0.1:4318` for one; none is sent anything where it is not set.
    pub otlp_endpoint: Option<String>,
    /// The part of requests that is traced, 0 to 1, where the caller has not decided.
    pub sampling: f64,
}

impl Default for Traces {
    fn default() -> Self {
        Self {
            otlp_endpoint: None,
            sampling: 1.0,
        }
    }
}

/// OHIF beside the archive, at an address of its own. It is served where both `listen` and `folder` are set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ViewerAt {
    /// Its address.
    pub listen: Option<String>,
    /// The folder with OHIF's finished build.
    pub folder: Option<PathBuf>,
    /// The address that its readers see, where a proxy stands in front.
    pub public_url: Option<String>,
}

/// Where exports that are asked for over DICOMweb go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Exports {
    /// The folder; there is no export where it is not set. Every worker has to reach it.
    pub folder: Option<PathBuf>,
}

/// Where metrics are read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// An address of its own for `/metrics` and `/health`, without a token: for a network that only the monitoring reaches.
    pub listen: Option<String>,
}
