//! The bytes of one value (MINT P04 to P06).

use crate::dicom::charset::{Charset, Encoder};
use crate::dicom::mint::document::Value;
use crate::dicom::visit::hex_tag;
use crate::model::transfer_syntax::Encoding;
use crate::model::{Tag, VR};

/// How values are written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Values {
    pub(super) encoding: Encoding,
    /// Text is UTF-8 whatever the document names.
    pub(super) is_utf8: bool,
}

/// Why there are no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// A character that the character set does not have.
    Character,
    /// A value that the value representation does not have.
    Value,
}

/// The character set of a data set or item.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) charset: Charset,
    pub(super) encoder: Encoder,
}

impl Text {
    /// Of the values of Specific Character Set.
    pub(super) fn of(values: &str) -> Self {
        Self {
            charset: Charset::of(values.as_bytes()),
            encoder: Encoder::of(values.as_bytes()),
        }
    }
}

impl Values {
    /// The bytes of a value that is neither items nor a sequence, without padding.
    pub(super) fn bytes(self, vr: VR, value: &Value, text: &Text) -> Result<Vec<u8>, Misfit> {
        match value {
            Value::Empty | Value::Bulk(_) | Value::Items(_) => Ok(Vec::new()),
            Value::Bytes(bytes) if self.is_utf8 && is_words(vr) => {
                // They were in the character set that is given up.
                let decoded = text.charset.decode(bytes, vr);
                if decoded.replaced {
                    return Ok(bytes.clone());
                }
                Ok(decoded.text.into_bytes())
            }
            Value::Bytes(bytes) | Value::Number { bytes, .. } => Ok(bytes.clone()),
            Value::Text(value) if is_words(vr) => self.words(vr, value, text),
            Value::Text(value) => {
                let values = value.split('\\').map(str::trim);
                self.numbers(vr, value, values).ok_or(Misfit::Value)
            }
        }
    }

    fn words(self, vr: VR, value: &str, text: &Text) -> Result<Vec<u8>, Misfit> {
        if value.is_empty() {
            // The object had nothing but blanks, which is not the same as nothing.
            return Ok(vec![padding(vr); 2]);
        }
        if self.is_utf8 || value.is_ascii() && !value.contains(['\\', '~']) {
            return Ok(value.as_bytes().to_vec());
        }
        text.encoder.encode(value, vr).ok_or(Misfit::Character)
    }

    fn numbers<'a>(
        self,
        vr: VR,
        value: &str,
        values: impl Iterator<Item = &'a str>,
    ) -> Option<Vec<u8>> {
        if value.is_empty() {
            return Some(Vec::new());
        }
        let mut out = Vec::new();
        for one in values {
            self.number(vr, one, &mut out)?;
        }
        Some(out)
    }

    /// Appends one number; `None` for bytes, which have no text, and for what is no number of the kind.
    fn number(self, vr: VR, one: &str, out: &mut Vec<u8>) -> Option<()> {
        if vr == VR::US {
            self.put(out, one.parse::<u16>().ok()?.to_le_bytes());
        } else if vr == VR::SS {
            self.put(out, one.parse::<i16>().ok()?.to_le_bytes());
        } else if vr == VR::UL {
            self.put(out, one.parse::<u32>().ok()?.to_le_bytes());
        } else if vr == VR::SL {
            self.put(out, one.parse::<i32>().ok()?.to_le_bytes());
        } else if vr == VR::UV {
            self.put(out, one.parse::<u64>().ok()?.to_le_bytes());
        } else if vr == VR::SV {
            self.put(out, one.parse::<i64>().ok()?.to_le_bytes());
        } else if vr == VR::FL {
            self.put(out, one.parse::<f32>().ok()?.to_le_bytes());
        } else if vr == VR::FD {
            self.put(out, one.parse::<f64>().ok()?.to_le_bytes());
        } else if vr == VR::AT {
            let Tag(group, element) = hex_tag(one)?;
            self.put(out, group.to_le_bytes());
            self.put(out, element.to_le_bytes());
        } else {
            return None;
        }
        Some(())
    }

    /// Appends a number that is given in little endian.
    pub(super) fn put<const N: usize>(self, out: &mut Vec<u8>, mut number: [u8; N]) {
        if self.encoding == Encoding::ExplicitBig {
            number.reverse();
        }
        out.extend(number);
    }

    /// The header of an element; `None` for an undefined length.
    pub(super) fn header(self, Tag(group, element): Tag, vr: VR, len: Option<u32>) -> Vec<u8> {
        let mut out = Vec::with_capacity(12);
        self.put(&mut out, group.to_le_bytes());
        self.put(&mut out, element.to_le_bytes());
        let len = len.unwrap_or(u32::MAX);
        let is_plain = self.encoding == Encoding::ImplicitLittle || group == 0xFFFE;
        if is_plain {
            self.put(&mut out, len.to_le_bytes());
            return out;
        }
        if let Some(len) = u16::try_from(len).ok().filter(|_| is_short(vr)) {
            out.extend(vr.to_bytes());
            self.put(&mut out, len.to_le_bytes());
        } else {
            // What does not fit the value representation is unknown (PS3.5 6.2.2).
            let vr = if is_short(vr) { VR::UN } else { vr };
            out.extend(vr.to_bytes());
            out.extend([0, 0]);
            self.put(&mut out, len.to_le_bytes());
        }
        out
    }
}

/// Makes a value even (MINT P05).
pub(super) fn pad(vr: VR, value: &mut Vec<u8>) {
    if !value.len().is_multiple_of(2) {
        value.push(padding(vr));
    }
}

/// What makes a value even.
pub(super) fn padding(vr: VR) -> u8 {
    if is_words(vr) && vr != VR::UI {
        b' '
    } else {
        0
    }
}

/// Whether the length of an element has 16 bits in explicit VR (PS3.5 7.1.2).
fn is_short(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    !matches!(
        vr,
        OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV
    )
}

/// Whether values are text in a file.
fn is_words(vr: VR) -> bool {
    use VR::{AE, AS, CS, DA, DS, DT, IS, LO, LT, PN, SH, ST, TM, UC, UI, UR, UT};
    matches!(
        vr,
        AE | AS | CS | DA | DS | DT | IS | LO | LT | PN | SH | ST | TM | UC | UI | UR | UT
    )
}
