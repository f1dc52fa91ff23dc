//! Recording a batch (architecture.md 7.1, schema.md 5.4): in one transaction patients, studies and series are made or
//! found, instances are added or replaced, and the kept columns are brought up to date.
//!
//! `group` puts batches that come at the same time into one transaction; `known` says what was there, `decide` what becomes
//! of each, `kept` holds the counts while the batch runs, `patient` says whose it is, `rows` writes, `replace` keeps what is
//! replaced, `update` ends a change of a study. Nothing is asked or written an instance at a time, nor a pack: the number of statements of a batch hardly
//! depends on what it brings.

use std::collections::HashSet;
use std::sync::Arc;

use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ConnectionTrait, DatabaseTransaction};

use super::jobs::{Again, enqueue, repack};
use super::kept::{count_studies, recount};
use super::mint::{Finale, NewChange, note};
use super::record::{NewInstance, NewPack, Recorded};
use super::relocate::is_half_dead;
use super::row::failed;
use super::{Index, parts, sweep};
use crate::auth::StoreGrant;
use crate::error::Result;
use crate::model::{
    Clock, FacilityId, InstanceId, OnConflict, PackId, SeriesUid, SopInstanceUid, StudyUid,
    Timestamp,
};

mod decide;
mod group;
mod kept;
mod known;
mod patient;
mod replace;
mod rows;
mod update;

use decide::{Decided, decide, judge};
pub(super) use group::Recorder;
use kept::{KeptStudy, Studies};
use known::{Held, Known};
use rows::PackRows;

/// What all statements of one batch share.
struct Batch<'a> {
    tx: &'a DatabaseTransaction,
    owner: FacilityId,
    /// Who stores.
    author: &'a str,
    /// What becomes of a UID that is taken.
    policy: OnConflict,
    clock: &'a Clock,
    now: Timestamp,
    repack_quiet_s: i64,
}

/// An object that is about to be stored, as far as it decides whether it can be.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Study Instance UID.
    pub study: &'a StudyUid,
    /// Series Instance UID.
    pub series: &'a SeriesUid,
    /// SOP Instance UID.
    pub instance: &'a SopInstanceUid,
    /// SHA-256 of the file.
    pub digest: [u8; 32],
}

/// An instance that a batch writes, under its key.
type Fresh<'p> = (InstanceId, &'p NewInstance);

/// What of a pack is written.
struct InPack<'p> {
    pack: &'p NewPack,
    /// What is new.
    new: Vec<Fresh<'p>>,
    /// What takes the place of another.
    replaced: Vec<Fresh<'p>>,
}

impl Index {
    /// Records sealed packs, all instances in one transaction, which may be shared with what others store at the same time.
    /// The result has one list a pack, one outcome an instance, in their order.
    ///
    /// The key of an instance is its owner and its SOP Instance UID (SH-1.2). The same UID with the same bytes in the
    /// same series is already there (T21). Other bytes in the same series are what the facility's policy says (T22); in
    /// another place they are a conflict under any policy. Inside of the batch the first wins (T36). What is in the bin or
    /// under a tombstone is refused (T37). The bytes of what is not taken stay in the pack as holes. A pack of which
    /// nothing is new is not recorded at all, see [`is_in_use`](super::record::is_in_use). A study and a series keep the
    /// attributes of the first instance that came (Q72).
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away or does not come to rest; `Kind::Conflict` if other processes kept storing
    /// the same. Nothing is recorded then, unless the connection broke during the commit: so what was written to the store
    /// stays there.
    pub async fn record_batch(
        &self,
        grant: &StoreGrant,
        packs: impl Into<Arc<[NewPack]>>,
    ) -> Result<Vec<Vec<Recorded>>> {
        let packs = packs.into();
        self.recorder.record(grant.clone(), packs, None).await
    }

    /// As [`Index::record_batch`] for the packs of one study that is made or changed, with what ends it in the same transaction: its
    /// job too. Nothing at all is recorded where something of a new study was there before, or a study that is changed is not
    /// at the version that the change is of.
    ///
    /// # Errors
    /// As [`Index::record_batch`]; `Kind::Conflict` too for what is said above, and if the job was given up.
    pub async fn record_whole(
        &self,
        grant: &StoreGrant,
        packs: impl Into<Arc<[NewPack]>>,
        finale: Arc<Finale>,
    ) -> Result<Vec<Vec<Recorded>>> {
        let packs = packs.into();
        let whole = Some(finale);
        self.recorder.record(grant.clone(), packs, whole).await
    }

