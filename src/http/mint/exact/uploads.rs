//! Uploads of the exact form that go on within an object (MINT Z43): the tar file of an upload, sent in several requests as
//! "Resumable Uploads for HTTP" has it (draft-ietf-httpbis-resumable-upload-12), and taken as that of one request once it is
//! whole.

use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, LOCATION};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, delete, get, patch, post, web};
use serde::Deserialize;
use uuid::Uuid;

use super::objects::{self, SILENCE};
use super::receive::Upload;
use super::shapes::{BodyRefused, UploadHeaders, UploadParams, UploadPartHeaders};
use super::{TAR, media_type};
use crate::archive::Place;
use crate::auth::{DicomWrite, StoreGrant};
use crate::error::{Error, Kind, Result};
use crate::http::caller::Caller;
use crate::http::dicomweb::shapes::{Binary, Refused};
use crate::http::expand::{self, Body, Coding};
use crate::http::{Kura, problem};
use crate::storage::{Extent, Partial, Put};

/// The media type of a body that goes on with an upload.
const PARTIAL: &str = "application/partial-upload";

/// After so many bytes what has come is made durable, so that no more than these are sent twice after a kill.
const PART_BYTES: u64 = 64 << 20;

const OFFSET: HeaderName = HeaderName::from_static("upload-offset");
const COMPLETE: HeaderName = HeaderName::from_static("upload-complete");
const LENGTH: HeaderName = HeaderName::from_static("upload-length");

/// `{upload}`.
#[derive(Debug, Deserialize)]
pub(crate) struct UploadName {
    upload: String,
}

impl UploadName {
    fn id(&self) -> Result<Uuid> {
        Uuid::try_parse(&self.upload).map_err(|_| Error::not_found())
    }
}

/// Begin an upload that may go on after a break. The body is the beginning of the tar file, or empty.
#[utoipa::path(
    tag = "MINT", operation_id = "beginUpload", params(UploadHeaders),
    request_body(content((Binary = "application/x-tar")), description = "The beginning of the tar file that is sent to /mint/exact/objects"),
    responses(
        (status = 201, description = "Begun; Location is where it goes on"),
        (status = 200, content_type = "application/x-ndjson", body = String, description = "It was whole: a line for each object, then the receipt, or why there is none"),
        Refused, BodyRefused
    ),
    security(("bearer" = []))
)]
#[post("/exact/uploads")]
pub(crate) async fn begin(
    caller: Caller<DicomWrite>,
    kura: Kura,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse> {
    let grant = caller.may_store_into_own()?;
    expect_type(request.headers(), TAR)?;
    let is_last = is_complete(request.headers())?;
    let length = number(request.headers(), &LENGTH)?;
    let limit = limit(&kura, &request, &grant)?;
    if let Some(limit) = limit.filter(|limit| length.is_some_and(|length| length > *limit)) {
        return Err(expand::too_long(limit));
    }
    let place = kura.archive.admit(&grant).await?;
    let (id, partial) = kura.archive.begin_upload(&grant, length).await?;
    let mut step = Step::new(&kura, partial, Extent::default(), limit, body)?;
    match step.take().await {
        Ok(()) if is_last => return step.finish(&kura, &request, (grant, place)).await,
        // What cannot go on is not begun; where it cannot be dropped now, it is swept.
        Err(error) if error.kind() != Kind::Invalid => {
            step.partial.discard().await.ok();
            return Err(error);
        }
        // Where it goes on is told also if the body broke off.
        Ok(()) | Err(_) => {}
    }
    let mut response = HttpResponse::Created();
    let at = format!("{}/exact/uploads/{id}", kura.urls(&request).mint());
    response.insert_header((LOCATION, at));
    Ok(step.told(&mut response))
}

/// Show how far an upload is.
#[utoipa::path(
    tag = "MINT", operation_id = "showUpload", params(UploadParams),
    responses((status = 204, description = "Upload-Offset is how many bytes are durable"), Refused),
    security(("bearer" = []))
)]
#[get("/exact/uploads/{upload}")]
pub(crate) async fn show(
    caller: Caller<DicomWrite>,
    kura: Kura,
    name: web::Path<UploadName>,
) -> Result<HttpResponse> {
    let grant = caller.may_store_into_own()?;
    let partial = kura.archive.begun_upload(&grant, name.id()?).await?;
    let extent = partial.extent().await?;
    Ok(told(&mut HttpResponse::NoContent(), &partial, &extent))
}

