//! The file meta information once more, element by element.

use super::header::{Decoded, Stated, Syntax, decode, dictionary_vr};
use crate::dicom::part10::{PREFIX_LEN, Start, recognise};
use crate::model::{Tag, VR};

const GROUP: u16 = 0x0002;

/// The elements of group 0002 with their values, little endian and padding included, of a file of which `start` is all before its
/// data set. Empty for a file without.
pub(in crate::dicom) fn meta_elements(start: &[u8]) -> Vec<(Tag, VR, &[u8])> {
    let mut rest = match recognise(start) {
        Some(Start::Preamble) => start.get(PREFIX_LEN..).unwrap_or_default(),
        // A preamble with nothing behind it that could be recognised may still have its group.
        None if start
            .get(..PREFIX_LEN)
            .is_some_and(|it| it.ends_with(b"DICM")) =>
        {
            start.get(PREFIX_LEN..).unwrap_or_default()
        }
        Some(Start::Meta) => start,
        Some(Start::DataSet(_)) | None => &[],
    };
    let mut elements = Vec::new();
    while let Some((element, after)) = element(rest) {
        elements.push(element);
        rest = after;
    }
    elements
}

/// The element at the front of `bytes`, and what follows it.
fn element(bytes: &[u8]) -> Option<((Tag, VR, &[u8]), &[u8])> {
    let raw = match (
        decode(bytes, Syntax::Explicit),
        decode(bytes, Syntax::Implicit),
    ) {
        (Decoded::Header(raw), _) | (Decoded::Implausible(_), Decoded::Header(raw)) => raw,
        _ => return None,
    };
    let rest = bytes
        .get(raw.header_len..)
        .filter(|_| raw.tag.group() == GROUP)?;
    let len = usize::try_from(raw.len?).ok()?;
    let (value, after) = rest.split_at_checked(len)?;
    let vr = match raw.stated {
        Stated::Vr(vr) | Stated::LowerCase(vr) => vr,
        Stated::Nothing | Stated::Unknown(_) => dictionary_vr(raw.tag).unwrap_or(VR::UN),
    };
    Some(((raw.tag, vr, value), after))
}
