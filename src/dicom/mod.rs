//! Rules: formats and pixels. Bytes in, values out, no I/O, no `async`; safe on hostile input.
//!
//! Everything received is hostile until it has been scanned: `scan` reads a file in the portions in which it arrives,
//! `head` keeps what is worth keeping of it, the rest of the folder makes something of a head.

pub mod bulk;
pub mod charset;
pub mod codec;
pub mod collect;
pub mod compose;
pub mod conformance;
pub mod dictionary;
pub mod extract;
pub mod frames;
pub mod head;
pub mod json;
pub mod mint;
pub mod part10;
pub mod query;
pub mod render;
pub mod scan;
pub mod store_response;
pub mod swap;
pub mod transcode;
mod varint;
pub mod visit;
pub mod window;
pub mod xml;
