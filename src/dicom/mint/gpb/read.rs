//! Protobuf → a document, part by part. Fields may come in any order, and those that are not known are passed over (MINT D14, D15).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::io::BufRead;

use super::field;
use super::wire::{Field, Message, Stream, Wire, no_message, no_text};
use crate::Result;
use crate::dicom::mint::document::{
    Attribute, Instance, Node, Part, SeriesFacts, StudyFacts, Value,
};
use crate::dicom::mint::limits::{Counted, MAX_LEVELS, too_deep};
use crate::dicom::mint::raw::{self, Raw};
use crate::model::{Tag, VR};

/// Reads a document to its end. An instance is the most that is held.
///
/// # Errors
/// `Kind::Invalid` if it is no document or asks for more than [`limits`](crate::dicom::mint::limits); what `take` refuses;
/// `Kind::Unavailable` if it cannot be read.
pub fn read(from: impl BufRead, mut take: impl FnMut(Part) -> Result<()>) -> Result<()> {
    let mut stream = Stream::new(from);
    let mut facts = StudyFacts::default();
    let mut attributes = Run::default();
    while let Some(key) = stream.key()? {
        match (key.field, key.wire) {
            (field::STUDY_ATTRIBUTES, Wire::Bytes) => attributes.add(&stream.bytes()?)?,
            (field::STUDY_UID, Wire::Bytes) => facts.study_instance_uid = stream.text()?,
            (field::STUDY_TYPE, Wire::Bytes) => facts.document_type = Some(stream.text()?),
            (field::STUDY_VERSION, Wire::Bytes) => facts.version = raw::version(&stream.text()?)?,
            (field::STUDY_INSTANCE_COUNT, Wire::Number) => {
                facts.instance_count = Some(narrow(stream.number()?)?);
            }
            (field::STUDY_SERIES, Wire::Bytes) => {
                attributes.pass(&mut take, Part::Attributes)?;
                series(&mut stream, &mut take)?;
            }
            _ => stream.skip(key.wire)?,
        }
    }
    attributes.pass(&mut take, Part::Attributes)?;
    take(Part::End(facts))
}

fn series<R: BufRead>(
    stream: &mut Stream<R>,
    take: &mut impl FnMut(Part) -> Result<()>,
) -> Result<()> {
    let len = stream.number()?;
    let end = stream.at.checked_add(len).ok_or_else(no_message)?;
    let mut facts = SeriesFacts::default();
    let (mut attributes, mut normalized) = (Run::default(), Run::default());
    take(Part::SeriesStart)?;
    while stream.at < end {
        let Some(key) = stream.key()? else {
            return Err(no_message());
        };
        match (key.field, key.wire) {
            (field::SERIES_ATTRIBUTES, Wire::Bytes) => attributes.add(&stream.bytes()?)?,
            (field::SERIES_NORMALIZED, Wire::Bytes) => normalized.add(&stream.bytes()?)?,
            (field::SERIES_INSTANCES, Wire::Bytes) => {
                attributes.pass(take, Part::SeriesAttributes)?;
                normalized.pass(take, Part::Normalized)?;
                take(Part::Instance(instance(&stream.bytes()?)?))?;
            }
            (field::SERIES_UID, Wire::Bytes) => facts.series_instance_uid = stream.text()?,
            (field::SERIES_EXCLUDE, Wire::Bytes) => {
                stream.skip(key.wire)?;
                facts.exclude = true;
            }
            (field::SERIES_INSTANCE_COUNT, Wire::Number) => {
                facts.instance_count = Some(narrow(stream.number()?)?);
            }
            (_, wire) => stream.skip(wire)?,
        }
    }
    if stream.at != end {
        return Err(no_message());
    }
    attributes.pass(take, Part::SeriesAttributes)?;
    normalized.pass(take, Part::Normalized)?;
    take(Part::SeriesEnd(facts))
}

/// Attributes of one level that have not been passed on.
#[derive(Debug, Default)]
struct Run {
    attributes: Vec<Attribute>,
    counted: Counted,
}

impl Run {
    fn add(&mut self, message: &[u8]) -> Result<()> {
        let attribute = attribute(message, &mut self.counted)?;
        self.attributes.push(attribute);
        Ok(())
    }

    fn pass(
        &mut self,
        take: &mut impl FnMut(Part) -> Result<()>,
        part: impl FnOnce(Vec<Attribute>) -> Part,
    ) -> Result<()> {
        if self.attributes.is_empty() {
            return Ok(());
        }
        take(part(std::mem::take(&mut self.attributes)))
    }
}

