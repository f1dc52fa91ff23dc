//! The push scanner: reads a DICOM file in the portions in which it arrives (PS3.5 section 7, PS3.10 section 7).
//!
//! [`Scanner`] takes chunks of any size, cut anywhere, and tells a [`Sink`] what passes; the same bytes give the same
//! events however they are cut (value bytes come in pieces, the pieces may differ). It keeps an element header or the file
//! meta information, never a value, and a declared length never allocates. Nothing recurses.
//!
//! What other archives take is taken, with a warning: no preamble, no file meta information, a transfer syntax that the
//! bytes belie, VRs nobody knows. What cannot be understood is refused with tag and offset.
//!
//! ```
//! use kura::dicom::collect::Collector;
//! use kura::dicom::scan::{Limits, Scanner};
//!
//! let mut scanner = Scanner::new(Limits::default());
//! let mut collector = Collector::new();
//! // A data set alone, in Explicit VR Little Endian.
//! for chunk in [&b"\x08\x00\x16\x00U"[..], &b"I\x04\x001.2\0"[..]] {
//!     scanner.feed(chunk, &mut collector)?;
//! }
//! scanner.finish(&mut collector)?;
//! assert_eq!(collector.finish().nodes.len(), 1);
//! # Ok::<(), kura::dicom::scan::ScanError>(())
//! ```

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

#[cfg(test)]
pub(super) mod build;
mod data_set;
mod element;
mod fragments;
mod header;
mod inflate;
mod meta;
mod nesting;
mod prelude;
mod scanner;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;

pub use header::dictionary_vr;
pub(super) use header::fits;
pub(super) use meta::meta_elements;
pub use scanner::Scanner;

use super::head::{FileMeta, name};
use crate::model::{Tag, VR};

/// An element header as it stands in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Its tag.
    pub tag: Tag,
    /// Its value representation, resolved as documented at [`Element::vr`](super::head::Element::vr).
    pub vr: VR,
    /// Whether the file does not say the VR (implicit VR, UN, letters nobody knows), so that it comes from the dictionary.
    pub inferred: bool,
    /// Whether the value is written in big endian.
    pub big_endian: bool,
    /// Length of the value; `None` for an undefined length.
    pub len: Option<u32>,
    /// Offset of the first byte of the header in the (inflated) file.
    pub offset: u64,
    /// Offset of the first byte of the value.
    pub value_offset: u64,
    /// Number of open sequences around it: 0 at the top level.
    pub depth: usize,
}

/// What a scan tells, in the order of the file. An `Err` ends the scan: a sink refuses by it (a limit of its own).
#[expect(
    clippy::missing_errors_doc,
    reason = "said once, for all methods, at the trait"
)]
pub trait Sink {
    /// The file meta information is complete; called once, before anything else.
    fn meta(&mut self, meta: &FileMeta) -> Result<(), ScanError>;
    /// An element that is no sequence begins; its value follows in pieces (none when empty).
    fn element(&mut self, header: &Header) -> Result<(), ScanError>;
    /// Some bytes of the value or fragment, in the byte order of the file.
    fn value(&mut self, bytes: &[u8]) -> Result<(), ScanError>;
    /// The value is complete.
    fn element_end(&mut self) -> Result<(), ScanError>;
    /// A sequence begins.
    fn sequence_start(&mut self, header: &Header) -> Result<(), ScanError>;
    /// An item begins; `offset` is that of the first byte after its header.
    fn item_start(&mut self, offset: u64) -> Result<(), ScanError>;
    /// The item ends.
    fn item_end(&mut self) -> Result<(), ScanError>;
    /// The sequence ends.
    fn sequence_end(&mut self) -> Result<(), ScanError>;
    /// Encapsulated pixel data begins (undefined length, no sequence).
    fn fragments_start(&mut self, header: &Header) -> Result<(), ScanError>;
    /// A fragment begins; number 0 is the basic offset table. `offset` is that of its first byte after the item header.
    /// Its bytes follow through [`Sink::value`], then [`Sink::fragment_end`].
    fn fragment_start(&mut self, number: usize, offset: u64, len: u32) -> Result<(), ScanError>;
    /// The fragment is complete.
    fn fragment_end(&mut self) -> Result<(), ScanError>;
    /// The encapsulated pixel data end.
    fn fragments_end(&mut self) -> Result<(), ScanError>;
    /// Something odd that is tolerated, as a fragment that names tag and offset where there are any.
    fn warn(&mut self, text: String);
}

/// What is wrong with a file, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScanError {
    /// Offset in the (inflated) file of the element, or of the byte, that cannot be read.
    pub offset: u64,
    /// The element, where one is at hand.
    pub tag: Option<Tag>,
    /// A fragment without capital and full stop; holds no values.
    pub reason: Cow<'static, str>,
}

impl ScanError {
    /// An error about the element `tag` whose header stands at `offset`.
    pub fn at(tag: Tag, offset: u64, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            offset,
            tag: Some(tag),
            reason: reason.into(),
        }
    }

    /// An error about the byte at `offset`.
    pub fn byte(offset: u64, reason: impl Into<Cow<'static, str>>) -> Self {
        Self {
            offset,
            tag: None,
            reason: reason.into(),
        }
    }
}

impl fmt::Display for ScanError {
    /// `(0028,0010) Rows at offset 1234: value needs 70000 bytes, 12 are left`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            offset,
            tag,
            reason,
        } = self;
        match tag {
            Some(tag) => write!(f, "{} at offset {offset}: {reason}", name(*tag)),
            None => write!(f, "at offset {offset}: {reason}"),
        }
    }
}

impl std::error::Error for ScanError {}

/// What a file may ask for. More is refused.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Sequences inside one another. J23 asks for 1000; nothing recurses, so the limit is one of plausibility.
    pub depth: usize,
    /// Bytes of the file meta information, which is kept until it is complete.
    pub meta_bytes: usize,
    /// Fragments of one encapsulated value.
    pub fragments: usize,
    /// Elements and items of one file, all depths.
    pub nodes: u64,
    /// Warnings that are passed on; more are dropped, the scan goes on.
    pub warnings: usize,
    /// Inflated bytes from which on `inflate_ratio` is looked at: small sets of zeros may shrink as they like.
    pub inflated_bytes: u64,
    /// Inflated bytes for each deflated byte: real data sets stay below 20, deflate itself reaches 1032.
    pub inflate_ratio: u64,
}

impl Default for Limits {
    /// 1024 levels, 64 KiB of meta information, 1,000,000 fragments, 2,000,000 nodes, 100 warnings, and no more than 200
    /// times the deflated bytes once beyond 64 MiB.
    fn default() -> Self {
        Self {
            depth: 1024,
            meta_bytes: 64 * 1024,
            fragments: 1_000_000,
            nodes: 2_000_000,
            warnings: 100,
            inflated_bytes: 64 * 1024 * 1024,
            inflate_ratio: 200,
        }
    }
}
