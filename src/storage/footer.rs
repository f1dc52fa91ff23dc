//! The footer of a pack: what `kura verify` and a rebuild of the index need to know of it, and nothing but the pack.
//!
//! JSON, so that an operator with `tail` can read it too. Fields that a later version adds are passed over; digests are
//! hexadecimal; `meta` is where the head lies in the metadata object; `frame_table` is base64 of what
//! [`super::frame_table`] describes.
//!
//! ```text
//! { "pack": "0190…", "owner": "KST", "study": "1.2.…", "begun_at": 1767225600000000, "stored_at": 1767225601000000,
//!   "base_url": "https://kura.example/dicomweb",
//!   "metadata": { "object": "KST/2026/01/01/0190….meta", "length": 8123, "sha256": "…" },
//!   "entries": [ { "series": "1.2.…", "instance": "1.2.…", "sop_class": "1.2.…", "transfer_syntax": "1.2.…",
//!                  "offset": 0, "length": 526338, "sha256": "…",
//!                  "meta": { "offset": 0, "length": 5211, "json": [0, 9876] }, "frame_table": "AA…" }, … ] }
//! ```

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::digest::{from_hex, sha256, to_hex};
use super::frame_table;
use super::pack::SealedEntry;
use super::place::MetaPlace;
use super::trailer::{self, torn};
use super::vault::Vault;
use crate::model::{
    FacilityCode, PackId, SeriesUid, SopClassUid, SopInstanceUid, StudyUid, Timestamp,
};
use crate::{Error, Result};

/// What a pack says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Footer {
    /// Key of the pack.
    pub pack_id: PackId,
    /// Whose it is.
    pub owner: FacilityCode,
    /// Study Instance UID.
    pub study: StudyUid,
    /// When its first file came.
    pub begun_at: Timestamp,
    /// When its files count as stored: a rebuild of the index takes packs in this order. A pack that does not say it is one
    /// of the first that were written; it counts from `begun_at`.
    pub stored_at: Timestamp,
    /// The base under which `BulkDataURIs` stand in the metadata object; a pack may be too old to say it.
    pub base_url: Option<String>,
    /// Name of the metadata object.
    pub metadata_object: String,
    /// Length of the metadata object.
    pub metadata_bytes: u64,
    /// SHA-256 of the metadata object.
    pub metadata_digest: [u8; 32],
    /// The files, in the order of the pack.
    pub entries: Vec<SealedEntry>,
}

#[derive(Serialize, Deserialize)]
struct Wire {
    pack: Uuid,
    owner: String,
    study: String,
    begun_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stored_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base_url: Option<String>,
    metadata: WireMetadata,
    entries: Vec<WireEntry>,
}

#[derive(Serialize, Deserialize)]
struct WireMetadata {
    object: String,
    length: u64,
    sha256: String,
}

#[derive(Serialize, Deserialize)]
struct WireEntry {
    series: String,
    instance: String,
    sop_class: String,
    transfer_syntax: String,
    offset: u64,
    length: u64,
    sha256: String,
    meta: WirePlace,
    #[serde(skip_serializing_if = "Option::is_none")]
    frame_table: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct WirePlace {
    offset: u64,
    length: u64,
    json: [u32; 2],
}

/// Reads the footer of the pack `object`. The second value is the digest of the pack, as [`super::Sealed`] has it.
///
/// Every length is checked against the object: ranges lie in it, in order, without overlap.
///
/// # Errors
/// `Kind::Internal` for an object that is not there, torn, or contradicts itself; `Kind::Unavailable` if the store does not
/// answer.
pub async fn read_footer(vault: &Vault, object: &str) -> Result<(Footer, [u8; 32])> {
    let found = trailer::read(vault, object, trailer::PACK).await?;
    let footer = Footer::parse(&found.footer, found.body_len)?;
    Ok((footer, sha256(&found.footer)))
}

impl Footer {
    /// As it is stored.
    pub(super) fn to_bytes(&self) -> Result<Bytes> {
        let wire = Wire {
            pack: self.pack_id.0,
            owner: self.owner.to_string(),
            study: self.study.to_string(),
            begun_at: self.begun_at.0,
            stored_at: Some(self.stored_at.0),
            base_url: self.base_url.clone(),
            metadata: WireMetadata {
                object: self.metadata_object.clone(),
                length: self.metadata_bytes,
                sha256: to_hex(&self.metadata_digest),
            },
            entries: self.entries.iter().map(WireEntry::of).collect(),
        };
        let bytes = serde_json::to_vec(&wire)
            .map_err(|cause| Error::internal("a pack footer cannot be written", cause))?;
        Ok(bytes.into())
    }

