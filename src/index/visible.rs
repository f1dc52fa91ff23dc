//! The visibility predicate, compiled to SQL (sharing.md 3, schema.md 5.1). Nothing else is in this file.
//!
//! Its unit is the series. A branch is a basis; today there is one, OWN: an active facility sees what it owns. The
//! functions that read join it inside the statement that fetches, so that existence and permission are one answer.
//!
//! Its own aliases are `v` and `vf`. No statement around it may use them: a name is looked up from the inside out, and a
//! guard that is tied to itself lets everything pass.

use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Query, SelectStatement};

use crate::auth::Access;
use crate::model::FacilityState;

/// Where the statement around the predicate stands; fills the hole `{at}`.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    /// Nowhere: everything that is visible.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "lists driven from what was disclosed")
    )]
    Everywhere,
    /// At a row of `study` by this alias.
    Study(&'static str),
    /// At a row of `series` by this alias.
    Series(&'static str),
}

/// What becomes of a class that the scopes do not allow to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Its series are left out: for lists.
    Hidden,
    /// They are shown, for the caller of this function to tell 403 from 404: at one object (SH-3.4).
    Kept,
}

/// The series that `access` may see: `series_id`, `study_id`, `basis`.
pub(super) fn visible_series(access: &Access, at: At, unread: Unread) -> SelectStatement {
    if let At::Study(alias) | At::Series(alias) = at {
        assert!(
            !matches!(alias, "v" | "vf"),
            "the guard would be tied to itself"
        );
    }
    own(access, at, unread)
}

/// Whether a row of `study` or `series` that is the caller's own has a series which `access` may see, in a list.
///
/// The kept columns answer for most: where the row has an instance, no class that is not read and no seal, any series of
/// it will do. The others are asked series by series.
pub(super) fn own_row(access: &Access, at: At) -> Expr {
    let by_series = Expr::exists(visible_series(access, at, Unread::Hidden));
    let (alias, is_open) = match at {
        At::Everywhere => return by_series,
        At::Study(alias) => (alias, Expr::col((alias, "sealed_count")).eq(0)),
        At::Series(alias) => (alias, Expr::col((alias, "is_sealed")).eq(false)),
    };
    let of = |column: &'static str| Expr::col((alias, column));
    let active = Query::select()
        .expr(Expr::cust("1"))
        .from_as("facility", "vf")
        .and_where(Expr::col(("vf", "facility_id")).eq(access.facility_id().0))
        .and_where(Expr::col(("vf", "state")).eq(FacilityState::Active.as_str()))
        .take();
    let whole = of("owner_facility_id")
        .eq(access.facility_id().0)
        // No class at all: nothing lives in it.
        .and(of("class_mask").gt(0))
        .and(is_open)
        .and(of("class_mask").bit_and(access.unread().0).eq(0))
        .and(Expr::exists(active));
    whole.or(by_series)
}

/// Whether the caller may know of a row of `study`: it sees a series of it, or nothing is left of it and the caller's facility,
/// which is at work, owned it (MINT X02, MINT 7.1).
pub(super) fn known_row(access: &Access, alias: &'static str) -> Expr {
    let active = Query::select()
        .expr(Expr::cust("1"))
        .from_as("facility", "vf")
        .and_where(Expr::col(("vf", "facility_id")).eq(access.facility_id().0))
        .and_where(Expr::col(("vf", "state")).eq(FacilityState::Active.as_str()))
        .take();
    let emptied = Expr::col((alias, "owner_facility_id"))
        .eq(access.facility_id().0)
        .and(Expr::col((alias, "instance_count")).eq(0))
        .and(Expr::exists(active));
    own_row(access, At::Study(alias)).or(emptied)
}

/// The basis on which the object at `at` is visible: one row or none.
pub(super) fn basis(access: &Access, at: At, unread: Unread) -> SelectStatement {
    visible_series(access, at, unread)
        .clear_selects()
        .expr_as(Expr::cust("'OWN'"), "basis")
        .limit(1)
        .take()
}

/// The basis on which what was handed out before may go on: what was deleted since does, what may no longer be seen does not
/// (W12, SH-3.6).
pub(super) fn standing(access: &Access, at: At) -> SelectStatement {
    owned(access, at, Unread::Hidden)
        .clear_selects()
        .expr_as(Expr::cust("'OWN'"), "basis")
        .limit(1)
        .take()
}

fn own(access: &Access, at: At, unread: Unread) -> SelectStatement {
    owned(access, at, unread)
        .and_where(Expr::col(("v", "instance_count")).gt(0))
        .take()
}

/// What a facility owns, emptied or not.
fn owned(access: &Access, at: At, unread: Unread) -> SelectStatement {
    let owner = Expr::col(("vf", "facility_id")).equals(("v", "owner_facility_id"));
    let mut own = Query::select();
    own.columns([("v", "series_id"), ("v", "study_id")])
        .expr_as(Expr::cust("'OWN'"), "basis")
        .from_as("series", "v")
        .join_as(JoinType::InnerJoin, "facility", "vf", owner)
        .and_where(Expr::col(("v", "owner_facility_id")).eq(access.facility_id().0))
        .and_where(Expr::col(("vf", "state")).eq(FacilityState::Active.as_str()));
    match at {
        At::Everywhere => {}
        At::Study(alias) => {
            own.and_where(Expr::col(("v", "study_id")).equals((alias, "study_id")));
        }
        At::Series(alias) => {
            own.and_where(Expr::col(("v", "series_id")).equals((alias, "series_id")));
        }
    }
    let mask = access.unread().0;
    if unread == Unread::Hidden && mask != 0 {
        own.and_where(Expr::col(("v", "class_mask")).bit_and(mask).eq(0));
    }
    // `v.is_sealed` is not asked yet: nothing can be sealed before there are seals (SH-3.5).
    own.take()
}

#[cfg(test)]
mod tests {
    use sea_orm::sea_query::{PostgresQueryBuilder, SqliteQueryBuilder};

    use super::*;
    use crate::index::tests::world;

    #[test]
    fn the_predicate_reads_the_same_on_both_databases() {
        let access = world::person_of("F001", &[crate::auth::Scope::DicomRead]);
        let own = visible_series(&access, At::Study("s"), Unread::Hidden);
        let expected = "SELECT \"v\".\"series_id\", \"v\".\"study_id\", 'OWN' AS \"basis\" FROM \"series\" AS \"v\" \
            INNER JOIN \"facility\" AS \"vf\" ON \"vf\".\"facility_id\" = \"v\".\"owner_facility_id\" \
            WHERE \"v\".\"owner_facility_id\" = ?1 AND \"vf\".\"state\" = ?2 \
            AND \"v\".\"study_id\" = \"s\".\"study_id\" AND (\"v\".\"class_mask\" & ?3) = ?4 AND \"v\".\"instance_count\" > ?5";
        let unnumbered = expected.replace(|c: char| c.is_ascii_digit(), "");
        assert_eq!(own.build(SqliteQueryBuilder).0, unnumbered);
        assert_eq!(
            own.build(PostgresQueryBuilder).0,
            expected.replace('?', "$")
        );
    }

    #[test]
    #[should_panic(expected = "tied to itself")]
    fn the_guard_is_never_tied_to_itself() {
        let access = world::person_of("F001", &[]);
        visible_series(&access, At::Series("v"), Unread::Hidden);
    }

    #[test]
    fn at_one_object_no_class_is_left_out() {
        let access = world::person_of("F001", &[]);
        let kept = visible_series(&access, At::Everywhere, Unread::Kept);
        assert!(!kept.build(SqliteQueryBuilder).0.contains("class_mask"));
    }
}
