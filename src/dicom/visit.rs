//! A data set passed on attribute by attribute, in the order of the document it is read from: what the readers of DICOM JSON and
//! of the Native DICOM Model have in common, and what is made of either.
//!
//! Nothing here recurses, so nesting may be as deep as a reader allows.

use super::dictionary::standard_vr;
use super::head::name;
use crate::model::{Tag, VR};
use crate::{Error, Result};

/// How deep the sequences of a document nest that somebody sends.
pub const MOST_LEVELS: usize = 64;

/// One value of an attribute, as a document has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// An empty one among several.
    None,
    /// Text, or a number in the spelling of the document.
    Text(&'a str),
    /// The groups of a person name: alphabetic, ideographic, phonetic.
    Name([&'a str; 3]),
    /// All values, as bytes in base64.
    Inline(&'a str),
    /// All values, somewhere else.
    Bulk(&'a str),
}

/// An attribute that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// Its tag. With a creator the block is whatever stands in the document.
    pub tag: Tag,
    /// Its value representation.
    pub vr: VR,
    /// Who made up a private attribute, where the document says it with the attribute itself.
    pub creator: Option<&'a str>,
}

/// Takes a data set.
pub trait Visitor {
    /// An attribute begins.
    ///
    /// # Errors
    /// If it cannot be taken.
    fn attribute(&mut self, named: Named<'_>) -> Result<()>;

    /// The next value of the attribute.
    ///
    /// # Errors
    /// If it cannot be taken.
    fn value(&mut self, value: Value<'_>) -> Result<()>;

    /// The next item of the attribute begins; its attributes follow.
    ///
    /// # Errors
    /// If it cannot be taken.
    fn item(&mut self) -> Result<()>;

    /// The item ends.
    ///
    /// # Errors
    /// If it cannot be taken.
    fn item_end(&mut self) -> Result<()>;

    /// The attribute ends.
    ///
    /// # Errors
    /// If it cannot be taken.
    fn attribute_end(&mut self) -> Result<()>;
}

/// A tag as eight hexadecimal digits of either case.
pub fn hex_tag(text: &str) -> Option<Tag> {
    let is_tag = text.len() == 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let (group, element) = text.split_at_checked(4).filter(|_| is_tag)?;
    let number = |text| u16::from_str_radix(text, 16).ok();
    Some(Tag(number(group)?, number(element)?))
}

/// Whether an element reserves a block for private ones (PS3.5 7.8.1).
pub fn is_creator(tag: Tag) -> bool {
    let Tag(group, element) = tag;
    group & 1 == 1 && (0x10..=0xFF).contains(&element)
}

/// The value representation of an attribute for which a document gives none (J26).
///
/// # Errors
/// `Kind::Invalid` if no dictionary knows it.
pub fn vr_of(tag: Tag) -> Result<VR> {
    if is_creator(tag) {
        return Ok(VR::LO);
    }
    standard_vr(tag).ok_or_else(|| {
        let name = name(tag);
        Error::invalid(format!("{name} has no vr, and no dictionary knows it"))
    })
}

#[cfg(test)]
pub(in crate::dicom) mod told {
    //! What a reader tells, as one line of text.

    use super::*;

    /// `tag vr value|value;`, items in brackets, `-` for nothing, `#` before bytes and `@` before addresses.
    #[derive(Default)]
    pub(in crate::dicom) struct Told(pub(in crate::dicom) String, bool);

    impl Told {
        fn put(&mut self, text: &str) {
            self.0.push_str(text);
        }
    }

    impl Visitor for Told {
        fn attribute(&mut self, named: Named<'_>) -> Result<()> {
            let Tag(group, element) = named.tag;
            self.put(&format!("{group:04X}{element:04X} {}", named.vr));
            if let Some(creator) = named.creator {
                self.put(&format!(" ({creator})"));
            }
            self.1 = true;
            Ok(())
        }

        fn value(&mut self, value: Value<'_>) -> Result<()> {
            let is_first = std::mem::take(&mut self.1);
            self.0.push(if is_first { ' ' } else { '|' });
            match value {
                Value::None => self.0.push('-'),
                Value::Text(text) => self.0.push_str(text),
                Value::Name([a, b, c]) => self.put(&format!("{a}={b}={c}")),
                Value::Inline(base64) => self.put(&format!("#{base64}")),
                Value::Bulk(uri) => self.put(&format!("@{uri}")),
            }
            Ok(())
        }

        fn item(&mut self) -> Result<()> {
            let before = if self.0.ends_with(']') { "[" } else { " [" };
            self.0.push_str(before);
            Ok(())
        }

        fn item_end(&mut self) -> Result<()> {
            self.0.push(']');
            Ok(())
        }

        fn attribute_end(&mut self) -> Result<()> {
            self.0.push(';');
            Ok(())
        }
    }
}
