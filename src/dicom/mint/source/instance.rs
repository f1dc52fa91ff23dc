//! What was found in a file → an instance of a document.

use std::iter::Peekable;
use std::vec::IntoIter;

use super::values::Values;
use crate::Result;
use crate::dicom::charset::Charset;
use crate::dicom::extract::{SPECIFIC_CHARACTER_SET, charset, text_of};
use crate::dicom::frames::FrameTable;
use crate::dicom::head::{self, Element, Head};
use crate::dicom::mint::document::{Attribute, Bulk, Instance, MAX_NUMBER, Node, Value, sort};
use crate::dicom::mint::items::{Items, Part};
use crate::dicom::scan::meta_elements;
use crate::error::{Error, Kind};
use crate::model::{Tag, VR};

const TRANSFER_SYNTAX_UID: Tag = Tag(0x0002, 0x0010);
const SOP_INSTANCE_UID: Tag = Tag(0x0008, 0x0018);
const STUDY_INSTANCE_UID: Tag = Tag(0x0020, 0x000D);
const SERIES_INSTANCE_UID: Tag = Tag(0x0020, 0x000E);
const NUMBER_OF_FRAMES: Tag = Tag(0x0028, 0x0008);

/// A stored file as MINT has it.
#[derive(Debug)]
pub struct Stored {
    /// Study Instance UID as it stands in the file.
    pub study_instance_uid: String,
    /// Series Instance UID as it stands in the file.
    pub series_instance_uid: String,
    /// The instance with all of its attributes, by tag; its items count from 0.
    pub instance: Instance,
    /// Where its items lie in the file.
    pub items: Items,
}

/// What a scan has found.
pub(super) struct Found<'a> {
    pub(super) head: &'a Head,
    /// The file up to its data set.
    pub(super) front: &'a [u8],
    /// Items in the order of the file, each with its node in the head.
    pub(super) parts: Vec<(usize, Part)>,
    pub(super) table: Option<FrameTable>,
    pub(super) is_big_endian: bool,
}

impl Found<'_> {
    /// The instance and its items.
    pub(super) fn stored(self) -> Result<Stored> {
        let head = self.head;
        let text = |tag| text_of(head, tag).unwrap_or_default();
        let declared = text(NUMBER_OF_FRAMES);
        let declared = declared.split('\\').next().and_then(|it| it.parse().ok());
        let frames = self.table.map(|table| (table, declared));
        let (nodes, parts): (Vec<usize>, Vec<Part>) = self.parts.into_iter().unzip();
        let items = Items::new(parts, frames);
        let mut walk = Walk {
            head,
            bulks: bulks(nodes, &items)?.into_iter().peekable(),
            values: Values {
                is_big_endian: self.is_big_endian,
            },
        };
        let mut attributes = meta(self.front, head);
        attributes.extend(walk.data_set());
        sort(&mut attributes);
        // Of an element that is there twice the first counts.
        attributes.dedup_by_key(|attribute| attribute.tag);
        Ok(Stored {
            study_instance_uid: text(STUDY_INSTANCE_UID),
            series_instance_uid: text(SERIES_INSTANCE_UID),
            instance: Instance {
                sop_instance_uid: text(SOP_INSTANCE_UID),
                transfer_syntax_uid: Some(head.meta.transfer_syntax_uid.clone()),
                exclude: false,
                attributes,
            },
            items,
        })
    }
}

/// What refers to each item, with its node.
fn bulks(nodes: Vec<usize>, items: &Items) -> Result<Vec<(usize, Bulk)>> {
    let mut next = 0_u32;
    let mut bulks = Vec::with_capacity(nodes.len());
    for (node, (frames, size)) in nodes.into_iter().zip(items.values()) {
        let size = u32::try_from(size).ok().filter(|size| *size <= MAX_NUMBER);
        let bulk = Bulk {
            item: next,
            size,
            frames,
        };
        next = next.checked_add(frames).ok_or_else(|| {
            Error::new(
                Kind::Internal,
                "an instance has more items than there are numbers",
            )
        })?;
        bulks.push((node, bulk));
    }
    Ok(bulks)
}

