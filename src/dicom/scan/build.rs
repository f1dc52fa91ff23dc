//! Data sets from bytes, for tests; written after PS3.5 section 7, not after the scanner.

use super::header::Syntax;
use super::{Limits, ScanError, Scanner, Sink};
use crate::dicom::part10::{NewMeta, write_meta};

pub(in crate::dicom) const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(in crate::dicom) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(in crate::dicom) const DEFLATED: &str = "1.2.840.10008.1.2.1.99";
pub(in crate::dicom) const BIG_ENDIAN: &str = "1.2.840.10008.1.2.2";
pub(in crate::dicom) const JPEG: &str = "1.2.840.10008.1.2.4.50";
pub(in crate::dicom) const UNDEFINED: u32 = u32::MAX;

/// A data set that grows.
#[derive(Clone, Debug)]
pub(in crate::dicom) struct Build {
    syntax: Syntax,
    pub(in crate::dicom) bytes: Vec<u8>,
}

impl Build {
    pub(in crate::dicom) fn new(transfer_syntax_uid: &str) -> Self {
        let syntax = match transfer_syntax_uid {
            IMPLICIT => Syntax::Implicit,
            BIG_ENDIAN => Syntax::ExplicitBig,
            _ => Syntax::Explicit,
        };
        Self {
            syntax,
            bytes: Vec::new(),
        }
    }

    /// An element with its value as it is.
    pub(in crate::dicom) fn put(self, tag: u32, vr: &str, value: impl AsRef<[u8]>) -> Self {
        let len = u32::try_from(value.as_ref().len()).unwrap();
        self.head(tag, vr, len).raw(value)
    }

    /// A number of two bytes.
    pub(in crate::dicom) fn us(self, tag: u32, vr: &str, value: u16) -> Self {
        let bytes = match self.syntax {
            Syntax::ExplicitBig => value.to_be_bytes(),
            Syntax::Explicit | Syntax::Implicit => value.to_le_bytes(),
        };
        self.put(tag, vr, bytes)
    }

    pub(in crate::dicom) fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.bytes.extend_from_slice(bytes.as_ref());
        self
    }

    /// A header alone.
    pub(in crate::dicom) fn head(mut self, tag: u32, vr: &str, len: u32) -> Self {
        self.u16(u16::try_from(tag >> 16).unwrap());
        self.u16(u16::try_from(tag & 0xFFFF).unwrap());
        if self.syntax == Syntax::Implicit || tag >> 16 == 0xFFFE {
            self.u32(len);
            return self;
        }
        self.bytes.extend_from_slice(vr.as_bytes());
        let long = [
            "OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV",
        ];
        if long.contains(&vr) {
            self.bytes.extend_from_slice(&[0, 0]);
            self.u32(len);
        } else {
            self.u16(u16::try_from(len).unwrap());
        }
        self
    }

    /// A sequence with lengths.
    pub(in crate::dicom) fn sequence(self, tag: u32, items: &[Self]) -> Self {
        let mut value = Self {
            syntax: self.syntax,
            bytes: Vec::new(),
        };
        for item in items {
            value = value.put(0xFFFE_E000, "", &item.bytes);
        }
        self.put(tag, "SQ", value.bytes)
    }

    /// A sequence with delimiters.
    pub(in crate::dicom) fn delimited(self, tag: u32, vr: &str, items: &[Self]) -> Self {
        let mut build = self.head(tag, vr, UNDEFINED);
        for item in items {
            build = build.head(0xFFFE_E000, "", UNDEFINED).raw(&item.bytes);
            build = build.head(0xFFFE_E00D, "", 0);
        }
        build.head(0xFFFE_E0DD, "", 0)
    }

    /// Encapsulated pixel data: the offset table and the fragments.
    pub(in crate::dicom) fn fragments(self, fragments: &[&[u8]]) -> Self {
        let mut build = self.head(0x7FE0_0010, "OB", UNDEFINED);
        for fragment in fragments {
            build = build.put(0xFFFE_E000, "", fragment);
        }
        build.head(0xFFFE_E0DD, "", 0)
    }

    fn u16(&mut self, value: u16) {
        self.bytes.extend_from_slice(&match self.syntax {
            Syntax::ExplicitBig => value.to_be_bytes(),
            Syntax::Explicit | Syntax::Implicit => value.to_le_bytes(),
        });
    }

    fn u32(&mut self, value: u32) {
        self.bytes.extend_from_slice(&match self.syntax {
            Syntax::ExplicitBig => value.to_be_bytes(),
            Syntax::Explicit | Syntax::Implicit => value.to_le_bytes(),
        });
    }
}

/// A file around a data set.
pub(in crate::dicom) fn file(transfer_syntax_uid: &str, data_set: &[u8]) -> Vec<u8> {
    let mut file = write_meta(&NewMeta {
        sop_class_uid: "1.2.840.10008.5.1.4.1.1.7",
        sop_instance_uid: "1.2.3.4",
        transfer_syntax_uid,
    });
    file.extend_from_slice(data_set);
    file
}

/// Scans a file that arrives in chunks of `size` bytes.
pub(in crate::dicom) fn scan(
    file: &[u8],
    size: usize,
    sink: &mut dyn Sink,
) -> Result<(), ScanError> {
    let mut scanner = Scanner::new(Limits::default());
    for chunk in file.chunks(size) {
        scanner.feed(chunk, sink)?;
    }
    scanner.finish(sink)
}
