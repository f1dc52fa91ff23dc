//! What is refused before a handler sees it: a head that is too long (S19), and more requests at a time than fit (S24).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{HttpResponse, web};

use super::State;
use crate::error::{Error, Kind};

/// Limits of requests, as the operator sets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// The longest request target, in bytes.
    pub request_line_bytes: usize,
    /// Names and values of all headers, in bytes.
    pub header_bytes: usize,
    /// Requests under way at a time, those that store not counted: they have limits of their own, and wait where a viewer
    /// must not.
    pub requests: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            // A little below what the HTTP library can take at all, so that the refusal can say what it is.
            request_line_bytes: 65_000,
            header_bytes: 64 << 10,
            requests: 1024,
        }
    }
}

/// Requests under way, over all threads.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<AtomicUsize>);

/// One of them; it ends when this is dropped.
#[derive(Debug)]
pub struct OneMore(Arc<AtomicUsize>);

impl InFlight {
    /// Counts one more.
    pub fn begin(&self) -> OneMore {
        self.0.fetch_add(1, Ordering::SeqCst);
        metrics::gauge!("kura_http_requests_in_flight").increment(1.0);
        OneMore(Arc::clone(&self.0))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Drop for OneMore {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
        metrics::gauge!("kura_http_requests_in_flight").decrement(1.0);
    }
}

/// Refuses what is over a limit. Health is asked for by those who decide whether a process lives, so it always passes.
pub(super) async fn keep<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let state = request.app_data::<web::Data<State>>().cloned();
    let refusal = state.and_then(|state| refusal(&request, &state));
    if let Some(refusal) = refusal {
        return Ok(request.into_response(refusal).map_into_right_body());
    }
    Ok(next.call(request).await?.map_into_left_body())
}

fn refusal(request: &ServiceRequest, state: &State) -> Option<HttpResponse> {
    let limits = &state.limits;
    let target = request.uri().path_and_query();
    if target.is_some_and(|target| target.as_str().len() > limits.request_line_bytes) {
        return Some(HttpResponse::new(StatusCode::URI_TOO_LONG));
    }
    let headers = request.headers().iter();
    let header_bytes: usize = headers
        .map(|(name, value)| name.as_str().len().saturating_add(value.len()))
        .sum();
    if header_bytes > limits.header_bytes {
        return Some(HttpResponse::new(
            StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        ));
    }
    // The request itself is counted already.
    let others = state
        .in_flight
        .count()
        .saturating_sub(state.archive.stores_present());
    if others > limits.requests && !request.path().starts_with("/health/") {
        let error = Error::new(
            Kind::Unavailable,
            "too many requests are under way; try again in a moment",
        );
        return Some(HttpResponse::from_error(error));
    }
    None
}
