//! Words: the names of things, without I/O, without `async`, without a framework.
//!
//! Everything above speaks in these types. A value is parsed once, at the border, and carries its promise from then on.

pub mod attributes;
pub mod clock;
pub mod deletion;
pub mod facility;
pub mod ids;
pub mod job;
pub mod level;
pub mod path;
pub mod person_name;
pub mod policy;
pub mod transfer_syntax;
pub mod uid;

pub use attributes::{Attribute, AttributeSet};
pub use clock::{Clock, Timestamp};
pub use deletion::{Act, Deletion, DeletionState, RejectCode, Removal};
pub use dicom_core::{Tag, VR};
pub use facility::{Facility, FacilityCode, FacilityKind, FacilityState};
pub use ids::{
    DeletionId, FacilityId, InstanceId, IssuerId, JobId, PackId, ReceiptId, RegistrationId,
    SeriesId, StudyId,
};
pub use job::{Job, JobState};
pub use level::{Class, ClassMask, Level};
pub use path::{FrameList, InstancePath, SeriesPath, StudyPath};
pub use policy::{BulkForm, Export, FacilityPolicy, FuzzyMatching, OnConflict};
pub use transfer_syntax::TransferSyntax;
pub use uid::{SeriesUid, SopClassUid, SopInstanceUid, StudyUid, UidError};
