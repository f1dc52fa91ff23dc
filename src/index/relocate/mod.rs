//! Bytes that move: what the packs of a study hold, and the one transaction that swaps addresses (schema.md 5.6).
//!
//! Whose packs, is what the [`crate::auth::Access`] of the duty says: no other facility's rows are seen or changed.

use std::collections::HashMap;

use sea_orm::sea_query::{Cond, Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, QueryResult};

use super::Catalog;
use super::catalog::place::{head_place, read_place};
use super::row::{digest, failed, get, instance_uid, series_uid, sop_class_uid, uid, unsigned};
use crate::error::Result;
use crate::model::{
    InstanceId, PackId, SeriesId, SeriesUid, SopClassUid, SopInstanceUid, StudyId, StudyUid,
    Timestamp,
};
use crate::storage::{BlobRef, MetaPlace};

mod swap;

pub use swap::NewPlace;

/// What an entry of a footer takes at most, beside its frame table.
const ENTRY_BYTES: u64 = 2 << 10;

/// Whether more than half of a pack belongs to no instance: `kept` bytes of files and `tables` of frame tables, as rows keep
/// them, of so many `instances`. What may be its footer is not called dead; a table stands there in base64.
pub fn is_half_dead(byte_count: u64, kept: u64, tables: u64, instances: u64) -> bool {
    let footer = instances
        .saturating_mul(ENTRY_BYTES)
        .saturating_add(tables.saturating_mul(2));
    byte_count.saturating_sub(footer) / 2 > kept
}

/// What one pack holds of one series, live or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which series.
    pub series: SeriesId,
    /// Whether these are its live instances, or the binned, rejected and quarantined ones.
    pub live: bool,
    /// How many instances.
    pub instances: u64,
    /// Bytes of their files.
    pub bytes: u64,
    /// Bytes of their frame tables, as the rows keep them.
    pub table_bytes: u64,
}

/// A pack that was not replaced, and what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackFill {
    /// Key.
    pub id: PackId,
    /// Length of the pack object.
    pub byte_count: u64,
    /// Length of the metadata object.
    pub metadata_bytes: u64,
    /// How many instances it was written with.
    pub written: u64,
    /// What it holds of instances.
    pub held: Vec<Held>,
    /// How many earlier versions of instances it holds, which stay where they are, and the bytes of their files.
    pub earlier: (u64, u64),
}

/// A study whose packs are looked at.
#[derive(Clone, Debug)]
pub struct StudyPacks {
    /// Key.
    pub study_id: StudyId,
    /// Study Instance UID.
    pub study: StudyUid,
    /// The base under which links stand in the heads of most of its packs.
    pub base_url: String,
    /// Its packs.
    pub packs: Vec<PackFill>,
}

/// An instance that may move: what its row knows of its bytes, whatever its state.
#[derive(Clone, Debug)]
pub struct Movable {
    /// Key.
    pub id: InstanceId,
    /// Series Instance UID.
    pub series: SeriesUid,
    /// SOP Instance UID.
    pub instance: SopInstanceUid,
    /// SOP Class UID.
    pub sop_class: SopClassUid,
    /// Transfer Syntax UID as stored.
    pub transfer_syntax_uid: String,
    /// SHA-256 of its file.
    pub digest: [u8; 32],
    /// In which pack it lies.
    pub pack: PackId,
    /// Its bytes.
    pub blob: BlobRef,
    /// The object that holds its head.
    pub metadata_object: String,
    /// Its head there.
    pub meta: MetaPlace,
    /// How its frames are found.
    pub frame_table: Option<Vec<u8>>,
    /// The base under which links stand in its head.
    pub base_url: String,
    /// When it was stored.
    pub stored_at: Timestamp,
    instance_number: i64,
}

