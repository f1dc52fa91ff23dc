//! Words of deleting: why something was taken out of sight, and how far a deletion has come (SH-11.3, SH-11.4).

use super::{SeriesUid, SopInstanceUid, StudyUid, Timestamp};

/// Why an object was rejected (IHE RAD TF-3 4.66.4.1.3.1, codes of DCM, PS3.16 CID 7011).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectCode {
    /// 113001: rejected for quality reasons.
    Quality,
    /// 113037: rejected for patient safety reasons.
    Safety,
    /// 113038: incorrect modality worklist entry, so the wrong patient or the wrong step.
    Worklist,
    /// 113039: data retention policy expired.
    RetentionExpired,
}

impl RejectCode {
    const ALL: [Self; 4] = [
        Self::Quality,
        Self::Safety,
        Self::Worklist,
        Self::RetentionExpired,
    ];

    /// Code value and coding scheme as a path writes them (X02).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quality => "113001^DCM",
            Self::Safety => "113037^DCM",
            Self::Worklist => "113038^DCM",
            Self::RetentionExpired => "113039^DCM",
        }
    }

    /// Reads what `as_str` writes; `None` for a code that rejects nothing.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }
}

/// How something left sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It was deleted (X01).
    Delete,
    /// It was rejected (X02).
    Reject(RejectCode),
}

impl Removal {
    /// As the database and the interface write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Delete => "delete",
            Self::Reject(_) => "reject",
        }
    }

    /// The state of an instance that was removed so.
    pub fn instance_state(self) -> &'static str {
        match self {
            Self::Delete => "binned",
            Self::Reject(_) => "rejected",
        }
    }

    /// The code of a rejection.
    pub fn code(self) -> Option<RejectCode> {
        match self {
            Self::Delete => None,
            Self::Reject(code) => Some(code),
        }
    }
}

/// How far a deletion has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeletionState {
    /// In the bin; one person asked.
    Binned,
    /// In the bin; a second person agreed, and it is erased when its time has come.
    Approved,
    /// Brought back.
    Restored,
    /// Erased; tombstones are left.
    Erased,
}

impl DeletionState {
    const ALL: [Self; 4] = [Self::Binned, Self::Approved, Self::Restored, Self::Erased];

    /// As the database and the interface write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Binned => "binned",
            Self::Approved => "approved",
            Self::Restored => "restored",
            Self::Erased => "erased",
        }
    }

    /// Reads what `as_str` writes.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether what it took can still come back.
    pub fn is_in_bin(self) -> bool {
        matches!(self, Self::Binned | Self::Approved)
    }
}

/// A person's act: who and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// The token's `sub`.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// A deletion as its owner may know it.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// Key.
    pub id: super::DeletionId,
    /// Deleted or rejected.
    pub removal: Removal,
    /// How far it has come.
    pub state: DeletionState,
    /// Study Instance UID.
    pub study: StudyUid,
    /// Series Instance UID, where a series or an instance was named.
    pub series: Option<SeriesUid>,
    /// SOP Instance UID, where an instance was named.
    pub instance: Option<SopInstanceUid>,
    /// Instances that it took.
    pub instance_count: u32,
    /// Their length, in bytes.
    pub byte_count: u64,
    /// Why, in the words of who asked.
    pub reason: Option<String>,
    /// Who asked.
    pub requested: Act,
    /// Who agreed.
    pub approved: Option<Act>,
    /// Who brought it back.
    pub restored: Option<Act>,
    /// Not erased before.
    pub purge_at: Timestamp,
    /// When it was erased.
    pub erased_at: Option<Timestamp>,
    /// Counted up with each change, from 1.
    pub version: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn x02_the_codes_of_a_rejection_are_those_of_iocm() {
        for code in RejectCode::ALL {
            assert_eq!(RejectCode::parse(code.as_str()), Some(code));
        }
        for text in ["113001", "113001^", "113001^SRT", "^DCM", "113000^DCM", ""] {
            assert_eq!(RejectCode::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_what_is_in_the_bin_comes_back() {
        let kept = DeletionState::ALL.map(DeletionState::is_in_bin);
        assert_eq!(kept, [true, true, false, false]);
    }
}
