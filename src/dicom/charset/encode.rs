//! UTF-8 → the bytes of text in a Specific Character Set (PS3.5 6.1.2.5).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::collections::HashMap;
use std::sync::LazyLock;

use encoding_rs::{EUC_JP, Encoding, GB18030};

use super::iso2022::{Designated, ESC, G0, G1, Half, Set, by_number, is_delimiter};
use super::{Charset, Repertoire, Term};
use crate::model::VR;

/// Writes text in the sets that a value of Specific Character Set names.
#[derive(Clone, Debug)]
pub struct Encoder {
    charset: Charset,
    /// The sets that may be switched to, in the order in which they are named.
    sets: Vec<&'static Set>,
}

impl Encoder {
    /// For the values of Specific Character Set as they lie in a file.
    pub fn of(values: &[u8]) -> Self {
        let terms = values.split(|byte| *byte == b'\\');
        let numbers = terms.clone().map(Term::of).filter_map(|term| match term {
            Term::Set(number) => by_number(number),
            Term::Empty | Term::Alone(_) | Term::Unknown => None,
        });
        // Only what is declared with code extensions may be switched to; ASCII always is.
        let has_extensions = terms.count() > 1 || contains(values, b"2022");
        let ascii = by_number(6).filter(|_| has_extensions);
        let sets = if has_extensions {
            numbers.chain(ascii).collect()
        } else {
            Vec::new()
        };
        Self {
            charset: Charset::of(values),
            sets,
        }
    }

    /// The bytes of a text, without padding; `None` if a character does not fit.
    pub fn encode(&self, text: &str, vr: VR) -> Option<Vec<u8>> {
        let bytes = match self.charset.repertoire {
            Repertoire::Utf8 => text.as_bytes().to_vec(),
            Repertoire::Gb18030 => {
                let (bytes, _, _) = GB18030.encode(text);
                bytes.into_owned()
            }
            Repertoire::Iso2022 { first, .. } => self.switched(text, vr, first)?,
        };
        // What comes back is what was meant, or it did not fit.
        let decoded = self.charset.decode(&bytes, vr);
        (!decoded.replaced && decoded.text == text).then_some(bytes)
    }

    fn switched(&self, text: &str, vr: VR, first: Designated) -> Option<Vec<u8>> {
        let mut writer = Writer {
            out: Vec::with_capacity(text.len()),
            now: first,
            first,
            sets: &self.sets,
        };
        for c in text.chars() {
            writer.put(c, vr)?;
        }
        writer.leave();
        Some(writer.out)
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Text in the making.
struct Writer<'a> {
    out: Vec<u8>,
    now: Designated,
    first: Designated,
    sets: &'a [&'static Set],
}

impl Writer<'_> {
    fn put(&mut self, c: char, vr: VR) -> Option<()> {
        if c.is_ascii() {
            return self.ascii(u8::try_from(c).ok()?, vr);
        }
        if let Some(bytes) = low(self.now.g0, c).or_else(|| high(self.now.g1?, c)) {
            self.out.extend(bytes);
            return Some(());
        }
        for set in self.sets {
            let bytes = match set.half {
                Half::Low(g0) => low(g0, c),
                Half::High(g1) => high(g1, c),
            };
            if let Some(bytes) = bytes {
                self.designate(set);
                self.out.extend(bytes);
                return Some(());
            }
        }
        None
    }

    /// A character that is in the low half of each set of one byte.
    fn ascii(&mut self, byte: u8, vr: VR) -> Option<()> {
        let is_end = is_delimiter(byte, vr) || matches!(byte, b'\t' | b'\n' | 0x0C | b'\r');
        let fits = match self.now.g0 {
            G0::Ascii => true,
            G0::JisRoman => !matches!(byte, b'\\' | b'~') || is_end,
            G0::JisX0208 | G0::JisX0212 => false,
        };
        if is_end {
            self.leave();
        } else if !fits {
            self.leave();
            if self.now.g0 != G0::Ascii && matches!(byte, b'\\' | b'~') {
                let ascii = self
                    .sets
                    .iter()
                    .find(|set| set.half == Half::Low(G0::Ascii))?;
                self.designate(ascii);
            }
        }
        self.out.push(byte);
        if is_end {
            self.now = self.first;
        }
        Some(())
    }

    /// Goes back to the set of the low half that is in force at the start.
    fn leave(&mut self) {
        if self.now.g0 == self.first.g0 {
            return;
        }
        let escape: &[u8] = match self.first.g0 {
            G0::JisRoman => b"(J",
            G0::Ascii | G0::JisX0208 | G0::JisX0212 => b"(B",
        };
        self.out.push(ESC);
        self.out.extend_from_slice(escape);
        self.now.g0 = self.first.g0;
    }

    fn designate(&mut self, set: &Set) {
        self.out.push(ESC);
        self.out.extend_from_slice(set.escape);
        match set.half {
            Half::Low(g0) => self.now.g0 = g0,
            Half::High(g1) => self.now.g1 = Some(g1),
        }
    }
}

/// JIS X 0212 from the table that leads there, which is the only one there is.
static JIS_X_0212: LazyLock<HashMap<char, [u8; 2]>> = LazyLock::new(|| {
    let pairs = (0x21..=0x7E_u8).flat_map(|a| (0x21..=0x7E_u8).map(move |b| [a, b]));
    let decoded = pairs.filter_map(|[a, b]| {
        let bytes = [0x8F, a | 0x80, b | 0x80];
        let text = EUC_JP.decode_without_bom_handling_and_without_replacement(&bytes)?;
        Some((text.chars().next()?, [a, b]))
    });
    decoded.collect()
});

