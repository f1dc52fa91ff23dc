//! Values as text, and the attributes of the index out of a head.
//!
//! One spelling serves the index, DICOM JSON and XML: UTF-8, a backslash between values, numbers as decimal text, tags as eight
//! hexadecimal digits, padding gone.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::fmt::{Display, Write as _};

use super::charset::{Charset, Decoded, is_single_valued};
use super::dictionary::{Row, row_of};
use super::head::{Element, Head, Value};
use crate::model::{AttributeSet, Tag, VR};

/// Specific Character Set.
pub(super) const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);

/// The longest value that goes into the index, in characters: every standard text but LT, ST, UT is shorter.
const INDEXED_CHARACTERS: usize = 1024;

/// The character set of the top level.
pub fn charset(head: &Head) -> Charset {
    head.element(SPECIFIC_CHARACTER_SET)
        .map_or_else(Charset::default, |element| Charset::of(head.bytes(element)))
}

/// The text of an element of the top level: all values, padding trimmed (J14), numbers as decimal text.
///
/// `None` if it is absent, not kept in the head, or of a value representation without text.
pub fn text_of(head: &Head, tag: Tag) -> Option<String> {
    let element = head.element(tag)?;
    Some(value(head, element, element.vr, charset(head))?.text)
}

/// The attributes of the index that the top level holds, the computed ones excepted. Empty ones are there and empty.
///
/// Texts are as stored but for dates: the dots of `2024.01.31` (ACR-NEMA) go, so that dates compare as text.
pub fn indexed(head: &Head) -> AttributeSet {
    let charset = charset(head);
    let mut set = AttributeSet::default();
    for element in head.top_level() {
        let Some(row) = row_of(element.tag).filter(|row| !row.computed) else {
            continue;
        };
        // A name under LO is split like a name all the same; a number under IS instead of US stays what the file says.
        let vr = if is_binary(element.vr) || is_binary(row.vr) {
            element.vr
        } else {
            row.vr
        };
        let Some(decoded) = value(head, element, vr, charset).filter(|_| !set.contains(row.tag))
        else {
            continue;
        };
        set.put(row.tag, row.vr, as_indexed(row, decoded.text));
    }
    set
}

/// The text of an indexed attribute as the index keeps it.
pub(super) fn as_indexed(row: &Row, mut text: String) -> String {
    if row.vr == VR::DA {
        text = plain_date(text);
    }
    if let Some((end, _)) = text.char_indices().nth(INDEXED_CHARACTERS) {
        text.truncate(end);
    }
    text
}

fn value(head: &Head, element: &Element, vr: VR, charset: Charset) -> Option<Decoded> {
    match element.value {
        Value::Inline(_) => text(vr, head.bytes(element), charset),
        Value::Bulk(_) | Value::Fragments => None,
    }
}

fn plain_date(text: String) -> String {
    match text.as_bytes() {
        [year @ .., b'.', _, _, b'.', _, _]
            if year.len() == 4 && text.bytes().all(|c| c.is_ascii_digit() || c == b'.') =>
        {
            text.replace('.', "")
        }
        _ => text,
    }
}

/// Whether values are no text in the file.
fn is_binary(vr: VR) -> bool {
    match vr {
        VR::AT
        | VR::FD
        | VR::FL
        | VR::OB
        | VR::OD
        | VR::OF
        | VR::OL
        | VR::OV
        | VR::OW
        | VR::SL
        | VR::SQ
        | VR::SS
        | VR::SV
        | VR::UL
        | VR::UN
        | VR::US
        | VR::UV => true,
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
        | VR::UT => false,
    }
}

/// The text of a value that lies in an arena, little endian.
///
/// `None` if the value representation has no text (OB and its kin, SQ, UN) or the length is no multiple of its unit (J27).
pub fn text(vr: VR, bytes: &[u8], charset: Charset) -> Option<Decoded> {
    let numbers = match vr {
        VR::US => numbers(bytes, |b| Some(u16::from_le_bytes(b))),
        VR::SS => numbers(bytes, |b| Some(i16::from_le_bytes(b))),
        VR::UL => numbers(bytes, |b| Some(u32::from_le_bytes(b))),
        VR::SL => numbers(bytes, |b| Some(i32::from_le_bytes(b))),
        VR::UV => numbers(bytes, |b| Some(u64::from_le_bytes(b))),
        VR::SV => numbers(bytes, |b| Some(i64::from_le_bytes(b))),
        VR::FL => numbers(bytes, |b| {
            let value = f32::from_le_bytes(b);
            Some(Float(value, f64::from(value)))
        }),
        VR::FD => numbers(bytes, |b| {
            let value = f64::from_le_bytes(b);
            Some(Float(value, value))
        }),
        VR::AT => numbers(bytes, |[a, b, c, d]: [u8; 4]| {
            Some(format!(
                "{:04X}{:04X}",
                u16::from_le_bytes([a, b]),
                u16::from_le_bytes([c, d])
            ))
        }),
        VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::SQ | VR::UN => None,
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
        | VR::UT => {
            let decoded = charset.decode(bytes, vr);
            return Some(Decoded {
                text: trimmed(vr, decoded.text),
                replaced: decoded.replaced,
            });
        }
    };
    numbers.map(|text| Decoded {
        text,
        replaced: false,
    })
}

