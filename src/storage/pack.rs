//! Packs: many stored files in one object, of one owner and one study (architecture.md 7.5).
//!
//! ```text
//! KST/2026/07/01/0190….pack                    KST/2026/07/01/0190….meta
//! ┌──────────────────────────────┐ 0           ┌───────────────────────┐
//! │ file 1, as it came           │             │ piece of series A     │
//! │ file 2                       │             │ piece of series B     │
//! │ (hole: a part that was       │             │ footer: the pieces    │
//! │  refused, repeated or torn)  │             │ trailer: KURAMETA     │
//! │ file 3                       │             └───────────────────────┘
//! │ frame table of 3, if large   │             metadata.rs draws it closer
//! │ …                            │
//! │ footer: footer.rs            │
//! │ trailer: trailer.rs, KURAPACK│
//! └──────────────────────────────┘
//! ```
//!
//! Files go into the object as they arrive. Nothing can be seen before the pack is sealed, and once [`PackWriter::seal`] has
//! returned, both objects survive a power cut. A pack that is dropped or aborted leaves nothing.
//!
//! The digest of a pack is the SHA-256 of its footer, which names the SHA-256 of every file and of the metadata object:
//! a change of any stored byte is a change of a digest below it, and no byte was hashed twice.

use std::ops::Range;

use bytes::Bytes;
use futures::future;
use time::OffsetDateTime;
use uuid::Uuid;

use super::digest::{Digester, sha256};
use super::footer::Footer;
use super::frame_table;
use super::metadata::{Head, Metadata, MetadataWriter};
use super::place::{MetaPlace, Piece};
use super::trailer;
use super::vault::{Put, Vault};
use crate::model::{
    FacilityCode, PackId, SeriesUid, SopClassUid, SopInstanceUid, StudyUid, Timestamp,
};
use crate::{Error, Kind, Result};

/// Bytes at which a pack is full. One flush and one transaction for about 120 CT slices: the flush is a small part of the
/// time, what waits unsealed is bounded, and a range of a pack is still cheap to move between tiers. A file that crosses it
/// ends the pack; so does, alone, any file longer than it.
pub const FULL_BYTES: u64 = 64 << 20;

/// Entries at which a pack is full: what one transaction takes in some tens of milliseconds, and a footer of about 700 KB.
pub const FULL_ENTRIES: usize = 1_000;

/// Series at which a pack is full: each holds an open metadata block of up to 256 KiB.
pub const FULL_SERIES: usize = 32;

/// Compressed metadata at which a pack is full: it is held in memory until the pack is sealed.
pub const FULL_METADATA_BYTES: usize = 8 << 20;

/// Frame tables that stand in the footer, in all. It is held in memory; what is beyond goes into the pack itself.
const MAX_TABLE_BYTES: usize = 4 << 20;

/// Entries of a pack whose writer did not heed [`PackWriter::is_full`]; keeps the footer below what is read back.
const MAX_ENTRIES: usize = 8 * FULL_ENTRIES;

/// What the caller knows of a part that is to be kept.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Series Instance UID.
    pub series: SeriesUid,
    /// SOP Instance UID.
    pub instance: SopInstanceUid,
    /// SOP Class UID.
    pub sop_class: SopClassUid,
    /// Transfer Syntax UID as stored.
    pub transfer_syntax_uid: String,
    /// The frame table; `None` where there is nothing to cut.
    pub frame_table: Option<Vec<u8>>,
}

/// A file of a sealed pack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedEntry {
    /// Series Instance UID.
    pub series: SeriesUid,
    /// SOP Instance UID.
    pub instance: SopInstanceUid,
    /// SOP Class UID.
    pub sop_class: SopClassUid,
    /// Transfer Syntax UID as stored.
    pub transfer_syntax_uid: String,
    /// Its bytes in the pack.
    pub range: Range<u64>,
    /// SHA-256 of them.
    pub digest: [u8; 32],
    /// Its head in the metadata object.
    pub meta: MetaPlace,
    /// What the column of the database holds; [`frame_table::frame_table`] reads it.
    pub frame_table: Option<Vec<u8>>,
}

