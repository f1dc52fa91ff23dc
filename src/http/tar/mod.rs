//! Tar files of the pax form (POSIX.1-2001, pax), written and read as they pass: nothing is sought back to and nothing of a
//! file is held.
//!
//! ```text
//! header (512) | bytes of a file, filled up to a multiple of 512 | header … | two blocks of zeros
//! ```
//! The fields of a header are the `tar` crate's; what it reads and writes itself waits for its bytes, which nothing here may.

mod read;
mod write;

pub use read::{Entry, Event, Reader};
pub use write::{END, entry_bytes, header, padding};

/// Everything is a multiple of it, in bytes.
const BLOCK: usize = 512;
