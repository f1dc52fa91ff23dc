//! Collecting the head of an instance while it is scanned: what is kept, and the rule for what is not (dicomweb.md 5.2).

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

mod bulk;
mod collector;
mod offsets;
mod signs;
#[cfg(test)]
mod tests;

pub use bulk::{BINARY_INLINE_MAX, BulkRule, ICON_INLINE_MAX, Nesting, TEXT_INLINE_MAX};
pub use collector::{Collector, HEAD_MAX_BYTES};

use crate::model::Tag;

const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);
const FLOAT_PIXEL_DATA: Tag = Tag(0x7FE0, 0x0008);
const DOUBLE_FLOAT_PIXEL_DATA: Tag = Tag(0x7FE0, 0x0009);
