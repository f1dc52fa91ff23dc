//! The rows of a batch.

use sea_orm::sea_query::{Expr, ExprTrait, InsertStatement, Query, Value};

use super::kept::{KeptSeries, KeptStudy};
use super::{Batch, Fresh};
use crate::error::Result;
use crate::index::record::{NewInstance, NewPack};
use crate::index::row::signed;
use crate::index::{columns, parts};
use crate::model::{Level, RegistrationId, SeriesId, StudyId};

/// Rows in one statement: far below the cap on bound parameters (32,766 on SQLite), and few enough that the statements
/// which stay prepared are small.
const ROWS: usize = 64;

/// A row as it is made: columns and values side by side.
pub(super) struct NewRow {
    pub(super) columns: Vec<&'static str>,
    pub(super) values: Vec<Expr>,
}

impl NewRow {
    pub(super) fn new<const N: usize>(fields: [(&'static str, Value); N]) -> Self {
        let (columns, values) = fields
            .into_iter()
            .map(|(column, value)| (column, Expr::from(value)))
            .unzip();
        Self { columns, values }
    }

    /// Adds the attributes of a level.
    fn with(mut self, level: Level, new: &NewInstance) -> Self {
        for column in columns::of(level) {
            self.columns.push(column.name());
            self.values.push(Expr::from(column.value(&new.attributes)));
        }
        self
    }
}

/// One statement for rows of the same columns.
fn insert(table: &'static str, rows: Vec<NewRow>) -> InsertStatement {
    let mut insert = Query::insert();
    insert.into_table(table);
    if let Some(first) = rows.first() {
        insert.columns(first.columns.iter().copied());
    }
    for row in rows {
        insert.values_panic(row.values);
    }
    insert
}

impl Batch<'_> {
    /// Makes the study of a pack with the attributes of its first instance.
    pub(super) async fn make_study(
        &self,
        pack: &NewPack,
        first: &NewInstance,
        registration: Option<RegistrationId>,
    ) -> Result<KeptStudy> {
        let id = StudyId(self.clock.new_id());
        let row = NewRow::new([
            ("study_id", id.0.into()),
            ("owner_facility_id", self.owner.0.into()),
            ("registration_id", registration.map(|id| id.0).into()),
            ("study_instance_uid", pack.study.as_str().into()),
            ("name_key", parts::name_key(&first.attributes).into()),
            ("series_count", 0_i32.into()),
            ("instance_count", 0_i32.into()),
            ("byte_count", 0_i64.into()),
            ("modalities", "".into()),
            ("sop_classes", "".into()),
            ("class_mask", 0_i32.into()),
            ("sealed_count", 0_i32.into()),
            ("study_version", 0_i32.into()),
            ("next_item", 0_i32.into()),
            ("first_stored_at", self.now.0.into()),
            ("last_stored_at", self.now.0.into()),
        ])
        .with(Level::Study, first);
        self.execute(&insert("study", vec![row])).await?;
        let date = columns::study_date(&first.attributes);
        Ok(KeptStudy::new(id, date, parts::texts(&first.attributes)))
    }

    /// Makes a study of which everything was erased anew: its row has nothing but its UID.
    pub(super) async fn refill_study(
        &self,
        study: KeptStudy,
        first: &NewInstance,
        registration: Option<RegistrationId>,
    ) -> Result<KeptStudy> {
        let row = NewRow::new([
            ("registration_id", registration.map(|id| id.0).into()),
            ("name_key", parts::name_key(&first.attributes).into()),
            ("first_stored_at", self.now.0.into()),
        ])
        .with(Level::Study, first);
        let refill = Query::update()
            .table("study")
            .values(row.columns.into_iter().zip(row.values))
            .and_where(Expr::col("study_id").eq(study.id.0))
            .take();
        self.execute(&refill).await?;
        Ok(KeptStudy {
            date: columns::study_date(&first.attributes),
            texts: parts::texts(&first.attributes),
            ..study
        })
    }

    /// Makes a series with the attributes of its first instance.
    pub(super) async fn make_series(
        &self,
        study: &KeptStudy,
        first: &NewInstance,
    ) -> Result<KeptSeries> {
        let id = SeriesId(self.clock.new_id());
        let row = NewRow::new([
            ("series_id", id.0.into()),
            ("study_id", study.id.0.into()),
            ("owner_facility_id", self.owner.0.into()),
            ("series_instance_uid", first.series.as_str().into()),
            ("study_date", study.date.as_str().into()),
            ("class_mask", 0_i32.into()),
            ("instance_count", 0_i32.into()),
            ("byte_count", 0_i64.into()),
            ("sop_classes", "".into()),
            ("is_sealed", false.into()),
            ("first_stored_at", self.now.0.into()),
        ])
        .with(Level::Series, first);
        self.execute(&insert("series", vec![row])).await?;
        Ok(KeptSeries::new(id, first))
    }

    /// Writes the pack, its copy and its metadata pieces.
    pub(super) async fn insert_pack(
        &self,
        pack: &NewPack,
        fresh: &[Fresh<'_>],
        study: &KeptStudy,
    ) -> Result<()> {
        let live: u64 = fresh.iter().map(|(_, new)| len(new)).sum();
        let row = NewRow::new([
            ("pack_id", pack.pack_id.0.into()),
            ("study_id", study.id.0.into()),
            ("owner_facility_id", self.owner.0.into()),
            ("base_url", pack.base_url.as_str().into()),
            (
                "instance_count",
                i32::try_from(fresh.len()).unwrap_or(i32::MAX).into(),
            ),
            ("byte_count", signed(pack.byte_count)?.into()),
            ("live_bytes", signed(live)?.into()),
            ("metadata_bytes", signed(pack.metadata_bytes)?.into()),
            ("digest", pack.digest.to_vec().into()),
            ("sealed_at", self.now.0.into()),
        ]);
        self.execute(&insert("pack", vec![row])).await?;
        let copy = NewRow::new([
            ("pack_id", pack.pack_id.0.into()),
            ("tier", "CLOUD".into()),
            ("object", pack.object.as_str().into()),
            ("metadata_object", pack.metadata_object.as_str().into()),
            ("state", "present".into()),
        ]);
        self.execute(&insert("pack_copy", vec![copy])).await?;
        let mut pieces = Vec::with_capacity(pack.pieces.len());
        for piece in &pack.pieces {
            // A piece of which nothing was recorded is a hole, and its series may have no row.
            let in_use = fresh.iter().any(|(_, new)| new.series == piece.series);
            let Some(series) = study.series.get(&piece.series).filter(|_| in_use) else {
                continue;
            };
            pieces.push(NewRow::new([
                ("pack_id", pack.pack_id.0.into()),
                ("series_id", series.id.0.into()),
                ("piece_offset", signed(piece.range.start)?.into()),
                (
                    "piece_length",
                    signed(piece.range.end.saturating_sub(piece.range.start))?.into(),
                ),
                ("inflated_length", signed(piece.inflated_len)?.into()),
                ("crc32", i64::from(piece.crc32).into()),
                (
                    "instance_count",
                    i32::try_from(piece.instance_count)
                        .unwrap_or(i32::MAX)
                        .into(),
                ),
            ]));
        }
        self.insert_all("metadata_piece", pieces).await
    }

    /// Writes the new instances of a pack.
    pub(super) async fn insert_instances(
        &self,
        pack: &NewPack,
        fresh: &[Fresh<'_>],
        study: &KeptStudy,
    ) -> Result<()> {
        let mut instances = Vec::with_capacity(fresh.len());
        let mut uids = Vec::with_capacity(fresh.len());
        for (id, new) in fresh {
            let series = study.series.get(&new.series);
            let series = series.expect("the series of a new instance was made").id;
            instances.push(self.instance(pack, (*id, new), series, study)?);
            uids.push(NewRow::new([
                ("owner_facility_id", self.owner.0.into()),
                ("sop_instance_uid", new.instance.as_str().into()),
                ("study_id", study.id.0.into()),
                ("instance_id", id.0.into()),
            ]));
        }
        self.insert_all("instance", instances).await?;
        self.insert_all("instance_uid", uids).await
    }

    /// The row of an instance.
    pub(super) fn instance(
        &self,
        pack: &NewPack,
        (id, new): Fresh<'_>,
        series: SeriesId,
        study: &KeptStudy,
    ) -> Result<NewRow> {
        let block = &new.meta.block;
        let json = &new.meta.json;
        Ok(NewRow::new([
            ("study_id", study.id.0.into()),
            ("instance_id", id.0.into()),
            ("series_id", series.0.into()),
            ("owner_facility_id", self.owner.0.into()),
            ("sop_instance_uid", new.instance.as_str().into()),
            ("sop_class_uid", new.sop_class.as_str().into()),
            (
                "transfer_syntax_uid",
                new.transfer_syntax_uid.as_str().into(),
            ),
            ("class", new.class.bit().into()),
            ("state", "live".into()),
            ("digest", new.digest.to_vec().into()),
            ("pack_id", pack.pack_id.0.into()),
            ("pack_offset", signed(new.range.start)?.into()),
            ("byte_count", signed(len(new))?.into()),
            ("meta_offset", signed(block.start)?.into()),
            (
                "meta_length",
                signed(block.end.saturating_sub(block.start))?.into(),
            ),
            ("meta_json_start", i64::from(json.start).into()),
            (
                "meta_json_length",
                i64::from(json.end.saturating_sub(json.start)).into(),
            ),
            ("frame_table", new.frame_table.clone().into()),
            ("study_version", study.version.into()),
            ("instance_version", 1_i32.into()),
            ("stored_at", self.now.0.into()),
        ])
        .with(Level::Instance, new))
    }

    async fn insert_all(&self, table: &'static str, rows: Vec<NewRow>) -> Result<()> {
        let mut rows = rows.into_iter();
        loop {
            let chunk: Vec<NewRow> = rows.by_ref().take(ROWS).collect();
            if chunk.is_empty() {
                return Ok(());
            }
            self.execute(&insert(table, chunk)).await?;
        }
    }
}

fn len(new: &NewInstance) -> u64 {
    new.range.end.saturating_sub(new.range.start)
}
