//! WADO-RS: all bulk data of a study, a series or an instance (PS3.18 10.4.1.1.5, dicomweb.md R12, F67).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, web};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use super::bulkdata::{PIXEL_DATA, absent, pixel_type};
use super::paths::{InstanceNames, SeriesNames, StudyNames, path_of};
use super::pixels::{OCTETS, Parts};
use super::shapes::{InstanceParams, Octets, Refused, SeriesParams, StudyParams};
use crate::archive::Archive;
use crate::archive::shown::Shown;
use crate::auth::{Access, DicomRead, OfObject};
use crate::dicom::bulk::{self, BulkPath};
use crate::dicom::frames::FrameTable;
use crate::error::{Error, Result};
use crate::http::accept::{Accept, Offer};
use crate::http::caller::Caller;
use crate::http::respond::Part;
use crate::http::urls::Urls;
use crate::http::{Kura, respond};
use crate::index::catalog::{Instance, Scope, Visible};

/// Retrieve all bulk data of a study.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveBulkDataOfStudy", params(StudyParams), responses(Octets, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/bulkdata")]
pub(crate) async fn of_study(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<StudyNames>,
) -> Result<HttpResponse> {
    answer(&caller, &kura, &accept, &request, names.scope()?).await
}

/// Retrieve all bulk data of a series.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveBulkDataOfSeries", params(SeriesParams), responses(Octets, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/bulkdata")]
pub(crate) async fn of_series(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<SeriesNames>,
) -> Result<HttpResponse> {
    answer(&caller, &kura, &accept, &request, names.scope()?).await
}

/// Retrieve all bulk data of an instance.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveBulkDataOfInstance", params(InstanceParams), responses(Octets, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/instances/{instance}/bulkdata")]
pub(crate) async fn of_instance(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<InstanceNames>,
) -> Result<HttpResponse> {
    answer(&caller, &kura, &accept, &request, names.scope()?).await
}

/// A value that metadata give as a link.
type Link = (Arc<Visible<Instance>>, BulkPath);

async fn answer(
    caller: &Caller<OfObject<DicomRead>>,
    kura: &Kura,
    accept: &Accept,
    request: &HttpRequest,
    scope: Scope,
) -> Result<HttpResponse> {
    let (access, urls) = (caller.access(), kura.urls(request));
    let shown = Shown::under(&urls.root());
    let heads = kura.archive.heads(&access, scope, &shown).await?;
    let links = heads.and_then(async |(instance, head)| {
        let paths = bulk::links(&head)?;
        let links = paths
            .into_iter()
            .map(move |path| Ok((Arc::clone(&instance), path)));
        Ok(stream::iter(links))
    });
    let mut links: BoxStream<'static, Result<Link>> = links.try_flatten().boxed();
    let first = links.try_next().await?.ok_or_else(absent)?;
    let second = links.try_next().await?;
    let sending = Sending {
        archive: kura.archive.clone(),
        access,
        urls,
    };
    let is_one = second.is_none() && sending.is_one_part(&first).await?;
    let mut offers = vec![Offer::multipart(OCTETS)];
    if is_one {
        offers.push(Offer::single(OCTETS));
    }
    let is_multipart = accept.choose(&offers)?.is_multipart;
    let links = stream::iter([Ok(first)].into_iter().chain(second.map(Ok))).chain(links);
    let parts = links.and_then(move |link| sending.clone().parts(link));
    let mut parts = parts.try_flatten().boxed();
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    if is_multipart {
        return respond::multipart((request, &mut response), OCTETS, parts).await;
    }
    let part = parts.try_next().await?.ok_or_else(absent)?;
    respond::single(&mut response, part).await
}

/// Makes the parts of a value when its turn comes.
#[derive(Clone)]
struct Sending {
    archive: Archive,
    access: Arc<Access>,
    urls: Urls,
}

impl Sending {
    /// Where the frames are, of pixel data.
    async fn table(&self, (instance, path): &Link) -> Result<Option<FrameTable>> {
        if !path.is_top_level() || path.tag() != PIXEL_DATA {
            return Ok(None);
        }
        self.archive.frame_table(instance).await
    }

    async fn is_one_part(&self, link: &Link) -> Result<bool> {
        let table = self.table(link).await?;
        Ok(table.is_none_or(|table| table.parts() == 1))
    }

    /// One part a value; of compressed pixel data one a frame (J42). Each says octets, as the message does.
    async fn parts(self, link: Link) -> Result<BoxStream<'static, Result<Part>>> {
        let table = self.table(&link).await?;
        let (instance, path) = link;
        let location = self.urls.bulkdata(&path_of(&instance), &path.to_string());
        let Some(table) = table else {
            let value = self.archive.bulk(&self.access, &instance, &path).await?;
            let lost = || Error::new(crate::Kind::Internal, "a bulk value is not in its file");
            let value = value.ok_or_else(lost)?;
            let part = Part {
                content_type: OCTETS.to_owned(),
                location,
                len: value.len,
                bytes: value.bytes,
            };
            return Ok(stream::iter([Ok(part)]).boxed());
        };
        let (_, syntax) = pixel_type(&instance.transfer_syntax_uid);
        let content_type = format!("{OCTETS}; transfer-syntax={syntax}");
        let places: Vec<_> = (0..table.parts()).filter_map(|at| table.part(at)).collect();
        let frames = self.archive.frames(self.access, instance, &places);
        let frames = Parts::stored(frames, content_type);
        let places = places
            .into_iter()
            .map(move |place| (location.clone(), place));
        Ok(frames.parts(places).boxed())
    }
}
