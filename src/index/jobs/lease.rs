//! The life of a job in a worker's hands: claimed, renewed, done, failed, given back.

use std::time::Duration;

use sea_orm::sea_query::{Expr, ExprTrait, LockBehavior, LockType, Order, Query, UpdateStatement};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult};

use super::{Again, enqueue, job_id};
use crate::error::Result;
use crate::index::Index;
use crate::index::row::{failed, get};
use crate::index::timing::commit;
use crate::model::job::{Job, KINDS, Next};
use crate::model::{FacilityId, JobId, Timestamp};

/// How often a job is tried before it is dead: with the pauses between, some two hours of an outage are sat out.
pub const MAX_ATTEMPTS: i32 = 10;

/// How long done jobs are kept for those who look.
pub const DONE_KEPT_DAYS: i64 = 7;

/// The pause after the first failure, in seconds; it doubles with each.
const PAUSE_S: i64 = 10;

/// The longest pause, in seconds.
const MAX_PAUSE_S: i64 = 3_600;

/// Done jobs that are dropped in one transaction.
const DROPPED_AT_ONCE: u64 = 1_000;

/// What came of a job whose work somebody asked for again while it ran: the newer row goes on in its place.
const AGAIN: &str = "asked for again meanwhile";

const SECOND_US: i64 = 1_000_000;

/// A job that this worker holds until its lease ends.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Key.
    pub id: JobId,
    /// What is to be done.
    pub job: Job,
    /// Whose work it is, if it is one facility's.
    pub facility: Option<FacilityId>,
    /// The how-manieth attempt this is, from 1: the token of the claim.
    pub attempts: i32,
}

impl Index {
    /// Takes at most `limit` jobs that are due, or whose worker let the lease end, for `lease`. Several workers get
    /// different jobs. A job that ended its worker [`MAX_ATTEMPTS`] times is not handed out but dead.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn claim(&self, limit: u64, lease: Duration) -> Result<Vec<Claimed>> {
        let now = self.clock.now();
        let tx = self.begin().await?;
        let mut claimed = Vec::new();
        for (state, column) in [
            ("state = 'running'", "lease_until"),
            ("state = 'due'", "due_at"),
        ] {
            let left = limit.saturating_sub(u64::try_from(claimed.len()).unwrap_or(limit));
            let select = Query::select()
                .columns([
                    "job_id",
                    "facility_id",
                    "payload",
                    "attempts",
                    "lease_until",
                ])
                .from("job")
                .and_where(Expr::cust(state))
                .and_where(Expr::col(column).lte(now.0))
                // A newer program's work is left to it.
                .and_where(Expr::col("kind").is_in(KINDS))
                .order_by(column, Order::Asc)
                .order_by("job_id", Order::Asc)
                .limit(left)
                .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked)
                .take();
            for row in tx.query_all(&select).await.map_err(failed)? {
                claimed.extend(take(&tx, &row, now, lease).await?);
            }
        }
        commit(tx).await?;
        Ok(claimed)
    }

    /// Keeps a job for another `lease`; `false` if it is another's by now.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn renew(&self, claimed: &Claimed, lease: Duration) -> Result<bool> {
        let until = later(self.clock.now(), seconds(lease));
        let update = update(claimed).value("lease_until", until.0).take();
        let done = self.writer.execute(&update).await.map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes that a job was done, with a word about what came of it, and asks for `next` in the same transaction; `false` if
    /// the job is another's by now.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn finish(
        &self,
        claimed: &Claimed,
        result: &str,
        next: Option<&Next>,
    ) -> Result<bool> {
        let update = ended(update(claimed), "done", self.clock.now())
            .value("result", result)
            .take();
        self.settle(claimed, update, next).await
    }

    /// Notes that a job failed, with a reason that may be shown. It is due again after a pause that doubles with each
    /// attempt. Gives the moment; `None` if the job is another's by now.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn retry(&self, claimed: &Claimed, reason: &str) -> Result<Option<Timestamp>> {
        let now = self.clock.now();
        let jitter = self.clock.new_id().as_u128();
        let due_at = Timestamp(now.0.saturating_add(pause_us(claimed.attempts, jitter)));
        let tx = self.begin().await?;
        let update = if is_due(&tx, &claimed.job).await? {
            ended(update(claimed), "done", now)
                .value("result", AGAIN)
                .take()
        } else {
            update(claimed)
                .value("state", "due")
                .value("due_at", due_at.0)
                .value("lease_until", None::<i64>)
                .value("result", reason)
                .take()
        };
        let done = tx.execute(&update).await.map_err(failed)?;
        commit(tx).await?;
        Ok((done.rows_affected() == 1).then_some(due_at))
    }

    /// Notes that a job failed for good, with a reason that may be shown, and asks for `next` in the same transaction: what
    /// recurs goes on. `false` if the job is another's by now.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn bury(&self, claimed: &Claimed, reason: &str, next: Option<&Next>) -> Result<bool> {
        let update = ended(update(claimed), "dead", self.clock.now())
            .value("result", reason)
            .take();
        self.settle(claimed, update, next).await
    }

    /// Gives a job back that was not finished, because the worker stops: it is due at once, and the attempt does not count.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away; the lease then ends by itself.
    pub async fn give_back(&self, claimed: &Claimed) -> Result<()> {
        let now = self.clock.now();
        let tx = self.begin().await?;
        let update = if is_due(&tx, &claimed.job).await? {
            ended(update(claimed), "done", now)
                .value("result", AGAIN)
                .take()
        } else {
            update(claimed)
                .value("state", "due")
                .value("due_at", now.0)
                .value("lease_until", None::<i64>)
                .value("attempts", Expr::col("attempts").sub(1))
                .take()
        };
        tx.execute(&update).await.map_err(failed)?;
        commit(tx).await
    }

    /// Drops jobs that were done more than [`DONE_KEPT_DAYS`] days ago; gives how many.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn expire_jobs(&self) -> Result<u64> {
        let before = later(self.clock.now(), -DONE_KEPT_DAYS * 86_400);
        let mut dropped = 0;
        loop {
            let old = Query::select()
                .column("job_id")
                .from("job")
                .and_where(Expr::cust("state = 'done'"))
                .and_where(Expr::col("finished_at").lt(before.0))
                .limit(DROPPED_AT_ONCE)
                .take();
            let delete = Query::delete()
                .from_table("job")
                .and_where(Expr::col("job_id").in_subquery(old))
                .take();
            let gone = self.writer.execute(&delete).await.map_err(failed)?;
            dropped += gone.rows_affected();
            if gone.rows_affected() < DROPPED_AT_ONCE {
                return Ok(dropped);
            }
        }
    }

    async fn settle(
        &self,
        claimed: &Claimed,
        update: UpdateStatement,
        next: Option<&Next>,
    ) -> Result<bool> {
        let tx = self.begin().await?;
        let is_ours = tx.execute(&update).await.map_err(failed)?.rows_affected() == 1;
        if let Some(next) = next.filter(|_| is_ours) {
            enqueue(&tx, &self.clock, (claimed.facility, next), Again::Keep).await?;
        }
        commit(tx).await?;
        Ok(is_ours)
    }
}

