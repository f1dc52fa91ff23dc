//! A checked search becomes one statement, its rows attribute sets (dicomweb.md section 4, schema.md 5.3).
//!
//! The statement names the owner, the conditions and the guard; `conditions` writes one condition a match, `fields` the
//! columns and what becomes of them. A page reads one row more than it shows, to know whether there are more; how many
//! more is a second statement that stops counting at a bound (Q96).
//!
//! Not known here are the URLs of results and the character set, which the door adds.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Order, Query as Sql, SelectStatement};

use super::catalog::Scope;
use super::row::{failed, get, uid, unsigned};
use super::visible::{At, Unread, visible_series};
use super::{Catalog, columns};
use crate::auth::{Access, Basis, Touched};
use crate::dicom::dictionary::Row;
use crate::dicom::query::Query;
use crate::error::Result;
use crate::model::{AttributeSet, Level, SeriesUid, SopInstanceUid, StudyUid};

mod conditions;
mod fields;

/// How far results beyond a page are counted (Q96; published in the capabilities).
pub const MORE_BOUND: u64 = 10_000;

/// One result.
#[derive(Clone, Debug)]
pub struct Found {
    /// Study Instance UID.
    pub study: StudyUid,
    /// Series Instance UID, from the level of series on.
    pub series: Option<SeriesUid>,
    /// SOP Instance UID, at the level of instances.
    pub instance: Option<SopInstanceUid>,
    /// What is shown: the attributes of dicomweb.md 4.5 that the index knows, and those that were asked for.
    pub attributes: AttributeSet,
}

/// How many results there are beyond a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// None.
    None,
    /// So many.
    Exactly(u64),
    /// The bound or more.
    AtLeast(u64),
}

/// One page of a search.
#[derive(Clone, Debug)]
pub struct Page {
    /// The results in the order of Q90.
    pub rows: Vec<Found>,
    /// What remains.
    pub more: More,
    /// The number of all results, where it was asked for or costs nothing (Q97).
    pub total: Option<u64>,
}

impl Catalog<'_> {
    /// Searches what the caller may see, at any level, anywhere or in one study or series.
    ///
    /// # Errors
    /// `Kind::NotFound` if the search is bounded by a study or series that is not visible (Q112), `Kind::Gone` if that was
    /// erased and the caller may know it (S15).
    pub async fn search(&self, query: &Query) -> Result<Page> {
        let limit = u64::from(query.limit);
        let shown = fields::shown(query);
        let statement = self.page(query, &shown);
        let mut rows = self
            .index
            .reader
            .query_all(&statement)
            .await
            .map_err(failed)?;
        if rows.is_empty() {
            self.check_bounds(query).await?;
        }
        let is_cut = rows.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let rows: Vec<Found> = rows
            .iter()
            .map(|row| found(query, &shown, row))
            .collect::<Result<_>>()?;
        for row in &rows {
            self.access.note(Touched {
                study: row.study.to_string(),
                basis: Basis::Own,
            });
        }
        let (more, total) = self.rest(query, rows.len(), is_cut).await?;
        Ok(Page { rows, more, total })
    }

    /// The statement of a page.
    #[cfg(test)]
    pub(super) fn statement(&self, query: &Query) -> SelectStatement {
        self.page(query, &fields::shown(query))
    }

    fn page(&self, query: &Query, shown: &[&'static Row]) -> SelectStatement {
        let mut page = matching(self.access, query);
        fields::select(&mut page, self.access, query, shown);
        order(&mut page, query);
        page.limit(u64::from(query.limit).saturating_add(1))
            .offset(signed_offset(query.offset))
            .take()
    }

    /// How many results there are behind a page, and in all.
    async fn rest(&self, query: &Query, shown: usize, is_cut: bool) -> Result<(More, Option<u64>)> {
        let end = query
            .offset
            .saturating_add(u64::try_from(shown).unwrap_or(u64::MAX));
        // An empty page behind the end says nothing about where the end is.
        let end_is_known = shown > 0 || query.offset == 0;
        if query.count || query.limit == 0 {
            let total = if is_cut || !end_is_known {
                self.count(query, 0, None).await?
            } else {
                end
            };
            let more = match total.saturating_sub(end) {
                0 => More::None,
                rest => More::Exactly(rest),
            };
            return Ok((more, Some(total)));
        }
        if !is_cut {
            return Ok((More::None, end_is_known.then_some(end)));
        }
        let rest = self
            .count(query, end, Some(MORE_BOUND.saturating_add(1)))
            .await?;
        if rest > MORE_BOUND {
            return Ok((More::AtLeast(MORE_BOUND), None));
        }
        Ok((More::Exactly(rest), Some(end.saturating_add(rest))))
    }

    /// Counts matches from `offset` on, up to a bound.
    async fn count(&self, query: &Query, offset: u64, bound: Option<u64>) -> Result<u64> {
        let mut matches = matching(self.access, query);
        matches.expr_as(Expr::cust("1"), "one");
        if let Some(bound) = bound {
            matches.limit(bound).offset(signed_offset(offset));
        }
        let count = Sql::select()
            .expr_as(Expr::cust("COUNT(*)"), "n")
            .from_subquery(matches, "matches")
            .take();
        let row = self.index.reader.query_one(&count).await.map_err(failed)?;
        row.map_or(Ok(0), |row| unsigned(get(&row, "n")?))
    }

    /// Tells an empty study from none (Q112).
    async fn check_bounds(&self, query: &Query) -> Result<()> {
        let Some(study) = &query.study else {
            return Ok(());
        };
        let mut bound = Sql::select();
        bound
            .expr(Expr::cust("1"))
            .from_as("series", "r0")
            .join_as(
                JoinType::InnerJoin,
                "study",
                "s0",
                Expr::col(("s0", "study_id")).equals(("r0", "study_id")),
            )
            .and_where(Expr::col(("s0", "study_instance_uid")).eq(study.as_str()))
            .and_where(Expr::exists(visible_series(
                self.access,
                At::Series("r0"),
                Unread::Kept,
            )))
            .limit(1);
        if let Some(series) = &query.series {
            bound.and_where(Expr::col(("r0", "series_instance_uid")).eq(series.as_str()));
        }
        let row = self.index.reader.query_one(&bound).await.map_err(failed)?;
        if row.is_some() {
            return Ok(());
        }
        let scope = Scope {
            study: study.clone(),
            series: query.series.clone(),
            instance: None,
        };
        Err(self.absent(&scope).await?)
    }
}

