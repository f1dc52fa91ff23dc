//! Bytes that come over several requests, whichever process takes them (MINT Z43, docs/decisions/0035).
//!
//! ```text
//! KST/2026/12/01/0190…/length.part                 how many bytes were announced, or a dash
//! KST/2026/12/01/0190…/00000000000000000000.part   what came first
//! KST/2026/12/01/0190…/00000000000067108864.part   what follows it, named for the place of its first byte
//! ```
//!
//! A part is an object as any other: written once, durable before its name is there, and its name cannot be taken twice. So the
//! parts are one line without a gap, and who writes at the same place as another loses. There is no other state.

use std::ops::Range;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};

use super::place::BlobRef;
use super::vault::{Put, Vault};
use crate::error::{Error, Kind, Result};

/// The ending of every object that belongs to bytes which are not whole yet.
const ENDING: &str = ".part";

/// What says that there are such bytes.
const MARK: &str = "length.part";

/// Parts of one line. With a part a request that is all a store takes of a careless sender.
const MOST_PARTS: usize = 100_000;

/// Bytes that are not whole yet.
#[derive(Clone, Debug)]
pub struct Partial {
    vault: Vault,
    folder: String,
    length: Option<u64>,
}

/// What has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// The places of the first bytes of the parts.
    starts: Vec<u64>,
    /// How many bytes have come.
    pub len: u64,
}

/// Whether an object belongs to bytes that are not whole yet.
pub fn is_part(object: &str) -> bool {
    object.ends_with(ENDING)
}

impl Vault {
    /// Begins in the folder `folder`, which is nobody else's; `length` is how many bytes are announced.
    ///
    /// # Errors
    /// `Kind::Full` or `Kind::Unavailable`.
    pub async fn begin_partial(&self, folder: &str, length: Option<u64>) -> Result<Partial> {
        let mut mark = self.create(&format!("{folder}/{MARK}")).await?;
        let text = length.map_or_else(|| "-".to_owned(), |length| length.to_string());
        mark.write(Bytes::from(text)).await?;
        mark.close().await?;
        Ok(Partial {
            vault: self.clone(),
            folder: folder.to_owned(),
            length,
        })
    }

    /// What was begun in a folder; `None` if nothing was, or it is gone.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the store does not answer.
    pub async fn partial(&self, folder: &str) -> Result<Option<Partial>> {
        let object = format!("{folder}/{MARK}");
        let Some(len) = self.find(&object).await? else {
            return Ok(None);
        };
        let range = 0..len;
        let text: Vec<Bytes> = self.read(&BlobRef { object, range }).try_collect().await?;
        let length = std::str::from_utf8(&text.concat())
            .ok()
            .and_then(|text| text.parse().ok());
        Ok(Some(Partial {
            vault: self.clone(),
            folder: folder.to_owned(),
            length,
        }))
    }
}

impl Partial {
    /// How many bytes were announced.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// What has come and is durable.
    ///
    /// # Errors
    /// `Kind::Gone` where its beginning was swept, `Kind::Unavailable` if the store does not answer.
    pub async fn extent(&self) -> Result<Extent> {
        let mut starts = Vec::new();
        let mut listed = self.vault.list(&format!("{}/", self.folder));
        while let Some(listed) = listed.try_next().await? {
            let name = listed.object.rsplit('/').next().unwrap_or_default();
            let start = name
                .strip_suffix(ENDING)
                .and_then(|it| it.parse::<u64>().ok());
            starts.extend(start);
        }
        starts.sort_unstable();
        let (Some(first), Some(last)) = (starts.first(), starts.last().copied()) else {
            return Ok(Extent::default());
        };
        let len = self.vault.find(&self.name(last)).await?;
        let len = len.filter(|_| *first == 0).ok_or_else(gone)?;
        let len = last.saturating_add(len);
        Ok(Extent { starts, len })
    }

    /// Begins the part that follows what has come. Nothing of it counts before it is closed.
    ///
    /// # Errors
    /// `Kind::Conflict` if another has written there, now or when it is closed; `Kind::TooLarge` if there are too many parts.
    pub async fn part(&self, extent: &Extent) -> Result<Put> {
        if extent.starts.len() >= MOST_PARTS {
            let detail = format!("more than the {MOST_PARTS} parts that an upload may have");
            return Err(Error::new(Kind::TooLarge, detail));
        }
        let put = self.vault.create(&self.name(extent.len)).await;
        put.map_err(overtaken)
    }

    /// Makes a part durable, which follows what has come.
    ///
    /// # Errors
    /// `Kind::Conflict` if another has written there, `Kind::Full` or `Kind::Unavailable`.
    pub async fn keep(&self, extent: &mut Extent, put: Put) -> Result<()> {
        // Most stores look again when an object is closed; the one in memory does not.
        if self.vault.find(put.object()).await?.is_some() {
            put.abort().await;
            return Err(taken());
        }
        let len = put.close().await.map_err(overtaken)?;
        extent.starts.push(extent.len);
        extent.len = extent.len.saturating_add(len);
        Ok(())
    }