/// Values of `N` bytes as text; `None` if the last one is incomplete.
fn numbers<const N: usize, T: Display>(
    bytes: &[u8],
    value: impl Fn([u8; N]) -> Option<T>,
) -> Option<String> {
    let (values, rest) = bytes.as_chunks::<N>();
    if !rest.is_empty() {
        return None;
    }
    let mut text = String::with_capacity(bytes.len());
    for bytes in values {
        if !text.is_empty() {
            text.push('\\');
        }
        write!(text, "{}", value(*bytes)?).ok()?;
    }
    Some(text)
}

/// A number with its magnitude; it prints the shortest text that reads back to the same number (J12), the names of J11 where
/// it is not finite.
struct Float<T>(T, f64);

impl<T: Display + std::fmt::LowerExp> Display for Float<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let magnitude = self.1.abs();
        if self.1.is_nan() {
            f.write_str("NaN")
        } else if magnitude.is_infinite() {
            f.write_str(if self.1 > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            })
        } else if magnitude == 0.0 || (1e-5..1e16).contains(&magnitude) {
            write!(f, "{}", self.0)
        } else {
            // Three hundred zeros are no short text.
            write!(f, "{:e}", self.0)
        }
    }
}

/// Cuts the padding of each value (J14, PS3.5 table 6.2-1).
fn trimmed(vr: VR, text: String) -> String {
    const PADDING: [char; 2] = [' ', '\0'];
    let leading_counts = matches!(vr, VR::LT | VR::ST | VR::UT | VR::UC);
    let value = |value: &str| -> String {
        let end = value.trim_end_matches(PADDING);
        match (leading_counts, vr) {
            (true, _) => end.to_owned(),
            (false, VR::PN) => end
                .split('=')
                .map(|group| group.trim_matches(PADDING))
                .collect::<Vec<_>>()
                .join("="),
            (false, _) => end.trim_start_matches(PADDING).to_owned(),
        }
    };
    if !text.contains(PADDING) {
        text
    } else if is_single_valued(vr) {
        value(&text)
    } else {
        text.split('\\').map(value).collect::<Vec<_>>().join("\\")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::json::made::{Made, head};

    fn check(made: Made, tag: (u16, u16), text: Option<&str>) {
        assert_eq!(text_of(&made.done(), Tag::from(tag)).as_deref(), text);
    }

    #[test]
    fn values_are_text_in_one_spelling() {
        let name = b"Yamada^Tarou=\x1b$B;3ED\x1b(B ";
        check(
            head()
                .with((0x0008, 0x0005), VR::CS, "\\ISO 2022 IR 87")
                .with((0x0010, 0x0010), VR::PN, name),
            (0x0010, 0x0010),
            Some("Yamada^Tarou=山田"),
        );
        let image_type = ((0x0008, 0x0008), VR::CS, "ORIGINAL \\PRIMARY\\ ");
        let (tag, vr, bytes) = image_type;
        check(
            head().with(tag, vr, bytes),
            tag,
            Some("ORIGINAL\\PRIMARY\\"),
        );
        let tag = (0x0028, 0x0010);
        check(head().with(tag, VR::US, [0, 2]), tag, Some("512"));
        check(head().with(tag, VR::US, [0, 2, 1, 0]), tag, Some("512\\1"));
        check(head().with(tag, VR::SL, [255; 4]), tag, Some("-1"));
        check(head().with(tag, VR::US, [0, 2, 1]), tag, None);
        check(head().with(tag, VR::US, []), tag, Some(""));
        check(head().with(tag, VR::OB, [0, 2]), tag, None);
        check(head().bulk(tag, VR::UT), tag, None);
        check(head(), tag, None);
    }

    #[test]
    fn an_element_inside_an_item_is_not_of_the_top_level() {
        let tag = (0x0010, 0x0020);
        check(
            head()
                .sequence((0x0010, 0x1002))
                .item()
                .with(tag, VR::LO, "inner")
                .item_end()
                .sequence_end()
                .with(tag, VR::LO, "first")
                .with(tag, VR::LO, "second"),
            tag,
            Some("first"),
        );
    }

    #[test]
    fn the_index_takes_what_its_table_names() {
        let set = indexed(
            &head()
                .with((0x0008, 0x0020), VR::DA, "2024.01.31")
                .with((0x0008, 0x0023), VR::DA, "20240131-20240201")
                .with((0x0008, 0x0030), VR::TM, "12:30:00 ")
                .with((0x0008, 0x0050), VR::SH, "")
                .with((0x0008, 0x0061), VR::CS, "CT")
                .with((0x0010, 0x0010), VR::LO, "A=B ")
                .with((0x0010, 0x0020), VR::LO, "x".repeat(5000))
                .with((0x0010, 0x0020), VR::LO, "second")
                .with((0x0010, 0x4000), VR::LT, "not of the table")
                .with((0x0028, 0x0008), VR::IS, " 12")
                .with((0x0028, 0x0010), VR::US, [0, 2])
                .with((0x0028, 0x0011), VR::UL, [0, 2, 0, 0])
                .done(),
        );
        let texts: Vec<(Tag, &str)> = set
            .iter()
            .map(|(tag, _)| (tag, set.text(tag).unwrap()))
            .collect();
        assert_eq!(
            texts,
            [
                (Tag(0x0008, 0x0020), "20240131"),
                (Tag(0x0008, 0x0023), "20240131-20240201"),
                (Tag(0x0008, 0x0030), "12:30:00"),
                (Tag(0x0008, 0x0050), ""),
                (Tag(0x0010, 0x0010), "A=B"),
                (Tag(0x0010, 0x0020), &*"x".repeat(1024)),
                (Tag(0x0028, 0x0008), "12"),
                (Tag(0x0028, 0x0010), "512"),
                (Tag(0x0028, 0x0011), "512"),
            ]
        );
    }
}
