//! What may be removed, what was, and the bin: for the owner alone.

use sea_orm::sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, QueryResult};

use super::instances::named;
use super::{Catalog, Scope};
use crate::error::{Error, Kind, Result};
use crate::index::row::{failed, get, study_uid, uid, unsigned};
use crate::index::visible::Unread;
use crate::model::{
    Act, Deletion, DeletionId, DeletionState, FacilityId, RejectCode, Removal, SeriesUid,
    SopInstanceUid, Timestamp,
};

/// Which deletions are listed.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// In this state only.
    pub state: Option<DeletionState>,
    /// Older than this one.
    pub before: Option<DeletionId>,
    /// So many at most.
    pub limit: u64,
}

impl Catalog<'_> {
    /// Whether the caller's facility owns what `scope` names. The classes that the scopes do not read count as well: who
    /// deletes need not be able to look.
    ///
    /// # Errors
    /// `Kind::NotFound` if it is not there or not for this caller, `Kind::Gone` if it was erased and the caller may know
    /// it (S15), `Kind::Forbidden` if it is another facility's (A24).
    pub async fn owns(&self, scope: &Scope) -> Result<()> {
        let mut first = named(self.access, scope, Unread::Kept);
        first
            .expr_as(Expr::col(("s0", "owner_facility_id")), "owner")
            .limit(1);
        let row = self.index.reader.query_one(&first).await.map_err(failed)?;
        let Some(row) = row else {
            return Err(self.absent(scope).await?);
        };
        if FacilityId(get(&row, "owner")?) != self.access.facility_id() {
            let detail = "only the facility that owns it may do that";
            return Err(Error::new(Kind::Forbidden, detail));
        }
        Ok(())
    }

    /// How an absence is told: `Kind::Gone` where something of it was erased and the caller's facility owned it (S15), else
    /// `Kind::NotFound`. What lies in the bin is absent like anything else.
    pub(in crate::index) async fn absent(&self, scope: &Scope) -> Result<Error> {
        let mut stone = Query::select();
        stone
            .expr(Expr::cust("1"))
            .from("tombstone")
            .and_where(Expr::col("owner_facility_id").eq(self.access.facility_id().0))
            .and_where(Expr::col("study_instance_uid").eq(scope.study.as_str()))
            .limit(1);
        if let Some(series) = &scope.series {
            stone.and_where(Expr::col("series_instance_uid").eq(series.as_str()));
        }
        if let Some(instance) = &scope.instance {
            stone.and_where(Expr::col("sop_instance_uid").eq(instance.as_str()));
        }
        let row = self.index.reader.query_one(&stone).await.map_err(failed)?;
        Ok(row.map_or_else(Error::not_found, |_| {
            Error::new(Kind::Gone, "it was deleted and erased")
        }))
    }

    /// The deletions of the caller's facility, newest first.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn deletions(&self, wanted: &Wanted) -> Result<Vec<Deletion>> {
        let mut page = select(self.access.facility_id());
        if let Some(state) = wanted.state {
            page.and_where(Expr::col("state").eq(state.as_str()));
        }
        if let Some(before) = wanted.before {
            page.and_where(Expr::col("deletion_id").lt(before.0));
        }
        page.order_by("deletion_id", Order::Desc)
            .limit(wanted.limit);
        let rows = self.index.reader.query_all(&page).await.map_err(failed)?;
        rows.iter().map(read).collect()
    }

    /// One deletion of the caller's facility.
    ///
    /// # Errors
    /// `Kind::NotFound` if it is not there or another facility's.
    pub async fn deletion(&self, id: DeletionId) -> Result<Deletion> {
        let mut one = select(self.access.facility_id());
        one.and_where(Expr::col("deletion_id").eq(id.0));
        let row = self.index.reader.query_one(&one).await.map_err(failed)?;
        read(&row.ok_or_else(Error::not_found)?)
    }
}

/// The deletions of an owner: the guard and the columns.
pub(in crate::index) fn select(owner: FacilityId) -> SelectStatement {
    Query::select()
        .columns(["deletion_id", "study_id", "study_instance_uid"])
        .columns(["series_instance_uid", "sop_instance_uid", "kind", "code"])
        .columns(["reason", "state", "instance_count", "byte_count"])
        .columns(["requested_by", "requested_at", "approved_by", "approved_at"])
        .columns(["restored_by", "restored_at", "purge_at", "erased_at"])
        .column("version")
        .from("deletion")
        .and_where(Expr::col("owner_facility_id").eq(owner.0))
        .take()
}

/// A row of [`select`].
pub(in crate::index) fn read(row: &QueryResult) -> Result<Deletion> {
    let odd = || Error::new(Kind::Internal, "a deletion holds a word that is not known");
    let text = |column| get::<Option<String>>(row, column);
    let removal = match text("code")? {
        None => Removal::Delete,
        Some(code) => Removal::Reject(RejectCode::parse(&code).ok_or_else(odd)?),
    };
    let count: i32 = get(row, "instance_count")?;
    let version: i32 = get(row, "version")?;
    Ok(Deletion {
        id: DeletionId(get(row, "deletion_id")?),
        removal,
        state: DeletionState::parse(&get::<String>(row, "state")?).ok_or_else(odd)?,
        study: study_uid(row)?,
        series: text("series_instance_uid")?
            .map(|text| uid(SeriesUid::parse(&text)))
            .transpose()?,
        instance: text("sop_instance_uid")?
            .map(|text| uid(SopInstanceUid::parse(&text)))
            .transpose()?,
        instance_count: u32::try_from(count).unwrap_or(0),
        byte_count: unsigned(get(row, "byte_count")?)?,
        reason: text("reason")?,
        requested: Act {
            by: get(row, "requested_by")?,
            at: Timestamp(get(row, "requested_at")?),
        },
        approved: act(row, "approved_by", "approved_at")?,
        restored: act(row, "restored_by", "restored_at")?,
        purge_at: Timestamp(get(row, "purge_at")?),
        erased_at: get::<Option<i64>>(row, "erased_at")?.map(Timestamp),
        version: u32::try_from(version).unwrap_or(0),
    })
}

fn act(row: &QueryResult, by: &str, at: &str) -> Result<Option<Act>> {
    let (by, at) = (
        get::<Option<String>>(row, by)?,
        get::<Option<i64>>(row, at)?,
    );
    Ok(by.zip(at).map(|(by, at)| Act {
        by,
        at: Timestamp(at),
    }))
}
