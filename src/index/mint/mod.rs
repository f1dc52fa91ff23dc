//! MINT's view of the rows: studies under their own keys, at a version, and what changed (MINT 4, 5, 7; schema.md 2).
//!
//! A study's UUID is the key of its row. MINT counts versions from 0, the rows count them from 1.

mod changes;
mod numbers;
mod search;
mod study;

pub use changes::{Log, Order};
pub(super) use changes::{NewChange, note};
pub use numbers::{Counted, Uncounted};
pub use search::{Hits, Wanted};
pub use study::MintStudy;

/// A version as MINT counts it.
fn version(of_row: i32) -> u64 {
    u64::try_from(of_row.saturating_sub(1)).unwrap_or(0)
}
