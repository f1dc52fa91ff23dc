//! Which value a bulk path names, and its bytes (dicomweb.md 5.3 and 7.4, PS3.18 10.4.1.1.5).
//!
//! [`Pick`] takes one value out of a file as it is scanned; [`Document`] says how an encapsulated document is served. Pixel data
//! of the top level have frames and are served from their table (`frames`).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

mod links;
mod pick;

use std::fmt;

pub use links::{links, replaceable};
pub use pick::{Found, Pick};

use super::head::{Element, Head, Value};
use crate::model::Tag;
use crate::{Error, Result};

const MIME_TYPE_OF_ENCAPSULATED_DOCUMENT: Tag = Tag(0x0042, 0x0012);
const ENCAPSULATED_DOCUMENT: Tag = Tag(0x0042, 0x0011);
const ENCAPSULATED_DOCUMENT_LENGTH: Tag = Tag(0x0042, 0x0015);
const OCTETS: &str = "application/octet-stream";

/// The deepest path that is looked for.
const MAX_STEPS: usize = 64;

/// What stands behind `bulkdata/`: `{tag}`, or `{sequence}/{item}/…/{tag}` with items from 1 (J40).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkPath {
    steps: Vec<(Tag, u32)>,
    tag: Tag,
}

impl BulkPath {
    /// Reads a path, tags as eight hexadecimal digits of either case.
    ///
    /// # Errors
    /// `Kind::Invalid` for anything else.
    pub fn parse(path: &str) -> Result<Self> {
        let malformed = || {
            Error::invalid(
                "a bulk data path is a tag of eight hexadecimal digits, or sequence/item/tag",
            )
        };
        let mut parts = path.split('/');
        let mut steps = Vec::new();
        let mut tag = parts.next().and_then(parse_tag).ok_or_else(malformed)?;
        while let Some(item) = parts.next() {
            let item = parse_item(item).ok_or_else(malformed)?;
            if steps.len() == MAX_STEPS {
                return Err(Error::invalid("a bulk data path has at most 64 sequences"));
            }
            steps.push((tag, item));
            tag = parts.next().and_then(parse_tag).ok_or_else(malformed)?;
        }
        Ok(Self { steps, tag })
    }

    /// The tag of the value.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// Whether the value is pixel data, of the image or of an icon.
    pub fn is_pixels(&self) -> bool {
        matches!(self.tag, Tag(0x7FE0, 0x0008..=0x0010))
    }

    /// Whether the value is of the top level.
    pub fn is_top_level(&self) -> bool {
        self.steps.is_empty()
    }
}

impl fmt::Display for BulkPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (Tag(group, element), item) in &self.steps {
            write!(f, "{group:04X}{element:04X}/{item}/")?;
        }
        let Tag(group, element) = self.tag;
        write!(f, "{group:04X}{element:04X}")
    }
}

fn parse_tag(text: &str) -> Option<Tag> {
    let is_tag = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let (group, element) = text.split_at_checked(4).filter(|_| is_tag)?;
    Some(Tag(
        u16::from_str_radix(group, 16).ok()?,
        u16::from_str_radix(element, 16).ok()?,
    ))
}

fn parse_item(text: &str) -> Option<u32> {
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|item| is_number && *item > 0)
}

/// How an encapsulated document is served (F61, F62).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The media type, fit for a header: octets where the file gives none that is.
    pub mime_type: String,
    /// The length in bytes without the pad octet.
    pub len: u64,
}

impl Document {
    /// The document of a file; `None` if it has none at its top level.
    pub fn of(head: &Head) -> Option<Self> {
        let stored = match &head.element(ENCAPSULATED_DOCUMENT)?.value {
            Value::Inline(range) => u64::try_from(range.len()).ok()?,
            Value::Bulk(range) => range.end.saturating_sub(range.start),
            Value::Fragments => return None,
        };
        let text = |element: &Element| {
            let text = std::str::from_utf8(head.bytes(element)).ok()?;
            let text = text.trim_matches(['\0', ' ']);
            is_media_type(text).then(|| text.to_owned())
        };
        let mime_type = head
            .element(MIME_TYPE_OF_ENCAPSULATED_DOCUMENT)
            .and_then(text);
        let declared = head
            .element(ENCAPSULATED_DOCUMENT_LENGTH)
            .map(|e| head.bytes(e));
        let len = match declared {
            Some([a, b, c, d]) => {
                let declared = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
                // One octet is padding; a length that takes more is wrong, and nothing is cut from a document.
                if declared.checked_add(1) == Some(stored) {
                    declared
                } else {
                    stored
                }
            }
            _ => stored,
        };
        Some(Self {
            mime_type: mime_type.unwrap_or_else(|| OCTETS.into()),
            len,
        })
    }
}

