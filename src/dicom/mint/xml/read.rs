//! XML → a document, part by part.
//!
//! No document type is taken, so there is nothing to expand (MINT N03); every element is in the namespace (N02), in its place and
//! in its order (V11); attributes of XML that are not known are passed over (N06).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::io::{self, BufRead, Read};

use quick_xml::XmlVersion;
use quick_xml::events::{BytesStart, Event};
use quick_xml::name::{Namespace, ResolveResult};
use quick_xml::reader::NsReader;

use super::open::{Document, Wrong};
use crate::dicom::mint::NAMESPACE;
use crate::dicom::mint::document::Part;
use crate::dicom::mint::limits::{MAX_LEVEL_BYTES, unread};
use crate::dicom::mint::tags::is_xml;
use crate::{Error, Result};

/// Reads a document to its end. An instance is the most that is held.
///
/// # Errors
/// `Kind::Invalid` if it is no document or asks for more than [`limits`](crate::dicom::mint::limits); what `take` refuses;
/// `Kind::Unavailable` if it cannot be read.
pub fn read(from: impl BufRead, take: impl FnMut(Part) -> Result<()>) -> Result<()> {
    let mut pieces = NsReader::from_reader(Bounded { from, left: 0 });
    pieces.config_mut().expand_empty_elements = true;
    let mut document = Document::new(take);
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        pieces.get_mut().left = MAX_LEVEL_BYTES;
        let at = pieces.buffer_position();
        let (space, event) = match pieces.read_resolved_event_into(&mut buffer) {
            Ok(read) => read,
            Err(quick_xml::Error::Io(cause)) => {
                return Err(unread(io::Error::new(cause.kind(), cause)));
            }
            Err(_) => return Err(Error::invalid(format!("no XML, at byte {at}"))),
        };
        let is_ours = space == ResolveResult::Bound(Namespace(NAMESPACE));
        let taken = match &event {
            Event::Start(_) | Event::End(_) if !is_ours => Err(Wrong::Here(
                "an element that is not in the namespace of MINT",
            )),
            Event::Start(start) => document.start(start.local_name().as_ref(), &Marks(start)),
            Event::End(_) => document.end(),
            Event::Text(text) if text.xml10_content().trim().is_empty() => Ok(()),
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => {
                Err(Wrong::Here("text where none belongs"))
            }
            Event::DocType(_) => Err(Wrong::Here("a document type, which is not taken")),
            Event::Eof if document.is_over() => return Ok(()),
            Event::Eof => Err(Wrong::Here("no end")),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => Ok(()),
        };
        taken.map_err(|wrong| match wrong {
            Wrong::Here(what) => Error::invalid(format!("the XML has {what}, at byte {at}")),
            Wrong::Refused(error) => error,
        })?;
    }
}

/// The XML attributes of an element.
pub(super) struct Marks<'a>(&'a BytesStart<'a>);

impl Marks<'_> {
    /// The value of one; `None` if it is absent.
    pub(super) fn get(&self, name: &str) -> Result<Option<String>, Wrong> {
        let found = self.0.try_get_attribute(name);
        let Some(found) = found.map_err(|_| Wrong::Here("attributes that are none"))? else {
            return Ok(None);
        };
        let value = found.normalized_value(XmlVersion::Implicit1_0);
        let value = value.map_err(|_| Wrong::Here("an attribute with an unknown reference"))?;
        if !value.chars().all(is_xml) {
            return Err(Wrong::Here("a character that XML has no place for"));
        }
        Ok(Some(value.into_owned()))
    }

    /// The value of one that has to be there.
    pub(super) fn need(&self, name: &'static str) -> Result<String, Wrong> {
        let value = self.get(name)?.filter(|value| !value.is_empty());
        value.ok_or_else(|| Wrong::Refused(Error::invalid(format!("the XML lacks {name}"))))
    }

    /// One that is a number of 32 bits.
    pub(super) fn number(&self, name: &'static str) -> Result<Option<u32>, Wrong> {
        let Some(text) = self.get(name)? else {
            return Ok(None);
        };
        let number = text.trim().parse();
        number
            .map(Some)
            .map_err(|_| Wrong::Refused(Error::invalid(format!("the XML has no number as {name}"))))
    }

    /// Whether the element is excluded (MINT V10).
    pub(super) fn is_excluded(&self) -> Result<bool, Wrong> {
        match self.get("exclude")?.as_deref() {
            None | Some("false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(Wrong::Here("an exclude that is neither true nor false")),
        }
    }
}

/// A document of which so many bytes may be read before the next piece is complete.
struct Bounded<R> {
    from: R,
    left: usize,
}

impl<R: BufRead> Read for Bounded<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let there = self.fill_buf()?;
        let len = there.len().min(to.len());
        if let (Some(to), Some(there)) = (to.get_mut(..len), there.get(..len)) {
            to.copy_from_slice(there);
        }
        self.consume(len);
        Ok(len)
    }
}

impl<R: BufRead> BufRead for Bounded<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let there = self.from.fill_buf()?;
        if there.len() > self.left && self.left == 0 {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(there.get(..self.left).unwrap_or(there))
    }

    fn consume(&mut self, len: usize) {
        self.left = self.left.saturating_sub(len);
        self.from.consume(len);
    }
}
