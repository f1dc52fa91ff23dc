//! A head that was written as DICOM JSON, read again for the index.
//!
//! `extract::indexed` takes the attributes of the index out of a head as it was parsed; this takes the same ones out of what
//! [`super::write_head`] made of it, so that an index can be rebuilt without reading the files.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::dicom::dictionary::row_of;
use crate::dicom::extract::as_indexed;
use crate::model::{AttributeSet, Tag};

/// Pixel data of the top level: Pixel Data, Float Pixel Data, Double Float Pixel Data.
const PIXELS: [Tag; 3] = [
    Tag(0x7FE0, 0x0010),
    Tag(0x7FE0, 0x0008),
    Tag(0x7FE0, 0x0009),
];

/// What the index keeps of a head.
#[derive(Debug, Default)]
pub struct IndexedHead {
    /// The attributes of the table, the computed ones excepted.
    pub attributes: AttributeSet,
    /// Whether the instance has pixel data.
    pub has_pixels: bool,
}

/// Reads one head.
///
/// # Errors
/// If it is no JSON object of attributes.
pub fn read_head(json: &[u8]) -> Result<IndexedHead, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let head = reader.deserialize_map(Attributes)?;
    reader.end()?;
    Ok(head)
}

/// One attribute of a head.
#[derive(Deserialize)]
struct Element {
    #[serde(rename = "Value", default)]
    values: Vec<Value>,
    #[serde(rename = "InlineBinary")]
    inline: Option<IgnoredAny>,
    #[serde(rename = "BulkDataURI")]
    bulk: Option<IgnoredAny>,
}

struct Attributes;

impl<'de> Visitor<'de> for Attributes {
    type Value = IndexedHead;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of attributes")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<IndexedHead, A::Error> {
        let mut head = IndexedHead::default();
        while let Some(key) = map.next_key::<String>()? {
            let tag = tag(&key);
            head.has_pixels |= tag.is_some_and(|tag| PIXELS.contains(&tag));
            let row = tag.and_then(row_of).filter(|row| !row.computed);
            let Some(row) = row else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let element: Element = map.next_value()?;
            if element.inline.is_none() && element.bulk.is_none() {
                let values: Vec<String> = element.values.iter().map(text).collect();
                let text = as_indexed(row, values.join("\\"));
                head.attributes.put(row.tag, row.vr, text);
            }
        }
        Ok(head)
    }
}

fn tag(key: &str) -> Option<Tag> {
    let (group, element) = key.split_at_checked(4)?;
    let number = |text| u16::from_str_radix(text, 16).ok();
    (element.len() == 4).then_some(())?;
    Some(Tag(number(group)?, number(element)?))
}

/// A value in the one spelling that everything shares: `=` between the groups of a name.
fn text(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) | Value::Array(_) => String::new(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Object(groups) => {
            let group = |name| groups.get(name).and_then(Value::as_str).unwrap_or_default();
            let all = ["Alphabetic", "Ideographic", "Phonetic"]
                .map(group)
                .join("=");
            all.trim_end_matches('=').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::extract::indexed;
    use crate::dicom::json::made::head;
    use crate::dicom::json::{At, write_head};
    use crate::model::VR;

    #[test]
    fn what_was_written_is_read_again() {
        let head = head()
            .with((0x0008, 0x0005), VR::CS, "\\ISO 2022 IR 87")
            .with((0x0008, 0x0008), VR::CS, "ORIGINAL\\\\AXIAL")
            .with((0x0008, 0x0020), VR::DA, "2024.01.31")
            .with((0x0008, 0x0050), VR::SH, "")
            .with((0x0008, 0x1050), VR::PN, "Doe^J\\\\Roe^R")
            .with((0x0010, 0x0010), VR::PN, b"Yamada^Tarou=\x1b$B;3ED\x1b(B ")
            .with((0x0010, 0x0020), VR::LO, "x".repeat(5000))
            .with((0x0010, 0x4000), VR::LT, "not of the table")
            .with((0x0020, 0x0011), VR::IS, "12")
            .with((0x0028, 0x0010), VR::US, [0, 2])
            .done();
        let mut json = Vec::new();
        let at = At {
            instance_url: "http://a",
            extras: &AttributeSet::default(),
        };
        write_head(&head, &at, &mut json);
        let read = read_head(&json).unwrap();
        let texts = |set: &AttributeSet| -> Vec<(Tag, String)> {
            let text = |tag| set.text(tag).unwrap().to_owned();
            set.iter().map(|(tag, _)| (tag, text(tag))).collect()
        };
        assert_eq!(texts(&read.attributes), texts(&indexed(&head)));
        assert!(!read.has_pixels);
    }

    #[test]
    fn pixels_are_seen_and_other_things_refused() {
        let json = br#"{"7FE00010":{"vr":"OW","BulkDataURI":"http://a/b"},"x":[[[1]]]}"#;
        assert!(read_head(json).unwrap().has_pixels);
        for json in [&b""[..], b"[]", b"{", b"{}x", br#"{"00100010":1}"#] {
            assert!(read_head(json).is_err());
        }
    }
}
