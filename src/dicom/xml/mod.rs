//! The Native DICOM Model (PS3.19 A.1, dicomweb.md 5.4): DICOM JSON as XML and back.
//!
//! Metadata, search results and the answers to stores are DICOM JSON here; [`of_json`] writes the same data set as an XML document,
//! so that both hold the same values (J54). [`read`] takes a document apart that a client sends.

mod read;
mod write;

pub use read::read;
pub(in crate::dicom) use write::escape;
pub use write::of_json;
