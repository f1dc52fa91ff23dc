//! What the rows say of the packs of one owner: for `kura verify`, which compares, and for a rebuild of the index.
//!
//! Whoever holds an [`InspectGrant`] reads rows whatever their state; it is a duty that no token gives.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use sea_orm::sea_query::{Cond, Expr, ExprTrait, JoinType, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, QueryResult};
use uuid::Uuid;

use super::Index;
use super::row::{digest, failed, get, instance_uid, series_uid, study_uid, unsigned};
use super::timing::commit;
use crate::auth::InspectGrant;
use crate::error::{Error, Result};
use crate::model::{PackId, SeriesUid, SopInstanceUid, StudyId, StudyUid, Timestamp};
use crate::storage::{MetaPlace, Piece};

/// Packs that are looked up in one statement.
const CHUNK: usize = 500;

/// A pack as its rows know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackRow {
    /// Key.
    pub pack_id: PackId,
    /// Key of its study.
    pub study_id: StudyId,
    /// Study Instance UID.
    pub study: StudyUid,
    /// Name of the pack object.
    pub object: String,
    /// Name of the metadata object.
    pub metadata_object: String,
    /// Length of the pack object.
    pub byte_count: u64,
    /// Length of the metadata object.
    pub metadata_bytes: u64,
    /// SHA-256 of its footer.
    pub digest: [u8; 32],
    /// Whether other packs hold its instances now, so that it waits to be swept.
    pub is_replaced: bool,
    /// Whether its object is known to be missing.
    pub is_missing: bool,
}

/// An instance as its row knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceRow {
    /// Series Instance UID.
    pub series: SeriesUid,
    /// SOP Instance UID.
    pub instance: SopInstanceUid,
    /// SHA-256 of the stored file.
    pub digest: [u8; 32],
    /// Its bytes in the pack.
    pub range: Range<u64>,
    /// Its head in the metadata object.
    pub meta: MetaPlace,
    /// How its frames are found.
    pub frame_table: Option<Vec<u8>>,
    /// Whether the key of the owner's SOP Instance UIDs leads to it (SH-1.2).
    pub has_key: bool,
}

