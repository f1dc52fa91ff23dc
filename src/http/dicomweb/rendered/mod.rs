//! Rendered resources (PS3.18 10.4.1.1.3 and 10.4.1.1.4, dicomweb.md section 8): pictures, films, videos and texts that a
//! browser shows as they are.

mod cache;
mod drawings;
mod frames;
mod presented;
mod resource;
mod shown;
mod texts;
pub mod thumbnail;
mod video;

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, web};

pub use self::cache::Thumbnails;
pub(super) use self::resource::Resource;
use super::paths::{InstanceNames, PartNames, SeriesNames, StudyNames};
use super::shapes::{
    FrameParams, InstanceParams, Pictures, Refused, RenderedParams, SeriesParams, StudyParams,
};
use crate::auth::{DicomRead, OfObject};
use crate::error::Result;
use crate::http::Kura;
use crate::http::accept::Accept;
use crate::http::caller::Caller;
use crate::model::FrameList;

/// Retrieve a picture of a study.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveRenderedStudy", params(StudyParams, RenderedParams), responses(Pictures, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/rendered")]
pub(crate) async fn of_study(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<StudyNames>,
) -> Result<HttpResponse> {
    let (path, access) = (names.path()?, caller.access());
    let location = format!("{}/rendered", kura.urls(&request).study(&path));
    let scope = names.scope()?;
    let resource = Resource::new(&kura, &access, &request, location);
    resource.rendered_of_many(&accept, scope).await
}

/// Retrieve a picture of a series.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveRenderedSeries", params(SeriesParams, RenderedParams), responses(Pictures, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/rendered")]
pub(crate) async fn of_series(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<SeriesNames>,
) -> Result<HttpResponse> {
    let (path, access) = (names.path()?, caller.access());
    let location = format!("{}/rendered", kura.urls(&request).series(&path));
    let scope = names.scope()?;
    let resource = Resource::new(&kura, &access, &request, location);
    resource.rendered_of_many(&accept, scope).await
}

/// Retrieve a picture of an instance, or what else a browser shows of it.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveRenderedInstance", params(InstanceParams, RenderedParams), responses(Pictures, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/instances/{instance}/rendered")]
pub(crate) async fn of_instance(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<InstanceNames>,
) -> Result<HttpResponse> {
    let (path, access) = (names.path()?, caller.access());
    let instance = kura.archive.catalog(&access).instance(&path).await?;
    let location = format!("{}/rendered", kura.urls(&request).instance(&path));
    let resource = Resource::new(&kura, &access, &request, location);
    resource.rendered(&accept, Arc::new(instance), None).await
}

/// Retrieve pictures of frames.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveRenderedFrames", params(FrameParams, RenderedParams), responses(Pictures, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/instances/{instance}/frames/{part}/rendered")]
pub(crate) async fn of_frames(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<PartNames>,
) -> Result<HttpResponse> {
    let (path, access) = (names.path()?, caller.access());
    let instance = kura.archive.catalog(&access).instance(&path).await?;
    let list = FrameList::parse(&names.part)?;
    let location = format!(
        "{}/frames/{}/rendered",
        kura.urls(&request).instance(&path),
        names.part
    );
    let resource = Resource::new(&kura, &access, &request, location);
    resource
        .rendered(&accept, Arc::new(instance), Some(&list))
        .await
}
