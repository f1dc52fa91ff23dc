//! Object stores: what their URLs say, and the layers between us and them.
//!
//! | URL | parameters | credentials from the environment |
//! | --- | --- | --- |
//! | `s3://bucket/prefix` | `endpoint`, `region`, `virtual_host` | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, … |
//! | `azblob://container/prefix` | `endpoint` or `account` | `AZURE_STORAGE_ACCOUNT_NAME`, `AZURE_STORAGE_ACCOUNT_KEY`, … |
//! | `gcs://bucket/prefix` | `endpoint` | `GOOGLE_APPLICATION_CREDENTIALS`, … |
//!
//! Each attempt has a time limit and is repeated a few times. A part of an upload is repeated from the buffer in which
//! opendal holds it, under the same number, so it cannot land twice; on a folder there is no such number, see `backend`.
//! Why objects are written so: `docs/decisions/0005-writing-to-an-object-store.md`.

use std::time::Duration;

use opendal::layers::{RetryEvent, RetryLayer, TimeoutLayer};
use opendal::{Builder, Operator, services};

use crate::{Error, Result};

/// The longest call that moves no content: look up, list, delete.
const CALL: Duration = Duration::from_secs(15);

/// The longest wait for the next bytes of a read, and for a part of an upload: [`PART_BYTES`] at 1.1 Mbit/s.
const TRANSFER: Duration = Duration::from_mins(1);

/// How often an attempt is repeated, and the waits between, which double and have jitter: with them all it takes no more
/// than a few seconds until a caller hears that the store is away.
const REPEATS: usize = 3;
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Bytes of a part of an upload. S3 wants 5 MiB at least and takes 10,000 parts: objects up to 80 GB.
pub(super) const PART_BYTES: usize = 8 << 20;

/// Parts in flight. A pack being written so holds at most four times [`PART_BYTES`].
pub(super) const PARTS_IN_FLIGHT: usize = 2;

/// A URL of an object store, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Remote {
    service: Service,
    /// Bucket or container.
    bucket: String,
    /// Folder in it; empty for all of it.
    prefix: String,
    parameters: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    S3,
    Azblob,
    Gcs,
}

impl Service {
    fn of(scheme: &str) -> Option<Self> {
        match scheme {
            "s3" => Some(Self::S3),
            "azblob" => Some(Self::Azblob),
            "gcs" => Some(Self::Gcs),
            _ => None,
        }
    }

    /// The parameters it takes.
    fn takes(self) -> &'static [&'static str] {
        match self {
            Self::S3 => &["endpoint", "region", "virtual_host"],
            Self::Azblob => &["endpoint", "account"],
            Self::Gcs => &["endpoint"],
        }
    }
}

