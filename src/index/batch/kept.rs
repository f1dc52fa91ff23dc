//! The kept columns of a batch (schema.md 5.4): read once a study, counted while the batch runs, written once.
//!
//! They are counted up and not counted anew: the transaction holds the rows of its studies. Only a study of which something
//! was replaced is counted anew in the end, since what went does not tell what is left.

use std::collections::HashMap;

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query};

use super::Batch;
use crate::error::Result;
use crate::index::kept::{Kept, KeptOfStudy, keep_study, modality, recount, select_series};
use crate::index::parts;
use crate::index::record::NewInstance;
use crate::index::row::{failed, get, signed, uid};
use crate::model::{SeriesId, SeriesUid, StudyId, StudyUid, Tag};

const MODALITY: Tag = Tag(0x0008, 0x0060);

/// A series of the batch.
#[derive(Debug)]
pub(super) struct KeptSeries {
    pub(super) id: SeriesId,
    modality: String,
    kept: Kept,
    touched: bool,
}

/// A study of the batch.
#[derive(Debug)]
pub(super) struct KeptStudy {
    pub(super) id: StudyId,
    /// As the series repeat it.
    pub(super) date: String,
    /// The version that this batch makes.
    pub(super) version: i32,
    pub(super) series: HashMap<SeriesUid, KeptSeries>,
    /// Whether an instance of it was replaced.
    pub(super) was_replaced: bool,
    /// What is new to search inside.
    pub(super) texts: Vec<(parts::Kind, String)>,
}

impl KeptSeries {
    /// A series that is made by this batch, of what its first instance says (Q72).
    pub(super) fn new(id: SeriesId, first: &NewInstance) -> Self {
        let modality = first.attributes.text(MODALITY).unwrap_or_default();
        Self {
            id,
            modality: modality.trim().to_owned(),
            kept: Kept::default(),
            touched: false,
        }
    }

    fn count(&mut self, new: &NewInstance) {
        let bytes = signed(new.range.end.saturating_sub(new.range.start)).unwrap_or(i64::MAX);
        let kept = &mut self.kept;
        kept.instances = kept.instances.saturating_add(1);
        kept.bytes = kept.bytes.saturating_add(bytes);
        kept.class_mask |= new.class.bit();
        if !kept.sop_classes.contains(new.sop_class.as_str()) {
            kept.sop_classes.insert(new.sop_class.to_string());
        }
        self.touched = true;
    }
}

impl KeptStudy {
    /// A study that is made by this batch.
    pub(super) fn new(id: StudyId, date: String, texts: Vec<(parts::Kind, String)>) -> Self {
        Self {
            id,
            date,
            version: 1,
            texts,
            series: HashMap::new(),
            was_replaced: false,
        }
    }

    /// Whether this batch is the first of the study: its packs are as they should be, nothing came before.
    pub(super) fn is_made_at_once(&self) -> bool {
        self.version == 1
    }

    /// Adds a series that was made.
    pub(super) fn add_series(&mut self, uid: &SeriesUid, series: KeptSeries) {
        self.series.insert(uid.clone(), series);
    }

    /// Counts an instance whose series is there.
    pub(super) fn count(&mut self, new: &NewInstance) {
        if let Some(series) = self.series.get_mut(&new.series) {
            series.count(new);
        }
    }
}

impl Batch<'_> {
    /// Holds the rows of the studies of a batch that are there: writers of one study wait for each other, and what is
    /// read of it afterwards stays true. On SQLite all writers do.
    pub(super) async fn hold<'s>(&self, studies: impl Iterator<Item = &'s StudyUid>) -> Result<()> {
        let hold = Query::select()
            .column("study_id")
            .from("study")
            .and_where(Expr::col("owner_facility_id").eq(self.owner.0))
            .and_where(Expr::col("study_instance_uid").is_in(studies.map(StudyUid::as_str)))
            // In one order, or two batches wait for each other.
            .order_by("study_instance_uid", sea_orm::sea_query::Order::Asc)
            .lock_exclusive()
            .take();
        self.tx.query_all(&hold).await.map_err(failed)?;
        Ok(())
    }

    /// The study of the owner, if it is there, with its series. Its row is held.
    pub(super) async fn find_study(&self, study: &StudyUid) -> Result<Option<KeptStudy>> {
        let select = Query::select()
            .columns(["study_id", "study_date", "study_version"])
            .from("study")
            .and_where(Expr::col("owner_facility_id").eq(self.owner.0))
            .and_where(Expr::col("study_instance_uid").eq(study.as_str()))
            .lock_exclusive()
            .take();
        let Some(row) = self.tx.query_one(&select).await.map_err(failed)? else {
            return Ok(None);
        };
        let id = StudyId(get(&row, "study_id")?);
        Ok(Some(KeptStudy {
            date: get(&row, "study_date")?,
            version: get::<i32>(&row, "study_version")?.saturating_add(1),
            series: self.find_series(id).await?,
            ..KeptStudy::new(id, String::new(), Vec::new())
        }))
    }

    async fn find_series(&self, study: StudyId) -> Result<HashMap<SeriesUid, KeptSeries>> {
        let mut select = select_series();
        select.and_where(Expr::col("study_id").eq(study.0));
        let rows = self.tx.query_all(&select).await.map_err(failed)?;
        rows.iter()
            .map(|row| {
                let series = KeptSeries {
                    id: SeriesId(get(row, "series_id")?),
                    modality: modality(row)?,
                    kept: Kept::read(row)?,
                    touched: false,
                };
                let text: String = get(row, "series_instance_uid")?;
                Ok((uid(SeriesUid::parse(&text))?, series))
            })
            .collect()
    }

    /// Writes what was counted, and gives what [`keep_study`] gives.
    pub(super) async fn keep(&self, study: &KeptStudy) -> Result<i64> {
        let mut sum = KeptOfStudy::default();
        for series in study.series.values() {
            sum.add(&series.modality, &series.kept);
            if !series.touched {
                continue;
            }
            let update = Query::update()
                .table("series")
                .values(series.kept.values())
                .and_where(Expr::col("series_id").eq(series.id.0))
                .take();
            self.execute(&update).await?;
        }
        let came = keep_study(self.tx, study.id, &sum, study.version).await?;
        if study.was_replaced {
            recount(self.tx, (self.owner, study.id), None, study.version).await?;
        }
        let stored = Query::update()
            .table("study")
            .value("last_stored_at", self.now.0)
            .and_where(Expr::col("study_id").eq(study.id.0))
            .take();
        self.execute(&stored).await?;
        Ok(came)
    }
}
