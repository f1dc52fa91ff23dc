//! The row of a job that makes or changes a study (MINT 9.2): it is due for a worker as soon as nobody has said for [`HOLD_S`] seconds that
//! the upload goes on, and the worker then says that it was cut off. Success is written with the rows of the study, in their
//! transaction and only where the row is still due: so the job tells the truth wherever a process ends.

use sea_orm::ConnectionTrait;
use sea_orm::sea_query::{Expr, ExprTrait, Query, UpdateStatement};
use serde::{Deserialize, Serialize};

use super::version;
use crate::auth::{Scope, StoreGrant};
use crate::dicom::mint::answers::{JobOutcome, JobStatus};
use crate::error::{Error, Kind, Result};
use crate::index::record::Recorded;
use crate::index::row::{failed, get};
use crate::index::{Catalog, Index};
use crate::model::job::Next;
use crate::model::{Job, JobId, StudyId, StudyUid, Timestamp};

/// How long a job is believed to go on without a word, in seconds.
const HOLD_S: i64 = 30;

/// Why a job failed that nobody went on with.
const CUT_OFF: &str = "the upload was cut off";

/// What is recorded with a study that is made as a whole or not at all.
#[derive(Clone, Copy, Debug)]
pub struct NewStudy {
    /// The job that makes it.
    pub job: JobId,
    /// The number behind its last item as it came.
    pub next_item: u32,
    /// Whether it may be there: then what it brings is added, and takes the place of what has the same UID (MINT U20).
    pub may_be_there: bool,
    /// Whether texts did not fit their character sets (MINT P04).
    pub is_recoded: bool,
}

/// A study that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Existing {
    /// Its UUID.
    pub study: StudyId,
    /// Its version.
    pub version: u64,
    /// How many instances it has.
    pub instances: u64,
}

/// How a job ended, as its row keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// The study is there.
    Made {
        /// Its UUID.
        study: StudyId,
        /// The number of the change.
        change: u64,
        /// Whether texts were stored in UTF-8 that did not fit their character sets (MINT P04).
        #[serde(default)]
        is_recoded: bool,
    },
    /// Nothing changed.
    Failed {
        /// One English sentence without patient data.
        reason: String,
    },
}

impl Ended {
    /// The end of a job that nobody went on with.
    pub fn cut_off() -> Self {
        let reason = CUT_OFF.to_owned();
        Self::Failed { reason }
    }

    /// As a row keeps it.
    ///
    /// # Errors
    /// Never: ids, numbers and plain text are JSON.
    pub fn text(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|cause| Error::internal("the end of a job cannot be written", cause))
    }
}

impl Index {
    /// Begins a job that makes a study, whose UUID is `study` unless it is there already.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn begin_creation(
        &self,
        grant: &StoreGrant,
        job: JobId,
        study: StudyId,
    ) -> Result<()> {
        self.begin_job(grant, Job::MintCreate { job, study }).await
    }

    /// Begins a job that changes a study.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn begin_update(&self, grant: &StoreGrant, job: JobId, study: StudyId) -> Result<()> {
        self.begin_job(grant, Job::MintUpdate { job, study }).await
    }

    async fn begin_job(&self, grant: &StoreGrant, job: Job) -> Result<()> {
        let due_at = self.hold_until();
        let next = Next { job, due_at };
        self.enqueue(Some(grant.facility().id), &next).await
    }

    /// Says that a job goes on; `false` if it was given up.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn hold_creation(&self, job: JobId) -> Result<bool> {
        let hold = waiting(job).value("due_at", self.hold_until().0).take();
        let done = self.writer.execute(&hold).await.map_err(failed)?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends a job that has not ended yet.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn end_creation(&self, job: JobId, ended: &Ended) -> Result<()> {
        let end = end(job, ended, self.clock.now())?;
        self.writer.execute(&end).await.map_err(failed)?;
        Ok(())
    }

    /// The study of the caller's facility with a Study Instance UID, if anything of it lives.
    ///
    /// # Errors
    /// `Kind::Unavailable` if the database is away.
    pub async fn existing(&self, grant: &StoreGrant, study: &StudyUid) -> Result<Option<Existing>> {
        let one = Query::select()
            .columns(["study_id", "study_version", "instance_count"])
            .from("study")
            .and_where(Expr::col("owner_facility_id").eq(grant.facility().id.0))
            .and_where(Expr::col("study_instance_uid").eq(study.as_str()))
            .and_where(Expr::col("instance_count").gt(0))
            .take();
        let row = self.reader.query_one(&one).await.map_err(failed)?;
        let existing = row.map(|row| {
            let instances: i32 = get(&row, "instance_count")?;
            Ok(Existing {
                study: StudyId(get(&row, "study_id")?),
                version: version(get(&row, "study_version")?),
                instances: u64::try_from(instances).unwrap_or(0),
            })
        });
        existing.transpose()
    }

    fn hold_until(&self) -> Timestamp {
        Timestamp(self.clock.now().0.saturating_add(HOLD_S * 1_000_000))
    }
}

