//! Available Transfer Syntax UID (0008,3002): the stored one, Explicit VR Little Endian where it can be had, then what can be
//! made (Q71).

use super::{Describe, PixelFormat, can_decode, can_encode, encodable};
use crate::dicom::head::{Head, PixelPlace};
use crate::model::{AttributeSet, Tag, TransferSyntax, VR};

const AVAILABLE_TRANSFER_SYNTAX_UID: Tag = Tag(0x0008, 0x3002);
const ROWS: Tag = Tag(0x0028, 0x0010);
const COLUMNS: Tag = Tag(0x0028, 0x0011);
const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);

/// The attribute of the instance of this head.
pub fn of_head(head: &Head) -> AttributeSet {
    let mut attributes = AttributeSet::default();
    let has_pixels = head.pixels.as_ref().is_some_and(|place| match place {
        PixelPlace::Native { tag, .. } => *tag == PIXEL_DATA,
        PixelPlace::Encapsulated { .. } => true,
    });
    let format = has_pixels.then(|| Describe::of(head));
    let stored = &head.meta.transfer_syntax_uid;
    if !stored.is_empty() {
        let text = text(stored, format.as_ref());
        attributes.put(AVAILABLE_TRANSFER_SYNTAX_UID, VR::UI, text);
    }
    attributes
}

/// Completes the attribute of a row of a search, which holds the stored one. How many samples a pixel has, and whether a palette
/// stands behind them, the index does not know: one without is assumed.
pub fn complete(row: &mut AttributeSet) {
    let number = |tag| row.text(tag)?.trim().parse::<u16>().ok();
    let Some(stored) = row.text(AVAILABLE_TRANSFER_SYNTAX_UID) else {
        return;
    };
    let format = || {
        let bits = number(BITS_ALLOCATED)?;
        Some(PixelFormat {
            rows: number(ROWS)?,
            columns: number(COLUMNS)?,
            samples_per_pixel: 1,
            bits_allocated: bits,
            bits_stored: bits,
            ..PixelFormat::default()
        })
    };
    let text = text(stored, format().as_ref());
    row.put(AVAILABLE_TRANSFER_SYNTAX_UID, VR::UI, text);
}

/// The UIDs, for pixels of `format` where there are any.
fn text(stored: &str, format: Option<&PixelFormat>) -> String {
    let Some(syntax) = TransferSyntax::of(stored) else {
        return stored.to_owned();
    };
    let is_decodable = can_decode(syntax);
    let explicit = TransferSyntax::explicit_little();
    let is_brought = is_decodable && (format.is_some() || !syntax.is_encapsulated());
    let made = encodable()
        .filter(|target| is_decodable && format.is_some_and(|format| can_encode(target, format)));
    let others = is_brought.then_some(explicit).into_iter().chain(made);
    let uids = others.map(|it| it.uid).filter(|uid| *uid != stored);
    std::iter::once(stored)
        .chain(uids)
        .collect::<Vec<_>>()
        .join("\\")
}
