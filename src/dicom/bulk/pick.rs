//! One value out of a file, as it is scanned.

use bytes::Bytes;

use super::BulkPath;
use crate::dicom::head::FileMeta;
use crate::dicom::scan::{Header, ScanError, Sink};
use crate::dicom::swap::{Swap, word_len};
use crate::model::{Tag, VR};

const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);

/// The value that a path names, as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A value.
    Value {
        /// Its VR.
        vr: VR,
        /// Its length in bytes, padding included.
        len: u32,
    },
    /// Fragments: encapsulated pixel data of an icon, for instance. Their bytes follow joined, without the offset table.
    Fragments,
    /// A sequence: it has no bytes (F66).
    Sequence,
}

/// A sink that hands out the bytes of one value, little endian whatever the file says (F64).
///
/// After each feed of the scanner, [`take`](Self::take) gives the bytes that came; once [`is_done`](Self::is_done), the rest of
/// the file need not be read.
#[derive(Debug)]
pub struct Pick {
    path: BulkPath,
    /// Sequences that are open.
    depth: usize,
    /// Steps of the path whose item is open.
    inside: usize,
    /// Items so far of the sequence that the next step names, while it is open.
    items: Option<u32>,
    found: Option<Found>,
    /// The bytes that pass belong to the value.
    picks: bool,
    done: bool,
    swap: Swap,
    out: Vec<u8>,
    /// The start of Bits Allocated, on which the words of pixel data depend.
    watched: Option<Vec<u8>>,
    bits_allocated: u64,
}

impl Pick {
    /// For the value at `path`.
    pub fn new(path: BulkPath) -> Self {
        Self {
            path,
            depth: 0,
            inside: 0,
            items: None,
            found: None,
            picks: false,
            done: false,
            swap: Swap::default(),
            out: Vec::new(),
            watched: None,
            bits_allocated: 0,
        }
    }

    /// What the path names, as soon as it is known.
    pub fn found(&self) -> Option<Found> {
        self.found
    }

    /// Whether the value is complete, or the place where it would be has passed.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The bytes that came since the last call.
    pub fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.out).into()
    }

    /// Whether an element that stands here is the one looked for: the first, where a file has it twice.
    fn is_it(&self, tag: Tag) -> bool {
        let here = self.depth == self.inside && self.inside == self.path.steps.len();
        here && !self.done && self.found.is_none() && tag == self.path.tag
    }

    fn end_value(&mut self) {
        if std::mem::take(&mut self.picks) {
            self.swap.finish(&mut self.out);
            self.done = true;
        }
    }
}

impl Sink for Pick {
    fn meta(&mut self, _meta: &FileMeta) -> Result<(), ScanError> {
        Ok(())
    }

    fn element(&mut self, header: &Header) -> Result<(), ScanError> {
        if self.is_it(header.tag) {
            self.picks = true;
            self.found = Some(Found::Value {
                vr: header.vr,
                len: header.len.unwrap_or_default(),
            });
            let word_len = word_len(header.tag, header.vr, self.bits_allocated);
            self.swap = Swap::new(if header.big_endian { word_len } else { 1 });
        } else if header.tag == BITS_ALLOCATED && header.big_endian {
            self.watched = Some(Vec::new());
        }
        Ok(())
    }

    fn value(&mut self, bytes: &[u8]) -> Result<(), ScanError> {
        if self.picks {
            self.swap.push(bytes, &mut self.out);
        } else if let Some(start) = &mut self.watched {
            start.extend(bytes.iter().take(2_usize.saturating_sub(start.len())));
        }
        Ok(())
    }

    fn element_end(&mut self) -> Result<(), ScanError> {
        self.end_value();
        if let Some(start) = self.watched.take()
            && let [high, low] = start[..]
        {
            self.bits_allocated = u64::from(u16::from_be_bytes([high, low]));
        }
        Ok(())
    }

    fn sequence_start(&mut self, header: &Header) -> Result<(), ScanError> {
        if self.is_it(header.tag) {
            self.found = Some(Found::Sequence);
            self.done = true;
        } else if self.depth == self.inside
            && let Some((tag, _)) = self.path.steps.get(self.inside)
            && *tag == header.tag
            && !self.done
        {
            self.items = Some(0);
        }
        self.depth = self.depth.saturating_add(1);
        Ok(())
    }

    fn item_start(&mut self, _offset: u64) -> Result<(), ScanError> {
        if let Some(items) = &mut self.items
            && self.depth == self.inside.saturating_add(1)
        {
            *items = items.saturating_add(1);
            let wanted = self.path.steps.get(self.inside).map(|(_, item)| *item);
            if wanted == Some(*items) {
                self.inside = self.depth;
                self.items = None;
            }
        }
        Ok(())
    }

    fn item_end(&mut self) -> Result<(), ScanError> {
        if self.inside > 0 && self.inside == self.depth {
            // The only item in which the value could be is over.
            self.done = true;
        }
        Ok(())
    }

