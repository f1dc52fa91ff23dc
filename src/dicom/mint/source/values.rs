//! The value of an element as a document has it (mint.md 11.2).

use super::floats::{double, single};
use crate::dicom::charset::Charset;
use crate::dicom::extract::text;
use crate::dicom::mint::document::Value;
use crate::dicom::mint::tags::is_xml;
use crate::dicom::swap::word_len;
use crate::model::{Tag, VR};

/// How the values of a file are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values {
    /// Bytes are given in the byte order of the file (mint.md 11.4).
    pub(super) is_big_endian: bool,
}

impl Values {
    /// The value of an element that is no item; `bytes` are little endian.
    pub(super) fn of(self, vr: VR, bytes: &[u8], charset: Charset) -> Value {
        use VR::{AT, FD, FL, OB, OD, OF, OL, OV, OW, SL, SQ, SS, SV, UL, UN, US, UV};
        if matches!(vr, OB | OD | OF | OL | OV | OW | SQ | UN) {
            Value::Bytes(self.stored(vr, bytes))
        } else if bytes.is_empty() {
            Value::Empty
        } else if matches!(vr, FL | FD) {
            self.numbers(vr, bytes)
        } else if matches!(vr, AT | SL | SS | SV | UL | US | UV) {
            let decoded = text(vr, bytes, charset);
            decoded.map_or_else(
                || Value::Bytes(self.stored(vr, bytes)),
                |decoded| Value::Text(decoded.text),
            )
        } else {
            words(vr, bytes, charset)
        }
    }

    /// FL and FD: text for people, and the bytes that count.
    fn numbers(self, vr: VR, bytes: &[u8]) -> Value {
        let texts: Option<Vec<String>> = if vr == VR::FL {
            let (values, rest) = bytes.as_chunks();
            let texts = values
                .iter()
                .map(|value| single(f32::from_le_bytes(*value)));
            rest.is_empty().then(|| texts.collect())
        } else {
            let (values, rest) = bytes.as_chunks();
            let texts = values
                .iter()
                .map(|value| double(f64::from_le_bytes(*value)));
            rest.is_empty().then(|| texts.collect())
        };
        let bytes = self.stored(vr, bytes);
        match texts {
            Some(texts) => Value::Number {
                text: texts.join("\\"),
                bytes,
            },
            None => Value::Bytes(bytes),
        }
    }

    /// Bytes in the order of the file.
    fn stored(self, vr: VR, bytes: &[u8]) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        let word_len = usize::from(word_len(Tag(0, 0), vr, 0));
        if self.is_big_endian && word_len > 1 {
            for word in bytes.chunks_exact_mut(word_len) {
                word.reverse();
            }
        }
        bytes
    }
}

/// The value of an element that is text in the file.
fn words(vr: VR, bytes: &[u8], charset: Charset) -> Value {
    let decoded = charset.decode(bytes, vr);
    let text = trimmed(vr, &decoded.text);
    // Never a sign for what does not decode, nor one that XML has no place for (MINT K23, D03).
    if decoded.replaced || !text.chars().all(is_xml) {
        return Value::Bytes(bytes.to_vec());
    }
    Value::Text(text.to_owned())
}

/// A text without what pads it at its ends; within long texts blanks at the front count.
fn trimmed(vr: VR, text: &str) -> &str {
    const PADDING: [char; 2] = [' ', '\0'];
    let text = text.trim_end_matches(PADDING);
    if matches!(vr, VR::LT | VR::ST | VR::UC | VR::UT) {
        text
    } else {
        text.trim_start_matches(PADDING)
    }
}
