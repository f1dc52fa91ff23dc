//! Types of metadata: there is one, whose dictionary clients ask for before they send (MINT 8).

use std::sync::LazyLock;

use actix_web::http::header::CONTENT_SECURITY_POLICY;
use actix_web::{HttpRequest, HttpResponse, get, web};
use bytes::Bytes;
use serde::Deserialize;

use super::XML;
use super::paths::{ending_of_type, without_slash};
use super::shapes::{Documents, Page, Refused, TypeParams};
use crate::archive::stamp::Stamp;
use crate::auth::DicomRead;
use crate::dicom::mint::types::dictionary as document;
use crate::error::{Error, Result};
use crate::http::caller::Caller;
use crate::http::{conditional, respond};

const PAGE: &str = "<!DOCTYPE html>\n<html lang=\"en\"><head><title>types</title></head><body><dl id=\"type\">\
    <dt class=\"TypeName\">DICOM</dt><dd class=\"TypeDef\"><a href=\"types/DICOM\">DICOM</a></dd></dl></body></html>\n";

/// It never changes while the program runs (MINT T04).
static DICTIONARY: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document()));

/// `{type}`.
#[derive(Debug, Deserialize)]
pub(super) struct TypeNames {
    #[serde(rename = "type")]
    name: String,
}

/// The types of metadata, as a page for people.
#[utoipa::path(tag = "MINT", operation_id = "listMintTypes", responses(Page, Refused), security(("bearer" = [])))]
#[get("/types")]
pub(super) async fn list(_caller: Caller<DicomRead>) -> Result<HttpResponse> {
    let mut response = HttpResponse::Ok();
    respond::list_headers(&mut response);
    Ok(response
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'"))
        .body(PAGE))
}

/// The dictionary of a type.
#[utoipa::path(tag = "MINT", operation_id = "showMintType", params(TypeParams), responses(Documents, Refused), security(("bearer" = [])))]
#[get("/types/{type}")]
pub(super) async fn dictionary(
    _caller: Caller<DicomRead>,
    request: HttpRequest,
    names: web::Path<TypeNames>,
) -> Result<HttpResponse> {
    without_slash(&request)?;
    if !matches!(ending_of_type(&names.name), Some("" | ".xml")) {
        return Err(Error::not_found());
    }
    conditional::made_of(&request, &Stamp::of_nothing());
    let mut response = HttpResponse::Ok();
    respond::object_headers(&mut response);
    Ok(response.content_type(XML).body(DICTIONARY.clone()))
}
