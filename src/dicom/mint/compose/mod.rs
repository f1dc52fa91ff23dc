//! An instance of a document and its items → a file (mint.md 11.7).
//!
//! The same document and items give the same bytes, whatever the build: [`compose`] writes everything but the items, and says
//! between which bytes each of them goes, so that whoever has them can send one after the other.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

mod blocks;
mod data_set;
mod meta;
mod pixels;
#[cfg(test)]
mod tests;
mod values;

use std::collections::BTreeMap;

use self::data_set::Writer;
use super::document::{Attribute, Instance, Value};
use crate::error::{Error, Kind, Result};
use crate::model::transfer_syntax::Encoding;
use crate::model::{Tag, TransferSyntax};

const SPECIFIC_CHARACTER_SET: Tag = Tag(0x0008, 0x0005);

/// What stands next in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A range of the item of this number.
    Item {
        /// The number of the item.
        item: u32,
        /// The range of it, all of it but in a deflated file.
        range: std::ops::Range<u64>,
    },
}

/// A file in whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composed {
    /// The file, in order.
    pub pieces: Vec<Piece>,
    /// Whether a text did not fit its character set, so that all are UTF-8 now (MINT P04).
    pub is_recoded: bool,
}

impl Composed {
    /// The length of the file in bytes.
    #[expect(
        clippy::len_without_is_empty,
        reason = "a length to announce, not a collection"
    )]
    pub fn len(&self) -> u64 {
        data_set::len(&self.pieces)
    }
}

/// The attributes of an instance: those of its own and, where it has none of a tag, those of the levels above, the nearest first
/// (MINT P01). What is excluded is not there.
pub fn whole<'a>(levels: &[&'a [Attribute]]) -> BTreeMap<(u16, u16), &'a Attribute> {
    let mut all = BTreeMap::new();
    for attribute in levels.iter().rev().copied().flatten() {
        if !attribute.exclude {
            all.entry((attribute.tag.0, attribute.tag.1))
                .or_insert(attribute);
        }
    }
    all
}

/// Writes the file of an instance, whose `above` are the attributes of the levels above it, the study's first. `len_of` gives
/// the length of an item in bytes.
///
/// # Errors
/// `Kind::Unprocessable` for what no file can hold: a number out of its range, an item that is missing or too long. The detail
/// names the attribute.
pub fn compose(
    above: &[&[Attribute]],
    instance: &Instance,
    len_of: &dyn Fn(u32) -> Option<u64>,
) -> Result<Composed> {
    let levels: Vec<&[Attribute]> = above
        .iter()
        .copied()
        .chain([instance.attributes.as_slice()])
        .collect();
    let all = whole(&levels);
    let uid = transfer_syntax(instance, &all)?;
    let syntax = TransferSyntax::of(uid);
    let encoding = syntax.map_or(Encoding::ExplicitLittle, |syntax| syntax.encoding);
    let mut pieces = vec![Piece::Bytes(meta::group(&all, instance, uid))];
    let write = |is_utf8| {
        let mut writer = Writer::new(encoding, is_utf8, len_of);
        writer.data_set(&all, syntax.is_some_and(TransferSyntax::is_encapsulated))?;
        Ok::<_, Error>((writer.misfits, writer.pieces))
    };
    let (is_recoded, mut data_set) = write(false)?;
    if is_recoded {
        (_, data_set) = write(true)?;
    }
    if encoding == Encoding::Deflated {
        data_set = blocks::deflated(data_set);
    }
    pieces.append(&mut data_set);
    Ok(Composed { pieces, is_recoded })
}

fn transfer_syntax<'a>(
    instance: &'a Instance,
    all: &BTreeMap<(u16, u16), &'a Attribute>,
) -> Result<&'a str> {
    if let Some(uid) = &instance.transfer_syntax_uid {
        return Ok(uid);
    }
    match all.get(&(0x0002, 0x0010)).map(|attribute| &attribute.value) {
        Some(Value::Text(uid)) => Ok(uid),
        _ => Err(unprocessable("an instance has no transfer syntax")),
    }
}

fn unprocessable(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(Kind::Unprocessable, detail)
}