/// Takes the job of a row for `lease`; `None` if it has been tried too often to be handed out.
async fn take(
    tx: &DatabaseTransaction,
    row: &QueryResult,
    now: Timestamp,
    lease: Duration,
) -> Result<Option<Claimed>> {
    let (id, attempts) = (job_id(row)?, get::<i32>(row, "attempts")?);
    let was_left = get::<Option<i64>>(row, "lease_until")?.is_some();
    let job = Job::parse(&get::<String>(row, "payload")?);
    let mut update = Query::update();
    update.table("job").and_where(Expr::col("job_id").eq(id.0));
    let hopeless = match (&job, was_left && attempts >= MAX_ATTEMPTS) {
        (_, true) => Some("its worker ended each time before it was done"),
        (None, false) => Some("its payload cannot be read"),
        (Some(_), false) => None,
    };
    if let Some(reason) = hopeless {
        let update = ended(update, "dead", now).value("result", reason).take();
        tx.execute(&update).await.map_err(failed)?;
        tracing::error!(job = %id, reason, "a job is dead; POST /api/v1/jobs/{id}/restart tries it again");
        return Ok(None);
    }
    update
        .value("state", "running")
        .value("lease_until", later(now, seconds(lease)).0)
        .value("attempts", attempts.saturating_add(1));
    tx.execute(&update).await.map_err(failed)?;
    let facility = get::<Option<uuid::Uuid>>(row, "facility_id")?;
    Ok(job.map(|job| Claimed {
        id,
        job,
        facility: facility.map(FacilityId),
        attempts: attempts.saturating_add(1),
    }))
}

/// A change of a job that is held; it changes nothing if the claim was lost.
fn update(claimed: &Claimed) -> UpdateStatement {
    Query::update()
        .table("job")
        .and_where(Expr::col("job_id").eq(claimed.id.0))
        .and_where(Expr::cust("state = 'running'"))
        .and_where(Expr::col("attempts").eq(claimed.attempts))
        .take()
}

fn ended(mut update: UpdateStatement, state: &str, now: Timestamp) -> UpdateStatement {
    update
        .value("state", state)
        .value("finished_at", now.0)
        .value("lease_until", None::<i64>)
        .take()
}

/// Whether the same work waits in another row.
pub(super) async fn is_due(tx: &DatabaseTransaction, job: &Job) -> Result<bool> {
    let select = Query::select()
        .column("job_id")
        .from("job")
        .and_where(Expr::col("dedup").eq(job.dedup()))
        .and_where(Expr::cust("state = 'due'"))
        .limit(1)
        .take();
    Ok(tx.query_one(&select).await.map_err(failed)?.is_some())
}

fn seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

fn later(now: Timestamp, seconds: i64) -> Timestamp {
    Timestamp(now.0.saturating_add(seconds.saturating_mul(SECOND_US)))
}

/// The pause after attempt `attempts`, in microseconds: doubled each time, and a quarter shorter or longer by chance, so that
/// what failed together does not come back together.
fn pause_us(attempts: i32, chance: u128) -> i64 {
    let mut pause = PAUSE_S;
    for _ in 1..attempts {
        if pause >= MAX_PAUSE_S {
            break;
        }
        pause *= 2;
    }
    let pause = pause.clamp(PAUSE_S, MAX_PAUSE_S);
    let percent = 75 + i64::try_from(chance % 51).unwrap_or(0);
    pause.saturating_mul(percent * (SECOND_US / 100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        assert_eq!(pause_us(1, 25), 10 * SECOND_US);
        assert_eq!(pause_us(2, 25), 20 * SECOND_US);
        assert_eq!(pause_us(5, 25), 160 * SECOND_US);
        assert_eq!(pause_us(12, 25), 3_600 * SECOND_US);
        assert_eq!(pause_us(i32::MAX, 25), 3_600 * SECOND_US);
        assert_eq!(pause_us(1, 0), 7_500_000);
        assert_eq!(pause_us(1, 50), 12_500_000);
    }
}