impl Catalog<'_> {
    /// What the packs of a study of the duty's facility hold; `None` if there is no such study.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn packs_of(&self, study: StudyId) -> Result<Option<StudyPacks>> {
        let owner = self.access.facility_id().0;
        let packs = Query::select()
            .column(("s", "study_instance_uid"))
            .columns(
                [
                    "pack_id",
                    "base_url",
                    "byte_count",
                    "metadata_bytes",
                    "instance_count",
                ]
                .map(|name| ("p", name)),
            )
            .from_as("study", "s")
            .join_as(
                JoinType::InnerJoin,
                "pack",
                "p",
                Expr::col(("p", "study_id")).equals(("s", "study_id")),
            )
            .and_where(Expr::col(("s", "study_id")).eq(study.0))
            .and_where(Expr::col(("s", "owner_facility_id")).eq(owner))
            .and_where(Expr::col(("p", "replaced_at")).is_null())
            .order_by(("p", "sealed_at"), Order::Asc)
            .order_by(("p", "pack_id"), Order::Asc)
            .take();
        let rows = self.index.reader.query_all(&packs).await.map_err(failed)?;
        let Some(newest) = rows.last() else {
            return Ok(None);
        };
        let mut found = StudyPacks {
            study_id: study,
            study: uid(StudyUid::parse(&get::<String>(
                newest,
                "study_instance_uid",
            )?))?,
            base_url: commonest(&rows)?,
            packs: Vec::with_capacity(rows.len()),
        };
        let mut held = self.held(study).await?;
        let earlier = self.earlier(study).await?;
        for row in &rows {
            let id = PackId(get(row, "pack_id")?);
            found.packs.push(PackFill {
                id,
                byte_count: unsigned(get(row, "byte_count")?)?,
                metadata_bytes: unsigned(get(row, "metadata_bytes")?)?,
                written: unsigned(get::<i32>(row, "instance_count")?.into())?,
                held: held.remove(&id).unwrap_or_default(),
                earlier: earlier.get(&id).copied().unwrap_or_default(),
            });
        }
        Ok(Some(found))
    }

    async fn held(&self, study: StudyId) -> Result<HashMap<PackId, Vec<Held>>> {
        // Written out: with bound values PostgreSQL would not know the same term again.
        let live = Expr::cust("CASE WHEN state = 'live' THEN 1 ELSE 0 END");
        let sums = Query::select()
            .columns(["pack_id", "series_id"])
            .expr_as(live.clone(), "is_live")
            .expr_as(Expr::col("instance_id").count(), "instances")
            // A sum of BIGINT is a NUMERIC on PostgreSQL.
            .expr_as(Expr::col("byte_count").sum().cast_as("BIGINT"), "bytes")
            .expr_as(
                Expr::cust("CAST(COALESCE(SUM(LENGTH(frame_table)), 0) AS BIGINT)"),
                "table_bytes",
            )
            .from("instance")
            .and_where(Expr::col("study_id").eq(study.0))
            .group_by_columns(["pack_id", "series_id"])
            .add_group_by([live])
            .take();
        let rows = self.index.reader.query_all(&sums).await.map_err(failed)?;
        let mut held: HashMap<PackId, Vec<Held>> = HashMap::new();
        for row in &rows {
            held.entry(PackId(get(row, "pack_id")?))
                .or_default()
                .push(Held {
                    series: SeriesId(get(row, "series_id")?),
                    live: get::<i32>(row, "is_live")? == 1,
                    instances: unsigned(get(row, "instances")?)?,
                    bytes: unsigned(get(row, "bytes")?)?,
                    table_bytes: unsigned(get(row, "table_bytes")?)?,
                });
        }
        Ok(held)
    }

    async fn earlier(&self, study: StudyId) -> Result<HashMap<PackId, (u64, u64)>> {
        let sums = Query::select()
            .column("pack_id")
            .expr_as(Expr::col("instance_id").count(), "versions")
            .expr_as(Expr::col("byte_count").sum().cast_as("BIGINT"), "bytes")
            .from("instance_history")
            .and_where(Expr::col("study_id").eq(study.0))
            .group_by_col("pack_id")
            .take();
        let rows = self.index.reader.query_all(&sums).await.map_err(failed)?;
        let one = |row: &QueryResult| {
            let (versions, bytes) = (get(row, "versions")?, get(row, "bytes")?);
            Ok((
                PackId(get(row, "pack_id")?),
                (unsigned(versions)?, unsigned(bytes)?),
            ))
        };
        rows.iter().map(one).collect()
    }

    /// At most `limit` instances of a series behind `after`, by instance number and UID: the live ones or the others.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn movable(
        &self,
        study: StudyId,
        (series, live): (SeriesId, bool),
        after: Option<&Movable>,
        limit: u64,
    ) -> Result<Vec<Movable>> {
        let mut page = select_movable();
        page.and_where(Expr::col(("i", "study_id")).eq(study.0))
            .and_where(Expr::col(("i", "series_id")).eq(series.0))
            .and_where(Expr::col(("i", "owner_facility_id")).eq(self.access.facility_id().0));
        let state = Expr::col(("i", "state"));
        page.and_where(if live {
            state.eq("live")
        } else {
            state.ne("live")
        });
        if let Some(after) = after {
            let number = Expr::col(("i", "instance_number"));
            let behind = number.clone().gt(after.instance_number).or(number
                .clone()
                .eq(after.instance_number)
                .and(Expr::col(("i", "sop_instance_uid")).gt(after.instance.as_str())));
            page.and_where(number.gte(after.instance_number).and(behind));
        }
        page.order_by(("i", "instance_number"), Order::Asc)
            .order_by(("i", "sop_instance_uid"), Order::Asc)
            .limit(limit);
        let rows = self.index.reader.query_all(&page).await.map_err(failed)?;
        rows.iter().map(movable).collect()
    }
}