/// Go on with an upload where it is. With `Upload-Complete: ?1` the body is the rest, and the answer that of a whole upload.
#[utoipa::path(
    tag = "MINT", operation_id = "goOnWithUpload", params(UploadParams, UploadPartHeaders),
    request_body(content((Binary = "application/partial-upload")), description = "What follows in the tar file"),
    responses(
        (status = 204, description = "Upload-Offset is how many bytes are durable"),
        (status = 200, content_type = "application/x-ndjson", body = String, description = "It was whole: a line for each object, then the receipt, or why there is none"),
        Refused, BodyRefused
    ),
    security(("bearer" = []))
)]
#[patch("/exact/uploads/{upload}")]
pub(crate) async fn go_on(
    caller: Caller<DicomWrite>,
    kura: Kura,
    name: web::Path<UploadName>,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse> {
    let grant = caller.may_store_into_own()?;
    let partial = kura.archive.begun_upload(&grant, name.id()?).await?;
    expect_type(request.headers(), PARTIAL)?;
    let is_last = is_complete(request.headers())?;
    let at = number(request.headers(), &OFFSET)?;
    let at = at.ok_or_else(|| Error::invalid("Upload-Offset is missing"))?;
    let limit = limit(&kura, &request, &grant)?;
    let place = kura.archive.admit(&grant).await?;
    let extent = partial.extent().await?;
    if at != extent.len {
        let detail = format!("the upload goes on at byte {}", extent.len);
        let refused = HttpResponse::from_error(Error::new(Kind::Conflict, detail));
        return Ok(with_offset(refused, &extent));
    }
    let mut step = Step::new(&kura, partial, extent, limit, body)?;
    step.take().await?;
    if is_last {
        return step.finish(&kura, &request, (grant, place)).await;
    }
    Ok(step.told(&mut HttpResponse::NoContent()))
}

/// Give an upload up.
#[utoipa::path(
    tag = "MINT", operation_id = "giveUpUpload", params(UploadParams),
    responses((status = 204, description = "It is gone"), Refused),
    security(("bearer" = []))
)]
#[delete("/exact/uploads/{upload}")]
pub(crate) async fn give_up(
    caller: Caller<DicomWrite>,
    kura: Kura,
    name: web::Path<UploadName>,
) -> Result<HttpResponse> {
    let grant = caller.may_store_into_own()?;
    let partial = kura.archive.begun_upload(&grant, name.id()?).await?;
    partial.discard().await?;
    Ok(HttpResponse::NoContent().finish())
}

/// What one request brings.
struct Step {
    partial: Partial,
    extent: Extent,
    body: Body,
}

impl Step {
    fn new(
        kura: &Kura,
        partial: Partial,
        extent: Extent,
        limit: Option<u64>,
        body: web::Payload,
    ) -> Result<Self> {
        let whole = [limit, partial.length()].into_iter().flatten().min();
        let left = whole.map(|whole| whole.saturating_sub(extent.len));
        let idle = Duration::from_secs(kura.archive.limits().body_idle_s).min(SILENCE);
        let body = Body::new(body, Coding::Identity, left, idle)?;
        Ok(Self {
            partial,
            extent,
            body,
        })
    }

