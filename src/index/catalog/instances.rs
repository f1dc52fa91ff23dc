//! The instances of a study or a series, page by page, in the order of Q90.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Func, Order, Query, SelectStatement};

use super::instance::{Instance, select};
use super::{Catalog, Scope, Visible};
use crate::auth::Access;
use crate::error::{Error, Result};
use crate::index::columns::NO_NUMBER;
use crate::index::row::{failed, get, unsigned};
use crate::index::visible::{At, Unread, basis};
use crate::model::{ClassMask, SeriesUid, SopInstanceUid};

/// Where a page ended; the next begins behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(super) series_number: i64,
    pub(super) series: SeriesUid,
    pub(super) instance_number: i64,
    pub(super) instance: SopInstanceUid,
}

impl Visible<Instance> {
    /// The place of the instance in the order of its study.
    pub fn cursor(&self) -> Cursor {
        Cursor {
            series_number: self.series_number.unwrap_or(NO_NUMBER),
            series: self.series.clone(),
            instance_number: self.instance_number.unwrap_or(NO_NUMBER),
            instance: self.instance.clone(),
        }
    }
}

impl Catalog<'_> {
    /// At most `limit` instances of `scope` behind `after`, by series number, series UID, instance number and instance UID
    /// (Q90), of one owner, the caller's own facility first (SH-1.2). Series that the scopes do not read are left out.
    ///
    /// # Errors
    /// On the first page `Kind::NotFound` if nothing of it is visible, `Kind::Forbidden` if all of it is of classes that
    /// the scopes do not read (SH-3.4).
    pub async fn instances(
        &self,
        scope: &Scope,
        after: Option<&Cursor>,
        limit: u64,
    ) -> Result<Vec<Visible<Instance>>> {
        let mut page = named(self.access, scope, Unread::Hidden);
        in_order(&mut page, after, limit);
        let rows = self.index.reader.query_all(&page).await.map_err(failed)?;
        if rows.is_empty() && after.is_none() && limit > 0 {
            return Err(self.why_nothing(scope).await?);
        }
        rows.iter().map(|row| self.instance_of(row)).collect()
    }

    /// How many instances of `scope` there are behind `after`.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn count_behind(&self, scope: &Scope, after: &Cursor) -> Result<u64> {
        let mut behind_it = named(self.access, scope, Unread::Hidden);
        behind_it
            .clear_selects()
            .expr(Expr::cust("1"))
            .and_where(behind(after));
        let count = Query::select()
            .expr_as(Func::count(Expr::cust("*")), "n")
            .from_subquery(behind_it, "it")
            .take();
        let row = self.index.reader.query_one(&count).await.map_err(failed)?;
        row.map_or(Ok(0), |row| unsigned(get(&row, "n")?))
    }

    /// Why a scope has nothing to show: not there, erased, or not with these scopes.
    pub(super) async fn why_nothing(&self, scope: &Scope) -> Result<Error> {
        let first = named(self.access, scope, Unread::Kept).limit(1).take();
        let row = self.index.reader.query_one(&first).await.map_err(failed)?;
        let Some(row) = row else {
            return self.absent(scope).await;
        };
        let refused = self.check_classes(ClassMask(get(&row, "class_mask")?));
        // Readable after all: it came in between.
        Ok(refused.err().unwrap_or_else(Error::not_found))
    }
}

/// The visible instances of a scope.
pub(super) fn named(access: &Access, scope: &Scope, unread: Unread) -> SelectStatement {
    let mut named = select();
    named
        .and_where(Expr::col(("s0", "study_id")).eq(study(access, scope)))
        .and_where(Expr::exists(basis(access, At::Series("r0"), unread)));
    if let Some(series) = &scope.series {
        named.and_where(Expr::col(("r0", "series_instance_uid")).eq(series.as_str()));
    }
    if let Some(instance) = &scope.instance {
        named.and_where(Expr::col(("i", "sop_instance_uid")).eq(instance.as_str()));
    }
    named
}

/// The one study of a scope: two owners may have the same UID, and a page never mixes them.
pub(super) fn study(access: &Access, scope: &Scope) -> Expr {
    let own_first = Expr::col(("c", "owner_facility_id")).eq(access.facility_id().0);
    let one = Query::select()
        .column(("c", "study_id"))
        .from_as("study", "c")
        .and_where(Expr::col(("c", "study_instance_uid")).eq(scope.study.as_str()))
        .and_where(Expr::exists(basis(access, At::Study("c"), Unread::Kept)))
        .order_by_expr(own_first, Order::Desc)
        .limit(1)
        .take();
    Expr::SubQuery(None, Box::new(one.into()))
}

/// A page of instances in the order of Q90, behind a cursor.
pub(super) fn in_order(page: &mut SelectStatement, after: Option<&Cursor>, limit: u64) {
    if let Some(after) = after {
        page.and_where(behind(after));
    }
    page.order_by(("r0", "series_number"), Order::Asc)
        .order_by(("r0", "series_instance_uid"), Order::Asc)
        .order_by(("i", "instance_number"), Order::Asc)
        .order_by(("i", "sop_instance_uid"), Order::Asc)
        .limit(limit);
}

/// Behind a cursor, each key under a bound of its own: the form that an index can follow (stack.md 2.7).
fn behind(after: &Cursor) -> Expr {
    let instance_number = ("i", "instance_number");
    let in_series = Expr::col(instance_number)
        .gt(after.instance_number)
        .or(Expr::col(instance_number)
            .eq(after.instance_number)
            .and(Expr::col(("i", "sop_instance_uid")).gt(after.instance.as_str())));
    let series = Expr::col(("r0", "series_instance_uid"));
    let in_number = series
        .clone()
        .gt(after.series.as_str())
        .or(series.eq(after.series.as_str()).and(in_series));
    let number = Expr::col(("r0", "series_number"));
    number.clone().gte(after.series_number).and(
        number
            .clone()
            .gt(after.series_number)
            .or(number.eq(after.series_number).and(in_number)),
    )
}