    /// What would become of an object by what the caller's facility holds under its UID; `None` if nothing lies there.
    /// For an early answer; [`Index::record_batch`] decides.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn foresee(
        &self,
        grant: &StoreGrant,
        candidate: Candidate<'_>,
    ) -> Result<Option<Recorded>> {
        let owner = grant.facility().id;
        let mut known = known::among(&self.reader, owner, &[candidate.instance]).await?;
        let Some(known) = known.remove(candidate.instance) else {
            return Ok(None);
        };
        let policy = grant.facility().policy.on_conflict;
        Ok(Some(judge(&known, &Held::of(candidate), policy).what))
    }

    /// What would become of each of `candidates`, in their order, by what the caller's facility holds under their UIDs. The same
    /// bytes are there already wherever they lie: they say themselves which study they belong to (MINT Z40).
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn weigh(
        &self,
        grant: &StoreGrant,
        candidates: &[Candidate<'_>],
    ) -> Result<Vec<Recorded>> {
        let uids: Vec<_> = candidates.iter().map(|one| one.instance).collect();
        let known = known::among(&self.reader, grant.facility().id, &uids).await?;
        let policy = grant.facility().policy.on_conflict;
        let weighed = candidates.iter().map(|one| match known.get(one.instance) {
            None => Recorded::New,
            Some(Known::Live(held)) if held.digest == one.digest => Recorded::AlreadyThere,
            Some(known) => judge(known, &Held::of(*one), policy).what,
        });
        Ok(weighed.collect())
    }

    /// Which of `instances` the caller's facility holds; neither those in the bin nor those that were erased.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn alive_among(
        &self,
        grant: &StoreGrant,
        instances: &[&SopInstanceUid],
    ) -> Result<HashSet<SopInstanceUid>> {
        let known = known::among(&self.reader, grant.facility().id, instances).await?;
        let alive = known
            .into_iter()
            .filter(|(_, known)| matches!(known, Known::Live(_)));
        Ok(alive.map(|(uid, _)| uid).collect())
    }

    /// Whether nothing was ever recorded: there may be facilities, and there is no study, no pack and no tombstone.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn is_unused(&self) -> Result<bool> {
        for table in ["study", "pack", "tombstone"] {
            let any = Query::select()
                .expr(Expr::cust("1"))
                .from(table)
                .limit(1)
                .take();
            if self.reader.query_one(&any).await.map_err(failed)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Which of `instances` an owner knows: what it holds, what is in the bin, what was erased.
    pub(super) async fn known_to(
        &self,
        owner: FacilityId,
        instances: &[&SopInstanceUid],
    ) -> Result<HashSet<SopInstanceUid>> {
        let known = known::among(&self.reader, owner, instances).await?;
        Ok(known.into_keys().collect())
    }
}

