//! The instances of a study, a series, or just one, in the order of Q90: rows are fetched a page at a time, so that memory
//! does not grow with the study. Whoever is walked over must be there to the end: what is deleted in between is noticed, and no
//! answer ends as if it had never been (W12).

use std::collections::VecDeque;
use std::sync::Arc;

use super::Archive;
use crate::auth::Access;
use crate::error::{Error, Kind, Result};
use crate::index::catalog::{Cursor, Instance, Scope, Visible};

/// Instances whose rows are fetched at once.
const PAGE: u64 = 200;

/// A walk over what `scope` names, as one caller may see it.
#[derive(Debug)]
pub struct Walk {
    archive: Archive,
    access: Arc<Access>,
    scope: Scope,
    page: VecDeque<Visible<Instance>>,
    /// Where the page ends; `None` when nothing comes after it.
    after: Option<Cursor>,
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
        let page = self.catalog(access).instances(&scope, None, PAGE).await?;
        let mut walk = Walk {
            archive: self.clone(),
            access: Arc::clone(access),
            scope,
            page: VecDeque::new(),
            after: None,
            due: 0,
        };
        walk.take(page);
        if let Some(after) = &walk.after {
            walk.due = self
                .catalog(access)
                .count_behind(&walk.scope, after)
                .await?;
        }
        Ok(walk)
    }
}

impl Walk {
    /// The next instance; `None` at the end.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer, and at the end if instances were deleted meanwhile.
    pub async fn next(&mut self) -> Result<Option<Visible<Instance>>> {
        if self.page.is_empty()
            && let Some(after) = self.after.take()
        {
            let catalog = self.archive.catalog(&self.access);
            let page = catalog.instances(&self.scope, Some(&after), PAGE).await?;
            self.due = self.due.saturating_sub(page.len() as u64);
            self.take(page);
            if self.after.is_none() && self.due > 0 {
                let gone = std::mem::take(&mut self.due);
                let detail = format!("{gone} instances were deleted while they were read");
                return Err(Error::new(Kind::Unavailable, detail));
            }
        }
        Ok(self.page.pop_front())
    }

    fn take(&mut self, page: Vec<Visible<Instance>>) {
        let is_full = u64::try_from(page.len()).is_ok_and(|len| len == PAGE);
        self.after = page.last().filter(|_| is_full).map(Visible::cursor);
        self.page = page.into();
    }
}
