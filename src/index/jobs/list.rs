//! Jobs as people see them: lists, counts, and restarting what is dead.
//!
//! `lifecycle.manage` sees all jobs, `lifecycle.read` those of its own facility; for everybody else there are none (SH-2.5).

use sea_orm::sea_query::{Expr, ExprTrait, Order, Query, SelectStatement};
use sea_orm::{ConnectionTrait, QueryResult};
use uuid::Uuid;

use super::job_id;
use super::lease::is_due;
use crate::auth::{Access, Scope};
use crate::error::{Error, Kind, Result};
use crate::index::row::{failed, get};
use crate::index::timing::commit;
use crate::index::{Catalog, Index};
use crate::model::{FacilityCode, FacilityId, Job, JobId, JobState, Timestamp};

/// A job as its row knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobRow {
    /// Key.
    pub id: JobId,
    /// What kind of work.
    pub kind: String,
    /// The facility whose work it is, if it is one's.
    pub facility: Option<FacilityCode>,
    /// What is to be done, as JSON.
    pub payload: String,
    /// Where it stands.
    pub state: JobState,
    /// From when on it is due.
    pub due_at: Timestamp,
    /// Until when its worker holds it.
    pub lease_until: Option<Timestamp>,
    /// How often it was tried.
    pub attempts: u32,
    /// What came of it, or why it failed last.
    pub result: Option<String>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was done, or failed for good.
    pub finished_at: Option<Timestamp>,
}

/// Which jobs are wanted; what is absent does not matter.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// In this state.
    pub state: Option<JobState>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Behind this one.
    pub after: Option<JobCursor>,
}

/// Where a page ended: the newest come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobCursor {
    created_at: i64,
    id: Uuid,
}

/// How many jobs of one kind are in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobCount {
    /// Their state.
    pub state: JobState,
    /// Their kind.
    pub kind: String,
    /// How many.
    pub count: u64,
}

impl JobRow {
    /// The place of the job in the list.
    pub fn cursor(&self) -> JobCursor {
        JobCursor {
            created_at: self.created_at.0,
            id: self.id.0,
        }
    }
}

impl JobCursor {
    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (created_at, id) = text.split_once('.')?;
        Some(Self {
            created_at: created_at.parse().ok()?,
            id: id.parse().ok()?,
        })
    }
}

impl std::fmt::Display for JobCursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.created_at, self.id.simple())
    }
}

impl Catalog<'_> {
    /// Whether there are jobs at all for the caller.
    ///
    /// # Errors
    /// `Kind::NotFound` for a caller for whom there are no jobs, `Kind::Forbidden` for one of the administrative surface
    /// without a scope for them.
    pub fn may_see_jobs(&self) -> Result<()> {
        reach(self.access).map(|_| ())
    }

    /// At most `limit` jobs, newest first.
    ///
    /// # Errors
    /// As [`Catalog::may_see_jobs`]; `Kind::Unavailable` if the database does not answer.
    pub async fn jobs(&self, wanted: &Wanted, limit: u64) -> Result<Vec<JobRow>> {
        let mut list = select(reach(self.access)?);
        if let Some(state) = wanted.state {
            list.and_where(Expr::col(("j", "state")).eq(state.as_str()));
        }
        if let Some(kind) = &wanted.kind {
            list.and_where(Expr::col(("j", "kind")).eq(kind.as_str()));
        }
        if let Some(after) = wanted.after {
            let created_at = Expr::col(("j", "created_at"));
            let behind = created_at.clone().lt(after.created_at).or(created_at
                .clone()
                .eq(after.created_at)
                .and(Expr::col(("j", "job_id")).lt(after.id)));
            list.and_where(created_at.lte(after.created_at).and(behind));
        }
        list.order_by(("j", "created_at"), Order::Desc)
            .order_by(("j", "job_id"), Order::Desc)
            .limit(limit);
        let rows = self.index.reader.query_all(&list).await.map_err(failed)?;
        rows.iter().map(read).collect()
    }

    /// One job.
    ///
    /// # Errors
    /// As [`Catalog::jobs`]; `Kind::NotFound` too if it is not there.
    pub async fn job(&self, id: JobId) -> Result<JobRow> {
        let one = select(reach(self.access)?)
            .and_where(Expr::col(("j", "job_id")).eq(id.0))
            .take();
        let row = self.index.reader.query_one(&one).await.map_err(failed)?;
        read(&row.ok_or_else(Error::not_found)?)
    }

    /// An export of the caller's facility, for whoever may read there (X06).
    ///
    /// # Errors
    /// `Kind::NotFound` if there is none, `Kind::Forbidden` without `dicom.read`; `Kind::Unavailable` if the database does not
    /// answer.
    pub async fn operation(&self, id: JobId) -> Result<JobRow> {
        let one = self
            .operations()
            .and_where(Expr::col(("j", "job_id")).eq(id.0))
            .take();
        let row = self.index.reader.query_one(&one).await.map_err(failed)?;
        let row = row.ok_or_else(Error::not_found)?;
        if !self.access.allows(Scope::DicomRead) {
            return Err(Error::new(
                Kind::Forbidden,
                "the token lacks the scope dicom.read",
            ));
        }
        read(&row)
    }

    /// How many exports of the caller's facility are not over.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn operations_under_way(&self) -> Result<usize> {
        let open = self
            .operations()
            .and_where(Expr::col(("j", "state")).is_in(["due", "running"]))
            .take();
        let rows = self.index.reader.query_all(&open).await.map_err(failed)?;
        Ok(rows.len())
    }

    fn operations(&self) -> SelectStatement {
        select(Some(self.access.facility_id()))
            .and_where(Expr::col(("j", "kind")).eq("export"))
            .take()
    }

    /// How many jobs there are, by state and kind.
    ///
    /// # Errors
    /// As [`Catalog::jobs`].
    pub async fn job_counts(&self) -> Result<Vec<JobCount>> {
        self.index.count_jobs(reach(self.access)?).await
    }

    /// Makes a dead job due again, as if it had never been tried. If the same work is due already, that does, and the dead
    /// one is done with.
    ///
    /// # Errors
    /// As [`Catalog::job`]; `Kind::Forbidden` without `lifecycle.manage`, `Kind::Conflict` for a job that is not dead.
    pub async fn restart_job(&self, id: JobId) -> Result<JobRow> {
        let found = self.job(id).await?;
        if !self.access.allows(Scope::LifecycleManage) {
            return Err(Error::new(
                Kind::Forbidden,
                "the token lacks the scope lifecycle.manage",
            ));
        }
        self.index.restart(id, Job::parse(&found.payload)).await?;
        self.job(id).await
    }
}

