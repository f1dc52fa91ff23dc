//! Searching for patients (dicomweb.md X04).

use actix_web::{HttpRequest, HttpResponse, get};
use futures::stream;

use super::qido::asked;
use super::shapes::{Refused, SearchParams, Searched};
use crate::auth::DicomRead;
use crate::dicom::json;
use crate::error::{Error, Result};
use crate::http::accept::Accept;
use crate::http::caller::Caller;
use crate::http::data_sets::{self, Count, DICOM_XML, Form};
use crate::http::warning::warning;
use crate::http::{Kura, respond};
use crate::model::Level;

/// Search for patients: those of the studies that match, each once, by Patient ID.
#[utoipa::path(tag = "QIDO-RS", operation_id = "searchPatients", params(SearchParams), responses(Searched, Refused), security(("bearer" = [])))]
#[get("/patients")]
pub(crate) async fn search_patients(
    caller: Caller<DicomRead>,
    kura: Kura,
    accept: Accept,
    request: HttpRequest,
) -> Result<HttpResponse> {
    let form = data_sets::form(&accept, Count::Many)?;
    let query = asked(&caller, Level::Study, (None, None), &request)?;
    if query.cursor.is_some() {
        return Err(Error::invalid("patients are paged by offset"));
    }
    let page = kura.archive.catalog(&caller).patients(&query).await?;
    // A message of no parts is none.
    let is_list = !page.rows.is_empty() || query.empty_is_list && form != Form::Parts;
    let mut response = if is_list {
        HttpResponse::Ok()
    } else {
        HttpResponse::NoContent()
    };
    respond::list_headers(&mut response);
    let urls = kura.urls(&request);
    let unordered = (!query.order.is_empty())
        .then(|| "orderby was ignored: patients come by Patient ID".to_owned());
    let more = page.has_more.then(|| {
        let shown = query.offset.saturating_add(page.rows.len() as u64);
        let rest = page.total.map(|total| total.saturating_sub(shown));
        rest.map_or_else(
            || "There are additional results that can be requested".to_owned(),
            |rest| format!("There are {rest} additional results that can be requested"),
        )
    });
    for text in query.warnings.iter().cloned().chain(unordered).chain(more) {
        response.append_header(("Warning", warning(&urls, &text)));
    }
    if let Some(total) = page.total {
        response.insert_header(("X-Total-Count", total.to_string()));
    }
    if !is_list {
        return Ok(response.finish());
    }
    let rows = page.rows.into_iter().map(|attributes| {
        let mut row = Vec::new();
        json::write_attributes(&attributes, &mut row);
        row
    });
    let Form::Json(media_type) = form else {
        let parts: Vec<_> = rows
            .map(|row| data_sets::part(&row, String::new()))
            .collect();
        let parts = stream::iter(parts);
        return respond::multipart((&request, &mut response), DICOM_XML, parts).await;
    };
    let body = [&b"["[..], &rows.collect::<Vec<_>>().join(&b','), b"]"].concat();
    Ok(response.content_type(media_type).body(body))
}
