//! One condition a match (dicomweb.md 4.2, 4.3). Every value is a bound parameter.
//!
//! An absent value matches nothing (Q35): a column that is NULL compares as unknown, and where a column cannot be NULL
//! the empty text is kept out of open ranges.

use sea_orm::sea_query::{BinOper, Expr, ExprTrait, Func, LikeExpr, Query as Sql};

use super::{alias, fields, zone};
use crate::auth::Access;
use crate::dicom::dictionary::{Matching, Row};
use crate::dicom::query::{Match, NameTest, Query, Test};
use crate::index::columns;
use crate::index::parts::begins_with;
use crate::index::visible::{At, Unread, visible_series};
use crate::model::Tag;

const MODALITIES_IN_STUDY: Tag = Tag(0x0008, 0x0061);
const SOP_CLASSES_IN_STUDY: Tag = Tag(0x0008, 0x0062);

/// Escapes `%`, `_` and itself in patterns. Not a backslash: that one separates values.
const ESCAPE: char = '!';

pub(super) const CONCATENATE: BinOper = BinOper::Custom("||");

/// The condition of one match of a search.
pub(super) fn holds(access: &Access, query: &Query, wanted: &Match) -> Expr {
    let row = wanted.row;
    if row.level > query.level {
        // The parser lets none of these through; matching nothing is the safe answer to one.
        return Expr::cust("(1 = 0)");
    }
    if let Some(shifted) = query
        .zone
        .and_then(|zone| zone::shifted(row, zone, &wanted.test))
    {
        return shifted;
    }
    if let Test::Moments(from, to) = &wanted.test {
        return zone::in_moments(row, from.as_ref(), to.as_ref());
    }
    match row.tag {
        // No visible series has one.
        MODALITIES_IN_STUDY if wanted.test == Test::Empty => {
            let column = Expr::col(("m", "modality_key"));
            any_series(access, column.is_not_null()).not()
        }
        // Any visible series will do (Q41).
        MODALITIES_IN_STUDY => {
            let column = Expr::col(("m", "modality_key"));
            any_series(access, text(row, &column, false, &wanted.test))
        }
        SOP_CLASSES_IN_STUDY => {
            let column = Expr::col(("m", "sop_classes"));
            any_series(access, text(row, &column, true, &wanted.test))
        }
        // Elsewhere the UID is looked up within a study.
        columns::SOP_INSTANCE_UID if query.study.is_none() => {
            let here = kept(row, &wanted.test);
            if let Test::OneOf(uids) = &wanted.test {
                return studies_of(access, uids).and(here);
            }
            here
        }
        _ if row.computed => text(row, &fields::value(access, row), false, &wanted.test),
        _ => kept(row, &wanted.test),
    }
}

/// The studies of an owner in which instances are: the only index of SOP Instance UIDs without their study.
fn studies_of(access: &Access, instances: &[String]) -> Expr {
    let studies = Sql::select()
        .column(("u", "study_id"))
        .from_as("instance_uid", "u")
        .and_where(Expr::col(("u", "owner_facility_id")).eq(access.facility_id().0))
        .and_where(Expr::col(("u", "sop_instance_uid")).is_in(instances.iter().map(String::as_str)))
        .take();
    Expr::col(("s", "study_id")).in_subquery(studies)
}

/// The condition on an attribute that has a column.
fn kept(row: &Row, test: &Test) -> Expr {
    let table = alias(row.level);
    if let (Matching::Name, Test::Name(name)) = (row.matching, test) {
        return named(row, name);
    }
    if *test == Test::Empty {
        return text(row, &Expr::col((table, row.column)), false, test);
    }
    if row.matching == Matching::Name {
        // A name that is asked for as mere text.
        let columns = columns::fold_columns(row).map(|column| Expr::col((table, column)));
        let any = columns.iter().map(|column| text(row, column, true, test));
        return any_of(any);
    }
    let column = match row.matching {
        Matching::Code if columns::key_column(row).is_none() => {
            Func::upper(Expr::col((table, row.column))).into()
        }
        Matching::Code
        | Matching::Uid
        | Matching::Text
        | Matching::Name
        | Matching::Date
        | Matching::Time
        | Matching::Number
        | Matching::None => column(row),
    };
    text(row, &column, columns::is_multiple(row), test)
}

/// The column in which an attribute is matched and by which it is ordered; of a name, its alphabetic group.
pub(super) fn column(row: &Row) -> Expr {
    let table = alias(row.level);
    match columns::key_column(row) {
        _ if row.matching == Matching::Name => {
            let [alphabetic, ..] = columns::fold_columns(row);
            Expr::col((table, alphabetic))
        }
        Some(key) => Expr::col((table, key)),
        None => Expr::col((table, row.column)),
    }
}

