//! Recording a batch (architecture.md 7.1, schema.md 5.4): in one transaction patients, studies and series are made or
//! found, instances are added, and the kept columns are brought up to date.
//!
//! `known` says what was there, `patient` whose it is, `kept` holds the counts while the batch runs, `rows` writes.

use std::collections::{BTreeMap, HashMap, HashSet};

use sea_orm::{ConnectionTrait, DatabaseTransaction};

use super::Index;
use super::record::{NewInstance, NewPack, Recorded, is_in_use};
use super::row::{failed, was_overtaken};
use crate::auth::StoreGrant;
use crate::error::Result;
use crate::model::{Clock, FacilityId, InstanceId, SopInstanceUid, Timestamp};

mod kept;
mod known;
mod patient;
mod rows;

pub use known::Known;

use kept::KeptStudy;

/// How often a batch is begun that others overtake. Each time one of them has ended and made what this one wanted to make:
/// a study, a series, a patient, an issuer, an instance. So one more than there are kinds of rows to make.
const ATTEMPTS: u32 = 6;

/// What all statements of one batch share.
struct Batch<'a> {
    tx: &'a DatabaseTransaction,
    owner: FacilityId,
    clock: &'a Clock,
    now: Timestamp,
}

impl Index {
    /// Records sealed packs, all instances in one transaction. The result has one list a pack, one outcome an instance,
    /// in their order.
    ///
    /// The key of an instance is its owner and its SOP Instance UID (SH-1.2). The same UID with the same bytes in the
    /// same series is already there (T21); any other is a conflict, and what is there stays (T22, policy `reject`); the
    /// same holds inside of the batch (T36). The bytes of both stay in the pack as holes. A pack of which nothing is new
    /// is not recorded at all, see [`is_in_use`]. A study and a series keep the attributes of the first instance that
    /// came (Q72).
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
            clock: &self.clock,
            now: self.clock.now(),
        };
        match batch.record(packs).await {
            Ok(recorded) => {
                tx.commit().await.map_err(failed)?;
                Ok(recorded)
            }
            Err(error) => {
                tx.rollback().await.ok();
                Err(error)
            }
        }
    }

    /// What the caller's facility holds under a SOP Instance UID, for an early answer; [`Index::record_batch`] decides.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn known(
        &self,
        grant: &StoreGrant,
        instance: &SopInstanceUid,
    ) -> Result<Option<Known>> {
        let mut known = known::among(&self.reader, grant.facility().id, &[instance]).await?;
        Ok(known.remove(instance))
    }
}

impl Batch<'_> {
    async fn record(&self, packs: &[NewPack]) -> Result<Vec<Vec<Recorded>>> {
        let uids: HashSet<&SopInstanceUid> = packs
            .iter()
            .flat_map(|pack| &pack.instances)
            .map(|new| &new.instance)
            .collect();
        let uids: Vec<_> = uids.into_iter().collect();
        let mut known = known::among(self.tx, self.owner, &uids).await?;
        let recorded: Vec<Vec<Recorded>> =
            packs.iter().map(|pack| decide(pack, &mut known)).collect();
        let in_use = || {
            let both = packs.iter().zip(&recorded);
            both.filter(|(_, outcomes)| is_in_use(outcomes))
        };
        // Each study is locked or made before anything is written, all in the same order: so transactions on PostgreSQL
        // wait for each other and not in a circle. What all stores of a facility write comes last.
        let first: BTreeMap<&str, _> = in_use().rev().map(|it| (it.0.study.as_str(), it)).collect();
        let mut studies: BTreeMap<&str, KeptStudy> = BTreeMap::new();
        for (uid, (pack, outcomes)) in first {
            studies.insert(uid, self.study(pack, outcomes).await?);
        }
        for (pack, outcomes) in in_use() {
            if let Some(study) = studies.get_mut(pack.study.as_str()) {
                self.pack(pack, outcomes, study).await?;
            }
        }
        for study in studies.values() {
            self.keep(study).await?;
        }
        let made = studies.values().filter(|study| study.version == 1).count();
        self.count_studies(made).await?;
        Ok(recorded)
    }

    /// Makes or finds the study of a pack.
    async fn study(&self, pack: &NewPack, outcomes: &[Recorded]) -> Result<KeptStudy> {
        if let Some(study) = self.find_study(&pack.study).await? {
            return Ok(study);
        }
        let first = fresh(pack, outcomes).next();
        let first = first.expect("a pack of which nothing is new is not recorded");
        let registration = self.registration(&first.attributes).await?;
        self.make_study(pack, first, registration).await
    }

    /// Writes the rows of a pack of which something is new.
    async fn pack(
        &self,
        pack: &NewPack,
        outcomes: &[Recorded],
        study: &mut KeptStudy,
    ) -> Result<()> {
        for new in fresh(pack, outcomes) {
            if !study.series.contains_key(&new.series) {
                let series = self.make_series(study, new).await?;
                study.add_series(&new.series, series);
            }
            study.count(new);
        }
        let fresh: Vec<(InstanceId, &NewInstance)> = fresh(pack, outcomes)
            .map(|new| (InstanceId(self.clock.new_id()), new))
            .collect();
        self.insert_pack(pack, &fresh, study).await?;
        self.insert_instances(pack, &fresh, study).await
    }

    async fn execute<S: sea_orm::StatementBuilder>(&self, statement: &S) -> Result<()> {
        self.tx.execute(statement).await.map_err(failed)?;
        Ok(())
    }
}

/// Decides about each instance of a pack, and remembers the new ones.
fn decide(pack: &NewPack, known: &mut HashMap<SopInstanceUid, Known>) -> Vec<Recorded> {
    let mut outcomes = Vec::with_capacity(pack.instances.len());
    for new in &pack.instances {
        let candidate = Known {
            study: pack.study.clone(),
            series: new.series.clone(),
            digest: new.digest,
        };
        outcomes.push(match known.get(&new.instance) {
            Some(there) if *there == candidate => Recorded::AlreadyThere,
            Some(_) => Recorded::Conflict,
            None => {
                known.insert(new.instance.clone(), candidate);
                Recorded::New
            }
        });
    }
    outcomes
}

/// The new instances of a pack.
fn fresh<'p>(pack: &'p NewPack, outcomes: &'p [Recorded]) -> impl Iterator<Item = &'p NewInstance> {
    pack.instances
        .iter()
        .zip(outcomes)
        .filter(|(_, outcome)| **outcome == Recorded::New)
        .map(|(new, _)| new)
}
