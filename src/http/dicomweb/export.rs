//! Exports into the operator's folder, and how they stand (dicomweb.md X06).
//!
//! Who asks names what is exported and nothing of where it goes: the folder is configured, and each export has one of its own
//! below it, named after facility and operation. It is written by a job, with the rights of whoever asked.

use actix_web::http::header::{CACHE_CONTROL, LOCATION, RETRY_AFTER};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::shapes::Refused;
use crate::auth::{DicomRead, OfObject};
use crate::error::{Error, Kind, Result};
use crate::http::Kura;
use crate::http::api::body;
use crate::http::api::jobs::instant;
use crate::http::caller::Caller;
use crate::http::problem::Problem;
use crate::index::catalog::Scope;
use crate::index::jobs::JobRow;
use crate::model::job::{Errand, Next};
use crate::model::{Export, Job, JobId, JobState};

/// What one export names at most.
const MOST_RESOURCES: usize = 1_000;

/// Exports of one facility that wait or run at most: each will hold a worker for a while, and room on the operator's disk.
const MOST_UNDER_WAY: usize = 100;

/// When to ask again how an export stands, in seconds.
const ASK_AGAIN_S: &str = "5";

/// What is to be exported, and where to.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportRequest {
    source: Source,
    destination: Option<Destination>,
}

/// What is to be exported.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// `identifiers`.
    #[serde(rename = "type")]
    kind: String,
    settings: Identifiers,
}

/// Studies, series and instances.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Identifiers {
    /// `study`, `study/series` or `study/series/instance`, each a UID; at most 1000.
    #[schema(min_items = 1, max_items = 1000)]
    values: Vec<String>,
}

/// Where to: only the folder that is configured, which is meant where nothing is said.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// `folder`.
    #[serde(rename = "type")]
    kind: String,
}

/// An export that was begun.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Begun {
    /// Its key.
    id: Uuid,
    /// Where it says how it stands.
    href: String,
}

/// How an export stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Operation {
    /// Its key.
    #[serde(rename = "operationId")]
    id: Uuid,
    /// `export`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// `notStarted`, `running`, `succeeded` or `failed`.
    status: &'static str,
    /// When it was asked for (RFC 3339, UTC).
    created_time: String,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_time: Option<String>,
    /// The folder with the files, below the one that is configured; once they are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<String>,
    /// How many files were `exported` and `skipped`; once it is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    results: Option<Box<RawValue>>,
    /// Why it failed, or failed last.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Export studies, series or instances.
#[utoipa::path(
    tag = "export", operation_id = "createExport", request_body = ExportRequest,
    responses(
        (status = 202, body = Begun, description = "It was begun; Location says where to ask how it stands"),
        Refused,
        (status = 413, body = Problem, content_type = "application/problem+json", description = "Too long"),
        (status = 415, body = Problem, content_type = "application/problem+json", description = "The body is no JSON"),
        (status = 501, body = Problem, content_type = "application/problem+json", description = "No export is offered to the facility")
    ),
    security(("bearer" = []))
)]
#[post("/export")]
pub(crate) async fn create_export(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let asked: ExportRequest = body::json(&request, payload).await?;
    let named = named(&asked)?;
    let access = caller.access();
    for scope in named {
        kura.archive.walk(&access, scope).await?;
    }
    let facility = access.facility();
    if !kura.has_exports || facility.policy.export == Export::Off {
        let detail = "no export is offered to the facility: its operator sets export.folder, and export=on for the facility";
        return Err(Error::new(Kind::NotImplemented, detail));
    }
    if kura.archive.catalog(&access).operations_under_way().await? >= MOST_UNDER_WAY {
        let detail =
            "as many exports of the facility are under way as may be; try again when one is over";
        return Err(Error::new(Kind::Unavailable, detail));
    }
    let clock = kura.archive.clock();
    let operation = JobId(clock.new_id());
    let next = Next {
        job: Job::Export(Errand {
            operation,
            subject: access.subject().to_owned(),
            scopes: access.reading_scopes(),
            resources: asked.source.settings.values,
        }),
        due_at: clock.now(),
    };
    let index = kura.archive.index();
    index.enqueue(Some(facility.id), &next).await?;
    tracing::info!(job = %operation, facility = %facility.code, "an export was asked for");
    let href = kura.urls(&request).operation(operation);
    Ok(HttpResponse::Accepted()
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((LOCATION, href.clone()))
        .json(Begun {
            id: operation.0,
            href,
        }))
}

/// Show how an export stands.
#[utoipa::path(
    tag = "export", operation_id = "showOperation", params(("operation" = Uuid, Path, description = "Key of the export")),
    responses(
        (status = 200, body = Operation, description = "It is over"),
        (status = 202, body = Operation, description = "It waits or runs"),
        Refused
    ),
    security(("bearer" = []))
)]
#[get("/operations/{operation}")]
pub(crate) async fn show_operation(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    operation: web::Path<String>,
) -> Result<HttpResponse> {
    // What no key can be is a resource that cannot exist.
    let id = Uuid::try_parse(&operation).map_err(|_| Error::not_found())?;
    let row = kura.archive.catalog(&caller).operation(JobId(id)).await?;
    let mut answer = match row.state {
        JobState::Done | JobState::Dead => HttpResponse::Ok(),
        JobState::Due | JobState::Running => {
            let mut answer = HttpResponse::Accepted();
            answer.insert_header((RETRY_AFTER, ASK_AGAIN_S));
            answer
        }
    };
    let folder = format!("{}/{}", caller.facility().code, row.id);
    Ok(answer
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(show(row, folder)?))
}

/// What an export names, checked.
fn named(asked: &ExportRequest) -> Result<Vec<Scope>> {
    if asked.source.kind != "identifiers" {
        return Err(Error::invalid("the type of the source is identifiers"));
    }
    if asked
        .destination
        .as_ref()
        .is_some_and(|it| it.kind != "folder")
    {
        return Err(Error::invalid(
            "the type of the destination is folder: exports go where the operator wants them",
        ));
    }
    let values = &asked.source.settings.values;
    if !(1..=MOST_RESOURCES).contains(&values.len()) {
        return Err(Error::invalid("an export names 1 to 1000 resources"));
    }
    let scopes = values.iter().map(|value| Scope::parse(value));
    scopes.collect::<Option<_>>().ok_or_else(|| {
        Error::invalid("a resource is study, study/series or study/series/instance, each a UID")
    })
}

fn show(row: JobRow, folder: String) -> Result<Operation> {
    let is_done = row.state == JobState::Done;
    let result = row.result.filter(|result| !result.is_empty());
    let results = result.clone().filter(|_| is_done);
    Ok(Operation {
        id: row.id.0,
        kind: "export",
        status: match row.state {
            JobState::Due if row.attempts == 0 => "notStarted",
            JobState::Due | JobState::Running => "running",
            JobState::Done => "succeeded",
            JobState::Dead => "failed",
        },
        created_time: instant(row.created_at)?,
        finished_time: row.finished_at.map(instant).transpose()?,
        folder: is_done.then_some(folder),
        results: results.and_then(|text| RawValue::from_string(text).ok()),
        error: result.filter(|_| !is_done),
    })
}
