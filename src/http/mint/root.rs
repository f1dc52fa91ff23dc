//! The entry page (MINT E01, E02): clients ask for it to learn whether the server lives.

use actix_web::http::header::{CONTENT_SECURITY_POLICY, LOCATION};
use actix_web::{HttpRequest, HttpResponse};

use crate::auth::DicomRead;
use crate::error::Result;
use crate::http::caller::Caller;
use crate::http::urls::ends_in_slash;
use crate::http::{Kura, respond};

const PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>MINT</title></head><body><h1>MINT</h1><ul>\
    <li><a href=\"studies\">studies</a></li><li><a href=\"changelog\">changelog</a></li>\
    <li><a href=\"types\">types</a></li></ul></body></html>\n";

/// The page itself ends in a slash; without it the caller is sent there, so that the links of the page lead somewhere. It is a
/// page for people, which the document of the interface does not describe.
pub(super) async fn entry(
    _caller: Caller<DicomRead>,
    kura: Kura,
    request: HttpRequest,
) -> Result<HttpResponse> {
    if !ends_in_slash(&request) {
        let there = kura.urls(&request).mint();
        return Ok(HttpResponse::Found()
            .insert_header((LOCATION, format!("{there}/")))
            .finish());
    }
    let mut response = HttpResponse::Ok();
    respond::list_headers(&mut response);
    Ok(response
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'"))
        .body(PAGE))
}
