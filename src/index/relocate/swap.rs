//! The one transaction that swaps addresses.

use std::ops::Range;

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, DatabaseTransaction};

use crate::error::Result;
use crate::index::row::{failed, signed};
use crate::index::timing::commit;
use crate::index::{Catalog, sweep};
use crate::model::{InstanceId, PackId, SeriesId, StudyId, Timestamp};
use crate::storage::{Sealed, SealedEntry};

/// Ids in one statement.
const CHUNK: usize = 500;

/// A sealed pack that takes over instances of one series.
#[derive(Debug)]
pub struct NewPlace {
    /// The pack; its entries stand in the order of `from`.
    pub sealed: Sealed,
    /// The base under which links stand in its heads.
    pub base_url: String,
    /// Which series.
    pub series: SeriesId,
    /// Who moves, and from where: pack and offset.
    pub from: Vec<(InstanceId, PackId, u64)>,
}

impl Catalog<'_> {
    /// Swaps addresses, all in one transaction: instances that still lie where they were read from now lie in `places`, and
    /// of the packs `old` those that hold nothing any more are replaced from now on. What was stored, binned, restored or
    /// erased meanwhile stays as it is. Gives for each place whether anything moved into it: if not, no row names its
    /// objects, and they are to be dropped.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away, or if one of the places was swept; nothing is changed then.
    pub async fn relocate(
        &self,
        study: StudyId,
        places: &[NewPlace],
        old: &[PackId],
    ) -> Result<Vec<bool>> {
        let tx = self.index.begin().await?;
        let swap = Swap {
            tx: &tx,
            study,
            owner: self.access.facility_id().0,
            now: self.index.clock.now(),
        };
        if !swap.lock().await? {
            return Ok(vec![false; places.len()]);
        }
        let mut taken = Vec::with_capacity(places.len());
        for place in places {
            taken.push(swap.place(place).await?);
        }
        let new: Vec<PackId> = places.iter().map(|place| place.sealed.pack_id).collect();
        sweep::refuse_swept(&tx, &new).await?;
        for old in old.chunks(CHUNK) {
            swap.settle(old).await?;
        }
        commit(tx).await?;
        Ok(taken)
    }
}

/// What the statements of one swap share.
struct Swap<'a> {
    tx: &'a DatabaseTransaction,
    study: StudyId,
    owner: uuid::Uuid,
    now: Timestamp,
}

