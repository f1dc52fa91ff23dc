//! Deletions: what lies in the bin, bringing it back, and the second person's consent (sharing.md 11.4, 14).
//!
//! A facility's own only. They are shown to whoever may delete or approve; to everybody else of the facility it is 403, to
//! everybody else 404.

use actix_web::http::header::ETAG;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::shapes::{DeletionParams, IfMatch, ListParams, NotChanged, Refused};
use crate::auth::{Access, DicomDelete, DicomDeleteApprove, OfObject, Scope as Right};
use crate::error::{Error, Kind, Result};
use crate::http::caller::Caller;
use crate::http::{Kura, precondition, respond};
use crate::index::catalog::Wanted;
use crate::model::{Act, Deletion, DeletionId, DeletionState, RejectCode};

const LIMIT: u64 = 50;
const MOST: u64 = 200;

/// `?state=&limit=&cursor=`
#[derive(Debug, Deserialize)]
struct ListQuery {
    state: Option<String>,
    limit: Option<u64>,
    cursor: Option<String>,
}

/// `{id}`.
#[derive(Debug, Deserialize)]
pub(crate) struct DeletionName {
    id: String,
}

/// A deletion.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeletionBody {
    /// Key.
    deletion_id: Uuid,
    /// `delete` or `reject`.
    kind: &'static str,
    /// `binned`, `approved`, `restored` or `erased`.
    state: &'static str,
    /// Study Instance UID.
    study: String,
    /// Series Instance UID, where a series or an instance was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<String>,
    /// SOP Instance UID, where an instance was named.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    /// Instances that it took.
    instance_count: u32,
    /// Their length, in bytes.
    byte_count: u64,
    /// Code and scheme of a rejection, as in `113001^DCM`.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// Why, in the words of who asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Who asked.
    requested: ActBody,
    /// The second person.
    #[serde(skip_serializing_if = "Option::is_none")]
    approved: Option<ActBody>,
    /// Who brought it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<ActBody>,
    /// It is not erased before (RFC 3339).
    purge_at: String,
    /// When it was erased (RFC 3339).
    #[serde(skip_serializing_if = "Option::is_none")]
    erased_at: Option<String>,
    /// Counted up with each change; its `ETag` is this number in quotation marks.
    version: u32,
}

/// Who did something, and when.
#[derive(Debug, Serialize, ToSchema)]
pub struct ActBody {
    /// The person, as tokens name it.
    by: String,
    /// When (RFC 3339).
    at: String,
}

/// A page of deletions.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeletionPage {
    /// Newest first.
    deletions: Vec<DeletionBody>,
    /// Asks for the next page; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List deletions of the own facility.
#[utoipa::path(tag = "delete", operation_id = "listDeletions", params(ListParams), responses((status = 200, description = "Deletions, newest first.", body = DeletionPage), Refused), security(("bearer" = [])))]
#[get("/deletions")]
pub(crate) async fn list(
    caller: Caller<OfObject<DicomDelete>>,
    kura: Kura,
    request: HttpRequest,
) -> Result<HttpResponse> {
    may_see(&caller)?;
    let wanted = wanted(request.query_string())?;
    let mut found = kura.archive.catalog(&caller).deletions(&wanted).await?;
    let is_cut = u64::try_from(found.len()).is_ok_and(|len| len == wanted.limit);
    // One row more was read than is shown.
    let next_cursor = is_cut.then(|| {
        found.pop();
        found.last().map(|last| last.id.to_string())
    });
    let mut response = HttpResponse::Ok();
    respond::list_headers(&mut response);
    Ok(response.json(DeletionPage {
        deletions: found.iter().map(body).collect(),
        next_cursor: next_cursor.flatten(),
    }))
}

/// Show a deletion of the own facility.
#[utoipa::path(tag = "delete", operation_id = "showDeletion", params(DeletionParams), responses((status = 200, description = "The deletion, with its ETag.", body = DeletionBody), Refused), security(("bearer" = [])))]
#[get("/deletions/{id}")]
pub(crate) async fn show(
    caller: Caller<OfObject<DicomDelete>>,
    kura: Kura,
    name: web::Path<DeletionName>,
) -> Result<HttpResponse> {
    let found = kura.archive.catalog(&caller).deletion(name.id()?).await?;
    may_see(&caller)?;
    Ok(answer(&found))
}

