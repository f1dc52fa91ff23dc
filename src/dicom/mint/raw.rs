//! An attribute as a document has it, before its parts are known to fit together.

use super::document::{Attribute, Bulk, MAX_NUMBER, Value};
use crate::dicom::dictionary::standard_vr;
use crate::dicom::head::name;
use crate::dicom::visit::is_creator;
use crate::model::{Tag, VR};
use crate::{Error, Result};

/// What was read of an attribute.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Raw {
    pub(super) tag: Option<Tag>,
    pub(super) vr: Option<VR>,
    pub(super) exclude: bool,
    pub(super) text: Option<String>,
    pub(super) bytes: Option<Vec<u8>>,
    pub(super) item: Option<u32>,
    pub(super) size: Option<u32>,
    pub(super) frames: Option<u32>,
}

impl Raw {
    /// The tag, which has to be there.
    pub(super) fn tag(&self) -> Result<Tag> {
        self.tag
            .ok_or_else(|| Error::invalid("an attribute of the document has no tag"))
    }

    /// Bytes of its values.
    pub(super) fn len(&self) -> usize {
        let text = self.text.as_ref().map_or(0, String::len);
        text.saturating_add(self.bytes.as_ref().map_or(0, Vec::len))
    }

    /// Whether it is a sequence; what has no value representation is what its items or the dictionary say (MINT V04).
    pub(super) fn is_sequence(&self, has_items: bool) -> Result<bool> {
        let tag = self.tag()?;
        let is_sequence = match self.vr {
            Some(vr) => vr == VR::SQ,
            None => has_items || standard_vr(tag) == Some(VR::SQ),
        };
        let has_value = self.bytes.is_some() || self.item.is_some();
        let has_text = self.text.as_ref().is_some_and(|text| !text.is_empty());
        match (is_sequence, has_items) {
            (false, true) => Err(wrong(tag, "has items and is no sequence")),
            (true, _) if has_value || has_text => {
                Err(wrong(tag, "is a sequence and has another value"))
            }
            _ => Ok(is_sequence),
        }
    }

    /// The attribute, which is no sequence.
    pub(super) fn plain(self) -> Result<Attribute> {
        let tag = self.tag()?;
        let vr = self.vr.unwrap_or_else(|| {
            let of_creator = is_creator(tag).then_some(VR::LO);
            of_creator.or_else(|| standard_vr(tag)).unwrap_or(VR::UN)
        });
        let text = self.text;
        let some_text = text.clone().filter(|text| !text.is_empty());
        let value = match (self.item, self.bytes, some_text) {
            (None, None, _) => text.map_or(Value::Empty, Value::Text),
            (None, Some(bytes), None) => Value::Bytes(bytes),
            (None, Some(bytes), Some(text)) if matches!(vr, VR::FL | VR::FD) => {
                Value::Number { text, bytes }
            }
            (Some(item), None, None) => Value::Bulk(bulk(tag, item, self.size, self.frames)?),
            _ => return Err(wrong(tag, "has more than one value")),
        };
        Ok(Attribute {
            tag,
            vr,
            exclude: self.exclude,
            value,
        })
    }
}

/// A reference to items whose numbers exist (MINT V08, D13).
fn bulk(tag: Tag, item: u32, size: Option<u32>, frames: Option<u32>) -> Result<Bulk> {
    let frames = frames.unwrap_or(1).max(1);
    let last = item.checked_add(frames.saturating_sub(1));
    if last.is_none_or(|last| last > MAX_NUMBER) {
        return Err(wrong(tag, "refers to a binary item beyond 2147483647"));
    }
    Ok(Bulk { item, size, frames })
}

/// A refusal that names an attribute.
pub(super) fn wrong(tag: Tag, what: &str) -> Error {
    Error::invalid(format!("{} {what}", name(tag)))
}

/// Reads a value representation; `??` is what nobody knows.
///
/// # Errors
/// `Kind::Invalid` for what is none.
pub(super) fn vr(text: &str) -> Result<VR> {
    if text == "??" {
        return Ok(VR::UN);
    }
    text.parse().map_err(|_| {
        Error::invalid("an attribute of the document has a vr that is no value representation")
    })
}

/// A version; −1 and nothing are none (MINT U22).
///
/// # Errors
/// `Kind::Invalid` for what is no number.
pub(super) fn version(text: &str) -> Result<Option<u64>> {
    match text.trim() {
        "" | "-1" => Ok(None),
        text => text
            .parse()
            .map(Some)
            .map_err(|_| Error::invalid("the version of the document is no number")),
    }
}

/// A refusal of an exclude inside of a sequence: sequences are replaced whole (MINT U32).
pub(super) fn excluded_inside(tag: Tag) -> Error {
    wrong(
        tag,
        "is excluded inside of a sequence, which is replaced in whole",
    )
}