/// The condition on a column; one that holds several values is searched for one of them (Q34).
fn text(row: &Row, column: &Expr, is_multiple: bool, test: &Test) -> Expr {
    let key = |value: &String| match row.matching {
        Matching::Code | Matching::Text => columns::key(value),
        Matching::Uid
        | Matching::Name
        | Matching::Date
        | Matching::Time
        | Matching::Number
        | Matching::None => value.clone(),
    };
    match test {
        Test::OneOf(values) if is_multiple => {
            any_of(values.iter().map(|value| among(column, &like(&key(value)))))
        }
        Test::OneOf(values) => one_of(column, values.iter().map(key).collect()),
        Test::Like(patterns) if is_multiple => any_of(
            patterns
                .iter()
                .map(|pattern| among(column, &wild(&key(pattern)))),
        ),
        Test::Like(patterns) => any_of(
            patterns
                .iter()
                .map(|pattern| matches_pattern(column, &key(pattern))),
        ),
        Test::Numbers(numbers) => column.clone().is_in(numbers.iter().copied()),
        Test::Range(from, to) => in_range(column, from.as_deref(), to.as_deref()),
        Test::Empty if row.matching == Matching::Number => column
            .clone()
            .is_null()
            .or(column.clone().eq(columns::NO_NUMBER)),
        Test::Empty => column.clone().is_null().or(column.clone().eq("")),
        Test::Name(_) | Test::Moments(..) => Expr::cust("(1 = 0)"),
    }
}

/// Equality with one of several texts. One alone is no list: SQLite would take the index of the order for a list.
fn one_of(column: &Expr, mut values: Vec<String>) -> Expr {
    match values.len() {
        1 => column.clone().eq(values.remove(0)),
        _ => column.clone().is_in(values),
    }
}

/// Whether a closed range holds a date or a time. Both bounds are always there: they keep out the empty text.
pub(super) fn in_range(column: &Expr, from: Option<&str>, to: Option<&str>) -> Expr {
    // Digits sort below the colon.
    column
        .clone()
        .gte(from.unwrap_or("0"))
        .and(column.clone().lte(to.unwrap_or(":")))
}

/// Whether a series that the caller sees has it.
fn any_series(access: &Access, condition: Expr) -> Expr {
    let series = Sql::select()
        .expr(Expr::cust("1"))
        .from_as("series", "m")
        .and_where(Expr::col(("m", "study_id")).equals(("s", "study_id")))
        .and_where(condition)
        .and_where(Expr::exists(visible_series(
            access,
            At::Series("m"),
            Unread::Hidden,
        )))
        .take();
    Expr::exists(series)
}

/// The condition on a name.
fn named(row: &Row, test: &NameTest) -> Expr {
    let table = alias(row.level);
    let groups = columns::fold_columns(row).map(|column| Expr::col((table, column)));
    let is_multiple = columns::is_multiple(row);
    let group = |column: &Expr, pattern: &String| {
        if is_multiple {
            among(column, &wild(pattern))
        } else {
            matches_pattern(column, pattern)
        }
    };
    match test {
        NameTest::Any(pattern) => any_of(groups.iter().map(|column| group(column, pattern))),
        NameTest::Groups(patterns) => all_of(
            groups
                .iter()
                .zip(patterns)
                .filter_map(|(column, pattern)| Some(group(column, pattern.as_ref()?))),
        ),
        NameTest::Fuzzy(tokens) => all_of(
            tokens
                .iter()
                .map(|token| any_of(groups.iter().map(|column| has_token(column, token)))),
        ),
    }
}

/// Whether a word of a folded group begins with `token` (Q56).
fn has_token(column: &Expr, token: &str) -> Expr {
    let inside = ["^", " ", ",", "\\"];
    let inside = inside.map(|before| is_like(column, &format!("%{before}{}%", like(token))));
    any_of(inside.into_iter().chain([begins_with(column, token)]))
}

/// A pattern with `*` and `?` on a column of one value: equality, a range or LIKE, whichever the index serves best.
fn matches_pattern(column: &Expr, pattern: &str) -> Expr {
    match pattern.find(['*', '?']) {
        None => column.clone().eq(pattern),
        Some(first) if pattern[first..].bytes().all(|b| b == b'*') && first > 0 => {
            begins_with(column, &pattern[..first])
        }
        Some(_) => is_like(column, &wild(pattern)),
    }
}

/// Whether one of the values of a column, between backslashes, is like a pattern.
fn among(column: &Expr, pattern: &str) -> Expr {
    let separator = || Expr::cust("'\\'");
    let bounded = separator()
        .binary(CONCATENATE, column.clone())
        .binary(CONCATENATE, separator());
    is_like(&bounded, &format!("%\\{pattern}\\%"))
}

fn is_like(column: &Expr, pattern: &str) -> Expr {
    column.clone().like(LikeExpr::new(pattern).escape(ESCAPE))
}

/// A text as a pattern of LIKE that matches it alone.
fn like(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | ESCAPE) {
            pattern.push(ESCAPE);
        }
        pattern.push(c);
    }
    pattern
}

/// A pattern with `*` and `?` as a pattern of LIKE.
fn wild(pattern: &str) -> String {
    like(pattern).replace('*', "%").replace('?', "_")
}

pub(super) fn any_of(conditions: impl Iterator<Item = Expr>) -> Expr {
    conditions
        .reduce(ExprTrait::or)
        .unwrap_or_else(|| Expr::cust("(1 = 0)"))
}

pub(super) fn all_of(conditions: impl Iterator<Item = Expr>) -> Expr {
    conditions
        .reduce(ExprTrait::and)
        .unwrap_or_else(|| Expr::cust("(1 = 1)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_like_would_read_is_escaped() {
        assert_eq!(like("50%_!\\"), "50!%!_!!\\");
        assert_eq!(wild("a*b?_"), "a%b_!_");
    }
}
