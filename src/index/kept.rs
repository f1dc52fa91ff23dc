//! The kept columns of series and studies (schema.md 5.4): what they count, and how they are counted anew.
//!
//! A page reads them and never counts. Whoever changes what lives brings them up to date in the same transaction: a batch
//! counts up, everything else counts anew what it touched.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sea_query::{Expr, ExprTrait, Query, SelectStatement};
use sea_orm::{ConnectionTrait, QueryResult};

use super::row::{failed, get};
use crate::error::Result;
use crate::model::{FacilityId, SeriesId, StudyId};

/// What is counted of a series or a study.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// Live instances.
    pub(super) instances: i32,
    /// Length of their files.
    pub(super) bytes: i64,
    /// Their classes.
    pub(super) class_mask: i32,
    /// Their SOP classes.
    pub(super) sop_classes: BTreeSet<String>,
}

/// What is counted of a study over its series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeptOfStudy {
    /// The sums over its series.
    pub(super) kept: Kept,
    /// Series with a live instance.
    pub(super) series: i32,
    /// Their modalities.
    pub(super) modalities: BTreeSet<String>,
}

/// A list in one text column.
pub(super) fn set(text: &str) -> BTreeSet<String> {
    let values = text.split('\\').filter(|value| !value.is_empty());
    values.map(str::to_owned).collect()
}

/// A list as one text column holds it.
pub(super) fn joined(set: &BTreeSet<String>) -> String {
    let values: Vec<&str> = set.iter().map(String::as_str).collect();
    values.join("\\")
}

impl Kept {
    /// What the columns say.
    pub(super) fn read(row: &QueryResult) -> Result<Self> {
        Ok(Self {
            instances: get(row, "instance_count")?,
            bytes: get(row, "byte_count")?,
            class_mask: get(row, "class_mask")?,
            sop_classes: set(&get::<String>(row, "sop_classes")?),
        })
    }

    /// The columns and what they are to say.
    pub(super) fn values(&self) -> [(&'static str, Expr); 4] {
        [
            ("instance_count", self.instances.into()),
            ("byte_count", self.bytes.into()),
            ("class_mask", self.class_mask.into()),
            ("sop_classes", joined(&self.sop_classes).into()),
        ]
    }

    fn add(&mut self, other: &Self) {
        self.instances = self.instances.saturating_add(other.instances);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.class_mask |= other.class_mask;
        self.sop_classes.extend(other.sop_classes.iter().cloned());
    }
}

impl KeptOfStudy {
    /// Adds what is kept of a series of `modality`.
    pub(super) fn add(&mut self, modality: &str, series: &Kept) {
        if series.instances > 0 {
            self.kept.add(series);
            self.series = self.series.saturating_add(1);
            self.modalities.extend(set(modality));
        }
    }

