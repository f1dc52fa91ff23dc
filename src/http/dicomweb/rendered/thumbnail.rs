//! Thumbnails at all levels (R17, G15, G16): of an instance its representative frame, of a series or study the instance that
//! stands for it.

use std::sync::Arc;

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, get, web};
use bytes::Bytes;

use super::resource::{JPEG, PNG, Resource, picture_type};
use super::shown::Shown;
use crate::auth::{DicomRead, OfObject};
use crate::dicom::render::{self, PictureType, Viewport, Wish};
use crate::error::{Kind, Result};
use crate::http::accept::{Accept, Offer};
use crate::http::caller::Caller;
use crate::http::dicomweb::paths::{InstanceNames, PartNames, SeriesNames, StudyNames};
use crate::http::dicomweb::shapes::{
    FrameParams, InstanceParams, Refused, SeriesParams, StudyParams, Thumbnail, ThumbnailParams,
};
use crate::http::{Kura, problem};
use crate::index::catalog::{Instance, Visible};
use crate::model::FrameList;

/// Retrieve a thumbnail of a study.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveStudyThumbnail", params(StudyParams, ThumbnailParams), responses(Thumbnail, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/thumbnail")]
pub(crate) async fn of_study(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<StudyNames>,
) -> Result<HttpResponse> {
    let (path, access) = (names.path()?, caller.access());
    let location = format!("{}/thumbnail", kura.urls(&request).study(&path));
    let scope = names.scope()?;
    let instance = kura.archive.catalog(&access).representative(&scope).await?;
    let resource = Resource::new(&kura, &access, &request, location);
    resource.thumbnail(&accept, Arc::new(instance), None).await
}

/// Retrieve a thumbnail of a series.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveSeriesThumbnail", params(SeriesParams, ThumbnailParams), responses(Thumbnail, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/thumbnail")]
pub(crate) async fn of_series(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<SeriesNames>,
) -> Result<HttpResponse> {
    let (path, access) = (names.path()?, caller.access());
    let location = format!("{}/thumbnail", kura.urls(&request).series(&path));
    let scope = names.scope()?;
    let instance = kura.archive.catalog(&access).representative(&scope).await?;
    let resource = Resource::new(&kura, &access, &request, location);
    resource.thumbnail(&accept, Arc::new(instance), None).await
}

/// Retrieve a thumbnail of an instance.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveInstanceThumbnail", params(InstanceParams, ThumbnailParams), responses(Thumbnail, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/instances/{instance}/thumbnail")]
pub(crate) async fn of_instance(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<InstanceNames>,
) -> Result<HttpResponse> {
    let (path, access) = (names.path()?, caller.access());
    let location = format!("{}/thumbnail", kura.urls(&request).instance(&path));
    let instance = kura.archive.catalog(&access).instance(&path).await?;
    let resource = Resource::new(&kura, &access, &request, location);
    resource.thumbnail(&accept, Arc::new(instance), None).await
}

/// Retrieve a thumbnail of a frame.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveFrameThumbnail", params(FrameParams, ThumbnailParams), responses(Thumbnail, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/instances/{instance}/frames/{part}/thumbnail")]
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
    let at = kura.urls(&request).instance(&path);
    let location = format!("{at}/frames/{}/thumbnail", names.part);
    let resource = Resource::new(&kura, &access, &request, location);
    resource
        .thumbnail(&accept, Arc::new(instance), Some(&list))
        .await
}

impl Resource<'_> {
    /// The thumbnail of an instance, or of the first of the frames in a list.
    async fn thumbnail(
        &self,
        accept: &Accept,
        instance: Arc<Visible<Instance>>,
        frames: Option<&FrameList>,
    ) -> Result<HttpResponse> {
        let wish = Wish::parse_thumbnail(self.request.query_string())?;
        let offer = *accept.choose(&[Offer::single(JPEG), Offer::single(PNG)])?;
        let number = frames.and_then(|list| list.numbers().first().copied());
        let tag = Self::tag(&instance, &format!("thumbnail {offer} {number:?} {wish:?}"));
        let shown = Shown::of(self.archive(), self.access, &instance).await?;
        if let (Some(number), Shown::Image(rendering)) = (number, &shown)
            && number > rendering.frames()
        {
            let has = rendering.frames();
            return Err(problem::no_such_part(format!(
                "the instance has {has} frames"
            )));
        }
        if let Some(answer) = self.not_modified(&tag, &wish) {
            return Ok(answer);
        }
        let kept = &self.kura.thumbnails;
        let file = if let Some(file) = kept.get(&tag).filter(|_| !self.wants_fresh()) {
            file
        } else {
            let kind = picture_type(offer.media_type, &wish);
            let file = self.small(&instance, shown, number, &wish, kind).await?;
            kept.put(&tag, file.clone());
            file
        };
        self.file((&tag, &wish), offer.content_type(), file).await
    }

    /// The picture of the frame, or of what else there is to be seen; where there is nothing, a symbol.
    async fn small(
        &self,
        instance: &Arc<Visible<Instance>>,
        shown: Shown,
        number: Option<u32>,
        wish: &Wish,
        kind: PictureType,
    ) -> Result<Bytes> {
        let icon = shown.icon();
        let made = match shown {
            Shown::Image(rendering) => {
                let frame = match number {
                    Some(number) => number.saturating_sub(1),
                    None => rendering.overview()?.0,
                };
                rendering.file(frame, wish, kind).await
            }
            Shown::Drawing(drawing) => self.small_drawing(instance, drawing, wish, kind).await,
            Shown::Video(_)
            | Shown::Report
            | Shown::Document
            | Shown::Presentation
            | Shown::Symbol(_)
            | Shown::Nothing(..) => Err(problem::not_acceptable("no picture", Vec::new())),
        };
        match made {
            // Stored so that nobody can make a picture of it, or more than anybody wants to: it has its place in a list all the same.
            Err(error) if matches!(error.kind(), Kind::NotAcceptable | Kind::TooLarge) => {
                let side = wish.viewport.as_ref().map_or(128, Viewport::shorter_side);
                let work = move || render::encode(&icon.picture(side), None, kind);
                self.archive().compute(work).await?.map(Bytes::from)
            }
            other => other.map(Bytes::from),
        }
    }

    /// Whether the caller wants nothing that was made before (C04).
    fn wants_fresh(&self) -> bool {
        let said = self.request.headers().get(CACHE_CONTROL);
        said.is_some_and(|said| said.as_bytes().windows(8).any(|word| word == b"no-cache"))
    }
}
