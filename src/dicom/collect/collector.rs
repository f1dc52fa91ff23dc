//! The collector: a sink that builds the head of an instance.

use std::mem::size_of;
use std::ops::Range;

use super::offsets::Tables;
use super::signs::Signs;
use super::{BulkRule, DOUBLE_FLOAT_PIXEL_DATA, FLOAT_PIXEL_DATA, Nesting, PIXEL_DATA};
use crate::dicom::head::{Element, FileMeta, Fragment, Head, Node, PixelPlace, Value};
use crate::dicom::scan::{Header, ScanError, Sink};
use crate::model::{Tag, VR};

/// Bytes of arena and nodes of one head; what needs more is refused. Numbers are never bulk (J34), and the longest contours
/// stay below.
pub const HEAD_MAX_BYTES: usize = 16 * 1024 * 1024;

/// The arena up to which the rule of a facility holds that puts more into heads than is usual.
const GENEROUS_MAX_BYTES: usize = HEAD_MAX_BYTES / 4;

const ICON_IMAGE_SEQUENCE: Tag = Tag(0x0088, 0x0200);
const PIXEL_REPRESENTATION: Tag = Tag(0x0028, 0x0103);
const SOP_CLASS_UID: Tag = Tag(0x0008, 0x0016);
const SOP_INSTANCE_UID: Tag = Tag(0x0008, 0x0018);
const STUDY_UID: Tag = Tag(0x0020, 0x000D);
const SERIES_UID: Tag = Tag(0x0020, 0x000E);
const UIDS: [Tag; 4] = [SOP_CLASS_UID, SOP_INSTANCE_UID, STUDY_UID, SERIES_UID];

/// Builds a [`Head`] from what a scan tells.
#[derive(Debug, Default)]
pub struct Collector {
    head: Head,
    rule: BulkRule,
    /// The open sequences.
    sequences: Vec<Tag>,
    target: Target,
    tables: Tables,
    signs: Signs,
    /// The nodes of `UIDS`, first ones, top level.
    uids: [Option<usize>; UIDS.len()],
}

/// Where the bytes go that come next.
#[derive(Debug, Default)]
enum Target {
    #[default]
    Nowhere,
    /// To the arena.
    Arena { header: Header, start: usize },
    /// To the list of fragments of the top level.
    Fragment {
        number: usize,
        fragment: Fragment,
        seen: u64,
    },
}

impl Collector {
    /// A collector before the first event.
    pub fn new() -> Self {
        Self::default()
    }

    /// A collector that draws another line between head and bulk.
    pub fn with_rule(rule: BulkRule) -> Self {
        Self {
            rule,
            ..Self::default()
        }
    }

    /// The head as far as it has been read.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// The finished head.
    pub fn finish(mut self) -> Head {
        self.signs.finish(&mut self.head.nodes);
        self.head.extended_offsets = self.tables.extended();
        self.head
    }

    /// Study Instance UID (0020,000D) without padding; `None` before it has passed, or if it is no ASCII text.
    pub fn study_uid(&self) -> Option<&str> {
        self.uid(STUDY_UID)
    }

    /// SOP Class UID (0008,0016), as [`Self::study_uid`].
    pub fn sop_class_uid(&self) -> Option<&str> {
        self.uid(SOP_CLASS_UID)
    }

    /// SOP Instance UID (0008,0018), as [`Self::study_uid`].
    pub fn sop_instance_uid(&self) -> Option<&str> {
        self.uid(SOP_INSTANCE_UID)
    }

    /// Whether the bytes of the value or fragment that is being read are of use here.
    pub fn keeps_value(&self) -> bool {
        !matches!(self.target, Target::Nowhere) || self.tables.is_reading()
    }

    fn uid(&self, tag: Tag) -> Option<&str> {
        let at = UIDS.iter().position(|uid| *uid == tag)?;
        let node = self.head.nodes.get((*self.uids.get(at)?)?)?;
        let Node::Element(element) = node else {
            return None;
        };
        let text = std::str::from_utf8(self.head.bytes(element)).ok()?;
        text.is_ascii().then(|| text.trim_end_matches(['\0', ' ']))
    }

    /// A generous rule holds as long as the head is small: an object is not refused for the length of its metadata because of it.
    fn rule(&self) -> BulkRule {
        if self.head.arena.len() <= GENEROUS_MAX_BYTES {
            return self.rule;
        }
        BulkRule {
            binary_max: self.rule.binary_max.min(BulkRule::default().binary_max),
            ..self.rule
        }
    }

