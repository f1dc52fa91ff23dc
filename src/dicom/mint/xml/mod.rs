//! The document as XML (mint.md 10.1, 10.2).

mod open;
mod read;
mod write;

pub use read::read;
pub use write::{instance, series_end, series_start, study_end, study_start, summary};