/// A sealed pack: durable, and not yet known to any row.
#[derive(Clone, Debug)]
pub struct Sealed {
    /// Key.
    pub pack_id: PackId,
    /// Study Instance UID.
    pub study: StudyUid,
    /// Name of the pack object.
    pub object: String,
    /// Name of the metadata object.
    pub metadata_object: String,
    /// Length of the pack object.
    pub byte_count: u64,
    /// Length of the metadata object.
    pub metadata_bytes: u64,
    /// SHA-256 of the footer of the pack.
    pub digest: [u8; 32],
    /// Metadata pieces, one a series, in the order in which the series came.
    pub pieces: Vec<Piece>,
    /// The files, in the order of the pack.
    pub entries: Vec<SealedEntry>,
}

/// A pack in the making.
#[derive(Debug)]
pub struct PackWriter {
    vault: Vault,
    pack_id: PackId,
    owner: FacilityCode,
    study: StudyUid,
    begun_at: Timestamp,
    base_url: String,
    put: Put,
    metadata_object: String,
    metadata: MetadataWriter,
    kept: Vec<Kept>,
    table_bytes: usize,
    /// The part under way: where it begins, and its digest so far.
    part: Option<(u64, Digester)>,
}

#[derive(Debug)]
struct Kept {
    entry: Entry,
    range: Range<u64>,
    digest: [u8; 32],
    head: Head,
}

impl PackWriter {
    /// Begins a pack of `study` for `owner`. The objects are named for the day of `at` (UTC) and for `pack_id`. `base_url` is
    /// the one under which the links in its heads stand.
    ///
    /// # Errors
    /// `Kind::Internal` for an id that was used before, `Kind::Unavailable` if the store does not answer.
    pub async fn begin(
        vault: &Vault,
        owner: &FacilityCode,
        study: &StudyUid,
        pack_id: PackId,
        at: Timestamp,
        base_url: &str,
    ) -> Result<Self> {
        let stem = stem(owner, pack_id, at)?;
        Ok(Self {
            vault: vault.clone(),
            pack_id,
            owner: owner.clone(),
            study: study.clone(),
            begun_at: at,
            base_url: base_url.to_owned(),
            put: vault.create(&format!("{stem}.pack")).await?,
            metadata_object: format!("{stem}.meta"),
            metadata: MetadataWriter::default(),
            kept: Vec::new(),
            table_bytes: 0,
            part: None,
        })
    }

    /// Whose study it holds.
    pub fn study(&self) -> &StudyUid {
        &self.study
    }

    /// Begins a part. One that was under way is discarded.
    pub fn start_part(&mut self) {
        self.part = Some((self.put.written(), Digester::default()));
    }