/// Bring back what a deletion took.
#[utoipa::path(tag = "delete", operation_id = "restoreDeletion", params(DeletionParams, IfMatch), responses((status = 200, description = "It is back.", body = DeletionBody), Refused, NotChanged), security(("bearer" = [])))]
#[post("/deletions/{id}/restore")]
pub(crate) async fn restore(
    caller: Caller<OfObject<DicomDelete>>,
    kura: Kura,
    request: HttpRequest,
    name: web::Path<DeletionName>,
) -> Result<HttpResponse> {
    let id = name.id()?;
    kura.archive.catalog(&caller).deletion(id).await?;
    caller.may_remove_own(Right::DicomDelete, kura.archive.clock().now())?;
    let seen = precondition::seen(&request)?;
    let restored = kura.archive.restore(&caller, id, seen.as_deref()).await?;
    Ok(answer(&restored))
}

/// Agree to a deletion as the second person.
#[utoipa::path(tag = "delete", operation_id = "approveDeletion", params(DeletionParams, IfMatch), responses((status = 200, description = "It is erased when its time has come.", body = DeletionBody), Refused, NotChanged), security(("bearer" = [])))]
#[post("/deletions/{id}/approve")]
pub(crate) async fn approve(
    caller: Caller<OfObject<DicomDeleteApprove>>,
    kura: Kura,
    request: HttpRequest,
    name: web::Path<DeletionName>,
) -> Result<HttpResponse> {
    let id = name.id()?;
    kura.archive.catalog(&caller).deletion(id).await?;
    caller.may_remove_own(Right::DicomDeleteApprove, kura.archive.clock().now())?;
    let seen = precondition::seen(&request)?;
    let approved = kura.archive.approve(&caller, id, seen.as_deref()).await?;
    Ok(answer(&approved))
}

impl DeletionName {
    /// What no id can be is a resource that cannot exist.
    fn id(&self) -> Result<DeletionId> {
        let id = Uuid::try_parse(&self.id).map_err(|_| Error::not_found())?;
        Ok(DeletionId(id))
    }
}

/// Whoever may delete or approve may look at what was asked.
fn may_see(access: &Access) -> Result<()> {
    if access.allows(Right::DicomDelete) || access.allows(Right::DicomDeleteApprove) {
        return Ok(());
    }
    let detail = "the token lacks the scope dicom.delete or dicom.delete.approve";
    Err(Error::new(Kind::Forbidden, detail))
}

/// What a list asks for, and one row more.
fn wanted(query: &str) -> Result<Wanted> {
    let params = web::Query::<ListQuery>::from_query(query)
        .map_err(|_| Error::invalid("limit takes 1 to 200; nothing may be said twice"))?;
    let state = params.state.as_deref().map(|text| {
        DeletionState::parse(text)
            .ok_or_else(|| Error::invalid("state takes binned, approved, restored or erased"))
    });
    let before = params.cursor.as_deref().map(|text| {
        let id = Uuid::try_parse(text);
        id.map_err(|_| Error::invalid("cursor takes the nextCursor of the page before"))
    });
    let limit = params.limit.unwrap_or(LIMIT);
    if !(1..=MOST).contains(&limit) {
        return Err(Error::invalid("limit takes 1 to 200"));
    }
    Ok(Wanted {
        state: state.transpose()?,
        before: before.transpose()?.map(DeletionId),
        limit: limit + 1,
    })
}

fn answer(deletion: &Deletion) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    respond::list_headers(&mut response);
    response
        .insert_header((ETAG, precondition::etag(deletion.version)))
        .json(body(deletion))
}

fn body(deletion: &Deletion) -> DeletionBody {
    let act = |act: &Act| ActBody {
        by: act.by.clone(),
        at: respond::rfc3339(act.at),
    };
    DeletionBody {
        deletion_id: deletion.id.0,
        kind: deletion.removal.as_str(),
        state: deletion.state.as_str(),
        study: deletion.study.to_string(),
        series: deletion.series.as_ref().map(ToString::to_string),
        instance: deletion.instance.as_ref().map(ToString::to_string),
        instance_count: deletion.instance_count,
        byte_count: deletion.byte_count,
        code: deletion.removal.code().map(RejectCode::as_str),
        reason: deletion.reason.clone(),
        requested: act(&deletion.requested),
        approved: deletion.approved.as_ref().map(act),
        restored: deletion.restored.as_ref().map(act),
        purge_at: respond::rfc3339(deletion.purge_at),
        erased_at: deletion.erased_at.map(respond::rfc3339),
        version: deletion.version,
    }
}
