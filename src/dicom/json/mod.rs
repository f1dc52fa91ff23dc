//! DICOM JSON (PS3.18 F.2, dicomweb.md 5): written here, without a tree in between and without recursion.
//!
//! `write_head` gives the metadata of an instance, `write_attributes` a search result or a STOW answer; both write one object
//! without white space to the end of a buffer, so that a caller can send it and go on with the next.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

mod attributes;
mod instance;
mod lex;
#[cfg(test)]
pub(in crate::dicom) mod made;
mod private;
mod public;
mod read;
mod values;
mod walk;

pub use attributes::write_attributes;
pub use instance::{At, Notes, write_head};
pub use public::without_private;
pub use read::{IndexedHead, read_head};
pub use values::escape;
pub use walk::{data_sets, walk};

pub(in crate::dicom) use private::creator_of;

use crate::model::Tag;

/// What Specific Character Set is in everything written here (J17).
const UTF_8: &[u8] = br#""00080005":{"vr":"CS","Value":["ISO_IR 192"]}"#;

/// Writes the name of an attribute (J02) and a colon.
fn key(tag: Tag, out: &mut Vec<u8>) {
    let Tag(group, element) = tag;
    out.extend_from_slice(format!("\"{group:04X}{element:04X}\":").as_bytes());
}

/// Declares UTF-8 in the object that begins at `start`, at `place`, if it holds text that is not ASCII (J17, Q60).
fn declare_utf_8(out: &mut Vec<u8>, start: usize, place: usize) {
    if out.get(start..).is_none_or(<[u8]>::is_ascii) {
        return;
    }
    // Text that is not ASCII is in some attribute, so there is one before or after this one.
    let first = place == start.saturating_add(1);
    let (before, after): (&[u8], &[u8]) = if first { (b"", b",") } else { (b",", b"") };
    out.splice(place..place, [before, UTF_8, after].concat());
}