/// A character that is not ASCII in a set of the low half.
fn low(set: G0, c: char) -> Option<Vec<u8>> {
    match (set, c) {
        (G0::JisRoman, '\u{A5}') => Some(vec![0x5C]),
        (G0::JisRoman, '\u{203E}') => Some(vec![0x7E]),
        (G0::JisX0208, _) => match encoded(EUC_JP, c)?.as_slice() {
            [a @ 0xA1..=0xFE, b @ 0xA1..=0xFE] => Some(vec![a & 0x7F, b & 0x7F]),
            _ => None,
        },
        (G0::JisX0212, _) => JIS_X_0212.get(&c).map(|pair| pair.to_vec()),
        (G0::Ascii | G0::JisRoman, _) => None,
    }
}

/// A character that is not ASCII in a set of the high half.
fn high(set: G1, c: char) -> Option<Vec<u8>> {
    match set {
        G1::Single(encoding) => encoded(encoding, c).filter(|bytes| bytes.len() == 1),
        G1::Katakana => match encoded(EUC_JP, c)?.as_slice() {
            [0x8E, byte] => Some(vec![*byte]),
            _ => None,
        },
        G1::Double(encoding) => encoded(encoding, c)
            .filter(|bytes| bytes.len() == 2 && bytes.iter().all(|byte| *byte >= 0xA1)),
    }
}

fn encoded(encoding: &'static Encoding, c: char) -> Option<Vec<u8>> {
    let mut buffer = [0; 4];
    let (bytes, _, is_lossy) = encoding.encode(c.encode_utf8(&mut buffer));
    (!is_lossy).then(|| bytes.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(charset: &str, vr: VR, text: &str, bytes: &[u8]) {
        let encoded = Encoder::of(charset.as_bytes()).encode(text, vr);
        assert_eq!(encoded.as_deref(), Some(bytes), "{charset} {text}");
    }

    fn misfit(charset: &str, text: &str) {
        let encoded = Encoder::of(charset.as_bytes()).encode(text, VR::LO);
        assert_eq!(encoded, None, "{charset} {text}");
    }

    /// The examples of PS3.5 annexes H, I and J.
    #[test]
    fn names_of_the_standard_come_out_as_it_has_them() {
        check(
            "\\ISO 2022 IR 87",
            VR::PN,
            "Yamada^Tarou=山田^太郎=やまだ^たろう",
            b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        );
        check(
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            VR::PN,
            "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
            b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        );
        check(
            "\\ISO 2022 IR 149",
            VR::PN,
            "Hong^Gildong=洪^吉洞=홍^길동",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        );
        check(
            "ISO_IR 192",
            VR::PN,
            "Wang^XiaoDong=王^小东",
            "Wang^XiaoDong=王^小东".as_bytes(),
        );
        check("GB18030", VR::PN, "王^小东", b"\xcd\xf5^\xd0\xa1\xb6\xab");
        check("ISO_IR 100", VR::PN, "Buc^Jérôme", b"Buc^J\xe9r\xf4me");
        check("ISO_IR 144", VR::LO, "Люк", b"\xbb\xee\xda");
    }

    #[test]
    fn characters_of_the_supplementary_kanji_are_found() {
        check(
            "\\ISO 2022 IR 87\\ISO 2022 IR 159",
            VR::LO,
            "山丂",
            b"\x1b$B;3\x1b$(D0!\x1b(B",
        );
    }

    #[test]
    fn what_does_not_fit_is_said_to() {
        misfit("", "é");
        misfit("ISO_IR 100", "山");
        misfit("ISO_IR 87", "山");
        misfit("ISO_IR 13", "~");
        check(
            "ISO 2022 IR 13\\ISO 2022 IR 87",
            VR::LO,
            "~",
            b"\x1b(B~\x1b(J",
        );
        check("", VR::LO, "plain", b"plain");
        check("ISO_IR 13", VR::LO, "a\\b", b"a\\b");
        check(
            "\\ISO 2022 IR 87",
            VR::LO,
            "山\\田",
            b"\x1b$B;3\x1b(B\\\x1b$BED\x1b(B",
        );
        check(
            "\\ISO 2022 IR 87",
            VR::LT,
            "山\r\n田",
            b"\x1b$B;3\x1b(B\r\n\x1b$BED\x1b(B",
        );
    }

    proptest::proptest! {
        #[test]
        fn what_is_encoded_decodes_to_the_same(
            text in "[ -~é山田ﾔ홍ЛΩ€\\\\^=\\n]{0,12}",
            charset in proptest::sample::select(vec![
                "", "ISO_IR 100", "ISO_IR 13", "ISO 2022 IR 13\\ISO 2022 IR 87", "\\ISO 2022 IR 149",
                "ISO 2022 IR 100\\ISO 2022 IR 144\\ISO 2022 IR 87", "\\ISO 2022 IR 58", "GB18030", "x",
            ]),
            vr in proptest::sample::select(vec![VR::PN, VR::LO, VR::LT, VR::CS]),
        ) {
            if let Some(bytes) = Encoder::of(charset.as_bytes()).encode(&text, vr) {
                let decoded = Charset::of(charset.as_bytes()).decode(&bytes, vr);
                proptest::prop_assert_eq!(decoded.text, text);
                proptest::prop_assert!(!decoded.replaced);
            }
        }
    }
}
