//! A study: its root document and its end (MINT 5.1, 5.4).

use actix_web::{HttpRequest, HttpResponse, delete, get, web};

use super::paths::StudyNames;
use super::shapes::{Documents, Refused, StudyParams};
use super::xml;
use crate::archive::stamp::Stamp;
use crate::auth::{DicomDelete, DicomRead, OfObject, Scope as Right};
use crate::dicom::mint::answers;
use crate::error::Result;
use crate::http::caller::Caller;
use crate::http::dicomweb::shapes::Removed;
use crate::http::{Kura, conditional, respond};
use crate::index::catalog::Scope;
use crate::model::Removal;

/// A study and its version.
#[utoipa::path(tag = "MINT", operation_id = "showMintStudy", params(StudyParams), responses(Documents, Refused), security(("bearer" = [])))]
#[get("/studies/{uuid}")]
pub(super) async fn root(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<StudyNames>,
) -> Result<HttpResponse> {
    let study = kura
        .archive
        .catalog(&caller)
        .mint_study(names.study()?)
        .await?;
    conditional::made_of(&request, &Stamp::of_version(&study.at, &caller));
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    Ok(xml(&mut response, answers::study_root(&study.at)))
}

/// Delete a study: into the bin, like a delete over DICOMweb.
#[utoipa::path(tag = "MINT", operation_id = "deleteMintStudy", params(StudyParams), responses(Removed), security(("bearer" = [])))]
#[delete("/studies/{uuid}")]
pub(super) async fn delete(
    caller: Caller<OfObject<DicomDelete>>,
    kura: Kura,
    names: web::Path<StudyNames>,
) -> Result<HttpResponse> {
    let catalog = kura.archive.catalog(&caller);
    let scope = Scope {
        study: catalog.mint_uid(names.study()?).await?,
        series: None,
        instance: None,
    };
    catalog.owns(&scope).await?;
    caller.may_remove_own(Right::DicomDelete, kura.archive.clock().now())?;
    let removed = kura.archive.remove(&caller, &scope, Removal::Delete, None);
    removed.await?;
    Ok(HttpResponse::NoContent().finish())
}
