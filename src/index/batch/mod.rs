//! Recording a batch (architecture.md 7.1, schema.md 5.4): in one transaction patients, studies and series are made or
//! found, instances are added or replaced, and the kept columns are brought up to date.
//!
//! `known` says what was there, `decide` what becomes of each, `patient` whose it is, `kept` holds the counts while the batch
//! runs, `rows` writes, `replace` keeps what is replaced.

use std::collections::{BTreeMap, HashSet};

use sea_orm::sea_query::{Expr, Query};
use sea_orm::{ConnectionTrait, DatabaseTransaction};

use super::jobs::{Again, enqueue, repack};
use super::kept::count_studies;
use super::record::{NewInstance, NewPack, Recorded, is_in_use};
use super::relocate::is_half_dead;
use super::row::{failed, was_overtaken};
use super::timing::commit;
use super::{Index, parts, sweep};
use crate::auth::StoreGrant;
use crate::error::Result;
use crate::model::{
    Clock, FacilityId, InstanceId, OnConflict, PackId, SeriesUid, SopInstanceUid, StudyUid,
    Timestamp,
};

mod decide;
mod kept;
mod known;
mod patient;
mod replace;
mod rows;

use decide::{Decided, decide, judge};
use kept::KeptStudy;
use known::{Held, Known};

/// How often a batch is begun that others overtake. Each time one of them has ended and made what this one wanted to make:
/// a study, a series, a patient, an issuer, an instance. So one more than there are kinds of rows to make.
const ATTEMPTS: u32 = 6;

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

impl Index {
    /// Records sealed packs, all instances in one transaction. The result has one list a pack, one outcome an instance,
    /// in their order.
    ///
    /// The key of an instance is its owner and its SOP Instance UID (SH-1.2). The same UID with the same bytes in the
    /// same series is already there (T21). Other bytes in the same series are what the facility's policy says (T22); in
    /// another place they are a conflict under any policy. Inside of the batch the first wins (T36). What is in the bin or
    /// under a tombstone is refused (T37). The bytes of what is not taken stay in the pack as holes. A pack of which
    /// nothing is new is not recorded at all, see [`is_in_use`]. A study and a series keep the attributes of the first
    /// instance that came (Q72).
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away or does not come to rest; `Kind::Conflict` if other processes kept storing
    /// the same. Nothing is recorded then, unless the connection broke during the commit: so what was written to the store
    /// stays there.
    pub async fn record_batch(
        &self,
        grant: &StoreGrant,
        packs: &[NewPack],
    ) -> Result<Vec<Vec<Recorded>>> {
        let mut attempt = 1;
        loop {
            match self.record_once(grant, packs).await {
                Err(error) if attempt < ATTEMPTS && was_overtaken(&error) => attempt += 1,
                recorded => return recorded,
            }
        }
    }

