//! One instance that stands for a series or a study in a picture (G03, G16), and one that is known by its own UID alone (U01).

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Alias, Cond, Expr, ExprTrait, Func, Order, Query, SelectStatement};

use super::instance::{Instance, select};
use super::instances::named;
use super::{Catalog, Scope, Visible};
use crate::error::{Error, Result};
use crate::index::row::{failed, get, unsigned};
use crate::index::visible::{At, Unread, basis};
use crate::model::{Class, ClassMask, SeriesUid, SopInstanceUid, StudyUid};

impl Catalog<'_> {
    /// The instance in the middle of the series with the most images, the first of such series; where there is no image
    /// that in the middle of the series with the most instances. Series that the scopes do not read are left out.
    ///
    /// # Errors
    /// `Kind::NotFound` if nothing of it is visible, `Kind::Forbidden` if all of it is of classes that the scopes do not
    /// read (SH-3.4).
    pub async fn representative(&self, scope: &Scope) -> Result<Visible<Instance>> {
        for only_images in [true, false] {
            let largest = self.largest(scope, only_images);
            let row = self
                .index
                .reader
                .query_one(&largest)
                .await
                .map_err(failed)?;
            let Some(row) = row else { continue };
            let series = SeriesUid::parse(&get::<String>(&row, "series_instance_uid")?);
            let count = unsigned(get(&row, "instances")?)?;
            let one = Scope {
                study: scope.study.clone(),
                series: Some(crate::index::row::uid(series)?),
                instance: scope.instance.clone(),
            };
            let mut middle = self.pictured(&one, only_images);
            middle
                .order_by(("i", "instance_number"), Order::Asc)
                .order_by(("i", "sop_instance_uid"), Order::Asc)
                .limit(1)
                .offset(count / 2);
            // One less where the last one went meanwhile.
            if let Some(row) = self.index.reader.query_one(&middle).await.map_err(failed)? {
                return self.instance_of(&row);
            }
        }
        Err(self.why_nothing(scope).await?)
    }

    /// The visible instances of a scope, or of them the images that have frames.
    fn pictured(&self, scope: &Scope, only_images: bool) -> SelectStatement {
        let mut pictured = named(self.access, scope, Unread::Hidden);
        if only_images {
            pictured
                .and_where(Expr::col(("i", "class")).eq(Class::Image.bit()))
                .and_where(Expr::col(("i", "frame_table")).is_not_null());
        }
        pictured
    }

    /// The series with the most of them, and how many.
    fn largest(&self, scope: &Scope, only_images: bool) -> SelectStatement {
        let count = Func::count(Expr::col(("i", "instance_id")));
        let mut largest = self.pictured(scope, only_images);
        largest
            .clear_selects()
            .column(("r0", "series_instance_uid"))
            .expr_as(count.clone(), Alias::new("instances"))
            .group_by_columns([("r0", "series_number"), ("r0", "series_instance_uid")])
            .order_by_expr(count.into(), Order::Desc)
            .order_by(("r0", "series_number"), Order::Asc)
            .order_by(("r0", "series_instance_uid"), Order::Asc)
            .limit(1);
        largest
    }

    /// The instance of this UID, in this study and series where they are named; the caller's own copy first, then the one that
    /// was stored last.
    ///
    /// # Errors
    /// As [`Catalog::instance`].
    pub async fn instance_by_uid(
        &self,
        instance: &SopInstanceUid,
        study: Option<&StudyUid>,
        series: Option<&SeriesUid>,
    ) -> Result<Visible<Instance>> {
        let standing = basis(self.access, At::Series("r0"), Unread::Kept);
        let known = Query::select()
            .columns([("u", "study_id"), ("u", "instance_id")])
            .from_as("instance_uid", "u")
            .and_where(Expr::col(("u", "sop_instance_uid")).eq(instance.as_str()))
            .take();
        let is_known = Cond::all()
            .add(Expr::col(("k", "study_id")).equals(("i", "study_id")))
            .add(Expr::col(("k", "instance_id")).equals(("i", "instance_id")));
        let mut one = select();
        one.join_subquery(
            sea_orm::sea_query::JoinType::InnerJoin,
            known,
            "k",
            is_known,
        )
        .expr_as(Expr::SubQuery(None, Box::new(standing.into())), "basis")
        .expr_as(Expr::col(("s0", "owner_facility_id")), "owner_facility_id")
        .and_where(Expr::col(("i", "sop_instance_uid")).eq(instance.as_str()));
        if let Some(study) = study {
            one.and_where(Expr::col(("s0", "study_instance_uid")).eq(study.as_str()));
        }
        if let Some(series) = series {
            one.and_where(Expr::col(("r0", "series_instance_uid")).eq(series.as_str()));
        }
        let own_first = Expr::col(("one", "owner_facility_id")).eq(self.access.facility_id().0);
        let statement = Query::select()
            .column(sea_orm::sea_query::Asterisk)
            .from_subquery(one, "one")
            .and_where(Expr::col(("one", "basis")).is_not_null())
            .order_by_expr(own_first, Order::Desc)
            .order_by(("one", "stored_at"), Order::Desc)
            .limit(1)
            .take();
        let row = self
            .index
            .reader
            .query_one(&statement)
            .await
            .map_err(failed)?;
        let Some(row) = row else {
            let Some(study) = study else {
                return Err(Error::not_found());
            };
            let scope = Scope {
                study: study.clone(),
                series: series.cloned(),
                instance: Some(instance.clone()),
            };
            return Err(self.absent(&scope).await?);
        };
        self.check_classes(ClassMask(get(&row, "class_mask")?))?;
        self.instance_of(&row)
    }
}
