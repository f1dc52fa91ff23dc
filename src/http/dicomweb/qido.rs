//! QIDO-RS: searching (PS3.18 10.6, dicomweb.md section 4).

use actix_web::{HttpRequest, HttpResponse, get, web};
use bytes::Bytes;
use futures::stream;

use super::paths::{SeriesNames, StudyNames};
use super::shapes::{Refused, SearchParams, Searched, SeriesParams, StudyParams};
use crate::auth::DicomRead;
use crate::dicom::json;
use crate::dicom::query::Query;
use crate::error::{Error, Result};
use crate::http::accept::Accept;
use crate::http::caller::Caller;
use crate::http::urls::Urls;
use crate::http::warning::warning;
use crate::http::{Kura, respond};
use crate::index::search::{Found, More, Page};
use crate::model::{InstancePath, Level, SeriesPath, SeriesUid, StudyPath, StudyUid, Tag, VR};

const RETRIEVE_URL: Tag = Tag(0x0008, 0x1190);

/// What every search is given.
struct Search<'a> {
    caller: &'a Caller<DicomRead>,
    kura: &'a Kura,
    accept: &'a Accept,
    request: &'a HttpRequest,
}

/// Search for studies.
#[utoipa::path(tag = "QIDO-RS", operation_id = "searchStudies", params(SearchParams), responses(Searched, Refused), security(("bearer" = [])))]
#[get("/studies")]
pub(crate) async fn search_studies(
    caller: Caller<DicomRead>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let search = Search {
        caller: &caller,
        kura: &kura,
        accept: &accept,
        request: &request,
    };
    search.answer(Level::Study, None, None).await
}

/// Search for series.
#[utoipa::path(tag = "QIDO-RS", operation_id = "searchSeries", params(SearchParams), responses(Searched, Refused), security(("bearer" = [])))]
#[get("/series")]
pub(crate) async fn search_series(
    caller: Caller<DicomRead>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let search = Search {
        caller: &caller,
        kura: &kura,
        accept: &accept,
        request: &request,
    };
    search.answer(Level::Series, None, None).await
}

/// Search for instances.
#[utoipa::path(tag = "QIDO-RS", operation_id = "searchInstances", params(SearchParams), responses(Searched, Refused), security(("bearer" = [])))]
#[get("/instances")]
pub(crate) async fn search_instances(
    caller: Caller<DicomRead>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let search = Search {
        caller: &caller,
        kura: &kura,
        accept: &accept,
        request: &request,
    };
    search.answer(Level::Instance, None, None).await
}

/// Search for the series of a study.
#[utoipa::path(tag = "QIDO-RS", operation_id = "searchSeriesOfStudy", params(StudyParams, SearchParams), responses(Searched, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series")]
pub(crate) async fn search_series_of_study(
    caller: Caller<DicomRead>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<StudyNames>,
) -> Result<HttpResponse> {
    let search = Search {
        caller: &caller,
        kura: &kura,
        accept: &accept,
        request: &request,
    };
    search
        .answer(Level::Series, Some(names.path()?.study), None)
        .await
}

/// Search for the instances of a study.
#[utoipa::path(tag = "QIDO-RS", operation_id = "searchInstancesOfStudy", params(StudyParams, SearchParams), responses(Searched, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/instances")]
pub(crate) async fn search_instances_of_study(
    caller: Caller<DicomRead>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<StudyNames>,
) -> Result<HttpResponse> {
    let search = Search {
        caller: &caller,
        kura: &kura,
        accept: &accept,
        request: &request,
    };
    search
        .answer(Level::Instance, Some(names.path()?.study), None)
        .await
}

/// Search for the instances of a series.
#[utoipa::path(tag = "QIDO-RS", operation_id = "searchInstancesOfSeries", params(SeriesParams, SearchParams), responses(Searched, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/instances")]
pub(crate) async fn search_instances_of_series(
    caller: Caller<DicomRead>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
    names: web::Path<SeriesNames>,
) -> Result<HttpResponse> {
    let path = names.path()?;
    let search = Search {
        caller: &caller,
        kura: &kura,
        accept: &accept,
        request: &request,
    };
    search
        .answer(Level::Instance, Some(path.study), Some(path.series))
        .await
}

impl Search<'_> {
    async fn answer(
        &self,
        level: Level,
        study: Option<StudyUid>,
        series: Option<SeriesUid>,
    ) -> Result<HttpResponse> {
        let media_type = respond::dicom_json(self.accept)?;
        let query = Query::parse(level, study, series, self.request.query_string())?;
        let page = self
            .kura
            .archive
            .catalog(self.caller)
            .search(&query)
            .await?;
        let urls = self.kura.urls(self.request);
        let mut response = if page.rows.is_empty() {
            HttpResponse::NoContent()
        } else {
            HttpResponse::Ok()
        };
        respond::list_headers(&mut response);
        for text in warnings(&query, &page) {
            response.append_header(("Warning", warning(&urls, &text)));
        }
        if let Some(total) = page.total {
            response.insert_header(("X-Total-Count", total.to_string()));
        }
        if page.rows.is_empty() {
            return Ok(response.finish());
        }
        response.content_type(media_type);
        Ok(response.streaming(rows(page.rows, urls)))
    }
}

/// What was ignored (Q03, Q04, Q82), and what is left (Q96).
fn warnings(query: &Query, page: &Page) -> Vec<String> {
    let more = match page.more {
        More::None => None,
        More::Exactly(n) => Some(format!(
            "There are {n} additional results that can be requested"
        )),
        More::AtLeast(n) => Some(format!(
            "There are at least {n} additional results that can be requested"
        )),
    };
    query.warnings.iter().cloned().chain(more).collect()
}

/// The rows as one JSON array, written as they are sent (J25).
fn rows(rows: Vec<Found>, urls: Urls) -> impl futures::Stream<Item = Result<Bytes, Error>> {
    let last = rows.len() - 1;
    stream::iter(rows.into_iter().enumerate().map(move |(at, mut found)| {
        found
            .attributes
            .put(RETRIEVE_URL, VR::UR, retrieve_url(&found, &urls));
        let mut out = Vec::with_capacity(1024);
        out.push(if at == 0 { b'[' } else { b',' });
        json::write_attributes(&found.attributes, &mut out);
        if at == last {
            out.push(b']');
        }
        Ok(Bytes::from(out))
    }))
}

fn retrieve_url(found: &Found, urls: &Urls) -> String {
    let study = found.study.clone();
    match (found.series.clone(), found.instance.clone()) {
        (Some(series), Some(instance)) => urls.instance(&InstancePath {
            study,
            series,
            instance,
        }),
        (Some(series), None) => urls.series(&SeriesPath { study, series }),
        (None, _) => urls.study(&StudyPath { study }),
    }
}