    /// Writes the next bytes of the part.
    ///
    /// # Errors
    /// `Kind::Full` or `Kind::Unavailable`; the pack is then lost, and with it all that it held. `Kind::Internal` if no part
    /// is under way.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let (_, digest) = self.part.as_mut().ok_or_else(no_part)?;
        digest.update(&bytes);
        self.put.write(bytes).await
    }

    /// Keeps the part as `entry`, with its head as one JSON object.
    ///
    /// # Errors
    /// `Kind::TooLarge` for a head or frame table beyond 64 MiB: the part is then discarded and the pack goes on. Anything
    /// else loses the pack: `Kind::Full`, `Kind::Unavailable`, and `Kind::Internal` if no part is under way or the pack has
    /// been overfull for long.
    pub async fn keep(&mut self, mut entry: Entry, head_json: &[u8]) -> Result<()> {
        let (start, digest) = self.part.take().ok_or_else(no_part)?;
        let range = start..self.put.written();
        if self.kept.len() >= MAX_ENTRIES {
            return Err(Error::new(
                Kind::Internal,
                "a pack was not sealed when it was full",
            ));
        }
        let table = entry.frame_table.take();
        if table
            .as_ref()
            .is_some_and(|table| table.len() > frame_table::MAX_BYTES)
        {
            return Err(Error::new(
                Kind::TooLarge,
                "the frame table is longer than 64 MiB",
            ));
        }
        let head = self.metadata.add(&entry.series, head_json).await?;
        entry.frame_table = match table {
            Some(table) => Some(self.place_table(table).await?),
            None => None,
        };
        self.kept.push(Kept {
            entry,
            range,
            digest: digest.finish(),
            head,
        });
        Ok(())
    }

    /// The digest of what the part under way has written so far; `None` if there is none.
    pub fn part_digest(&self) -> Option<[u8; 32]> {
        self.part
            .as_ref()
            .map(|(_, digest)| digest.clone().finish())
    }

    /// Gives the part up. What it wrote stays as a hole that no entry names.
    pub fn discard_part(&mut self) {
        self.part = None;
    }

    /// Bytes written, holes included.
    pub fn len(&self) -> u64 {
        self.put.written()
    }

    /// Whether nothing was kept.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// How many parts were kept.
    pub fn entries(&self) -> usize {
        self.kept.len()
    }

    /// Whether it should be sealed before the next part.
    pub fn is_full(&self) -> bool {
        self.len() >= FULL_BYTES
            || self.kept.len() >= FULL_ENTRIES
            || self.metadata.series_count() >= FULL_SERIES
            || self.metadata.held_bytes() >= FULL_METADATA_BYTES
    }

    /// Makes pack and metadata whole, durable and visible. `None` where nothing was kept: the pack is dropped. `stored_at` is
    /// when its files count as stored.
    ///
    /// # Errors
    /// `Kind::Full` or `Kind::Unavailable`; the pack is then dropped.
    pub async fn seal(self, stored_at: Timestamp) -> Result<Option<Sealed>> {
        let mut sealed = seal_all(vec![self], stored_at).await;
        sealed.pop().unwrap_or(Ok(None))
    }

    /// Gives the pack up; nothing of it stays.
    pub async fn abort(self) {
        self.put.abort().await;
    }

    /// The column for `table`, which goes into the pack where it is too long for it.
    async fn place_table(&mut self, table: Vec<u8>) -> Result<Vec<u8>> {
        let in_footer = self.table_bytes.saturating_add(table.len());
        if table.len() <= frame_table::MAX_INLINE_BYTES && in_footer <= MAX_TABLE_BYTES {
            self.table_bytes = in_footer;
            return Ok(frame_table::inline(&table));
        }
        let crc32 = crc32fast::hash(&table);
        let start = self.put.written();
        self.put.write(table.into()).await?;
        Ok(frame_table::in_pack(&(start..self.put.written()), crc32))
    }

    /// Everything of sealing but the sync of the folders.
    async fn close(mut self, stored_at: Timestamp) -> Result<Option<Sealed>> {
        if self.kept.is_empty() {
            self.put.abort().await;
            return Ok(None);
        }
        let mut metadata = self.metadata.finish().await?;
        let mut beside = self.vault.create(&self.metadata_object).await?;
        let metadata_digest = metadata.write(self.pack_id, &mut beside).await?;
        let sealed = self.kept.into_iter().map(|kept| kept.sealed(&metadata));
        let entries: Result<Vec<SealedEntry>> = sealed.collect();
        let footer = Footer {
            pack_id: self.pack_id,
            owner: self.owner,
            study: self.study,
            begun_at: self.begun_at,
            stored_at,
            base_url: Some(self.base_url),
            metadata_object: self.metadata_object,
            metadata_bytes: beside.written(),
            metadata_digest,
            entries: entries?,
        };
        let bytes = footer.to_bytes()?;
        let digest = sha256(&bytes);
        let trailer = trailer::write(trailer::PACK, &bytes);
        self.put.write(bytes).await?;
        self.put.write(trailer).await?;
        let object = self.put.object().to_owned();
        let byte_count = close_both(&self.vault, self.put, beside).await?;
        Ok(Some(Sealed {
            pack_id: footer.pack_id,
            study: footer.study,
            object,
            metadata_object: footer.metadata_object,
            byte_count,
            metadata_bytes: footer.metadata_bytes,
            digest,
            pieces: metadata.pieces,
            entries: footer.entries,
        }))
    }
}

impl Kept {
    fn sealed(self, metadata: &Metadata) -> Result<SealedEntry> {
        Ok(SealedEntry {
            series: self.entry.series,
            instance: self.entry.instance,
            sop_class: self.entry.sop_class,
            transfer_syntax_uid: self.entry.transfer_syntax_uid,
            range: self.range,
            digest: self.digest,
            meta: metadata.place(&self.head)?,
            frame_table: self.entry.frame_table,
        })
    }
}

