//! Earlier versions of an instance: what another object replaced (T22), for facilities that keep both.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Cond, Expr, ExprTrait, JoinType, Query};

use super::{Catalog, Instance, Visible};
use crate::error::Result;
use crate::index::row::{digest, failed, get, sop_class_uid, unsigned};
use crate::index::visible::{At, Unread, basis};
use crate::model::{InstancePath, OnConflict, Timestamp};
use crate::storage::BlobRef;

impl Catalog<'_> {
    /// The instance that a path names, as it was in one of its versions; `None` if it has no such version, or its owner
    /// does not keep both. An earlier version has its file, and neither frames nor a head of its own.
    ///
    /// # Errors
    /// As [`Catalog::instance`].
    pub async fn version(
        &self,
        path: &InstancePath,
        version: u32,
    ) -> Result<Option<Visible<Instance>>> {
        let mut current = self.instance(path).await?;
        if current.instance_version == version {
            return Ok(Some(current));
        }
        if self.access.facility().policy.on_conflict != OnConflict::KeepBothVersions {
            return Ok(None);
        }
        let instance = Cond::all()
            .add(Expr::col(("i", "study_id")).equals(("h", "study_id")))
            .add(Expr::col(("i", "instance_id")).equals(("h", "instance_id")))
            .add(Expr::col(("i", "state")).eq("live"));
        let copy = Cond::all()
            .add(Expr::col(("b", "pack_id")).equals(("h", "pack_id")))
            .add(Expr::col(("b", "state")).eq("present"));
        let series = Expr::col(("r0", "series_id")).equals(("i", "series_id"));
        let study = Expr::col(("s0", "study_id")).equals(("i", "study_id"));
        let standing = basis(self.access, At::Series("r0"), Unread::Hidden);
        let one = Query::select()
            .columns(["sop_class_uid", "transfer_syntax_uid", "digest"].map(|c| ("h", c)))
            .columns(["pack_offset", "byte_count", "stored_at"].map(|c| ("h", c)))
            .column(("b", "object"))
            .from_as("instance_history", "h")
            .join_as(JoinType::InnerJoin, "instance", "i", instance)
            .join_as(JoinType::InnerJoin, "series", "r0", series)
            .join_as(JoinType::InnerJoin, "study", "s0", study)
            .join_as(JoinType::InnerJoin, "pack_copy", "b", copy)
            .and_where(Expr::col(("s0", "owner_facility_id")).eq(self.access.facility_id().0))
            .and_where(Expr::col(("s0", "study_instance_uid")).eq(path.study.as_str()))
            .and_where(Expr::col(("r0", "series_instance_uid")).eq(path.series.as_str()))
            .and_where(Expr::col(("i", "sop_instance_uid")).eq(path.instance.as_str()))
            .and_where(Expr::col(("h", "instance_version")).eq(i64::from(version)))
            .and_where(Expr::exists(standing))
            .take();
        let row = self.index.reader.query_one(&one).await.map_err(failed)?;
        let Some(row) = row else {
            return Ok(None);
        };
        let offset = unsigned(get(&row, "pack_offset")?)?;
        let byte_count = unsigned(get(&row, "byte_count")?)?;
        current.it = current.it.replaced(BlobRef {
            object: get(&row, "object")?,
            range: offset..offset.saturating_add(byte_count),
        });
        current.it.sop_class = sop_class_uid(&row)?;
        current.it.transfer_syntax_uid = get(&row, "transfer_syntax_uid")?;
        current.it.digest = digest(&get::<Vec<u8>>(&row, "digest")?)?;
        current.it.stored_at = Timestamp(get(&row, "stored_at")?);
        current.it.instance_version = version;
        Ok(Some(current))
    }
}
