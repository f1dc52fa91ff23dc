//! A checked search becomes one statement, its rows attribute sets (dicomweb.md section 4, schema.md 5.3).
//!
//! The statement names the owner, the conditions and the guard; `conditions` writes one condition a match, `fields` the
//! columns and what becomes of them. A page reads one row more than it shows, to know whether there are more; how many
//! more is a second statement that stops counting at a bound (Q96).
//!
//! Not known here are the URLs of results and the character set, which the door adds.

use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Query as Sql, SelectStatement};
use sea_orm::{ConnectionTrait, DbBackend, QueryResult, Statement};

use super::catalog::Scope;
use super::row::{failed, get, uid};
use super::visible::{At, Unread, own_row, visible_series};
use super::{Catalog, columns};
use crate::auth::{Access, Basis, Touched};
use crate::dicom::dictionary::Row;
use crate::dicom::query::Query;
use crate::error::Result;
use crate::model::{AttributeSet, Level, SeriesUid, SopInstanceUid, StudyUid};

mod conditions;
mod count;
mod fields;
mod narrow;
mod order;
mod patients;
mod zone;

pub use order::Place;
pub use patients::Patients;

use count::Count;
use narrow::{Narrow, narrow};
use order::Part;

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
    /// The results in the order that was asked for, else in that of Q90.
    pub rows: Vec<Found>,
    /// What remains.
    pub more: More,
    /// The number of all results, where it was asked for or costs nothing (Q97).
    pub total: Option<u64>,
    /// Where the next page begins, if there is one (Q98).
    pub next: Option<Place>,
}

/// Rows of the database and the part that each is of.
type Rows = Vec<(Part, QueryResult)>;