fn instance(message: &[u8]) -> Result<Instance> {
    let mut instance = Instance::default();
    let mut counted = Counted::default();
    let mut message = Message(message);
    while let Some((number, value)) = message.field()? {
        match (number, value) {
            (field::INSTANCE_UID, Field::Bytes(uid)) => instance.sop_instance_uid = text(uid)?,
            (field::INSTANCE_EXCLUDE, Field::Bytes(_)) => instance.exclude = true,
            (field::INSTANCE_TRANSFER_SYNTAX_UID, Field::Bytes(uid)) => {
                instance.transfer_syntax_uid = Some(text(uid)?);
            }
            (field::INSTANCE_ATTRIBUTES, Field::Bytes(bytes)) => {
                let attribute = attribute(bytes, &mut counted)?;
                instance.attributes.push(attribute);
            }
            _ => {}
        }
    }
    Ok(instance)
}

/// An attribute of a level.
fn attribute(message: &[u8], counted: &mut Counted) -> Result<Attribute> {
    let (raw, has_items) = fields(message)?;
    counted.add(raw.len())?;
    if !raw.is_sequence(has_items)? {
        return raw.plain();
    }
    let mut nodes = Vec::new();
    items(message, 1, counted, &mut nodes)?;
    Ok(Attribute {
        tag: raw.tag()?,
        vr: VR::SQ,
        exclude: raw.exclude,
        value: Value::Items(nodes),
    })
}

/// The fields of an attribute, and whether it has items, which are passed over.
fn fields(message: &[u8]) -> Result<(Raw, bool)> {
    let mut raw = Raw::default();
    let mut has_items = false;
    let mut message = Message(message);
    while let Some((number, value)) = message.field()? {
        match (number, value) {
            (field::TAG, Field::Number(tag)) => {
                let [a, b, c, d] = narrow(tag)?.to_be_bytes();
                raw.tag = Some(Tag(u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])));
            }
            (field::EXCLUDE, Field::Bytes(_)) => raw.exclude = true,
            (field::VR, Field::Bytes([])) => {}
            (field::VR, Field::Bytes(vr)) => raw.vr = Some(raw::vr(&text(vr)?)?),
            (field::TEXT, Field::Bytes(value)) => raw.text = Some(text(value)?),
            (field::ITEM, Field::Number(item)) => raw.item = Some(narrow(item)?),
            (field::ITEMS, Field::Bytes(_)) => has_items = true,
            (field::BYTES, Field::Bytes(bytes)) => raw.bytes = Some(bytes.to_vec()),
            (field::FRAMES, Field::Number(frames)) => raw.frames = Some(narrow(frames)?),
            (field::SIZE, Field::Number(size)) => raw.size = Some(narrow(size)?),
            _ => {}
        }
    }
    Ok((raw, has_items))
}

/// The items of a sequence, as nodes. Sequences are `level` deep here; the recursion ends at [`MAX_LEVELS`].
fn items(
    sequence: &[u8],
    level: usize,
    counted: &mut Counted,
    nodes: &mut Vec<Node>,
) -> Result<()> {
    if level > MAX_LEVELS {
        return Err(too_deep());
    }
    let mut sequence = Message(sequence);
    while let Some((number, value)) = sequence.field()? {
        let (field::ITEMS, Field::Bytes(item)) = (number, value) else {
            continue;
        };
        counted.add(0)?;
        nodes.push(Node::ItemStart);
        let mut item = Message(item);
        while let Some((number, value)) = item.field()? {
            let (field::ITEM_ATTRIBUTES, Field::Bytes(message)) = (number, value) else {
                continue;
            };
            let (raw, has_items) = fields(message)?;
            counted.add(raw.len())?;
            if raw.exclude {
                return Err(raw::excluded_inside(raw.tag()?));
            }
            if raw.is_sequence(has_items)? {
                nodes.push(Node::SequenceStart(raw.tag()?));
                items(message, level.saturating_add(1), counted, nodes)?;
                nodes.push(Node::SequenceEnd);
            } else {
                nodes.push(Node::Attribute(raw.plain()?));
            }
        }
        nodes.push(Node::ItemEnd);
    }
    Ok(())
}

fn text(bytes: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(bytes).map_err(|_| no_text())?;
    Ok(text.to_owned())
}

/// A number of 32 bits.
fn narrow(number: u64) -> Result<u32> {
    u32::try_from(number).map_err(|_| no_message())
}