    async fn record_once(
        &self,
        grant: &StoreGrant,
        packs: &[NewPack],
    ) -> Result<Vec<Vec<Recorded>>> {
        let tx = self.begin().await?;
        let batch = Batch {
            tx: &tx,
            owner: grant.facility().id,
            author: grant.author(),
            policy: grant.facility().policy.on_conflict,
            clock: &self.clock,
            now: self.clock.now(),
            repack_quiet_s: self.repack_quiet_s,
        };
        match batch.record(packs).await {
            Ok(recorded) => {
                commit(tx).await?;
                Ok(recorded)
            }
            Err(error) => {
                tx.rollback().await.ok();
                Err(error)
            }
        }
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
    async fn record(&self, packs: &[NewPack]) -> Result<Vec<Vec<Recorded>>> {
        self.hold(packs.iter().map(|pack| &pack.study)).await?;
        let uids: HashSet<&SopInstanceUid> = packs
            .iter()
            .flat_map(|pack| &pack.instances)
            .map(|new| &new.instance)
            .collect();
        let uids: Vec<_> = uids.into_iter().collect();
        let mut known = known::among(self.tx, self.owner, &uids).await?;
        let decided: Vec<Vec<Decided>> = packs
            .iter()
            .map(|pack| decide(pack, &mut known, self.policy))
            .collect();
        let recorded: Vec<Vec<Recorded>> = decided
            .iter()
            .map(|pack| pack.iter().map(|decided| decided.what).collect())
            .collect();
        let in_use = || {
            let both = packs.iter().zip(&decided).zip(&recorded);
            both.filter(|(_, outcomes)| is_in_use(outcomes))
                .map(|(both, _)| both)
        };
        // Each study is locked or made before anything is written, all in the same order: so transactions on PostgreSQL
        // wait for each other and not in a circle. What all stores of a facility write comes last.
        let first: BTreeMap<&str, _> = in_use().rev().map(|it| (it.0.study.as_str(), it)).collect();
        let mut studies: BTreeMap<&str, KeptStudy> = BTreeMap::new();
        for (uid, (pack, decided)) in first {
            studies.insert(uid, self.study(pack, decided).await?);
        }
        for (pack, decided) in in_use() {
            if let Some(study) = studies.get_mut(pack.study.as_str()) {
                self.pack(pack, decided, study).await?;
            }
        }
        let mut came = 0;
        for study in studies.values() {
            came += self.keep(study).await?;
        }
        let ids: Vec<PackId> = in_use().map(|(pack, _)| pack.pack_id).collect();
        sweep::refuse_swept(self.tx, &ids).await?;
        for (uid, study) in &studies {
            let mut of_study = in_use().filter(|(pack, _)| pack.study.as_str() == *uid);
            let has_holes = of_study.any(|(pack, decided)| has_more_holes(pack, decided));
            if has_holes || !study.is_made_at_once() {
                self.ask_for_repack(study).await?;
            }
        }
        let texts = studies
            .values()
            .flat_map(|study| study.texts.iter().cloned());
        parts::add(self.tx, self.owner, &texts.collect()).await?;
        count_studies(self.tx, self.owner, came).await?;
        Ok(recorded)
    }

    /// Makes or finds the study of a pack. One of which everything was erased is made anew in its old row.
    async fn study(&self, pack: &NewPack, decided: &[Decided]) -> Result<KeptStudy> {
        let there = self.find_study(&pack.study).await?;
        if let Some(study) = there.as_ref()
            && !study.series.is_empty()
        {
            return Ok(there.expect("it is there"));
        }
        let first = fresh(pack, decided).next();
        let (_, first) = first.expect("a pack of which nothing is new is not recorded");
        let registration = self.registration(&first.attributes).await?;
        match there {
            Some(study) => self.refill_study(study, first, registration).await,
            None => self.make_study(pack, first, registration).await,
        }
    }

    /// Writes the rows of a pack of which something is new.
    async fn pack(&self, pack: &NewPack, decided: &[Decided], study: &mut KeptStudy) -> Result<()> {
        let mut new: Vec<Fresh<'_>> = Vec::new();
        let mut replaced: Vec<Fresh<'_>> = Vec::new();
        for (there, instance) in fresh(pack, decided) {
            if let Some(id) = there {
                replaced.push((id, instance));
                continue;
            }
            if !study.series.contains_key(&instance.series) {
                let series = self.make_series(study, instance).await?;
                study.add_series(&instance.series, series);
            }
            study.count(instance);
            new.push((InstanceId(self.clock.new_id()), instance));
        }
        let all: Vec<Fresh<'_>> = new.iter().chain(&replaced).copied().collect();
        self.insert_pack(pack, &all, study).await?;
        self.insert_instances(pack, &new, study).await?;
        for one in replaced {
            self.replace(pack, one, study).await?;
        }
        Ok(())
    }

    /// Asks for the packs of a study to be written anew once nothing more has come for a while (architecture.md 7.5).
    async fn ask_for_repack(&self, study: &KeptStudy) -> Result<()> {
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
