//! Due work as plain data: what must happen after an answer, or from time to time. `index/jobs` keeps it, `worker` does it.
//!
//! Every job is idempotent: running it twice equals running it once.

use serde::{Deserialize, Serialize};

use super::{JobId, StudyId, Timestamp};

/// One kind of due work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Job {
    /// Write the packs of a quiet study anew, one a series (architecture.md 7.5).
    Repack {
        /// Whose packs.
        study: StudyId,
    },
    /// Drop the packs that were replaced, once nobody can be reading them any more.
    SweepReplaced,
    /// Drop objects that no row knows (decision 0008).
    SweepOrphans {
        /// How far the pass under way has come; absent where one begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pass: Option<Pass>,
        /// Days before this one (`YYYY/MM/DD`) were passed when nothing could be added to them any more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clean_until: Option<String>,
    },
    /// Erase what deletions took, once two persons agreed and the time of the bin is over (SH-11.4).
    Purge,
    /// Drop rows that have served their time.
    Expire,
    /// Write files of a facility into the operator's folder, for somebody who asked for it (X06).
    Export(Errand),
    /// Say that a study that was being sent will not come any more: due once nobody goes on with it (MINT U12).
    MintCreate {
        /// The key of the job, by which it is asked after.
        job: JobId,
        /// The UUID that the study was to have.
        study: StudyId,
    },
    /// The same of a study that was being changed.
    MintUpdate {
        /// The key of the job, by which it is asked after.
        job: JobId,
        /// The UUID of the study.
        study: StudyId,
    },
}

/// An export that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errand {
    /// The key of the job, by which it is asked after.
    pub operation: JobId,
    /// Who asked: the token's `sub`.
    pub subject: String,
    /// The scopes to read that they had, between spaces.
    pub scopes: String,
    /// What was named: `study`, `study/series` or `study/series/instance`, each a UID.
    pub resources: Vec<String>,
}

/// A pass over the store that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// The folder that was done last: `KST/2026/07/01/`.
    pub after: String,
    /// When the pass began, in microseconds since 1970 UTC.
    pub begun_at: i64,
}

/// The kinds, as rows and the interface name them.
pub const KINDS: [&str; 8] = [
    "repack",
    "sweep_replaced",
    "sweep_orphans",
    "purge",
    "expire",
    "export",
    "mint_create",
    "mint_update",
];

impl Job {
    /// The work that is due again and again; one row of each is there at any time.
    pub fn recurring() -> [Self; 4] {
        let orphans = Self::SweepOrphans {
            pass: None,
            clean_until: None,
        };
        [Self::SweepReplaced, orphans, Self::Purge, Self::Expire]
    }

