//! A stored file written anew as Explicit VR Little Endian (PS3.5 7.1.2, dicomweb.md N51 and W10), as it is scanned.
//!
//! Values pass through in the pieces in which they come, so that memory stays at a chunk whatever the size of the file.
//! Pixels are not touched here; `around` writes what stands about those that are written anew.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

mod around;
#[cfg(test)]
mod tests;

use bytes::Bytes;
use dicom_core::VR::{
    AT, FD, FL, OB, OD, OF, OL, OV, OW, SL, SQ, SS, SV, UC, UI, UL, UN, UR, US, UT, UV,
};
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry, VirtualVr};
use dicom_dictionary_std::StandardDataDictionary;

pub use self::around::{
    Around, Edits, Side, edits, fragment_header, fragments_end, fragments_header, native_header,
};
use super::head::FileMeta;
use super::part10::{NewMeta, write_meta};
use super::scan::{Header, ScanError, Sink};
use super::swap::{Swap, word_len};
use crate::model::transfer_syntax::Encoding;
use crate::model::{SopClassUid, SopInstanceUid, Tag, TransferSyntax, VR};

const PIXEL_REPRESENTATION: Tag = Tag(0x0028, 0x0103);
const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_DELIMITATION: Tag = Tag(0xFFFE, 0xE00D);
const SEQUENCE_DELIMITATION: Tag = Tag(0xFFFE, 0xE0DD);
const UNDEFINED: u32 = u32::MAX;

/// Whether a file in this transfer syntax has to be, and can be, written anew to become Explicit VR Little Endian.
pub fn is_needed(transfer_syntax: &TransferSyntax) -> bool {
    match transfer_syntax.encoding {
        Encoding::ImplicitLittle | Encoding::ExplicitBig | Encoding::Deflated => {
            !transfer_syntax.is_encapsulated()
        }
        Encoding::ExplicitLittle => false,
    }
}

/// A sink that writes what is scanned as a Part 10 file in Explicit VR Little Endian.
///
/// After each feed of the scanner, [`take`](Self::take) gives what has been written since. Sequences and items get undefined
/// lengths, group lengths are dropped, values of odd length are padded, and a value too long for its VR becomes `UN`.
#[derive(Debug)]
pub struct ToExplicitLittle {
    sop_class: SopClassUid,
    sop_instance: SopInstanceUid,
    out: Vec<u8>,
    swap: Swap,
    /// What follows the value to make its length even.
    pad: Option<u8>,
    /// The element at hand is left out.
    drops: bool,
    /// The element at hand, if it is one that decides how others are written, and the start of its value.
    watched: Option<(Tag, Vec<u8>)>,
    bits_allocated: u16,
    is_signed: bool,
    /// What the file is to say it is in, where that is not as its pixels lie.
    target: Option<&'static TransferSyntax>,
}

impl ToExplicitLittle {
    /// For the instance with these UIDs, which go into the file meta information.
    pub fn new(sop_class: SopClassUid, sop_instance: SopInstanceUid) -> Self {
        Self {
            sop_class,
            sop_instance,
            out: Vec::new(),
            swap: Swap::default(),
            pad: None,
            drops: false,
            watched: None,
            bits_allocated: 0,
            is_signed: false,
            target: None,
        }
    }

    /// The same for pixels that will be in `target`.
    fn in_syntax(self, target: &'static TransferSyntax) -> Self {
        Self {
            target: Some(target),
            ..self
        }
    }

    /// What has been written since the last call.
    pub fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.out).into()
    }

    fn put_tag(&mut self, Tag(group, element): Tag) {
        self.out.extend_from_slice(&group.to_le_bytes());
        self.out.extend_from_slice(&element.to_le_bytes());
    }

    /// An item or a delimiter: tag and length.
    fn put_item(&mut self, tag: Tag, len: u32) {
        self.put_tag(tag);
        self.out.extend_from_slice(&len.to_le_bytes());
    }

    /// The header of an element (PS3.5 7.1.2).
    fn put_header(&mut self, tag: Tag, vr: VR, len: u32) {
        self.put_tag(tag);
        let short = u16::try_from(len).ok().filter(|_| has_short_length(vr));
        if let Some(short) = short {
            self.out.extend_from_slice(&vr.to_bytes());
            self.out.extend_from_slice(&short.to_le_bytes());
        } else {
            let vr = if has_short_length(vr) { UN } else { vr };
            self.out.extend_from_slice(&vr.to_bytes());
            self.out.extend_from_slice(&[0, 0]);
            self.out.extend_from_slice(&len.to_le_bytes());
        }
    }

    /// The VR to write: where the file does not say it, the values of pixels decide between US and SS.
    fn vr_of(&self, header: &Header) -> VR {
        let decided_by_pixels = header.inferred
            && StandardDataDictionary
                .by_tag(header.tag)
                .is_some_and(|entry| entry.vr() == VirtualVr::Xs);
        if decided_by_pixels && self.is_signed && header.vr == US {
            SS
        } else {
            header.vr
        }
    }
}

