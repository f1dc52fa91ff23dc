//! What a result shows, and where it comes from (dicomweb.md 4.5, 4.6).

use sea_orm::QueryResult;
use sea_orm::sea_query::{Cond, Expr, ExprTrait, Func, JoinType, Query as Sql, SelectStatement};

use super::alias;
use crate::auth::Access;
use crate::dicom::dictionary::{Matching, Returned, Row, TABLE};
use crate::dicom::query::Query;
use crate::error::Result;
use crate::index::columns;
use crate::index::row::get;
use crate::index::visible::{At, Unread, visible_series};
use crate::model::{AttributeSet, Level, Tag};

/// Aliases of the UIDs of a result.
pub(super) const STUDY: &str = "study";
pub(super) const SERIES: &str = "series";
pub(super) const INSTANCE: &str = "instance";

const INSTANCE_AVAILABILITY: Tag = Tag(0x0008, 0x0056);
const MODALITIES_IN_STUDY: Tag = Tag(0x0008, 0x0061);
const SOP_CLASSES_IN_STUDY: Tag = Tag(0x0008, 0x0062);
const TIMEZONE_OFFSET_FROM_UTC: Tag = Tag(0x0008, 0x0201);
const STUDY_RELATED_SERIES: Tag = Tag(0x0020, 0x1206);
const STUDY_RELATED_INSTANCES: Tag = Tag(0x0020, 0x1208);

/// The attributes that the results of a search show.
pub(super) fn shown(query: &Query) -> Vec<&'static Row> {
    TABLE.iter().filter(|row| is_shown(query, row)).collect()
}

fn is_shown(query: &Query, row: &Row) -> bool {
    if row.level > query.level {
        // Asked at a higher level than its own, an attribute is not returned (Q81).
        return false;
    }
    if query.fields.tags.contains(&row.tag) || query.matches.iter().any(|m| m.row.tag == row.tag) {
        return true;
    }
    if query.fields.no_defaults {
        return matches!(
            row.tag,
            columns::STUDY_UID | columns::SERIES_UID | columns::SOP_INSTANCE_UID
        );
    }
    if row.level == query.level {
        return query.fields.all || row.returned != Returned::OnRequest;
    }
    // Of the levels above: always what names them, all of their defaults where the path does not name them (Q66).
    match row.tag {
        columns::STUDY_UID | columns::SERIES_UID | TIMEZONE_OFFSET_FROM_UTC => true,
        INSTANCE_AVAILABILITY if query.level == Level::Instance => true,
        _ => {
            let is_named = match row.level {
                Level::Study => query.study.is_some(),
                Level::Series => query.series.is_some(),
                Level::Instance => true,
            };
            !is_named && row.returned != Returned::OnRequest
        }
    }
}

