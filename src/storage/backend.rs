//! Storage URL to operator, and the store's failures in our words.
//!
//! | URL | what it is |
//! | --- | --- |
//! | `fs:///absolute/folder` | a folder; the path is taken literally, without percent decoding |
//! | `memory://` | this process's memory, for tests |
//! | `s3://…`, `azblob://…`, `gcs://…` | an object store: `remote` |
//!
//! No layer stands between us and a folder. Above all no `RetryLayer`: nearly every error of a file system counts as
//! temporary there (a full disk included), a retried write may land twice, and a second `fsync` may succeed after the
//! first one lost the data. A time limit is of no use on a folder; an object store brings its layers with it.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use opendal::{ErrorKind, Operator, services};

use super::disk::Disk;
use super::remote::Remote;
use crate::{Error, Kind, Result};

/// What this build can store into, as the error for anything else lists it.
const OFFERED: &str = "fs:///absolute/folder, memory://, s3://bucket/prefix, azblob:// and gcs://";

/// An opened store, and how it wants to be used.
pub(super) struct Backend {
    pub(super) operator: Operator,
    /// There where names become durable by syncing folders.
    pub(super) disk: Option<Arc<Disk>>,
    /// Whether each call is a request over the network.
    pub(super) is_remote: bool,
}

impl Backend {
    fn local(operator: Operator, disk: Option<Disk>) -> Self {
        Self {
            operator,
            disk: disk.map(Arc::new),
            is_remote: false,
        }
    }

    fn remote(operator: Operator) -> Self {
        Self {
            operator,
            disk: None,
            is_remote: true,
        }
    }
}

/// Where a storage URL points.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    Folder(PathBuf),
    Memory,
    Remote(Remote),
}

fn parse(url: &str) -> Result<Target> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(Error::invalid(format!(
            "the storage URL has no scheme; this build has {OFFERED}"
        )));
    };
    if let Some(remote) = Remote::parse(scheme, rest)? {
        return Ok(Target::Remote(remote));
    }
    match scheme {
        "fs" if Path::new(rest).is_absolute() => Ok(Target::Folder(rest.into())),
        "fs" => Err(Error::invalid(
            "the storage URL needs an absolute folder: fs:///absolute/folder",
        )),
        "memory" if rest.is_empty() || rest == "/" => Ok(Target::Memory),
        "memory" => Err(Error::invalid("the storage URL memory:// takes no path")),
        _ => Err(Error::invalid(format!(
            "storage `{scheme}` is not in this build, which has {OFFERED}"
        ))),
    }
}

/// Opens the store at `url`.
///
/// # Errors
/// `Kind::Invalid` for a URL this build cannot serve, `Kind::Unavailable` for a folder that cannot be used.
pub(super) async fn open(url: &str) -> Result<Backend> {
    let root = match parse(url)? {
        Target::Memory => {
            let operator = Operator::new(services::Memory::default()).map_err(unusable)?;
            return Ok(Backend::local(operator, None));
        }
        Target::Remote(remote) => return Ok(Backend::remote(remote.open()?)),
        Target::Folder(root) => root,
    };
    let disk = blocking(move || Disk::open(&root))
        .await?
        .map_err(unusable)?;
    let service = services::Fs::default().root(utf8(disk.root())?);
    let operator = Operator::new(service).map_err(unusable)?;
    Ok(Backend::local(operator, Some(disk)))
}

fn utf8(path: &Path) -> Result<&str> {
    path.to_str()
        .ok_or_else(|| Error::invalid("the path of the storage folder is not UTF-8"))
}

fn unusable(cause: impl Into<crate::error::BoxError>) -> Error {
    let cause = cause.into();
    match io_kind(&*cause) {
        Some(kind) => {
            Error::unavailable(format!("the storage folder cannot be used: {kind}"), cause)
        }
        None => Error::unavailable("the store cannot be used", cause),
    }
}

/// Runs file work on a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| Error::internal("work on stored bytes was cut off", cause))
}

