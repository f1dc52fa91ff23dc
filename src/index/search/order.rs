//! The order of results and the place of a page in it (Q90, Q91, Q98).
//!
//! What has no value comes last, whichever way its attribute is ordered, and the two databases sort NULL differently. So
//! the first attribute of an `orderby` cuts the results into two parts, asked one after the other: those that have it, in
//! its order, which an index can be walked in, and those that do not. The attributes behind it, and those of Q90, order
//! what is equal so far.
//!
//! A place is the row behind which a page begins. Its condition has the bounded form of stack.md 2.7: without the bound on
//! the first column, the whole index would be read.

use sea_orm::QueryResult;
use sea_orm::sea_query::{Expr, ExprTrait, Func, Order, SelectStatement};
use serde::{Deserialize, Serialize};

use super::conditions::{self, all_of};
use super::fields;
use crate::auth::Access;
use crate::dicom::dictionary::{Matching, Row, row_of};
use crate::dicom::query::{OrderBy, Query};
use crate::error::{Error, Result};
use crate::index::columns::{self, NO_NUMBER};
use crate::index::row::get;
use crate::model::{Level, Tag};

const STUDY_DATE: Tag = Tag(0x0008, 0x0020);
const STUDY_TIME: Tag = Tag(0x0008, 0x0030);
const SERIES_NUMBER: Tag = Tag(0x0020, 0x0011);
const INSTANCE_NUMBER: Tag = Tag(0x0020, 0x0013);

/// Which results a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Part {
    /// All: the order is that of Q90.
    Whole,
    /// Those that have the attribute which orders them.
    Present,
    /// Those that do not.
    Absent,
}

/// One value of a place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Key {
    Number(i64),
    Text(String),
}

/// A place between two results of one search, as a cursor carries it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Place {
    part: Part,
    keys: Vec<Key>,
}

impl Place {
    /// Reads what [`Place::to_text`] wrote.
    ///
    /// # Errors
    /// `Kind::Invalid` for anything else.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).map_err(|_| no_place())
    }

    /// As text. It holds values of a patient: it leaves the archive sealed or not at all.
    #[expect(
        clippy::missing_panics_doc,
        reason = "cannot: numbers and texts are JSON"
    )]
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts are JSON")
    }

    pub(super) fn part(&self) -> Part {
        self.part
    }
}

fn no_place() -> Error {
    Error::invalid("the cursor is none of this search")
}

/// One column or expression that orders; never NULL within its part.
struct Term {
    expr: Expr,
    descending: bool,
    is_number: bool,
}

impl Term {
    fn order(&self) -> Order {
        if self.descending {
            Order::Desc
        } else {
            Order::Asc
        }
    }
}

/// The parts of a search, in their order.
pub(super) fn parts(query: &Query) -> &'static [Part] {
    if query.order.is_empty() {
        &[Part::Whole]
    } else {
        &[Part::Present, Part::Absent]
    }
}

/// The condition that keeps a statement to its part.
pub(super) fn within(access: &Access, query: &Query, part: Part) -> Option<Expr> {
    let row = query.order.first()?.row;
    let column = column(access, row);
    match part {
        Part::Whole => None,
        Part::Present => Some(is_present(row, column)),
        Part::Absent => Some(is_absent(row, column)),
    }
}

/// Adds the order of a part, and the values that make the place of a row.
pub(super) fn apply(page: &mut SelectStatement, access: &Access, query: &Query, part: Part) {
    for (at, term) in terms(access, query, part).into_iter().enumerate() {
        let key = if term.is_number {
            term.expr.clone().cast_as("BIGINT")
        } else {
            term.expr.clone()
        };
        page.expr_as(key, alias(at));
        let order = term.order();
        page.order_by_expr(term.expr, order);
    }
}

/// The same around a statement `p` to which [`apply`] gave its order.
pub(super) fn again(page: &mut SelectStatement, access: &Access, query: &Query, part: Part) {
    for (at, term) in terms(access, query, part).into_iter().enumerate() {
        let key = Expr::col(("p", alias(at)));
        page.expr_as(key.clone(), alias(at));
        page.order_by_expr(key, term.order());
    }
}

fn alias(at: usize) -> String {
    format!("order{at}")
}

/// The place behind a row.
pub(super) fn place(
    access: &Access,
    query: &Query,
    part: Part,
    row: &QueryResult,
) -> Result<Place> {
    let terms = terms(access, query, part).into_iter().enumerate();
    let keys = terms.map(|(at, term)| {
        Ok(if term.is_number {
            Key::Number(get(row, &alias(at))?)
        } else {
            Key::Text(get(row, &alias(at))?)
        })
    });
    Ok(Place {
        part,
        keys: keys.collect::<Result<_>>()?,
    })
}

