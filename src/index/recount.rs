//! Whether the kept columns are true: the same counts made from the instances and compared (schema.md 5.4).
//!
//! For `kura verify` and for tests. It reads studies a page at a time, so that memory does not grow with the archive.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, ExprTrait, Order, Query};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult};
use uuid::Uuid;

use super::Index;
use super::kept::{Kept, KeptOfStudy, count_live, counted, modality, select_series, set};
use super::row::{failed, get};
use crate::error::Result;
use crate::model::{SeriesId, StudyId};

/// Studies that are read at once.
const PAGE: u64 = 200;

/// A row whose kept columns do not say what its instances say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The table: `facility`, `study`, `series` or `pack`.
    pub table: &'static str,
    /// Code of the facility, UID of the study or series, key of the pack.
    pub which: String,
    /// What is kept, in words without patient data.
    pub kept: String,
    /// What was counted.
    pub counted: String,
}

/// The differences that were found, and how many may be noted.
struct Found {
    mismatches: Vec<Mismatch>,
    limit: usize,
}

impl Found {
    fn compare(
        &mut self,
        table: &'static str,
        which: impl Into<String>,
        kept: &impl std::fmt::Debug,
        counted: &impl std::fmt::Debug,
    ) {
        let (kept, counted) = (format!("{kept:?}"), format!("{counted:?}"));
        if kept != counted && !self.is_full() {
            let which = which.into();
            self.mismatches.push(Mismatch {
                table,
                which,
                kept,
                counted,
            });
        }
    }

    fn is_full(&self) -> bool {
        self.mismatches.len() >= self.limit
    }
}

/// A study of a page.
struct Study {
    id: StudyId,
    uid: String,
    kept: KeptOfStudy,
    counted: KeptOfStudy,
}

impl Index {
    /// Counts everything that is kept anew and gives what differs, `limit` rows at most: facilities, studies, series, and
    /// the live bytes of packs that are not replaced. What is stored or deleted meanwhile makes no difference: each page is
    /// one moment.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn recount_mismatches(&self, limit: usize) -> Result<Vec<Mismatch>> {
        let mut found = Found {
            mismatches: Vec::new(),
            limit,
        };
        let mut after = None;
        loop {
            // A transaction, so that a page is one moment; nothing is written.
            let tx = self.moment().await?;
            let page = page(&tx, after).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            compare(&tx, page, &mut found).await?;
            if found.is_full() {
                return Ok(found.mismatches);
            }
        }
        self.compare_facilities(&mut found).await?;
        Ok(found.mismatches)
    }

    async fn compare_facilities(&self, found: &mut Found) -> Result<()> {
        let studies = Query::select()
            .expr(Expr::cust("COUNT(*)"))
            .from_as("study", "s")
            .and_where(Expr::col(("s", "owner_facility_id")).equals(("f", "facility_id")))
            .and_where(Expr::col(("s", "instance_count")).gt(0))
            .take();
        let all = Query::select()
            .columns(["code", "study_count"].map(|column| ("f", column)))
            .expr_as(Expr::SubQuery(None, Box::new(studies.into())), "counted")
            .from_as("facility", "f")
            .take();
        for row in self.reader.query_all(&all).await.map_err(failed)? {
            let (kept, counted): (i64, i64) = (get(&row, "study_count")?, get(&row, "counted")?);
            found.compare("facility", get::<String>(&row, "code")?, &kept, &counted);
        }
        Ok(())
    }
}

/// The studies behind `after`, by key.
async fn page(tx: &DatabaseTransaction, after: Option<StudyId>) -> Result<Vec<Study>> {
    let mut page = Query::select();
    page.columns(["study_id", "study_instance_uid", "series_count"])
        .columns(["instance_count", "byte_count", "class_mask", "sop_classes"])
        .column("modalities")
        .from("study")
        .order_by("study_id", Order::Asc)
        .limit(PAGE);
    if let Some(after) = after {
        page.and_where(Expr::col("study_id").gt(after.0));
    }
    let rows = tx.query_all(&page).await.map_err(failed)?;
    let read = |row: &QueryResult| {
        Ok(Study {
            id: StudyId(get(row, "study_id")?),
            uid: get(row, "study_instance_uid")?,
            kept: KeptOfStudy {
                kept: Kept::read(row)?,
                series: get(row, "series_count")?,
                modalities: set(&get::<String>(row, "modalities")?),
            },
            counted: KeptOfStudy::default(),
        })
    };
    rows.iter().map(read).collect()
}

/// Compares the studies of a page, their series and their packs.
async fn compare(tx: &DatabaseTransaction, page: Vec<Study>, found: &mut Found) -> Result<()> {
    let ids: Vec<Uuid> = page.iter().map(|study| study.id.0).collect();
    let mut studies: BTreeMap<StudyId, Study> =
        page.into_iter().map(|study| (study.id, study)).collect();
    let of_page = Expr::col("study_id").is_in(ids.iter().copied());
    let live = count_live().and_where(of_page.clone()).take();
    let live = counted(&tx.query_all(&live).await.map_err(failed)?)?;
    let series = select_series().and_where(of_page.clone()).take();
    for row in tx.query_all(&series).await.map_err(failed)? {
        let kept = Kept::read(&row)?;
        let counted = live.get(&SeriesId(get(&row, "series_id")?));
        let counted = counted.cloned().unwrap_or_default();
        let uid: String = get(&row, "series_instance_uid")?;
        found.compare("series", uid, &kept, &counted);
        if let Some(study) = studies.get_mut(&StudyId(get(&row, "study_id")?)) {
            study.counted.add(&modality(&row)?, &counted);
        }
    }
    for study in studies.values() {
        found.compare("study", study.uid.as_str(), &study.kept, &study.counted);
    }
    compare_packs(tx, of_page, found).await
}

/// Compares the live bytes of packs with what points at them: instances in any state, and earlier versions.
async fn compare_packs(tx: &DatabaseTransaction, of_page: Expr, found: &mut Found) -> Result<()> {
    let pointed_at = |table: &'static str| {
        let sum = Query::select()
            .expr(Expr::cust("CAST(COALESCE(SUM(x.byte_count), 0) AS BIGINT)"))
            .from_as(table, "x")
            .and_where(Expr::col(("x", "study_id")).equals(("pack", "study_id")))
            .and_where(Expr::col(("x", "pack_id")).equals(("pack", "pack_id")))
            .take();
        Expr::SubQuery(None, Box::new(sum.into()))
    };
    let packs = Query::select()
        .columns(["pack_id", "live_bytes"])
        .expr_as(pointed_at("instance"), "of_instances")
        .expr_as(pointed_at("instance_history"), "of_versions")
        .from("pack")
        .and_where(of_page)
        .and_where(Expr::col("replaced_at").is_null())
        .take();
    for row in tx.query_all(&packs).await.map_err(failed)? {
        let kept: i64 = get(&row, "live_bytes")?;
        let (instances, versions): (i64, i64) =
            (get(&row, "of_instances")?, get(&row, "of_versions")?);
        let which = get::<Uuid>(&row, "pack_id")?.to_string();
        found.compare("pack", which, &kept, &instances.saturating_add(versions));
    }
    Ok(())
}
