//! The document as protobuf (mint.md 10.3): proto2, package `mint.metadata`, written and read by hand.
//!
//! ```text
//! StudyData      1 uid   2 attributes…   3 series…       4 type       5 version       6 instance count
//! SeriesData     1 uid   2 exclude       3 attributes…   4 normalized…   5 instances…   6 instance count
//! InstanceData   1 uid   2 exclude       3 transfer syntax   4 attributes…
//! AttributeData  1 tag   2 exclude   3 vr   4 text   5 item   6 items…   7 bytes   8 frames   9 size
//! ItemData       1 attributes…
//! ```
//!
//! By hand, because generated code holds a whole study, and a study may have 200,000 instances: here an instance is the most that
//! is held, and of a series no more than its length has to be known beforehand.

mod field;
mod read;
mod wire;
mod write;

pub use read::read;
pub use write::{instance, series_end, series_start, study_end, study_start};
