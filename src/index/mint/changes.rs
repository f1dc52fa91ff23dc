//! What changed: one row a transaction that changed a study, written in it (MINT 7.4).

use sea_orm::sea_query::{Expr, ExprTrait, JoinType, Order as By, Query, SelectStatement};
use sea_orm::{ConnectionTrait, QueryResult};

use super::version;
use crate::dicom::mint::answers::{Change, Operation};
use crate::error::{Error, Kind, Result};
use crate::index::Catalog;
use crate::index::row::{failed, get};
use crate::index::visible::known_row;
use crate::model::{FacilityId, StudyId, Timestamp};

/// A change that a transaction makes.
#[derive(Clone, Copy, Debug)]
pub(in crate::index) struct NewChange {
    pub(in crate::index) study: StudyId,
    /// The version that it makes, from 1.
    pub(in crate::index) version: i32,
    /// 1 if the study comes into sight, -1 if it goes out of it, else 0.
    pub(in crate::index) came: i64,
}

/// Writes changes of studies of one owner in one statement. Their rows are held.
pub(in crate::index) async fn note<C: ConnectionTrait>(
    tx: &C,
    (owner, who): (FacilityId, &str),
    at: Timestamp,
    changes: impl Iterator<Item = NewChange>,
) -> Result<()> {
    let mut insert = Query::insert();
    insert.into_table("change").columns([
        "study_id",
        "study_version",
        "owner_facility_id",
        "operation",
        "remote",
        "changed_at",
    ]);
    let mut any = false;
    for change in changes {
        any = true;
        let operation = match change.came {
            1 => Operation::Create,
            -1 => Operation::Delete,
            _ => Operation::Update,
        };
        insert.values_panic([
            change.study.0.into(),
            change.version.into(),
            owner.0.into(),
            operation.as_str().into(),
            who.into(),
            at.0.into(),
        ]);
    }
    if any {
        tx.execute(&insert).await.map_err(failed)?;
    }
    Ok(())
}

/// In which order changes are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// What changed last comes first.
    #[default]
    NewestFirst,
    /// What changed first comes first.
    OldestFirst,
}

/// Which changes of the archive are listed (MINT L01 to L06).
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// Only the last change of each study.
    pub consolidate: bool,
    /// Only what changed later.
    pub since: Option<Timestamp>,
    /// So many at most.
    pub limit: u64,
    /// So many are passed over.
    pub skip: u64,
    /// The order.
    pub order: Order,
}

impl Catalog<'_> {
    /// The changes of the studies that the caller may know of, those of what is gone included (MINT 7.1).
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn changes(&self, log: &Log) -> Result<Vec<Change>> {
        let mut page = self.select_changes();
        page.and_where(Expr::col(("c", "owner_facility_id")).eq(self.access.facility_id().0));
        if log.consolidate {
            page.and_where(Expr::col(("c", "study_version")).equals(("s", "study_version")));
        }
        if let Some(since) = log.since {
            page.and_where(Expr::col(("c", "changed_at")).gt(since.0));
        }
        let by = match log.order {
            Order::NewestFirst => By::Desc,
            Order::OldestFirst => By::Asc,
        };
        for column in ["changed_at", "study_id", "study_version"] {
            page.order_by(("c", column), by.clone());
        }
        page.limit(log.limit).offset(log.skip);
        let rows = self.index.reader.query_all(&page).await.map_err(failed)?;
        rows.iter().map(read).collect()
    }

    /// The changes of a study, oldest first (MINT 7.2).
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn changes_of(&self, study: StudyId) -> Result<Vec<Change>> {
        let mut all = self.select_changes();
        all.and_where(Expr::col(("c", "study_id")).eq(study.0))
            .order_by(("c", "study_version"), By::Asc);
        let rows = self.index.reader.query_all(&all).await.map_err(failed)?;
        rows.iter().map(read).collect()
    }

    /// Changes `c` of studies `s` that the caller may know of.
    pub(super) fn select_changes(&self) -> SelectStatement {
        let of_study = Expr::col(("s", "study_id")).equals(("c", "study_id"));
        Query::select()
            .columns(
                [
                    "study_id",
                    "study_version",
                    "operation",
                    "remote",
                    "changed_at",
                ]
                .map(|it| ("c", it)),
            )
            .from_as("change", "c")
            .join_as(JoinType::InnerJoin, "study", "s", of_study)
            .and_where(known_row(self.access, "s"))
            .take()
    }
}

/// A row of [`Catalog::select_changes`]. Everything that is visible is the caller's own today, so the caller may know who it was.
pub(super) fn read(row: &QueryResult) -> Result<Change> {
    let operation: String = get(row, "operation")?;
    let known = [Operation::Create, Operation::Update, Operation::Delete];
    let operation = known.into_iter().find(|known| known.as_str() == operation);
    let odd = || Error::new(Kind::Internal, "a change holds a word that is not known");
    Ok(Change {
        study: StudyId(get(row, "study_id")?),
        number: version(get(row, "study_version")?),
        at: Timestamp(get(row, "changed_at")?),
        operation: operation.ok_or_else(odd)?,
        remote_host: Some(get(row, "remote")?),
        remote_user: None,
    })
}