    /// The columns and what they are to say.
    pub(super) fn values(&self) -> impl Iterator<Item = (&'static str, Expr)> {
        let own = [
            ("series_count", self.series.into()),
            ("modalities", joined(&self.modalities).into()),
        ];
        self.kept.values().into_iter().chain(own)
    }
}

/// Live instances by series, class and SOP class; the caller says of which studies.
pub(super) fn count_live() -> SelectStatement {
    Query::select()
        .columns(["study_id", "series_id", "class", "sop_class_uid"])
        .expr_as(Expr::cust("COUNT(*)"), "instances")
        .expr_as(Expr::cust("CAST(SUM(byte_count) AS BIGINT)"), "bytes")
        .from("instance")
        .and_where(Expr::col("state").eq("live"))
        .group_by_columns(["study_id", "series_id", "class", "sop_class_uid"])
        .take()
}

/// What the rows of [`count_live`] come to, by series.
pub(super) fn counted(rows: &[QueryResult]) -> Result<BTreeMap<SeriesId, Kept>> {
    let mut counted: BTreeMap<SeriesId, Kept> = BTreeMap::new();
    for row in rows {
        let part = Kept {
            instances: i32::try_from(get::<i64>(row, "instances")?).unwrap_or(i32::MAX),
            bytes: get(row, "bytes")?,
            class_mask: get(row, "class")?,
            sop_classes: BTreeSet::from([get(row, "sop_class_uid")?]),
        };
        let series = SeriesId(get(row, "series_id")?);
        counted.entry(series).or_default().add(&part);
    }
    Ok(counted)
}

/// The series of studies with what is kept of them; the caller says of which studies.
pub(super) fn select_series() -> SelectStatement {
    Query::select()
        .columns(["study_id", "series_id", "series_instance_uid", "modality"])
        .columns(["instance_count", "byte_count", "class_mask", "sop_classes"])
        .from("series")
        .take()
}

/// The modality of a row of [`select_series`], empty where it has none.
pub(super) fn modality(row: &QueryResult) -> Result<String> {
    Ok(get::<Option<String>>(row, "modality")?.unwrap_or_default())
}

/// Counts one series of an owner's study anew, or all of them, and the study over its series, whose version becomes
/// `version`. The caller holds the study's row. Gives 1 if the study has come into sight, -1 if it has gone out of it, else 0.
pub(super) async fn recount<C: ConnectionTrait>(
    tx: &C,
    (owner, study): (FacilityId, StudyId),
    series: Option<SeriesId>,
    version: i32,
) -> Result<i64> {
    let mut live = count_live();
    live.and_where(Expr::col("study_id").eq(study.0));
    if let Some(series) = series {
        live.and_where(Expr::col("series_id").eq(series.0));
    }
    let live = counted(&tx.query_all(&live).await.map_err(failed)?)?;
    let mut all = select_series();
    all.and_where(Expr::col("study_id").eq(study.0));
    let mut sum = KeptOfStudy::default();
    for row in tx.query_all(&all).await.map_err(failed)? {
        let id = SeriesId(get(&row, "series_id")?);
        let mut kept = Kept::read(&row)?;
        if series.is_none_or(|only| only == id) {
            kept = live.get(&id).cloned().unwrap_or_default();
            let update = Query::update()
                .table("series")
                .values(kept.values())
                .and_where(Expr::col("series_id").eq(id.0))
                .take();
            tx.execute(&update).await.map_err(failed)?;
        }
        sum.add(&modality(&row)?, &kept);
    }
    let came = keep_study(tx, study, &sum, version).await?;
    count_studies(tx, owner, came).await?;
    Ok(came)
}

/// Writes what is kept of a study whose row the caller holds. Gives 1 if the study has come into sight, -1 if it has gone
/// out of it, else 0.
pub(super) async fn keep_study<C: ConnectionTrait>(
    tx: &C,
    study: StudyId,
    sum: &KeptOfStudy,
    version: i32,
) -> Result<i64> {
    let before = Query::select()
        .column("instance_count")
        .from("study")
        .and_where(Expr::col("study_id").eq(study.0))
        .take();
    let before = tx.query_one(&before).await.map_err(failed)?;
    let before = before.ok_or_else(crate::error::Error::not_found)?;
    let was_there = get::<i32>(&before, "instance_count")? > 0;
    let update = Query::update()
        .table("study")
        .values(sum.values())
        .value("study_version", version)
        .and_where(Expr::col("study_id").eq(study.0))
        .take();
    tx.execute(&update).await.map_err(failed)?;
    Ok(i64::from(sum.kept.instances > 0) - i64::from(was_there))
}

/// Counts the studies of a facility that have come into sight, or gone out of it. Every writer of a facility waits for this
/// row, so that it is the last to be written.
pub(super) async fn count_studies<C: ConnectionTrait>(
    tx: &C,
    facility: FacilityId,
    came: i64,
) -> Result<()> {
    if came == 0 {
        return Ok(());
    }
    let counted = Query::update()
        .table("facility")
        .value("study_count", Expr::col("study_count").add(came))
        .and_where(Expr::col("facility_id").eq(facility.0))
        .take();
    tx.execute(&counted).await.map_err(failed)?;
    Ok(())
}
