//! Recording a batch: one transaction for all instances of it.

use std::ops::Range;

use crate::model::{AttributeSet, Class, PackId, SeriesUid, SopClassUid, SopInstanceUid, StudyUid};
use crate::storage::{MetaPlace, Piece};

/// One instance that lies in a sealed pack.
#[derive(Clone, Debug)]
pub struct NewInstance {
    /// Series Instance UID.
    pub series: SeriesUid,
    /// SOP Instance UID.
    pub instance: SopInstanceUid,
    /// SOP Class UID.
    pub sop_class: SopClassUid,
    /// Transfer Syntax UID as stored.
    pub transfer_syntax_uid: String,
    /// Class for rights.
    pub class: Class,
    /// Values of the table's attributes, all levels; computed ones are absent.
    pub attributes: AttributeSet,
    /// SHA-256 of the stored file.
    pub digest: [u8; 32],
    /// Its bytes in the pack.
    pub range: Range<u64>,
    /// Its head in the metadata object.
    pub meta: MetaPlace,
    /// How its frames are found; `None` where there is nothing to cut.
    pub frame_table: Option<Vec<u8>>,
    /// The number of its first item, where it came with numbers (MINT U24).
    pub first_item: Option<u32>,
}

/// A sealed pack: durable bytes that no row points at yet. One owner, one study.
#[derive(Clone, Debug)]
pub struct NewPack {
    /// Key.
    pub pack_id: PackId,
    /// Study Instance UID.
    pub study: StudyUid,
    /// Name of the pack object.
    pub object: String,
    /// Name of the metadata object.
    pub metadata_object: String,
    /// Length of the pack object.
    pub byte_count: u64,
    /// Length of the metadata object.
    pub metadata_bytes: u64,
    /// SHA-256 of the pack's footer, which names the digests of all it holds.
    pub digest: [u8; 32],
    /// The base under which `BulkDataURIs` stand in the metadata object.
    pub base_url: String,
    /// Metadata pieces, one a series.
    pub pieces: Vec<Piece>,
    /// The instances in the order of the pack.
    pub instances: Vec<NewInstance>,
}

/// What became of one instance of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Its row is durable.
    New,
    /// It took the place of other bytes under the same UID, which are kept as an earlier version (T22).
    Replaced,
    /// The same UID with the same bytes was there.
    AlreadyThere,
    /// The same UID with other bytes was there; nothing was changed.
    Conflict,
    /// The UID is in the bin of this owner; nothing was changed (T37).
    InBin,
    /// The UID is under a tombstone of this owner; nothing was changed (T37).
    Erased,
}

impl Recorded {
    /// Whether its bytes are what is served from now on, so that they are pointed at.
    pub fn is_written(self) -> bool {
        matches!(self, Self::New | Self::Replaced)
    }
}

/// Whether anything of a pack was recorded. If not, no row points at it: its objects are to be dropped by who wrote them.
pub fn is_in_use(recorded: &[Recorded]) -> bool {
    recorded.iter().any(|recorded| recorded.is_written())
}
