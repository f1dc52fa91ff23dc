//! The head of an instance: its data set without bulk, as a flat list of nodes.
//!
//! Flat, because sequences nest as deeply as a sender likes: nothing here recurses. Values lie in one arena, in little
//! endian whatever the file says; bulk values are known by their place in the file only.

use std::ops::Range;

use super::dictionary::keyword;
use crate::model::{Tag, VR};

/// One step through a data set, in the order of the file.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// An element that is no sequence.
    Element(Element),
    /// A sequence begins; its items follow.
    SequenceStart(Tag),
    /// An item of the sequence begins.
    ItemStart,
    /// The item ends.
    ItemEnd,
    /// The sequence ends.
    SequenceEnd,
}

/// An element that is no sequence.
#[derive(Clone, Debug, PartialEq)]
pub struct Element {
    /// Its tag.
    pub tag: Tag,
    /// Its value representation, resolved: the dictionary's for implicit VR and for UN under a known tag, `LO` for a
    /// private creator, `UN` where nothing is known.
    pub vr: VR,
    /// Offset of its header in the (inflated) file, for messages; 0 where there is no file.
    pub offset: u64,
    /// Where its value is.
    pub value: Value,
}

/// Where a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// In the arena of the head, little endian, padding included.
    Inline(Range<usize>),
    /// In the file only: a value that becomes a BulkDataURI (dicomweb.md 5.2). The range is that of the value in the file,
    /// or in the inflated file where the transfer syntax deflates the data set.
    Bulk(Range<u64>),
    /// In the file only, as fragments: encapsulated pixel data.
    Fragments,
}

/// One fragment of encapsulated pixel data, item header excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Offset of the value in the file.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u32,
    /// Its first four bytes, zeros where it is shorter.
    pub first: [u8; 4],
    /// Its last four bytes, zeros in front where it is shorter.
    pub last: [u8; 4],
}

/// The pixel data of the top level: 7FE0,0010, 7FE0,0008 or 7FE0,0009.
#[derive(Clone, Debug, PartialEq)]
pub enum PixelPlace {
    /// Native: one value.
    Native {
        /// Which of the three elements.
        tag: Tag,
        /// Its range in the (inflated) file.
        range: Range<u64>,
    },
    /// Encapsulated: a basic offset table, which may be empty, and fragments.
    Encapsulated {
        /// Offset of the first byte after the offset table item, from which the table counts.
        origin: u64,
        /// The basic offset table.
        offset_table: Vec<u32>,
        /// The fragments in order.
        fragments: Vec<Fragment>,
    },
}

/// What the file meta information and the start of the file say.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct FileMeta {
    /// Transfer Syntax UID (0002,0010) without padding; the assumed one where the file has no meta information.
    pub transfer_syntax_uid: String,
    /// Media Storage SOP Class UID (0002,0002), if it is there.
    pub sop_class_uid: Option<String>,
    /// Media Storage SOP Instance UID (0002,0003), if it is there.
    pub sop_instance_uid: Option<String>,
    /// Whether the file has a preamble of 128 bytes and `DICM`.
    pub has_preamble: bool,
    /// Offset of the first element of the data set.
    pub data_set_offset: u64,
}

/// The head of one instance.
#[derive(Clone, Debug, Default)]
pub struct Head {
    /// File meta information.
    pub meta: FileMeta,
    /// The data set.
    pub nodes: Vec<Node>,
    /// The bytes that `Value::Inline` points into.
    pub arena: Vec<u8>,
    /// Pixel data of the top level.
    pub pixels: Option<PixelPlace>,
    /// Extended Offset Table (7FE0,0001) and Extended Offset Table Lengths (7FE0,0002), if both are there.
    pub extended_offsets: Option<(Vec<u64>, Vec<u64>)>,
    /// What was odd but tolerated, as fragments that name tag and offset.
    pub warnings: Vec<String>,
}

impl Head {
    /// The bytes of an inline value; empty for a value that is not kept.
    pub fn bytes(&self, element: &Element) -> &[u8] {
        match &element.value {
            Value::Inline(range) => self.arena.get(range.clone()).unwrap_or_default(),
            Value::Bulk(_) | Value::Fragments => &[],
        }
    }

    /// The element `tag` of the top level; the first one where a file has it twice.
    pub fn element(&self, tag: Tag) -> Option<&Element> {
        self.top_level().find(|element| element.tag == tag)
    }

    /// The element `tag` of the top level as messages show it: `(0010,0020) PatientID at offset 646`; without an offset where
    /// it is missing.
    pub fn named(&self, tag: Tag) -> String {
        match self.element(tag) {
            Some(element) => element.named(),
            None => name(tag),
        }
    }

    /// The elements of the top level that are no sequences, in the order of the file.
    pub fn top_level(&self) -> impl Iterator<Item = &Element> {
        let mut depth = 0_usize;
        self.nodes.iter().filter_map(move |node| match node {
            Node::SequenceStart(_) => {
                depth += 1;
                None
            }
            Node::SequenceEnd => {
                depth = depth.saturating_sub(1);
                None
            }
            Node::Element(element) if depth == 0 => Some(element),
            Node::Element(_) | Node::ItemStart | Node::ItemEnd => None,
        })
    }
}

impl Element {
    /// The element as messages show it: `(0010,0020) PatientID at offset 646`.
    pub fn named(&self) -> String {
        format!("{} at offset {}", name(self.tag), self.offset)
    }
}

/// A tag as messages show it: `(0010,0020) PatientID`.
pub fn name(tag: Tag) -> String {
    let Tag(group, element) = tag;
    match keyword(tag) {
        Some(keyword) => format!("({group:04X},{element:04X}) {keyword}"),
        None => format!("({group:04X},{element:04X})"),
    }
}
