//! What is written becomes a `Config`, or one line that names the key and what it takes.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::{
    Auth, Config, Cors, Limits, ServiceUrl, Traces, ViewerAt, Written, WrittenAuth, issuers,
};
use crate::{Error, Result};

impl Written {
    /// Checks each value and fills in the defaults that depend on others.
    pub(super) fn check(self) -> Result<Config> {
        check_listen("listen", &self.listen)?;
        if let Some(listen) = &self.metrics.listen {
            check_listen("metrics.listen", listen)?;
        }
        check_limits(&self.limits)?;
        check_cors(&self.cors)?;
        check_traces(&self.telemetry)?;
        let data = absolute(&self.data)?;
        let database = self
            .database_url
            .map_or_else(|| embedded_database(&data), Ok)?;
        let storage = self
            .storage_url
            .map_or_else(|| embedded_storage(&data), Ok)?;
        if self.workers == Some(0) {
            return Err(wrong("workers", "1 or more"));
        }
        Ok(Config {
            database_url: service(
                "database_url",
                database,
                &["sqlite", "postgres", "postgresql"],
            )?,
            storage_url: service(
                "storage_url",
                storage,
                &["fs", "memory", "s3", "azblob", "gcs"],
            )?,
            public_url: self
                .public_url
                .as_deref()
                .map(checked_public_url)
                .transpose()?,
            listen: self.listen,
            data,
            trust_forwarded: self.trust_forwarded,
            bulkdata_uri: self.bulkdata_uri,
            log: self.log,
            log_format: self.log_format,
            workers: self.workers,
            shutdown_timeout_s: self.shutdown_timeout_s,
            shutdown_delay_s: self.shutdown_delay_s,
            auth: self.auth.check()?,
            worker: self.worker.check()?,
            storage: self.storage.check()?,
            limits: self.limits,
            cors: self.cors,
            telemetry: self.telemetry,
            metrics: self.metrics,
            viewer: checked_viewer(self.viewer)?,
            legacy: self.mint.check()?,
            export: self.export,
        })
    }
}

/// A viewer has an address and files, or is none.
fn checked_viewer(viewer: ViewerAt) -> Result<ViewerAt> {
    if let Some(listen) = &viewer.listen {
        check_listen("viewer.listen", listen)?;
    }
    if viewer.listen.is_some() != viewer.folder.is_some() {
        let takes = "both of viewer.listen and viewer.folder, or neither";
        return Err(wrong("viewer", takes));
    }
    let public_url = viewer
        .public_url
        .as_deref()
        .map(|url| checked_public_url(url).map_err(|_| wrong("viewer.public_url", PUBLIC_URL)));
    Ok(ViewerAt {
        public_url: public_url.transpose()?,
        ..viewer
    })
}

impl WrittenAuth {
    /// The local issuer gives way to the first identity provider unless it is asked to stay (sharing.md 2.1).
    fn check(self) -> Result<Auth> {
        let issuers = issuers::check(self.issuers)?;
        let local_issuer = self.local_issuer.unwrap_or(issuers.is_empty());
        if !local_issuer && issuers.is_empty() {
            let takes = "true while auth.issuers is empty: nobody could sign in";
            return Err(wrong("auth.local_issuer", takes));
        }
        Ok(Auth {
            local_issuer,
            issuers,
            strong_max_age_s: self.strong_max_age_s,
            signing_key: self.signing_key,
        })
    }
}

pub(super) fn wrong(key: &str, takes: &str) -> Error {
    Error::invalid(format!("configuration: {key} takes {takes}"))
}

fn check_limits(limits: &Limits) -> Result<()> {
    let optional = [
        ("limits.request_bytes", limits.request_bytes),
        ("limits.instance_bytes", limits.instance_bytes),
    ];
    let set = optional
        .into_iter()
        .filter_map(|(key, limit)| Some((key, limit?)));
    match limits
        .counts()
        .into_iter()
        .chain(set)
        .find(|(_, count)| *count == 0)
    {
        Some((key, _)) => Err(wrong(key, "1 or more")),
        None => Ok(()),
    }?;
    match limits.uploads_per_facility {
        Some(share) if share == 0 || share > limits.uploads => {
            let takes = "1 to limits.uploads, of which it is one facility's share";
            Err(wrong("limits.uploads_per_facility", takes))
        }
        Some(_) | None => Ok(()),
    }
}

