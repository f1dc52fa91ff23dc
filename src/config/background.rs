//! The settings of background work: who does it, and how long what was replaced or left over is kept.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::check::wrong;
use crate::Result;

/// Who does due work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Worker {
    /// Whether this process does due work; some process has to.
    pub enabled: bool,
    /// Jobs that run at the same time.
    pub concurrency: usize,
    /// Seconds after which a job whose worker went silent is another's.
    pub lease_s: u64,
    /// Seconds after which a worker looks for work that another process asked for.
    pub poll_s: u64,
}

/// How stored bytes are tidied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Storage {
    /// Seconds after the last store until the packs of a study are written anew.
    pub repack_quiet_s: u64,
    /// Seconds for which replaced packs are kept for those who still read them.
    pub replaced_grace_s: u64,
    /// Seconds after which an object without a row was left over.
    pub orphan_age_s: u64,
    /// Days in which what was deleted can be restored, at least 14 (sharing.md 11.4).
    pub bin_days: u32,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            enabled: true,
            concurrency: 2,
            lease_s: 60,
            poll_s: 5,
        }
    }
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            repack_quiet_s: 600,
            replaced_grace_s: 86_400,
            orphan_age_s: 86_400,
            bin_days: 14,
        }
    }
}

/// The bin is never emptied sooner than sharing.md 11.4 says, and a hundred years are for ever.
const BIN_DAYS: RangeInclusive<u32> = 14..=36_500;

/// A hundred years: what is longer is a slip, and would run out of the range of instants.
const MAX_SECONDS: u64 = 100 * 365 * 86_400;

impl Worker {
    pub(super) fn check(self) -> Result<Self> {
        if !(1..=64).contains(&self.concurrency) {
            return Err(wrong("worker.concurrency", "1 to 64"));
        }
        if !(3..=86_400).contains(&self.lease_s) {
            return Err(wrong("worker.lease_s", "3 to 86400"));
        }
        if !(1..=3_600).contains(&self.poll_s) {
            return Err(wrong("worker.poll_s", "1 to 3600"));
        }
        Ok(self)
    }

    /// How long a job is held without a word.
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_s)
    }

    /// How long a worker waits at most before it looks again.
    pub fn poll(&self) -> Duration {
        Duration::from_secs(self.poll_s)
    }
}

impl Storage {
    /// Seconds for which replaced packs are kept, signed as instants are.
    pub fn replaced_grace_s(&self) -> i64 {
        i64::try_from(self.replaced_grace_s).unwrap_or(i64::MAX)
    }

    /// Seconds after which an object without a row was left over, signed as instants are.
    pub fn orphan_age_s(&self) -> i64 {
        i64::try_from(self.orphan_age_s).unwrap_or(i64::MAX)
    }

    pub(super) fn check(self) -> Result<Self> {
        if !BIN_DAYS.contains(&self.bin_days) {
            return Err(wrong("storage.bin_days", "14 to 36500 days"));
        }
        for (key, seconds) in [
            ("storage.repack_quiet_s", self.repack_quiet_s),
            ("storage.replaced_grace_s", self.replaced_grace_s),
            ("storage.orphan_age_s", self.orphan_age_s),
        ] {
            if seconds > MAX_SECONDS {
                return Err(wrong(key, "seconds, at most a hundred years of them"));
            }
        }
        Ok(self)
    }
}
