//! The file meta information once more, element by element.

use super::header::{Decoded, Raw, Stated, Syntax, decode, dictionary_vr};
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
    while let Some(raw) = header(rest) {
        let value = raw.len.and_then(|len| {
            let end = raw.header_len.checked_add(usize::try_from(len).ok()?)?;
            Some((rest.get(raw.header_len..end)?, rest.get(end..)?))
        });
        let Some((value, after)) = value else {
            break;
        };
        elements.push((raw.tag, vr_of(raw), value));
        rest = after;
    }
    elements
}

/// The header at the front of `bytes`, if it is one of group 0002.
fn header(bytes: &[u8]) -> Option<Raw> {
    let (explicit, implicit) = (
        decode(bytes, Syntax::Explicit),
        decode(bytes, Syntax::Implicit),
    );
    let ((Decoded::Header(raw), _) | (Decoded::Implausible(_), Decoded::Header(raw))) =
        (explicit, implicit)
    else {
        return None;
    };
    (raw.tag.group() == GROUP).then_some(raw)
}

fn vr_of(raw: Raw) -> VR {
    match raw.stated {
        Stated::Vr(vr) | Stated::LowerCase(vr) => vr,
        Stated::Nothing | Stated::Unknown(_) => dictionary_vr(raw.tag).unwrap_or(VR::UN),
    }
}
