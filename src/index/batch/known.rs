//! What an owner holds already.

use std::collections::HashMap;

use sea_orm::sea_query::{Cond, Expr, ExprTrait, JoinType, Query, SelectStatement};
use sea_orm::{ConnectionTrait, QueryResult};

use crate::error::Result;
use crate::index::row::{digest, failed, get, uid};
use crate::model::{FacilityId, SeriesUid, SopInstanceUid, StudyUid};

/// UIDs in one statement.
const CHUNK: usize = 500;

/// What lies under a SOP Instance UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Study Instance UID.
    pub study: StudyUid,
    /// Series Instance UID.
    pub series: SeriesUid,
    /// SHA-256 of the stored file.
    pub digest: [u8; 32],
}

/// Which of `uids` the facility holds.
pub(super) async fn among<C: ConnectionTrait>(
    db: &C,
    owner: FacilityId,
    uids: &[&SopInstanceUid],
) -> Result<HashMap<SopInstanceUid, Known>> {
    let mut known = HashMap::new();
    for chunk in uids.chunks(CHUNK) {
        let rows = db.query_all(&select(owner, chunk)).await.map_err(failed)?;
        for row in &rows {
            let (instance, there) = read(row)?;
            known.insert(instance, there);
        }
    }
    Ok(known)
}

fn select(owner: FacilityId, uids: &[&SopInstanceUid]) -> SelectStatement {
    let instance = Cond::all()
        .add(Expr::col(("i", "study_id")).equals(("u", "study_id")))
        .add(Expr::col(("i", "instance_id")).equals(("u", "instance_id")));
    let series = Expr::col(("r", "series_id")).equals(("i", "series_id"));
    let study = Expr::col(("s", "study_id")).equals(("i", "study_id"));
    Query::select()
        .column(("u", "sop_instance_uid"))
        .column(("s", "study_instance_uid"))
        .column(("r", "series_instance_uid"))
        .column(("i", "digest"))
        .from_as("instance_uid", "u")
        .join_as(JoinType::InnerJoin, "instance", "i", instance)
        .join_as(JoinType::InnerJoin, "series", "r", series)
        .join_as(JoinType::InnerJoin, "study", "s", study)
        .and_where(Expr::col(("u", "owner_facility_id")).eq(owner.0))
        .and_where(Expr::col(("u", "sop_instance_uid")).is_in(uids.iter().map(|uid| uid.as_str())))
        .take()
}

fn read(row: &QueryResult) -> Result<(SopInstanceUid, Known)> {
    let instance = uid(SopInstanceUid::parse(&get::<String>(
        row,
        "sop_instance_uid",
    )?))?;
    let known = Known {
        study: uid(StudyUid::parse(&get::<String>(row, "study_instance_uid")?))?,
        series: uid(SeriesUid::parse(&get::<String>(
            row,
            "series_instance_uid",
        )?))?,
        digest: digest(&get::<Vec<u8>>(row, "digest")?)?,
    };
    Ok((instance, known))
}
