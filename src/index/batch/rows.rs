//! The rows of a batch: gathered for all its packs, then written table by table, many rows a statement.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, InsertStatement, Query, Value};

use super::kept::{KeptSeries, KeptStudy, Row, Studies};
use super::{Batch, Fresh};
use crate::error::Result;
use crate::index::record::{NewInstance, NewPack};
use crate::index::row::signed;
use crate::index::{columns, parts};
use crate::model::{Level, RegistrationId, SeriesId, SeriesUid, StudyId};
use crate::storage::Piece;

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

    /// Adds columns.
    fn and(mut self, fields: impl IntoIterator<Item = (&'static str, Expr)>) -> Self {
        for (column, value) in fields {
            self.columns.push(column);
            self.values.push(value);
        }
        self
    }

    /// Adds the attributes of a level.
    pub(super) fn with(mut self, level: Level, new: &NewInstance) -> Self {
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

/// The rows that the packs of a batch bring, by table.
#[derive(Default)]
pub(super) struct PackRows {
    packs: Vec<NewRow>,
    copies: Vec<NewRow>,
    pieces: Vec<NewRow>,
    instances: Vec<NewRow>,
    uids: Vec<NewRow>,
}

impl Batch<'_> {
    /// Writes the rows of the studies that are new, then those of their series that are.
    pub(super) async fn insert_studies(
        &self,
        studies: &Studies<'_>,
        registrations: &HashMap<StudyId, RegistrationId>,
    ) -> Result<()> {
        let (mut rows, mut series) = (Vec::new(), Vec::new());
        for (uid, study) in studies.iter().filter(|(_, study)| study.is_touched) {
            let registration = registrations.get(&study.id).copied();
            match study.row {
                Row::There => {}
                Row::Emptied(first) => self.refill_study(study, first, registration).await?,
                Row::New(first) => rows.push(self.study(uid, study, first, registration)),
            }
            let new = study.series.iter();
            series.extend(new.filter_map(|(uid, one)| self.series(uid, one, study)));
        }
        self.insert_all("study", rows).await?;
        self.insert_all("series", series).await
    }

    fn study(
        &self,
        uid: &str,
        study: &KeptStudy<'_>,
        first: &NewInstance,
        registration: Option<RegistrationId>,
    ) -> NewRow {
        NewRow::new([
            ("study_id", study.id.0.into()),
            ("owner_facility_id", self.owner.0.into()),
            ("registration_id", registration.map(|id| id.0).into()),
            ("study_instance_uid", uid.into()),
            ("name_key", parts::name_key(&first.attributes).into()),
            ("sealed_count", 0_i32.into()),
            ("study_version", study.version.into()),
            ("next_item", 0_i32.into()),
            ("first_stored_at", self.now.0.into()),
            ("last_stored_at", self.now.0.into()),
        ])
        .and(study.sum().values())
        .with(Level::Study, first)
    }

    /// Makes a study of which everything was erased anew: its row has nothing but its UID.
    async fn refill_study(
        &self,
        study: &KeptStudy<'_>,
        first: &NewInstance,
        registration: Option<RegistrationId>,
    ) -> Result<()> {
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
        self.execute(&refill).await
    }

    /// The row of a series, if it is new.
    fn series(
        &self,
        uid: &SeriesUid,
        series: &KeptSeries<'_>,
        study: &KeptStudy<'_>,
    ) -> Option<NewRow> {
        let row = NewRow::new([
            ("series_id", series.id.0.into()),
            ("study_id", study.id.0.into()),
            ("owner_facility_id", self.owner.0.into()),
            ("series_instance_uid", uid.as_str().into()),
            ("study_date", study.date.as_str().into()),
            ("is_sealed", false.into()),
            ("first_stored_at", self.now.0.into()),
        ])
        .and(series.kept.values());
        Some(row.with(Level::Series, series.first?))
    }

    /// Brings the rows up to date that were there before.
    pub(super) async fn update_studies(&self, studies: &Studies<'_>) -> Result<()> {
        for study in studies.values().filter(|study| study.is_touched) {
            let old = study.series.values();
            for series in old.filter(|series| series.is_touched && series.first.is_none()) {
                let update = Query::update()
                    .table("series")
                    .values(series.kept.values())
                    .and_where(Expr::col("series_id").eq(series.id.0))
                    .take();
                self.execute(&update).await?;
            }
            if matches!(study.row, Row::New(_)) {
                continue;
            }
            let update = Query::update()
                .table("study")
                .values(study.sum().values())
                .value("study_version", study.version)
                .value("last_stored_at", self.now.0)
                .and_where(Expr::col("study_id").eq(study.id.0))
                .take();
            self.execute(&update).await?;
        }
        Ok(())
    }

    /// Adds the rows of a pack, its copy, its metadata pieces, and of the instances of it that are new; `held` are all whose
    /// bytes are used.
    pub(super) fn add_pack(
        &self,
        rows: &mut PackRows,
        pack: &NewPack,
        study: &KeptStudy<'_>,
        (new, held): (&[Fresh<'_>], &[Fresh<'_>]),
    ) -> Result<()> {
        let live: u64 = held.iter().map(|(_, new)| len(new)).sum();
        rows.packs.push(NewRow::new([
            ("pack_id", pack.pack_id.0.into()),
            ("study_id", study.id.0.into()),
            ("owner_facility_id", self.owner.0.into()),
            ("base_url", pack.base_url.as_str().into()),
            ("instance_count", count(held.len()).into()),
            ("byte_count", signed(pack.byte_count)?.into()),
            ("live_bytes", signed(live)?.into()),
            ("metadata_bytes", signed(pack.metadata_bytes)?.into()),
            ("digest", pack.digest.to_vec().into()),
            ("sealed_at", self.now.0.into()),
        ]));
        rows.copies.push(NewRow::new([
            ("pack_id", pack.pack_id.0.into()),
            ("tier", "CLOUD".into()),
            ("object", pack.object.as_str().into()),
            ("metadata_object", pack.metadata_object.as_str().into()),
            ("state", "present".into()),
        ]));
        for piece in &pack.pieces {
            // A piece of which nothing was recorded is a hole, and its series may have no row.
            let in_use = held.iter().any(|(_, new)| new.series == piece.series);
            if let Some(series) = study.series.get(&piece.series).filter(|_| in_use) {
                rows.pieces.push(self::piece(pack, piece, series.id)?);
            }
        }
        for (id, new) in new {
            let series = study.series.get(&new.series);
            let series = series.expect("the series of a new instance was made").id;
            let instance = self.instance(pack, (*id, new), series, study)?;
            rows.instances.push(instance);
            rows.uids.push(NewRow::new([
                ("owner_facility_id", self.owner.0.into()),
                ("sop_instance_uid", new.instance.as_str().into()),
                ("study_id", study.id.0.into()),
                ("instance_id", id.0.into()),
            ]));
        }
        Ok(())
    }

    /// Writes the rows of all packs.
    pub(super) async fn insert_packs(&self, rows: PackRows) -> Result<()> {
        self.insert_all("pack", rows.packs).await?;
        self.insert_all("pack_copy", rows.copies).await?;
        self.insert_all("metadata_piece", rows.pieces).await?;
        self.insert_all("instance", rows.instances).await?;
        self.insert_all("instance_uid", rows.uids).await
    }

    /// The row of an instance.
    pub(super) fn instance(
        &self,
        pack: &NewPack,
        (id, new): Fresh<'_>,
        series: SeriesId,
        study: &KeptStudy<'_>,
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
            ("first_item", new.first_item.map(i64::from).into()),
            ("study_version", study.version.into()),
            ("instance_version", 1_i32.into()),
            ("stored_at", self.now.0.into()),
        ])
        .with(Level::Instance, new))
    }

    /// Writes rows of the same columns.
    pub(super) async fn insert_all(&self, table: &'static str, rows: Vec<NewRow>) -> Result<()> {
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

/// The row of a metadata piece.
fn piece(pack: &NewPack, piece: &Piece, series: SeriesId) -> Result<NewRow> {
    let length = piece.range.end.saturating_sub(piece.range.start);
    Ok(NewRow::new([
        ("pack_id", pack.pack_id.0.into()),
        ("series_id", series.0.into()),
        ("piece_offset", signed(piece.range.start)?.into()),
        ("piece_length", signed(length)?.into()),
        ("inflated_length", signed(piece.inflated_len)?.into()),
        ("crc32", i64::from(piece.crc32).into()),
        ("instance_count", count(piece.instance_count).into()),
    ]))
}

fn count(of: impl TryInto<i32>) -> i32 {
    of.try_into().unwrap_or(i32::MAX)
}

fn len(new: &NewInstance) -> u64 {
    new.range.end.saturating_sub(new.range.start)
}
