//! Code extension techniques: sets that escape sequences switch between (ISO 2022, PS3.5 6.1.2.5).
//!
//! ```text
//! byte    00-1F     20      21-7E            7F    80-9F    A0-FF
//! means   control   space   what G0 holds    DEL   -        what G1 holds
//! ```
//!
//! Kanji of JIS X 0208 and JIS X 0212 take two bytes of G0, Korean and Chinese two bytes of G1, all else one byte.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use encoding_rs::{EUC_JP, EUC_JP_INIT, EUC_KR_INIT, Encoding, GBK_INIT};
use encoding_rs::{
    ISO_8859_2_INIT, ISO_8859_3_INIT, ISO_8859_4_INIT, ISO_8859_5_INIT, ISO_8859_6_INIT,
    ISO_8859_7_INIT, ISO_8859_8_INIT, ISO_8859_15_INIT,
};
use encoding_rs::{WINDOWS_874_INIT, WINDOWS_1252_INIT, WINDOWS_1254_INIT};

use super::{Decoded, is_single_valued};
use crate::model::VR;

pub(super) const ESC: u8 = 0x1B;

/// What G0 may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum G0 {
    #[default]
    Ascii,
    /// JIS X 0201: ASCII but for the yen sign and the overline.
    JisRoman,
    JisX0208,
    JisX0212,
}

/// What G1 may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum G1 {
    /// One byte a character.
    Single(&'static Encoding),
    /// Half-width katakana of JIS X 0201.
    Katakana,
    /// Two bytes a character.
    Double(&'static Encoding),
}

/// A set that is designated to its half of the code table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Low(G0),
    High(G1),
}

/// One character set of PS3.3 C.12.1.1.2.
#[derive(Debug)]
pub(super) struct Set {
    /// Its ISO registration number, the end of its defined term.
    number: u16,
    /// The escape sequence that designates it, without ESC.
    pub(super) escape: &'static [u8],
    pub(super) half: Half,
}

/// Which sets are in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Designated {
    pub(super) g0: G0,
    pub(super) g1: Option<G1>,
}

const fn low(number: u16, escape: &'static [u8], set: G0) -> Set {
    Set {
        number,
        escape,
        half: Half::Low(set),
    }
}

const fn single(number: u16, escape: &'static [u8], encoding: &'static Encoding) -> Set {
    Set {
        number,
        escape,
        half: Half::High(G1::Single(encoding)),
    }
}

const fn double(number: u16, escape: &'static [u8], encoding: &'static Encoding) -> Set {
    Set {
        number,
        escape,
        half: Half::High(G1::Double(encoding)),
    }
}

/// By number, PS3.3 tables C.12-2 to C.12-4. For ISO-IR 100, 148 and 166 the Windows code pages that contain them: they differ
/// at 80 to 9F only, which DICOM text does not use and Windows software sends nevertheless.
static SETS: &[Set] = &[
    low(6, b"(B", G0::Ascii),
    Set {
        number: 13,
        escape: b")I",
        half: Half::High(G1::Katakana),
    },
    low(14, b"(J", G0::JisRoman),
    low(42, b"$@", G0::JisX0208), // the edition of 1978, from old Japanese devices
    double(58, b"$)A", &GBK_INIT),
    low(87, b"$B", G0::JisX0208),
    single(100, b"-A", &WINDOWS_1252_INIT),
    single(101, b"-B", &ISO_8859_2_INIT),
    single(109, b"-C", &ISO_8859_3_INIT),
    single(110, b"-D", &ISO_8859_4_INIT),
    single(126, b"-F", &ISO_8859_7_INIT),
    single(127, b"-G", &ISO_8859_6_INIT),
    single(138, b"-H", &ISO_8859_8_INIT),
    single(144, b"-L", &ISO_8859_5_INIT),
    single(148, b"-M", &WINDOWS_1254_INIT),
    double(149, b"$)C", &EUC_KR_INIT),
    low(159, b"$(D", G0::JisX0212),
    single(166, b"-T", &WINDOWS_874_INIT),
    single(203, b"-b", &ISO_8859_15_INIT),
];

/// The set with an ISO registration number.
pub(super) fn by_number(number: u16) -> Option<&'static Set> {
    SETS.iter().find(|set| set.number == number)
}

impl Set {
    /// What is in force where this set is the first value. A set of two bytes in G0 is not: such text begins in ASCII.
    pub(super) fn initial(&self) -> Designated {
        match self.half {
            Half::High(G1::Katakana) => Designated {
                g0: G0::JisRoman,
                g1: Some(G1::Katakana),
            },
            Half::High(set) => Designated {
                g0: G0::Ascii,
                g1: Some(set),
            },
            Half::Low(G0::JisRoman) => Designated {
                g0: G0::JisRoman,
                g1: None,
            },
            Half::Low(_) => Designated::default(),
        }
    }
}

impl Designated {
    pub(super) fn is_ascii(self) -> bool {
        self.g0 == G0::Ascii
    }

    /// Takes over the high half if there is none yet.
    pub(super) fn fill(&mut self, other: Self) {
        self.g1 = self.g1.or(other.g1);
    }
}

