//! One line a request, with an id that the answer and every other line of the request carry as well. UIDs may stand in it,
//! patients may not: of the path only what cannot be a name is shown, and the query string is left out.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{HeaderName, HeaderValue, USER_AGENT};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use futures::FutureExt as _;
use tracing::{Instrument as _, error_span};
use uuid::Uuid;

use super::counted::{Counted, Record};
use super::openapi::Allowed;
use super::problem::{self, RequestId};
use super::{State, traced};
use crate::auth::Access;

/// The request's id, in the log and in the answer.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Passes a request on and writes down what became of it, once its answer has ended. A handler that panics is answered for.
pub(super) async fn request<B: MessageBody + 'static>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<Counted>, Error> {
    let id = id(&request);
    // Of the highest level, so that the lines of the request carry it whatever is logged.
    let span = error_span!("request", %id);
    traced::begin(&span, &request);
    let state = request.app_data::<web::Data<State>>();
    let in_flight = state.map(|state| state.in_flight.clone());
    let mut record = Record {
        id,
        span: span.clone(),
        method: request.method().clone(),
        path: shown_path(&request),
        client: client(&request),
        from: of_stranger(&request),
        route: None,
        access: None,
        status: None,
        started: Instant::now(),
        bytes_in: Arc::new(AtomicU64::new(0)),
        bytes_out: 0,
        has_ended: false,
        _under_way: in_flight.unwrap_or_default().begin(),
    };
    record.count_body(&mut request);
    request.extensions_mut().insert(RequestId(id));
    let handled = AssertUnwindSafe(next.call(request)).catch_unwind();
    let mut response = match handled.instrument(span.clone()).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            record.status = Some(error.as_response_error().status_code());
            record.has_ended = true;
            return Err(error);
        }
        Err(_) => {
            let answer = problem::panicked(RequestId(id));
            record.status = Some(answer.status());
            record.has_ended = true;
            return Err(InternalError::from_response("a handler panicked", answer).into());
        }
    };
    record.status = Some(response.status());
    record.route = response.request().match_pattern();
    record.access = response
        .request()
        .extensions()
        .get::<Arc<Access>>()
        .cloned();
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(REQUEST_ID, value);
    }
    if let Some((name, value)) = traced::header(&span) {
        headers.insert(name, value);
    }
    Ok(response.map_body(|_, body| record.around(body.boxed())))
}

/// The id that a trusted proxy gave the request, so that its log and ours can be laid side by side, else a fresh one.
fn id(request: &ServiceRequest) -> Uuid {
    let state = request.app_data::<web::Data<State>>();
    let is_trusted = state.is_some_and(|state| state.address.behind_proxy);
    let told = request.headers().get(REQUEST_ID);
    let told = told.and_then(|value| Uuid::try_parse(value.to_str().ok()?).ok());
    told.filter(|_| is_trusted).unwrap_or_else(Uuid::new_v4)
}

/// The path with those of its segments that are ours or made of digits; a name that somebody typed is none of them.
fn shown_path(request: &ServiceRequest) -> String {
    let allowed = request.app_data::<web::Data<Allowed>>();
    let is_number = |segment: &str| {
        segment.len() <= 64
            && segment.bytes().any(|b| b.is_ascii_digit())
            && segment
                .bytes()
                .all(|b| b.is_ascii_hexdigit() || b".,-".contains(&b))
    };
    let shown = |segment| {
        let is_ours = allowed.is_some_and(|allowed| allowed.has_word(segment));
        if is_ours || segment.is_empty() || is_number(segment) {
            segment
        } else {
            "…"
        }
    };
    let segments: Vec<&str> = request.path().split('/').take(16).map(shown).collect();
    segments.join("/")
}

/// The address of the caller where it is all that tells who asked: on a legacy listener (MINT F05).
fn of_stranger(request: &ServiceRequest) -> Option<IpAddr> {
    let state = request.app_data::<web::Data<State>>();
    let is_legacy = state.is_some_and(|state| state.address.is_legacy);
    let from = request.peer_addr().map(|from| from.ip().to_canonical());
    from.filter(|_| is_legacy)
}

/// What the caller calls itself, as one of a few words.
fn client(request: &ServiceRequest) -> &'static str {
    static KNOWN: &[(&str, &str)] = &[
        ("curl/", "curl"),
        ("dcm4che", "dcm4che"),
        ("Go-http-client", "go"),
        ("Java/", "java"),
        ("kura/", "kura"),
        ("Mozilla/", "browser"),
        ("okhttp", "java"),
        ("Orthanc", "orthanc"),
        ("Prometheus", "prometheus"),
        ("python", "python"),
        ("Python", "python"),
        ("Weasis", "weasis"),
    ];
    let name = request.headers().get(USER_AGENT);
    let Some(name) = name.and_then(|name| name.to_str().ok()) else {
        return "none";
    };
    let known = KNOWN.iter().find(|(begin, _)| name.starts_with(begin));
    known.map_or("other", |(_, word)| word)
}

#[cfg(test)]
mod tests {
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service, try_call_service};
    use actix_web::{App, HttpResponse, web};

    use super::*;

    #[actix_web::test]
    async fn a_panic_is_answered_with_500_and_the_next_request_is_served() {
        async fn panics() -> HttpResponse {
            let nothing: Option<HttpResponse> = std::hint::black_box(None);
            nothing.expect("a defect")
        }
        let app = App::new()
            .route("/panics", web::get().to(panics))
            .route("/works", web::get().to(HttpResponse::Ok))
            .wrap(from_fn(request));
        let app = init_service(app).await;
        let ask = |path| TestRequest::get().uri(path).to_request();
        let error = try_call_service(&app, ask("/panics")).await.unwrap_err();
        let answer = error.error_response();
        assert_eq!(answer.status(), 500);
        let media_type = answer.headers().get("content-type").unwrap();
        assert_eq!(media_type, "application/problem+json");
        let works = try_call_service(&app, ask("/works")).await.unwrap();
        assert_eq!(works.status(), 200);
    }

    #[test]
    fn callers_are_told_apart_by_a_few_words() {
        let of = |name: &str| {
            let request = TestRequest::get().insert_header((USER_AGENT, name));
            client(&request.to_srv_request())
        };
        assert_eq!(of("Mozilla/5.0 (X11)"), "browser");
        assert_eq!(of("python-requests/2.31"), "python");
        assert_eq!(of("YAMADA^TARO"), "other");
        assert_eq!(client(&TestRequest::get().to_srv_request()), "none");
    }

    #[test]
    fn a_path_shows_numbers_and_no_names() {
        let shown = |path: &str| shown_path(&TestRequest::get().uri(path).to_srv_request());
        assert_eq!(shown("/1.2.840.1/7FE00010"), "/1.2.840.1/7FE00010");
        assert_eq!(shown("/Yamada%5ETaro/abe"), "/…/…");
        assert_eq!(shown("/"), "/");
    }
}
