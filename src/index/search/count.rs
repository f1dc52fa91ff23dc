//! How many results there are: behind a page up to a bound, in all when it is asked for (Q96, Q97).

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, Query as Sql};

use super::order::{self, Part, Place};
use super::{MORE_BOUND, More, Narrow, matching};
use crate::dicom::query::Query;
use crate::error::Result;
use crate::index::Catalog;
use crate::index::row::{failed, get, unsigned};

/// Counts the results of one search.
pub(super) struct Count<'a> {
    pub(super) catalog: &'a Catalog<'a>,
    pub(super) query: &'a Query,
    pub(super) narrow: &'a Narrow,
}

impl Count<'_> {
    /// How many results there are behind a page, which begins at `place` and ends at `last`, and in all.
    pub(super) async fn rest(
        &self,
        place: Option<&Place>,
        last: Option<&Place>,
        shown: usize,
        is_cut: bool,
    ) -> Result<(More, Option<u64>)> {
        let shown = u64::try_from(shown).unwrap_or(u64::MAX);
        let end = self.query.offset.saturating_add(shown);
        // What lies before a place is not known; an empty page behind the end says nothing about where the end is.
        let end_is_known = place.is_none() && (shown > 0 || self.query.offset == 0);
        if self.query.count || self.query.limit == 0 {
            let total = if is_cut || !end_is_known {
                self.part(Part::Whole, None, None).await?
            } else {
                end
            };
            let more = if place.is_some() {
                self.behind(last).await?
            } else {
                exactly(total.saturating_sub(end))
            };
            return Ok((more, Some(total)));
        }
        if !end_is_known {
            return Ok((self.behind(last).await?, None));
        }
        if !is_cut {
            return Ok((More::None, Some(end)));
        }
        // From the first on, without the order: the cheapest index for the conditions is free to answer.
        let bound = end.saturating_add(MORE_BOUND).saturating_add(1);
        let found = self.part(Part::Whole, None, Some(bound)).await?;
        let rest = found.saturating_sub(end);
        if rest > MORE_BOUND {
            return Ok((More::AtLeast(MORE_BOUND), None));
        }
        Ok((exactly(rest), Some(found)))
    }

    /// What lies behind the last row of a page that is cut; nothing behind one that is not.
    async fn behind(&self, last: Option<&Place>) -> Result<More> {
        let Some(last) = last else {
            return Ok(More::None);
        };
        let bound = MORE_BOUND.saturating_add(1);
        let mut rest = self.part(last.part(), Some(last), Some(bound)).await?;
        if last.part() == Part::Present && rest < bound {
            let bound = bound.saturating_sub(rest);
            rest = rest.saturating_add(self.part(Part::Absent, None, Some(bound)).await?);
        }
        Ok(if rest > MORE_BOUND {
            More::AtLeast(MORE_BOUND)
        } else {
            exactly(rest)
        })
    }

    /// Counts the results of one part, those behind a place, up to a bound.
    pub(super) async fn part(
        &self,
        part: Part,
        place: Option<&Place>,
        bound: Option<u64>,
    ) -> Result<u64> {
        let access = self.catalog.access;
        let mut matches = matching(access, self.query, &self.narrow.all);
        let is_led = !self.narrow.all.is_empty();
        order::keep_to(&mut matches, access, self.query, part, place, is_led)?;
        matches.expr_as(Expr::cust("1"), "one");
        if let Some(bound) = bound {
            matches.limit(bound);
        }
        let count = Sql::select()
            .expr_as(Expr::cust("COUNT(*)"), "n")
            .from_subquery(matches, "matches")
            .take();
        let reader = &self.catalog.index.reader;
        let row = reader.query_one(&count).await.map_err(failed)?;
        row.map_or(Ok(0), |row| unsigned(get(&row, "n")?))
    }
}

fn exactly(rest: u64) -> More {
    if rest == 0 {
        More::None
    } else {
        More::Exactly(rest)
    }
}
