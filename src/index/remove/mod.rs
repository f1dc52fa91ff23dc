//! Out of sight, back again, and erased (SH-11.3, SH-11.4): each a transaction of its own, all or nothing.
//!
//! An instance in the bin keeps its row, its bytes and its UID; only its state says that it is gone, and `deletion_id` which
//! deletion took it. Whoever removes or restores holds the row of the study, as every store does, and counts anew what it
//! touched. Addresses of bytes are not touched here.

use sea_orm::sea_query::{Cond, Expr, ExprTrait, InsertStatement, Query, UpdateStatement};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult};

use super::Index;
use super::catalog::Scope;
use super::catalog::deletions::{read, select};
use super::kept::recount;
use super::mint::{NewChange, note};
use super::row::{failed, get};
use crate::auth::RemoveGrant;
use crate::error::{Error, Kind, Result};
use crate::index::timing::commit;
use crate::model::{
    Clock, Deletion, DeletionId, DeletionState, FacilityId, RejectCode, Removal, SeriesId,
    SeriesUid, SopInstanceUid, StudyId, Timestamp,
};

mod purge;

pub use purge::Purged;

/// What a removal is asked for with.
#[derive(Clone, Debug)]
pub struct Why {
    /// Deleted or rejected.
    pub removal: Removal,
    /// In the words of who asks.
    pub reason: Option<String>,
    /// Nothing is erased before.
    pub purge_at: Timestamp,
}

/// The condition under which a deletion may be changed: the versions that the caller has seen, `None` for any.
pub type Seen<'a> = Option<&'a [u32]>;

/// The row of a study, held.
struct HeldStudy {
    id: StudyId,
    version: i32,
    retain_until: Option<Timestamp>,
}

impl HeldStudy {
    /// Refuses while the retention of the study runs (S14, SH-11.1).
    fn may_go(&self, now: Timestamp) -> Result<()> {
        match self.retain_until {
            Some(until) if until > now => Err(Error::new(
                Kind::Conflict,
                "the study must be kept: its retention still runs",
            )),
            _ => Ok(()),
        }
    }

    /// The change that makes the next version.
    fn changed(&self, came: i64) -> impl Iterator<Item = NewChange> {
        std::iter::once(NewChange {
            study: self.id,
            version: self.next(),
            came,
        })
    }

    /// The version that a change makes.
    fn next(&self) -> i32 {
        self.version.saturating_add(1)
    }
}

impl Index {
    /// Takes the live instances of `scope` out of sight. Of a study that is in the bin in part, the rest.
    ///
    /// # Errors
    /// `Kind::NotFound` if nothing of it lives, `Kind::Conflict` while the study must be kept.
    pub async fn bin(&self, grant: &RemoveGrant, scope: &Scope, why: &Why) -> Result<Deletion> {
        let tx = self.begin().await?;
        let now = self.clock.now();
        let study = hold_study_of(&tx, grant.facility_id(), scope).await?;
        // A rejection hides and erases nothing, so retention forbids it only where it says that retention is over.
        let says_retention_is_over =
            matches!(why.removal, Removal::Reject(RejectCode::RetentionExpired));
        if why.removal == Removal::Delete || says_retention_is_over {
            study.may_go(now)?;
        }
        let asked = Asked {
            grant,
            scope,
            why,
            now,
        };
        let id = DeletionId(self.clock.new_id());
        let series = asked.take(&tx, id, (study.id, study.next())).await?;
        let owner = grant.facility_id();
        let came = recount(&tx, (owner, study.id), series, study.next()).await?;
        note(&tx, (owner, grant.person()), now, study.changed(came)).await?;
        let deletion = deletion(&tx, grant.facility_id(), id).await?;
        move_epoch(&tx).await?;
        commit(tx).await?;
        Ok(deletion)
    }

