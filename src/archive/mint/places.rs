//! Which values of a file are items beside its pixel data (MINT K24, K25, K47): a walk over the file as it is scanned.

use std::ops::Range;

use bytes::Bytes;

use super::items::Part;
use crate::archive::through::Produce;
use crate::dicom::bulk::BulkPath;
use crate::dicom::head::FileMeta;
use crate::dicom::scan::{Header, ScanError, Sink};
use crate::model::VR;

/// Binary values of this length and longer are items (MINT K25).
const LEAST_BYTES: u32 = 256;

/// Base64 of [`LEAST_BYTES`], and what stands before it and before a link in a stored head.
const LEAST_BASE64: usize = 344;
const INLINE: &[u8] = b"\"InlineBinary\":\"";
const LINK: &[u8] = b"\"BulkDataURI\":\"";

/// Whether a stored head has values that may be items beside the pixel data of its top level. Most have none, and then the file
/// need not be looked at.
pub(super) fn has_more(head: &[u8]) -> bool {
    let behind = |mark: &'static [u8]| {
        memchr::memmem::find_iter(head, mark).filter_map(move |at| {
            let value = head.get(at + mark.len()..)?;
            let end = memchr::memchr(b'"', value)?;
            value.get(..end)
        })
    };
    behind(INLINE).any(|value| value.len() >= LEAST_BASE64)
        || behind(LINK).any(|link| !is_of_pixels(link))
}

/// Whether a link is that of the pixel data of the top level.
fn is_of_pixels(link: &[u8]) -> bool {
    let text = std::str::from_utf8(link).unwrap_or_default();
    let path = text
        .rsplit_once("bulkdata/")
        .map(|(_, path)| BulkPath::parse(path));
    matches!(path, Some(Ok(path)) if path.is_top_level() && path.is_pixels())
}

/// Finds the items of a file.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// What was found, in the order of the file.
    pub(super) parts: Vec<Part>,
    /// Whether the pixel data of the top level are cut by a frame table.
    has_frames: bool,
    /// Whether nothing comes behind the pixel data that could be an item.
    ends_with_pixels: bool,
    is_over: bool,
    depth: usize,
    /// Fragments of a value that no frame table cuts.
    fragments: Option<Vec<Range<u64>>>,
}

impl Places {
    /// A walk over a file whose pixel data have a frame table, or none; `ends_with_pixels` if they are the last of it.
    pub(super) fn new(has_frames: bool, ends_with_pixels: bool) -> Self {
        Self {
            has_frames,
            ends_with_pixels,
            ..Self::default()
        }
    }

    /// Whether a value is the pixel data that the frame table cuts; it is noted then.
    fn is_cut(&mut self, header: &Header) -> bool {
        let is_it = self.has_frames && self.depth == 0 && is_pixels(header);
        if is_it {
            self.parts.push(Part::Pixels);
            self.is_over = self.ends_with_pixels;
        }
        is_it
    }
}

/// Pixel Data, Float Pixel Data, Double Float Pixel Data.
fn is_pixels(header: &Header) -> bool {
    let (group, element) = (header.tag.group(), header.tag.element());
    group == 0x7FE0 && (0x0008..=0x0010).contains(&element)
}

fn is_binary(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, UN};
    matches!(vr, OB | OD | OF | OL | OV | OW | UN)
}

impl Sink for Places {
    fn meta(&mut self, _: &FileMeta) -> Result<(), ScanError> {
        Ok(())
    }

    fn element(&mut self, header: &Header) -> Result<(), ScanError> {
        if self.is_cut(header) {
            return Ok(());
        }
        let len = header.len.unwrap_or(0);
        let always = is_pixels(header) && len > 0;
        if is_binary(header.vr) && (always || len >= LEAST_BYTES) {
            let end = header.value_offset.saturating_add(len.into());
            let value = std::iter::once(header.value_offset..end);
            self.parts.push(Part::Value(value.collect()));
        }
        Ok(())
    }

    fn value(&mut self, _: &[u8]) -> Result<(), ScanError> {
        Ok(())
    }

    fn element_end(&mut self) -> Result<(), ScanError> {
        Ok(())
    }

    fn sequence_start(&mut self, _: &Header) -> Result<(), ScanError> {
        self.depth += 1;
        Ok(())
    }

    fn item_start(&mut self, _: u64) -> Result<(), ScanError> {
        Ok(())
    }

    fn item_end(&mut self) -> Result<(), ScanError> {
        Ok(())
    }

    fn sequence_end(&mut self) -> Result<(), ScanError> {
        self.depth = self.depth.saturating_sub(1);
        Ok(())
    }

    fn fragments_start(&mut self, header: &Header) -> Result<(), ScanError> {
        self.fragments = (!self.is_cut(header)).then(Vec::new);
        Ok(())
    }

    fn fragment_start(&mut self, number: usize, offset: u64, len: u32) -> Result<(), ScanError> {
        if let Some(fragments) = self.fragments.as_mut().filter(|_| number > 0) {
            fragments.push(offset..offset.saturating_add(len.into()));
        }
        Ok(())
    }

    fn fragment_end(&mut self) -> Result<(), ScanError> {
        Ok(())
    }

    fn fragments_end(&mut self) -> Result<(), ScanError> {
        if let Some(ranges) = self.fragments.take().filter(|ranges| !ranges.is_empty()) {
            self.parts.push(Part::Value(ranges));
        }
        Ok(())
    }

    fn warn(&mut self, _: String) {}
}

impl Produce for Places {
    fn made(&mut self) -> Bytes {
        Bytes::new()
    }

    fn is_done(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mint_k24_k25_a_head_tells_whether_the_file_is_to_be_looked_at() {
        let link = |path: &str| format!(r#"{{"X":{{"BulkDataURI":"http://h/bulkdata/{path}"}}}}"#);
        let inline = |len: usize| format!(r#"{{"X":{{"InlineBinary":"{}"}}}}"#, "A".repeat(len));
        assert!(!has_more(b"{}"));
        assert!(!has_more(link("7FE00010").as_bytes()));
        assert!(has_more(link("00091001").as_bytes()));
        assert!(has_more(link("00880200/1/7FE00010").as_bytes()));
        assert!(!has_more(inline(340).as_bytes()));
        assert!(has_more(inline(344).as_bytes()));
    }
}