/// Orders a page (Q90). Across studies, series and instances follow the order of their studies: an index can be walked in
/// that order, while the smallest series number of a whole facility would have to be searched for.
fn order(page: &mut SelectStatement, query: &Query) {
    if query.study.is_none() {
        page.order_by(("s", "study_date"), Order::Desc)
            .order_by(("s", "study_time_key"), Order::Desc)
            .order_by(("s", "study_instance_uid"), Order::Asc);
    }
    if query.level >= Level::Series {
        page.order_by(("r", "series_number"), Order::Asc)
            .order_by(("r", "series_instance_uid"), Order::Asc);
    }
    if query.level == Level::Instance {
        page.order_by(("i", "instance_number"), Order::Asc)
            .order_by(("i", "sop_instance_uid"), Order::Asc);
    }
}

/// Offsets are as large as a client likes; the database's are signed.
fn signed_offset(offset: u64) -> u64 {
    Ord::min(offset, i64::MAX.unsigned_abs())
}

/// The rows that match and that the caller may see, without columns and order: `study` `s`, `series` `r`, `instance` `i`
/// as far as the level needs them.
fn matching(access: &Access, query: &Query) -> SelectStatement {
    let mut rows = Sql::select();
    rows.from_as("study", "s");
    if query.level >= Level::Series {
        let series = Expr::col(("r", "study_id")).equals(("s", "study_id"));
        rows.join_as(JoinType::InnerJoin, "series", "r", series);
    }
    if query.level == Level::Instance {
        let instance = Expr::col(("i", "study_id"))
            .equals(("s", "study_id"))
            .and(Expr::col(("i", "series_id")).equals(("r", "series_id")));
        rows.join_as(JoinType::InnerJoin, "instance", "i", instance)
            .and_where(Expr::col(("i", "state")).eq("live"));
    }
    // The guard says so as well; said here, it leads to the indexes of an owner.
    rows.and_where(Expr::col(("s", "owner_facility_id")).eq(access.facility_id().0));
    if let Some(study) = &query.study {
        rows.and_where(Expr::col(("s", "study_instance_uid")).eq(study.as_str()));
    }
    if let Some(series) = query
        .series
        .as_ref()
        .filter(|_| query.level >= Level::Series)
    {
        rows.and_where(Expr::col(("r", "series_instance_uid")).eq(series.as_str()));
    }
    for wanted in &query.matches {
        rows.and_where(conditions::holds(access, query, wanted));
    }
    let at = match query.level {
        Level::Study => At::Study("s"),
        Level::Series | Level::Instance => At::Series("r"),
    };
    rows.and_where(Expr::exists(visible_series(access, at, Unread::Hidden)));
    rows
}

fn found(query: &Query, shown: &[&'static Row], row: &sea_orm::QueryResult) -> Result<Found> {
    let text = |column| get::<String>(row, column);
    let mut found = Found {
        study: uid(StudyUid::parse(&text(fields::STUDY)?))?,
        series: None,
        instance: None,
        attributes: fields::read(shown, row)?,
    };
    if query.level >= Level::Series {
        found.series = Some(uid(SeriesUid::parse(&text(fields::SERIES)?))?);
    }
    if query.level == Level::Instance {
        found.instance = Some(uid(SopInstanceUid::parse(&text(fields::INSTANCE)?))?);
    }
    Ok(found)
}

/// The alias of the table that holds a level's rows.
fn alias(level: Level) -> &'static str {
    match columns::table(level) {
        "study" => "s",
        "series" => "r",
        _ => "i",
    }
}