/// Whether the length of a value has 16 bits (PS3.5 table 7.1-2).
fn has_short_length(vr: VR) -> bool {
    !matches!(
        vr,
        OB | OD | OF | OL | OV | OW | SQ | SV | UC | UN | UR | UT | UV
    )
}

/// What makes an odd length even: zero for UIDs and binary values, else a space (PS3.5 6.2).
fn padding(vr: VR) -> u8 {
    let binary = matches!(
        vr,
        AT | FD | FL | OB | OD | OF | OL | OV | OW | SL | SQ | SS | SV | UL | UN | US | UV
    );
    if binary || vr == UI { 0 } else { b' ' }
}

impl Sink for ToExplicitLittle {
    fn meta(&mut self, meta: &FileMeta) -> Result<(), ScanError> {
        // An encapsulated file stays what it is: its pixels are not those of the plain syntax.
        let stored = TransferSyntax::of(&meta.transfer_syntax_uid);
        let stays = stored.filter(|syntax| syntax.is_encapsulated());
        let written = self.target.or(stays);
        self.out.extend(write_meta(&NewMeta {
            sop_class_uid: self.sop_class.as_str(),
            sop_instance_uid: self.sop_instance.as_str(),
            transfer_syntax_uid: written.unwrap_or(TransferSyntax::explicit_little()).uid,
        }));
        Ok(())
    }

    fn element(&mut self, header: &Header) -> Result<(), ScanError> {
        let Tag(group, element) = header.tag;
        // Group lengths are retired and would be wrong. Group 0002 inside of a data set would be read as file meta information.
        self.drops = element == 0 || (group == 2 && header.depth == 0);
        if self.drops {
            return Ok(());
        }
        let undefined = || ScanError::at(header.tag, header.offset, "length is undefined");
        let len = header.len.ok_or_else(undefined)?;
        let vr = self.vr_of(header);
        self.pad = (len % 2 == 1).then(|| padding(vr));
        self.put_header(header.tag, vr, len.saturating_add(len % 2));
        let word_len = word_len(header.tag, vr, u64::from(self.bits_allocated));
        self.swap = Swap::new(if header.big_endian { word_len } else { 1 });
        let decides = [BITS_ALLOCATED, PIXEL_REPRESENTATION].contains(&header.tag);
        self.watched = (decides && header.depth == 0).then(|| (header.tag, Vec::new()));
        Ok(())
    }

    fn value(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        if self.drops {
            return Ok(());
        }
        let before = self.out.len();
        self.swap.push(bytes, &mut self.out);
        if let Some((_, start)) = &mut self.watched {
            let new = self.out.iter().skip(before);
            start.extend(new.take(2_usize.saturating_sub(start.len())));
        }
        Ok(())
    }

    fn element_end(&mut self) -> Result<(), ScanError> {
        if std::mem::take(&mut self.drops) {
            return Ok(());
        }
        self.swap.finish(&mut self.out);
        self.out.extend(self.pad.take());
        if let Some((tag, start)) = self.watched.take()
            && let [low, high] = start[..]
        {
            let number = u16::from_le_bytes([low, high]);
            if tag == BITS_ALLOCATED {
                self.bits_allocated = number;
            } else {
                self.is_signed = number == 1;
            }
        }
        Ok(())
    }

    fn sequence_start(&mut self, header: &Header) -> Result<(), ScanError> {
        self.put_header(header.tag, SQ, UNDEFINED);
        Ok(())
    }

    fn item_start(&mut self, _offset: u64) -> Result<(), ScanError> {
        self.put_item(ITEM, UNDEFINED);
        Ok(())
    }

    fn item_end(&mut self) -> Result<(), ScanError> {
        self.put_item(ITEM_DELIMITATION, 0);
        Ok(())
    }

    fn sequence_end(&mut self) -> Result<(), ScanError> {
        self.put_item(SEQUENCE_DELIMITATION, 0);
        Ok(())
    }

    fn fragments_start(&mut self, header: &Header) -> Result<(), ScanError> {
        self.swap = Swap::default();
        self.put_header(header.tag, OB, UNDEFINED);
        Ok(())
    }

    fn fragment_start(&mut self, _number: usize, _offset: u64, len: u32) -> Result<(), ScanError> {
        self.pad = (len % 2 == 1).then_some(0);
        self.put_item(ITEM, len.saturating_add(len % 2));
        Ok(())
    }

    fn fragment_end(&mut self) -> Result<(), ScanError> {
        self.out.extend(self.pad.take());
        Ok(())
    }

    fn fragments_end(&mut self) -> Result<(), ScanError> {
        self.put_item(SEQUENCE_DELIMITATION, 0);
        Ok(())
    }

    /// What is odd was told when the file was stored.
    fn warn(&mut self, _text: String) {}
}