/// The condition that a row lies behind a place, in the part of the place. A statement that something else leads must not
/// be tempted to walk the order instead.
///
/// # Errors
/// `Kind::Invalid` if the place is of another search.
pub(super) fn after(access: &Access, query: &Query, place: &Place, is_led: bool) -> Result<Expr> {
    let terms = terms(access, query, place.part);
    let is_of_search = parts(query).contains(&place.part)
        && terms.len() == place.keys.len()
        && terms
            .iter()
            .zip(&place.keys)
            .all(|(term, key)| term.is_number == matches!(key, Key::Number(_)));
    if !is_of_search {
        return Err(no_place());
    }
    let mut condition: Option<Expr> = None;
    for (term, key) in terms.into_iter().zip(&place.keys).rev() {
        let value = match key {
            Key::Number(number) => Expr::val(*number),
            Key::Text(text) => Expr::val(text.as_str()),
        };
        // No index serves an expression: what leads the statement stays in the lead.
        let column = match (is_led, term.is_number) {
            (false, _) => term.expr,
            (true, true) => term.expr.add(0),
            (true, false) => term.expr.binary(conditions::CONCATENATE, ""),
        };
        let (behind, bound) = if term.descending {
            (column.clone().lt(value.clone()), column.lte(value))
        } else {
            (column.clone().gt(value.clone()), column.gte(value))
        };
        condition = Some(match condition {
            None => behind,
            Some(rest) => bound.and(behind.or(rest)),
        });
    }
    condition.ok_or_else(no_place)
}

fn terms(access: &Access, query: &Query, part: Part) -> Vec<Term> {
    let mut terms = Vec::new();
    for (at, OrderBy { row, descending }) in query.order.iter().enumerate() {
        let column = column(access, row);
        let is_number = row.matching == Matching::Number;
        if at == 0 {
            if part == Part::Present {
                terms.push(Term {
                    expr: column,
                    descending: *descending,
                    is_number,
                });
            }
            continue;
        }
        let absent = is_absent(row, column.clone());
        terms.push(Term {
            expr: Expr::case(absent, 1).finally(0).into(),
            descending: false,
            is_number: true,
        });
        let none = if is_number {
            Expr::val(0_i64)
        } else {
            Expr::val("")
        };
        terms.push(Term {
            expr: Func::coalesce([column, none]).into(),
            descending: *descending,
            is_number,
        });
    }
    let is_ordered = |tag: Tag| query.order.iter().any(|order| order.row.tag == tag);
    let rest = default(query)
        .into_iter()
        .filter(|(tag, _)| !is_ordered(*tag));
    terms.extend(rest.filter_map(|(tag, descending)| {
        let row = row_of(tag)?;
        Some(Term {
            expr: column(access, row),
            descending,
            is_number: row.matching == Matching::Number,
        })
    }));
    terms
}

/// The order of Q90. Across studies, series and instances follow the order of their studies: an index can be walked in
/// that order, while the smallest series number of a whole facility would have to be searched for.
fn default(query: &Query) -> Vec<(Tag, bool)> {
    let mut order = Vec::new();
    if query.study.is_none() {
        order.extend([
            (STUDY_DATE, true),
            (STUDY_TIME, true),
            (columns::STUDY_UID, false),
        ]);
    }
    if query.level >= Level::Series {
        order.extend([(SERIES_NUMBER, false), (columns::SERIES_UID, false)]);
    }
    if query.level == Level::Instance {
        order.extend([(INSTANCE_NUMBER, false), (columns::SOP_INSTANCE_UID, false)]);
    }
    order
}

/// The column by which an attribute is ordered. What counts or lists is computed over what the caller sees: an order by
/// what is kept would tell of the rest.
fn column(access: &Access, row: &Row) -> Expr {
    if row.computed {
        fields::value(access, row)
    } else {
        conditions::column(row)
    }
}

fn is_absent(row: &Row, column: Expr) -> Expr {
    match row.tag {
        STUDY_DATE | STUDY_TIME => column.eq(""),
        SERIES_NUMBER | INSTANCE_NUMBER => column.eq(NO_NUMBER),
        _ => column.is_null(),
    }
}

fn is_present(row: &Row, column: Expr) -> Expr {
    match row.tag {
        SERIES_NUMBER | INSTANCE_NUMBER => column.lt(NO_NUMBER),
        _ if row.matching == Matching::Number => column.is_not_null(),
        // Leaves out NULL as well, and SQLite takes it for the range of an index.
        _ => column.gt(""),
    }
}

/// Keeps a statement to one part, and behind a place in it.
///
/// # Errors
/// `Kind::Invalid` if the place is of another search.
pub(super) fn keep_to(
    rows: &mut SelectStatement,
    access: &Access,
    query: &Query,
    part: Part,
    place: Option<&Place>,
    is_led: bool,
) -> Result<()> {
    let after = place
        .map(|place| after(access, query, place, is_led))
        .transpose()?;
    let conditions: Vec<Expr> = within(access, query, part)
        .into_iter()
        .chain(after)
        .collect();
    if !conditions.is_empty() {
        rows.and_where(all_of(conditions.into_iter()));
    }
    Ok(())
}
