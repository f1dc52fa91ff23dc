//! Offset tables, basic and extended (PS3.5 A.4, PS3.3 C.7.6.3.1.8): read whatever their length, for cutting frames.

use crate::dicom::scan::Header;
use crate::model::Tag;

const OFFSETS: Tag = Tag(0x7FE0, 0x0001);
const LENGTHS: Tag = Tag(0x7FE0, 0x0002);
/// Entries of one table; longer ones are left out. As many as fragments.
const MAX_ENTRIES: usize = 1_000_000;

/// The tables of the top level.
#[derive(Debug, Default)]
pub(super) struct Tables {
    reading: Option<Table>,
    big_endian: bool,
    /// The bytes of the table that is being read; `None` once it is too long.
    bytes: Option<Vec<u8>>,
    /// Whether the fragments that pass are those of the pixel data of the top level.
    in_pixels: bool,
    offsets: Option<Vec<u64>>,
    lengths: Option<Vec<u64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Table {
    Basic,
    Offsets,
    Lengths,
}

impl Tables {
    /// An element of the top level begins.
    pub(super) fn element(&mut self, header: &Header) {
        let table = match header.tag {
            OFFSETS => Table::Offsets,
            LENGTHS => Table::Lengths,
            _ => return,
        };
        self.big_endian = header.big_endian;
        self.begin(table);
    }

    /// Whether the value that passes is a table.
    pub(super) fn is_reading(&self) -> bool {
        self.reading.is_some()
    }

    pub(super) fn value(&mut self, bytes: &[u8]) {
        let most = match self.reading {
            None => return,
            Some(Table::Basic) => MAX_ENTRIES.saturating_mul(4),
            Some(Table::Offsets | Table::Lengths) => MAX_ENTRIES.saturating_mul(8),
        };
        if let Some(kept) = &mut self.bytes {
            if kept.len().saturating_add(bytes.len()) > most {
                self.bytes = None;
            } else {
                kept.extend_from_slice(bytes);
            }
        }
    }

    pub(super) fn element_end(&mut self) {
        let reading = self.reading.take();
        let bytes = self.bytes.take();
        match reading {
            Some(Table::Offsets) => self.offsets = self.words(bytes),
            Some(Table::Lengths) => self.lengths = self.words(bytes),
            Some(Table::Basic) | None => {}
        }
    }

    fn words(&self, bytes: Option<Vec<u8>>) -> Option<Vec<u64>> {
        let read = if self.big_endian {
            u64::from_be_bytes
        } else {
            u64::from_le_bytes
        };
        let words = bytes?
            .as_chunks()
            .0
            .iter()
            .map(|word| read(*word))
            .collect();
        Some(words)
    }

    /// The fragments of the pixel data begin.
    pub(super) fn fragments_start(&mut self) {
        self.in_pixels = true;
    }

    pub(super) fn fragments_end(&mut self) {
        self.in_pixels = false;
    }

    pub(super) fn in_pixels(&self) -> bool {
        self.in_pixels
    }

    pub(super) fn fragment_start(&mut self, number: usize) {
        if number == 0 {
            self.begin(Table::Basic);
        }
    }

    /// The first item has ended: what it says if it is the basic offset table, `None` if that is too long.
    pub(super) fn basic_table(&mut self) -> Option<Vec<u32>> {
        self.reading = None;
        let bytes = self.bytes.take()?;
        let words = bytes.as_chunks().0.iter();
        Some(words.map(|word| u32::from_le_bytes(*word)).collect())
    }

    /// Extended Offset Table and Extended Offset Table Lengths, if both are there.
    pub(super) fn extended(&mut self) -> Option<(Vec<u64>, Vec<u64>)> {
        self.offsets.take().zip(self.lengths.take())
    }

    fn begin(&mut self, table: Table) {
        self.reading = Some(table);
        self.bytes = Some(Vec::new());
    }
}
