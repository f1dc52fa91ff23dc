//! Failures as a caller sees them: the one place that turns a [`Kind`] into a status and a body.
//!
//! Bodies are problem documents (RFC 9457) or, for those who would rather read text, one line (S30, S31). [`finish`] wraps
//! the application and gives every failure that shape, those of the framework included.

use std::fmt;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    RETRY_AFTER, VARY, WWW_AUTHENTICATE,
};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpResponse, ResponseError};
use serde::Serialize;
use uuid::Uuid;

use crate::auth::strength::ACR_TWO_FACTORS;
use crate::auth::{Rejection, StrongerSignIn};
use crate::error::{Error, Kind};

/// What every answer depends on (C05; a session is a cookie, SH-2.7).
pub const VARY_BY: &str = "Accept, Accept-Encoding, Authorization, Cookie, Origin";

/// When to ask again after an overload or an outage, in seconds.
pub(super) const RETRY_AFTER_S: &str = "5";

/// When to ask again where there was no room, in seconds: somebody has to make some.
const ROOM_AFTER_S: &str = "300";

/// When to ask again for what comes from a slow tier, in seconds.
const RECALL_AFTER_S: &str = "60";

/// The id of a request, as the log has it; the application puts it into the extensions of the request.
#[derive(Clone, Copy, Debug)]
pub struct RequestId(pub Uuid);

/// The body of a failed request (RFC 9457, S30).
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Always `about:blank`: the status says it.
    #[serde(rename = "type")]
    type_uri: &'static str,
    /// The phrase of the status.
    title: &'static str,
    /// The status.
    status: u16,
    /// What can be done about it, as a word for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    /// What exactly is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The media types that would have done (406, 415).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    acceptable: Vec<String>,
    /// The id under which the log has the request.
    #[serde(rename = "requestId", skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
}

impl Problem {
    /// The body for a failure of ours.
    fn of(error: &Error) -> Self {
        let (status, code) = status_and_code(error.kind());
        // Whatever was not found, and why: the same bytes (SH-3.4).
        let may_be_named = matches!(Hint::of(error), Some(Hint::PartOfVisible));
        let detail = if error.kind() == Kind::NotFound && !may_be_named {
            Error::not_found().detail().to_owned()
        } else {
            error.detail().to_owned()
        };
        let acceptable = match Hint::of(error) {
            Some(Hint::Acceptable(forms)) => forms.clone(),
            Some(Hint::Length(_) | Hint::PartOfVisible) | None => Vec::new(),
        };
        Self {
            code: Some(code),
            detail: Some(detail),
            acceptable,
            ..Self::blank(status)
        }
    }

    /// The body for a failure of the framework, whose own words may repeat what the caller sent.
    fn of_status(status: StatusCode) -> Self {
        if status == StatusCode::NOT_FOUND {
            return Self::of(&Error::not_found());
        }
        Self::blank(status)
    }

    fn blank(status: StatusCode) -> Self {
        Self {
            type_uri: "about:blank",
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code: None,
            detail: None,
            acceptable: Vec::new(),
            request_id: None,
        }
    }

    /// A 404 carries no id of its request: what is not there and what is not the caller's have equal bytes, and so have
    /// two answers to the same question (SH-3.4). The log finds such a request by its path and time.
    fn with_request_id(mut self, id: Option<RequestId>) -> Self {
        if self.status != StatusCode::NOT_FOUND.as_u16() {
            self.request_id = id.map(|RequestId(id)| id.to_string());
        }
        self
    }

    fn to_json(&self) -> (HeaderValue, BoxBody) {
        let json = serde_json::to_vec(self).expect("strings and numbers can be written as JSON");
        (
            HeaderValue::from_static("application/problem+json"),
            BoxBody::new(json),
        )
    }

    /// One line, never HTML: a name out of an image could hold markup (S31).
    fn to_text(&self) -> (HeaderValue, BoxBody) {
        let detail = self.detail.as_deref().unwrap_or_default();
        let separator = if detail.is_empty() { "" } else { ": " };
        let line = format!("{} {}{separator}{detail}", self.status, self.title);
        (
            HeaderValue::from_static("text/plain; charset=utf-8"),
            BoxBody::new(line.replace(char::is_control, " ") + "\n"),
        )
    }
}