/// The base of most packs; of those as common as each other, the one that came last.
fn commonest(rows: &[QueryResult]) -> Result<String> {
    let mut bases: Vec<(String, usize)> = Vec::new();
    for row in rows {
        let base: String = get(row, "base_url")?;
        match bases.iter_mut().find(|(known, _)| *known == base) {
            Some((_, count)) => *count += 1,
            None => bases.push((base, 1)),
        }
    }
    let most = bases.into_iter().max_by_key(|(_, count)| *count);
    Ok(most.map(|(base, _)| base).unwrap_or_default())
}

fn select_movable() -> SelectStatement {
    let series = Expr::col(("r", "series_id")).equals(("i", "series_id"));
    let pack = Cond::all()
        .add(Expr::col(("p", "pack_id")).equals(("i", "pack_id")))
        .add(Expr::col(("p", "replaced_at")).is_null());
    let copy = Cond::all()
        .add(Expr::col(("b", "pack_id")).equals(("i", "pack_id")))
        .add(Expr::col(("b", "state")).eq("present"));
    Query::select()
        .columns(
            [
                "instance_id",
                "sop_instance_uid",
                "sop_class_uid",
                "transfer_syntax_uid",
                "instance_number",
                "digest",
                "pack_id",
                "pack_offset",
                "byte_count",
                "meta_offset",
                "meta_length",
                "meta_json_start",
                "meta_json_length",
                "frame_table",
                "stored_at",
            ]
            .map(|column| ("i", column)),
        )
        .column(("r", "series_instance_uid"))
        .column(("p", "base_url"))
        .columns([("b", "object"), ("b", "metadata_object")])
        .from_as("instance", "i")
        .join_as(JoinType::InnerJoin, "series", "r", series)
        .join_as(JoinType::InnerJoin, "pack", "p", pack)
        .join_as(JoinType::InnerJoin, "pack_copy", "b", copy)
        .take()
}

fn movable(row: &QueryResult) -> Result<Movable> {
    Ok(Movable {
        id: InstanceId(get(row, "instance_id")?),
        series: series_uid(row)?,
        instance: instance_uid(row)?,
        sop_class: sop_class_uid(row)?,
        transfer_syntax_uid: get(row, "transfer_syntax_uid")?,
        digest: digest(&get::<Vec<u8>>(row, "digest")?)?,
        pack: PackId(get(row, "pack_id")?),
        blob: read_place(row)?,
        metadata_object: get(row, "metadata_object")?,
        meta: head_place(row)?,
        frame_table: get(row, "frame_table")?,
        base_url: get(row, "base_url")?,
        stored_at: Timestamp(get(row, "stored_at")?),
        instance_number: get(row, "instance_number")?,
    })
}