    /// Makes what comes durable, also where the body breaks off.
    async fn take(&mut self) -> Result<()> {
        let mut part: Option<Put> = None;
        let ended = loop {
            let bytes = match self.body.next().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            let mut put = match part.take() {
                Some(put) => put,
                None => self.partial.part(&self.extent).await?,
            };
            put.write(bytes).await?;
            if put.written() < PART_BYTES {
                part = Some(put);
            } else {
                self.partial.keep(&mut self.extent, put).await?;
            }
        };
        if let Some(put) = part {
            self.partial.keep(&mut self.extent, put).await?;
        }
        ended
    }

    /// Takes what is whole now as one upload, and drops it once there is a receipt.
    async fn finish(
        self,
        kura: &Kura,
        request: &HttpRequest,
        (grant, place): (StoreGrant, Place),
    ) -> Result<HttpResponse> {
        let announced = self.partial.length();
        if announced.is_some_and(|length| length != self.extent.len) {
            let detail = "the upload is not as long as Upload-Length has said";
            let refused = HttpResponse::from_error(Error::invalid(detail));
            return Ok(with_offset(refused, &self.extent));
        }
        let body = Body::of_stored(self.partial.read(&self.extent))?;
        let upload = Upload::begin(kura.archive.clone(), grant, body).await?;
        let partial = self.partial;
        let mut response = objects::answer(kura, request, (upload, place), async move |is_over| {
            // What stays is swept, and is taken again where the answer was lost.
            if is_over && let Err(error) = partial.discard().await {
                tracing::warn!(%error, "an upload that is over cannot be dropped");
            }
        });
        let whole = HeaderValue::from_static("?1");
        response.headers_mut().insert(COMPLETE, whole);
        Ok(response)
    }

    fn told(&self, response: &mut HttpResponseBuilder) -> HttpResponse {
        told(response, &self.partial, &self.extent)
    }
}

/// An answer that says how far an upload is.
fn told(response: &mut HttpResponseBuilder, partial: &Partial, extent: &Extent) -> HttpResponse {
    response
        .insert_header((OFFSET, extent.len.to_string()))
        .insert_header((COMPLETE, "?0"))
        .insert_header((CACHE_CONTROL, "no-store"));
    if let Some(length) = partial.length() {
        response.insert_header((LENGTH, length.to_string()));
    }
    response.finish()
}

/// A refusal that says where the upload goes on.
fn with_offset(mut refused: HttpResponse, extent: &Extent) -> HttpResponse {
    refused.headers_mut().insert(OFFSET, extent.len.into());
    refused
}

fn expect_type(headers: &HeaderMap, expected: &'static str) -> Result<()> {
    if media_type(headers) == expected {
        return Ok(());
    }
    let detail = format!("the body is to be {expected}");
    Err(problem::unsupported_type(detail, vec![expected.to_owned()]))
}

/// How long the whole may be. A step is not packed: what would count then would be neither its bytes nor those of the whole.
fn limit(kura: &Kura, request: &HttpRequest, grant: &StoreGrant) -> Result<Option<u64>> {
    let headers = request.headers();
    if Coding::of(headers)? != Coding::Identity {
        return Err(Error::invalid("an upload in steps has no Content-Encoding"));
    }
    let own = grant.facility().policy.max_request_bytes;
    expand::limit(headers, Coding::Identity, &kura.archive.limits(), own)
}

/// Whether the body ends the upload (a boolean of RFC 9651).
fn is_complete(headers: &HeaderMap) -> Result<bool> {
    match headers.get(COMPLETE).map(HeaderValue::as_bytes) {
        Some(b"?1") => Ok(true),
        Some(b"?0") => Ok(false),
        _ => Err(Error::invalid("Upload-Complete is ?0 or ?1")),
    }
}

/// A header that is a number of bytes (an integer of RFC 9651).
fn number(headers: &HeaderMap, name: &HeaderName) -> Result<Option<u64>> {
    let Some(value) = headers.get(name) else {
        return Ok(None);
    };
    let digits = value.to_str().ok().filter(|text| {
        (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    });
    let number = digits.and_then(|text| text.parse().ok());
    number
        .map(Some)
        .ok_or_else(|| Error::invalid(format!("{name} is a number of bytes")))
}