    /// Reads what [`Footer::to_bytes`] writes, for a pack with `body_len` bytes before its footer.
    fn parse(bytes: &[u8], body_len: u64) -> Result<Self> {
        let wire: Wire = serde_json::from_slice(bytes)
            .map_err(|cause| torn("has a footer that cannot be read").with_source(cause))?;
        wire.checked(body_len)
            .ok_or_else(|| torn("has a footer that contradicts it"))
    }
}

impl Wire {
    fn checked(self, body_len: u64) -> Option<Footer> {
        let mut from = 0;
        let mut entries = Vec::new();
        for entry in self.entries {
            let entry = entry.checked(from..body_len, self.metadata.length)?;
            from = entry.range.end;
            entries.push(entry);
        }
        Some(Footer {
            pack_id: PackId(self.pack),
            owner: FacilityCode::parse(&self.owner)?,
            study: StudyUid::parse(&self.study).ok()?,
            begun_at: Timestamp(self.begun_at),
            stored_at: Timestamp(self.stored_at.unwrap_or(self.begun_at)),
            base_url: self.base_url,
            metadata_object: self.metadata.object,
            metadata_bytes: self.metadata.length,
            metadata_digest: from_hex(&self.metadata.sha256)?,
            entries,
        })
    }
}

impl WireEntry {
    fn of(entry: &SealedEntry) -> Self {
        Self {
            series: entry.series.to_string(),
            instance: entry.instance.to_string(),
            sop_class: entry.sop_class.to_string(),
            transfer_syntax: entry.transfer_syntax_uid.clone(),
            offset: entry.range.start,
            length: entry.range.end.saturating_sub(entry.range.start),
            sha256: to_hex(&entry.digest),
            meta: WirePlace {
                offset: entry.meta.block.start,
                length: entry.meta.block.end.saturating_sub(entry.meta.block.start),
                json: [entry.meta.json.start, entry.meta.json.end],
            },
            frame_table: entry
                .frame_table
                .as_ref()
                .map(|column| BASE64.encode(column)),
        }
    }

