//! Sweeping: objects that nobody needs any more (decision 0008).
//!
//! Two kinds. Packs that were replaced go once those who began to read them must have finished: objects first, then rows, so
//! that a sweep that breaks off is done again. Objects without a row were left by a process that ended between bytes and
//! rows; they go when they are old, after it was settled in the database that they will never have one.

use std::ops::Range;

use futures::TryStreamExt;
use time::OffsetDateTime;
use uuid::Uuid;

use super::Archive;
use crate::error::{Error, Kind, Result};
use crate::model::job::Pass;
use crate::model::{FacilityCode, PackId, Timestamp};
use crate::storage::is_part;

/// Replaced packs, and names of objects, that are looked at together.
const CHUNK: usize = 500;

/// Objects after which a run ends and the next goes on from there: a few minutes on an object store.
const RUN_OBJECTS: usize = 50_000;

/// A day is not looked at again once a pass began so long after it, in seconds: nothing is added to it any more, since
/// objects are named for the day on which their first byte came.
const CLEAN_AFTER_S: i64 = 30 * 86_400;

/// A part of a pass over the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swept {
    /// Objects that were looked at.
    pub seen: usize,
    /// Objects that were dropped.
    pub dropped: usize,
    /// Where the next run goes on; `None` if the pass is through.
    pub pass: Option<Pass>,
    /// Days before this one need not be looked at again.
    pub clean_until: Option<String>,
}

impl Archive {
    /// Drops packs that were replaced more than `grace_s` seconds ago; gives how many.
    ///
    /// # Errors
    /// `Kind::Unavailable` if database or store do not answer; what was not dropped stays for the next time.
    pub async fn sweep_replaced(&self, grace_s: i64) -> Result<usize> {
        let before = ago(self.clock.now(), grace_s);
        let mut dropped = 0;
        loop {
            let limit = u64::try_from(CHUNK).unwrap_or(u64::MAX);
            let page = self.index.replaced_before(before, limit).await?;
            for pack in &page {
                for object in &pack.objects {
                    self.vault.delete(object).await?;
                }
                self.index.drop_replaced(pack.id).await?;
            }
            dropped += page.len();
            if page.len() < CHUNK {
                return Ok(dropped);
            }
        }
    }

    /// Drops objects older than `age_s` seconds that no row knows, day by day, from where `pass` ended. Before the first
    /// day also what dead processes were writing. What is older than the index itself is left alone: it is no orphan of
    /// this index but what one that was lost knew, and waits for `kura reindex`.
    ///
    /// # Errors
    /// `Kind::Unavailable` if database or store do not answer.
    pub async fn sweep_orphans(
        &self,
        age_s: i64,
        pass: Option<Pass>,
        clean_until: Option<String>,
    ) -> Result<Swept> {
        let now = self.clock.now();
        let begun_at = Timestamp(pass.as_ref().map_or(now.0, |pass| pass.begun_at));
        let after = pass.map(|pass| pass.after).unwrap_or_default();
        let written = self.index.born_at().await?..ago(now, age_s);
        let mut swept = Swept {
            seen: 0,
            dropped: 0,
            pass: None,
            clean_until,
        };
        if after.is_empty() {
            swept.dropped += self.vault.sweep_temporary().await?;
        }
        let of_owner = |folder: &String| folder.as_str() >= after.get(..folder.len()).unwrap_or("");
        for owner in self
            .vault
            .folders("")
            .await?
            .iter()
            .filter(|it| of_owner(it))
        {
            let Some(code) = FacilityCode::parse(owner.trim_end_matches('/')) else {
                continue;
            };
            for day in self.days(owner, swept.clean_until.as_deref()).await? {
                if *day <= *after {
                    continue;
                }
                if swept.seen >= RUN_OBJECTS {
                    return Ok(swept);
                }
                self.sweep_day(&code, &day, &written, &mut swept).await?;
                swept.pass = Some(Pass {
                    after: day,
                    begun_at: begun_at.0,
                });
            }
        }
        swept.pass = None;
        swept.clean_until = Some(day_of(ago(begun_at, CLEAN_AFTER_S.saturating_add(age_s)))?);
        Ok(swept)
    }

    /// The folders of days of `owner` (`KST/`) that are not clean, in order.
    async fn days(&self, owner: &str, clean_until: Option<&str>) -> Result<Vec<String>> {
        let clean = clean_until.map_or_else(|| owner.to_owned(), |day| format!("{owner}{day}/"));
        let may_hold = |folder: &String| folder.as_str() >= clean.get(..folder.len()).unwrap_or("");
        let mut days = Vec::new();
        for year in self
            .vault
            .folders(owner)
            .await?
            .iter()
            .filter(|it| may_hold(it))
        {
            for month in self
                .vault
                .folders(year)
                .await?
                .iter()
                .filter(|it| may_hold(it))
            {
                let folders = self.vault.folders(month).await?;
                days.extend(folders.into_iter().filter(may_hold));
            }
        }
        Ok(days)
    }

