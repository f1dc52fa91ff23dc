//! What changed, in the archive and in one study (MINT 7.1, 7.2).

use actix_web::{HttpRequest, HttpResponse, get, web};

use super::asked::{Asked, before};
use super::feed;
use super::paths::{StudyNames, without_slash};
use super::shapes::{ChangelogParams, Documents, Refused, StudyParams, XmlDocument};
use super::xml;
use crate::archive::stamp::Stamp;
use crate::auth::{DicomRead, OfObject};
use crate::dicom::mint::answers;
use crate::error::Result;
use crate::http::caller::Caller;
use crate::http::{Kura, conditional, respond};
use crate::index::mint::{Log, Order};

/// The changes of all studies: newest first, or with `after` as a feed to follow.
#[utoipa::path(
    tag = "MINT", operation_id = "listMintChanges", params(ChangelogParams),
    responses(
        (status = 200, description = "The document, or a page of the feed.", content((XmlDocument = "text/xml"), (feed::FeedPage = "application/json"))),
        (status = 204, description = "Nothing can have happened in the future."),
        Refused
    ),
    security(("bearer" = []))
)]
#[get("/changelog")]
pub(super) async fn of_archive(
    caller: Caller<DicomRead>,
    kura: Kura,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let asked = Asked::read(request.query_string())?;
    let seconds = asked.number("wait")?.unwrap_or(0);
    if let Some(after) = asked.value("after") {
        return feed::page(&caller, &kura, &request, (&asked, after, seconds)).await;
    }
    let consolidate = asked.word("consolidate", &[("true", true), ("false", false)])?;
    let orders = [("asc", Order::OldestFirst), ("desc", Order::NewestFirst)];
    let limit = asked.limit()?;
    let log = Log {
        consolidate: consolidate.unwrap_or(true),
        since: asked.instant("since")?,
        limit,
        skip: before(asked.number("offset")?.unwrap_or(0), limit),
        order: asked.word("order", &orders)?.unwrap_or_default(),
    };
    let is_future = log
        .since
        .is_some_and(|since| since > kura.archive.clock().now());
    let mut response = HttpResponse::Ok();
    respond::list_headers(&mut response);
    if is_future {
        return Ok(response
            .status(actix_web::http::StatusCode::NO_CONTENT)
            .finish());
    }
    let changes = kura.archive.catalog(&caller).changes(&log).await?;
    Ok(xml(&mut response, answers::changelog(&changes)))
}

/// The changes of a study.
#[utoipa::path(tag = "MINT", operation_id = "listMintChangesOfStudy", params(StudyParams), responses(Documents, Refused), security(("bearer" = [])))]
#[get("/studies/{uuid}/changelog")]
pub(super) async fn of_study(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<StudyNames>,
) -> Result<HttpResponse> {
    without_slash(&request)?;
    let catalog = kura.archive.catalog(&caller);
    let study = catalog.mint_study(names.study()?).await?;
    conditional::made_of(&request, &Stamp::of_version(&study.at, &caller));
    let changes = catalog.changes_of(study.at.study).await?;
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    Ok(xml(
        &mut response,
        answers::study_changelog(study.at.study, &changes),
    ))
}