    /// Brings back what a deletion took.
    ///
    /// # Errors
    /// `Kind::NotFound` if it is not there or another facility's, `Kind::Gone` if it is no longer in the bin,
    /// `Kind::Precondition` if the caller has seen another version.
    pub async fn restore(
        &self,
        grant: &RemoveGrant,
        id: DeletionId,
        seen: Seen<'_>,
    ) -> Result<Deletion> {
        let tx = self.begin().await?;
        let owner = grant.facility_id();
        let study = hold_study(&tx, owner, id).await?;
        let found = deletion(&tx, owner, id).await?;
        check(&found, seen, |_| Ok(()))?;
        let back = Query::update()
            .table("instance")
            .value("state", "live")
            .value("deletion_id", None::<uuid::Uuid>)
            .value("study_version", study.next())
            .and_where(Expr::col("study_id").eq(study.id.0))
            .and_where(Expr::col("deletion_id").eq(id.0))
            .take();
        tx.execute(&back).await.map_err(failed)?;
        let mut changed = change(id, DeletionState::Restored);
        changed
            .value("restored_by", grant.person())
            .value("restored_at", self.clock.now().0);
        tx.execute(&changed).await.map_err(failed)?;
        let came = recount(&tx, (owner, study.id), None, study.next()).await?;
        let now = self.clock.now();
        note(&tx, (owner, grant.person()), now, study.changed(came)).await?;
        let restored = deletion(&tx, owner, id).await?;
        move_epoch(&tx).await?;
        commit(tx).await?;
        Ok(restored)
    }

    /// Agrees to a deletion as the second person: it is erased when its time has come.
    ///
    /// # Errors
    /// As [`Index::restore`], and `Kind::Conflict` if the caller asked for it, if somebody has agreed already, or while the
    /// study must be kept.
    pub async fn approve(
        &self,
        grant: &RemoveGrant,
        id: DeletionId,
        seen: Seen<'_>,
    ) -> Result<Deletion> {
        let tx = self.begin().await?;
        let (owner, now) = (grant.facility_id(), self.clock.now());
        let study = hold_study(&tx, owner, id).await?;
        let found = deletion(&tx, owner, id).await?;
        check(&found, seen, |found| {
            if found.state == DeletionState::Approved {
                return Err(Error::new(Kind::Conflict, "it is approved already"));
            }
            if found.requested.by == grant.person() {
                let detail = "the person who asked for it cannot approve it";
                return Err(Error::new(Kind::Conflict, detail));
            }
            study.may_go(now)
        })?;
        let mut changed = change(id, DeletionState::Approved);
        changed
            .value("approved_by", grant.person())
            .value("approved_at", now.0);
        tx.execute(&changed).await.map_err(failed)?;
        let approved = deletion(&tx, owner, id).await?;
        commit(tx).await?;
        Ok(approved)
    }
}

/// Takes what several scopes of a study name out of sight, in the version that this makes of it: a part of a change whose other
/// parts are the caller's, who holds the row of the study and counts anew.
///
/// # Errors
/// As [`Index::bin`], but that nothing need be there.
pub(super) async fn take_out(
    tx: &DatabaseTransaction,
    clock: &Clock,
    (grant, scopes, why): (&RemoveGrant, &[Scope], &Why),
    (study, version): (StudyId, i32),
) -> Result<()> {
    let now = clock.now();
    held(tx, Expr::col("study_id").eq(study.0))
        .await?
        .may_go(now)?;
    for scope in scopes {
        let asked = Asked {
            grant,
            scope,
            why,
            now,
        };
        let id = DeletionId(clock.new_id());
        match asked.take(tx, id, (study, version)).await {
            Err(error) if error.kind() == Kind::NotFound => {}
            taken => drop(taken?),
        }
    }
    move_epoch(tx).await
}

/// What a removal was asked for.
struct Asked<'a> {
    grant: &'a RemoveGrant,
    scope: &'a Scope,
    why: &'a Why,
    now: Timestamp,
}