impl Index {
    /// At most `limit` packs of the owner behind `after`, oldest first.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn packs_of(
        &self,
        grant: &InspectGrant,
        after: Option<PackId>,
        limit: u64,
    ) -> Result<Vec<PackRow>> {
        let mut page = packs(grant);
        if let Some(after) = after {
            page.and_where(Expr::col(("p", "pack_id")).gt(after.0));
        }
        page.order_by(("p", "pack_id"), Order::Asc).limit(limit);
        let rows = self.reader.query_all(&page).await.map_err(failed)?;
        rows.iter().map(pack).collect()
    }

    /// One pack of the owner.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn pack_of(&self, grant: &InspectGrant, pack_id: PackId) -> Result<Option<PackRow>> {
        let one = packs(grant)
            .and_where(Expr::col(("p", "pack_id")).eq(pack_id.0))
            .take();
        let row = self.reader.query_one(&one).await.map_err(failed)?;
        row.as_ref().map(pack).transpose()
    }

    /// Notes that the object of a pack of the owner is missing since now, or that it is there (`None`): searches say so (Q69).
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn note_missing(
        &self,
        grant: &InspectGrant,
        pack: &PackRow,
        since: Option<Timestamp>,
    ) -> Result<()> {
        let own = Query::select()
            .column("pack_id")
            .from("pack")
            .and_where(Expr::col("pack_id").eq(pack.pack_id.0))
            .and_where(Expr::col("owner_facility_id").eq(grant.facility().id.0))
            .take();
        let update = Query::update()
            .table("pack_copy")
            .value("missing_since", since.map(|at| at.0))
            .and_where(Expr::col("pack_id").in_subquery(own))
            .and_where(Expr::col("object").eq(pack.object.as_str()))
            .take();
        let tx = self.begin().await?;
        tx.execute(&update).await.map_err(failed)?;
        commit(tx).await
    }

    /// The instances whose rows lead into a pack, in its order.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn instances_in(
        &self,
        grant: &InspectGrant,
        pack: &PackRow,
    ) -> Result<Vec<InstanceRow>> {
        let rows = self
            .reader
            .query_all(&instances(grant, pack))
            .await
            .map_err(failed)?;
        rows.iter().map(instance).collect()
    }

    /// The metadata pieces of a pack, in the order of its metadata object.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn pieces_in(&self, grant: &InspectGrant, pack: &PackRow) -> Result<Vec<Piece>> {
        let of_series = Expr::col(("r", "series_id")).equals(("m", "series_id"));
        let all = Query::select()
            .column(("r", "series_instance_uid"))
            .columns(
                [
                    "piece_offset",
                    "piece_length",
                    "inflated_length",
                    "crc32",
                    "instance_count",
                ]
                .map(|column| ("m", column)),
            )
            .from_as("metadata_piece", "m")
            .join_as(JoinType::InnerJoin, "series", "r", of_series)
            .and_where(Expr::col(("m", "pack_id")).eq(pack.pack_id.0))
            .and_where(Expr::col(("r", "owner_facility_id")).eq(grant.facility().id.0))
            .order_by(("m", "piece_offset"), Order::Asc)
            .take();
        let rows = self.reader.query_all(&all).await.map_err(failed)?;
        rows.iter().map(piece).collect()
    }

    /// Which of `uids` the owner knows: held in whatever pack and state, or erased.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn knows(
        &self,
        grant: &InspectGrant,
        uids: &[&SopInstanceUid],
    ) -> Result<HashSet<SopInstanceUid>> {
        self.known_to(grant.facility().id, uids).await
    }

    /// The objects of those of `packs` that have rows. No row of a patient.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn objects_of(&self, packs: &[PackId]) -> Result<HashMap<PackId, Vec<String>>> {
        let mut objects: HashMap<PackId, Vec<String>> = HashMap::new();
        for chunk in packs.chunks(CHUNK) {
            let some = Query::select()
                .columns(["pack_id", "object", "metadata_object"])
                .from("pack_copy")
                .and_where(Expr::col("pack_id").is_in(chunk.iter().map(|id| id.0)))
                .take();
            for row in &self.reader.query_all(&some).await.map_err(failed)? {
                let of_pack = objects
                    .entry(PackId(get::<Uuid>(row, "pack_id")?))
                    .or_default();
                of_pack.extend([get(row, "object")?, get(row, "metadata_object")?]);
            }
        }
        Ok(objects)
    }

    /// When the newest pack was recorded; `None` if there is none.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn newest_pack(&self) -> Result<Option<Timestamp>> {
        let newest = Query::select()
            .expr_as(Expr::col("sealed_at").max(), "newest")
            .from("pack")
            .take();
        let row = self.reader.query_one(&newest).await.map_err(failed)?;
        let newest = row
            .map(|row| get::<Option<i64>>(&row, "newest"))
            .transpose()?;
        Ok(newest.flatten().map(Timestamp))
    }
}

fn packs(grant: &InspectGrant) -> SelectStatement {
    let copy = Cond::all()
        .add(Expr::col(("b", "pack_id")).equals(("p", "pack_id")))
        .add(Expr::col(("b", "state")).eq("present"));
    let study = Expr::col(("s", "study_id")).equals(("p", "study_id"));
    Query::select()
        .columns(
            [
                "pack_id",
                "study_id",
                "byte_count",
                "metadata_bytes",
                "digest",
                "replaced_at",
            ]
            .map(|column| ("p", column)),
        )
        .columns(["object", "metadata_object", "missing_since"].map(|column| ("b", column)))
        .column(("s", "study_instance_uid"))
        .from_as("pack", "p")
        .join_as(JoinType::InnerJoin, "pack_copy", "b", copy)
        .join_as(JoinType::InnerJoin, "study", "s", study)
        .and_where(Expr::col(("p", "owner_facility_id")).eq(grant.facility().id.0))
        .take()
}

