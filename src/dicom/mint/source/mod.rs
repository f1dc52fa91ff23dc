//! A stored file → an instance of a document and its items (mint.md 11.1 to 11.6).
//!
//! The index keeps a head of each file as DICOM JSON, and that says too little here: it leaves out group 0002 and Specific
//! Character Set, spells numbers in its own way, replaces what does not decode and drops what fits no value representation. So
//! the file itself is read, but for values that are items: [`Reading`] says which range of it to read next.

mod floats;
mod gather;
mod instance;
mod reading;
#[cfg(test)]
mod tests;
mod values;

pub use instance::Stored;
pub use reading::Reading;