    /// The kind, as rows and the interface name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Repack { .. } => "repack",
            Self::SweepReplaced => "sweep_replaced",
            Self::SweepOrphans { .. } => "sweep_orphans",
            Self::Purge => "purge",
            Self::Expire => "expire",
            Self::Export(_) => "export",
            Self::MintCreate { .. } => "mint_create",
            Self::MintUpdate { .. } => "mint_update",
        }
    }

    /// What asks for the same work: of such rows only one is due.
    pub fn dedup(&self) -> String {
        match self {
            Self::Repack { study } => format!("repack:{study}"),
            Self::Export(errand) => format!("export:{}", errand.operation),
            Self::MintCreate { job, .. } => format!("mint_create:{job}"),
            Self::MintUpdate { job, .. } => format!("mint_update:{job}"),
            Self::SweepReplaced | Self::SweepOrphans { .. } | Self::Purge | Self::Expire => {
                self.kind().to_owned()
            }
        }
    }

    /// Whether the work is due again once it has been done.
    pub fn is_recurring(&self) -> bool {
        match self {
            Self::SweepReplaced | Self::SweepOrphans { .. } | Self::Purge | Self::Expire => true,
            Self::Repack { .. }
            | Self::Export(_)
            | Self::MintCreate { .. }
            | Self::MintUpdate { .. } => false,
        }
    }

    /// The key of its row, where somebody was told it already.
    pub fn id(&self) -> Option<JobId> {
        match self {
            Self::Export(errand) => Some(errand.operation),
            Self::MintCreate { job, .. } | Self::MintUpdate { job, .. } => Some(*job),
            Self::Repack { .. }
            | Self::SweepReplaced
            | Self::SweepOrphans { .. }
            | Self::Purge
            | Self::Expire => None,
        }
    }

    /// What people who run the archive see of its payload: who asked for which objects is not theirs to know.
    pub fn shown(&self) -> String {
        match self {
            Self::Export(errand) => {
                let count = errand.resources.len();
                format!("{{\"kind\":\"export\",\"resources\":{count}}}")
            }
            Self::MintCreate { .. }
            | Self::MintUpdate { .. }
            | Self::Repack { .. }
            | Self::SweepReplaced
            | Self::SweepOrphans { .. }
            | Self::Purge
            | Self::Expire => self.payload(),
        }
    }

    /// As a row keeps it: JSON, without anything of a patient.
    ///
    /// # Panics
    /// Never: ids, numbers and plain text are JSON.
    pub fn payload(&self) -> String {
        serde_json::to_string(self).expect("ids, numbers and plain text are JSON")
    }

    /// Reads what [`Job::payload`] writes; `None` for what this program does not know.
    pub fn parse(payload: &str) -> Option<Self> {
        serde_json::from_str(payload).ok()
    }
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobState {
    /// It waits for its time.
    Due,
    /// A worker has it.
    Running,
    /// It was done.
    Done,
    /// It failed for good; somebody has to look.
    Dead,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 4] = [Self::Due, Self::Running, Self::Done, Self::Dead];

    /// As rows and the interface name it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Running => "running",
            Self::Done => "done",
            Self::Dead => "dead",
        }
    }

    /// Reads what [`JobState::as_str`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Work that is to be asked for, with the moment from which it is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// What.
    pub job: Job,
    /// From when on.
    pub due_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_job_comes_back_from_its_row() {
        let repack = Job::Repack {
            study: StudyId(Uuid::from_u128(5)),
        };
        assert_eq!(
            repack.payload(),
            r#"{"kind":"repack","study":"00000000-0000-0000-0000-000000000005"}"#
        );
        let under_way = Job::SweepOrphans {
            pass: Some(Pass {
                after: "KST/2026/07/01/".to_owned(),
                begun_at: 7,
            }),
            clean_until: Some("2026/06/01".to_owned()),
        };
        let export = Job::Export(Errand {
            operation: JobId(Uuid::from_u128(6)),
            subject: "somebody".to_owned(),
            scopes: "dicom.read".to_owned(),
            resources: vec!["1.2/1.3".to_owned()],
        });
        let create = Job::MintCreate {
            job: JobId(Uuid::from_u128(7)),
            study: StudyId(Uuid::from_u128(8)),
        };
        assert_eq!(export.id(), Some(JobId(Uuid::from_u128(6))));
        assert_eq!(export.shown(), r#"{"kind":"export","resources":1}"#);
        for job in Job::recurring()
            .into_iter()
            .chain([repack, under_way, export, create])
        {
            assert_eq!(Job::parse(&job.payload()), Some(job.clone()));
            assert!(KINDS.contains(&job.kind()));
            assert!(job.payload().contains(job.kind()));
        }
    }

    #[test]
    fn work_of_a_newer_program_is_not_known() {
        for payload in ["", "{}", r#"{"kind":"teleport"}"#, r#"{"kind":"repack"}"#] {
            assert_eq!(Job::parse(payload), None, "{payload}");
        }
    }

    #[test]
    fn states_are_named() {
        for state in JobState::ALL {
            assert_eq!(JobState::parse(state.as_str()), Some(state));
        }
        assert_eq!(JobState::parse("Due"), None);
    }
}
