//! How many results a search has, without them (dicomweb.md X03).

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Serialize;

use super::paths::{SeriesNames, StudyNames};
use super::qido::asked;
use super::shapes::{Counted, Refused, SearchParams, SeriesParams, StudyParams};
use crate::auth::DicomRead;
use crate::error::Result;
use crate::http::caller::Caller;
use crate::http::warning::warning;
use crate::http::{Kura, respond};
use crate::model::{Level, SeriesUid, StudyUid};

/// How many there are.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Count {
    /// So many.
    count: u64,
}

/// Count studies.
#[utoipa::path(tag = "QIDO-RS", operation_id = "countStudies", params(SearchParams), responses(Counted, Refused), security(("bearer" = [])))]
#[get("/studies/count")]
pub(crate) async fn of_studies(
    caller: Caller<DicomRead>,
    kura: Kura,
    request: HttpRequest,
) -> Result<HttpResponse> {
    answer(&caller, &kura, &request, Level::Study, (None, None)).await
}

/// Count series.
#[utoipa::path(tag = "QIDO-RS", operation_id = "countSeries", params(SearchParams), responses(Counted, Refused), security(("bearer" = [])))]
#[get("/series/count")]
pub(crate) async fn of_series(
    caller: Caller<DicomRead>,
    kura: Kura,
    request: HttpRequest,
) -> Result<HttpResponse> {
    answer(&caller, &kura, &request, Level::Series, (None, None)).await
}

/// Count instances.
#[utoipa::path(tag = "QIDO-RS", operation_id = "countInstances", params(SearchParams), responses(Counted, Refused), security(("bearer" = [])))]
#[get("/instances/count")]
pub(crate) async fn of_instances(
    caller: Caller<DicomRead>,
    kura: Kura,
    request: HttpRequest,
) -> Result<HttpResponse> {
    answer(&caller, &kura, &request, Level::Instance, (None, None)).await
}

/// Count the series of a study.
#[utoipa::path(tag = "QIDO-RS", operation_id = "countSeriesOfStudy", params(StudyParams, SearchParams), responses(Counted, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/count")]
pub(crate) async fn series_of_study(
    caller: Caller<DicomRead>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<StudyNames>,
) -> Result<HttpResponse> {
    let bounds = (Some(names.path()?.study), None);
    answer(&caller, &kura, &request, Level::Series, bounds).await
}

/// Count the instances of a study.
#[utoipa::path(tag = "QIDO-RS", operation_id = "countInstancesOfStudy", params(StudyParams, SearchParams), responses(Counted, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/instances/count")]
pub(crate) async fn instances_of_study(
    caller: Caller<DicomRead>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<StudyNames>,
) -> Result<HttpResponse> {
    let bounds = (Some(names.path()?.study), None);
    answer(&caller, &kura, &request, Level::Instance, bounds).await
}

/// Count the instances of a series.
#[utoipa::path(tag = "QIDO-RS", operation_id = "countInstancesOfSeries", params(SeriesParams, SearchParams), responses(Counted, Refused), security(("bearer" = [])))]
#[get("/studies/{study}/series/{series}/instances/count")]
pub(crate) async fn instances_of_series(
    caller: Caller<DicomRead>,
    kura: Kura,
    request: HttpRequest,
    names: web::Path<SeriesNames>,
) -> Result<HttpResponse> {
    let path = names.path()?;
    let bounds = (Some(path.study), Some(path.series));
    answer(&caller, &kura, &request, Level::Instance, bounds).await
}

async fn answer(
    caller: &Caller<DicomRead>,
    kura: &Kura,
    request: &HttpRequest,
    level: Level,
    bounds: (Option<StudyUid>, Option<SeriesUid>),
) -> Result<HttpResponse> {
    let mut query = asked(caller, level, bounds, request)?;
    // A page of nothing from the first on: what is left of it is all there is.
    (query.limit, query.offset, query.cursor, query.count) = (0, 0, None, true);
    let page = kura.archive.catalog(caller).search(&query, None).await?;
    let urls = kura.urls(request);
    let mut response = HttpResponse::Ok();
    respond::list_headers(&mut response);
    for text in &query.warnings {
        response.append_header(("Warning", warning(&urls, text)));
    }
    let count = page.total.unwrap_or(0);
    Ok(response.json(Count { count }))
}