    fn nesting(&self) -> Nesting {
        match self.sequences.last() {
            None => Nesting::Top,
            Some(&ICON_IMAGE_SEQUENCE) => Nesting::Icon,
            Some(_) => Nesting::Item,
        }
    }

    fn push(&mut self, node: Node, tag: Tag, offset: u64) -> Result<(), ScanError> {
        self.check_size(0, tag, offset)?;
        self.head.nodes.push(node);
        Ok(())
    }

    fn check_size(&self, more: usize, tag: Tag, offset: u64) -> Result<(), ScanError> {
        let nodes = self.head.nodes.len().saturating_mul(size_of::<Node>());
        let bytes = self.head.arena.len().saturating_add(nodes);
        if bytes.saturating_add(more) > HEAD_MAX_BYTES {
            let reason = "the data set without its bulk is larger than 16 MiB";
            return Err(ScanError::at(tag, offset, reason));
        }
        Ok(())
    }

    /// Keeps the place of a native value.
    fn bulk(&mut self, header: &Header, range: &Range<u64>) {
        let is_pixels = matches!(
            header.tag,
            PIXEL_DATA | FLOAT_PIXEL_DATA | DOUBLE_FLOAT_PIXEL_DATA
        );
        if is_pixels && self.nesting() == Nesting::Top && self.head.pixels.is_none() {
            self.head.pixels = Some(PixelPlace::Native {
                tag: header.tag,
                range: range.clone(),
            });
        }
    }

    /// Notes what later questions need of the element whose node comes next.
    fn note(&mut self, header: &Header) {
        let at = self.head.nodes.len();
        if header.inferred && header.vr == VR::US {
            self.signs.element(header.tag, at);
        }
        if self.nesting() != Nesting::Top {
            return;
        }
        self.tables.element(header);
        let uid = UIDS.iter().position(|uid| *uid == header.tag);
        if let Some(slot) = uid.and_then(|uid| self.uids.get_mut(uid)) {
            slot.get_or_insert(at);
        }
    }

    /// The first item is the offset table, but for a writer that leaves it out.
    fn first_fragment(&mut self, fragment: Fragment) {
        let table = self.tables.basic_table();
        let Some(PixelPlace::Encapsulated {
            origin,
            offset_table,
            fragments,
        }) = &mut self.head.pixels
        else {
            return;
        };
        *origin = fragment.offset.saturating_add(u64::from(fragment.len));
        if begins_frame(fragment.first) {
            *origin = fragment.offset.saturating_sub(8);
            fragments.push(fragment);
            let named = self.head.named(PIXEL_DATA);
            self.warn(format!("{named} has no offset table item"));
        } else if let Some(table) = table {
            *offset_table = table;
        } else {
            let named = self.head.named(PIXEL_DATA);
            self.warn(format!("{named} has too long an offset table, left out"));
        }
    }
}

/// Whether a codestream begins here: JPEG and JPEG-LS, JPEG 2000. An offset table begins with zeros.
fn begins_frame(first: [u8; 4]) -> bool {
    matches!(first, [0xFF, 0xD8, 0xFF, _] | [0xFF, 0x4F, 0xFF, 0x51])
}

impl Sink for Collector {
    fn meta(&mut self, meta: &FileMeta) -> Result<(), ScanError> {
        self.head.meta = meta.clone();
        Ok(())
    }

    fn element(&mut self, header: &Header) -> Result<(), ScanError> {
        self.note(header);
        let len = header.len.unwrap_or_default();
        let value = if self
            .rule()
            .is_bulk(header.tag, header.vr, len, self.nesting())
        {
            let end = header.value_offset.saturating_add(u64::from(len));
            let range = header.value_offset..end;
            self.bulk(header, &range);
            self.target = Target::Nowhere;
            Value::Bulk(range)
        } else {
            let start = self.head.arena.len();
            let header = *header;
            self.target = Target::Arena { header, start };
            Value::Inline(start..start)
        };
        let element = Element {
            tag: header.tag,
            vr: header.vr,
            offset: header.offset,
            value,
        };
        self.push(Node::Element(element), header.tag, header.offset)
    }

    fn value(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        self.tables.value(bytes);
        match &mut self.target {
            Target::Nowhere => {}
            Target::Arena { header, .. } => {
                let (tag, offset) = (header.tag, header.offset);
                self.check_size(bytes.len(), tag, offset)?;
                self.head.arena.extend_from_slice(bytes);
            }
            Target::Fragment { fragment, seen, .. } => {
                note_ends(fragment, *seen, bytes);
                *seen = seen.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            }
        }
        Ok(())
    }