    /// All that has come, as one stream.
    pub fn read(&self, extent: &Extent) -> BoxStream<'static, Result<Bytes>> {
        let ends = extent.starts.iter().skip(1).chain([&extent.len]);
        let parts: Vec<Range<u64>> = (extent.starts.iter().zip(ends))
            .map(|(start, end)| *start..*end)
            .collect();
        let partial = self.clone();
        let parts = stream::iter(parts).map(move |part| {
            partial.vault.read(&BlobRef {
                object: partial.name(part.start),
                range: 0..part.end.saturating_sub(part.start),
            })
        });
        parts.flatten().boxed()
    }

    /// Drops all of it. Where that breaks off, the rest is swept.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the store does not answer.
    pub async fn discard(&self) -> Result<()> {
        // From here on it is not there any more.
        self.vault
            .delete(&format!("{}/{MARK}", self.folder))
            .await?;
        let listed = self.vault.list(&format!("{}/", self.folder));
        let objects: Vec<_> = listed.map_ok(|it| it.object).try_collect().await?;
        for object in objects.iter().filter(|object| is_part(object)) {
            self.vault.delete(object).await?;
        }
        Ok(())
    }

    fn name(&self, start: u64) -> String {
        format!("{}/{start:020}{ENDING}", self.folder)
    }
}

/// A name that is taken is that of a part which another request has written meanwhile.
fn overtaken(error: Error) -> Error {
    if error.kind() == Kind::Internal {
        return taken().with_source(error);
    }
    error
}

fn taken() -> Error {
    let detail = "another request has written there; ask how far the upload is";
    Error::new(Kind::Conflict, detail)
}

fn gone() -> Error {
    Error::new(Kind::Gone, "the upload was left alone for too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &str = "KST/2026/12/01/0190";

    async fn append(partial: &Partial, extent: &mut Extent, bytes: &'static [u8]) -> Result<()> {
        let mut put = partial.part(extent).await?;
        put.write(Bytes::from_static(bytes)).await?;
        partial.keep(extent, put).await
    }

    async fn all(partial: &Partial, extent: &Extent) -> Vec<u8> {
        let pieces: Vec<Bytes> = partial.read(extent).try_collect().await.unwrap();
        pieces.concat()
    }

    async fn check(vault: Vault) {
        assert!(vault.partial(FOLDER).await.unwrap().is_none());
        let partial = vault.begin_partial(FOLDER, Some(12)).await.unwrap();
        let mut extent = partial.extent().await.unwrap();
        assert_eq!(extent, Extent::default());
        append(&partial, &mut extent, b"first ").await.unwrap();
        append(&partial, &mut extent, b"sec").await.unwrap();
        // Another process finds what is durable, and goes on.
        let other = vault.partial(FOLDER).await.unwrap().unwrap();
        assert_eq!(other.length(), Some(12));
        let mut found = other.extent().await.unwrap();
        assert_eq!((&found, found.len), (&extent, 9));
        // What was begun at one place by two is that of the one who ends first.
        let mut late = partial.part(&extent).await.unwrap();
        late.write(Bytes::from_static(b"lost")).await.unwrap();
        append(&other, &mut found, b"ond").await.unwrap();
        let refused = partial.keep(&mut extent, late).await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict);
        let refused = append(&partial, &mut extent, b"lost").await.unwrap_err();
        assert_eq!(refused.kind(), Kind::Conflict);
        assert_eq!(other.extent().await.unwrap(), found);
        assert_eq!(all(&other, &found).await, b"first second");
        // What was begun and not ended does not count.
        drop(partial.part(&found).await.unwrap());
        assert_eq!(other.extent().await.unwrap().len, 12);
        partial.discard().await.unwrap();
        assert!(vault.partial(FOLDER).await.unwrap().is_none());
        let left: Vec<_> = vault.list("").try_collect().await.unwrap();
        assert!(left.is_empty(), "{left:?}");
    }

    #[tokio::test]
    async fn mint_z43_parts_are_one_line_in_a_folder() {
        let root = tempfile::tempdir().unwrap();
        let url = format!("fs://{}", root.path().display());
        check(Vault::open(&url).await.unwrap()).await;
    }

    #[tokio::test]
    async fn mint_z43_parts_are_one_line_in_memory() {
        check(Vault::open("memory://").await.unwrap()).await;
    }

    #[tokio::test]
    async fn what_lost_its_beginning_is_gone() {
        let vault = Vault::open("memory://").await.unwrap();
        let partial = vault.begin_partial(FOLDER, None).await.unwrap();
        let mut extent = Extent::default();
        append(&partial, &mut extent, b"one").await.unwrap();
        append(&partial, &mut extent, b"two").await.unwrap();
        vault.delete(&partial.name(0)).await.unwrap();
        let error = partial.extent().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Gone);
        assert_eq!(vault.partial(FOLDER).await.unwrap().unwrap().length(), None);
    }
}
