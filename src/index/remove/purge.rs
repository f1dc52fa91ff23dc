//! Erasing what two persons agreed to (SH-11.4): rows go and tombstones come in one transaction a deletion.
//!
//! Bytes go later: a pack that nothing points at any more is marked as replaced, and whoever sweeps replaced packs deletes
//! its objects. A pack that holds something else keeps it, and its dead bytes with it, until it is written anew.

use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, DatabaseTransaction};
use uuid::Uuid;

use super::{HeldStudy, change, deletion, hold_study};
use crate::error::{Error, Result};
use crate::index::jobs::{Again, enqueue, repack};
use crate::index::row::{failed, get};
use crate::index::timing::commit;
use crate::index::{Index, columns, parts};
use crate::model::{
    AttributeSet, Deletion, DeletionId, DeletionState, FacilityId, Level, RejectCode, StudyId,
    Timestamp,
};

/// What was erased.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Deletions that are done.
    pub deletions: u64,
    /// Instances that are gone.
    pub instances: u64,
    /// Packs that nothing points at any more: their objects may go.
    pub packs: u64,
}

impl Index {
    /// Erases what the deletion that has been due the longest took; `None` if none is due at `now`. Done twice it is done
    /// once: what is erased is not due.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away. Nothing is erased then.
    pub async fn purge_next(&self, now: Timestamp) -> Result<Option<Purged>> {
        let tx = self.begin().await?;
        let Some((owner, id)) = due(&tx, now).await? else {
            return Ok(None);
        };
        let study = hold_study(&tx, owner, id).await?;
        let found = deletion(&tx, owner, id).await?;
        // Restored, erased or to be kept while the study's row was waited for: not due any more, so that it is not met again.
        if found.state != DeletionState::Approved || study.may_go(now).is_err() {
            return Ok(Some(Purged::default()));
        }
        let instances = bury(&tx, owner, &study, &found, now).await?;
        forget(&tx, owner, study.id, id).await?;
        let packs = let_go(&tx, study.id, now).await?;
        // What is erased is to be gone from packs that hold something else, too.
        let next = repack(study.id, now, self.repack_quiet_s);
        enqueue(&tx, &self.clock, (Some(owner), &next), Again::Move).await?;
        clear(&tx, owner, study.id).await?;
        let mut changed = change(id, DeletionState::Erased);
        changed.value("erased_at", now.0);
        tx.execute(&changed).await.map_err(failed)?;
        commit(tx).await?;
        Ok(Some(Purged {
            deletions: 1,
            instances,
            packs,
        }))
    }
}

/// The deletion that has been due the longest, with its owner. One whose study must be kept after all waits.
async fn due(tx: &DatabaseTransaction, now: Timestamp) -> Result<Option<(FacilityId, DeletionId)>> {
    let kept = Query::select()
        .expr(Expr::cust("1"))
        .from_as("study", "s")
        .and_where(Expr::col(("s", "study_id")).equals(("d", "study_id")))
        .and_where(Expr::col(("s", "retain_until")).gt(now.0))
        .take();
    let first = Query::select()
        .columns(["deletion_id", "owner_facility_id"].map(|column| ("d", column)))
        .from_as("deletion", "d")
        // In words, so that the partial index serves it.
        .and_where(Expr::cust("d.state = 'approved'"))
        .and_where(Expr::col(("d", "purge_at")).lte(now.0))
        .and_where(Expr::not(Expr::exists(kept)))
        .order_by(("d", "purge_at"), Order::Asc)
        .limit(1)
        .take();
    let row = tx.query_one(&first).await.map_err(failed)?;
    row.map(|row| {
        let owner = FacilityId(get(&row, "owner_facility_id")?);
        Ok((owner, DeletionId(get(&row, "deletion_id")?)))
    })
    .transpose()
}

/// Writes the tombstones of what a deletion took, and gives their number.
async fn bury(
    tx: &DatabaseTransaction,
    owner: FacilityId,
    study: &HeldStudy,
    found: &Deletion,
    now: Timestamp,
) -> Result<u64> {
    let code = found.removal.code().map(RejectCode::as_str);
    let reason: Vec<&str> = code.into_iter().chain(found.reason.as_deref()).collect();
    let persons = serde_json::json!({
        "requested": found.requested.by,
        "approved": found.approved.as_ref().map(|act| &act.by),
    });
    let series = Expr::col(("r", "series_id")).equals(("i", "series_id"));
    let taken = Query::select()
        .expr(Expr::val(owner.0))
        .column(("i", "sop_instance_uid"))
        .expr(Expr::val(found.study.as_str()))
        .column(("r", "series_instance_uid"))
        .columns([("i", "study_id"), ("i", "deletion_id"), ("i", "digest")])
        .expr(Expr::val(reason.join(" ")))
        .expr(Expr::val(persons.to_string()))
        .expr(Expr::val(now.0))
        .from_as("instance", "i")
        .join_as(JoinType::InnerJoin, "series", "r", series)
        .and_where(Expr::col(("i", "study_id")).eq(study.id.0))
        .and_where(Expr::col(("i", "deletion_id")).eq(found.id.0))
        .take();
    let mut insert = Query::insert();
    insert.into_table("tombstone").columns([
        "owner_facility_id",
        "sop_instance_uid",
        "study_instance_uid",
        "series_instance_uid",
        "study_id",
        "deletion_id",
        "digest",
        "reason",
        "persons",
        "erased_at",
    ]);
    insert
        .select_from(taken)
        .map_err(|error| Error::internal("a tombstone has other columns", error))?;
    let done = tx.execute(&insert).await.map_err(failed)?;
    Ok(done.rows_affected())
}

