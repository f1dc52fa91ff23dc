//! Due work as plain data: what must happen after an answer, or from time to time. `index/jobs` keeps it, `worker` does it.
//!
//! Every job is idempotent: running it twice equals running it once.

use serde::{Deserialize, Serialize};

use super::Timestamp;

/// One kind of due work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Job {
    /// Drop rows that have served their time.
    Expire,
}

/// The kinds, as rows and the interface name them.
pub const KINDS: [&str; 1] = ["expire"];

impl Job {
    /// The work that is due again and again; one row of each is there at any time.
    pub fn recurring() -> [Self; 1] {
        [Self::Expire]
    }

    /// The kind, as rows and the interface name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Expire => "expire",
        }
    }

    /// What asks for the same work: of such rows only one is due.
    pub fn dedup(&self) -> String {
        match self {
            Self::Expire => self.kind().to_owned(),
        }
    }

    /// Whether the work is due again once it has been done.
    pub fn is_recurring(&self) -> bool {
        match self {
            Self::Expire => true,
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
    use super::*;

    #[test]
    fn a_job_comes_back_from_its_row() {
        assert_eq!(Job::Expire.payload(), r#"{"kind":"expire"}"#);
        for job in Job::recurring() {
            assert_eq!(Job::parse(&job.payload()), Some(job.clone()));
            assert!(KINDS.contains(&job.kind()));
        }
    }

    #[test]
    fn work_of_a_newer_program_is_not_known() {
        for payload in ["", "{}", r#"{"kind":"teleport"}"#] {
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
