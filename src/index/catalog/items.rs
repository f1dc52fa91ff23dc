//! Binary items of a study: the instances that have them, by number (MINT 6).

use std::ops::Range;

use sea_orm::sea_query::{Expr, ExprTrait, Func, JoinType, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, QueryResult};

use super::instance::{Instance, select};
use super::versions::earlier;
use super::{Catalog, Visible};
use crate::auth::Access;
use crate::dicom::mint::numbers::Numbers;
use crate::error::{Error, Result};
use crate::index::row::{failed, get};
use crate::index::visible::{At, Unread, basis};
use crate::model::{Class, SeriesUid, StudyId};

/// Replaced objects that are looked through for an answer: each may have had any number above its lowest, where its numbers did
/// not follow each other.
const MOST_REPLACED: u64 = 10_000;

/// An instance that is visible, with the numbers of its items.
#[derive(Debug)]
pub struct Holder {
    /// The instance.
    pub instance: Visible<Instance>,
    /// The number of its first item.
    pub first: u32,
    /// How many items it has, one at least.
    pub count: u32,
    /// Where they lie, if the frame table does not say it.
    pub table: Option<Vec<u8>>,
    /// Their numbers, where they do not follow each other.
    pub numbers: Option<Numbers>,
}

/// Which instances are looked at.
#[derive(Clone, Debug, Default)]
pub struct Narrowed {
    /// Those of one series.
    pub series: Option<SeriesUid>,
    /// Those that came or changed after a version, as MINT counts them.
    pub newer_than: Option<u64>,
}

/// What is known of the items of an instance without its place.
#[derive(Debug)]
pub struct ItemRow {
    /// The number of its first item.
    pub first: u32,
    /// How many items it has, one at least.
    pub count: u32,
    /// Where they lie, if the frame table does not say it.
    pub table: Option<Vec<u8>>,
    /// Their numbers, where they do not follow each other.
    pub numbers: Option<Numbers>,
    /// How its frames are found.
    pub frame_table: Option<Vec<u8>>,
    /// Number of Frames, where the object says it.
    pub number_of_frames: Option<u32>,
    /// Name of the pack object.
    pub object: String,
}