impl Remote {
    /// Takes the URL of an object store apart; `None` if the scheme is that of none. Parameters are taken as they are written,
    /// without percent decoding.
    ///
    /// # Errors
    /// `Kind::Invalid` without a bucket, or for a parameter that the service does not take.
    pub(super) fn parse(scheme: &str, rest: &str) -> Result<Option<Self>> {
        let Some(service) = Service::of(scheme) else {
            return Ok(None);
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (bucket, prefix) = path.split_once('/').unwrap_or((path, ""));
        if bucket.is_empty() || bucket.contains(['@', ':']) {
            return Err(Error::invalid(format!(
                "the storage URL needs a bucket: {scheme}://bucket/prefix; credentials come from the environment"
            )));
        }
        let mut parameters = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !service.takes().contains(&name) || value.is_empty() {
                return Err(Error::invalid(format!(
                    "the storage URL {scheme}://… takes {}, each with a value",
                    service.takes().join(", ")
                )));
            }
            parameters.push((name.to_owned(), value.to_owned()));
        }
        Ok(Some(Self {
            service,
            bucket: bucket.to_owned(),
            prefix: prefix.trim_matches('/').to_owned(),
            parameters,
        }))
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The operator, with its layers. Nothing is asked of the store yet.
    ///
    /// # Errors
    /// `Kind::Invalid` if the parameters do not suffice.
    pub(super) fn open(&self) -> Result<Operator> {
        let endpoint = self.parameter("endpoint");
        match self.service {
            Service::S3 => {
                let mut s3 = services::S3::default()
                    .bucket(&self.bucket)
                    .root(&self.prefix);
                if let Some(endpoint) = endpoint {
                    s3 = s3.endpoint(endpoint);
                }
                if let Some(region) = self.parameter("region") {
                    s3 = s3.region(region);
                }
                if self.parameter("virtual_host") == Some("true") {
                    s3 = s3.enable_virtual_host_style();
                }
                let needs = "a region: s3://bucket?region=eu-central-1, or AWS_REGION";
                layered(s3, needs)
            }
            Service::Azblob => {
                let by_account = self
                    .parameter("account")
                    .map(|account| format!("https://{account}.blob.core.windows.net"));
                let azblob = services::Azblob::default()
                    .container(&self.bucket)
                    .root(&self.prefix)
                    .endpoint(endpoint.unwrap_or(by_account.as_deref().unwrap_or_default()));
                layered(azblob, "an account: azblob://container?account=name")
            }
            Service::Gcs => {
                let mut gcs = services::Gcs::default()
                    .bucket(&self.bucket)
                    .root(&self.prefix);
                if let Some(endpoint) = endpoint {
                    gcs = gcs.endpoint(endpoint);
                }
                layered(gcs, "a bucket")
            }
        }
    }
}

/// The layers, outermost last: each attempt has its own limit of time.
fn layered(service: impl Builder, needs: &'static str) -> Result<Operator> {
    let operator = Operator::new(service).map_err(|cause| {
        Error::invalid(format!("the storage URL needs {needs}")).with_source(cause)
    })?;
    let limits = TimeoutLayer::new()
        .with_timeout(CALL)
        .with_io_timeout(TRANSFER);
    let repeats = RetryLayer::new()
        .with_max_times(REPEATS)
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .with_jitter()
        .with_notify(|event: RetryEvent<'_>| {
            let (operation, attempt) = (event.op, event.attempt);
            tracing::warn!(%operation, attempt, error = %event.err, "the store is asked again");
        });
    Ok(operator.layer(limits).layer(repeats))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn parsed(url: &str) -> Result<Option<Remote>> {
        let (scheme, rest) = url.split_once("://").unwrap();
        Remote::parse(scheme, rest)
    }

    #[test]
    fn bucket_prefix_and_parameters_are_read() {
        let url = "s3://images/kura/main/?endpoint=http://127.0.0.1:9000&region=eu-central-1";
        let remote = parsed(url).unwrap().unwrap();
        assert_eq!((&*remote.bucket, &*remote.prefix), ("images", "kura/main"));
        assert_eq!(remote.parameter("endpoint"), Some("http://127.0.0.1:9000"));
        assert_eq!(remote.parameter("virtual_host"), None);
        let bare = parsed("gcs://images").unwrap().unwrap();
        assert_eq!((&*bare.bucket, &*bare.prefix), ("images", ""));
        assert_eq!(parsed("ftp://images").unwrap(), None);
    }

    #[test]
    fn each_service_is_in_this_build() {
        for url in [
            "s3://images/kura?region=eu-central-1",
            "azblob://images/kura?account=name",
            "gcs://images/kura",
        ] {
            let remote = parsed(url).unwrap().unwrap();
            assert!(remote.open().is_ok(), "{url}");
        }
    }

    #[test]
    fn what_is_missing_or_too_much_is_named() {
        for (url, named) in [
            ("s3://", "a bucket"),
            ("s3:///prefix", "a bucket"),
            ("s3://key:word@images", "environment"),
            ("s3://images?secret=x", "endpoint, region"),
            ("s3://images?region=", "with a value"),
            ("gcs://images?region=x", "endpoint"),
        ] {
            let refused = parsed(url).unwrap_err();
            assert_eq!(refused.kind(), Kind::Invalid, "{url}");
            assert!(refused.detail().contains(named), "{url}: {refused}");
        }
        let nowhere = parsed("azblob://images").unwrap().unwrap();
        let refused = nowhere.open().unwrap_err();
        assert!(refused.detail().contains("account"), "{refused}");
    }
}
