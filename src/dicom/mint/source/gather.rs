//! The sink behind a reading: a head without what is an item, and what is one.

use std::ops::Range;

use super::instance::{Found, Stored};
use crate::Result;
use crate::dicom::collect::{BulkRule, Collector};
use crate::dicom::frames::FrameTable;
use crate::dicom::head::FileMeta;
use crate::dicom::mint::items::{LEAST_BYTES, LONGEST_TEXT, Part, is_item, is_pixels};
use crate::dicom::scan::{Header, ScanError, Sink};
use crate::model::TransferSyntax;
use crate::model::transfer_syntax::Encoding;

/// What a scan has told so far.
#[derive(Debug)]
pub(super) struct Gather {
    collector: Collector,
    table: Option<FrameTable>,
    /// The file up to its data set; more of it before that is known.
    front: Vec<u8>,
    has_meta: bool,
    depth: usize,
    /// Items, each with its place among the nodes of the head.
    parts: Vec<(usize, Part)>,
    /// The fragments that pass, unless they are those of the pixel data.
    fragments: Option<Vec<Range<u64>>>,
    in_pixels: bool,
}

impl Gather {
    pub(super) fn new(table: Option<FrameTable>) -> Self {
        Self {
            collector: Collector::with_rule(BulkRule {
                binary_max: LEAST_BYTES.saturating_sub(1),
                text_max: LONGEST_TEXT,
            }),
            table,
            front: Vec::new(),
            has_meta: false,
            depth: 0,
            parts: Vec::new(),
            fragments: None,
            in_pixels: false,
        }
    }

    /// Bytes that are about to be scanned.
    pub(super) fn front(&mut self, bytes: &[u8]) {
        if !self.has_meta {
            self.front.extend_from_slice(bytes);
        }
    }

    /// Whether the value that passes is to be seen.
    pub(super) fn keeps_value(&self) -> bool {
        self.collector.keeps_value()
    }

    /// Where the fragments end that pass, if that is known.
    pub(super) fn fragments_end_at(&self) -> Option<u64> {
        let table = self.table.as_ref().filter(|_| self.in_pixels)?;
        let last = table.part(table.parts().checked_sub(1)?)?;
        let last = last.ranges.last()?;
        let len = last.end.saturating_sub(last.start);
        last.end.checked_add(len % 2)
    }

    pub(super) fn finish(self, encoding: Encoding) -> Result<Stored> {
        let head = self.collector.finish();
        let syntax = TransferSyntax::of(&head.meta.transfer_syntax_uid);
        let table = self
            .table
            .or_else(|| FrameTable::build(&head, syntax, &mut Vec::new()));
        Found {
            head: &head,
            front: &self.front,
            parts: self.parts,
            table,
            is_big_endian: encoding == Encoding::ExplicitBig,
        }
        .stored()
    }

    /// Notes an item that the next node of the head stands for.
    fn note(&mut self, part: Part) {
        let node = self.collector.head().nodes.len();
        self.parts.push((node, part));
    }

    /// Whether an element is the pixel data that a frame table cuts.
    fn is_cut(&self, header: &Header) -> bool {
        self.depth == 0 && is_pixels(header.tag)
    }
}

impl Sink for Gather {
    fn meta(&mut self, meta: &FileMeta) -> Result<(), ScanError> {
        self.has_meta = true;
        let offset = usize::try_from(meta.data_set_offset).unwrap_or(usize::MAX);
        self.front.truncate(offset);
        self.collector.meta(meta)
    }

    fn element(&mut self, header: &Header) -> Result<(), ScanError> {
        if self.is_cut(header) {
            self.note(Part::Pixels);
        } else if is_item(header) {
            let len = u64::from(header.len.unwrap_or(0));
            let value = header.value_offset..header.value_offset.saturating_add(len);
            self.note(Part::Value(vec![value]));
        }
        self.collector.element(header)
    }

    fn value(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        self.collector.value(bytes)
    }

    fn element_end(&mut self) -> Result<(), ScanError> {
        self.collector.element_end()
    }

    fn sequence_start(&mut self, header: &Header) -> Result<(), ScanError> {
        self.depth = self.depth.saturating_add(1);
        self.collector.sequence_start(header)
    }

    fn item_start(&mut self, offset: u64) -> Result<(), ScanError> {
        self.collector.item_start(offset)
    }

    fn item_end(&mut self) -> Result<(), ScanError> {
        self.collector.item_end()
    }

    fn sequence_end(&mut self) -> Result<(), ScanError> {
        self.depth = self.depth.saturating_sub(1);
        self.collector.sequence_end()
    }

    fn fragments_start(&mut self, header: &Header) -> Result<(), ScanError> {
        if self.is_cut(header) {
            self.note(Part::Pixels);
            self.in_pixels = true;
        } else {
            self.fragments = Some(Vec::new());
        }
        self.collector.fragments_start(header)
    }

    fn fragment_start(&mut self, number: usize, offset: u64, len: u32) -> Result<(), ScanError> {
        if let Some(fragments) = self.fragments.as_mut().filter(|_| number > 0) {
            fragments.push(offset..offset.saturating_add(len.into()));
        }
        self.collector.fragment_start(number, offset, len)
    }

    fn fragment_end(&mut self) -> Result<(), ScanError> {
        self.collector.fragment_end()
    }

    fn fragments_end(&mut self) -> Result<(), ScanError> {
        self.in_pixels = false;
        if let Some(ranges) = self.fragments.take().filter(|ranges| !ranges.is_empty()) {
            // Its node has been made when the fragments began.
            let node = self.collector.head().nodes.len().saturating_sub(1);
            self.parts.push((node, Part::Value(ranges)));
        }
        self.collector.fragments_end()
    }

    fn warn(&mut self, text: String) {
        self.collector.warn(text);
    }
}
