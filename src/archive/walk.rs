//! The instances of a study, a series, or just one, in the order of Q90: rows are fetched a page at a time, so that memory
//! does not grow with the study. Whoever is walked over must be there to the end: what is deleted in between is noticed, and no
//! answer ends as if it had never been (W12).

use std::collections::VecDeque;
use std::sync::Arc;

use futures::future;
use tokio_util::task::AbortOnDropHandle;
use tracing::Instrument as _;

use super::Archive;
use super::stamp::Stamp;
use crate::auth::Access;
use crate::error::{Error, Kind, Result};
use crate::index::catalog::{Cursor, Instance, Scope, Visible};

/// Instances whose rows are fetched at once.
const PAGE: u64 = 200;

/// Instances of the first page of an answer that is to begin soon.
const FIRST: u64 = 4;

/// While so many instances of a page are left the next one is fetched.
const AHEAD: usize = 100;

/// A walk over what `scope` names, as one caller may see it.
#[derive(Debug)]
pub struct Walk {
    archive: Archive,
    access: Arc<Access>,
    scope: Scope,
    page: VecDeque<Visible<Instance>>,
    /// Where the page ends; `None` when nothing comes after it, or it is on its way.
    after: Option<Cursor>,
    /// The next page, on its way.
    ahead: Option<AbortOnDropHandle<Result<Vec<Visible<Instance>>>>>,
    /// How many have to come on further pages.
    due: u64,
}

impl Archive {
    /// Begins a walk.
    ///
    /// # Errors
    /// `Kind::NotFound` if nothing of it is visible, `Kind::Forbidden` if all of it is of classes that the scopes do not
    /// read (SH-3.4).
    pub async fn walk(&self, access: &Arc<Access>, scope: Scope) -> Result<Walk> {
        let mut walk = self.begin_walk(access, scope, PAGE).await?;
        if let Some(after) = &walk.after {
            walk.due = self
                .catalog(access)
                .count_behind(&walk.scope, after)
                .await?;
        }
        Ok(walk)
    }

    /// Begins a walk over a study or series of which all is there, with what it is made of, by as few rows as it takes to
    /// begin; `None` where that has to be found out instance by instance.
    ///
    /// # Errors
    /// As [`Archive::walk`].
    pub async fn walk_of_whole(
        &self,
        access: &Arc<Access>,
        scope: Scope,
    ) -> Result<Option<(Stamp, Walk)>> {
        let begun = self.begin_walk(access, scope.clone(), FIRST);
        let (outline, mut walk) = future::try_join(self.outline(access, &scope), begun).await?;
        if let (Some(outline), Some(_)) = (&outline, &walk.after) {
            walk.due = outline.instances.saturating_sub(walk.page.len() as u64);
        }
        Ok(outline.map(|outline| (outline.stamp, walk)))
    }

    async fn begin_walk(&self, access: &Arc<Access>, scope: Scope, limit: u64) -> Result<Walk> {
        let page = self.catalog(access).instances(&scope, None, limit).await?;
        let mut walk = Walk {
            archive: self.clone(),
            access: Arc::clone(access),
            scope,
            page: VecDeque::new(),
            after: None,
            ahead: None,
            due: 0,
        };
        walk.take(page, limit);
        Ok(walk)
    }
}

impl Walk {
    /// The next instance; `None` at the end.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer, and at the end if instances were deleted meanwhile.
    pub async fn next(&mut self) -> Result<Option<Visible<Instance>>> {
        if self.page.len() <= AHEAD
            && let Some(after) = self.after.take()
        {
            self.fetch(after);
        }
        if self.page.is_empty()
            && let Some(ahead) = self.ahead.take()
        {
            let page = ahead.await;
            let page = page.map_err(|e| Error::internal("a page of rows was cut off", e))??;
            self.due = self.due.saturating_sub(page.len() as u64);
            self.take(page, PAGE);
            if self.after.is_none() && self.due > 0 {
                let gone = std::mem::take(&mut self.due);
                let detail = format!("{gone} instances were deleted while they were read");
                return Err(Error::new(Kind::Unavailable, detail));
            }
        }
        Ok(self.page.pop_front())
    }

    /// Has the page behind `after` fetched while the one that is there is used.
    fn fetch(&mut self, after: Cursor) {
        let (archive, access) = (self.archive.clone(), Arc::clone(&self.access));
        let scope = self.scope.clone();
        let page = async move {
            let catalog = archive.catalog(&access);
            catalog.instances(&scope, Some(&after), PAGE).await
        };
        let page = page.instrument(tracing::Span::current());
        let page = self.archive.runtime.spawn(page);
        self.ahead = Some(AbortOnDropHandle::new(page));
    }

    fn take(&mut self, page: Vec<Visible<Instance>>, limit: u64) {
        let is_full = u64::try_from(page.len()).is_ok_and(|len| len == limit);
        self.after = page
            .last()
            .filter(|_| is_full)
            .map(Visible::<Instance>::cursor);
        self.page = page.into();
    }
}