impl Batch<'_> {
    async fn record(&self, packs: &[&NewPack]) -> Result<Vec<Vec<Recorded>>> {
        // Each study is locked before anything is written, or made, and all in the same order: so transactions on PostgreSQL
        // wait for each other and not in a circle. What all stores of a facility write comes last.
        let mut studies = self
            .find_studies(packs.iter().map(|pack| &pack.study))
            .await?;
        let decided = self.decide(packs).await?;
        let in_use = || {
            let both = packs.iter().copied().zip(&decided);
            both.filter(|(_, decided)| decided.iter().any(|one| one.what.is_written()))
        };
        let mut fresh: Vec<InPack<'_>> = Vec::new();
        for (pack, decided) in in_use() {
            fresh.push(self.count(pack, decided, &mut studies));
        }
        let first = studies
            .values()
            .filter_map(|study| Some((study.id, study.first()?)));
        let registrations = self.registrations(first).await?;
        self.insert_studies(&studies, &registrations).await?;
        let mut rows = PackRows::default();
        for InPack {
            pack,
            new,
            replaced,
        } in &fresh
        {
            let held: Vec<Fresh<'_>> = new.iter().chain(replaced).copied().collect();
            self.add_pack(&mut rows, pack, &studies[pack.study.as_str()], (new, &held))?;
        }
        self.insert_packs(rows).await?;
        for InPack { pack, replaced, .. } in &fresh {
            for one in replaced {
                self.replace(pack, *one, &studies[pack.study.as_str()])
                    .await?;
            }
        }
        self.update_studies(&studies).await?;
        self.note_changes(&studies).await?;
        for study in studies.values().filter(|study| study.was_replaced) {
            recount(self.tx, (self.owner, study.id), None, study.version).await?;
        }
        let ids: Vec<PackId> = in_use().map(|(pack, _)| pack.pack_id).collect();
        sweep::refuse_swept(self.tx, &ids).await?;
        let changed = || studies.iter().filter(|(_, study)| study.is_touched);
        for (uid, study) in changed() {
            let mut of_study = in_use().filter(|(pack, _)| pack.study.as_str() == *uid);
            let has_holes = of_study.any(|(pack, decided)| has_more_holes(pack, decided));
            if has_holes || !study.is_made_at_once() {
                self.ask_for_repack(study).await?;
            }
        }
        let texts = changed().flat_map(|(_, study)| study.texts());
        parts::add(self.tx, self.owner, &texts.collect()).await?;
        let came = changed()
            .map(|(_, study)| i64::from(!study.was_visible))
            .sum();
        count_studies(self.tx, self.owner, came).await?;
        let what = |decided: &Vec<Decided>| decided.iter().map(|one| one.what).collect();
        Ok(decided.iter().map(what).collect())
    }

    /// Decides about every instance.
    async fn decide(&self, packs: &[&NewPack]) -> Result<Vec<Vec<Decided>>> {
        let uids: HashSet<&SopInstanceUid> = packs
            .iter()
            .flat_map(|pack| &pack.instances)
            .map(|new| &new.instance)
            .collect();
        let uids: Vec<_> = uids.into_iter().collect();
        let mut known = known::among(self.tx, self.owner, &uids).await?;
        let decided = packs
            .iter()
            .map(|pack| decide(pack, &mut known, self.policy));
        Ok(decided.collect())
    }

    /// Counts what a pack brings to its study, which is made if it is not there, and gives each instance its key.
    fn count<'p>(
        &self,
        pack: &'p NewPack,
        decided: &'p [Decided],
        studies: &mut Studies<'p>,
    ) -> InPack<'p> {
        let (mut new, mut replaced) = (Vec::new(), Vec::new());
        for (there, instance) in fresh(pack, decided) {
            let study = studies.entry(pack.study.as_str());
            let study = study.or_insert_with(|| KeptStudy::new(self.clock, instance));
            study.touch(instance);
            if let Some(id) = there {
                study.was_replaced = true;
                replaced.push((id, instance));
                continue;
            }
            study.count(self.clock, instance);
            new.push((InstanceId(self.clock.new_id()), instance));
        }
        InPack {
            pack,
            new,
            replaced,
        }
    }

    /// Notes that the studies changed, all of them at once.
    async fn note_changes(&self, studies: &Studies<'_>) -> Result<()> {
        let touched = studies.values().filter(|study| study.is_touched);
        let changes = touched.map(|study| NewChange {
            study: study.id,
            version: study.version,
            came: i64::from(!study.was_visible),
        });
        note(self.tx, (self.owner, self.author), self.now, changes).await
    }

    /// Asks for the packs of a study to be written anew once nothing more has come for a while (architecture.md 7.5).
    async fn ask_for_repack(&self, study: &KeptStudy<'_>) -> Result<()> {
        let next = repack(study.id, self.now, self.repack_quiet_s);
        let of_owner = (Some(self.owner), &next);
        enqueue(self.tx, self.clock, of_owner, Again::Move).await
    }

    async fn execute<S: sea_orm::StatementBuilder>(&self, statement: &S) -> Result<()> {
        self.tx.execute(statement).await.map_err(failed)?;
        Ok(())
    }
}

/// The instances of a pack that are written, each with the key of the one that it replaces.
fn fresh<'p>(
    pack: &'p NewPack,
    decided: &'p [Decided],
) -> impl Iterator<Item = (Option<InstanceId>, &'p NewInstance)> {
    pack.instances
        .iter()
        .zip(decided)
        .filter(|(_, decided)| decided.what.is_written())
        .map(|(new, decided)| (decided.replaces, new))
}

/// Whether more than half of a pack is holes.
fn has_more_holes(pack: &NewPack, decided: &[Decided]) -> bool {
    let (mut kept, mut tables, mut instances) = (0, 0, 0);
    for (_, new) in fresh(pack, decided) {
        kept += new.range.end.saturating_sub(new.range.start);
        tables += new
            .frame_table
            .as_ref()
            .map_or(0, |table| table.len() as u64);
        instances += 1;
    }
    is_half_dead(pack.byte_count, kept, tables, instances)
}
