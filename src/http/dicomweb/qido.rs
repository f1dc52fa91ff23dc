//! QIDO-RS: searching (PS3.18 10.6, dicomweb.md section 4).

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, get, web};
use bytes::Bytes;
use futures::stream::{self, StreamExt};

use super::paths::{SeriesNames, StudyNames};
use super::shapes::{Refused, SearchParams, Searched, SeriesParams, StudyParams};
use crate::auth::{Access, DicomRead};
use crate::dicom::codec;
use crate::dicom::json;
use crate::dicom::query::Query;
use crate::dicom::query::decode::pairs;
use crate::error::{Error, Result};
use crate::http::accept::Accept;
use crate::http::caller::Caller;
use crate::http::data_sets::{self, Count, Form};
use crate::http::urls::Urls;
use crate::http::warning::warning;
use crate::http::{Kura, respond};
use crate::index::search::{Found, More, Page, Place};
use crate::model::{
    FuzzyMatching, InstancePath, Level, SeriesPath, SeriesUid, StudyPath, StudyUid, Tag, VR,
};

const RETRIEVE_URL: Tag = Tag(0x0008, 0x1190);

/// The longest query string that a `Link` repeats, in bytes.
const LONGEST_LINK: usize = 4096;

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
        let form = data_sets::form(self.accept, Count::Many)?;
        let query = asked(self.caller, level, (study, series), self.request)?;
        let place = self.place(&query)?;
        let access = self.caller.access();
        let archive = self.kura.archive.clone();
        let page = archive.search(&access, &query, place.as_ref()).await?;
        let urls = self.kura.urls(self.request);
        let is_none = page.rows.is_empty();
        // A message of no parts is none: in XML nothing is 204 whatever is asked for.
        let is_list = !is_none || query.empty_is_list && form != Form::Parts;
        let mut response = if is_list {
            HttpResponse::Ok()
        } else {
            HttpResponse::NoContent()
        };
        respond::list_headers(&mut response);
        for text in warnings(&query, &page) {
            response.append_header(("Warning", warning(&urls, &text)));
        }
        if let Some(total) = page.total {
            response.insert_header(("X-Total-Count", total.to_string()));
        }
        if let Some(next) = &page.next
            && let Some(link) = self.link(&query, next, &urls)?
        {
            response.insert_header(("Link", link));
        }
        if !is_list {
            return Ok(response.finish());
        }
        let base = urls.root();
        let rows = stream::iter(page.rows).then(move |mut found| {
            let (archive, access, query) = (archive.clone(), Arc::clone(&access), query.clone());
            let (url, base) = (retrieve_url(&found, &urls), base.clone());
            async move {
                if query.shows_stored() {
                    archive.complete(&access, &query, &base, &mut found).await?;
                }
                codec::available::complete(&mut found.attributes);
                found.attributes.put(RETRIEVE_URL, VR::UR, url);
                let mut out = Vec::with_capacity(1024);
                json::write_attributes(&found.attributes, &mut out);
                Ok::<_, Error>(out)
            }
        });
        let Form::Json(media_type) = form else {
            let parts = rows.map(|row| data_sets::part(&row?, String::new()));
            return respond::multipart((self.request, &mut response), data_sets::DICOM_XML, parts)
                .await;
        };
        response.content_type(media_type);
        // Written as they are sent (J25).
        let rows = rows.enumerate().map(|(at, row)| {
            let mut row = row?;
            row.insert(0, if at == 0 { b'[' } else { b',' });
            Ok::<_, Error>(Bytes::from(row))
        });
        let end = if is_none { "[]" } else { "]" };
        let end = stream::iter([Ok(Bytes::from_static(end.as_bytes()))]);
        Ok(response.streaming(rows.chain(end)))
    }

    /// The place that a cursor names. One that was not made here for this search and this facility is refused (Q98).
    fn place(&self, query: &Query) -> Result<Option<Place>> {
        let Some(cursor) = &query.cursor else {
            return Ok(None);
        };
        let opened = self.kura.cursors.open(&self.context(query), cursor);
        let text = opened.ok_or_else(|| {
            Error::invalid("the cursor is none of this search: take it from the Link of its answer")
        })?;
        Place::parse(&text).map(Some)
    }

    /// What a cursor holds for: one search of one facility.
    fn context(&self, query: &Query) -> String {
        let text = |uid: Option<&str>| uid.unwrap_or_default().to_owned();
        [
            self.caller.facility().code.as_str().to_owned(),
            format!("{:?}", query.level),
            text(query.study.as_ref().map(StudyUid::as_str)),
            text(query.series.as_ref().map(SeriesUid::as_str)),
            query.identity.0.clone(),
        ]
        .join("\n")
    }

    /// The next page: this request with another beginning (Q98). `None` where the request is so long that clients would
    /// stumble over the header; such a search is paged by offsets.
    fn link(&self, query: &Query, next: &Place, urls: &Urls) -> Result<Option<String>> {
        let mut asked = String::new();
        for (name, value) in pairs(self.request.query_string()) {
            if !matches!(name, "cursor" | "offset") {
                asked.extend([name, "=", value, "&"]);
            }
        }
        if asked.len() > LONGEST_LINK {
            return Ok(None);
        }
        let cursor = (self.kura.cursors).seal(&self.context(query), &next.to_text())?;
        let url = format!("{}?{}cursor={cursor}", urls.search(query), escaped(&asked));
        Ok(Some(format!("<{url}>; rel=\"next\"")))
    }
}

/// The search that a request asks for, as the caller's facility has it (Q58).
pub(super) fn asked(
    access: &Access,
    level: Level,
    (study, series): (Option<StudyUid>, Option<SeriesUid>),
    request: &HttpRequest,
) -> Result<Query> {
    let parse = match access.facility().policy.fuzzy_matching {
        FuzzyMatching::On => Query::parse,
        FuzzyMatching::Off => Query::parse_literally,
    };
    parse(level, study, series, request.query_string())
}

/// A query string as it came, without what could end a URL in a header.
fn escaped(raw: &str) -> String {
    let mut plain = String::with_capacity(raw.len());
    for byte in raw.bytes() {
        match byte {
            b'!' | b'#'..=b';' | b'=' | b'?'..=b'~' => plain.push(char::from(byte)),
            other => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                let digit = |half: u8| char::from(HEX[usize::from(half)]);
                plain.extend(['%', digit(other >> 4), digit(other & 15)]);
            }
        }
    }
    plain
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