impl Asked<'_> {
    /// Takes the live instances of the scope out of sight, with a deletion that says so, in the version that this makes of the
    /// study. The caller counts anew; gives the series that the scope names.
    async fn take(
        &self,
        tx: &DatabaseTransaction,
        id: DeletionId,
        (study, version): (StudyId, i32),
    ) -> Result<Option<SeriesId>> {
        let series = series_of(tx, study, self.scope).await?;
        let mut live = Cond::all()
            .add(Expr::col("study_id").eq(study.0))
            .add(Expr::col("state").eq("live"));
        if let Some(series) = series {
            live = live.add(Expr::col("series_id").eq(series.0));
        }
        if let Some(instance) = &self.scope.instance {
            live = live.add(Expr::col("sop_instance_uid").eq(instance.as_str()));
        }
        let (count, bytes) = sum(tx, live.clone()).await?;
        if count == 0 {
            return Err(Error::not_found());
        }
        let insert = self.insert(id, study, (count, bytes));
        tx.execute(&insert).await.map_err(failed)?;
        let take = Query::update()
            .table("instance")
            .value("state", self.why.removal.instance_state())
            .value("deletion_id", id.0)
            .value("study_version", version)
            .cond_where(live)
            .take();
        tx.execute(&take).await.map_err(failed)?;
        Ok(series)
    }

    /// The row of the deletion, which took so many instances of so many bytes.
    fn insert(
        &self,
        id: DeletionId,
        study: StudyId,
        (count, bytes): (i64, i64),
    ) -> InsertStatement {
        let Scope {
            study: study_uid,
            series,
            instance,
        } = self.scope;
        let series = series.as_ref().map(SeriesUid::as_str);
        let instance = instance.as_ref().map(SopInstanceUid::as_str);
        let code = self.why.removal.code().map(RejectCode::as_str);
        let row: [(_, Expr); 16] = [
            ("deletion_id", id.0.into()),
            ("owner_facility_id", self.grant.facility_id().0.into()),
            ("study_id", study.0.into()),
            ("study_instance_uid", study_uid.as_str().into()),
            ("series_instance_uid", series.into()),
            ("sop_instance_uid", instance.into()),
            ("kind", self.why.removal.as_str().into()),
            ("code", code.into()),
            ("reason", self.why.reason.as_deref().into()),
            ("state", DeletionState::Binned.as_str().into()),
            (
                "instance_count",
                i32::try_from(count).unwrap_or(i32::MAX).into(),
            ),
            ("byte_count", bytes.into()),
            ("requested_by", self.grant.person().into()),
            ("requested_at", self.now.0.into()),
            ("purge_at", self.why.purge_at.0.into()),
            ("version", 1_i32.into()),
        ];
        let (columns, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
        Query::insert()
            .into_table("deletion")
            .columns(columns)
            .values_panic(values)
            .take()
    }
}

/// Whether a deletion may be changed. What would be refused anyway is refused for that reason (RFC 9110 13.2.1).
fn check(
    found: &Deletion,
    seen: Seen<'_>,
    further: impl FnOnce(&Deletion) -> Result<()>,
) -> Result<()> {
    if !found.state.is_in_bin() {
        let detail = format!(
            "no longer in the bin: it is {} already",
            found.state.as_str()
        );
        return Err(Error::new(Kind::Gone, detail));
    }
    further(found)?;
    if seen.is_some_and(|versions| !versions.contains(&found.version)) {
        let detail = "the deletion has changed since: read it again, then send its new ETag";
        return Err(Error::new(Kind::Precondition, detail));
    }
    Ok(())
}

/// A deletion's step to another state.
fn change(id: DeletionId, state: DeletionState) -> UpdateStatement {
    Query::update()
        .table("deletion")
        .value("state", state.as_str())
        .value("version", Expr::col("version").add(1))
        .and_where(Expr::col("deletion_id").eq(id.0))
        .take()
}

