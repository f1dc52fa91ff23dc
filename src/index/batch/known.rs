//! What an owner holds already under a SOP Instance UID: an object, one in the bin, a tombstone.

use std::collections::HashMap;

use sea_orm::sea_query::{Cond, Expr, ExprTrait, JoinType, Query, SelectStatement, UnionType};
use sea_orm::{ConnectionTrait, QueryResult};

use crate::error::Result;
use crate::index::row::{digest, failed, get, instance_uid, series_uid, study_uid};
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

/// The state of a UID under a tombstone, as the statement of [`among`] gives it.
const ERASED: &str = "erased";

/// Which of `uids` the facility knows.
pub(super) async fn among<C: ConnectionTrait>(
    db: &C,
    owner: FacilityId,
    uids: &[&SopInstanceUid],
) -> Result<HashMap<SopInstanceUid, Known>> {
    let mut known = HashMap::new();
    for chunk in uids.chunks(CHUNK) {
        let mut there = held(owner, chunk);
        there.union(UnionType::All, erased(owner, chunk));
        for row in &db.query_all(&there).await.map_err(failed)? {
            let what = read(row)?;
            if what == Known::Erased {
                known.insert(name(row)?, what);
            } else {
                known.entry(name(row)?).or_insert(what);
            }
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
        .column(("i", "state"))
        .column(("s", "study_instance_uid"))
        .column(("r", "series_instance_uid"))
        .columns(["instance_id", "digest"].map(|column| ("i", column)))
        .from_as("instance_uid", "u")
        .join_as(JoinType::InnerJoin, "instance", "i", instance)
        .join_as(JoinType::InnerJoin, "series", "r", series)
        .join_as(JoinType::InnerJoin, "study", "s", study)
        .and_where(Expr::col(("u", "owner_facility_id")).eq(owner.0))
        .and_where(Expr::col(("u", "sop_instance_uid")).is_in(uids.iter().map(|uid| uid.as_str())))
        .take()
}

/// Tombstones, in the columns of [`held`].
fn erased(owner: FacilityId, uids: &[&SopInstanceUid]) -> SelectStatement {
    let mut erased = Query::select();
    erased
        .column("sop_instance_uid")
        .expr(Expr::cust(format!("'{ERASED}'")));
    for _ in [
        "study_instance_uid",
        "series_instance_uid",
        "instance_id",
        "digest",
    ] {
        erased.expr(Expr::cust("NULL"));
    }
    erased
        .from("tombstone")
        .and_where(Expr::col("owner_facility_id").eq(owner.0))
        .and_where(Expr::col("sop_instance_uid").is_in(uids.iter().map(|uid| uid.as_str())))
        .take()
}

fn name(row: &QueryResult) -> Result<SopInstanceUid> {
    instance_uid(row)
}

fn read(row: &QueryResult) -> Result<Known> {
    let state: String = get(row, "state")?;
    match state.as_str() {
        ERASED => return Ok(Known::Erased),
        "binned" | "rejected" => return Ok(Known::InBin),
        _ => {}
    }
    Ok(Known::Live(Held {
        id: Some(InstanceId(get(row, "instance_id")?)),
        study: study_uid(row)?,
        series: series_uid(row)?,
        digest: digest(&get::<Vec<u8>>(row, "digest")?)?,
    }))
}