/// What a caller needs beside the words of a failure. It travels as the source of the error.
#[derive(Debug)]
enum Hint {
    Acceptable(Vec<String>),
    Length(u64),
    /// What is missing is part of an object that the caller sees, so it may be named.
    PartOfVisible,
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Acceptable(forms) => write!(f, "acceptable: {}", forms.join(", ")),
            Self::Length(bytes) => write!(f, "{bytes} bytes"),
            Self::PartOfVisible => f.write_str("part of a visible object"),
        }
    }
}

impl std::error::Error for Hint {}

impl Hint {
    fn of(error: &Error) -> Option<&Self> {
        std::error::Error::source(error)?.downcast_ref()
    }
}

/// 404: a part that an object which the caller sees does not have, a frame beyond the last for instance (F05 to F07).
pub fn no_such_part(detail: impl Into<String>) -> Error {
    Error::new(Kind::NotFound, detail.into()).with_source(Hint::PartOfVisible)
}

/// 406: none of the forms the caller accepts can be made; `acceptable` are the media types that could (S13).
pub fn not_acceptable(detail: impl Into<String>, acceptable: Vec<String>) -> Error {
    Error::new(Kind::NotAcceptable, detail.into()).with_source(Hint::Acceptable(acceptable))
}

/// 415: the body is of a type that is not read here; `acceptable` are the media types that are (S20).
pub fn unsupported_type(detail: impl Into<String>, acceptable: Vec<String>) -> Error {
    Error::new(Kind::UnsupportedType, detail.into()).with_source(Hint::Acceptable(acceptable))
}

/// 416: the range lies outside of a representation of `len_bytes` (S21).
pub fn bad_range(len_bytes: u64) -> Error {
    let detail = format!("the range lies outside of {len_bytes} bytes");
    Error::new(Kind::BadRange, detail).with_source(Hint::Length(len_bytes))
}