    fn sequence_end(&mut self) -> Result<(), ScanError> {
        self.depth = self.depth.saturating_sub(1);
        if self.items.is_some() && self.depth == self.inside {
            self.items = None;
            self.done = true;
        }
        Ok(())
    }

    fn fragments_start(&mut self, header: &Header) -> Result<(), ScanError> {
        if self.is_it(header.tag) {
            self.found = Some(Found::Fragments);
            self.swap = Swap::default();
        }
        Ok(())
    }

    fn fragment_start(&mut self, number: usize, _offset: u64, _len: u32) -> Result<(), ScanError> {
        self.picks = number > 0 && !self.done && self.found == Some(Found::Fragments);
        Ok(())
    }

    fn fragment_end(&mut self) -> Result<(), ScanError> {
        self.picks = false;
        Ok(())
    }

    fn fragments_end(&mut self) -> Result<(), ScanError> {
        self.done |= self.found == Some(Found::Fragments);
        Ok(())
    }

    /// What is odd was told when the file was stored.
    fn warn(&mut self, _text: String) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dicom::scan::{Limits, Scanner};

    fn element(Tag(group, element): Tag, value: &[u8]) -> Vec<u8> {
        let len = u32::try_from(value.len()).unwrap();
        [
            &group.to_le_bytes()[..],
            &element.to_le_bytes(),
            &len.to_le_bytes(),
            value,
        ]
        .concat()
    }

    fn items(items: &[&[u8]]) -> Vec<u8> {
        items
            .iter()
            .flat_map(|item| element(Tag(0xFFFE, 0xE000), item))
            .collect()
    }

    const VALUE: Tag = Tag(0x5400, 0x1010);
    const SEQUENCE: Tag = Tag(0x5400, 0x0100);

    /// A value at the top, and values in the items of a sequence, one of them a level deeper.
    fn data_set() -> Vec<u8> {
        let deep = element(SEQUENCE, &items(&[&element(VALUE, b"deep")]));
        let second = [deep, element(VALUE, b"two2")].concat();
        let sequence = items(&[&element(VALUE, b"one1"), &second, b""]);
        [
            element(Tag(0x0008, 0x0016), b"1.2\0"),
            element(Tag(0x0010, 0x0010), b"A^B "),
            element(SEQUENCE, &sequence),
            element(VALUE, b"top!"),
        ]
        .concat()
    }

    fn pick(file: &[u8], path: &str, chunk_len: usize) -> (Option<Found>, Vec<u8>, bool) {
        let mut pick = Pick::new(BulkPath::parse(path).unwrap());
        let (mut scanner, mut bytes) = (Scanner::new(Limits::default()), Vec::new());
        for chunk in file.chunks(chunk_len) {
            scanner.feed(chunk, &mut pick).unwrap();
            bytes.extend(pick.take());
        }
        scanner.finish(&mut pick).unwrap();
        bytes.extend(pick.take());
        (pick.found(), bytes, pick.is_done())
    }

    fn check(path: &str, value: &[u8]) {
        for chunk_len in [1, 3, 1000] {
            let (found, bytes, done) = pick(&data_set(), path, chunk_len);
            assert!(matches!(found, Some(Found::Value { .. })), "{path}");
            assert_eq!((bytes.as_slice(), done), (value, true), "{path}");
        }
    }

    #[test]
    fn j40_a_path_names_one_value() {
        check("54001010", b"top!");
        check("00100010", b"A^B ");
        check("54000100/1/54001010", b"one1");
        check("54000100/2/54001010", b"two2");
        check("54000100/2/54000100/1/54001010", b"deep");
    }

    #[test]
    fn f65_what_is_absent_is_not_found() {
        for path in [
            "54001011",
            "54000100/3/54001010",
            "54000100/4/54001010",
            "54000100/1/54000100/1/54001010",
            "54000100/2/54000100/2/54001010",
            "54001010/1/54001010",
        ] {
            let (found, bytes, _) = pick(&data_set(), path, 64);
            assert_eq!((found, bytes.len()), (None, 0), "{path}");
        }
    }

    #[test]
    fn f66_a_sequence_has_no_bytes() {
        assert_eq!(
            pick(&data_set(), "54000100", 64),
            (Some(Found::Sequence), vec![], true)
        );
        let inner = pick(&data_set(), "54000100/2/54000100", 64);
        assert_eq!(inner, (Some(Found::Sequence), vec![], true));
    }

    #[test]
    fn f64_values_of_big_endian_files_are_turned() {
        let file = b"\x00\x08\x00\x16UI\x00\x041.2\0\x00\x28\x01\x00US\x00\x02\x00\x10\x00\x28\x12\x01OW\x00\x00\x00\x00\x00\x04\x01\x02\x03\x04";
        for chunk_len in [1, 7, 100] {
            assert_eq!(pick(file, "00281201", chunk_len).1, [2, 1, 4, 3]);
        }
    }
}
