//! The metadata of one instance, from its head (J01 to J23, J40).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::attributes::write_attribute;
use super::values::{escape, open, write_empty, write_text};
use super::{UTF_8, declare_utf_8, key, private};
use crate::dicom::charset::Charset;
use crate::dicom::extract::{SPECIFIC_CHARACTER_SET, text};
use crate::dicom::head::{Element, Head, Node, Value, name};
use crate::model::{AttributeSet, Tag, VR};

const AVAILABLE_TRANSFER_SYNTAX_UID: Tag = Tag(0x0008, 0x3002);

/// How many unwritable elements are named.
const NAMED: usize = 16;

/// How long the path of a nested bulk value may get, in bytes: some 300 sequences. A longer URI no server takes, and a small file
/// could ask for a great many of them.
const PATH_MAX: usize = 4096;

/// What the metadata of an instance needs beside its head.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// Where the instance is, without a slash at the end; a BulkDataURI is this and `/bulkdata/…` (J40).
    pub instance_url: &'a str,
    /// Attributes of the top level that are added or stand for those of the file. The transfer syntax as stored is added
    /// without being here (J03).
    pub extras: &'a AttributeSet,
}

/// What was odd while writing: for one Warning, never for a refusal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The first element whose text held bytes that its character set does not define; they are U+FFFD now (J18).
    pub replaced: Option<String>,
    /// The first Specific Character Set that held a term which means nothing.
    pub unknown_charset: Option<String>,
    /// The first elements that could not be written and have no value now (J27).
    pub unwritable: Vec<Tag>,
}

impl Notes {
    /// The texts of `Warning: 299`, without values.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(name) = &self.replaced {
            warnings.push(format!("{name} has bytes outside its character set"));
        }
        if let Some(name) = &self.unknown_charset {
            warnings.push(format!("{name} has an undefined term"));
        }
        if !self.unwritable.is_empty() {
            let names: Vec<String> = self.unwritable.iter().map(|tag| name(*tag)).collect();
            warnings.push(format!(
                "values that cannot be written are left out: {}",
                names.join(", ")
            ));
        }
        warnings
    }
}

/// Writes the metadata of an instance as one JSON object to the end of `out`.
///
/// Elements stand in the order of their tags whatever the order of the file; of an element that is there twice the first
/// counts. Nesting may be as deep as memory allows.
pub fn write_head(head: &Head, at: &At<'_>, out: &mut Vec<u8>) -> Notes {
    let mut writer = Writer {
        head,
        at,
        ends: ends(&head.nodes),
        path: String::new(),
        charset_place: None,
        notes: Notes::default(),
        out,
    };
    writer.write();
    writer.notes
}

/// For each start of a sequence or item the place of its end; the end of the list where it has none.
fn ends(nodes: &[Node]) -> Vec<usize> {
    let mut ends = vec![nodes.len(); nodes.len()];
    let mut open = Vec::new();
    for (place, node) in nodes.iter().enumerate() {
        match node {
            Node::Element(_) => {}
            Node::SequenceStart(_) | Node::ItemStart => open.push(place),
            Node::ItemEnd | Node::SequenceEnd => {
                if let Some(end) = open.pop().and_then(|start| ends.get_mut(start)) {
                    *end = place;
                }
            }
        }
    }
    ends
}

/// Where an attribute comes from.
#[derive(Clone, Copy)]
enum Source {
    /// The node at this place.
    Node(usize),
    /// What the caller adds.
    Extra,
    /// The file meta information.
    TransferSyntax,
    /// Nowhere: here Specific Character Set belongs should it be needed.
    CharsetIfNeeded,
}

/// A data set in the middle of being written.
struct DataSet {
    attributes: Vec<(Tag, Source)>,
    next: usize,
    charset: Charset,
}

/// A sequence in the middle of being written.
struct Sequence {
    tag: Tag,
    /// The node after the last item.
    next: usize,
    items: usize,
    /// The length of the path to its data set.
    path: usize,
    charset: Charset,
}

enum Level {
    DataSet(DataSet),
    Sequence(Sequence),
}

/// What comes after a step.
enum Step {
    Stay,
    Into(Level),
    Out,
}

