//! Earlier versions of an instance: what another object replaced (T22).

use sea_orm::sea_query::{Cond, Expr, ExprTrait, JoinType, SelectStatement};
use sea_orm::{ConnectionTrait, QueryResult};

use super::instance::select;
use super::{Catalog, Instance, Visible};
use crate::error::Result;
use crate::index::row::{digest, failed, get, sop_class_uid_at, unsigned};
use crate::index::visible::{At, Unread, basis};
use crate::model::{InstancePath, OnConflict, Timestamp};
use crate::storage::BlobRef;

/// What the row of an earlier version says of its own, and under which name [`earlier`] gives it.
const OWN: [(&str, &str); 9] = [
    ("instance_version", "earlier_instance_version"),
    ("sop_class_uid", "earlier_sop_class_uid"),
    ("transfer_syntax_uid", "earlier_transfer_syntax_uid"),
    ("digest", "earlier_digest"),
    ("pack_offset", "earlier_pack_offset"),
    ("byte_count", "earlier_byte_count"),
    ("stored_at", "earlier_stored_at"),
    ("frame_table", "earlier_frame_table"),
    ("number_of_frames", "earlier_number_of_frames"),
];

impl Catalog<'_> {
    /// The instance that a path names, as it was in one of its versions; `None` if it has no such version, or its owner
    /// does not keep both. An earlier version has its file and its items, and no head of its own.
    ///
    /// # Errors
    /// As [`Catalog::instance`].
    pub async fn version(
        &self,
        path: &InstancePath,
        version: u32,
    ) -> Result<Option<Visible<Instance>>> {
        let current = self.instance(path).await?;
        if current.instance_version == version {
            return Ok(Some(current));
        }
        if self.access.facility().policy.on_conflict != OnConflict::KeepBothVersions {
            return Ok(None);
        }
        let standing = basis(self.access, At::Series("r0"), Unread::Hidden);
        let mut one = earlier();
        one.and_where(Expr::col(("s0", "owner_facility_id")).eq(self.access.facility_id().0))
            .and_where(Expr::col(("s0", "study_instance_uid")).eq(path.study.as_str()))
            .and_where(Expr::col(("r0", "series_instance_uid")).eq(path.series.as_str()))
            .and_where(Expr::col(("i", "sop_instance_uid")).eq(path.instance.as_str()))
            .and_where(Expr::col(("h", "instance_version")).eq(i64::from(version)))
            .and_where(Expr::exists(standing));
        let row = self.index.reader.query_one(&one).await.map_err(failed)?;
        row.as_ref().map(|row| self.earlier_of(row)).transpose()
    }

    /// The earlier version of a row of [`earlier`], noted.
    pub(super) fn earlier_of(&self, row: &QueryResult) -> Result<Visible<Instance>> {
        let mut version = self.instance_of(row)?;
        let it = &mut version.it;
        let start = unsigned(get(row, "earlier_pack_offset")?)?;
        it.byte_count = unsigned(get(row, "earlier_byte_count")?)?;
        it.lies_in(BlobRef {
            object: get(row, "earlier_object")?,
            range: start..start.saturating_add(it.byte_count),
        });
        it.sop_class = sop_class_uid_at(row, "earlier_sop_class_uid")?;
        it.transfer_syntax_uid = get(row, "earlier_transfer_syntax_uid")?;
        it.digest = digest(&get::<Vec<u8>>(row, "earlier_digest")?)?;
        it.stored_at = Timestamp(get(row, "earlier_stored_at")?);
        it.frame_table = get(row, "earlier_frame_table")?;
        let frames: Option<i64> = get(row, "earlier_number_of_frames")?;
        it.number_of_frames = frames.and_then(|frames| u32::try_from(frames).ok());
        let number: i32 = get(row, "earlier_instance_version")?;
        it.instance_version = u32::try_from(number).unwrap_or(1);
        Ok(version)
    }
}

/// [`select`] with the earlier versions `h` of the instance.
pub(super) fn earlier() -> SelectStatement {
    let of_instance = Cond::all()
        .add(Expr::col(("h", "study_id")).equals(("i", "study_id")))
        .add(Expr::col(("h", "instance_id")).equals(("i", "instance_id")));
    let copy = Cond::all()
        .add(Expr::col(("hb", "pack_id")).equals(("h", "pack_id")))
        .add(Expr::col(("hb", "state")).eq("present"));
    let mut versions = select();
    versions
        .join_as(JoinType::InnerJoin, "instance_history", "h", of_instance)
        .join_as(JoinType::InnerJoin, "pack_copy", "hb", copy)
        .expr_as(Expr::col(("hb", "object")), "earlier_object");
    for (column, name) in OWN {
        versions.expr_as(Expr::col(("h", column)), name);
    }
    versions
}
