//! Deleting with a bin: out of sight at once, erased only when two persons agreed and the time of the bin is over (SH-11.4).
//!
//! Bytes are not touched here. What is erased loses its rows; the packs that nothing points at any more are marked, and the
//! sweep of replaced packs deletes their objects.

use super::Archive;
use crate::auth::{Access, Scope as Right};
use crate::error::Result;
use crate::index::catalog::Scope;
use crate::index::{Purged, Seen, Why};
use crate::model::{Deletion, DeletionId, Removal, Timestamp};

/// The shortest time in the bin, in days (SH-11.4).
pub const LEAST_BIN_DAYS: u32 = 14;

const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// Until when something that is deleted now stays in the bin.
fn purge_at(archive: &Archive) -> Timestamp {
    let kept_us = i64::from(archive.bin_days).saturating_mul(DAY_US);
    Timestamp(archive.clock.now().0.saturating_add(kept_us))
}

/// A deletion without words.
pub(super) fn why_deleted(archive: &Archive) -> Why {
    Why {
        removal: Removal::Delete,
        reason: None,
        purge_at: purge_at(archive),
    }
}

impl Archive {
    /// Takes what `scope` names out of sight. That it is visible and the caller's own was asked before, by
    /// [`crate::index::Catalog::owns`]: here it can only have gone in between.
    ///
    /// # Errors
    /// `Kind::Forbidden` without the scope, `Kind::StepUp` where a fresh sign-in is needed, `Kind::Conflict` while the study
    /// must be kept, `Kind::NotFound` if nothing of it lives.
    pub async fn remove(
        &self,
        access: &Access,
        scope: &Scope,
        removal: Removal,
        reason: Option<String>,
    ) -> Result<Deletion> {
        let right = match removal {
            Removal::Delete => Right::DicomDelete,
            Removal::Reject(_) => Right::DicomCorrect,
        };
        let now = self.clock.now();
        let grant = access.may_remove_own(right, now)?;
        let why = Why {
            removal,
            reason,
            purge_at: purge_at(self),
        };
        let deletion = self.index.bin(&grant, scope, &why).await?;
        tracing::info!(
            deletion = %deletion.id,
            study = %deletion.study,
            instances = deletion.instance_count,
            how = removal.as_str(),
            "took out of sight"
        );
        Ok(deletion)
    }

    /// Brings back what a deletion took.
    ///
    /// # Errors
    /// As [`Archive::approve`].
    pub async fn restore(
        &self,
        access: &Access,
        id: DeletionId,
        seen: Seen<'_>,
    ) -> Result<Deletion> {
        let grant = access.may_remove_own(Right::DicomDelete, self.clock.now())?;
        let deletion = self.index.restore(&grant, id, seen).await?;
        tracing::info!(deletion = %id, study = %deletion.study, "restored");
        Ok(deletion)
    }

    /// Agrees to a deletion as the second person.
    ///
    /// # Errors
    /// `Kind::Forbidden` without the scope, `Kind::StepUp` where a fresh sign-in is needed, `Kind::NotFound` if it is not
    /// there or another facility's, `Kind::Gone` if it is no longer in the bin, `Kind::Conflict` if the caller may not be
    /// the second person or the study must be kept, `Kind::Precondition` if the caller has seen another version.
    pub async fn approve(
        &self,
        access: &Access,
        id: DeletionId,
        seen: Seen<'_>,
    ) -> Result<Deletion> {
        let grant = access.may_remove_own(Right::DicomDeleteApprove, self.clock.now())?;
        let deletion = self.index.approve(&grant, id, seen).await?;
        tracing::info!(deletion = %id, study = %deletion.study, "approved a deletion");
        Ok(deletion)
    }

    /// Erases what is due at `now`, `limit` deletions at most. It can be broken off at any time and called again: each
    /// deletion is one transaction.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away; what was erased before stays erased.
    pub async fn purge_due(&self, now: Timestamp, limit: u64) -> Result<Purged> {
        let mut sum = Purged::default();
        for _ in 0..limit {
            let Some(purged) = self.index.purge_next(now).await? else {
                break;
            };
            sum.deletions += purged.deletions;
            sum.instances += purged.instances;
            sum.packs += purged.packs;
        }
        if sum.deletions > 0 {
            tracing::info!(
                deletions = sum.deletions,
                instances = sum.instances,
                packs = sum.packs,
                "erased what was due"
            );
        }
        Ok(sum)
    }
}