struct Writer<'a> {
    head: &'a Head,
    at: &'a At<'a>,
    ends: Vec<usize>,
    /// `{seqtag}/{item}/` for each sequence that is open (J40).
    path: String,
    /// Where Specific Character Set belongs if the file has none.
    charset_place: Option<usize>,
    notes: Notes,
    out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    fn write(&mut self) {
        let start = self.out.len();
        let mut levels = vec![Level::DataSet(self.top())];
        self.out.push(b'{');
        while let Some(level) = levels.last_mut() {
            let step = match level {
                Level::DataSet(set) => self.attribute(set),
                Level::Sequence(sequence) => self.item(sequence),
            };
            match step {
                Step::Stay => {}
                Step::Into(level) => levels.push(level),
                Step::Out => drop(levels.pop()),
            }
        }
        if let Some(place) = self.charset_place {
            declare_utf_8(self.out, start, place);
        }
    }

    /// The top level with what the file does not hold.
    fn top(&mut self) -> DataSet {
        let mut set = self.data_set(0, self.head.nodes.len(), Charset::default());
        let extras = self.at.extras;
        let mut added: Vec<(Tag, Source)> = extras
            .iter()
            .map(|(tag, _)| (tag, Source::Extra))
            .filter(|(tag, _)| *tag != SPECIFIC_CHARACTER_SET)
            .collect();
        let syntax = AVAILABLE_TRANSFER_SYNTAX_UID;
        if !self.head.meta.transfer_syntax_uid.is_empty() && !extras.contains(syntax) {
            added.push((syntax, Source::TransferSyntax));
        }
        let is_added = |tag| added.iter().any(|(added, _)| *added == tag);
        set.attributes.retain(|(tag, _)| !is_added(*tag));
        set.attributes.extend(added);
        // The sort is stable: this one counts only if the file has none.
        let charset = (SPECIFIC_CHARACTER_SET, Source::CharsetIfNeeded);
        set.attributes.push(charset);
        sort(&mut set.attributes);
        set
    }

    /// The data set between two nodes.
    fn data_set(&mut self, start: usize, end: usize, mut charset: Charset) -> DataSet {
        let mut attributes = Vec::new();
        let mut place = start;
        while let Some(node) = self.head.nodes.get(place).filter(|_| place < end) {
            let last = self.ends.get(place).copied().unwrap_or(end);
            place = match node {
                Node::Element(element) => {
                    attributes.push((element.tag, Source::Node(place)));
                    place
                }
                Node::SequenceStart(tag) => {
                    attributes.push((*tag, Source::Node(place)));
                    last
                }
                Node::ItemStart => last,
                Node::ItemEnd | Node::SequenceEnd => place,
            }
            .saturating_add(1);
        }
        // J03: neither group lengths nor what belongs to a file or a message instead of the object.
        attributes.retain(|(Tag(group, element), _)| *element != 0 && !matches!(group, 0 | 2));
        sort(&mut attributes);
        if let Some(element) = self.find(&attributes, SPECIFIC_CHARACTER_SET) {
            charset = Charset::of(self.head.bytes(element));
            let unknown = (!charset.is_known()).then(|| element.named());
            self.notes.unknown_charset = self.notes.unknown_charset.take().or(unknown);
        }
        DataSet {
            attributes,
            next: 0,
            charset,
        }
    }

    fn find(&self, attributes: &[(Tag, Source)], tag: Tag) -> Option<&Element> {
        let found = attributes
            .binary_search_by_key(&tag, |(tag, _)| *tag)
            .ok()?;
        match attributes.get(found)?.1 {
            Source::Node(place) => match self.head.nodes.get(place)? {
                Node::Element(element) => Some(element),
                Node::SequenceStart(_) | Node::ItemStart | Node::ItemEnd | Node::SequenceEnd => {
                    None
                }
            },
            Source::Extra | Source::TransferSyntax | Source::CharsetIfNeeded => None,
        }
    }

    /// Writes the next attribute of a data set.
    fn attribute(&mut self, set: &mut DataSet) -> Step {
        let Some(&(tag, source)) = set.attributes.get(set.next) else {
            self.out.push(b'}');
            return Step::Out;
        };
        set.next = set.next.saturating_add(1);
        if let Source::CharsetIfNeeded = source {
            self.charset_place = Some(self.out.len());
            return Step::Stay;
        }
        self.comma(b'{');
        if tag == SPECIFIC_CHARACTER_SET {
            self.out.extend_from_slice(UTF_8);
            return Step::Stay;
        }
        key(tag, self.out);
        match source {
            Source::Node(place) => return self.node(place, set),
            Source::Extra => {
                let extra = self.at.extras.iter().find(|(extra, _)| *extra == tag);
                if let Some((_, attribute)) = extra {
                    write_attribute(attribute, self.out);
                }
            }
            Source::TransferSyntax => {
                write_text(VR::UI, &self.head.meta.transfer_syntax_uid, self.out);
            }
            Source::CharsetIfNeeded => {}
        }
        Step::Stay
    }

    /// A comma unless something has just been opened.
    fn comma(&mut self, opened: u8) {
        if self.out.last() != Some(&opened) {
            self.out.push(b',');
        }
    }

    fn node(&mut self, place: usize, set: &DataSet) -> Step {
        match self.head.nodes.get(place) {
            Some(Node::Element(element)) => {
                self.element(element, set);
                Step::Stay
            }
            Some(Node::SequenceStart(tag)) => {
                let next = place.saturating_add(1);
                if !matches!(self.head.nodes.get(next), Some(Node::ItemStart)) {
                    write_empty(VR::SQ, self.out);
                    return Step::Stay;
                }
                open(VR::SQ, self.out);
                self.out.extend_from_slice(b",\"Value\":[");
                Step::Into(Level::Sequence(Sequence {
                    tag: *tag,
                    next,
                    items: 0,
                    path: self.path.len(),
                    charset: set.charset,
                }))
            }
            Some(Node::ItemStart | Node::ItemEnd | Node::SequenceEnd) | None => {
                write_empty(VR::UN, self.out);
                Step::Stay
            }
        }
    }

    /// Begins the next item of a sequence.
    fn item(&mut self, sequence: &mut Sequence) -> Step {
        self.path.truncate(sequence.path);
        let start = sequence.next;
        if !matches!(self.head.nodes.get(start), Some(Node::ItemStart)) {
            self.out.extend_from_slice(b"]}");
            return Step::Out;
        }
        let end = self.ends.get(start).copied().unwrap_or(start);
        sequence.next = end.saturating_add(1);
        sequence.items = sequence.items.saturating_add(1);
        let Tag(group, element) = sequence.tag;
        let part = format!("{group:04X}{element:04X}/{}/", sequence.items);
        self.path.push_str(&part);
        self.comma(b'[');
        self.out.push(b'{');
        let set = self.data_set(start.saturating_add(1), end, sequence.charset);
        Step::Into(Level::DataSet(set))
    }

    fn element(&mut self, element: &Element, set: &DataSet) {
        let vr = self.resolved(element, set);
        if let Value::Bulk(_) | Value::Fragments = element.value {
            return self.bulk(element.tag, vr);
        }
        let bytes = self.head.bytes(element);
        if bytes.is_empty() {
            return write_empty(vr, self.out);
        }
        match text(vr, bytes, set.charset) {
            Some(decoded) => {
                if decoded.replaced && self.notes.replaced.is_none() {
                    self.notes.replaced = Some(element.named());
                }
                write_text(vr, &decoded.text, self.out);
            }
            None if is_opaque(vr) => {
                open(vr, self.out);
                self.out.extend_from_slice(b",\"InlineBinary\":\"");
                let encoded = STANDARD.encode(bytes);
                self.out.extend_from_slice(encoded.as_bytes());
                self.out.extend_from_slice(b"\"}");
            }
            None => self.unwritable(element.tag, vr),
        }
    }

    /// The element without its value (J27).
    fn unwritable(&mut self, tag: Tag, vr: VR) {
        if self.notes.unwritable.len() < NAMED {
            self.notes.unwritable.push(tag);
        }
        write_empty(vr, self.out);
    }

    fn bulk(&mut self, tag: Tag, vr: VR) {
        if self.path.len() > PATH_MAX {
            return self.unwritable(tag, vr);
        }
        let Tag(group, element) = tag;
        let (instance, path) = (self.at.instance_url, &self.path);
        let uri = format!("{instance}/bulkdata/{path}{group:04X}{element:04X}");
        open(vr, self.out);
        self.out.extend_from_slice(b",\"BulkDataURI\":");
        escape(&uri, self.out);
        self.out.push(b'}');
    }

    /// The value representation, also of a private element that the file does not give one (J20).
    fn resolved(&self, element: &Element, set: &DataSet) -> VR {
        if element.vr != VR::UN {
            return element.vr;
        }
        private::creator_of(element.tag)
            .and_then(|creator| self.find(&set.attributes, creator))
            .and_then(|creator| private::vr(self.head.bytes(creator), element.tag))
            .unwrap_or(VR::UN)
    }
}

/// By tag; of equal tags the first stays.
fn sort(attributes: &mut Vec<(Tag, Source)>) {
    attributes.sort_by_key(|(tag, _)| *tag);
    attributes.dedup_by_key(|(tag, _)| *tag);
}

/// Whether a value is bytes without a meaning that JSON could show.
fn is_opaque(vr: VR) -> bool {
    matches!(
        vr,
        VR::OB | VR::OD | VR::OF | VR::OL | VR::OV | VR::OW | VR::UN
    )
}

#[cfg(test)]
mod tests;