/// The status of each kind (dicomweb.md 3) and its word for programs.
fn status_and_code(kind: Kind) -> (StatusCode, &'static str) {
    match kind {
        Kind::Invalid => (StatusCode::BAD_REQUEST, "invalid"),
        Kind::Unprocessable => (StatusCode::UNPROCESSABLE_ENTITY, "unprocessable"),
        Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthenticated"),
        Kind::StepUp => (StatusCode::UNAUTHORIZED, "step_up"),
        Kind::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
        Kind::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        Kind::Gone => (StatusCode::GONE, "gone"),
        Kind::Conflict => (StatusCode::CONFLICT, "conflict"),
        Kind::Precondition => (StatusCode::PRECONDITION_FAILED, "precondition"),
        Kind::PreconditionRequired => (StatusCode::PRECONDITION_REQUIRED, "precondition_required"),
        Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
        Kind::UnsupportedType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_type"),
        Kind::NotAcceptable => (StatusCode::NOT_ACCEPTABLE, "not_acceptable"),
        Kind::BadRange => (StatusCode::RANGE_NOT_SATISFIABLE, "bad_range"),
        Kind::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too_many"),
        Kind::NotImplemented => (StatusCode::NOT_IMPLEMENTED, "not_implemented"),
        Kind::Recalling => (StatusCode::ACCEPTED, "recalling"),
        Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        Kind::Full => (StatusCode::INSUFFICIENT_STORAGE, "full"),
        Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

/// The header that tells a caller how to go on, where there is one.
fn way_out(error: &Error) -> Option<(HeaderName, HeaderValue)> {
    let fixed = |name, value| Some((name, HeaderValue::from_static(value)));
    match error.kind() {
        Kind::Unauthenticated => fixed(WWW_AUTHENTICATE, unauthenticated(error)),
        Kind::StepUp => Some((WWW_AUTHENTICATE, stronger_sign_in(error))),
        // Another token would not help a request that lacks its CSRF header.
        Kind::Forbidden if rejection(error) == Some(&Rejection::Unprotected) => None,
        Kind::Forbidden => fixed(
            WWW_AUTHENTICATE,
            r#"Bearer realm="kura", error="insufficient_scope""#,
        ),
        Kind::TooMany | Kind::Unavailable => fixed(RETRY_AFTER, RETRY_AFTER_S),
        Kind::Full => fixed(RETRY_AFTER, ROOM_AFTER_S),
        Kind::Recalling => fixed(RETRY_AFTER, RECALL_AFTER_S),
        Kind::BadRange => match Hint::of(error) {
            Some(Hint::Length(bytes)) => HeaderValue::try_from(format!("bytes */{bytes}"))
                .ok()
                .map(|value| (CONTENT_RANGE, value)),
            Some(Hint::Acceptable(_) | Hint::PartOfVisible) | None => None,
        },
        Kind::Invalid
        | Kind::Unprocessable
        | Kind::NotFound
        | Kind::Gone
        | Kind::Conflict
        | Kind::Precondition
        | Kind::PreconditionRequired
        | Kind::TooLarge
        | Kind::UnsupportedType
        | Kind::NotAcceptable
        | Kind::NotImplemented
        | Kind::Internal => None,
    }
}

/// What a sign-in has to be (RFC 9470 3).
fn stronger_sign_in(error: &Error) -> HeaderValue {
    let wanted = std::error::Error::source(error).and_then(|s| s.downcast_ref::<StrongerSignIn>());
    let max_age = wanted.map_or_else(String::new, |wanted| {
        format!(r#", max_age="{}""#, wanted.max_age_s)
    });
    let error = "insufficient_user_authentication";
    let value =
        format!(r#"Bearer realm="kura", error="{error}", acr_values="{ACR_TWO_FACTORS}"{max_age}"#);
    HeaderValue::try_from(value).expect("visible characters of ASCII")
}

fn rejection(error: &Error) -> Option<&Rejection> {
    std::error::Error::source(error).and_then(|s| s.downcast_ref::<Rejection>())
}

/// A caller without a token is asked for one; only a token that was refused is called invalid (RFC 6750 3.1).
fn unauthenticated(error: &Error) -> &'static str {
    if rejection(error) == Some(&Rejection::Absent) {
        r#"Bearer realm="kura""#
    } else {
        r#"Bearer realm="kura", error="invalid_token""#
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        status_and_code(self.kind()).0
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::new(self.status_code());
        if let Some((name, value)) = way_out(self) {
            response.headers_mut().insert(name, value);
        }
        let form = Problem::of(self).to_json();
        fill(response, form)
    }
}

/// The answer for a request whose handler panicked: a defect of ours, of which only the place is logged.
pub(super) fn panicked(id: RequestId) -> HttpResponse {
    let error = Error::new(
        Kind::Internal,
        "a defect of the server; the log has the place",
    );
    let form = Problem::of(&error).with_request_id(Some(id)).to_json();
    fill(HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR), form)
}

/// Gives every failure its body, in the form the caller prefers and with the id of the request, and logs its cause.
///
/// Wrapped around the application: `App::new().wrap(from_fn(problem::finish))`. An answer with a body of its own, such as
/// a STOW answer with 409, is left alone.
///
/// # Errors
/// What the application below fails with before it has an answer.
pub async fn finish(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> actix_web::Result<ServiceResponse> {
    let answer = next.call(request).await?;
    let Some(problem) = problem_of(answer.response()) else {
        return Ok(answer.map_into_boxed_body());
    };
    let id = answer.request().extensions().get::<RequestId>().copied();
    log(answer.response().error(), id);
    let problem = problem.with_request_id(id);
    let form = if prefers_text(answer.request().headers()) {
        problem.to_text()
    } else {
        problem.to_json()
    };
    let (request, response) = answer.into_parts();
    Ok(ServiceResponse::new(request, fill(response, form)))
}

fn problem_of(response: &HttpResponse<impl MessageBody>) -> Option<Problem> {
    let status = response.status();
    if let Some(error) = response.error() {
        return Some(match error.as_error::<Error>() {
            Some(error) => Problem::of(error),
            None => Problem::of_status(status),
        });
    }
    let failed = status.is_client_error() || status.is_server_error();
    let empty = matches!(response.body().size(), BodySize::None | BodySize::Sized(0));
    (failed && empty).then(|| Problem::of_status(status))
}

fn fill<B>(response: HttpResponse<B>, (media_type, body): (HeaderValue, BoxBody)) -> HttpResponse {
    let mut response = response.set_body(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media_type);
    // Rights change, so no failure is kept: the next request may succeed.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static(VARY_BY));
    response
}

fn log(error: Option<&actix_web::Error>, id: Option<RequestId>) {
    let Some(error) = error.and_then(|error| error.as_error::<Error>()) else {
        return;
    };
    let kind = error.kind();
    let cause = std::error::Error::source(error).map(crate::error::causes);
    let request = id.map(|RequestId(id)| id.to_string());
    match kind {
        Kind::Internal => tracing::error!(?kind, request, cause, "{error}"),
        Kind::Unavailable | Kind::Full => tracing::warn!(?kind, request, cause, "{error}"),
        Kind::Unauthenticated => tracing::info!(?kind, request, cause, "{error}"),
        Kind::Invalid
        | Kind::Unprocessable
        | Kind::StepUp
        | Kind::Forbidden
        | Kind::NotFound
        | Kind::Gone
        | Kind::Conflict
        | Kind::Precondition
        | Kind::PreconditionRequired
        | Kind::TooLarge
        | Kind::UnsupportedType
        | Kind::NotAcceptable
        | Kind::BadRange
        | Kind::TooMany
        | Kind::NotImplemented
        | Kind::Recalling => tracing::debug!(?kind, request, cause, "{error}"),
    }
}

/// Whether `Accept` puts text for people before JSON (S31). Browsers do; `*/*`, DICOM media types and a tie mean JSON.
fn prefers_text(headers: &HeaderMap) -> bool {
    let mut text = 0.0_f32;
    let mut json = 0.0_f32;
    let ranges = headers
        .get_all(ACCEPT)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    for range in ranges {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
        let weight = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(1.0, |q| q.parse().unwrap_or(0.0));
        match media_type.as_str() {
            "text/html" | "text/plain" => text = text.max(weight),
            "*/*"
            | "application/*"
            | "application/json"
            | "application/problem+json"
            | "application/dicom+json" => json = json.max(weight),
            _ => {}
        }
    }
    text > json
}

#[cfg(test)]
mod tests {
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, call_service, init_service, read_body};
    use actix_web::{App, web};
    use serde_json::{Value, json};

    use super::*;
    use crate::auth::Strength;
    use crate::model::Timestamp;

    async fn failing(kind: web::Path<String>) -> Result<HttpResponse, Error> {
        Err(match kind.as_str() {
            "absent" => Error::not_found(),
            "hidden" => Error::new(Kind::NotFound, "the study belongs to somebody else"),
            "type" => unsupported_type("no such form", vec!["application/dicom".to_owned()]),
            "range" => bad_range(1000),
            "many" => Error::new(Kind::TooMany, "slow down"),
            "full" => Error::new(Kind::Full, "no room"),
            "down" => Error::unavailable("the store is away", std::io::Error::other("secret path")),
            "token" => Rejection::Expired.into(),
            "none" => Rejection::Absent.into(),
            "step" => Strength::NONE.require(Timestamp(0)).unwrap_err(),
            "lines" => Error::invalid("one\nHTTP/1.1 200 OK\r\n<b>two</b>"),
            _ => return Ok(HttpResponse::Conflict().body("a data set")),
        })
    }

    struct Answer {
        status: u16,
        headers: HeaderMap,
        body: String,
    }

    async fn ask(path: &str, accept: &str) -> Answer {
        let id = |request: ServiceRequest, next: Next<BoxBody>| {
            request.extensions_mut().insert(RequestId(Uuid::max()));
            next.call(request)
        };
        let app = App::new()
            .wrap(from_fn(id))
            .wrap(from_fn(finish))
            .service(web::resource("/fail/{kind}").get(failing))
            .route(
                "/number/{n}",
                web::get().to(|_: web::Path<u8>| async { "" }),
            );
        let app = init_service(app).await;
        let request = TestRequest::get().uri(path).insert_header((ACCEPT, accept));
        let answer = call_service(&app, request.to_request()).await;
        Answer {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: String::from_utf8(read_body(answer).await.to_vec()).unwrap(),
        }
    }

    fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
        answer.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }

    #[actix_web::test]
    async fn s30_a_failure_is_a_problem_document() {
        let answer = ask("/fail/type", "*/*").await;
        assert_eq!(answer.status, 415);
        assert_eq!(header(&answer, "content-type"), "application/problem+json");
        assert_eq!(header(&answer, "cache-control"), "no-store");
        assert_eq!(
            serde_json::from_str::<Value>(&answer.body).unwrap(),
            json!({
                "type": "about:blank", "title": "Unsupported Media Type", "status": 415,
                "code": "unsupported_type", "detail": "no such form",
                "acceptable": ["application/dicom"],
                "requestId": "ffffffff-ffff-ffff-ffff-ffffffffffff"
            })
        );
    }

    #[actix_web::test]
    async fn sh_3_4_hidden_and_absent_have_equal_bytes() {
        let absent = ask("/fail/absent", "*/*").await;
        for path in ["/fail/hidden", "/nowhere", "/number/x"] {
            let other = ask(path, "*/*").await;
            assert_eq!((other.status, &other.body), (404, &absent.body), "{path}");
            let pairs = |answer: &Answer| {
                let mut pairs: Vec<_> = answer
                    .headers
                    .iter()
                    .map(|(name, value)| (name.to_string(), value.clone()))
                    .collect();
                pairs.sort();
                pairs
            };
            assert_eq!(pairs(&other), pairs(&absent), "{path}");
        }
    }

    #[actix_web::test]
    async fn s09_a_refused_token_is_told_from_an_absent_one() {
        let refused = ask("/fail/token", "*/*").await;
        let expected = r#"Bearer realm="kura", error="invalid_token""#;
        assert_eq!(
            (refused.status, header(&refused, "www-authenticate")),
            (401, expected)
        );
        assert!(!refused.body.contains("expired"));
        let absent = ask("/fail/none", "*/*").await;
        assert_eq!(
            header(&absent, "www-authenticate"),
            r#"Bearer realm="kura""#
        );
        let step = ask("/fail/step", "*/*").await;
        let expected = r#"Bearer realm="kura", error="insufficient_user_authentication", acr_values="urn:kura:acr:2fa", max_age="0""#;
        assert_eq!(
            (step.status, header(&step, "www-authenticate")),
            (401, expected)
        );
    }

    #[actix_web::test]
    async fn s21_s22_s24_s25_failures_name_the_way_out() {
        let range = ask("/fail/range", "*/*").await;
        assert_eq!(
            (range.status, header(&range, "content-range")),
            (416, "bytes */1000")
        );
        let down = ask("/fail/down", "*/*").await;
        assert_eq!((down.status, header(&down, "retry-after")), (503, "5"));
        let many = ask("/fail/many", "*/*").await;
        assert_eq!((many.status, header(&many, "retry-after")), (429, "5"));
        let full = ask("/fail/full", "*/*").await;
        assert_eq!((full.status, header(&full, "retry-after")), (507, "300"));
        assert!(!down.body.contains("secret"));
    }

    #[actix_web::test]
    async fn an_answer_with_a_body_of_its_own_is_left_alone() {
        let answer = ask("/fail/stow", "text/html").await;
        assert_eq!((answer.status, answer.body.as_str()), (409, "a data set"));
    }

    #[actix_web::test]
    async fn s31_text_is_one_line_and_never_html() {
        let answer = ask("/fail/lines", "text/html").await;
        assert_eq!(header(&answer, "content-type"), "text/plain; charset=utf-8");
        assert_eq!(
            answer.body,
            "400 Bad Request: one HTTP/1.1 200 OK  <b>two</b>\n"
        );
        assert_eq!(
            ask("/nowhere", "text/plain").await.body,
            "404 Not Found: no such resource\n"
        );
    }

    #[test]
    fn s31_text_only_for_those_who_prefer_it() {
        let check = |accept: &str, expected: bool| {
            let request = TestRequest::get()
                .insert_header((ACCEPT, accept))
                .to_http_request();
            assert_eq!(prefers_text(request.headers()), expected, "{accept}");
        };
        check(
            "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
            true,
        );
        check("text/plain", true);
        check("TEXT/HTML", true);
        check("application/json;q=0.5, text/plain;q=0.9", true);
        check("text/html;q=0.5, application/json", false);
        check("text/html, application/json", false);
        check("text/html;q=0", false);
        check("text/html;q=x", false);
        check("*/*", false);
        check("application/dicom+json, text/*", false);
        check(
            r#"multipart/related; type="application/octet-stream""#,
            false,
        );
        check("", false);
    }
}