    async fn sweep_day(
        &self,
        owner: &FacilityCode,
        day: &str,
        written: &Range<Timestamp>,
        swept: &mut Swept,
    ) -> Result<()> {
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut listed = self.vault.list(day);
        while let Some(listed) = listed.try_next().await? {
            swept.seen += 1;
            if is_part(&listed.object) {
                swept.dropped += self.drop_part(&listed.object, written).await?;
            // What else is no pack is not ours to judge.
            } else if let Some(pack) = pack_of(&listed.object) {
                chunk.push((listed.object, pack));
            }
            if chunk.len() == CHUNK {
                swept.dropped += self.drop_orphans(owner, &chunk, written).await?;
                chunk.clear();
            }
        }
        swept.dropped += self.drop_orphans(owner, &chunk, written).await?;
        Ok(())
    }

    /// Drops a part of an upload that was not ended (MINT Z43), if it was written in `written`; gives how many it dropped.
    async fn drop_part(&self, object: &str, written: &Range<Timestamp>) -> Result<usize> {
        let upload = object.rsplit('/').nth(1).unwrap_or_default();
        let upload = PackId(Uuid::try_parse(upload).unwrap_or_default());
        let written_at = self.vault.written_at(object).await?;
        if !written.contains(&written_at.unwrap_or_else(|| begun_at(upload))) {
            return Ok(0);
        }
        self.vault.delete(object).await?;
        tracing::info!(object, "a part of an upload that was not ended was dropped");
        Ok(1)
    }

    /// Drops those of `objects` that no row knows and that were written in `written`; gives how many.
    async fn drop_orphans(
        &self,
        owner: &FacilityCode,
        objects: &[(String, PackId)],
        written: &Range<Timestamp>,
    ) -> Result<usize> {
        let packs: Vec<PackId> = objects.iter().map(|(_, pack)| *pack).collect();
        let unknown = self.index.unknown_packs(&packs).await?;
        let mut old = Vec::new();
        for (object, pack) in objects.iter().filter(|(_, pack)| unknown.contains(pack)) {
            let written_at = self.vault.written_at(object).await?;
            if written.contains(&written_at.unwrap_or_else(|| begun_at(*pack))) {
                old.push((object, *pack));
            }
        }
        if old.is_empty() {
            return Ok(0);
        }
        let packs: Vec<PackId> = old.iter().map(|(_, pack)| *pack).collect();
        let orphans = self.index.claim_orphans(owner, &packs).await?;
        let mut dropped = 0;
        for (object, _) in old.iter().filter(|(_, pack)| orphans.contains(pack)) {
            self.vault.delete(object).await?;
            tracing::info!(object, "an object that no row knows was dropped");
            dropped += 1;
        }
        Ok(dropped)
    }
}

/// The pack of `KST/2026/07/01/0190….pack` and its `.meta`.
fn pack_of(object: &str) -> Option<PackId> {
    let name = object.rsplit('/').next()?;
    let (id, ending) = name.rsplit_once('.')?;
    let is_ours = ending == "pack" || ending == "meta";
    is_ours.then_some(())?;
    Some(PackId(Uuid::try_parse(id).ok()?))
}

/// When a pack was begun, as its id says: for a store that does not tell when an object was written.
fn begun_at(pack: PackId) -> Timestamp {
    let (seconds, nanos) = pack.0.get_timestamp().map_or((0, 0), |at| at.to_unix());
    let seconds = i64::try_from(seconds).unwrap_or(0);
    Timestamp(seconds.saturating_mul(1_000_000) + i64::from(nanos / 1_000))
}

fn ago(now: Timestamp, seconds: i64) -> Timestamp {
    Timestamp(now.0.saturating_sub(seconds.saturating_mul(1_000_000)))
}

/// `2026/07/01` of an instant.
pub(super) fn day_of(at: Timestamp) -> Result<String> {
    let day = OffsetDateTime::from_unix_timestamp(at.seconds())
        .map_err(|cause| Error::new(Kind::Internal, "a day is out of range").with_source(cause))?;
    let (year, month) = (day.year(), u8::from(day.month()));
    Ok(format!("{year:04}/{month:02}/{:02}", day.day()))
}