    fn checked(self, within: Range<u64>, metadata_len: u64) -> Option<SealedEntry> {
        let [json_start, json_end] = self.meta.json;
        (json_start <= json_end).then_some(())?;
        let frame_table = match &self.frame_table {
            Some(text) => Some(column(text, within.end)?),
            None => None,
        };
        Some(SealedEntry {
            series: SeriesUid::parse(&self.series).ok()?,
            instance: SopInstanceUid::parse(&self.instance).ok()?,
            sop_class: SopClassUid::parse(&self.sop_class).ok()?,
            transfer_syntax_uid: self.transfer_syntax,
            range: range(self.offset, self.length, &within)?,
            digest: from_hex(&self.sha256)?,
            meta: MetaPlace {
                block: range(self.meta.offset, self.meta.length, &(0..metadata_len))?,
                json: json_start..json_end,
            },
            frame_table,
        })
    }
}

/// The range of `length` bytes from `offset`, if it lies within `within`.
fn range(offset: u64, length: u64, within: &Range<u64>) -> Option<Range<u64>> {
    let end = offset.checked_add(length)?;
    (offset >= within.start && end <= within.end).then_some(offset..end)
}

/// A frame table as the column of the database holds it, if it is whole or points into the pack.
fn column(text: &str, body_len: u64) -> Option<Vec<u8>> {
    let column = BASE64.decode(text).ok()?;
    let fits = match frame_table::parse(&column).ok()? {
        frame_table::Place::Here(_) => true,
        frame_table::Place::InPack { range, .. } => range.end <= body_len,
    };
    fits.then_some(column)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn footer() -> Footer {
        let entry = |number: u64, range: Range<u64>| SealedEntry {
            series: SeriesUid::parse("1.2.3").unwrap(),
            instance: SopInstanceUid::parse(&format!("1.2.3.{number}")).unwrap(),
            sop_class: SopClassUid::parse("1.2.4").unwrap(),
            transfer_syntax_uid: "1.2.840.10008.1.2".to_owned(),
            range,
            digest: [7; 32],
            meta: MetaPlace {
                block: 3..9,
                json: 1..4,
            },
            frame_table: (number == 1).then(|| frame_table::inline(b"ab")),
        };
        Footer {
            pack_id: PackId(Uuid::from_u128(5)),
            owner: FacilityCode::parse("KST").unwrap(),
            study: StudyUid::parse("1.2").unwrap(),
            begun_at: Timestamp(9),
            stored_at: Timestamp(11),
            base_url: Some("http://a/dicomweb".to_owned()),
            metadata_object: "m".to_owned(),
            metadata_bytes: 9,
            metadata_digest: [8; 32],
            entries: vec![entry(0, 0..10), entry(1, 10..20)],
        }
    }

    fn refused(change: impl FnOnce(&mut Footer)) {
        let mut footer = footer();
        change(&mut footer);
        let bytes = footer.to_bytes().unwrap();
        assert!(Footer::parse(&bytes, 20).is_err(), "{footer:?}");
    }

    #[test]
    fn a_footer_comes_back() {
        let bytes = footer().to_bytes().unwrap();
        assert_eq!(Footer::parse(&bytes, 20).unwrap(), footer());
    }

    #[test]
    fn a_footer_from_before_some_fields_is_read() {
        let mut wire: serde_json::Value =
            serde_json::from_slice(&footer().to_bytes().unwrap()).unwrap();
        let fields = wire.as_object_mut().unwrap();
        fields.remove("stored_at").unwrap();
        fields.remove("base_url").unwrap();
        fields.insert("of a later version".to_owned(), 1.into());
        let old = Footer::parse(&serde_json::to_vec(&wire).unwrap(), 20).unwrap();
        assert_eq!((old.stored_at, old.base_url), (Timestamp(9), None));
    }

    #[test]
    fn a_footer_that_contradicts_its_pack_is_refused() {
        let bytes = footer().to_bytes().unwrap();
        assert!(Footer::parse(&bytes, 19).is_err());
        refused(|f| f.entries[1].range = 9..20);
        refused(|f| f.entries.reverse());
        refused(|f| f.metadata_bytes = 8);
        refused(|f| f.entries[0].meta.json.end = 0);
        refused(|f| f.entries[0].frame_table = Some(vec![]));
        refused(|f| f.entries[0].frame_table = Some(frame_table::in_pack(&(15..21), 0)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_footer_or_refused(bytes: Vec<u8>, at in 0_usize..900, byte: u8) {
            Footer::parse(&bytes, 20).ok();
            let mut garbled = footer().to_bytes().unwrap().to_vec();
            if let Some(place) = garbled.get_mut(at) {
                *place = byte;
            }
            if let Ok(footer) = Footer::parse(&garbled, 20) {
                prop_assert!(footer.entries.iter().all(|it| it.range.end <= 20));
            }
            let whole = footer().to_bytes().unwrap();
            let cut = &whole[..at.min(whole.len().saturating_sub(1))];
            prop_assert!(Footer::parse(cut, 20).is_err());
        }
    }
}