/// Decodes text with escapes. `first` is in force at the start and after each delimiter; `spare` serves senders that do not
/// designate their high half again after a delimiter.
pub(super) fn decode(bytes: &[u8], vr: VR, first: Designated, spare: Designated) -> Decoded {
    let mut run = Run::default();
    let mut now = first;
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        let taken = match byte {
            ESC => escape(after, &mut now, &mut run),
            b'\t' | b'\n' | 0x0C | b'\r' => {
                now = first;
                run.ascii(byte)
            }
            0x21..=0x7E => low_half(byte, after, &mut now, first, vr, &mut run),
            0x00..=0x20 | 0x7F => run.ascii(byte),
            0x80..=0xFF => high_half(byte, after, now.g1.or(spare.g1), &mut run),
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    run.finish()
}

/// Reads one escape sequence, ESC excluded from `after`, and gives its length.
fn escape(after: &[u8], now: &mut Designated, run: &mut Run) -> usize {
    let known = SETS.iter().find(|set| after.starts_with(set.escape));
    if let Some(set) = known {
        match set.half {
            Half::Low(g0) => now.g0 = g0,
            Half::High(g1) => now.g1 = Some(g1),
        }
        return set.escape.len().saturating_add(1);
    }
    // Intermediate bytes 20 to 2F and one final byte 30 to 7E: as a whole a set that is not known.
    run.replace();
    let intermediate = after
        .iter()
        .take_while(|byte| matches!(byte, 0x20..=0x2F))
        .count();
    let is_final = |byte: &u8| matches!(byte, 0x30..=0x7E);
    match after.get(intermediate) {
        Some(byte) if intermediate > 0 && is_final(byte) => intermediate.saturating_add(2),
        Some(_) | None => 1,
    }
}

fn low_half(
    byte: u8,
    after: &[u8],
    now: &mut Designated,
    first: Designated,
    vr: VR,
    run: &mut Run,
) -> usize {
    let prefix: &[u8] = match now.g0 {
        G0::Ascii | G0::JisRoman => {
            if is_delimiter(byte, vr) {
                *now = first;
                return run.ascii(byte);
            }
            return match (now.g0, byte) {
                (G0::JisRoman, 0x5C) => run.char('\u{A5}'),
                (G0::JisRoman, 0x7E) => run.char('\u{203E}'),
                _ => run.ascii(byte),
            };
        }
        G0::JisX0208 => &[],
        G0::JisX0212 => &[0x8F],
    };
    match after.first() {
        Some(second @ 0x21..=0x7E) => {
            run.bytes(EUC_JP, prefix);
            run.bytes(EUC_JP, &[byte | 0x80, second | 0x80])
        }
        Some(_) | None => run.replace(),
    }
}

fn high_half(byte: u8, after: &[u8], set: Option<G1>, run: &mut Run) -> usize {
    match (set, byte, after.first()) {
        (Some(G1::Single(encoding)), _, _) => run.bytes(encoding, &[byte]),
        (Some(G1::Katakana), 0xA1..=0xDF, _) => {
            run.bytes(&EUC_JP_INIT, &[0x8E, byte]);
            1
        }
        (Some(G1::Double(encoding)), 0xA1..=0xFE, Some(second @ 0xA1..=0xFE)) => {
            run.bytes(encoding, &[byte, *second])
        }
        _ => run.replace(),
    }
}

/// Whether the first set is in force again after a byte (PS3.5 6.1.2.5.3).
pub(super) fn is_delimiter(byte: u8, vr: VR) -> bool {
    match byte {
        b'\\' => !is_single_valued(vr),
        b'^' | b'=' => vr == VR::PN,
        _ => false,
    }
}

/// Text so far, and bytes that wait because they are of one encoding.
#[derive(Default)]
struct Run {
    decoded: Decoded,
    waiting: Vec<u8>,
    encoding: Option<&'static Encoding>,
}

impl Run {
    /// Takes a byte that means the same in every encoding here; gives the number of bytes taken, as all of these do.
    fn ascii(&mut self, byte: u8) -> usize {
        if self.waiting.is_empty() {
            self.decoded.text.push(char::from(byte));
        } else {
            self.waiting.push(byte);
        }
        1
    }

    fn bytes(&mut self, encoding: &'static Encoding, bytes: &[u8]) -> usize {
        if self.encoding != Some(encoding) {
            self.flush();
            self.encoding = Some(encoding);
        }
        self.waiting.extend_from_slice(bytes);
        bytes.len()
    }

    fn char(&mut self, c: char) -> usize {
        self.flush();
        self.decoded.text.push(c);
        1
    }

    fn replace(&mut self) -> usize {
        self.decoded.replaced = true;
        self.char(char::REPLACEMENT_CHARACTER)
    }

    fn flush(&mut self) {
        if let Some(encoding) = self.encoding {
            let (text, replaced) = encoding.decode_without_bom_handling(&self.waiting);
            self.decoded.text.push_str(&text);
            self.decoded.replaced |= replaced;
            self.waiting.clear();
        }
    }

    fn finish(mut self) -> Decoded {
        self.flush();
        self.decoded
    }
}
