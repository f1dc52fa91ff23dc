//! The bulk values of an instance, by its metadata.

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