/// Adds the columns of a page.
pub(super) fn select(
    page: &mut SelectStatement,
    access: &Access,
    query: &Query,
    shown: &[&'static Row],
) {
    page.expr_as(Expr::col(("s", "study_instance_uid")), STUDY);
    if query.level >= Level::Series {
        page.expr_as(Expr::col(("r", "series_instance_uid")), SERIES);
    }
    if query.level == Level::Instance {
        page.expr_as(Expr::col(("i", "sop_instance_uid")), INSTANCE);
    }
    for row in shown {
        page.expr_as(shown_value(access, query.level, row), row.keyword);
    }
}

/// What a result of `level` shows of an attribute.
fn shown_value(access: &Access, level: Level, row: &Row) -> Expr {
    match row.tag {
        // It is that of the result, of whatever level, and not of its study.
        INSTANCE_AVAILABILITY => availability(access, level),
        _ => value(access, row),
    }
}

/// The value of an attribute, at a row of its level.
pub(super) fn value(access: &Access, row: &Row) -> Expr {
    let column = Expr::col((alias(row.level), row.column));
    match row.tag {
        INSTANCE_AVAILABILITY => availability(access, row.level),
        STUDY_RELATED_SERIES => counted(access, column, Expr::cust("COUNT(*)")),
        STUDY_RELATED_INSTANCES => {
            counted(access, column, Expr::col(("a", "instance_count")).sum())
        }
        MODALITIES_IN_STUDY => listed(access, column, "modality"),
        SOP_CLASSES_IN_STUDY => listed(access, column, "sop_classes"),
        // The columns of numbers are not of one type.
        _ if row.matching == Matching::Number => column.cast_as("BIGINT"),
        _ => column,
    }
}

/// How readily a result can be had (Q69): the worst of its instances that the caller sees. All there is lies in one tier that is
/// always at hand, unless its object is known to be missing.
///
/// Whether any object at all is missing is asked first and once: then nothing is asked of the single results.
fn availability(access: &Access, level: Level) -> Expr {
    let is_missing = |copy: &'static str| Expr::col((copy, "missing_since")).is_not_null();
    let any = Sql::select()
        .expr(Expr::cust("1"))
        .from_as("pack_copy", "ab")
        .and_where(is_missing("ab"))
        .take();
    let mut here = Sql::select();
    here.expr(Expr::cust("1"));
    if level == Level::Instance {
        here.from_as("pack_copy", "ac")
            .and_where(Expr::col(("ac", "pack_id")).equals(("i", "pack_id")))
            .and_where(is_missing("ac"));
    } else {
        let copy = Expr::col(("ac", "pack_id")).equals(("ap", "pack_id"));
        let instance = Expr::col(("ai", "study_id"))
            .equals(("ap", "study_id"))
            .and(Expr::col(("ai", "pack_id")).equals(("ap", "pack_id")));
        let series = Expr::col(("ar", "series_id")).equals(("ai", "series_id"));
        let visible = visible_series(access, At::Series("ar"), Unread::Hidden);
        here.from_as("pack", "ap")
            .join_as(JoinType::InnerJoin, "pack_copy", "ac", copy)
            .join_as(JoinType::InnerJoin, "instance", "ai", instance)
            .join_as(JoinType::InnerJoin, "series", "ar", series)
            .and_where(Expr::col(("ap", "study_id")).equals(("s", "study_id")))
            .and_where(is_missing("ac"))
            .and_where(Expr::col(("ai", "state")).eq("live"))
            .and_where(Expr::exists(visible));
        if level == Level::Series {
            here.and_where(Expr::col(("ar", "series_id")).equals(("r", "series_id")));
        }
    }
    let is_here = Cond::all().add(Expr::exists(any)).add(Expr::exists(here));
    Expr::case(is_here, Expr::cust("'UNAVAILABLE'"))
        .finally(Expr::cust("'ONLINE'"))
        .into()
}

/// A number over the series that the caller sees: the kept column where that is all of them (schema.md 5.4).
fn counted(access: &Access, kept: Expr, over: Expr) -> Expr {
    let rest = of_visible(access, over.cast_as("BIGINT"));
    Expr::case(sees_all(access), kept.cast_as("BIGINT"))
        .finally(rest)
        .into()
}

/// A list over the series that the caller sees, the same way; not yet a set where it is not the kept one.
fn listed(access: &Access, kept: Expr, column: &'static str) -> Expr {
    let joined = Func::cust("string_agg").args([Expr::col(("a", column)), Expr::cust("'\\'")]);
    let rest = of_visible(access, joined.into());
    Expr::case(sees_all(access), kept).finally(rest).into()
}

fn sees_all(access: &Access) -> Cond {
    let mask = access.unread().0;
    Cond::all()
        .add(Expr::col(("s", "sealed_count")).eq(0))
        .add(Expr::col(("s", "class_mask")).bit_and(mask).eq(0))
}

fn of_visible(access: &Access, expr: Expr) -> Expr {
    let visible = visible_series(access, At::Series("a"), Unread::Hidden);
    let select = Sql::select()
        .expr(expr)
        .from_as("series", "a")
        .and_where(Expr::col(("a", "study_id")).equals(("s", "study_id")))
        .and_where(Expr::exists(visible))
        .take();
    Expr::SubQuery(None, Box::new(select.into()))
}

/// The attributes of a row.
pub(super) fn read(shown: &[&'static Row], row: &QueryResult) -> Result<AttributeSet> {
    let mut attributes = AttributeSet::default();
    for field in shown {
        let (number, text) = if field.matching == Matching::Number {
            (get::<Option<i64>>(row, field.keyword)?, None)
        } else {
            (None, get::<Option<String>>(row, field.keyword)?)
        };
        let text = match field.tag {
            MODALITIES_IN_STUDY | SOP_CLASSES_IN_STUDY => text.map(|text| set(&text)),
            _ => text,
        };
        let value = columns::shown(field, number, text);
        // OHIF stops at a study whose list of modalities is there and empty.
        let or_empty = field.returned == Returned::OrEmpty && field.tag != MODALITIES_IN_STUDY;
        if value.is_some() || or_empty {
            attributes.put(field.tag, field.vr, value.unwrap_or_default());
        }
    }
    Ok(attributes)
}

/// A list as a sorted set.
fn set(list: &str) -> String {
    let mut values: Vec<&str> = list.split('\\').filter(|value| !value.is_empty()).collect();
    values.sort_unstable();
    values.dedup();
    values.join("\\")
}
