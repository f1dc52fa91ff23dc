//! The instances of a study in the order of its MINT document: series by UID, instances by UID (MINT 10.1).

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Order};

use super::instance::{Instance, select};
use super::{Catalog, Visible};
use crate::dicom::mint::document as mint;
use crate::dicom::mint::numbers::Numbers;
use crate::error::Result;
use crate::index::row::{failed, get};
use crate::index::visible::{At, Unread, basis};
use crate::model::{SeriesUid, SopInstanceUid, StudyId};

/// An instance of a document.
#[derive(Debug)]
pub struct Listed {
    /// The instance.
    pub instance: Visible<Instance>,
    /// The number of its first item; `None` while it has no numbers.
    pub first: Option<u32>,
    /// The numbers of its items, where they do not follow each other.
    pub numbers: Option<Numbers>,
}

impl Listed {
    /// Gives the items of the instance as it is stored, which count from 0, their numbers.
    ///
    /// # Errors
    /// `Kind::Internal` if it has other items than were counted.
    pub fn number(&self, stored: &mut mint::Instance) -> Result<()> {
        match &self.numbers {
            Some(numbers) => numbers.give(stored),
            None => stored.shift(self.first.unwrap_or(0)),
        }
    }
}

/// Which instances a document is of.
#[derive(Clone, Copy, Debug)]
pub enum Brought {
    /// All that live.
    Whole,
    /// Those that came with a change, by its number from 0, as far as they live.
    By(u64),
}

impl Catalog<'_> {
    /// At most `limit` visible instances of a study behind `after`, by series UID and instance UID.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn document_page(
        &self,
        (study, brought): (StudyId, Brought),
        after: Option<&(SeriesUid, SopInstanceUid)>,
        limit: u64,
    ) -> Result<Vec<Listed>> {
        let mut page = select();
        page.columns(["first_item", "item_numbers"].map(|it| ("i", it)))
            .and_where(Expr::col(("s0", "study_id")).eq(study.0))
            .and_where(Expr::exists(basis(
                self.access,
                At::Series("r0"),
                Unread::Hidden,
            )));
        if let Brought::By(change) = brought {
            let version = i32::try_from(change.saturating_add(1)).unwrap_or(i32::MAX);
            page.and_where(Expr::col(("i", "study_version")).eq(version));
        }
        if let Some((series, instance)) = after {
            let of_series = Expr::col(("r0", "series_instance_uid"));
            let behind = Expr::col(("i", "sop_instance_uid")).gt(instance.as_str());
            let here = of_series.clone().eq(series.as_str()).and(behind);
            page.and_where(of_series.clone().gte(series.as_str()))
                .and_where(of_series.gt(series.as_str()).or(here));
        }
        page.order_by(("r0", "series_instance_uid"), Order::Asc)
            .order_by(("i", "sop_instance_uid"), Order::Asc)
            .limit(limit);
        let rows = self.index.reader.query_all(&page).await.map_err(failed)?;
        let listed = rows.iter().map(|row| {
            let first: Option<i32> = get(row, "first_item")?;
            let numbers: Option<Vec<u8>> = get(row, "item_numbers")?;
            Ok(Listed {
                instance: self.instance_of(row)?,
                first: first.and_then(|first| u32::try_from(first).ok()),
                numbers: numbers.as_deref().map(Numbers::decode).transpose()?,
            })
        });
        listed.collect()
    }
}
