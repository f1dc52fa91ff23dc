//! WADO-RS metadata (PS3.18 10.4.1.1.2, dicomweb.md section 5).

use std::sync::Arc;

use actix_web::http::header::CONTENT_ENCODING;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, get, web};
use futures::stream::{StreamExt, TryStreamExt};

use super::paths::{InstanceNames, SeriesNames, StudyNames, path_of};
use super::shapes::{self, InstanceParams, MetadataParams, Refused, SeriesParams, StudyParams};
use crate::archive::metadata::{HeadStream, Metadata};
use crate::archive::shown::{Links, Shown};
use crate::auth::{DicomRead, OfObject};
use crate::dicom::query::metadata::MetadataQuery;
use crate::error::{Error, Result};
use crate::http::accept::Accept;
use crate::http::caller::Caller;
use crate::http::data_sets::{self, Count, Form};
use crate::http::urls::Urls;
use crate::http::warning::warning;
use crate::http::{Kura, compress, conditional, respond};
use crate::index::catalog::{Instance, Scope, Visible};

/// Retrieve the metadata of a study.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveStudyMetadata", params(StudyParams, MetadataParams), responses(shapes::Metadata, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/metadata")]
pub(crate) async fn of_study(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<StudyNames>,
) -> Result<HttpResponse> {
    let scope = names.scope()?;
    answer(&caller, &kura, &accept, &request, scope).await
}

/// Retrieve the metadata of a series.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveSeriesMetadata", params(SeriesParams, MetadataParams), responses(shapes::Metadata, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/metadata")]
pub(crate) async fn of_series(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<SeriesNames>,
) -> Result<HttpResponse> {
    let scope = names.scope()?;
    answer(&caller, &kura, &accept, &request, scope).await
}

/// Retrieve the metadata of an instance.
#[utoipa::path(tag = "WADO-RS", operation_id = "retrieveInstanceMetadata", params(InstanceParams, MetadataParams), responses(shapes::Metadata, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/instances/{instance}/metadata")]
pub(crate) async fn of_instance(
    caller: Caller<OfObject<DicomRead>>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<InstanceNames>,
) -> Result<HttpResponse> {
    let scope = names.scope()?;
    answer(&caller, &kura, &accept, &request, scope).await
}

async fn answer(
    caller: &Caller<OfObject<DicomRead>>,
    kura: &Kura,
    accept: &Accept,
    request: &HttpRequest,
    scope: Scope,
) -> Result<HttpResponse> {
    let count = match scope.instance {
        Some(_) => Count::One,
        None => Count::Many,
    };
    let form = data_sets::form(accept, count);
    let (access, urls) = (caller.access(), kura.urls(request));
    let stamp = kura.archive.stamp(&access, &scope).await?;
    let asked = MetadataQuery::parse(request.query_string())?;
    let shown = Shown {
        links: kura.bulk_links(request),
        fields: asked.fields,
        private: asked.private,
        bulk: asked.bulk.unwrap_or(caller.facility().policy.bulkdata),
    };
    let settled = format!("{:?} {:?}", shown.links, shown.bulk);
    conditional::made_of(request, &stamp.in_form(&settled));
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    for text in &asked.warnings {
        response.append_header(("Warning", warning(&urls, text)));
    }
    if let Ok(Form::Parts | Form::Xml) = form {
        let is_relative = matches!(shown.links, Links::From(_));
        let heads = kura.archive.heads(&access, scope, &shown).await?;
        let located = (!is_relative).then_some(urls);
        return as_xml((request, &mut response), heads, form?, located).await;
    }
    let gzip = compress::weight(request.headers(), "gzip") > 0.0;
    let metadata = kura.archive.metadata(&access, scope, &shown, gzip).await?;
    // After visibility, so that an odd Accept learns nothing about what is not there (S11 before S13).
    let Form::Json(media_type) = form? else {
        return Err(Error::not_found());
    };
    response.content_type(media_type);
    Ok(match metadata {
        Metadata::Gzip(len, bytes) => {
            response.insert_header((CONTENT_ENCODING, "gzip"));
            respond::sized(&mut response, len, bytes).await?
        }
        Metadata::Plain(bytes) => response.streaming(bytes),
    })
}

/// One document an instance (J50). Without `urls` the parts have no address of their own, against which a client would resolve
/// the relative links in them (J41).
async fn as_xml(
    (request, response): (&HttpRequest, &mut HttpResponseBuilder),
    mut heads: HeadStream,
    form: Form,
    urls: Option<Urls>,
) -> Result<HttpResponse> {
    let part = move |(instance, head): (Arc<Visible<Instance>>, Vec<u8>)| {
        let at = urls.as_ref().map(|urls| urls.instance(&path_of(&instance)));
        let location = at.map_or_else(String::new, |at| format!("{at}/metadata"));
        data_sets::part(&head, location)
    };
    if form == Form::Xml {
        let head = heads.try_next().await?.ok_or_else(Error::not_found)?;
        return respond::single(response, part(head)?).await;
    }
    let parts = heads.map(move |head| head.and_then(&part));
    respond::multipart((request, response), data_sets::DICOM_XML, parts).await
}
