//! Sending objects: a tar file in, a line for each object out as soon as it is durable, and a receipt (MINT Z41).

use std::time::Duration;

use actix_web::http::header::HeaderMap;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, post, web};
use bytes::Bytes;
use futures::stream;
use tokio::sync::mpsc;
use tracing::Instrument as _;

use super::receive::{Lines, Upload};
use super::shapes::BodyRefused;
use super::{TAR, media_type};
use crate::archive::Place;
use crate::auth::{DicomWrite, StoreGrant};
use crate::error::{Error, Result};
use crate::http::caller::{Caller, Gate};
use crate::http::dicomweb::shapes::{Binary, Refused};
use crate::http::expand::{self, Body, Coding};
use crate::http::{Kura, State, problem, respond};

/// A line that is silent for so long is taken for broken, however long stores may be: what had come whole is stored then, so
/// that a sender who comes back over another line is told of it. One that was only slow goes on as after a break.
pub(super) const SILENCE: Duration = Duration::from_secs(10);

/// The media type of the answer: a JSON object a line.
const LINES: &str = "application/x-ndjson";

/// Everything that can refuse an upload by its head: how its body is packed, and how long it may be, expanded.
fn plan(headers: &HeaderMap, state: &State, grant: &StoreGrant) -> Result<(Coding, Option<u64>)> {
    if media_type(headers) != TAR {
        let takes = vec![TAR.to_owned()];
        return Err(problem::unsupported_type(
            "the body is to be a tar file",
            takes,
        ));
    }
    let coding = Coding::of(headers)?;
    let own = grant.facility().policy.max_request_bytes;
    let limit = expand::limit(headers, coding, &state.archive.limits(), own)?;
    Ok((coding, limit))
}

/// The place of the upload that a head announces, for a sender that waits with the body until it is let in (T13). The request
/// carries it to its handler.
///
/// # Errors
/// What the upload would be refused with.
pub(in crate::http) async fn admit(
    gate: &Gate,
    state: &State,
    headers: &HeaderMap,
) -> Result<Place> {
    let access = gate.access(headers).await?;
    let grant = access.may_store_into_own()?;
    plan(headers, state, &grant)?;
    state.archive.admit(&grant).await
}

/// Send objects. The answer comes while they do: a line of JSON for each as soon as it is durable or refused, the receipt last.
#[utoipa::path(
    tag = "MINT", operation_id = "sendExact",
    request_body(
        content((Binary = "application/x-tar")),
        description = "manifest.json first, then the objects that are wanted, each under its name"
    ),
    responses(
        (status = 200, content_type = "application/x-ndjson", body = String, description = "A line for each object, then the receipt, or why there is none"),
        Refused, BodyRefused
    ),
    security(("bearer" = []))
)]
#[post("/exact/objects")]
pub(crate) async fn send(
    caller: Caller<DicomWrite>,
    kura: Kura,
    request: HttpRequest,
    body: web::Payload,
) -> Result<HttpResponse> {
    let grant = caller.may_store_into_own()?;
    let (coding, limit) = plan(request.headers(), &kura, &grant)?;
    let admitted = request.extensions_mut().remove::<Place>();
    let place = match admitted {
        Some(place) => place,
        None => kura.archive.admit(&grant).await?,
    };
    let idle = Duration::from_secs(kura.archive.limits().body_idle_s).min(SILENCE);
    let body = Body::new(body, coding, limit, idle)?;
    let upload = Upload::begin(kura.archive.clone(), grant, body).await?;
    Ok(answer(&kura, &request, (upload, place), async |_| ()))
}

/// The lines of an upload whose manifest has been read. `after` is told whether it ended with a receipt.
pub(super) fn answer(
    kura: &Kura,
    request: &HttpRequest,
    (upload, place): (Upload, Place),
    after: impl AsyncFnOnce(bool) + 'static,
) -> HttpResponse {
    let (lines, told) = mpsc::unbounded_channel();
    let ingest = upload.ingest(place, kura.urls(request).root(), Lines(lines.clone()));
    // On its own: a sender who does not read before it has sent everything would wait for itself.
    let receiving = async move {
        let has_receipt = upload.receive(ingest, Lines(lines)).await;
        after(has_receipt).await;
    };
    actix_web::rt::spawn(receiving.in_current_span());
    let mut response = HttpResponse::Ok();
    respond::list_headers(&mut response);
    let lines = stream::unfold(told, async |mut told: mpsc::UnboundedReceiver<Bytes>| {
        let line = told.recv().await?;
        Some((Ok::<_, Error>(line), told))
    });
    response.content_type(LINES).streaming(lines)
}