/// Whether a text is `type/subtype` (RFC 9110 8.3.1); parameters are not for us to pass on.
fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b);
        (1..=127).contains(&part.len()) && part.bytes().all(allowed)
    };
    text.split_once('/')
        .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::dicom::head::Node;
    use crate::model::VR;

    #[test]
    fn j40_paths_are_tags_and_items_from_1() {
        for good in [
            "7FE00010",
            "00081140/1/00081155",
            "00081140/12/00081140/3/7FE00010",
        ] {
            assert_eq!(BulkPath::parse(good).unwrap().to_string(), good);
        }
        assert_eq!(
            BulkPath::parse("7fe00010").unwrap().tag(),
            Tag(0x7FE0, 0x0010)
        );
        let deep = format!("{}7FE00010", "00081140/1/".repeat(64));
        assert!(BulkPath::parse(&deep).is_ok());
        for bad in [
            "",
            "/",
            "7FE0001",
            "7FE000100",
            "7FE0001G",
            "+FE00010",
            "PixelData",
            "7FE00010/",
            "/7FE00010",
            "00081140/0/00081155",
            "00081140/-1/00081155",
            "00081140/+1/00081155",
            "00081140/1",
            "00081140/1/",
            "00081140/4294967296/00081155",
            "00081140//00081155",
            "７ＦＥ０",
            "7FE0値0",
        ] {
            assert!(BulkPath::parse(bad).is_err(), "{bad:?}");
        }
        assert!(BulkPath::parse(&format!("00081140/1/{deep}")).is_err());
    }

    fn document(mime_type: &str, len: u32, stored: u64) -> Document {
        let mut head = Head::default();
        let mut put = |tag, vr, value: &[u8]| {
            let start = head.arena.len();
            head.arena.extend_from_slice(value);
            let value = Value::Inline(start..head.arena.len());
            head.nodes.push(Node::Element(Element {
                tag,
                vr,
                offset: 0,
                value,
            }));
        };
        put(
            MIME_TYPE_OF_ENCAPSULATED_DOCUMENT,
            VR::LO,
            mime_type.as_bytes(),
        );
        put(ENCAPSULATED_DOCUMENT_LENGTH, VR::UL, &len.to_le_bytes());
        head.nodes.push(Node::Element(Element {
            tag: ENCAPSULATED_DOCUMENT,
            vr: VR::OB,
            offset: 0,
            value: Value::Bulk(0..stored),
        }));
        Document::of(&head).unwrap()
    }

    #[test]
    fn f61_the_type_is_that_of_the_document_if_a_header_can_carry_it() {
        assert_eq!(
            document("application/pdf ", 10, 10).mime_type,
            "application/pdf"
        );
        assert_eq!(document("model/stl", 10, 10).mime_type, "model/stl");
        for bad in [
            "",
            "pdf",
            "a/b/c",
            "text/html\r\nX: y",
            "text/plain; charset=x",
            "テ/ス",
        ] {
            assert_eq!(document(bad, 10, 10).mime_type, OCTETS);
        }
        assert_eq!(Document::of(&Head::default()), None);
    }

    #[test]
    fn f62_the_pad_octet_goes_and_nothing_else() {
        assert_eq!(document("", 9, 10).len, 9);
        assert_eq!(document("", 10, 10).len, 10);
        assert_eq!(document("", 8, 10).len, 10);
        assert_eq!(document("", 11, 10).len, 10);
        assert_eq!(document("", u32::MAX, 0).len, 0);
    }

    proptest! {
        #[test]
        fn any_text_gives_a_path_or_an_error(text in "[0-9A-Fa-f/ x値]{0,40}") {
            if let Ok(path) = BulkPath::parse(&text) {
                prop_assert_eq!(BulkPath::parse(&path.to_string()).unwrap(), path);
            }
        }
    }
}
