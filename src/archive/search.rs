//! Searches that ask more than the index knows: conditions held against stored metadata within a study (Q04, Q32), and results
//! that show more than their columns (Q80, Q83 to Q85).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures::stream::TryStreamExt;

use super::Archive;
use super::shown::Shown;
use crate::auth::Access;
use crate::dicom::query::{Query, stored};
use crate::error::Result;
use crate::index::catalog::Scope;
use crate::index::search::{Found, More, Page, Place};
use crate::model::{Level, SeriesUid, SopInstanceUid};

/// The results of one study that are looked at.
const MOST_LOOKED_AT: u32 = 50_000;

impl Archive {
    /// Searches what the caller may see.
    ///
    /// # Errors
    /// As `Catalog::search`; `Kind::Unavailable` if the store does not answer.
    pub async fn search(
        &self,
        access: &Arc<Access>,
        query: &Query,
        place: Option<&Place>,
    ) -> Result<Page> {
        let catalog = self.catalog(access);
        let study = match &query.study {
            Some(study) if !query.stored.is_empty() => study.clone(),
            Some(_) | None => return catalog.search(query, place).await,
        };
        let mut whole = query.clone();
        (whole.limit, whole.offset) = (MOST_LOOKED_AT, 0);
        let mut page = catalog.search(&whole, None).await?;
        let scope = Scope {
            study,
            series: query.series.clone(),
            instance: None,
        };
        let fitting = self.fitting(access, query, scope).await?;
        page.rows.retain(|row| fitting.holds(row));
        let total = page.rows.len();
        let offset = usize::try_from(query.offset).unwrap_or(usize::MAX);
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        let rows: Vec<Found> = page.rows.into_iter().skip(offset).take(limit).collect();
        let rest = total.saturating_sub(offset.saturating_add(rows.len()));
        Ok(Page {
            rows,
            more: match u64::try_from(rest).unwrap_or(u64::MAX) {
                0 => More::None,
                rest => More::Exactly(rest),
            },
            total: u64::try_from(total).ok(),
            next: None,
        })
    }

    /// The instances, or the series, whose metadata fulfil the conditions; a series is what its first instance says (Q72).
    async fn fitting(&self, access: &Arc<Access>, query: &Query, scope: Scope) -> Result<Fitting> {
        // Where the instances have been found already, their heads stay where they are stored.
        let mut heads = self.heads(access, scope, &Shown::under("")).await?;
        let mut fitting = Fitting::default();
        while let Some((instance, head)) = heads.try_next().await? {
            if query.level == Level::Series {
                if !fitting.series.contains_key(&instance.series) {
                    let holds = stored::holds(&head, &query.stored);
                    fitting.series.insert(instance.series.clone(), holds);
                }
            } else if stored::holds(&head, &query.stored) {
                fitting.instances.insert(instance.instance.clone());
            }
        }
        Ok(fitting)
    }

    /// Adds to a result what it is to show of stored metadata. Where the instance is gone meanwhile, nothing.
    ///
    /// # Errors
    /// `Kind::Unavailable` if database or store do not answer.
    pub async fn complete(
        &self,
        access: &Arc<Access>,
        query: &Query,
        base_url: &str,
        found: &mut Found,
    ) -> Result<()> {
        let scope = Scope {
            study: found.study.clone(),
            series: found.series.clone(),
            instance: found.instance.clone(),
        };
        let mut heads = self.heads(access, scope, &Shown::under(base_url)).await?;
        if let Some((_, head)) = heads.try_next().await? {
            stored::show(&head, &query.fields, &mut found.attributes);
        }
        Ok(())
    }
}

/// What fulfils the conditions.
#[derive(Debug, Default)]
struct Fitting {
    instances: HashSet<SopInstanceUid>,
    series: HashMap<SeriesUid, bool>,
}

impl Fitting {
    fn holds(&self, row: &Found) -> bool {
        match (&row.instance, &row.series) {
            (Some(instance), _) => self.instances.contains(instance),
            (None, Some(series)) => self.series.get(series).copied().unwrap_or(false),
            (None, None) => false,
        }
    }
}
