//! Attributes that are text or JSON already: search results and STOW answers.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use super::values::write_text;
use super::{UTF_8, declare_utf_8, key};
use crate::dicom::extract::SPECIFIC_CHARACTER_SET;
use crate::model::{Attribute, AttributeSet};

/// Writes attributes as one JSON object. Specific Character Set says UTF-8 where some text is not ASCII (Q60) or where the set
/// holds it, whatever it held.
pub fn write_attributes(set: &AttributeSet, out: &mut Vec<u8>) {
    let start = out.len();
    let mut place = None;
    out.push(b'{');
    for (tag, attribute) in set.iter() {
        if tag >= SPECIFIC_CHARACTER_SET {
            place.get_or_insert(out.len());
        }
        if out.len() > start.saturating_add(1) {
            out.push(b',');
        }
        if tag == SPECIFIC_CHARACTER_SET {
            out.extend_from_slice(UTF_8);
        } else {
            key(tag, out);
            write_attribute(attribute, out);
        }
    }
    if !set.contains(SPECIFIC_CHARACTER_SET) {
        let place = place.unwrap_or(out.len());
        declare_utf_8(out, start, place);
    }
    out.push(b'}');
}

/// Writes the object of one attribute.
pub(super) fn write_attribute(attribute: &Attribute, out: &mut Vec<u8>) {
    match attribute {
        Attribute::Text { vr, text } => write_text(*vr, text, out),
        Attribute::Json(json) => out.extend_from_slice(json.get().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Tag, VR};

    fn check(set: &AttributeSet, json: &str) {
        let mut out = b"[".to_vec();
        write_attributes(set, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), format!("[{json}"));
    }

    #[test]
    fn q60_utf_8_is_declared_where_text_is_not_ascii() {
        let mut set = AttributeSet::default();
        check(&set, "{}");
        set.put(Tag(0x0010, 0x0010), VR::PN, "Doe^John");
        check(
            &set,
            r#"{"00100010":{"vr":"PN","Value":[{"Alphabetic":"Doe^John"}]}}"#,
        );
        set.put(Tag(0x0010, 0x0010), VR::PN, "=山田");
        check(
            &set,
            r#"{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00100010":{"vr":"PN","Value":[{"Ideographic":"山田"}]}}"#,
        );
        set.put(Tag(0x0008, 0x0001), VR::UL, "1");
        check(
            &set,
            r#"{"00080001":{"vr":"UL","Value":[1]},"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00100010":{"vr":"PN","Value":[{"Ideographic":"山田"}]}}"#,
        );
        set.put(SPECIFIC_CHARACTER_SET, VR::CS, "\\ISO 2022 IR 87");
        check(
            &set,
            r#"{"00080001":{"vr":"UL","Value":[1]},"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00100010":{"vr":"PN","Value":[{"Ideographic":"山田"}]}}"#,
        );
    }

    #[test]
    fn utf_8_is_declared_after_the_last_attribute_where_it_belongs_there() {
        let mut set = AttributeSet::default();
        set.put(Tag(0x0008, 0x0001), VR::LO, "é");
        check(
            &set,
            r#"{"00080001":{"vr":"LO","Value":["é"]},"00080005":{"vr":"CS","Value":["ISO_IR 192"]}}"#,
        );
    }

    #[test]
    fn q73_numbers_and_json_stand_in_the_order_of_tags() {
        let mut set = AttributeSet::default();
        set.put(Tag(0x0028, 0x0010), VR::US, "512");
        set.put(Tag(0x0020, 0x1206), VR::IS, "3");
        set.put(Tag(0x0008, 0x0050), VR::SH, "");
        set.put_json(
            Tag(0x0040, 0x0275),
            serde_json::value::RawValue::from_string(r#"{"vr":"SQ","Value":[{}]}"#.to_owned())
                .unwrap(),
        );
        check(
            &set,
            r#"{"00080050":{"vr":"SH"},"00201206":{"vr":"IS","Value":[3]},"00280010":{"vr":"US","Value":[512]},"00400275":{"vr":"SQ","Value":[{}]}}"#,
        );
    }
}
