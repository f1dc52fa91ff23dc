//! The values of one element as bytes, explicit VR little endian.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::dicom::charset::is_single_valued;
use crate::dicom::visit::{Value, hex_tag};
use crate::model::{Tag, VR};

/// The values of an attribute as they came.
#[derive(Debug, Default)]
pub(super) struct Given {
    texts: Vec<String>,
    inline: Option<String>,
    bulk: Option<String>,
}

impl Given {
    pub(super) fn take(&mut self, value: Value<'_>) {
        match value {
            Value::None => self.texts.push(String::new()),
            Value::Text(text) => self.texts.push(text.to_owned()),
            Value::Name(groups) => {
                let name = groups.join("=");
                self.texts.push(name.trim_end_matches('=').to_owned());
            }
            Value::Inline(base64) => self.inline = Some(base64.to_owned()),
            Value::Bulk(uri) => self.bulk = Some(uri.to_owned()),
        }
    }

    pub(super) fn bulk(&self) -> Option<&str> {
        self.bulk.as_deref()
    }

    pub(super) fn first_text(&self) -> Option<&str> {
        let text = self.texts.first()?.trim_end_matches(['\0', ' ']);
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn is_ascii(&self) -> bool {
        self.texts.iter().all(|text| text.is_ascii())
    }

    /// The bytes without padding; `None` where the value representation has no room for the values.
    pub(super) fn bytes(&self, vr: VR) -> Option<Vec<u8>> {
        if let Some(base64) = &self.inline {
            let plain: String = base64.split_ascii_whitespace().collect();
            return STANDARD.decode(plain).ok();
        }
        match vr {
            VR::US => self.numbers(|text| number::<u16>(text).map(u16::to_le_bytes)),
            VR::SS => self.numbers(|text| number::<i16>(text).map(i16::to_le_bytes)),
            VR::UL => self.numbers(|text| number::<u32>(text).map(u32::to_le_bytes)),
            VR::SL => self.numbers(|text| number::<i32>(text).map(i32::to_le_bytes)),
            VR::UV => self.numbers(|text| number::<u64>(text).map(u64::to_le_bytes)),
            VR::SV => self.numbers(|text| number::<i64>(text).map(i64::to_le_bytes)),
            // "NaN", "Infinity" and "-Infinity" read as what they are (J11).
            VR::FL => self.numbers(|text| text.trim().parse().ok().map(f32::to_le_bytes)),
            VR::FD => self.numbers(|text| text.trim().parse().ok().map(f64::to_le_bytes)),
            VR::AT => self.numbers(|text| {
                let Tag(group, element) = hex_tag(text.trim())?;
                let ([a, b], [c, d]) = (group.to_le_bytes(), element.to_le_bytes());
                Some([a, b, c, d])
            }),
            VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::SQ | VR::UN => {
                self.texts.is_empty().then(Vec::new)
            }
            VR::AE
            | VR::AS
            | VR::CS
            | VR::DA
            | VR::DS
            | VR::DT
            | VR::IS
            | VR::LO
            | VR::LT
            | VR::PN
            | VR::SH
            | VR::ST
            | VR::TM
            | VR::UC
            | VR::UI
            | VR::UR
            | VR::UT => self.text(vr),
        }
    }

    /// Text with a backslash between the values, which none of them may hold.
    fn text(&self, vr: VR) -> Option<Vec<u8>> {
        if is_single_valued(vr) {
            return (self.texts.len() <= 1).then(|| self.texts.concat().into_bytes());
        }
        let is_one = |text: &String| !text.contains('\\');
        let are_plain = self.texts.iter().all(is_one);
        are_plain.then(|| self.texts.join("\\").into_bytes())
    }

    fn numbers<const N: usize>(&self, one: impl Fn(&str) -> Option<[u8; N]>) -> Option<Vec<u8>> {
        let numbers: Option<Vec<[u8; N]>> = self.texts.iter().map(|text| one(text)).collect();
        Some(numbers?.concat())
    }
}

/// An integer, which JSON may also write as `512.0`.
fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    let text = text.trim();
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|b| b == b'0') => whole,
        _ => text,
    };
    whole.parse().ok()
}

/// The longest value, in bytes, where the length of an element has 16 bits (PS3.5 7.1.2).
pub(super) fn short_len(vr: VR) -> Option<usize> {
    let is_long = matches!(
        vr,
        VR::OB
            | VR::OD
            | VR::OF
            | VR::OL
            | VR::OV
            | VR::OW
            | VR::SQ
            | VR::SV
            | VR::UC
            | VR::UN
            | VR::UR
            | VR::UT
            | VR::UV
    );
    (!is_long).then_some(0xFFFE)
}

/// The header of an element.
pub(super) fn header(tag: Tag, vr: VR, len: u32) -> Vec<u8> {
    let mut header = Vec::with_capacity(12);
    header.extend(tag.0.to_le_bytes());
    header.extend(tag.1.to_le_bytes());
    header.extend(vr.to_bytes());
    if let (Some(_), Ok(len)) = (short_len(vr), u16::try_from(len)) {
        header.extend(len.to_le_bytes());
    } else {
        header.extend([0, 0]);
        header.extend(len.to_le_bytes());
    }
    header
}

/// What makes a value even.
pub(super) fn padding(vr: VR) -> u8 {
    match vr {
        VR::UI | VR::OB | VR::UN => 0,
        VR::AE
        | VR::AS
        | VR::AT
        | VR::CS
        | VR::DA
        | VR::DS
        | VR::DT
        | VR::FD
        | VR::FL
        | VR::IS
        | VR::LO
        | VR::LT
        | VR::OD
        | VR::OF
        | VR::OL
        | VR::OV
        | VR::OW
        | VR::PN
        | VR::SH
        | VR::SL
        | VR::SQ
        | VR::SS
        | VR::ST
        | VR::SV
        | VR::TM
        | VR::UC
        | VR::UL
        | VR::UR
        | VR::US
        | VR::UT
        | VR::UV => b' ',
    }
}

/// Makes a value even.
pub(super) fn pad(vr: VR, value: &mut Vec<u8>) {
    if !value.len().is_multiple_of(2) {
        value.push(padding(vr));
    }
}
