//! The kept columns (schema.md 5.4): read once a study, counted while the batch runs, written once.
//!
//! They are counted up and not counted anew: the transaction is the only one that writes.

use std::collections::{BTreeSet, HashMap};

use sea_orm::sea_query::{Expr, ExprTrait, Query};
use sea_orm::{ConnectionTrait, QueryResult};

use super::Batch;
use crate::error::Result;
use crate::index::record::NewInstance;
use crate::index::row::{failed, get, signed, uid};
use crate::model::{SeriesId, SeriesUid, StudyId, StudyUid, Tag};

const MODALITY: Tag = Tag(0x0008, 0x0060);

/// What is counted of a series or a study.
#[derive(Debug, Default)]
pub(super) struct Kept {
    instances: i32,
    bytes: i64,
    class_mask: i32,
    sop_classes: BTreeSet<String>,
}

/// A series of the batch.
#[derive(Debug)]
pub(super) struct KeptSeries {
    pub(super) id: SeriesId,
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
    modalities: BTreeSet<String>,
    kept: Kept,
}

/// A list in one text column.
fn set(text: &str) -> BTreeSet<String> {
    let values = text.split('\\').filter(|value| !value.is_empty());
    values.map(str::to_owned).collect()
}

fn joined(set: &BTreeSet<String>) -> String {
    let values: Vec<&str> = set.iter().map(String::as_str).collect();
    values.join("\\")
}

impl Kept {
    fn read(row: &QueryResult) -> Result<Self> {
        Ok(Self {
            instances: get(row, "instance_count")?,
            bytes: get(row, "byte_count")?,
            class_mask: get(row, "class_mask")?,
            sop_classes: set(&get::<String>(row, "sop_classes")?),
        })
    }

    fn count(&mut self, new: &NewInstance) {
        let bytes = signed(new.range.end.saturating_sub(new.range.start)).unwrap_or(i64::MAX);
        self.instances = self.instances.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
        self.class_mask |= new.class.bit();
        if !self.sop_classes.contains(new.sop_class.as_str()) {
            self.sop_classes.insert(new.sop_class.to_string());
        }
    }

    fn values(&self) -> [(&'static str, Expr); 4] {
        [
            ("instance_count", self.instances.into()),
            ("byte_count", self.bytes.into()),
            ("class_mask", self.class_mask.into()),
            ("sop_classes", joined(&self.sop_classes).into()),
        ]
    }
}

impl KeptSeries {
    /// A series that is made by this batch.
    pub(super) fn new(id: SeriesId) -> Self {
        Self {
            id,
            kept: Kept::default(),
            touched: false,
        }
    }
}

impl KeptStudy {
    /// A study that is made by this batch.
    pub(super) fn new(id: StudyId, date: String) -> Self {
        Self {
            id,
            date,
            version: 1,
            series: HashMap::new(),
            modalities: BTreeSet::new(),
            kept: Kept::default(),
        }
    }

    /// Adds a series that was made.
    pub(super) fn add_series(&mut self, uid: &SeriesUid, series: KeptSeries) {
        self.series.insert(uid.clone(), series);
    }

    /// Counts an instance whose series is there.
    pub(super) fn count(&mut self, new: &NewInstance) {
        self.kept.count(new);
        if let Some(series) = self.series.get_mut(&new.series) {
            if !series.touched {
                // What the series shows is what its first instance said (Q72).
                if series.kept.instances == 0 {
                    let modality = new.attributes.text(MODALITY).unwrap_or_default();
                    self.modalities.extend(set(modality.trim()));
                }
                series.touched = true;
            }
            series.kept.count(new);
        }
    }
}

impl Batch<'_> {
    /// The study of the owner, if it is there, with its series.
    pub(super) async fn find_study(&self, study: &StudyUid) -> Result<Option<KeptStudy>> {
        let select = Query::select()
            .columns(["study_id", "study_date", "study_version", "modalities"])
            .columns(["instance_count", "byte_count", "class_mask", "sop_classes"])
            .from("study")
            .and_where(Expr::col("owner_facility_id").eq(self.owner.0))
            .and_where(Expr::col("study_instance_uid").eq(study.as_str()))
            // Writers of one study wait for each other; on SQLite all writers do.
            .lock_exclusive()
            .take();
        let Some(row) = self.tx.query_one(&select).await.map_err(failed)? else {
            return Ok(None);
        };
        let id = StudyId(get(&row, "study_id")?);
        Ok(Some(KeptStudy {
            id,
            date: get(&row, "study_date")?,
            version: get::<i32>(&row, "study_version")?.saturating_add(1),
            series: self.find_series(id).await?,
            modalities: set(&get::<String>(&row, "modalities")?),
            kept: Kept::read(&row)?,
        }))
    }

    async fn find_series(&self, study: StudyId) -> Result<HashMap<SeriesUid, KeptSeries>> {
        let select = Query::select()
            .columns(["series_id", "series_instance_uid"])
            .columns(["instance_count", "byte_count", "class_mask", "sop_classes"])
            .from("series")
            .and_where(Expr::col("study_id").eq(study.0))
            .take();
        let rows = self.tx.query_all(&select).await.map_err(failed)?;
        rows.iter()
            .map(|row| {
                let series = KeptSeries {
                    id: SeriesId(get(row, "series_id")?),
                    kept: Kept::read(row)?,
                    touched: false,
                };
                let text: String = get(row, "series_instance_uid")?;
                Ok((uid(SeriesUid::parse(&text))?, series))
            })
            .collect()
    }

    /// Writes what was counted.
    pub(super) async fn keep(&self, study: &KeptStudy) -> Result<()> {
        for series in study.series.values().filter(|series| series.touched) {
            let update = Query::update()
                .table("series")
                .values(series.kept.values())
                .and_where(Expr::col("series_id").eq(series.id.0))
                .take();
            self.execute(&update).await?;
        }
        let update = Query::update()
            .table("study")
            .values(study.kept.values())
            .value(
                "series_count",
                i32::try_from(study.series.len()).unwrap_or(i32::MAX),
            )
            .value("modalities", joined(&study.modalities))
            .value("study_version", study.version)
            .value("last_stored_at", self.now.0)
            .and_where(Expr::col("study_id").eq(study.id.0))
            .take();
        self.execute(&update).await
    }
}
