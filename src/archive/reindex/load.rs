//! A pack and its heads, read back into what a store tells the index.

use std::collections::BTreeMap;

use memchr::memmem;

use crate::archive::Archive;
use crate::dicom::json::read_head;
use crate::error::{Error, Kind, Result};
use crate::index::record::{NewInstance, NewPack};
use crate::model::{Class, StudyUid};
use crate::storage::digest::sha256;
use crate::storage::inflate::inflate_block;
use crate::storage::metadata::{MAX_HEAD_BYTES, read_pieces};
use crate::storage::{Footer, is_of_the_object, read_footer};

/// The longest metadata object that is read: what a pack holds when it is full, and one head of the longest kind.
const MAX_METADATA_BYTES: usize = 2 * MAX_HEAD_BYTES;

/// A pack as it was found.
pub(super) enum Loaded {
    /// It can be recorded.
    Whole(Box<NewPack>),
    /// Its files are there, their heads are not, for this reason.
    WithoutHeads(Box<Footer>, Error),
    /// It does not even say what it holds.
    Torn(Error),
}

/// Reads the pack `object`. A store that does not answer is an error, damage is not.
pub(super) async fn load(archive: &Archive, object: String) -> (String, Result<Loaded>) {
    let loaded = read(archive, &object).await;
    (object, loaded)
}

async fn read(archive: &Archive, object: &str) -> Result<Loaded> {
    let vault = &archive.vault;
    let (footer, digest) = match read_footer(vault, object).await {
        Ok(read) => read,
        Err(error) if is_of_the_object(&error) => return Ok(Loaded::Torn(error)),
        Err(error) => return Err(error),
    };
    let byte_count = vault.byte_count(object).await?;
    match heads(archive, &footer).await {
        Ok((instances, pieces, base_url)) => Ok(Loaded::Whole(Box::new(NewPack {
            pack_id: footer.pack_id,
            study: footer.study,
            object: object.to_owned(),
            metadata_object: footer.metadata_object,
            byte_count,
            metadata_bytes: footer.metadata_bytes,
            digest,
            base_url,
            pieces,
            instances,
        }))),
        Err(error) if is_of_the_object(&error) => Ok(Loaded::WithoutHeads(Box::new(footer), error)),
        Err(error) => Err(error),
    }
}

type Heads = (Vec<NewInstance>, Vec<crate::storage::Piece>, String);

/// The instances with what their heads say, the pieces, and the base of the links in them.
async fn heads(archive: &Archive, footer: &Footer) -> Result<Heads> {
    let (vault, object) = (&archive.vault, &footer.metadata_object);
    let bytes = vault
        .read_small(object, 0..footer.metadata_bytes, MAX_METADATA_BYTES)
        .await?;
    if sha256(&bytes) != footer.metadata_digest {
        return Err(Error::new(
            Kind::Internal,
            "the digest of its heads is another",
        ));
    }
    let pieces = read_pieces(vault, object).await?;
    let mut blocks: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    for (at, entry) in footer.entries.iter().enumerate() {
        blocks.entry(entry.meta.block.start).or_default().push(at);
    }
    let mut base_url = footer.base_url.clone();
    let mut instances = BTreeMap::new();
    for entries in blocks.into_values() {
        let last = entries.iter().map(|at| footer.entries[*at].meta.json.end);
        let end = last.max().unwrap_or(0);
        let block = &footer.entries[entries[0]].meta.block;
        let json = inflate_block(slice(&bytes, block)?, &(0..end))?;
        for at in entries {
            let place = &footer.entries[at].meta.json;
            let head = slice(&json, &(u64::from(place.start)..u64::from(place.end)))?;
            if base_url.is_none() {
                base_url = base_of_links(head, &footer.study);
            }
            instances.insert(at, instance(footer, at, head)?);
        }
    }
    Ok((
        instances.into_values().collect(),
        pieces,
        base_url.unwrap_or_default(),
    ))
}

fn slice<'b>(bytes: &'b [u8], range: &std::ops::Range<u64>) -> Result<&'b [u8]> {
    let at = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
    let found = bytes.get(at(range.start)..at(range.end));
    found.ok_or_else(|| Error::new(Kind::Internal, "a head lies outside of its block"))
}

fn instance(footer: &Footer, at: usize, head: &[u8]) -> Result<NewInstance> {
    let entry = &footer.entries[at];
    let read = read_head(head)
        .map_err(|cause| Error::internal("a stored head is no DICOM JSON", cause))?;
    Ok(NewInstance {
        series: entry.series.clone(),
        instance: entry.instance.clone(),
        sop_class: entry.sop_class.clone(),
        transfer_syntax_uid: entry.transfer_syntax_uid.clone(),
        class: Class::of(entry.sop_class.as_str(), read.has_pixels),
        attributes: read.attributes,
        digest: entry.digest,
        range: entry.range.clone(),
        meta: entry.meta.clone(),
        frame_table: entry.frame_table.clone(),
        first_item: None,
    })
}

/// What stands before `/studies/…` in the first link of a head; `None` if it has none.
fn base_of_links(head: &[u8], study: &StudyUid) -> Option<String> {
    // Inside a JSON string a quote is escaped, so this text is a member and no value.
    let member = b"\"BulkDataURI\":\"";
    let from = memmem::find(head, member)? + member.len();
    let rest = &head[from..];
    let link = &rest[..memchr::memchr(b'"', rest)?];
    let to = memmem::find(link, format!("/studies/{study}/").as_bytes())?;
    String::from_utf8(link[..to].to_vec()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j40_the_base_of_the_links_is_read_from_the_first() {
        let study = StudyUid::parse("1.2").unwrap();
        let base = |head: &str| base_of_links(head.as_bytes(), &study);
        let head =
            r#"{"7FE00010":{"vr":"OW","BulkDataURI":"http://a/x/dicomweb/studies/1.2/series/1"}}"#;
        assert_eq!(base(head).as_deref(), Some("http://a/x/dicomweb"));
        assert_eq!(
            base(r#"{"00100010":{"vr":"LO","Value":["\"BulkDataURI\":\"x/studies/1.2/"]}}"#),
            None
        );
        assert_eq!(
            base(r#"{"7FE00010":{"vr":"OW","BulkDataURI":"http://a/studies/1.3/"}}"#),
            None
        );
    }
}
