//! Due work as rows (architecture.md 1): what must happen after an answer is written in the same transaction as the change
//! that causes it, and done by whichever worker claims it.
//!
//! ```text
//!          claim                finish
//!   due ──────────▶ running ──────────────▶ done ── dropped after 7 days
//!    ▲  ◀─ failed, ─┘    │ failed for good
//!    │     later again   ▼
//!    └── restart ────── dead
//! ```
//!
//! A claim is a lease: who does not renew it in time has lost the job to the next worker. The number of attempts is the
//! token of a claim, since each claim counts it up: who lost a job cannot change its row any more. `lease` holds this life,
//! `list` is what people see of it.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, OnConflict, Query};

use super::Index;
use super::row::failed;
use crate::error::Result;
use crate::index::timing::commit;
use crate::model::job::{Job, Next};
use crate::model::{Clock, FacilityId, JobId, StudyId, Timestamp};

mod lease;
mod list;

pub use lease::{Claimed, DONE_KEPT_DAYS, MAX_ATTEMPTS};
pub use list::{JobCount, JobCursor, JobRow, Wanted};

/// What happens to the same work that is due already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// It waits for the new moment instead.
    Move,
    /// It stays as it is.
    Keep,
}

/// Asks for `next` on a connection or in a transaction; of the same work only one row is due.
pub(super) async fn enqueue<C: ConnectionTrait>(
    db: &C,
    clock: &Clock,
    (facility, next): (Option<FacilityId>, &Next),
    again: Again,
) -> Result<()> {
    let mut taken = OnConflict::column("dedup");
    // As the index says it: a bound value would not be known to be the same.
    taken.target_and_where(Expr::cust("state = 'due'"));
    match again {
        Again::Move => taken.update_column("due_at"),
        Again::Keep => taken.do_nothing(),
    };
    let insert = Query::insert()
        .into_table("job")
        .columns([
            "job_id",
            "kind",
            "facility_id",
            "payload",
            "dedup",
            "state",
            "due_at",
            "attempts",
            "created_at",
        ])
        .values_panic([
            next.job
                .id()
                .map_or_else(|| clock.new_id(), |id| id.0)
                .into(),
            next.job.kind().into(),
            facility.map(|id| id.0).into(),
            next.job.payload().into(),
            next.job.dedup().into(),
            "due".into(),
            next.due_at.0.into(),
            0_i32.into(),
            clock.now().0.into(),
        ])
        .on_conflict(taken)
        .take();
    db.execute(&insert).await.map_err(failed)?;
    Ok(())
}

/// The packs of a study written anew, once it has been quiet for so long.
pub(super) fn repack(study: StudyId, now: Timestamp, quiet_s: i64) -> Next {
    Next {
        job: Job::Repack { study },
        due_at: Timestamp(now.0.saturating_add(quiet_s.saturating_mul(1_000_000))),
    }
}

impl Index {
    /// Asks for work in a transaction of its own. The same work that is due already is put off to the new moment.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn enqueue(&self, facility: Option<FacilityId>, next: &Next) -> Result<()> {
        let tx = self.begin().await?;
        enqueue(&tx, &self.clock, (facility, next), Again::Move).await?;
        commit(tx).await
    }

    /// Makes sure that every kind of recurring work is due now or running: a process that starts looks at once, since its
    /// settings may be others than those by which the last moment was chosen.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn enqueue_recurring(&self) -> Result<()> {
        let tx = self.begin().await?;
        let due_at = self.clock.now();
        for job in Job::recurring() {
            let running = Query::select()
                .column("job_id")
                .from("job")
                .and_where(Expr::col("kind").eq(job.kind()))
                .and_where(Expr::cust("state = 'running'"))
                .limit(1)
                .take();
            if tx.query_one(&running).await.map_err(failed)?.is_none() {
                let next = (None, &Next { job, due_at });
                enqueue(&tx, &self.clock, next, Again::Move).await?;
            }
        }
        commit(tx).await
    }

    /// When a worker should look again: the first moment at which something is due or a lease ends; `None` if nothing waits.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn next_due(&self) -> Result<Option<Timestamp>> {
        let first = |column: &'static str, state: &'static str| {
            Query::select()
                .expr_as(Expr::col(column).min(), "at")
                .from("job")
                .and_where(Expr::cust(state))
                .take()
        };
        let mut next: Option<i64> = None;
        for select in [
            first("due_at", "state = 'due'"),
            first("lease_until", "state = 'running'"),
        ] {
            let row = self.reader.query_one(&select).await.map_err(failed)?;
            let at = row.map(|row| super::row::get::<Option<i64>>(&row, "at"));
            let at = at.transpose()?.flatten();
            next = next.into_iter().chain(at).min();
        }
        Ok(next.map(Timestamp))
    }
}

/// Fresh keys of this clock.
fn job_id(row: &sea_orm::QueryResult) -> Result<JobId> {
    Ok(JobId(super::row::get(row, "job_id")?))
}
