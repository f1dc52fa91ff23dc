//! Due work, for those who run the archive: what waits, what failed and why, and trying it again.
//!
//! `lifecycle.manage` sees all jobs and restarts dead ones, `lifecycle.read` sees those of its own facility; for everybody
//! else there is nothing here (SH-2.5).

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::auth::{LifecycleRead, OfObject};
use crate::error::{Error, Kind, Result};
use crate::http::Kura;
use crate::http::caller::Caller;
use crate::http::dicomweb::shapes::Refused;
use crate::http::problem::Problem;
use crate::index::jobs::{JobCount, JobCursor, JobRow, Wanted};
use crate::model::{self, JobId, JobState, Timestamp};

/// Jobs on a page where the caller does not say.
const LIMIT: u64 = 100;

/// The most jobs on a page (sharing.md 14).
const MAX_LIMIT: u64 = 200;

/// Which jobs are listed.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct JobQuery {
    /// `due`, `running`, `done` or `dead`.
    state: Option<String>,
    /// A kind of work, such as `repack`.
    kind: Option<String>,
    /// How many at most, 1 to 200; 100 where it is not said.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u64>,
    /// Where the page before ended: its `nextCursor`.
    #[param(min_length = 1)]
    cursor: Option<String>,
}

/// A piece of due work.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Job {
    /// Key.
    id: Uuid,
    /// What kind of work.
    kind: String,
    /// Code of the facility whose work it is; absent where it is nobody's alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    facility: Option<String>,
    /// `due`, `running`, `done` or `dead`.
    state: &'static str,
    /// From when on it is due (RFC 3339, UTC).
    due_at: String,
    /// Until when its worker holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_until: Option<String>,
    /// How often it was tried.
    attempts: u32,
    /// What came of it, or why it failed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
    /// What is to be done; no patient data.
    #[schema(value_type = Object)]
    payload: Box<RawValue>,
    /// When it was asked for.
    created_at: String,
    /// When it was done, or failed for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
}

/// A page of jobs, newest first, and how many there are in all.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct JobPage {
    /// The jobs.
    jobs: Vec<Job>,
    /// Hand this over as `cursor` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// How many there are by state and kind, whatever was asked for.
    counts: Vec<JobTotal>,
}

/// How many jobs of one kind are in one state.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub(super) struct JobTotal {
    /// State.
    state: &'static str,
    /// Kind.
    kind: String,
    /// How many.
    count: u64,
}

/// List due work, newest first.
#[utoipa::path(
    tag = "jobs", operation_id = "listJobs", params(JobQuery),
    responses(
        (status = 200, body = JobPage, description = "A page of jobs"),
        Refused
    ),
    security(("bearer" = []))
)]
#[get("/jobs")]
pub(super) async fn list_jobs(
    caller: Caller<OfObject<LifecycleRead>>,
    kura: Kura,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let catalog = kura.archive.catalog(&caller);
    catalog.may_see_jobs()?;
    let (wanted, limit) = read(request.query_string())?;
    // One more says whether there is a next page.
    let mut rows = catalog.jobs(&wanted, limit + 1).await?;
    let has_more = rows.len() as u64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = rows.last().filter(|_| has_more);
    let page = JobPage {
        next_cursor: next.map(|last| last.cursor().to_string()),
        jobs: rows.into_iter().map(show).collect::<Result<_>>()?,
        counts: catalog.job_counts().await?.into_iter().map(count).collect(),
    };
    Ok(answer(&page))
}

/// Show one job.
#[utoipa::path(
    tag = "jobs", operation_id = "showJob", params(("job" = Uuid, Path, description = "Key of the job")),
    responses(
        (status = 200, body = Job, description = "The job"),
        Refused
    ),
    security(("bearer" = []))
)]
#[get("/jobs/{job}")]
pub(super) async fn show_job(
    caller: Caller<OfObject<LifecycleRead>>,
    kura: Kura,
    job: web::Path<String>,
) -> Result<HttpResponse> {
    let catalog = kura.archive.catalog(&caller);
    catalog.may_see_jobs()?;
    let row = catalog.job(id(&job)?).await?;
    Ok(answer(&show(row)?))
}

/// Make a dead job due again, once its cause is mended.
#[utoipa::path(
    tag = "jobs", operation_id = "restartJob", params(("job" = Uuid, Path, description = "Key of the job")),
    responses(
        (status = 200, body = Job, description = "The job, due now; done, where the same work was due already"),
        Refused,
        (status = 409, body = Problem, content_type = "application/problem+json", description = "The job is not dead")
    ),
    security(("bearer" = []))
)]
#[post("/jobs/{job}/restart")]
pub(super) async fn restart_job(
    caller: Caller<OfObject<LifecycleRead>>,
    kura: Kura,
    job: web::Path<String>,
) -> Result<HttpResponse> {
    let catalog = kura.archive.catalog(&caller);
    catalog.may_see_jobs()?;
    let row = catalog.restart_job(id(&job)?).await?;
    tracing::info!(job = %row.id, kind = row.kind, "a dead job was restarted");
    Ok(answer(&show(row)?))
}

fn answer<T: Serialize>(body: &T) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(body)
}

/// What no key can be is a resource that cannot exist.
fn id(text: &str) -> Result<JobId> {
    let id = Uuid::try_parse(text).map_err(|_| Error::not_found())?;
    Ok(JobId(id))
}

fn read(query: &str) -> Result<(Wanted, u64)> {
    let query = web::Query::<JobQuery>::from_query(query).map_err(|cause| {
        Error::new(
            Kind::Invalid,
            "jobs are listed by state, kind, limit and cursor, each at most once",
        )
        .with_source(cause.to_string())
    })?;
    let query = query.into_inner();
    let state = query.state.as_deref().map(|text| {
        JobState::parse(text)
            .ok_or_else(|| Error::invalid("state takes due, running, done or dead"))
    });
    let after = query.cursor.as_deref().map(|text| {
        JobCursor::parse(text)
            .ok_or_else(|| Error::invalid("cursor takes the nextCursor of the page before"))
    });
    let limit = query.limit.unwrap_or(LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(Error::invalid("limit takes 1 to 200"));
    }
    let wanted = Wanted {
        state: state.transpose()?,
        kind: query.kind,
        after: after.transpose()?,
    };
    Ok((wanted, limit))
}

fn show(row: JobRow) -> Result<Job> {
    let known = model::Job::parse(&row.payload).map(|job| job.shown());
    let payload = RawValue::from_string(known.unwrap_or(row.payload))
        .map_err(|cause| Error::internal("a job holds a payload that is no JSON", cause))?;
    Ok(Job {
        id: row.id.0,
        kind: row.kind,
        facility: row.facility.map(|code| code.to_string()),
        state: row.state.as_str(),
        due_at: instant(row.due_at)?,
        lease_until: row.lease_until.map(instant).transpose()?,
        attempts: row.attempts,
        result: row.result,
        payload,
        created_at: instant(row.created_at)?,
        finished_at: row.finished_at.map(instant).transpose()?,
    })
}

fn count(count: JobCount) -> JobTotal {
    JobTotal {
        state: count.state.as_str(),
        kind: count.kind,
        count: count.count,
    }
}

pub(in crate::http) fn instant(at: Timestamp) -> Result<String> {
    let odd = |cause| Error::internal("an instant is out of range", cause);
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000)
        .map_err(|cause| odd(Box::<dyn std::error::Error + Send + Sync>::from(cause)))?;
    at.format(&Rfc3339).map_err(|cause| odd(Box::from(cause)))
}