impl Catalog<'_> {
    /// How a job of the caller's facility stands (MINT 9.2).
    ///
    /// # Errors
    /// `Kind::NotFound` if there is none, `Kind::Forbidden` without `dicom.write`; `Kind::Unavailable` if the database does not
    /// answer.
    pub async fn mint_job(&self, job: JobId) -> Result<JobStatus> {
        let one = Query::select()
            .columns(["payload", "result", "state", "created_at", "finished_at"])
            .from("job")
            .and_where(Expr::col("job_id").eq(job.0))
            .and_where(Expr::col("kind").is_in(["mint_create", "mint_update"]))
            .and_where(Expr::col("facility_id").eq(self.access.facility_id().0))
            .take();
        let row = self.index.reader.query_one(&one).await.map_err(failed)?;
        let row = row.ok_or_else(Error::not_found)?;
        if !self.access.allows(Scope::DicomWrite) {
            let detail = "the token lacks the scope dicom.write";
            return Err(Error::new(Kind::Forbidden, detail));
        }
        let payload: String = get(&row, "payload")?;
        let Some(Job::MintCreate { study, .. } | Job::MintUpdate { study, .. }) =
            Job::parse(&payload)
        else {
            return Err(Error::new(Kind::Internal, "a job has no payload"));
        };
        let created_at = Timestamp(get(&row, "created_at")?);
        let finished_at: Option<i64> = get(&row, "finished_at")?;
        let state: String = get(&row, "state")?;
        let result: Option<String> = get(&row, "result")?;
        let (study, outcome) = match state.as_str() {
            "done" | "dead" => told(result.as_deref(), study),
            _ => (study, JobOutcome::InProgress),
        };
        Ok(JobStatus {
            job,
            study,
            outcome,
            created_at,
            updated_at: finished_at.map_or(created_at, Timestamp),
        })
    }
}

fn told(result: Option<&str>, planned: StudyId) -> (StudyId, JobOutcome) {
    let ended = result.and_then(|text| serde_json::from_str(text).ok());
    match ended.unwrap_or_else(Ended::cut_off) {
        Ended::Made {
            study,
            change,
            is_recoded,
        } => {
            let outcome = JobOutcome::Success {
                change_number: change,
                is_recoded,
            };
            (study, outcome)
        }
        Ended::Failed { reason } => (planned, JobOutcome::Failed { reason }),
    }
}

/// A change of a job that goes on.
fn waiting(job: JobId) -> UpdateStatement {
    Query::update()
        .table("job")
        .and_where(Expr::col("job_id").eq(job.0))
        .and_where(Expr::cust("state = 'due'"))
        .take()
}

fn end(job: JobId, ended: &Ended, now: Timestamp) -> Result<UpdateStatement> {
    Ok(waiting(job)
        .value("state", "done")
        .value("finished_at", now.0)
        .value("result", ended.text()?)
        .take())
}

/// Ends the job of a study that is being recorded: in the transaction `tx`, after all of it is written, with these
/// outcomes.
///
/// # Errors
/// `Kind::Conflict` if the study had something before and may not, if something of it is not taken, or the job was given up.
pub(in crate::index) async fn conclude<C: ConnectionTrait>(
    tx: &C,
    new: &NewStudy,
    (grant, study): (&StoreGrant, &StudyUid),
    outcomes: &[Vec<Recorded>],
    now: Timestamp,
) -> Result<()> {
    let all = || outcomes.iter().flatten();
    let is_taken = |one: &Recorded| match one {
        Recorded::New => true,
        Recorded::Replaced | Recorded::AlreadyThere => new.may_be_there,
        Recorded::Conflict | Recorded::InBin | Recorded::Erased => false,
    };
    if !all().all(is_taken) {
        return Err(Error::new(Kind::Conflict, "some of it was there before"));
    }
    let one = Query::select()
        .columns(["study_id", "study_version", "instance_count"])
        .from("study")
        .and_where(Expr::col("owner_facility_id").eq(grant.facility().id.0))
        .and_where(Expr::col("study_instance_uid").eq(study.as_str()))
        .take();
    let row = tx.query_one(&one).await.map_err(failed)?;
    let row = row.ok_or_else(|| Error::new(Kind::Conflict, "nothing of the study is new"))?;
    let id = StudyId(get(&row, "study_id")?);
    let version_of_row: i32 = get(&row, "study_version")?;
    let count: i32 = get(&row, "instance_count")?;
    let is_new = all().all(|one| *one == Recorded::New);
    let is_whole = is_new && usize::try_from(count).ok() == Some(all().count());
    if !is_whole && !new.may_be_there {
        return Err(Error::new(Kind::Conflict, "it has other instances"));
    }
    if is_whole {
        let number = Query::update()
            .table("study")
            .value("next_item", i64::from(new.next_item))
            .and_where(Expr::col("study_id").eq(id.0))
            .and_where(Expr::col("next_item").lt(i64::from(new.next_item)))
            .take();
        tx.execute(&number).await.map_err(failed)?;
    } else if all().any(|one| one.is_written()) {
        // Numbers of the document may be taken: what came gets others when it is read.
        let unnumber = Query::update()
            .table("instance")
            .value("first_item", None::<i32>)
            .and_where(Expr::col("study_id").eq(id.0))
            .and_where(Expr::col("study_version").eq(version_of_row))
            .take();
        tx.execute(&unnumber).await.map_err(failed)?;
    }
    let made = Ended::Made {
        study: id,
        change: version(version_of_row),
        is_recoded: new.is_recoded,
    };
    succeed(tx, new.job, &made, now).await
}

/// Ends a job whose study is there, in the transaction that makes it so.
///
/// # Errors
/// `Kind::Conflict` if the job was given up.
pub(in crate::index) async fn succeed<C: ConnectionTrait>(
    tx: &C,
    job: JobId,
    made: &Ended,
    now: Timestamp,
) -> Result<()> {
    let end = end(job, made, now)?;
    if tx.execute(&end).await.map_err(failed)?.rows_affected() == 0 {
        return Err(Error::new(Kind::Conflict, "the job was given up"));
    }
    Ok(())
}
