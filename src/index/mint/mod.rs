//! MINT's view of the rows: studies under their own keys, at a version, and what changed (MINT 4, 5, 7; schema.md 2).
//!
//! A study's UUID is the key of its row. MINT counts versions from 0, the rows count them from 1.

mod changes;
mod create;
mod feed;
mod numbers;
mod search;
mod study;
mod update;

pub use changes::{Log, Order};
pub(super) use changes::{NewChange, note};
pub use create::{Ended, Existing, NewStudy};
pub(super) use create::{conclude, succeed};
pub use feed::{NUMBERED_AT_ONCE, Page};
pub use numbers::{Counted, Uncounted};
pub use search::{Hits, Wanted};
pub use study::MintStudy;
pub use update::{Finale, Levels, StudyUpdate, is_of_another};

use crate::error::{Error, Result};

/// A version as MINT counts it.
pub(super) fn version(of_row: i32) -> u64 {
    u64::try_from(of_row.saturating_sub(1)).unwrap_or(0)
}

/// A version of MINT's as a row counts it.
pub(super) fn of_row(version: u64) -> Result<i32> {
    let of_row = i32::try_from(version.saturating_add(1));
    of_row.map_err(|cause| Error::internal("a version is beyond 2^31", cause))
}
