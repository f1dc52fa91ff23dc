//! A data set that came as JSON or XML → a file (PS3.10) in pieces, of which some are bulk values that came beside it (T06).
//!
//! [`Composer`] takes the data set from a reader; [`Composed::pieces`] gives bytes and names of bulk values in the order of the file,
//! so that whoever has the values can send one after the other. The data set is written in explicit VR little endian, text in UTF-8.
//! What a value representation cannot hold is left out and named (T33).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

mod encode;
pub mod pixels;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::encode::{Given, header, pad, short_len};
use super::extract::SPECIFIC_CHARACTER_SET;
use super::part10::{NewMeta, write_meta};
use super::visit::{Named, Value, Visitor, is_creator};
use crate::model::{Tag, VR};
use crate::{Error, Result};

const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
const SOP_CLASS_UID: Tag = Tag(0x0008, 0x0016);
const SOP_INSTANCE_UID: Tag = Tag(0x0008, 0x0018);
const TRANSFER_SYNTAX_UID: Tag = Tag(0x0002, 0x0010);
const AVAILABLE_TRANSFER_SYNTAX_UID: Tag = Tag(0x0008, 0x3002);
const UTF_8: &[u8] = b"ISO_IR 192";

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const ITEM_END: [u8; 8] = [0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0];
const SEQUENCE_END: [u8; 8] = [0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0];
const UNDEFINED: u32 = u32::MAX;

/// How many elements that were left out are named.
const NAMED: usize = 4;

/// The longest UID that is repeated in the file meta information.
const LONGEST_UID: usize = 64;

/// What stands next in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// The value of an element that came beside the data set, with the header before it that its length decides.
    Bulk {
        /// The address that the data set gives.
        uri: String,
        /// The element.
        tag: Tag,
        /// Its value representation.
        vr: VR,
        /// Whether it is the pixel data of the instance, which may be encapsulated.
        is_pixels: bool,
    },
}

/// A data set in the making.
#[derive(Debug)]
pub struct Composer {
    /// The sets that are open, the top level first.
    sets: Vec<Set>,
    /// The attributes that are open, one a set but for the last.
    open: Vec<Attribute>,
    dropped: Vec<Tag>,
    transfer_syntax_uid: Option<String>,
}

#[derive(Debug, Default)]
struct Set {
    elements: BTreeMap<Tag, Vec<Piece>>,
    /// Blocks that the document does not number: group, creator and block.
    blocks: Vec<(u16, String, u16)>,
    has_text: bool,
}

#[derive(Debug)]
struct Attribute {
    tag: Tag,
    vr: VR,
    given: Given,
    /// What its items have come to.
    items: Vec<Piece>,
}

impl Default for Composer {
    fn default() -> Self {
        Self {
            sets: vec![Set::default()],
            open: Vec::new(),
            dropped: Vec::new(),
            transfer_syntax_uid: None,
        }
    }
}

/// A data set in whole.
#[derive(Debug)]
pub struct Composed {
    elements: BTreeMap<Tag, Vec<Piece>>,
    /// Elements that could not be written, the first of them.
    pub dropped: Vec<Tag>,
    /// The transfer syntax that the document names: that of its file meta information, or the first that is available.
    pub transfer_syntax_uid: Option<String>,
}

impl Composer {
    /// The data set, once its reader is done.
    pub fn finish(mut self) -> Composed {
        let set = self.sets.pop().unwrap_or_default();
        Composed {
            elements: set.closed(),
            dropped: self.dropped,
            transfer_syntax_uid: self.transfer_syntax_uid,
        }
    }

    fn drop(&mut self, tag: Tag) {
        if self.dropped.len() < NAMED {
            self.dropped.push(tag);
        }
    }