fn pack(row: &QueryResult) -> Result<PackRow> {
    Ok(PackRow {
        pack_id: PackId(get(row, "pack_id")?),
        study_id: StudyId(get(row, "study_id")?),
        study: study_uid(row)?,
        object: get(row, "object")?,
        metadata_object: get(row, "metadata_object")?,
        byte_count: unsigned(get(row, "byte_count")?)?,
        metadata_bytes: unsigned(get(row, "metadata_bytes")?)?,
        digest: digest(&get::<Vec<u8>>(row, "digest")?)?,
        is_replaced: get::<Option<i64>>(row, "replaced_at")?.is_some(),
        is_missing: get::<Option<i64>>(row, "missing_since")?.is_some(),
    })
}

fn instances(grant: &InspectGrant, pack: &PackRow) -> SelectStatement {
    let series = Expr::col(("r", "series_id")).equals(("i", "series_id"));
    let key = Cond::all()
        .add(Expr::col(("u", "owner_facility_id")).equals(("i", "owner_facility_id")))
        .add(Expr::col(("u", "sop_instance_uid")).equals(("i", "sop_instance_uid")))
        .add(Expr::col(("u", "instance_id")).equals(("i", "instance_id")));
    Query::select()
        .column(("r", "series_instance_uid"))
        .columns(
            [
                "sop_instance_uid",
                "digest",
                "pack_offset",
                "byte_count",
                "meta_offset",
                "meta_length",
                "meta_json_start",
                "meta_json_length",
                "frame_table",
            ]
            .map(|column| ("i", column)),
        )
        .expr_as(Expr::col(("u", "instance_id")).is_not_null(), "has_key")
        .from_as("instance", "i")
        .join_as(JoinType::InnerJoin, "series", "r", series)
        .join_as(JoinType::LeftJoin, "instance_uid", "u", key)
        .and_where(Expr::col(("i", "study_id")).eq(pack.study_id.0))
        .and_where(Expr::col(("i", "pack_id")).eq(pack.pack_id.0))
        .and_where(Expr::col(("i", "owner_facility_id")).eq(grant.facility().id.0))
        .order_by(("i", "pack_offset"), Order::Asc)
        .take()
}

fn instance(row: &QueryResult) -> Result<InstanceRow> {
    let json = |column| narrow(get::<i64>(row, column)?);
    let start = json("meta_json_start")?;
    Ok(InstanceRow {
        series: series_uid(row)?,
        instance: instance_uid(row)?,
        digest: digest(&get::<Vec<u8>>(row, "digest")?)?,
        range: range(row, "pack_offset", "byte_count")?,
        meta: MetaPlace {
            block: range(row, "meta_offset", "meta_length")?,
            json: start..start.saturating_add(json("meta_json_length")?),
        },
        frame_table: get(row, "frame_table")?,
        has_key: get(row, "has_key")?,
    })
}

fn piece(row: &QueryResult) -> Result<Piece> {
    Ok(Piece {
        series: series_uid(row)?,
        range: range(row, "piece_offset", "piece_length")?,
        inflated_len: unsigned(get(row, "inflated_length")?)?,
        crc32: narrow(get(row, "crc32")?)?,
        instance_count: narrow(get::<i32>(row, "instance_count")?.into())?,
    })
}

fn range(row: &QueryResult, offset: &str, length: &str) -> Result<Range<u64>> {
    let start = unsigned(get(row, offset)?)?;
    Ok(start..start.saturating_add(unsigned(get(row, length)?)?))
}

fn narrow(value: i64) -> Result<u32> {
    u32::try_from(value).map_err(|error| Error::internal("a row holds a number beyond 2^32", error))
}
