//! The index as one caller may see it: every guarded read starts here (architecture.md 5).
//!
//! Without an [`Access`] there is no [`Catalog`], without a [`Catalog`] no [`Visible`], without a [`Visible`] no bytes.
//! Whatever is handed out is noted in the trail of the access.
//!
//! ```text
//! let instance = index.catalog(&access).instance(&path).await?; // 404 and 403 end here
//! vault.read(&instance.blob()).await?;
//! ```

use std::ops::Deref;

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};

use super::Index;
use super::row::{failed, get};
use super::visible::{At, standing};
use crate::auth::{Access, Basis, Touched};
use crate::error::{Error, Kind, Result};
use crate::model::{Class, ClassMask, SeriesId, SeriesUid, SopInstanceUid, StudyUid};
use crate::storage::{BlobRef, MetaPlace};

pub(in crate::index) mod deletions;
mod documents;
mod instance;
mod instances;
mod items;
mod objects;
mod pieces;
pub(super) mod place;
mod representative;
mod versions;

pub use deletions::Wanted;
pub use documents::{Brought, Listed};
pub use instance::Instance;
pub use instances::Cursor;
pub use items::{Holder, ItemRow, Narrowed};
pub use objects::{StoredObject, StudyHead};
pub use pieces::{PieceRef, SeriesPieces};

/// The index as one [`Access`] may see it.
#[derive(Debug)]
pub struct Catalog<'a> {
    pub(super) index: &'a Index,
    pub(super) access: &'a Access,
}

/// What a request names: a study, or a part of it.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Study Instance UID.
    pub study: StudyUid,
    /// One series of it.
    pub series: Option<SeriesUid>,
    /// One instance of it.
    pub instance: Option<SopInstanceUid>,
}

impl Scope {
    /// Reads UIDs with slashes between: a study, a series of it, an instance of that. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let mut uids = text.split('/');
        let scope = Self {
            study: StudyUid::parse(uids.next()?).ok()?,
            series: uids.next().map(SeriesUid::parse).transpose().ok()?,
            instance: uids.next().map(SopInstanceUid::parse).transpose().ok()?,
        };
        uids.next().is_none().then_some(scope)
    }
}

/// Proof that the predicate held for `T` at an epoch. Made by [`Catalog`] only, and not to be copied.
#[derive(Debug)]
pub struct Visible<T> {
    it: T,
    series_id: SeriesId,
    basis: Basis,
    epoch: i64,
}

impl<T> Deref for Visible<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.it
    }
}

impl<T> Visible<T> {
    /// Why it is visible.
    pub fn basis(&self) -> Basis {
        self.basis
    }

    /// The epoch of rights at which it was.
    pub fn epoch(&self) -> i64 {
        self.epoch
    }
}

impl Visible<Instance> {
    /// Where the bytes of the file lie.
    pub fn blob(&self) -> BlobRef {
        self.it.blob()
    }

    /// Where its head lies: the name of the metadata object, and the place in it.
    pub fn head(&self) -> (&str, &MetaPlace) {
        self.it.head()
    }
}

impl Index {
    /// Opens the index for one caller.
    pub fn catalog<'a>(&'a self, access: &'a Access) -> Catalog<'a> {
        Catalog {
            index: self,
            access,
        }
    }

    /// The epoch of rights: every change of what anybody may see moves it (SH-3.6).
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn acl_epoch(&self) -> Result<i64> {
        let select = Query::select()
            .column("epoch")
            .from("acl_epoch")
            .and_where(Expr::col("acl_epoch_id").eq(1))
            .take();
        let row = self.reader.query_one(&select).await.map_err(failed)?;
        let row = row.ok_or_else(|| Error::new(Kind::Internal, "there is no epoch of rights"))?;
        get(&row, "epoch")
    }
}

impl Catalog<'_> {
    /// Whether what was handed out may still be shown: for long answers, asked at the rate of SH-3.6.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn still_visible<T>(&self, it: &Visible<T>) -> Result<bool> {
        if self.index.acl_epoch().await? == it.epoch {
            return Ok(true);
        }
        let again = Query::select()
            .expr(Expr::cust("1"))
            .from_as("series", "r0")
            .and_where(Expr::col(("r0", "series_id")).eq(it.series_id.0))
            .and_where(Expr::exists(standing(self.access, At::Series("r0"))))
            .take();
        let row = self.index.reader.query_one(&again).await.map_err(failed)?;
        Ok(row.is_some())
    }

    /// Wraps what the predicate gave, and notes it.
    fn hand_out<T>(&self, it: T, study: &StudyUid, series_id: SeriesId, epoch: i64) -> Visible<T> {
        // The only branch there is.
        let basis = Basis::Own;
        self.access.note(Touched {
            study: study.to_string(),
            basis,
        });
        Visible {
            it,
            series_id,
            basis,
            epoch,
        }
    }

    /// Refuses what is visible while the scope for a class in it is missing (SH-3.4).
    pub(in crate::index) fn check_classes(&self, mask: ClassMask) -> Result<()> {
        let unread = self.access.unread();
        let lacking = Class::ALL
            .into_iter()
            .find(|class| mask.contains(*class) && unread.contains(*class));
        match lacking {
            None => Ok(()),
            Some(class) => Err(Error::new(
                Kind::Forbidden,
                format!("the token lacks the scope {}", scope_of(class)),
            )),
        }
    }
}

/// The scope that reads a class (SH-3.1, `scope_ok`).
fn scope_of(class: Class) -> &'static str {
    match class {
        Class::Image | Class::PrKo | Class::Other => "dicom.read",
        Class::Sr | Class::Report => "report.read",
        Class::Dose => "dose.read",
    }
}
