//! The data set of a file (MINT P03).

use std::collections::BTreeMap;

use super::values::{Misfit, Text, Values, padding};
use super::{Piece, SPECIFIC_CHARACTER_SET, unprocessable};
use crate::dicom::head::name;
use crate::dicom::mint::document::{Attribute, Bulk, Node, Value};
use crate::error::Result;
use crate::model::transfer_syntax::Encoding;
use crate::model::{Tag, VR};

const ITEM: Tag = Tag(0xFFFE, 0xE000);
const UTF_8: &str = "ISO_IR 192";

/// Writes a data set.
pub(super) struct Writer<'a> {
    pub(super) values: Values,
    pub(super) len_of: &'a dyn Fn(u32) -> Option<u64>,
    /// Whether a text did not fit its character set.
    pub(super) misfits: bool,
    pub(super) pieces: Vec<Piece>,
}

/// A sequence or an item that is open.
struct Open {
    /// The sequence; of an item none.
    tag: Option<Tag>,
    pieces: Vec<Piece>,
    text: Text,
}

impl<'a> Writer<'a> {
    pub(super) fn new(
        encoding: Encoding,
        is_utf8: bool,
        len_of: &'a dyn Fn(u32) -> Option<u64>,
    ) -> Self {
        Self {
            values: Values { encoding, is_utf8 },
            len_of,
            misfits: false,
            pieces: Vec::new(),
        }
    }

    /// Writes all attributes but those of group 0002.
    pub(super) fn data_set(
        &mut self,
        all: &BTreeMap<(u16, u16), &Attribute>,
        is_encapsulated: bool,
    ) -> Result<()> {
        let place = (SPECIFIC_CHARACTER_SET.0, SPECIFIC_CHARACTER_SET.1);
        let text = text_of(all.get(&place).copied());
        let utf8 = Attribute::new(
            SPECIFIC_CHARACTER_SET,
            VR::CS,
            Value::Text(UTF_8.to_owned()),
        );
        let mut all = all.clone();
        if self.values.is_utf8 {
            all.insert(place, &utf8);
        }
        for ((group, element), attribute) in all {
            if group <= 2 || element == 0 || group == ITEM.0 {
                continue;
            }
            let mut pieces = std::mem::take(&mut self.pieces);
            match &attribute.value {
                Value::Items(nodes) => self.sequence(attribute.tag, nodes, &text, &mut pieces)?,
                _ if is_encapsulated && super::pixels::is_pixel_data(attribute.tag) => {
                    self.encapsulated(attribute, &mut pieces)?;
                }
                Value::Empty
                | Value::Text(_)
                | Value::Bytes(_)
                | Value::Number { .. }
                | Value::Bulk(_) => self.plain(attribute, &text, &mut pieces)?,
            }
            self.pieces = pieces;
        }
        Ok(())
    }

    /// An element that is no sequence.
    fn plain(&mut self, attribute: &Attribute, text: &Text, to: &mut Vec<Piece>) -> Result<()> {
        let (tag, vr) = (attribute.tag, attribute.vr);
        if let Value::Bulk(bulk) = &attribute.value {
            return self.bulk(attribute, *bulk, to);
        }
        let mut value = match self.values.bytes(vr, &attribute.value, text) {
            Ok(value) => value,
            Err(Misfit::Character) => {
                self.misfits = true;
                Vec::new()
            }
            Err(Misfit::Value) => {
                let detail = format!("{} has no value that fits its vr {vr}", name(tag));
                return Err(unprocessable(detail));
            }
        };
        super::values::pad(vr, &mut value);
        let mut element = self.values.header(tag, vr, Some(length(tag, value.len())?));
        element.append(&mut value);
        put(to, element);
        Ok(())
    }

    /// An element whose value are items, joined and made even (MINT P07).
    fn bulk(&self, attribute: &Attribute, bulk: Bulk, to: &mut Vec<Piece>) -> Result<()> {
        let items = self.items(attribute.tag, bulk)?;
        let sum = items.iter().map(|(_, len)| *len);
        let sum = sum.fold(0, u64::saturating_add);
        let even = sum.saturating_add(sum % 2);
        let len = length(attribute.tag, even)?;
        put(
            to,
            self.values.header(attribute.tag, attribute.vr, Some(len)),
        );
        for (item, len) in items {
            to.push(Piece::Item {
                item,
                range: 0..len,
            });
        }
        if even > sum {
            put(to, vec![padding(attribute.vr)]);
        }
        Ok(())
    }

    /// The items of a value, each with its length.
    pub(super) fn items(&self, tag: Tag, bulk: Bulk) -> Result<Vec<(u32, u64)>> {
        let last = bulk.item.saturating_add(bulk.frames);
        let items = (bulk.item..last).map(|item| Some((item, (self.len_of)(item)?)));
        let items: Option<Vec<_>> = items.collect();
        items.ok_or_else(|| {
            unprocessable(format!("{} refers to an item that is missing", name(tag)))
        })
    }

