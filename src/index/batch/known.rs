//! What an owner holds already under a SOP Instance UID: an object, one in the bin, a tombstone.

use std::collections::HashMap;

use sea_orm::sea_query::{Cond, Expr, ExprTrait, JoinType, Query, SelectStatement};
use sea_orm::{ConnectionTrait, QueryResult};

use crate::error::Result;
use crate::index::row::{digest, failed, get, uid};
use crate::model::{FacilityId, InstanceId, SeriesUid, SopInstanceUid, StudyUid};

/// UIDs in one statement.
const CHUNK: usize = 500;

/// What lies under a SOP Instance UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// An object that lives.
    Live(Held),
    /// An object in the bin: it can be restored (T37).
    InBin,
    /// An object that was erased (T37).
    Erased,
}

/// An object that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    /// Key; `None` for one that the batch itself brings.
    pub(super) id: Option<InstanceId>,
    pub(super) study: StudyUid,
    pub(super) series: SeriesUid,
    /// SHA-256 of the stored file.
    pub(super) digest: [u8; 32],
}

impl Held {
    /// Whether both have the same place.
    pub(super) fn is_beside(&self, other: &Self) -> bool {
        self.study == other.study && self.series == other.series
    }

    /// Whether both are the same object, byte for byte (T21).
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.is_beside(other) && self.digest == other.digest
    }
}

/// Which of `uids` the facility knows.
pub(super) async fn among<C: ConnectionTrait>(
    db: &C,
    owner: FacilityId,
    uids: &[&SopInstanceUid],
) -> Result<HashMap<SopInstanceUid, Known>> {
    let mut known = HashMap::new();
    for chunk in uids.chunks(CHUNK) {
        let rows = db.query_all(&held(owner, chunk)).await.map_err(failed)?;
        for row in &rows {
            known.insert(name(row)?, read(row)?);
        }
        let rows = db.query_all(&erased(owner, chunk)).await.map_err(failed)?;
        for row in &rows {
            known.insert(name(row)?, Known::Erased);
        }
    }
    Ok(known)
}

fn held(owner: FacilityId, uids: &[&SopInstanceUid]) -> SelectStatement {
    let instance = Cond::all()
        .add(Expr::col(("i", "study_id")).equals(("u", "study_id")))
        .add(Expr::col(("i", "instance_id")).equals(("u", "instance_id")));
    let series = Expr::col(("r", "series_id")).equals(("i", "series_id"));
    let study = Expr::col(("s", "study_id")).equals(("i", "study_id"));
    Query::select()
        .column(("u", "sop_instance_uid"))
        .column(("s", "study_instance_uid"))
        .column(("r", "series_instance_uid"))
        .columns(["instance_id", "digest", "state"].map(|column| ("i", column)))
        .from_as("instance_uid", "u")
        .join_as(JoinType::InnerJoin, "instance", "i", instance)
        .join_as(JoinType::InnerJoin, "series", "r", series)
        .join_as(JoinType::InnerJoin, "study", "s", study)
        .and_where(Expr::col(("u", "owner_facility_id")).eq(owner.0))
        .and_where(Expr::col(("u", "sop_instance_uid")).is_in(uids.iter().map(|uid| uid.as_str())))
        .take()
}

fn erased(owner: FacilityId, uids: &[&SopInstanceUid]) -> SelectStatement {
    Query::select()
        .column("sop_instance_uid")
        .from("tombstone")
        .and_where(Expr::col("owner_facility_id").eq(owner.0))
        .and_where(Expr::col("sop_instance_uid").is_in(uids.iter().map(|uid| uid.as_str())))
        .take()
}

fn name(row: &QueryResult) -> Result<SopInstanceUid> {
    uid(SopInstanceUid::parse(&get::<String>(
        row,
        "sop_instance_uid",
    )?))
}

fn read(row: &QueryResult) -> Result<Known> {
    let state: String = get(row, "state")?;
    if matches!(state.as_str(), "binned" | "rejected") {
        return Ok(Known::InBin);
    }
    Ok(Known::Live(Held {
        id: Some(InstanceId(get(row, "instance_id")?)),
        study: uid(StudyUid::parse(&get::<String>(row, "study_instance_uid")?))?,
        series: uid(SeriesUid::parse(&get::<String>(
            row,
            "series_instance_uid",
        )?))?,
        digest: digest(&get::<Vec<u8>>(row, "digest")?)?,
    }))
}