/// A deletion of an owner, read inside of the transaction that changes it.
async fn deletion(tx: &DatabaseTransaction, owner: FacilityId, id: DeletionId) -> Result<Deletion> {
    let mut one = select(owner);
    one.and_where(Expr::col("deletion_id").eq(id.0))
        .lock_exclusive();
    let row = tx.query_one(&one).await.map_err(failed)?;
    read(&row.ok_or_else(Error::not_found)?)
}

/// The owner's study of a scope, held until the transaction ends.
async fn hold_study_of(
    tx: &DatabaseTransaction,
    owner: FacilityId,
    scope: &Scope,
) -> Result<HeldStudy> {
    let of_scope = Expr::col("owner_facility_id")
        .eq(owner.0)
        .and(Expr::col("study_instance_uid").eq(scope.study.as_str()));
    held(tx, of_scope).await
}

/// The study of an owner's deletion, held until the transaction ends: before the deletion itself, as everywhere.
async fn hold_study(
    tx: &DatabaseTransaction,
    owner: FacilityId,
    id: DeletionId,
) -> Result<HeldStudy> {
    let of_deletion = Query::select()
        .column("study_id")
        .from("deletion")
        .and_where(Expr::col("owner_facility_id").eq(owner.0))
        .and_where(Expr::col("deletion_id").eq(id.0))
        .take();
    held(tx, Expr::col("study_id").in_subquery(of_deletion)).await
}

async fn held(tx: &DatabaseTransaction, is_it: Expr) -> Result<HeldStudy> {
    let select = Query::select()
        .columns(["study_id", "study_version", "retain_until"])
        .from("study")
        .and_where(is_it)
        .lock_exclusive()
        .take();
    let row = tx.query_one(&select).await.map_err(failed)?;
    read_study(&row.ok_or_else(Error::not_found)?)
}

fn read_study(row: &QueryResult) -> Result<HeldStudy> {
    Ok(HeldStudy {
        id: StudyId(get(row, "study_id")?),
        version: get(row, "study_version")?,
        retain_until: get::<Option<i64>>(row, "retain_until")?.map(Timestamp),
    })
}

/// The series that a scope names, if it names one.
async fn series_of(
    tx: &DatabaseTransaction,
    study: StudyId,
    scope: &Scope,
) -> Result<Option<SeriesId>> {
    let Some(series) = &scope.series else {
        return Ok(None);
    };
    let one = Query::select()
        .column("series_id")
        .from("series")
        .and_where(Expr::col("study_id").eq(study.0))
        .and_where(Expr::col("series_instance_uid").eq(series.as_str()))
        .take();
    let row = tx.query_one(&one).await.map_err(failed)?;
    let row = row.ok_or_else(Error::not_found)?;
    Ok(Some(SeriesId(get(&row, "series_id")?)))
}

/// How many instances, and how long they are together.
async fn sum(tx: &DatabaseTransaction, of: Cond) -> Result<(i64, i64)> {
    let sum = Query::select()
        .expr_as(Expr::cust("COUNT(*)"), "instances")
        .expr_as(
            Expr::cust("CAST(COALESCE(SUM(byte_count), 0) AS BIGINT)"),
            "bytes",
        )
        .from("instance")
        .cond_where(of)
        .take();
    let row = tx.query_one(&sum).await.map_err(failed)?;
    let row = row.ok_or_else(|| Error::new(Kind::Internal, "a sum has no row"))?;
    Ok((get(&row, "instances")?, get(&row, "bytes")?))
}

/// Moves the epoch of rights: what is being sent is looked at again (SH-3.6).
async fn move_epoch(tx: &DatabaseTransaction) -> Result<()> {
    let update = Query::update()
        .table("acl_epoch")
        .value("epoch", Expr::col("epoch").add(1))
        .and_where(Expr::col("acl_epoch_id").eq(1))
        .take();
    tx.execute(&update).await.map_err(failed)?;
    Ok(())
}
