//! An instance takes the place of another under its UID (T22): what is kept of the one that goes.
//!
//! Nothing is erased by a store. What was there stays in its pack, and `instance_history` says where (SH-11.5) and which items of
//! MINT it had; it holds the pack as an instance does.

use sea_orm::sea_query::{Expr, ExprTrait, Query};

use super::kept::KeptStudy;
use super::{Batch, Fresh};
use crate::error::{Error, Kind, Result};
use crate::index::record::NewPack;
use crate::model::OnConflict;

/// Why an instance was replaced, as its history says.
const BY_STORE: &str = "another object was stored under its SOP Instance UID";

/// What the row of the new content does not say: an instance keeps these when its content changes, or they are set apart.
const KEPT: [&str; 8] = [
    "study_id",
    "instance_id",
    "series_id",
    "owner_facility_id",
    "sop_instance_uid",
    "state",
    "first_item",
    "instance_version",
];

/// What history takes over of an instance as it is.
const TAKEN_OVER: [&str; 10] = [
    "study_id",
    "instance_id",
    "instance_version",
    "sop_class_uid",
    "transfer_syntax_uid",
    "digest",
    "pack_id",
    "pack_offset",
    "byte_count",
    "stored_at",
];

/// And where what was there goes on being served, not only kept: so its items stay readable by number (MINT I05).
const ITEMS: [&str; 6] = [
    "frame_table",
    "number_of_frames",
    "first_item",
    "item_count",
    "item_table",
    "item_numbers",
];

impl Batch<'_> {
    /// Puts `new` in the place of the instance of its key.
    pub(super) async fn replace(
        &self,
        pack: &NewPack,
        new: Fresh<'_>,
        study: &KeptStudy<'_>,
    ) -> Result<()> {
        let (id, instance) = new;
        let series = study.series.get(&instance.series).map(|series| series.id);
        let series = series.ok_or_else(|| {
            Error::new(
                Kind::Internal,
                "an instance has no series to be replaced in",
            )
        })?;
        let here = Expr::col("study_id")
            .eq(study.id.0)
            .and(Expr::col("instance_id").eq(id.0));
        let mut columns = TAKEN_OVER.to_vec();
        if self.policy == OnConflict::KeepBothVersions {
            columns.extend(ITEMS);
        }
        let taken_over = columns.clone();
        columns.extend(["reason", "author", "replaced_at"]);
        let old = Query::select()
            .columns(taken_over)
            .expr(Expr::val(BY_STORE))
            .expr(Expr::val(self.author))
            .expr(Expr::val(self.now.0))
            .from("instance")
            .and_where(here.clone())
            .take();
        let mut keep = Query::insert();
        keep.into_table("instance_history").columns(columns);
        keep.select_from(old)
            .map_err(|error| Error::internal("history has other columns", error))?;
        self.execute(&keep).await?;
        let row = self.instance(pack, new, series, study)?;
        let changed = row.columns.into_iter().zip(row.values);
        let update = Query::update()
            .table("instance")
            .values(changed.filter(|(column, _)| !KEPT.contains(column)))
            // Its items are others now, and numbers are never used again (MINT P24).
            .value("first_item", None::<i32>)
            .value("item_count", None::<i32>)
            .value("item_table", None::<Vec<u8>>)
            .value("item_numbers", None::<Vec<u8>>)
            .value("instance_version", Expr::col("instance_version").add(1))
            .and_where(here)
            .take();
        self.execute(&update).await?;
        Ok(())
    }
}
