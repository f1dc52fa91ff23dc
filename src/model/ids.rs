//! Keys of rows: `UUIDv7` given by the program, one type per table, so that no id is mistaken for another.

use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    };
}

id!(
    /// A facility.
    FacilityId
);
id!(
    /// A namespace of patient numbers.
    IssuerId
);
id!(
    /// One patient number of one issuer.
    RegistrationId
);
id!(
    /// A study of one owner.
    StudyId
);
id!(
    /// A series of one study.
    SeriesId
);
id!(
    /// An instance of one study.
    InstanceId
);
id!(
    /// A pack of stored files.
    PackId
);
id!(
    /// Due work.
    JobId
);
id!(
    /// What an upload was answered with.
    ReceiptId
);
id!(
    /// What was asked to be deleted at once.
    DeletionId
);