/// Removes the rows of what a deletion took.
async fn forget(
    tx: &DatabaseTransaction,
    owner: FacilityId,
    study: StudyId,
    id: DeletionId,
) -> Result<()> {
    let taken = |column: &'static str| -> SelectStatement {
        Query::select()
            .column(column)
            .from("instance")
            .and_where(Expr::col("study_id").eq(study.0))
            .and_where(Expr::col("deletion_id").eq(id.0))
            .take()
    };
    let uids = Query::delete()
        .from_table("instance_uid")
        .and_where(Expr::col("owner_facility_id").eq(owner.0))
        .and_where(Expr::col("sop_instance_uid").in_subquery(taken("sop_instance_uid")))
        .take();
    let versions = Query::delete()
        .from_table("instance_history")
        .and_where(Expr::col("study_id").eq(study.0))
        .and_where(Expr::col("instance_id").in_subquery(taken("instance_id")))
        .take();
    let instances = Query::delete()
        .from_table("instance")
        .and_where(Expr::col("study_id").eq(study.0))
        .and_where(Expr::col("deletion_id").eq(id.0))
        .take();
    // They may say what is erased.
    let documents = Query::delete()
        .from_table("mint_update")
        .and_where(Expr::col("study_id").eq(study.0))
        .take();
    for statement in [uids, versions, instances, documents] {
        tx.execute(&statement).await.map_err(failed)?;
    }
    Ok(())
}

/// Counts the bytes that are still pointed at in the packs of a study, and marks those of which nothing is. Gives their
/// number.
async fn let_go(tx: &DatabaseTransaction, study: StudyId, now: Timestamp) -> Result<u64> {
    let in_pack = |table: &'static str| {
        Query::select()
            .from_as(table, "x")
            .and_where(Expr::col(("x", "study_id")).eq(study.0))
            .and_where(Expr::col(("x", "pack_id")).equals(("pack", "pack_id")))
            .take()
    };
    let bytes = |table| {
        let sum = Expr::cust("CAST(COALESCE(SUM(x.byte_count), 0) AS BIGINT)");
        let select = in_pack(table).expr(sum).take();
        Expr::SubQuery(None, Box::new(select.into()))
    };
    let any = |table| Expr::exists(in_pack(table).expr(Expr::cust("1")).take());
    let here = Expr::col("study_id")
        .eq(study.0)
        .and(Expr::col("replaced_at").is_null());
    let count = Query::update()
        .table("pack")
        .value(
            "live_bytes",
            bytes("instance").add(bytes("instance_history")),
        )
        .and_where(here.clone())
        .take();
    tx.execute(&count).await.map_err(failed)?;
    let mark = Query::update()
        .table("pack")
        .value("replaced_at", now.0)
        .and_where(here)
        .and_where(Expr::not(any("instance")))
        .and_where(Expr::not(any("instance_history")))
        .take();
    let marked = tx.execute(&mark).await.map_err(failed)?;
    Ok(marked.rows_affected())
}

/// Removes the series of a study of which nothing is left, and what is known of the patient where that is the whole study.
/// Its row stays as long as packs point at it, with its UID alone; a store fills it anew.
async fn clear(tx: &DatabaseTransaction, owner: FacilityId, study: StudyId) -> Result<()> {
    let left = Query::select()
        .expr(Expr::cust("1"))
        .from_as("instance", "i")
        .and_where(Expr::col(("i", "study_id")).eq(study.0))
        .and_where(Expr::col(("i", "series_id")).equals(("series", "series_id")))
        .take();
    let empty = Query::select()
        .column("series_id")
        .from("series")
        .and_where(Expr::col("study_id").eq(study.0))
        .and_where(Expr::not(Expr::exists(left)))
        .take();
    let rows = tx.query_all(&empty).await.map_err(failed)?;
    for row in &rows {
        let series: Uuid = get(row, "series_id")?;
        for table in ["metadata_piece", "series"] {
            let delete = Query::delete()
                .from_table(table)
                .and_where(Expr::col("series_id").eq(series))
                .take();
            tx.execute(&delete).await.map_err(failed)?;
        }
    }
    let any = Query::select()
        .expr(Expr::cust("1"))
        .from("series")
        .and_where(Expr::col("study_id").eq(study.0))
        .take();
    let texts = parts::of_study(tx, study).await?;
    let nothing = AttributeSet::default();
    let blank =
        columns::of(Level::Study).map(|column| (column.name(), Expr::from(column.value(&nothing))));
    let forget = Query::update()
        .table("study")
        .values(blank)
        .value("registration_id", None::<Uuid>)
        .value("name_key", None::<String>)
        .and_where(Expr::col("study_id").eq(study.0))
        .and_where(Expr::not(Expr::exists(any)))
        .take();
    let done = tx.execute(&forget).await.map_err(failed)?;
    if done.rows_affected() > 0 {
        parts::forget(tx, owner, texts).await?;
    }
    Ok(())
}
