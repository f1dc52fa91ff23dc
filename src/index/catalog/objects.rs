//! The stored objects of a study as they are moved whole (MINT 16.6): where each lies, and what it is told apart by.

use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ConnectionTrait, QueryResult};

use super::instance::select;
use super::instances::{Cursor, in_order};
use super::place::read_place;
use super::{Catalog, Scope, Visible};
use crate::error::Result;
use crate::index::mint::of_row;
use crate::index::row::{digest, failed, get, instance_uid, series_uid, unsigned};
use crate::index::visible::{At, Unread, basis};
use crate::model::{SeriesId, SeriesUid, SopInstanceUid, StudyId, StudyUid};
use crate::storage::BlobRef;

/// A study, as its key names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StudyHead {
    /// Key: what MINT calls the study UUID.
    pub id: StudyId,
    /// Study Instance UID.
    pub study: StudyUid,
    /// MINT's version: counted up with each change of the study, from 0.
    pub version: u64,
}

/// A stored object. Where its bytes lie only a [`Visible`] of it tells.
#[derive(Debug)]
pub struct StoredObject {
    /// Series Instance UID.
    pub series: SeriesUid,
    /// SOP Instance UID.
    pub instance: SopInstanceUid,
    /// Transfer Syntax UID as stored.
    pub transfer_syntax_uid: String,
    /// SHA-256 of the stored file, taken when it came.
    pub digest: [u8; 32],
    /// Length of the stored file.
    pub byte_count: u64,
    numbers: (i64, i64),
    blob: BlobRef,
}

impl Visible<StoredObject> {
    /// Where the bytes of the file lie.
    pub fn blob(&self) -> BlobRef {
        self.blob.clone()
    }

    /// Its place in the order of its study.
    pub fn cursor(&self) -> Cursor {
        let (series_number, instance_number) = self.numbers;
        Cursor {
            series_number,
            series: self.series.clone(),
            instance_number,
            instance: self.instance.clone(),
        }
    }
}

impl Catalog<'_> {
    /// At most `limit` objects of a study behind `after`, in the order of Q90; those that came after the version of `study`
    /// are left out, and so are series that the scopes do not read.
    ///
    /// # Errors
    /// On the first page as [`Catalog::instances`].
    pub async fn objects(
        &self,
        study: &StudyHead,
        after: Option<&Cursor>,
        limit: u64,
    ) -> Result<Vec<Visible<StoredObject>>> {
        let mut page = select();
        page.clear_selects()
            .columns(["series_id", "series_instance_uid", "series_number"].map(|c| ("r0", c)))
            .columns(["sop_instance_uid", "instance_number"].map(|c| ("i", c)))
            .columns(["transfer_syntax_uid", "digest"].map(|c| ("i", c)))
            .columns(["pack_offset", "byte_count"].map(|c| ("i", c)))
            .column(("b", "object"))
            .column(("e", "epoch"))
            .and_where(Expr::col(("s0", "study_id")).eq(study.id.0))
            .and_where(Expr::col(("i", "study_version")).lte(of_row(study.version)?))
            .and_where(Expr::exists(basis(
                self.access,
                At::Series("r0"),
                Unread::Hidden,
            )));
        in_order(&mut page, after, limit);
        let rows = self.index.reader.query_all(&page).await.map_err(failed)?;
        if rows.is_empty() && after.is_none() {
            let scope = Scope {
                study: study.study.clone(),
                series: None,
                instance: None,
            };
            return Err(self.why_nothing(&scope).await?);
        }
        let objects = rows.iter().map(|row| {
            let series_id = SeriesId(get(row, "series_id")?);
            Ok(self.hand_out(object(row)?, &study.study, series_id, get(row, "epoch")?))
        });
        objects.collect()
    }
}

fn object(row: &QueryResult) -> Result<StoredObject> {
    Ok(StoredObject {
        series: series_uid(row)?,
        instance: instance_uid(row)?,
        transfer_syntax_uid: get(row, "transfer_syntax_uid")?,
        digest: digest(&get::<Vec<u8>>(row, "digest")?)?,
        byte_count: unsigned(get(row, "byte_count")?)?,
        numbers: (get(row, "series_number")?, get(row, "instance_number")?),
        blob: read_place(row)?,
    })
}