    fn element_end(&mut self) -> Result<(), ScanError> {
        self.tables.element_end();
        let Target::Arena { header, start } = std::mem::take(&mut self.target) else {
            return Ok(());
        };
        let end = self.head.arena.len();
        let bytes = self.head.arena.get_mut(start..).unwrap_or_default();
        if header.big_endian {
            for word in bytes.chunks_exact_mut(word_len(header.vr)) {
                word.reverse();
            }
        }
        if header.tag == PIXEL_REPRESENTATION {
            self.signs.pixel_representation(bytes);
        }
        if let Some(Node::Element(element)) = self.head.nodes.last_mut() {
            element.value = Value::Inline(start..end);
        }
        Ok(())
    }

    fn sequence_start(&mut self, header: &Header) -> Result<(), ScanError> {
        self.sequences.push(header.tag);
        let node = Node::SequenceStart(header.tag);
        self.push(node, header.tag, header.offset)
    }

    fn item_start(&mut self, offset: u64) -> Result<(), ScanError> {
        self.signs.item_start();
        let tag = self.sequences.last().copied().unwrap_or(Tag(0, 0));
        self.push(Node::ItemStart, tag, offset)
    }

    fn item_end(&mut self) -> Result<(), ScanError> {
        self.signs.item_end(&mut self.head.nodes);
        self.head.nodes.push(Node::ItemEnd);
        Ok(())
    }

    fn sequence_end(&mut self) -> Result<(), ScanError> {
        self.sequences.pop();
        self.head.nodes.push(Node::SequenceEnd);
        Ok(())
    }

    fn fragments_start(&mut self, header: &Header) -> Result<(), ScanError> {
        if self.nesting() == Nesting::Top && header.tag == PIXEL_DATA && self.head.pixels.is_none()
        {
            self.head.pixels = Some(PixelPlace::Encapsulated {
                origin: header.value_offset,
                offset_table: Vec::new(),
                fragments: Vec::new(),
            });
            self.tables.fragments_start();
        }
        let element = Element {
            tag: header.tag,
            vr: header.vr,
            offset: header.offset,
            value: Value::Fragments,
        };
        self.push(Node::Element(element), header.tag, header.offset)
    }

    fn fragment_start(&mut self, number: usize, offset: u64, len: u32) -> Result<(), ScanError> {
        if !self.tables.in_pixels() {
            return Ok(());
        }
        self.tables.fragment_start(number);
        let fragment = Fragment {
            offset,
            len,
            first: [0; 4],
            last: [0; 4],
        };
        self.target = Target::Fragment {
            number,
            fragment,
            seen: 0,
        };
        Ok(())
    }

    fn fragment_end(&mut self) -> Result<(), ScanError> {
        let Target::Fragment {
            number, fragment, ..
        } = std::mem::take(&mut self.target)
        else {
            return Ok(());
        };
        if number == 0 {
            self.first_fragment(fragment);
        } else if let Some(PixelPlace::Encapsulated { fragments, .. }) = &mut self.head.pixels {
            fragments.push(fragment);
        }
        Ok(())
    }

    fn fragments_end(&mut self) -> Result<(), ScanError> {
        self.tables.fragments_end();
        Ok(())
    }

    fn warn(&mut self, text: String) {
        self.head.warnings.push(text);
    }
}

/// Keeps the first and the last four bytes of a fragment of which `seen` bytes have passed before `bytes`.
fn note_ends(fragment: &mut Fragment, seen: u64, bytes: &[u8]) {
    let seen = usize::try_from(seen).unwrap_or(usize::MAX);
    for (to, from) in fragment.first.iter_mut().skip(seen).zip(bytes) {
        *to = *from;
    }
    let tail = bytes.get(bytes.len().saturating_sub(4)..);
    for byte in tail.unwrap_or_default() {
        fragment.last.rotate_left(1);
        if let Some(last) = fragment.last.last_mut() {
            *last = *byte;
        }
    }
}

/// Bytes of a word that byte order applies to (PS3.5 7.3).
fn word_len(vr: VR) -> usize {
    use VR::{
        AE, AS, AT, CS, DA, DS, DT, FD, FL, IS, LO, LT, OB, OD, OF, OL, OV, OW, PN, SH, SL, SQ, SS,
        ST, SV, TM, UC, UI, UL, UN, UR, US, UT, UV,
    };
    match vr {
        AT | OW | SS | US => 2,
        FL | OF | OL | SL | UL => 4,
        FD | OD | OV | SV | UV => 8,
        AE | AS | CS | DA | DS | DT | IS | LO | LT | OB | PN | SH | SQ | ST | TM | UC | UI | UN
        | UR | UT => 1,
    }
}
