//! Specific Character Set (0008,0005): the bytes of text as UTF-8 (PS3.5 6.1, PS3.3 C.12.1.1.2, dicomweb.md J16 to J18).
//!
//! Splitting at backslashes comes after decoding here, never before: 5C is also the second byte of `顧` in JIS X 0208 and of
//! `誠` in GB18030. After decoding, a backslash in a value of several is a separator and nothing else.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

mod encode;
mod iso2022;

pub use encode::Encoder;

use encoding_rs::GB18030;

use self::iso2022::Designated;
use crate::model::VR;

/// How the text of one data set, or of one sequence item, is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charset {
    repertoire: Repertoire,
    known: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repertoire {
    /// `ISO_IR 192`.
    Utf8,
    /// `GB18030`, and `GBK` which is a part of it.
    Gb18030,
    /// Everything else: single sets and sets that escape sequences switch between.
    Iso2022 {
        /// What is in force at the start of a value and after each delimiter.
        first: Designated,
        /// What high bytes mean where nothing has been designated for them.
        spare: Designated,
    },
}

/// Text in UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decoded {
    /// The text, with backslashes between the values of a value of several, padding included.
    pub text: String,
    /// Whether some bytes meant nothing and became U+FFFD (J18).
    pub replaced: bool,
}

impl Default for Charset {
    /// The default repertoire, ISO-IR 6: ASCII.
    fn default() -> Self {
        Self {
            repertoire: Repertoire::Iso2022 {
                first: Designated::default(),
                spare: Designated::default(),
            },
            known: true,
        }
    }
}

impl Charset {
    /// Reads the values of Specific Character Set as they lie in the file. Spelling is forgiven (`iso_ir 192`, `ISO-IR 100`); a
    /// term that means nothing leaves `is_known` false and counts as the default repertoire.
    pub fn of(values: &[u8]) -> Self {
        let mut charset = Self::default();
        let mut first = Designated::default();
        let mut spare = Designated::default();
        for (index, term) in values.split(|byte| *byte == b'\\').enumerate() {
            match Term::of(term) {
                Term::Empty => {}
                // These know no escapes and must stand alone, so nothing beside them can be meant.
                Term::Alone(repertoire) => {
                    charset.repertoire = repertoire;
                    return charset;
                }
                Term::Set(number) => match iso2022::by_number(number) {
                    Some(set) if index == 0 => first = set.initial(),
                    Some(set) => spare.fill(set.initial()),
                    None => charset.known = false,
                },
                Term::Unknown => charset.known = false,
            }
        }
        charset.repertoire = Repertoire::Iso2022 { first, spare };
        charset
    }

    /// Whether every term was one that is known.
    pub fn is_known(&self) -> bool {
        self.known
    }

    /// Decodes the value of an element, all values of a value of several at once.
    pub fn decode(&self, bytes: &[u8], vr: VR) -> Decoded {
        let plain = bytes.iter().all(|byte| byte.is_ascii() && *byte != 0x1B);
        match self.repertoire {
            // What is ASCII in every repertoire, as nearly all of it is.
            _ if plain && (!is_text(vr) || self.is_ascii_compatible()) => Decoded {
                text: String::from_utf8_lossy(bytes).into_owned(),
                replaced: false,
            },
            Repertoire::Utf8 => {
                let text = String::from_utf8_lossy(bytes);
                let replaced = matches!(text, std::borrow::Cow::Owned(_));
                Decoded {
                    text: text.into_owned(),
                    replaced,
                }
            }
            Repertoire::Gb18030 => {
                let (text, replaced) = GB18030.decode_without_bom_handling(bytes);
                Decoded {
                    text: text.into_owned(),
                    replaced,
                }
            }
            Repertoire::Iso2022 { first, spare } => iso2022::decode(bytes, vr, first, spare),
        }
    }

    fn is_ascii_compatible(&self) -> bool {
        match self.repertoire {
            Repertoire::Utf8 | Repertoire::Gb18030 => true,
            Repertoire::Iso2022 { first, .. } => first.is_ascii(),
        }
    }
}

/// Whether Specific Character Set governs a value representation (PS3.5 6.1.2.2). The others are ASCII.
fn is_text(vr: VR) -> bool {
    matches!(
        vr,
        VR::SH | VR::LO | VR::ST | VR::LT | VR::UC | VR::UT | VR::PN
    )
}

/// Whether a backslash is data in a value representation (J16).
pub fn is_single_valued(vr: VR) -> bool {
    matches!(vr, VR::LT | VR::ST | VR::UT | VR::UR)
}

/// One value of Specific Character Set.
enum Term {
    Empty,
    Alone(Repertoire),
    Set(u16),
    Unknown,
}

impl Term {
    fn of(value: &[u8]) -> Self {
        let word: String = value
            .iter()
            .filter(|byte| byte.is_ascii_alphanumeric())
            .map(|byte| char::from(byte.to_ascii_uppercase()))
            .collect();
        match word.as_str() {
            "" => Self::Empty,
            "ISOIR192" | "ISO2022IR192" | "UTF8" => Self::Alone(Repertoire::Utf8),
            "GB18030" | "GBK" => Self::Alone(Repertoire::Gb18030),
            other => other
                .strip_prefix("ISO2022IR")
                .or_else(|| other.strip_prefix("ISOIR"))
                .and_then(|number| number.parse().ok())
                .map_or(Self::Unknown, Self::Set),
        }
    }
}

#[cfg(test)]
mod tests;
