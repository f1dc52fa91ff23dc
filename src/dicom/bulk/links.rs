//! The bulk values of an instance, by its metadata.

use std::ops::Range;

use memchr::memmem;

use super::BulkPath;
use crate::dicom::json::walk;
use crate::dicom::visit::{Named, Value, Visitor};
use crate::{Error, Result};

/// What stands before the path in a BulkDataURI (J40).
const BEFORE: &str = "/bulkdata/";

/// The paths of all values that the metadata of an instance, as they are written here, give as a BulkDataURI.
///
/// # Errors
/// `Kind::Internal` if they are no metadata.
pub fn links(head: &[u8]) -> Result<Vec<BulkPath>> {
    let broken = |cause| Error::internal("metadata that are kept cannot be read", cause);
    let text = std::str::from_utf8(head)
        .map_err(|cause| Error::internal("metadata that are kept are no text", cause))?;
    let mut links = Links::default();
    walk(text, usize::MAX, &mut links).map_err(broken)?;
    Ok(links.0)
}

/// The links of metadata that may give way to their values: for each the place of the member, and what it names. Those to
/// binary values are, but for pixel data, which stay links whatever their length (J30).
pub fn replaceable(head: &[u8]) -> Vec<(Range<usize>, BulkPath)> {
    // Inside a JSON string a quote is escaped, so this text is a member and no value.
    const MEMBER: &[u8] = b"\"BulkDataURI\":\"";
    const AFTER_VR: &[u8] = b"\",";
    const BINARY: [&[u8]; 7] = [b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"UN"];
    let found = memmem::find_iter(head, MEMBER).filter_map(|start| {
        let vr = head.get(..start)?.strip_suffix(AFTER_VR)?;
        let is_binary = BINARY.iter().any(|binary| vr.ends_with(binary));
        let uri_at = start.saturating_add(MEMBER.len());
        let uri = head.get(uri_at..)?;
        let uri = uri.get(..memchr::memchr(b'"', uri)?)?;
        let end = uri_at.saturating_add(uri.len()).saturating_add(1);
        let (_, path) = std::str::from_utf8(uri).ok()?.rsplit_once("bulkdata/")?;
        let path = BulkPath::parse(path).ok()?;
        let is_replaceable = is_binary && !path.is_pixels();
        is_replaceable.then_some((start..end, path))
    });
    found.collect()
}

#[derive(Default)]
struct Links(Vec<BulkPath>);

impl Visitor for Links {
    fn attribute(&mut self, _named: Named<'_>) -> Result<()> {
        Ok(())
    }

    fn value(&mut self, value: Value<'_>) -> Result<()> {
        if let Value::Bulk(uri) = value
            && let Some((_, path)) = uri.rsplit_once(BEFORE)
            && let Ok(path) = BulkPath::parse(path)
        {
            self.0.push(path);
        }
        Ok(())
    }

    fn item(&mut self) -> Result<()> {
        Ok(())
    }

    fn item_end(&mut self) -> Result<()> {
        Ok(())
    }

    fn attribute_end(&mut self) -> Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j36_links_to_binary_values_can_give_way_and_those_to_pixels_and_texts_cannot() {
        let head = br#"{"00081140":{"vr":"SQ","Value":[{"00091001":{"vr":"UN","BulkDataURI":"instances/1/bulkdata/00081140/1/00091001"}}]},"00104000":{"vr":"LT","Value":["\"vr\":\"OB\",\"BulkDataURI\":\"bulkdata/00091001"]},"00189999":{"vr":"UT","BulkDataURI":"bulkdata/00189999"},"00420011":{"vr":"OB","BulkDataURI":"http://a/bulkdata/b/bulkdata/00420011"},"00880200":{"vr":"SQ","Value":[{"7FE00010":{"vr":"OB","BulkDataURI":"bulkdata/00880200/1/7FE00010"}}]},"7FE00008":{"vr":"OF","BulkDataURI":"bulkdata/7FE00008"}}"#;
        let found = replaceable(head);
        let texts: Vec<_> = found
            .iter()
            .map(|(range, path)| (&head[range.clone()], path.to_string()))
            .collect();
        let member = |uri: &str| format!("\"BulkDataURI\":\"{uri}\"").into_bytes();
        assert_eq!(texts.len(), 2);
        assert_eq!(
            texts[0].0,
            member("instances/1/bulkdata/00081140/1/00091001")
        );
        assert_eq!(texts[0].1, "00081140/1/00091001");
        assert_eq!(texts[1].0, member("http://a/bulkdata/b/bulkdata/00420011"));
        assert!(replaceable(br#""vr":"OB","BulkDataURI":"bulkdata/00420011"#).is_empty());
    }

    #[test]
    fn f67_every_bulk_data_uri_is_found() {
        let head = br#"{"00081140":{"vr":"SQ","Value":[{"00091001":{"vr":"UN","BulkDataURI":"http://a/bulkdata/b/bulkdata/00081140/1/00091001"}}]},"00100020":{"vr":"LO","Value":["/bulkdata/00100020"]},"7FE00010":{"vr":"OW","BulkDataURI":"http://a/bulkdata/7FE00010"}}"#;
        let found: Vec<String> = links(head)
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(found, ["00081140/1/00091001", "7FE00010"]);
        assert!(links(b"[").is_err());
    }
}