impl Catalog<'_> {
    /// The visible instances of a study that have items from `number` on, the one that has this item first where it is
    /// visible; at most `limit`, by number.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn items_from(&self, study: StudyId, number: u32, limit: u64) -> Result<Vec<Holder>> {
        let number = i32::try_from(number).unwrap_or(i32::MAX);
        let before = Query::select()
            .column(("x", "first_item"))
            .from_as("instance", "x")
            .and_where(Expr::col(("x", "study_id")).eq(study.0))
            .and_where(Expr::col(("x", "first_item")).lte(number))
            .and_where(Expr::col(("x", "item_count")).gt(0))
            .order_by(("x", "first_item"), Order::Desc)
            .limit(1)
            .take();
        let before = Expr::SubQuery(None, Box::new(before.into()));
        let start = Func::coalesce([before, Expr::val(0_i32)]);
        let mut page = with_items(select(), self.access, study);
        page.and_where(Expr::col(("i", "first_item")).gte(start))
            .limit(limit);
        self.holders(page).await
    }

    /// The visible instances of a study whose items have numbers that do not follow each other, by their lowest.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn items_scattered(&self, study: StudyId) -> Result<Vec<Holder>> {
        let mut all = with_items(select(), self.access, study);
        // In words, so that the partial index serves it.
        all.and_where(Expr::cust("i.item_numbers IS NOT NULL"));
        self.holders(all).await
    }

    /// Objects that others replaced in visible instances of a study, with the numbers that their items had (MINT I05): those that
    /// can have one of `numbers`. A number never means other bytes, so that any of them will do.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn items_replaced(
        &self,
        study: StudyId,
        numbers: &Range<u64>,
    ) -> Result<Vec<Holder>> {
        let number = |of: u64| i64::try_from(of).unwrap_or(i64::MAX);
        let end = Expr::col(("h", "first_item")).add(Expr::col(("h", "item_count")));
        let reaches = end.gt(number(numbers.start));
        let mut all = earlier();
        with_numbers(&mut all, "h")
            .and_where(Expr::col(("h", "study_id")).eq(study.0))
            // In words, so that the partial index serves it.
            .and_where(Expr::cust("h.first_item IS NOT NULL"))
            .and_where(Expr::col(("h", "first_item")).lt(number(numbers.end)))
            .and_where(Expr::col(("h", "item_count")).gt(0))
            .and_where(Expr::col(("h", "item_numbers")).is_not_null().or(reaches))
            .and_where(Expr::exists(basis(
                self.access,
                At::Series("r0"),
                Unread::Hidden,
            )))
            // The same rows in the same order, so that an answer that is made of them is the same.
            .order_by(("h", "first_item"), Order::Desc)
            .order_by(("h", "instance_id"), Order::Asc)
            .order_by(("h", "instance_version"), Order::Asc)
            .limit(MOST_REPLACED);
        let rows = self.index.reader.query_all(&all).await.map_err(failed)?;
        let mut holders = Vec::with_capacity(rows.len());
        for row in &rows {
            let instance = self.instance_of(row)?;
            // The series says which classes it has now.
            let class = Class::of(instance.sop_class.as_str(), instance.frame_table.is_some());
            if !self.access.unread().contains(class) {
                holders.push(holder(row, instance)?);
            }
        }
        Ok(holders)
    }

    async fn holders(&self, mut page: SelectStatement) -> Result<Vec<Holder>> {
        with_numbers(&mut page, "i");
        let rows = self.index.reader.query_all(&page).await.map_err(failed)?;
        let of_row = |row| holder(row, self.instance_of(row)?);
        rows.iter().map(of_row).collect()
    }

    /// What is known of the items of some visible instances of a study whose first item comes behind `after`; at most `limit`,
    /// by the number of that.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn item_rows(
        &self,
        (study, which): (StudyId, &Narrowed),
        after: Option<u32>,
        limit: u64,
    ) -> Result<Vec<ItemRow>> {
        let of_series = Expr::col(("r0", "series_id")).equals(("i", "series_id"));
        let copy = Expr::col(("b", "pack_id"))
            .equals(("i", "pack_id"))
            .and(Expr::col(("b", "state")).eq("present"));
        let mut page = Query::select()
            .columns([
                ("i", "frame_table"),
                ("i", "number_of_frames"),
                ("b", "object"),
            ])
            .from_as("instance", "i")
            .join_as(JoinType::InnerJoin, "series", "r0", of_series)
            .join_as(JoinType::InnerJoin, "pack_copy", "b", copy)
            .and_where(Expr::col(("i", "state")).eq("live"))
            .take();
        with_numbers(&mut page, "i");
        if let Some(series) = &which.series {
            page.and_where(Expr::col(("r0", "series_instance_uid")).eq(series.as_str()));
        }
        if let Some(version) = which.newer_than {
            let known = i32::try_from(version.saturating_add(1)).unwrap_or(i32::MAX);
            page.and_where(Expr::col(("i", "study_version")).gt(known));
        }
        if let Some(after) = after {
            page.and_where(
                Expr::col(("i", "first_item")).gt(i32::try_from(after).unwrap_or(i32::MAX)),
            );
        }
        let page = with_items(page, self.access, study).limit(limit).take();
        let rows = self.index.reader.query_all(&page).await.map_err(failed)?;
        let of_row = |row| {
            let frames: Option<i64> = get(row, "number_of_frames")?;
            Ok(ItemRow {
                first: number_of(row, "first_item")?,
                count: number_of(row, "item_count")?,
                table: get(row, "item_table")?,
                numbers: numbers_of(row)?,
                frame_table: get(row, "frame_table")?,
                number_of_frames: frames.and_then(|frames| u32::try_from(frames).ok()),
                object: get(row, "object")?,
            })
        };
        rows.iter().map(of_row).collect()
    }
}

/// The visible ones of the instances `i` in series `r0` that have items, by the number of the first.
fn with_items(mut page: SelectStatement, access: &Access, study: StudyId) -> SelectStatement {
    page.and_where(Expr::col(("i", "study_id")).eq(study.0))
        .and_where(Expr::col(("i", "first_item")).is_not_null())
        .and_where(Expr::col(("i", "item_count")).gt(0))
        .and_where(Expr::exists(basis(
            access,
            At::Series("r0"),
            Unread::Hidden,
        )))
        .order_by(("i", "first_item"), Order::Asc)
        .take()
}

/// What rows of `alias` say of the numbers of their items.
fn with_numbers<'a>(page: &'a mut SelectStatement, alias: &'static str) -> &'a mut SelectStatement {
    let columns = ["first_item", "item_count", "item_table", "item_numbers"];
    page.columns(columns.map(|it| (alias, it)))
}

fn holder(row: &QueryResult, instance: Visible<Instance>) -> Result<Holder> {
    Ok(Holder {
        instance,
        first: number_of(row, "first_item")?,
        count: number_of(row, "item_count")?,
        table: get(row, "item_table")?,
        numbers: numbers_of(row)?,
    })
}

fn numbers_of(row: &QueryResult) -> Result<Option<Numbers>> {
    let kept: Option<Vec<u8>> = get(row, "item_numbers")?;
    kept.as_deref().map(Numbers::decode).transpose()
}

fn number_of(row: &QueryResult, column: &str) -> Result<u32> {
    u32::try_from(get::<i32>(row, column)?)
        .map_err(|error| Error::internal("a row holds a negative number of an item", error))
}