impl Index {
    /// How many jobs there are, by state and kind: for the metrics, which name nobody.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database does not answer.
    pub async fn job_counts(&self) -> Result<Vec<JobCount>> {
        self.count_jobs(None).await
    }

    async fn count_jobs(&self, of: Option<FacilityId>) -> Result<Vec<JobCount>> {
        let mut count = Query::select();
        count
            .columns(["state", "kind"])
            .expr_as(Expr::col("job_id").count(), "n")
            .from("job")
            .group_by_columns(["state", "kind"])
            .order_by("state", Order::Asc)
            .order_by("kind", Order::Asc);
        if let Some(facility) = of {
            count.and_where(Expr::col("facility_id").eq(facility.0));
        }
        let rows = self.reader.query_all(&count).await.map_err(failed)?;
        let one = |row: &QueryResult| {
            Ok(JobCount {
                state: state(row)?,
                kind: get(row, "kind")?,
                count: u64::try_from(get::<i64>(row, "n")?).unwrap_or(0),
            })
        };
        rows.iter().map(one).collect()
    }

    async fn restart(&self, id: JobId, job: Option<Job>) -> Result<()> {
        let job =
            job.ok_or_else(|| Error::new(Kind::Conflict, "the work is not known to this program"))?;
        let now = self.clock.now().0;
        let tx = self.begin().await?;
        let mut update = Query::update();
        update
            .table("job")
            .and_where(Expr::col("job_id").eq(id.0))
            .and_where(Expr::cust("state = 'dead'"));
        if is_due(&tx, &job).await? {
            update
                .value("state", "done")
                .value("result", "the same work is due already");
        } else {
            update
                .value("state", "due")
                .value("due_at", now)
                .value("attempts", 0_i32)
                .value("finished_at", None::<i64>);
        }
        let done = tx.execute(&update).await.map_err(failed)?;
        if done.rows_affected() == 0 {
            return Err(Error::new(
                Kind::Conflict,
                "only a dead job can be restarted",
            ));
        }
        commit(tx).await
    }
}

/// Whose jobs the caller sees: `None` for all.
fn reach(access: &Access) -> Result<Option<FacilityId>> {
    if access.allows(Scope::LifecycleManage) {
        return Ok(None);
    }
    if access.allows(Scope::LifecycleRead) {
        return Ok(Some(access.facility_id()));
    }
    if access.is_administrative() {
        return Err(Error::new(
            Kind::Forbidden,
            "the token lacks the scope lifecycle.manage or lifecycle.read",
        ));
    }
    Err(Error::not_found())
}

fn select(of: Option<FacilityId>) -> SelectStatement {
    let mut select = Query::select();
    select
        .columns(
            [
                "job_id",
                "kind",
                "payload",
                "state",
                "due_at",
                "lease_until",
                "attempts",
                "result",
                "created_at",
                "finished_at",
            ]
            .map(|column| ("j", column)),
        )
        .column(("f", "code"))
        .from_as("job", "j")
        .join_as(
            sea_orm::sea_query::JoinType::LeftJoin,
            "facility",
            "f",
            Expr::col(("f", "facility_id")).equals(("j", "facility_id")),
        );
    if let Some(facility) = of {
        select.and_where(Expr::col(("j", "facility_id")).eq(facility.0));
    }
    select
}

fn read(row: &QueryResult) -> Result<JobRow> {
    let code: Option<String> = get(row, "code")?;
    let at = |column| Ok::<_, Error>(get::<Option<i64>>(row, column)?.map(Timestamp));
    Ok(JobRow {
        id: job_id(row)?,
        kind: get(row, "kind")?,
        facility: code.and_then(|code| FacilityCode::parse(&code)),
        payload: get(row, "payload")?,
        state: state(row)?,
        due_at: Timestamp(get(row, "due_at")?),
        lease_until: at("lease_until")?,
        attempts: u32::try_from(get::<i32>(row, "attempts")?).unwrap_or(0),
        result: get(row, "result")?,
        created_at: Timestamp(get(row, "created_at")?),
        finished_at: at("finished_at")?,
    })
}

fn state(row: &QueryResult) -> Result<JobState> {
    let state = JobState::parse(&get::<String>(row, "state")?);
    state.ok_or_else(|| Error::new(Kind::Internal, "a job is in a state that is not known"))
}
