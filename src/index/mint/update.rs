//! What an update of a study records beside its instances, and the documents of updates (MINT 7.3, 9.4).

use std::collections::{BTreeSet, HashMap};

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};

use super::{MintStudy, NewStudy, of_row};
use crate::auth::RemoveGrant;
use crate::dicom::mint::numbers::Numbers;
use crate::error::{Error, Kind, Result};
use crate::index::catalog::Scope;
use crate::index::row::{failed, get};
use crate::index::{Catalog, Index, Why};
use crate::model::{ClassMask, JobId, SeriesUid, SopInstanceUid, StudyId};

/// What ends a batch of one study: that it is made as a whole, or changed.
#[derive(Clone, Debug)]
pub enum Finale {
    /// It is new.
    New(NewStudy),
    /// It is at the next version.
    Update(Box<StudyUpdate>),
}

/// A change of a study.
#[derive(Clone, Debug)]
pub struct StudyUpdate {
    /// The job that makes it.
    pub job: JobId,
    /// The study.
    pub study: StudyId,
    /// The version that it is of, as MINT counts them.
    pub version: u64,
    /// The number behind the highest ever used, by which the document was shifted.
    pub numbered: u32,
    /// The number behind the highest that is used from now on.
    pub next_item: u32,
    /// The numbers of the items of each instance that is written; `None` where they are given later.
    pub numbers: HashMap<SopInstanceUid, Option<Numbers>>,
    /// Of what the document says something above its instances.
    pub levels: Levels,
    /// What goes into the bin.
    pub removed: Option<(RemoveGrant, Vec<Scope>, Why)>,
    /// Whether texts did not fit their character sets (MINT P04).
    pub is_recoded: bool,
    /// The document with the numbers that hold in the study: protobuf, compressed by gzip.
    pub document: Vec<u8>,
}

/// Levels above instances.
#[derive(Clone, Debug, Default)]
pub struct Levels {
    /// The study.
    pub study: bool,
    /// Series.
    pub series: BTreeSet<SeriesUid>,
}

impl StudyUpdate {
    /// Why it cannot be made of a study at version `is`.
    pub(in crate::index) fn is_of_another(&self, is: u64) -> Error {
        is_of_another(is, &self.version.to_string())
    }
}

/// Why an update of version `of` cannot be made of a study at version `is` (MINT U30).
pub fn is_of_another(is: u64, of: &str) -> Error {
    let detail = format!("the study is at version {is} and the update is of version {of}");
    Error::new(Kind::Conflict, detail)
}

impl Index {
    /// The number behind the highest that an item of a study ever had, and how many of its instances live.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn numbered(&self, study: &MintStudy) -> Result<(u32, u64)> {
        let one = Query::select()
            .columns(["next_item", "instance_count"])
            .from("study")
            .and_where(Expr::col("study_id").eq(study.at.study.0))
            .take();
        let row = self.reader.query_one(&one).await.map_err(failed)?;
        let row = row.ok_or_else(Error::not_found)?;
        let (next, count): (i32, i32) = (get(&row, "next_item")?, get(&row, "instance_count")?);
        Ok((
            u32::try_from(next).unwrap_or(0),
            u64::try_from(count).unwrap_or(0),
        ))
    }
}

impl Catalog<'_> {
    /// The document of an update by its number: protobuf, compressed by gzip. `None` where the change was no update, where
    /// something of the study was erased since, and for who may not read every
    /// class that the study has: it names all instances alike.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn update_document(&self, study: &MintStudy, change: u64) -> Result<Option<Vec<u8>>> {
        let Ok(version) = of_row(change) else {
            return Ok(None);
        };
        let here = Expr::col("study_id").eq(study.at.study.0);
        let one = Query::select()
            .column("document")
            .from("mint_update")
            .and_where(here.clone())
            .and_where(Expr::col("study_version").eq(version))
            .take();
        let row = self.index.reader.query_one(&one).await.map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        // Those in the bin too: the document may have put them there.
        let classes = Query::select()
            .distinct()
            .column("class")
            .from("instance")
            .and_where(here)
            .take();
        let rows = self
            .index
            .reader
            .query_all(&classes)
            .await
            .map_err(failed)?;
        for row in &rows {
            if self.check_classes(ClassMask(get(row, "class")?)).is_err() {
                return Ok(None);
            }
        }
        get(&row, "document").map(Some)
    }
}
