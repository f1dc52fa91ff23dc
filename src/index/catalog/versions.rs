//! Earlier versions of an instance: what another object replaced (T22).

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Cond, Expr, ExprTrait, JoinType, SelectStatement};

use super::instance::select_with;
use super::{Catalog, Instance, Visible};
use crate::error::Result;
use crate::index::row::failed;
use crate::index::visible::{At, Unread, basis};
use crate::model::{InstancePath, OnConflict};

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
        row.map(|row| self.instance_of(&row)).transpose()
    }
}

/// The earlier versions `h` of an instance, as [`super::instance::select`] gives the newest.
pub(super) fn earlier() -> SelectStatement {
    let of_instance = Cond::all()
        .add(Expr::col(("h", "study_id")).equals(("i", "study_id")))
        .add(Expr::col(("h", "instance_id")).equals(("i", "instance_id")));
    let copy = Cond::all()
        .add(Expr::col(("hb", "pack_id")).equals(("h", "pack_id")))
        .add(Expr::col(("hb", "state")).eq("present"));
    select_with("h", "hb")
        .join_as(JoinType::InnerJoin, "instance_history", "h", of_instance)
        .join_as(JoinType::InnerJoin, "pack_copy", "hb", copy)
        .take()
}
