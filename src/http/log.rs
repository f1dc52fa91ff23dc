//! One line a request, with an id that the answer carries as well. UIDs may stand in it, patients may not: the query string
//! is left out.

use std::sync::Arc;
use std::time::Instant;

use actix_web::Error;
use actix_web::HttpMessage;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use tracing::info;
use uuid::Uuid;

use super::problem::RequestId;
use crate::auth::Access;

/// The request's id, in the log and in the answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Passes a request on and logs what became of it.
pub(super) async fn request<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let started = Instant::now();
    let (method, path) = (request.method().clone(), request.path().to_owned());
    let id = Uuid::new_v4();
    request.extensions_mut().insert(RequestId(id));
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    let access = response
        .request()
        .extensions()
        .get::<Arc<Access>>()
        .cloned();
    if let Some(access) = access {
        trail(&access, id);
    }
    info!(
        %id,
        %method,
        path,
        status = response.status().as_u16(),
        elapsed_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        "answered"
    );
    Ok(response)
}

/// Writes down who was handed what, and on which basis. The last of the answer's bytes may still be on their way.
fn trail(access: &Access, id: Uuid) {
    for touched in access.take_trail() {
        info!(
            %id,
            subject = access.subject(),
            facility = %access.facility().code,
            study = touched.study,
            basis = ?touched.basis,
            "handed out"
        );
    }
}