    /// A sequence with the lengths of all that it holds.
    fn sequence(
        &mut self,
        tag: Tag,
        nodes: &[Node],
        text: &Text,
        to: &mut Vec<Piece>,
    ) -> Result<()> {
        let mut open = vec![Open {
            tag: Some(tag),
            pieces: Vec::new(),
            text: text.clone(),
        }];
        for (at, node) in nodes.iter().enumerate() {
            let Some(inner) = open.last_mut() else {
                break;
            };
            match node {
                Node::Attribute(attribute) => {
                    let is_given_up =
                        self.values.is_utf8 && attribute.tag == SPECIFIC_CHARACTER_SET;
                    if attribute.tag.1 != 0 && !is_given_up {
                        let mut pieces = std::mem::take(&mut inner.pieces);
                        let text = inner.text.clone();
                        self.plain(attribute, &text, &mut pieces)?;
                        if let Some(inner) = open.last_mut() {
                            inner.pieces = pieces;
                        }
                    }
                }
                Node::SequenceStart(tag) => {
                    let text = inner.text.clone();
                    open.push(Open {
                        tag: Some(*tag),
                        pieces: Vec::new(),
                        text,
                    });
                }
                Node::ItemStart => {
                    let text = item_text(nodes, at).unwrap_or_else(|| inner.text.clone());
                    open.push(Open {
                        tag: None,
                        pieces: Vec::new(),
                        text,
                    });
                }
                Node::ItemEnd | Node::SequenceEnd => self.close(&mut open)?,
            }
        }
        while open.len() > 1 {
            self.close(&mut open)?;
        }
        if let Some(outermost) = open.pop() {
            self.finish(outermost, to)?;
        }
        Ok(())
    }

    /// Ends what is innermost; the outermost sequence stays.
    fn close(&self, open: &mut Vec<Open>) -> Result<()> {
        if open.len() < 2 {
            return Ok(());
        }
        if let Some(inner) = open.pop()
            && let Some(outer) = open.last_mut()
        {
            self.finish(inner, &mut outer.pieces)?;
        }
        Ok(())
    }

    /// Writes a sequence or an item behind its header.
    fn finish(&self, open: Open, to: &mut Vec<Piece>) -> Result<()> {
        let tag = open.tag.unwrap_or(ITEM);
        let len = length(tag, len(&open.pieces))?;
        put(to, self.values.header(tag, VR::SQ, Some(len)));
        for piece in open.pieces {
            match piece {
                Piece::Bytes(bytes) => put(to, bytes),
                Piece::Item { .. } => to.push(piece),
            }
        }
        Ok(())
    }
}

/// The character set that the item at a node sets for itself, which stands at its front if anywhere.
fn item_text(nodes: &[Node], at: usize) -> Option<Text> {
    let place = (SPECIFIC_CHARACTER_SET.0, SPECIFIC_CHARACTER_SET.1);
    for node in nodes.get(at.saturating_add(1)..)? {
        let Node::Attribute(attribute) = node else {
            return None;
        };
        if (attribute.tag.0, attribute.tag.1) >= place {
            let is_it = attribute.tag == SPECIFIC_CHARACTER_SET;
            return is_it.then(|| text_of(Some(attribute)));
        }
    }
    None
}

fn text_of(attribute: Option<&Attribute>) -> Text {
    match attribute.map(|attribute| &attribute.value) {
        Some(Value::Text(values)) => Text::of(values),
        _ => Text::of(""),
    }
}

/// A length that an element can have.
pub(super) fn length(tag: Tag, len: impl TryInto<u64>) -> Result<u32> {
    let len = len.try_into().ok();
    let len = len.and_then(|len| u32::try_from(len).ok());
    len.filter(|len| *len != u32::MAX)
        .ok_or_else(|| unprocessable(format!("{} is longer than an element can be", name(tag))))
}

/// Adds bytes to the bytes before them.
pub(super) fn put(to: &mut Vec<Piece>, mut bytes: Vec<u8>) {
    match to.last_mut() {
        Some(Piece::Bytes(before)) => before.append(&mut bytes),
        Some(Piece::Item { .. }) | None => to.push(Piece::Bytes(bytes)),
    }
}

/// The length of pieces in bytes.
pub(super) fn len(pieces: &[Piece]) -> u64 {
    let lengths = pieces.iter().map(|piece| match piece {
        Piece::Bytes(bytes) => u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        Piece::Item { range, .. } => range.end.saturating_sub(range.start),
    });
    lengths.fold(0, u64::saturating_add)
}
