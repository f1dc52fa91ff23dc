//! One element header: from bytes to tag, VR and length (PS3.5 7.1).
//!
//! ```text
//! implicit             | group element | length (32)              |
//! explicit, short form | group element | VR | length (16)         |
//! explicit, long form  | group element | VR | 0 0    | length (32)|
//! item and delimiters  | FFFE  element | length (32)              |   in every encoding
//! ```

use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_dictionary_std::StandardDataDictionary;

use crate::model::transfer_syntax::Encoding;
use crate::model::{Tag, VR};

/// An item of a sequence, or a fragment.
pub(super) const ITEM: Tag = Tag(0xFFFE, 0xE000);
/// The end of an item of undefined length.
pub(super) const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
/// The end of a sequence of undefined length.
pub(super) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);
/// Pixel Data.
pub(super) const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
/// The length that means: until a delimiter.
const UNDEFINED: u32 = 0xFFFF_FFFF;
/// The shortest header.
pub(super) const SHORT: usize = 8;
/// The header of the explicit long form.
const LONG: usize = 12;

/// How headers are written; `Encoding` without the stream around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Implicit,
    Explicit,
    ExplicitBig,
}

impl Syntax {
    pub(super) fn of(encoding: Encoding) -> Self {
        match encoding {
            Encoding::ImplicitLittle => Self::Implicit,
            Encoding::ExplicitLittle | Encoding::Deflated => Self::Explicit,
            Encoding::ExplicitBig => Self::ExplicitBig,
        }
    }

    fn u16(self, bytes: [u8; 2]) -> u16 {
        match self {
            Self::Implicit | Self::Explicit => u16::from_le_bytes(bytes),
            Self::ExplicitBig => u16::from_be_bytes(bytes),
        }
    }

    fn tag(self, [g0, g1, e0, e1]: [u8; 4]) -> Tag {
        Tag(self.u16([g0, g1]), self.u16([e0, e1]))
    }

    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Self::Implicit | Self::Explicit => u32::from_le_bytes(bytes),
            Self::ExplicitBig => u32::from_be_bytes(bytes),
        }
    }
}

/// What the file says about a VR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stated {
    /// Nothing: implicit VR, items, delimiters.
    Nothing,
    /// This VR.
    Vr(VR),
    /// This VR in letters that are not all upper case.
    LowerCase(VR),
    /// Letters that are no VR.
    Unknown([u8; 2]),
}

/// A header as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) tag: Tag,
    pub(super) stated: Stated,
    /// `None`: undefined.
    pub(super) len: Option<u32>,
    /// Its own length in bytes.
    pub(super) header_len: usize,
}

/// The outcome of [`decode`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// So many bytes in all are needed.
    Need(usize),
    /// A header.
    Header(Raw),
    /// The two bytes of the VR are no letters: no element begins here.
    Implausible(Tag),
}

/// Decodes the header at the start of `bytes`.
pub(super) fn decode(bytes: &[u8], syntax: Syntax) -> Decoded {
    let Some(&[g0, g1, e0, e1, a, b, c, d]) = bytes.first_chunk::<SHORT>() else {
        return Decoded::Need(SHORT);
    };
    let tag = syntax.tag([g0, g1, e0, e1]);
    if syntax == Syntax::Implicit || tag.group() == ITEM.group() {
        return header(tag, Stated::Nothing, syntax.u32([a, b, c, d]), SHORT);
    }
    let Some(stated) = stated([a, b]) else {
        return Decoded::Implausible(tag);
    };
    let long = match stated {
        Stated::Vr(vr) | Stated::LowerCase(vr) => is_long(vr),
        // New VRs have the long form (PS3.5 7.1.2), whose reserved bytes are zero. The short form is what writers of
        // invented letters mean otherwise; dcmtk and pydicom each read one of the two.
        Stated::Unknown(_) | Stated::Nothing => [c, d] == [0, 0],
    };
    if !long {
        return header(tag, stated, u32::from(syntax.u16([c, d])), SHORT);
    }
    match bytes.get(SHORT..).and_then(|rest| rest.first_chunk()) {
        Some(len) => header(tag, stated, syntax.u32(*len), LONG),
        None => Decoded::Need(LONG),
    }
}

/// The tag at the start of `bytes`, which are too few for a header.
pub(super) fn tag(bytes: &[u8], syntax: Syntax) -> Option<Tag> {
    bytes.first_chunk().map(|bytes| syntax.tag(*bytes))
}

fn header(tag: Tag, stated: Stated, len: u32, header_len: usize) -> Decoded {
    Decoded::Header(Raw {
        tag,
        stated,
        // The short form of 65535 is 16 bits wide and never reaches this value.
        len: (len != UNDEFINED).then_some(len),
        header_len,
    })
}

fn stated(letters: [u8; 2]) -> Option<Stated> {
    if let Some(vr) = VR::from_binary(letters) {
        return Some(Stated::Vr(vr));
    }
    if let Some(vr) = VR::from_binary(letters.map(|letter| letter.to_ascii_uppercase())) {
        return Some(Stated::LowerCase(vr));
    }
    // "??" and blanks are what old writers put for UN.
    let known = matches!(&letters, b"??" | b"  ") || letters.iter().all(u8::is_ascii_alphabetic);
    known.then_some(Stated::Unknown(letters))
}

/// Whether the explicit header of `vr` has a length of 32 bits (PS3.5 table 7.1-1).
fn is_long(vr: VR) -> bool {
    use VR::{OB, OD, OF, OL, OV, OW, SQ, SV, UC, UN, UR, UT, UV};
    matches!(
        vr,
        OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV
    )
}

/// The VR of `tag` where the file does not say it: the dictionary's, ambiguous ones as their first; `LO` for a private
/// creator (gggg,0010-00FF), `UL` for a group length, `None` for anything else that is private or not known.
pub fn dictionary_vr(tag: Tag) -> Option<VR> {
    let Tag(group, element) = tag;
    match (group % 2, element) {
        (_, 0) => Some(VR::UL),
        // Repeating groups (60xx) of the dictionary are even ones only.
        (1, 0x0010..=0x00FF) => Some(VR::LO),
        (1, _) => None,
        _ => StandardDataDictionary
            .by_tag(tag)
            .map(|entry| entry.vr().relaxed()),
    }
}

/// Whether `bytes` may begin a data set in `encoding`: a tag that the dictionary knows, with VR or length to match.
/// Fewer than eight bytes fit nothing.
pub(in crate::dicom) fn fits(bytes: &[u8], encoding: Encoding) -> bool {
    let Some(bytes) = bytes.first_chunk::<SHORT>() else {
        return false;
    };
    let syntax = Syntax::of(encoding);
    // Long headers need four bytes more; zeros do, because the length is not looked at.
    let mut padded = [0; LONG];
    for (to, from) in padded.iter_mut().zip(bytes) {
        *to = *from;
    }
    let Decoded::Header(raw) = decode(&padded, syntax) else {
        return false;
    };
    let Some(vr) = dictionary_vr(raw.tag).filter(|_| raw.tag.group() > 2) else {
        return false;
    };
    match raw.stated {
        Stated::Vr(_) | Stated::LowerCase(_) => true,
        Stated::Unknown(_) => false,
        // The first element of a data set is a short text or a group length. Two letters of a VR, read as the low half
        // of a length, are above 0x4141.
        Stated::Nothing => raw.len.map_or(vr == VR::SQ, |len| len < 0x4000),
    }
}