    /// The tag of an element whose document names the creator instead of the block.
    fn placed(&mut self, named: Named<'_>) -> Result<Tag> {
        let (Some(creator), Tag(group, element)) = (named.creator, named.tag) else {
            return Ok(named.tag);
        };
        let Some(set) = self.sets.last_mut() else {
            return Ok(named.tag);
        };
        let known = set
            .blocks
            .iter()
            .find(|(other, name, _)| *other == group && name == creator);
        let block = if let Some((_, _, block)) = known {
            *block
        } else {
            let is_free = |block: &u16| !set.elements.contains_key(&Tag(group, *block));
            let block = (0x10..=0xFF_u16).find(is_free);
            let block = block.ok_or_else(|| {
                Error::invalid(format!(
                    "group {group:04X} has more than 240 private creators"
                ))
            })?;
            let mut given = Given::default();
            given.take(Value::Text(creator));
            if let Some(bytes) = given.bytes(VR::LO) {
                set.has_text |= !bytes.is_ascii();
                set.put(Tag(group, block), VR::LO, bytes);
            }
            set.blocks.push((group, creator.to_owned(), block));
            block
        };
        Ok(Tag(group, block << 8 | element & 0xFF))
    }
}

impl Set {
    fn put(&mut self, tag: Tag, vr: VR, mut value: Vec<u8>) {
        pad(vr, &mut value);
        let mut element = header(tag, vr, u32::try_from(value.len()).unwrap_or(UNDEFINED));
        element.append(&mut value);
        self.elements.insert(tag, vec![Piece::Bytes(element)]);
    }

    /// The elements, with the character set in which they are.
    fn closed(mut self) -> BTreeMap<Tag, Vec<Piece>> {
        if self.has_text || self.elements.contains_key(&SPECIFIC_CHARACTER_SET) {
            self.put(SPECIFIC_CHARACTER_SET, VR::CS, UTF_8.to_vec());
        }
        self.elements
    }
}

impl Visitor for Composer {
    fn attribute(&mut self, named: Named<'_>) -> Result<()> {
        let tag = self.placed(named)?;
        self.open.push(Attribute {
            tag,
            vr: named.vr,
            given: Given::default(),
            items: Vec::new(),
        });
        Ok(())
    }

    fn value(&mut self, value: Value<'_>) -> Result<()> {
        if let Some(open) = self.open.last_mut() {
            open.given.take(value);
        }
        Ok(())
    }

    fn item(&mut self) -> Result<()> {
        self.sets.push(Set::default());
        Ok(())
    }

    fn item_end(&mut self) -> Result<()> {
        let set = self.sets.pop().unwrap_or_default();
        if let Some(open) = self.open.last_mut() {
            let mut start = Vec::with_capacity(8);
            start.extend(ITEM.0.to_le_bytes());
            start.extend(ITEM.1.to_le_bytes());
            start.extend(UNDEFINED.to_le_bytes());
            append(&mut open.items, Piece::Bytes(start));
            for piece in set.closed().into_values().flatten() {
                append(&mut open.items, piece);
            }
            append(&mut open.items, Piece::Bytes(ITEM_END.to_vec()));
        }
        Ok(())
    }