/// Group 0002 (MINT K01). The transfer syntax is the one that is believed.
fn meta(front: &[u8], head: &Head) -> Vec<Attribute> {
    let values = Values {
        is_big_endian: false,
    };
    let elements = meta_elements(front).into_iter();
    elements
        .filter(|(tag, ..)| tag.1 != 0)
        .map(|(tag, vr, bytes)| {
            let value = match tag {
                TRANSFER_SYNTAX_UID => Value::Text(head.meta.transfer_syntax_uid.clone()),
                _ => values.of(vr, bytes, Charset::default()),
            };
            Attribute::new(tag, vr, value)
        })
        .collect()
}

/// A walk over the nodes of a head.
struct Walk<'a> {
    head: &'a Head,
    bulks: Peekable<IntoIter<(usize, Bulk)>>,
    values: Values,
}

impl Walk<'_> {
    /// The attributes of the top level in the order of the file.
    fn data_set(&mut self) -> Vec<Attribute> {
        let head = self.head;
        // The character set of each item that is open, that of the top level first.
        let mut charsets = vec![charset(head)];
        let mut attributes = Vec::new();
        let mut sequence: Option<(Tag, Vec<Node>)> = None;
        let mut depth = 0_usize;
        for (at, node) in head.nodes.iter().enumerate() {
            match (node, &mut sequence) {
                (head::Node::SequenceStart(tag), None) => sequence = Some((*tag, Vec::new())),
                (head::Node::SequenceStart(tag), Some((_, nodes))) => {
                    depth = depth.saturating_add(1);
                    nodes.push(Node::SequenceStart(*tag));
                }
                (head::Node::SequenceEnd, Some((_, nodes))) if depth > 0 => {
                    depth = depth.saturating_sub(1);
                    nodes.push(Node::SequenceEnd);
                }
                (head::Node::SequenceEnd, _) => {
                    if let Some((tag, nodes)) = sequence.take() {
                        attributes.push(Attribute::new(tag, VR::SQ, Value::Items(nodes)));
                    }
                }
                (head::Node::ItemStart, Some((_, nodes))) => {
                    nodes.push(Node::ItemStart);
                    let around = charsets.last().copied().unwrap_or_default();
                    charsets.push(self.charset_of_item(at).unwrap_or(around));
                }
                (head::Node::ItemEnd, Some((_, nodes))) => {
                    nodes.push(Node::ItemEnd);
                    charsets.pop();
                }
                (head::Node::ItemStart | head::Node::ItemEnd, None) => {}
                (head::Node::Element(element), _) => {
                    let charset = charsets.last().copied().unwrap_or_default();
                    let attribute = self.element(at, element, charset);
                    match (attribute, &mut sequence) {
                        (None, _) => {}
                        (Some(attribute), None) => attributes.push(attribute),
                        (Some(attribute), Some((_, nodes))) => {
                            nodes.push(Node::Attribute(attribute));
                        }
                    }
                }
            }
        }
        attributes
    }

    /// The character set that the item at a node sets for itself, which stands at its front if anywhere.
    fn charset_of_item(&self, at: usize) -> Option<Charset> {
        let nodes = self.head.nodes.get(at.saturating_add(1)..)?;
        let place = (SPECIFIC_CHARACTER_SET.0, SPECIFIC_CHARACTER_SET.1);
        for node in nodes {
            let head::Node::Element(element) = node else {
                return None;
            };
            if (element.tag.0, element.tag.1) >= place {
                let is_it = element.tag == SPECIFIC_CHARACTER_SET;
                return is_it.then(|| Charset::of(self.head.bytes(element)));
            }
        }
        None
    }

    /// An element; `None` for what MINT leaves out (K02).
    fn element(&mut self, at: usize, element: &Element, charset: Charset) -> Option<Attribute> {
        let bulk = self.bulks.next_if(|(node, _)| *node == at);
        let Tag(group, number) = element.tag;
        if number == 0 || matches!(group, 0 | 2 | 0xFFFE) {
            return None;
        }
        let value = match (bulk, &element.value) {
            (Some((_, bulk)), _) => Value::Bulk(bulk),
            (None, head::Value::Inline(_)) => {
                let bytes = self.head.bytes(element);
                self.values.of(element.vr, bytes, charset)
            }
            // Pixels without a fragment, of an icon.
            (None, head::Value::Bulk(_) | head::Value::Fragments) => Value::Bytes(Vec::new()),
        };
        Some(Attribute::new(element.tag, element.vr, value))
    }
}
