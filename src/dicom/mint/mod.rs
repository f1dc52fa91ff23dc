//! MINT (mint.md): a study as one document and a numbered list of binary items, in XML and in protobuf, both ways.
//!
//! [`answers`] and [`types`] are the small documents around it: what was found, what changed, how a job stands, and the data
//! dictionary with the two lists of [`levels`] that say which attribute is a study's and which a series'.

pub mod answers;
pub mod check;
pub mod compose;
pub mod document;
mod form;
pub mod gpb;
pub mod issuer;
pub mod items;
pub mod levels;
pub mod limits;
pub mod normal;
pub mod numbers;
mod raw;
pub mod source;
mod tags;
#[cfg(test)]
mod tests;
pub mod types;
pub mod update;
pub mod xml;

pub use form::Form;
pub use tags::time_text;

/// The namespace of every document (MINT N01).
pub const NAMESPACE: &str = "http://medical.nema.org/mint";
/// The one type of metadata that is served (MINT T05).
pub const TYPE: &str = "DICOM";