fn check_cors(cors: &Cors) -> Result<()> {
    let is_every = cors.origins.iter().any(|origin| origin == "*");
    if is_every && cors.origins.len() > 1 {
        return Err(wrong("cors.origins", "\"*\" alone, or a list without it"));
    }
    if cors.credentials && (is_every || cors.origins.is_empty()) {
        let takes = "true only beside a list of origins in cors.origins";
        return Err(wrong("cors.credentials", takes));
    }
    // As browsers write it: in small letters, without a path, and without the port that the scheme has anyway.
    let is_origin = |origin: &String| {
        let parts = origin
            .strip_prefix("https://")
            .map(|host| (host, ":443"))
            .or_else(|| origin.strip_prefix("http://").map(|host| (host, ":80")));
        parts.is_some_and(|(host, own_port)| {
            host.bytes().any(|b| b.is_ascii_alphanumeric())
                && host
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-:[]".contains(&b))
                && !host.ends_with(own_port)
        })
    };
    if is_every || cors.origins.iter().all(is_origin) {
        return Ok(());
    }
    let takes = "origins as browsers write them, https://viewer.example or http://127.0.0.1:3000, or \"*\" alone";
    Err(wrong("cors.origins", takes))
}

fn check_traces(traces: &Traces) -> Result<()> {
    if !(0.0..=1.0).contains(&traces.sampling) {
        return Err(wrong("telemetry.sampling", "a number from 0 to 1"));
    }
    let is_web = |url: &String| url.starts_with("http://") || url.starts_with("https://");
    match &traces.otlp_endpoint {
        Some(url) if !is_web(url) => Err(wrong(
            "telemetry.otlp_endpoint",
            "an http or https address, http://127.0.0.1:4318 for one",
        )),
        Some(_) | None => Ok(()),
    }
}

fn check_listen(key: &str, listen: &str) -> Result<()> {
    if is_listen(listen) {
        return Ok(());
    }
    Err(wrong(key, "host:port, for example 127.0.0.1:8080"))
}

/// Whether a text is a host and a port.
pub(super) fn is_listen(listen: &str) -> bool {
    let named = listen.rsplit_once(':').is_some_and(|(host, port)| {
        let host_fits = host.parse::<IpAddr>().is_ok()
            || host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        !host.is_empty() && host_fits && !host.contains(':') && port.parse::<u16>().is_ok()
    });
    named || listen.parse::<SocketAddr>().is_ok()
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|error| wrong("data", "a folder").with_source(error))
}

/// The characters that end the path of a URL or escape in it.
fn percent(path: &str) -> String {
    path.replace('%', "%25")
        .replace('?', "%3F")
        .replace('#', "%23")
}

/// SQLite in the data folder.
pub(super) fn embedded_database(data: &Path) -> Result<String> {
    Ok(format!("sqlite://{}/kura.db?mode=rwc", in_url(data)?))
}

fn embedded_storage(data: &Path) -> Result<String> {
    Ok(format!("fs://{}/blobs", in_url(data)?))
}

fn in_url(data: &Path) -> Result<String> {
    let text = data.to_str().ok_or_else(|| wrong("data", "UTF-8"))?;
    Ok(percent(text))
}

fn service(key: &str, url: String, schemes: &[&str]) -> Result<ServiceUrl> {
    let url = ServiceUrl(url);
    if schemes.contains(&url.scheme()) {
        return Ok(url);
    }
    let takes: Vec<_> = schemes.iter().map(|s| format!("{s}://…")).collect();
    Err(wrong(key, &takes.join(" or ")))
}

/// What an address that others see looks like.
const PUBLIC_URL: &str = "an http or https address without user, query and fragment";

fn checked_public_url(url: &str) -> Result<String> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    let fits = rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && rest.bytes().all(|b| b.is_ascii_graphic())
            && !rest.contains(['?', '#', '@', '"', '<', '>', '\\'])
    });
    if fits {
        return Ok(url.trim_end_matches('/').to_owned());
    }
    Err(wrong("public_url", PUBLIC_URL))
}
