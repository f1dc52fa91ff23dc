//! A document → protobuf, piece by piece to the end of a buffer.
//!
//! A message stands behind its length. So each is written from its end to its start, where the length is known by then, and turned
//! around at last: no message is measured beforehand, however deep it lies.

use super::field;
use crate::dicom::mint::document::{Attribute, Instance, Node, SeriesFacts, StudyFacts, Value};
use crate::model::{Tag, VR};

/// What says that something is excluded: presence counts (MINT V10).
const EXCLUDED: &[u8] = b"true";

/// Up to the first series.
pub fn study_start(facts: &StudyFacts, attributes: &[Attribute], out: &mut Vec<u8>) {
    let mut back = Backward::default();
    back.attributes(field::STUDY_ATTRIBUTES, attributes);
    back.text(field::STUDY_UID, &facts.study_instance_uid);
    back.finish(out);
}

/// Up to the first instance of a series, whose instances are `instances_len` bytes as [`instance`] writes them.
pub fn series_start(
    facts: &SeriesFacts,
    attributes: &[Attribute],
    normalized: &[Attribute],
    instances_len: u64,
    out: &mut Vec<u8>,
) {
    let mut end = Vec::new();
    series_end(facts, &mut end);
    let mut back = Backward::default();
    back.attributes(field::SERIES_NORMALIZED, normalized);
    back.attributes(field::SERIES_ATTRIBUTES, attributes);
    back.exclude(field::SERIES_EXCLUDE, facts.exclude);
    back.text(field::SERIES_UID, &facts.series_instance_uid);
    let len = wide(back.0.len()) + instances_len + wide(end.len());
    back.open(field::STUDY_SERIES, len);
    back.finish(out);
}

/// An instance.
pub fn instance(instance: &Instance, out: &mut Vec<u8>) {
    let mut back = Backward::default();
    back.attributes(field::INSTANCE_ATTRIBUTES, &instance.attributes);
    if let Some(uid) = &instance.transfer_syntax_uid {
        back.text(field::INSTANCE_TRANSFER_SYNTAX_UID, uid);
    }
    back.exclude(field::INSTANCE_EXCLUDE, instance.exclude);
    back.text(field::INSTANCE_UID, &instance.sop_instance_uid);
    back.open(field::SERIES_INSTANCES, wide(back.0.len()));
    back.finish(out);
}

/// What follows the last instance of a series.
pub fn series_end(facts: &SeriesFacts, out: &mut Vec<u8>) {
    let mut back = Backward::default();
    if let Some(instances) = facts.instance_count {
        back.number(field::SERIES_INSTANCE_COUNT, instances);
    }
    back.finish(out);
}

/// What follows the last series (MINT D12).
pub fn study_end(facts: &StudyFacts, out: &mut Vec<u8>) {
    let mut back = Backward::default();
    if let Some(instances) = facts.instance_count {
        back.number(field::STUDY_INSTANCE_COUNT, instances);
    }
    if let Some(version) = facts.version {
        back.text(field::STUDY_VERSION, &version.to_string());
    }
    if let Some(document_type) = &facts.document_type {
        back.text(field::STUDY_TYPE, document_type);
    }
    back.finish(out);
}

/// Fields, the last one first, each from its last byte to its first.
#[derive(Debug, Default)]
struct Backward(Vec<u8>);

impl Backward {
    fn finish(mut self, out: &mut Vec<u8>) {
        self.0.reverse();
        out.append(&mut self.0);
    }

    fn raw(&mut self, bytes: &[u8]) {
        self.0.extend(bytes.iter().rev());
    }

    fn varint(&mut self, mut number: u64) {
        let mut bytes = [0; 10];
        let mut len = 0;
        for byte in &mut bytes {
            let [low, ..] = number.to_le_bytes();
            number >>= 7;
            len += 1;
            *byte = if number == 0 { low & 0x7F } else { low | 0x80 };
            if number == 0 {
                break;
            }
        }
        self.raw(bytes.get(..len).unwrap_or_default());
    }

    /// A field of `len` bytes, which have been written.
    fn open(&mut self, field: u32, len: u64) {
        self.varint(len);
        self.varint(u64::from(field << 3 | 2));
    }

    /// A message that was written since `mark`.
    fn message(&mut self, field: u32, mark: usize) {
        let len = wide(self.0.len().saturating_sub(mark));
        self.open(field, len);
    }

    fn bytes(&mut self, field: u32, bytes: &[u8]) {
        self.raw(bytes);
        self.open(field, wide(bytes.len()));
    }

    fn text(&mut self, field: u32, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn number(&mut self, field: u32, number: u32) {
        self.varint(u64::from(number));
        self.varint(u64::from(field << 3));
    }

    fn exclude(&mut self, field: u32, exclude: bool) {
        if exclude {
            self.bytes(field, EXCLUDED);
        }
    }

    fn attributes(&mut self, field: u32, attributes: &[Attribute]) {
        for attribute in attributes.iter().rev() {
            let mark = self.0.len();
            self.value(attribute);
            self.start(attribute.tag, attribute.vr, attribute.exclude);
            self.message(field, mark);
        }
    }

    /// The fields with which an attribute starts.
    fn start(&mut self, Tag(group, element): Tag, vr: VR, exclude: bool) {
        self.text(field::VR, vr.to_string());
        self.exclude(field::EXCLUDE, exclude);
        let tag = u32::from(group) << 16 | u32::from(element);
        self.number(field::TAG, tag);
    }

    fn value(&mut self, attribute: &Attribute) {
        match &attribute.value {
            Value::Empty => {}
            Value::Text(text) => self.text(field::TEXT, text),
            Value::Bytes(bytes) => self.bytes(field::BYTES, bytes),
            Value::Number { text, bytes } => {
                self.bytes(field::BYTES, bytes);
                self.text(field::TEXT, text);
            }
            Value::Bulk(bulk) => {
                if let Some(size) = bulk.size {
                    self.number(field::SIZE, size);
                }
                if bulk.frames > 1 {
                    self.number(field::FRAMES, bulk.frames);
                }
                self.number(field::ITEM, bulk.item);
            }
            // Those of a sequence inside of another are nodes of their own.
            Value::Items(nodes) => self.items(nodes),
        }
    }

    fn items(&mut self, nodes: &[Node]) {
        // Where the messages end that are open.
        let mut marks = Vec::new();
        for node in nodes.iter().rev() {
            let mark = self.0.len();
            match node {
                Node::SequenceEnd | Node::ItemEnd => marks.push(mark),
                Node::ItemStart => {
                    let mark = marks.pop().unwrap_or(mark);
                    self.message(field::ITEMS, mark);
                }
                Node::SequenceStart(tag) => {
                    self.start(*tag, VR::SQ, false);
                    let mark = marks.pop().unwrap_or(mark);
                    self.message(field::ITEM_ATTRIBUTES, mark);
                }
                Node::Attribute(attribute) => {
                    self.value(attribute);
                    self.start(attribute.tag, attribute.vr, false);
                    self.message(field::ITEM_ATTRIBUTES, mark);
                }
            }
        }
    }
}

fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