/// Closes a pack and its metadata object at the same time, so that their flushes share the wait. Gives the pack's length.
async fn close_both(vault: &Vault, pack: Put, metadata: Put) -> Result<u64> {
    let objects = [pack.object().to_owned(), metadata.object().to_owned()];
    match future::join(pack.close_unsynced(), metadata.close_unsynced()).await {
        (Ok(byte_count), Ok(_)) => Ok(byte_count),
        (Err(error), _) | (_, Err(error)) => {
            drop_objects(vault, &objects).await;
            Err(error)
        }
    }
}

/// Drops objects that no row will point at. What cannot be dropped now is an orphan that `kura verify` names.
async fn drop_objects(vault: &Vault, objects: &[String]) {
    for object in objects {
        vault.delete(object).await.ok();
    }
}

/// Seals several packs with one sync of their folders; gives one result each, in their order.
///
/// One that fails does not take the others with it, as long as the folders can be synced.
pub async fn seal_all(packs: Vec<PackWriter>, stored_at: Timestamp) -> Vec<Result<Option<Sealed>>> {
    let Some(vault) = packs.first().map(|pack| pack.vault.clone()) else {
        return Vec::new();
    };
    let mut results = Vec::with_capacity(packs.len());
    for pack in packs {
        results.push(pack.close(stored_at).await);
    }
    let names = |sealed: &Sealed| [sealed.object.clone(), sealed.metadata_object.clone()];
    let sealed = results.iter().flatten().flatten();
    let objects: Vec<String> = sealed.flat_map(names).collect();
    let Err(error) = vault.sync_dirs(objects.iter().map(String::as_str)).await else {
        return results;
    };
    drop_objects(&vault, &objects).await;
    // The first result carries the cause for the log, all carry its kind.
    let kind = error.kind();
    let mut cause = Some(error);
    for result in results
        .iter_mut()
        .filter(|result| matches!(result, Ok(Some(_))))
    {
        let again = || Error::new(kind, "the store did not take the bytes");
        *result = Err(cause.take().unwrap_or_else(again));
    }
    results
}

/// `{facility code}/{YYYY}/{MM}/{DD}/{pack id}`.
fn stem(owner: &FacilityCode, pack_id: PackId, at: Timestamp) -> Result<String> {
    let day = OffsetDateTime::from_unix_timestamp(at.seconds())
        .map_err(|cause| Error::internal("the time of a pack is out of range", cause))?;
    let (year, month, day) = (day.year(), u8::from(day.month()), day.day());
    Ok(format!("{owner}/{year:04}/{month:02}/{day:02}/{pack_id}"))
}

/// What the name of an object says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackName {
    /// Whose it is.
    pub owner: FacilityCode,
    /// The pack that it is, or that it lies beside.
    pub pack_id: PackId,
    /// Whether it is the metadata object.
    pub is_metadata: bool,
}

impl PackName {
    /// Reads the name of a pack or of a metadata object; `None` for any other.
    pub fn parse(object: &str) -> Option<Self> {
        let mut parts = object.split('/');
        let owner = FacilityCode::parse(parts.next()?)?;
        for len in [4, 2, 2] {
            let part = parts.next()?;
            (part.len() == len && part.bytes().all(|b| b.is_ascii_digit())).then_some(())?;
        }
        let (stem, ending) = parts.next()?.split_once('.')?;
        let is_metadata = match ending {
            "pack" => false,
            "meta" => true,
            _ => return None,
        };
        let pack_id: Uuid = stem.parse().ok()?;
        let is_ours = parts.next().is_none() && pack_id.to_string() == stem;
        is_ours.then_some(Self {
            owner,
            pack_id: PackId(pack_id),
            is_metadata,
        })
    }

    /// When the pack was begun, as its key says.
    pub fn begun_at(&self) -> Timestamp {
        let (seconds, nanos) = self
            .pack_id
            .0
            .get_timestamp()
            .map_or((0, 0), |at| at.to_unix());
        let seconds = i64::try_from(seconds).unwrap_or(0);
        Timestamp(
            seconds
                .saturating_mul(1_000_000)
                .saturating_add(i64::from(nanos / 1_000)),
        )
    }
}

fn no_part() -> Error {
    Error::new(Kind::Internal, "bytes for a pack came outside of a part")
}

#[cfg(test)]
#[path = "pack_tests.rs"]
mod tests;