    fn attribute_end(&mut self) -> Result<()> {
        let Some(Attribute {
            tag,
            vr,
            given,
            items,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let is_top = self.sets.len() == 1;
        let Tag(group, element) = tag;
        if is_top && matches!(tag, TRANSFER_SYNTAX_UID | AVAILABLE_TRANSFER_SYNTAX_UID) {
            // What is available where it came from says how the pixel data beside it are written.
            if self.transfer_syntax_uid.is_none() || tag == TRANSFER_SYNTAX_UID {
                self.transfer_syntax_uid = given.first_text().map(str::to_owned);
            }
            return Ok(());
        }
        // Neither group lengths nor what belongs to a file or a message instead of the object.
        if element == 0 || matches!(group, 0 | 2 | 0xFFFE) {
            return Ok(());
        }
        if self
            .sets
            .last()
            .is_some_and(|set| set.elements.contains_key(&tag) && !is_creator(tag))
        {
            let tag = super::head::name(tag);
            return Err(Error::invalid(format!("{tag} is there twice")));
        }
        let pieces = if vr == VR::SQ {
            let mut pieces = vec![Piece::Bytes(header(tag, vr, UNDEFINED))];
            pieces.extend(items);
            append(&mut pieces, Piece::Bytes(SEQUENCE_END.to_vec()));
            pieces
        } else if let Some(uri) = given.bulk() {
            let uri = uri.to_owned();
            let is_pixels = is_top && tag == PIXEL_DATA;
            vec![Piece::Bulk {
                uri,
                tag,
                vr,
                is_pixels,
            }]
        } else {
            let is_ascii = given.is_ascii();
            let bytes = given
                .bytes(vr)
                .filter(|bytes| short_len(vr).is_none_or(|most| bytes.len() <= most));
            let Some(bytes) = bytes else {
                self.drop(tag);
                return Ok(());
            };
            if let Some(set) = self.sets.last_mut() {
                set.has_text |= !is_ascii;
                set.put(tag, vr, bytes);
            }
            return Ok(());
        };
        if let Some(set) = self.sets.last_mut() {
            set.elements.insert(tag, pieces);
        }
        Ok(())
    }
}

impl Composed {
    /// The bulk value that is the pixel data of the instance.
    pub fn pixels(&self) -> Option<&str> {
        match self.elements.get(&PIXEL_DATA)?.first()? {
            Piece::Bulk { uri, .. } => Some(uri),
            Piece::Bytes(_) => None,
        }
    }

    /// The file, whose data set is to be in `transfer_syntax_uid`.
    pub fn pieces(self, transfer_syntax_uid: &str) -> Vec<Piece> {
        let uid = |tag| {
            let value = match self.elements.get(&tag).map(Vec::as_slice) {
                Some([Piece::Bytes(element)]) => element.get(8..).unwrap_or_default(),
                _ => &[],
            };
            let text = std::str::from_utf8(value).unwrap_or_default();
            let text = text.trim_end_matches(['\0', ' ']);
            let fits = text.len() <= LONGEST_UID;
            if fits { text.to_owned() } else { String::new() }
        };
        let meta = write_meta(&NewMeta {
            sop_class_uid: &uid(SOP_CLASS_UID),
            sop_instance_uid: &uid(SOP_INSTANCE_UID),
            transfer_syntax_uid: transfer_syntax_uid
                .get(..LONGEST_UID)
                .unwrap_or(transfer_syntax_uid),
        });
        let mut pieces = vec![Piece::Bytes(meta)];
        for piece in self.elements.into_values().flatten() {
            append(&mut pieces, piece);
        }
        pieces
    }
}

/// What stands around a bulk value of `len` bytes, the header before it and the padding after it; `None` if it is longer than an
/// element can be.
pub fn around(tag: Tag, vr: VR, len: u64) -> Option<(Vec<u8>, &'static [u8])> {
    let padded = len.checked_next_multiple_of(2)?;
    let padded_len = u32::try_from(padded).ok().filter(|len| *len != UNDEFINED)?;
    // What does not fit the value representation is unknown (PS3.5 6.2.2).
    let vr = match short_len(vr) {
        Some(most) if usize::try_from(len).is_ok_and(|len| len > most) => VR::UN,
        _ => vr,
    };
    let padding: &[u8] = match (padded == len, encode::padding(vr)) {
        (true, _) => &[],
        (false, 0) => &[0],
        (false, _) => b" ",
    };
    Some((header(tag, vr, padded_len), padding))
}

/// The start of encapsulated pixel data, with an empty offset table (PS3.5 A.4).
pub fn encapsulated() -> Vec<u8> {
    let mut start = header(PIXEL_DATA, VR::OB, UNDEFINED);
    start.extend(fragment(0));
    start
}

/// The header of a fragment of `len` bytes, which is even.
pub fn fragment(len: u32) -> [u8; 8] {
    let [a, b, c, d] = len.to_le_bytes();
    [0xFE, 0xFF, 0x00, 0xE0, a, b, c, d]
}

/// What ends encapsulated pixel data.
pub const ENCAPSULATED_END: [u8; 8] = SEQUENCE_END;

/// Adds a piece; bytes go to the bytes before them.
fn append(pieces: &mut Vec<Piece>, piece: Piece) {
    match (pieces.last_mut(), piece) {
        (Some(Piece::Bytes(before)), Piece::Bytes(mut bytes)) => before.append(&mut bytes),
        (_, piece) => pieces.push(piece),
    }
}