impl Swap<'_> {
    /// Keeps other writers of the study away; `false` if it is gone.
    async fn lock(&self) -> Result<bool> {
        let select = Query::select()
            .column("study_id")
            .from("study")
            .and_where(Expr::col("study_id").eq(self.study.0))
            .and_where(Expr::col("owner_facility_id").eq(self.owner))
            .lock_exclusive()
            .take();
        let row = self.tx.query_one(&select).await.map_err(failed)?;
        Ok(row.is_some())
    }

    /// Moves instances into a new pack; without one that moves, the pack leaves no row.
    async fn place(&self, place: &NewPlace) -> Result<bool> {
        self.insert_pack(place).await?;
        let mut moved = 0;
        for (entry, from) in place.sealed.entries.iter().zip(&place.from) {
            moved += self.move_one(place.sealed.pack_id, entry, from).await?;
        }
        if moved == 0 {
            for table in ["pack_copy", "pack"] {
                let delete = Query::delete()
                    .from_table(table)
                    .and_where(Expr::col("pack_id").eq(place.sealed.pack_id.0))
                    .take();
                self.tx.execute(&delete).await.map_err(failed)?;
            }
            return Ok(false);
        }
        self.insert_pieces(place).await?;
        let written = Query::update()
            .table("pack")
            .value("instance_count", i32::try_from(moved).unwrap_or(i32::MAX))
            .and_where(Expr::col("pack_id").eq(place.sealed.pack_id.0))
            .take();
        self.tx.execute(&written).await.map_err(failed)?;
        self.count(&[place.sealed.pack_id]).await?;
        Ok(true)
    }

    async fn insert_pack(&self, place: &NewPlace) -> Result<()> {
        let sealed = &place.sealed;
        let pack = Query::insert()
            .into_table("pack")
            .columns([
                "pack_id",
                "study_id",
                "owner_facility_id",
                "base_url",
                "instance_count",
                "byte_count",
                "live_bytes",
                "metadata_bytes",
                "digest",
                "sealed_at",
            ])
            .values_panic([
                sealed.pack_id.0.into(),
                self.study.0.into(),
                self.owner.into(),
                place.base_url.as_str().into(),
                0_i32.into(),
                signed(sealed.byte_count)?.into(),
                0_i64.into(),
                signed(sealed.metadata_bytes)?.into(),
                sealed.digest.to_vec().into(),
                self.now.0.into(),
            ])
            .take();
        self.tx.execute(&pack).await.map_err(failed)?;
        let copy = Query::insert()
            .into_table("pack_copy")
            .columns(["pack_id", "tier", "object", "metadata_object", "state"])
            .values_panic([
                sealed.pack_id.0.into(),
                "CLOUD".into(),
                sealed.object.as_str().into(),
                sealed.metadata_object.as_str().into(),
                "present".into(),
            ])
            .take();
        self.tx.execute(&copy).await.map_err(failed)?;
        Ok(())
    }

    /// Moves one instance, if it still lies where it was read from; gives how many moved.
    async fn move_one(
        &self,
        pack: PackId,
        entry: &SealedEntry,
        (instance, from, offset): &(InstanceId, PackId, u64),
    ) -> Result<u64> {
        let (block, json) = (&entry.meta.block, &entry.meta.json);
        let update = Query::update()
            .table("instance")
            .value("pack_id", pack.0)
            .value("pack_offset", signed(entry.range.start)?)
            .value("byte_count", signed(length(&entry.range))?)
            .value("meta_offset", signed(block.start)?)
            .value("meta_length", signed(length(block))?)
            .value("meta_json_start", i64::from(json.start))
            .value(
                "meta_json_length",
                i64::from(json.end.saturating_sub(json.start)),
            )
            .value("frame_table", entry.frame_table.clone())
            .and_where(Expr::col("study_id").eq(self.study.0))
            .and_where(Expr::col("instance_id").eq(instance.0))
            .and_where(Expr::col("pack_id").eq(from.0))
            .and_where(Expr::col("pack_offset").eq(signed(*offset)?))
            .and_where(Expr::col("digest").eq(entry.digest.to_vec()))
            .take();
        let done = self.tx.execute(&update).await.map_err(failed)?;
        Ok(done.rows_affected())
    }

    async fn insert_pieces(&self, place: &NewPlace) -> Result<()> {
        for piece in &place.sealed.pieces {
            let insert = Query::insert()
                .into_table("metadata_piece")
                .columns([
                    "pack_id",
                    "series_id",
                    "piece_offset",
                    "piece_length",
                    "inflated_length",
                    "crc32",
                    "instance_count",
                ])
                .values_panic([
                    place.sealed.pack_id.0.into(),
                    place.series.0.into(),
                    signed(piece.range.start)?.into(),
                    signed(length(&piece.range))?.into(),
                    signed(piece.inflated_len)?.into(),
                    i64::from(piece.crc32).into(),
                    i32::try_from(piece.instance_count)
                        .unwrap_or(i32::MAX)
                        .into(),
                ])
                .take();
            self.tx.execute(&insert).await.map_err(failed)?;
        }
        Ok(())
    }

    /// Counts anew the bytes that are pointed at in packs, whatever the state of who points.
    async fn count(&self, packs: &[PackId]) -> Result<()> {
        let bytes = |table: &'static str| {
            let sum = Query::select()
                .expr(Expr::cust("CAST(COALESCE(SUM(x.byte_count), 0) AS BIGINT)"))
                .from_as(table, "x")
                .and_where(Expr::col(("x", "study_id")).eq(self.study.0))
                .and_where(Expr::col(("x", "pack_id")).equals(("pack", "pack_id")))
                .take();
            Expr::SubQuery(None, Box::new(sum.into()))
        };
        let update = Query::update()
            .table("pack")
            .value(
                "live_bytes",
                bytes("instance").add(bytes("instance_history")),
            )
            .and_where(Expr::col("pack_id").is_in(ids(packs)))
            .take();
        self.tx.execute(&update).await.map_err(failed)?;
        Ok(())
    }

    /// Marks those of `old` that hold nothing any more, and takes away pieces of heads that belong to nothing there.
    async fn settle(&self, old: &[PackId]) -> Result<()> {
        self.count(old).await?;
        let replaced = Query::update()
            .table("pack")
            .value("replaced_at", self.now.0)
            .and_where(Expr::col("pack_id").is_in(ids(old)))
            .and_where(Expr::col("study_id").eq(self.study.0))
            .and_where(Expr::col("replaced_at").is_null())
            .and_where(sweep::holds_nothing())
            .take();
        self.tx.execute(&replaced).await.map_err(failed)?;
        let left = Query::select()
            .expr(Expr::cust("1"))
            .from_as("instance", "i")
            .and_where(Expr::col(("i", "study_id")).eq(self.study.0))
            .and_where(Expr::col(("i", "pack_id")).equals(("metadata_piece", "pack_id")))
            .and_where(Expr::col(("i", "series_id")).equals(("metadata_piece", "series_id")))
            .take();
        let pieces = Query::delete()
            .from_table("metadata_piece")
            .and_where(Expr::col("pack_id").is_in(ids(old)))
            .and_where(Expr::exists(left).not())
            .take();
        self.tx.execute(&pieces).await.map_err(failed)?;
        Ok(())
    }
}

fn ids(packs: &[PackId]) -> impl Iterator<Item = uuid::Uuid> + '_ {
    packs.iter().map(|pack| pack.0)
}

fn length(range: &Range<u64>) -> u64 {
    range.end.saturating_sub(range.start)
}
