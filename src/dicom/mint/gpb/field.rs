//! The numbers of the fields (mint.md 10.3).

pub(super) const STUDY_UID: u32 = 1;
pub(super) const STUDY_ATTRIBUTES: u32 = 2;
pub(super) const STUDY_SERIES: u32 = 3;
pub(super) const STUDY_TYPE: u32 = 4;
pub(super) const STUDY_VERSION: u32 = 5;
pub(super) const STUDY_INSTANCE_COUNT: u32 = 6;

pub(super) const SERIES_UID: u32 = 1;
pub(super) const SERIES_EXCLUDE: u32 = 2;
pub(super) const SERIES_ATTRIBUTES: u32 = 3;
pub(super) const SERIES_NORMALIZED: u32 = 4;
pub(super) const SERIES_INSTANCES: u32 = 5;
pub(super) const SERIES_INSTANCE_COUNT: u32 = 6;

pub(super) const INSTANCE_UID: u32 = 1;
pub(super) const INSTANCE_EXCLUDE: u32 = 2;
pub(super) const INSTANCE_TRANSFER_SYNTAX_UID: u32 = 3;
pub(super) const INSTANCE_ATTRIBUTES: u32 = 4;

pub(super) const TAG: u32 = 1;
pub(super) const EXCLUDE: u32 = 2;
pub(super) const VR: u32 = 3;
pub(super) const TEXT: u32 = 4;
pub(super) const ITEM: u32 = 5;
pub(super) const ITEMS: u32 = 6;
pub(super) const BYTES: u32 = 7;
pub(super) const FRAMES: u32 = 8;
pub(super) const SIZE: u32 = 9;

pub(super) const ITEM_ATTRIBUTES: u32 = 1;