/// The kind of the `io::Error` at the bottom of `error`, if there is one.
fn io_kind(error: &(dyn StdError + 'static)) -> Option<io::ErrorKind> {
    let mut at = Some(error);
    let mut found = None;
    while let Some(error) = at {
        if let Some(io) = error.downcast_ref::<io::Error>() {
            found = Some(io.kind());
        }
        at = error.source();
    }
    found
}

/// A write, sync or removal that failed: `Kind::Full` where room ran out, else `Kind::Unavailable`.
pub(super) fn write_failed(cause: impl Into<crate::error::BoxError>) -> Error {
    let cause = cause.into();
    let of_service = cause.downcast_ref::<opendal::Error>();
    let is_full = match io_kind(&*cause) {
        Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => true,
        // Object stores that have a size say so by a code of their own: XMinioStorageFull, QuotaExceeded.
        _ => of_service.is_some_and(|error| {
            let said = error.to_string();
            said.contains("StorageFull") || said.contains("QuotaExceeded")
        }),
    };
    if is_full {
        Error::new(Kind::Full, "no room left in the store").with_source(cause)
    } else if of_service.is_some_and(|error| error.kind() == ErrorKind::ConditionNotMatch) {
        Error::internal("the name of an object was given twice", cause)
    } else {
        Error::unavailable("the store did not take the bytes", cause)
    }
}

/// Whether a read failed for what one object is, or for its not being there, and not for the state of the store.
pub fn is_of_the_object(error: &Error) -> bool {
    let cause = StdError::source(error).and_then(|it| it.downcast_ref::<opendal::Error>());
    error.kind() == Kind::Internal || cause.is_some_and(|it| it.kind() == ErrorKind::NotFound)
}

/// A read that failed: `Kind::Unavailable`, also where the bytes are not there although a row promised them (W09): a store
/// may be mounted empty, or be restored later than its rows. `Kind::Internal` where there are fewer than promised.
pub(super) fn read_failed(cause: opendal::Error) -> Error {
    let kind = cause.kind();
    if kind == ErrorKind::NotFound {
        Error::unavailable("a stored object is missing", cause)
    } else if kind == ErrorKind::RangeNotSatisfied {
        Error::internal("a stored object is shorter than promised", cause)
    } else {
        Error::unavailable("the store did not answer", cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str, fragment: &str) {
        let error = parse(url).unwrap_err();
        assert_eq!(error.kind(), Kind::Invalid, "{url}");
        assert!(error.detail().contains(fragment), "{url}: {error}");
    }

    #[test]
    fn a_folder_and_memory_are_understood() {
        assert_eq!(
            parse("fs:///srv/kura").unwrap(),
            Target::Folder("/srv/kura".into())
        );
        assert_eq!(parse("memory://").unwrap(), Target::Memory);
        assert_eq!(parse("memory:///").unwrap(), Target::Memory);
    }

    #[test]
    fn what_this_build_lacks_is_named_with_what_it_has() {
        refused("ftp://server/folder", "`ftp` is not in this build");
        refused("ftp://server/folder", OFFERED);
        refused("s3://", "a bucket");
        refused("/srv/kura", "no scheme");
        refused("", "no scheme");
        refused("fs://srv/kura", "absolute");
        refused("fs://", "absolute");
        refused("memory://somewhere", "no path");
    }

    fn wrapped(kind: io::ErrorKind) -> opendal::Error {
        opendal::Error::new(ErrorKind::Unexpected, "x").set_source(io::Error::from(kind))
    }

    #[test]
    fn a_full_disk_is_told_from_a_broken_one() {
        assert_eq!(
            write_failed(wrapped(io::ErrorKind::StorageFull)).kind(),
            Kind::Full
        );
        assert_eq!(
            write_failed(wrapped(io::ErrorKind::QuotaExceeded)).kind(),
            Kind::Full
        );
        assert_eq!(
            write_failed(wrapped(io::ErrorKind::Other)).kind(),
            Kind::Unavailable
        );
        assert_eq!(
            write_failed(io::Error::from(io::ErrorKind::StorageFull)).kind(),
            Kind::Full
        );
    }

    #[test]
    fn an_object_store_without_room_says_so_in_its_own_words() {
        let said = |kind, text: &str| write_failed(opendal::Error::new(kind, text)).kind();
        let unexpected = ErrorKind::Unexpected;
        assert_eq!(
            said(unexpected, "S3Error { code: \"XMinioStorageFull\" }"),
            Kind::Full
        );
        assert_eq!(
            said(unexpected, "S3Error { code: \"SlowDown\" }"),
            Kind::Unavailable
        );
        assert_eq!(said(ErrorKind::RateLimited, ""), Kind::Unavailable);
        assert_eq!(said(ErrorKind::ConditionNotMatch, ""), Kind::Internal);
    }

    #[test]
    fn what_is_missing_or_slow_is_away_for_now() {
        let missing = opendal::Error::new(ErrorKind::NotFound, "x");
        assert_eq!(read_failed(missing).kind(), Kind::Unavailable);
        assert_eq!(
            read_failed(wrapped(io::ErrorKind::Other)).kind(),
            Kind::Unavailable
        );
    }
}