impl Catalog<'_> {
    /// Searches what the caller may see, at any level, anywhere or in one study or series; from `place` on, if one is given.
    ///
    /// # Errors
    /// `Kind::NotFound` if the search is bounded by a study or series that is not visible (Q112), `Kind::Gone` if that was
    /// erased and the caller may know it (S15), `Kind::Invalid` if the place is of another search.
    pub async fn search(&self, query: &Query, place: Option<&Place>) -> Result<Page> {
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let shown = fields::shown(query);
        if let Some(place) = place {
            order::after(self.access, query, place, false)?;
        }
        let narrow = narrow(self.index, self.access.facility_id(), query).await?;
        let mut rows = self.rows(query, &shown, &narrow, place).await?;
        if rows.is_empty() {
            self.check_bounds(query).await?;
        }
        let is_cut = rows.len() > limit;
        rows.truncate(limit);
        let last = match rows.last().filter(|_| is_cut) {
            Some((part, row)) => Some(order::place(self.access, query, *part, row)?),
            None => None,
        };
        let rows: Vec<Found> = rows
            .iter()
            .map(|(_, row)| found(query, &shown, row))
            .collect::<Result<_>>()?;
        for row in &rows {
            self.access.note(Touched {
                study: row.study.to_string(),
                basis: Basis::Own,
            });
        }
        let count = Count {
            catalog: self,
            query,
            narrow: &narrow,
        };
        let (more, total) = count.rest(place, last.as_ref(), rows.len(), is_cut).await?;
        Ok(Page {
            rows,
            more,
            total,
            next: last,
        })
    }

    /// The rows of a page, and one more where there is one.
    async fn rows(
        &self,
        query: &Query,
        shown: &[&'static Row],
        narrow: &Narrow,
        place: Option<&Place>,
    ) -> Result<Rows> {
        let wanted = u64::from(query.limit).saturating_add(1);
        let mut rows: Rows = Vec::new();
        let mut offset = query.offset;
        let begin = place.map(Place::part);
        for &part in order::parts(query) {
            let there = u64::try_from(rows.len()).unwrap_or(u64::MAX);
            let missing = wanted.saturating_sub(there);
            let is_before = begin == Some(Part::Absent) && part == Part::Present;
            if missing == 0 || is_before {
                continue;
            }
            let place = place.filter(|place| place.part() == part);
            let page = if offset > 0 {
                self.page_at(query, shown, &narrow.few, part, (missing, offset))?
            } else {
                let mut page = self.page(query, shown, &narrow.few, part, place)?;
                page.limit(missing);
                page
            };
            let found = self.index.reader.query_all(&page).await.map_err(failed)?;
            if !found.is_empty() {
                offset = 0;
            } else if offset > 0 && part == Part::Present {
                let count = Count {
                    catalog: self,
                    query,
                    narrow,
                };
                offset = offset.saturating_sub(count.part(part, None, None).await?);
            }
            rows.extend(found.into_iter().map(|row| (part, row)));
        }
        Ok(rows)
    }

    /// How the database would answer the first page of a search, or the one behind a place: its plan, line by line.
    ///
    /// # Errors
    /// `Kind::Invalid` if the place is of another search.
    pub async fn plan(&self, query: &Query, place: Option<&Place>) -> Result<String> {
        let narrow = narrow(self.index, self.access.facility_id(), query).await?;
        let part = place.map_or(order::parts(query)[0], Place::part);
        let mut page = self.page(query, &fields::shown(query), &narrow.few, part, place)?;
        page.limit(u64::from(query.limit).saturating_add(1));
        let reader = &self.index.reader;
        let backend = reader.get_database_backend();
        let (explain, column) = if backend == DbBackend::Sqlite {
            ("EXPLAIN QUERY PLAN", "detail")
        } else {
            ("EXPLAIN (COSTS OFF)", "QUERY PLAN")
        };
        let statement = backend.build(&page);
        let statement = Statement {
            sql: format!("{explain} {}", statement.sql),
            ..statement
        };
        let rows = reader.query_all_raw(statement).await.map_err(failed)?;
        let lines: Result<Vec<String>> = rows.iter().map(|row| get(row, column)).collect();
        Ok(lines?.join("\n"))
    }

    fn page(
        &self,
        query: &Query,
        shown: &[&'static Row],
        lead: &[Expr],
        part: Part,
        place: Option<&Place>,
    ) -> Result<SelectStatement> {
        let mut page = matching(self.access, query, lead);
        fields::select(&mut page, self.access, query, shown);
        order::keep_to(&mut page, self.access, query, part, place, !lead.is_empty())?;
        order::apply(&mut page, self.access, query, part);
        Ok(page)
    }

    /// A page behind so many rows: which rows it holds is settled first and without its columns, of which some count, so that
    /// nothing is counted for what is passed over.
    fn page_at(
        &self,
        query: &Query,
        shown: &[&'static Row],
        lead: &[Expr],
        part: Part,
        (limit, offset): (u64, u64),
    ) -> Result<SelectStatement> {
        let mut rows = matching(self.access, query, lead);
        order::keep_to(&mut rows, self.access, query, part, None, !lead.is_empty())?;
        order::apply(&mut rows, self.access, query, part);
        rows.limit(limit).offset(signed_offset(offset));
        let mut page = Sql::select();
        let mut same = Expr::col(("s", "study_id")).equals(("p", "study_id"));
        rows.column(("s", "study_id"));
        if query.level >= Level::Series {
            rows.column(("r", "series_id"));
        }
        if query.level == Level::Instance {
            rows.column(("i", "instance_id"));
        }
        page.from_subquery(rows, "p");
        page.join_as(JoinType::InnerJoin, "study", "s", same);
        if query.level >= Level::Series {
            same = Expr::col(("r", "series_id")).equals(("p", "series_id"));
            page.join_as(JoinType::InnerJoin, "series", "r", same);
        }
        if query.level == Level::Instance {
            same = Expr::col(("i", "study_id"))
                .equals(("p", "study_id"))
                .and(Expr::col(("i", "instance_id")).equals(("p", "instance_id")));
            page.join_as(JoinType::InnerJoin, "instance", "i", same);
        }
        fields::select(&mut page, self.access, query, shown);
        order::again(&mut page, self.access, query, part);
        Ok(page)
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

/// The conditions of a search of studies, on `study` `s`.
pub(super) fn conditions_of(access: &Access, query: &Query) -> Vec<Expr> {
    let all = query.matches.iter();
    all.map(|wanted| conditions::holds(access, query, wanted))
        .collect()
}

/// Offsets are as large as a client likes; the database's are signed.
fn signed_offset(offset: u64) -> u64 {
    Ord::min(offset, i64::MAX.unsigned_abs())
}

/// The rows that match and that the caller may see, without columns and order: `study` `s`, `series` `r`, `instance` `i`
/// as far as the level needs them.
fn matching(access: &Access, query: &Query, lead: &[Expr]) -> SelectStatement {
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
    for known in lead {
        rows.and_where(known.clone());
    }
    for wanted in &query.matches {
        rows.and_where(conditions::holds(access, query, wanted));
    }
    let at = match query.level {
        Level::Study => At::Study("s"),
        Level::Series | Level::Instance => At::Series("r"),
    };
    rows.and_where(own_row(access, at));
    rows
}

fn found(query: &Query, shown: &[&'static Row], row: &QueryResult) -> Result<Found> {
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
