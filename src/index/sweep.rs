//! What nobody needs any more: packs that were replaced, and objects that no row knows (decision 0008).

use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Order, Query};
use sea_orm::{ConnectionTrait, DatabaseTransaction};

use super::Index;
use super::row::{failed, get};
use super::timing::commit;
use crate::error::{Error, Kind, Result};
use crate::model::{FacilityCode, PackId, Timestamp};

/// A replaced pack and its objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// Key.
    pub id: PackId,
    /// Its objects.
    pub objects: Vec<String>,
}

/// The condition that no row points into `pack`: no instance, whatever its state, and no earlier version of one.
pub(super) fn holds_nothing() -> Expr {
    let any = |table: &'static str| {
        let row = Query::select()
            .expr(Expr::cust("1"))
            .from_as(table, "x")
            .and_where(Expr::col(("x", "study_id")).equals(("pack", "study_id")))
            .and_where(Expr::col(("x", "pack_id")).equals(("pack", "pack_id")))
            .take();
        Expr::exists(row)
    };
    any("instance").or(any("instance_history")).not()
}

/// Refuses packs whose objects were swept. Asked after their rows were inserted, which holds the row of their facility
/// until the end of the transaction: [`Index::claim_orphans`] waits for that.
pub(super) async fn refuse_swept(tx: &DatabaseTransaction, packs: &[PackId]) -> Result<()> {
    let select = Query::select()
        .column("pack_id")
        .from("swept_pack")
        .and_where(Expr::col("pack_id").is_in(packs.iter().map(|pack| pack.0)))
        .limit(1)
        .take();
    match tx.query_one(&select).await.map_err(failed)? {
        None => Ok(()),
        Some(_) => Err(Error::new(
            Kind::Unavailable,
            "storing took so long that its bytes were swept as left over; send it again",
        )),
    }
}

impl Index {
    /// At most `limit` packs that were replaced before `before`, oldest first.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn replaced_before(&self, before: Timestamp, limit: u64) -> Result<Vec<Replaced>> {
        let select = Query::select()
            .column("pack_id")
            .from("pack")
            .and_where(Expr::col("replaced_at").is_not_null())
            .and_where(Expr::col("replaced_at").lt(before.0))
            .and_where(holds_nothing())
            .order_by("replaced_at", Order::Asc)
            .limit(limit)
            .take();
        let rows = self.reader.query_all(&select).await.map_err(failed)?;
        let ids = rows.iter().map(|row| get(row, "pack_id").map(PackId));
        let ids = ids.collect::<Result<Vec<PackId>>>()?;
        let mut objects = self.objects_of(&ids).await?;
        let replaced = ids.into_iter().map(|id| Replaced {
            id,
            objects: objects.remove(&id).unwrap_or_default(),
        });
        Ok(replaced.collect())
    }

    /// Drops the rows of a replaced pack whose objects are gone.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn drop_replaced(&self, pack: PackId) -> Result<()> {
        let tx = self.begin().await?;
        for table in ["metadata_piece", "pack_copy"] {
            let delete = Query::delete()
                .from_table(table)
                .and_where(Expr::col("pack_id").eq(pack.0))
                .take();
            tx.execute(&delete).await.map_err(failed)?;
        }
        let delete = Query::delete()
            .from_table("pack")
            .and_where(Expr::col("pack_id").eq(pack.0))
            .and_where(Expr::col("replaced_at").is_not_null())
            .take();
        tx.execute(&delete).await.map_err(failed)?;
        commit(tx).await
    }

    /// Which of `packs` no row knows.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn unknown_packs(&self, packs: &[PackId]) -> Result<Vec<PackId>> {
        unknown(&self.reader, packs).await
    }

    /// Settles that those of `packs` that have no row will never have one, and gives them: from now on their objects may be
    /// dropped. `owner` names whose they are; nothing is given for an owner that is not known.
    ///
    /// Safe without a clock: inserting a pack holds the row of its facility, which is taken whole here. Who inserted
    /// before is seen, who inserts later finds the pack swept.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn claim_orphans(
        &self,
        owner: &FacilityCode,
        packs: &[PackId],
    ) -> Result<Vec<PackId>> {
        let tx = self.begin().await?;
        let facility = Query::select()
            .column("facility_id")
            .from("facility")
            .and_where(Expr::col("code").eq(owner.as_str()))
            .lock_exclusive()
            .take();
        if tx.query_one(&facility).await.map_err(failed)?.is_none() {
            return Ok(Vec::new());
        }
        let orphans = unknown(&tx, packs).await?;
        let now = self.clock.now().0;
        for orphan in &orphans {
            let mut again = OnConflict::column("pack_id");
            again.do_nothing();
            let insert = Query::insert()
                .into_table("swept_pack")
                .columns(["pack_id", "swept_at"])
                .values_panic([orphan.0.into(), now.into()])
                .on_conflict(again)
                .take();
            tx.execute(&insert).await.map_err(failed)?;
        }
        commit(tx).await?;
        Ok(orphans)
    }

    /// Bytes of packs in use that belong to no live instance: holes, and what was binned or erased.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn hole_bytes(&self) -> Result<u64> {
        let select = Query::select()
            .expr_as(
                Expr::cust("CAST(COALESCE(SUM(byte_count - live_bytes), 0) AS BIGINT)"),
                "holes",
            )
            .from("pack")
            .and_where(Expr::col("replaced_at").is_null())
            .take();
        let row = self.reader.query_one(&select).await.map_err(failed)?;
        let holes: Option<i64> = row.map(|row| get(&row, "holes")).transpose()?;
        Ok(holes
            .and_then(|holes| u64::try_from(holes).ok())
            .unwrap_or(0))
    }
}

/// Which of `packs` no row knows, on a connection or in a transaction.
async fn unknown<C: ConnectionTrait>(db: &C, packs: &[PackId]) -> Result<Vec<PackId>> {
    let select = Query::select()
        .column("pack_id")
        .from("pack")
        .and_where(Expr::col("pack_id").is_in(packs.iter().map(|pack| pack.0)))
        .take();
    let rows = db.query_all(&select).await.map_err(failed)?;
    let known: Result<std::collections::HashSet<PackId>> = rows
        .iter()
        .map(|row| Ok(PackId(get(row, "pack_id")?)))
        .collect();
    let known = known?;
    Ok(packs
        .iter()
        .copied()
        .filter(|pack| !known.contains(pack))
        .collect())
}
