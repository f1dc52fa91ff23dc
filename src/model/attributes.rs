//! A data set without bulk: what the index keeps and a search answers with.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{Tag, VR};

/// The value of one attribute.
#[derive(Clone, Debug)]
pub enum Attribute {
    /// Text in UTF-8, spelled as DICOM spells it: backslashes between values, `=` and `^` in names, numbers as decimal text.
    /// An empty text is an empty value.
    Text {
        /// Value representation.
        vr: VR,
        /// The values.
        text: String,
    },
    /// A value that is DICOM JSON already: the object that holds `vr` and `Value`.
    Json(Box<RawValue>),
}

/// Attributes in the order of their tags.
#[derive(Clone, Debug, Default)]
pub struct AttributeSet {
    attributes: BTreeMap<Tag, Attribute>,
}

impl AttributeSet {
    /// Sets a textual value.
    pub fn put(&mut self, tag: Tag, vr: VR, text: impl Into<String>) {
        self.attributes.insert(
            tag,
            Attribute::Text {
                vr,
                text: text.into(),
            },
        );
    }

    /// Sets a value that is DICOM JSON already.
    pub fn put_json(&mut self, tag: Tag, json: Box<RawValue>) {
        self.attributes.insert(tag, Attribute::Json(json));
    }

    /// The text of an attribute; `None` if it is absent or not textual.
    pub fn text(&self, tag: Tag) -> Option<&str> {
        match self.attributes.get(&tag)? {
            Attribute::Text { text, .. } => Some(text),
            Attribute::Json(_) => None,
        }
    }

    /// Takes an attribute out.
    pub fn remove(&mut self, tag: Tag) -> Option<Attribute> {
        self.attributes.remove(&tag)
    }

    /// Whether the attribute is there, empty or not.
    pub fn contains(&self, tag: Tag) -> bool {
        self.attributes.contains_key(&tag)
    }

    /// All of them by ascending tag.
    pub fn iter(&self) -> impl Iterator<Item = (Tag, &Attribute)> {
        self.attributes
            .iter()
            .map(|(tag, attribute)| (*tag, attribute))
    }
}
