//! CORS: which pages of other origins may use the archive from a browser (dicomweb.md 11.2; Fetch 3.2).
//!
//! Two layers: [`headers`] stands outside of everything, so that every answer carries its headers, those of panics and of
//! limits too (A17, S33); [`preflight`] stands inside of the log and before everything that asks for a token (A10).

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN, VARY,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpResponse, web};

use super::State;

/// A12.
const METHODS: &str = "GET, HEAD, POST, PUT, DELETE, OPTIONS";

/// What pages may send. `Accept` has to be named: a quotation mark in its value makes browsers ask (A13).
const ALLOWED: &str = "Authorization, Accept, Content-Type, Content-Encoding, Range, If-Range, If-Match, If-None-Match, \
                       If-Modified-Since, Cache-Control, X-Requested-With, X-Kura-CSRF, X-Kura-Reason, traceparent, tracestate";

/// What pages may read (A14).
const EXPOSED: &str = "Content-Range, Accept-Ranges, Content-Length, Content-Location, Location, ETag, Last-Modified, Warning, \
                       X-Total-Count, Link, WWW-Authenticate, Retry-After, Content-Disposition, X-Request-Id, X-Kura-CSRF, \
                       X-Kura-Deletion";

/// For how many seconds a browser may keep the answer to a preflight; none keeps it longer than a day (A15).
const MAX_AGE_S: &str = "7200";

/// The origins whose pages may use the archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// Origins as browsers write them, or `*` alone.
    origins: Vec<String>,
    /// Whether their pages may use the session of whoever looks at them (A16).
    with_credentials: bool,
}

impl Origins {
    /// Those of `origins`, which is empty for none, or `*` alone for every one.
    pub fn new(origins: Vec<String>, with_credentials: bool) -> Self {
        Self {
            origins,
            with_credentials,
        }
    }

    /// What the page that sent a request may do; `None` if nothing.
    fn grant(&self, headers: &HeaderMap) -> Option<Grant> {
        let origin = headers.get(ORIGIN)?;
        if self.origins.iter().any(|known| known == "*") {
            return Some(Grant {
                origin: HeaderValue::from_static("*"),
                with_credentials: false,
            });
        }
        let is_known = self
            .origins
            .iter()
            .any(|known| known.as_bytes() == origin.as_bytes());
        is_known.then(|| Grant {
            origin: origin.clone(),
            with_credentials: self.with_credentials,
        })
    }
}

/// What the page of one origin may do.
#[derive(Debug)]
struct Grant {
    origin: HeaderValue,
    with_credentials: bool,
}

impl Grant {
    fn write(self, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin);
        if self.with_credentials {
            headers.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
        headers.insert(
            ACCESS_CONTROL_EXPOSE_HEADERS,
            HeaderValue::from_static(EXPOSED),
        );
    }
}

/// An answer that depends on the origin says so, to those who keep it (A11).
fn vary(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(VARY).filter_map(|line| line.to_str().ok());
    let is_told = lines.any(|line| {
        line.split(',')
            .any(|name| name.trim().eq_ignore_ascii_case("origin"))
    });
    if !is_told {
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
}

/// Adds the headers to whatever is answered.
pub(super) async fn headers<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let origins = origins(&request);
    let grant = origins.and_then(|origins| origins.grant(request.headers()));
    let is_open = origins.is_some_and(|origins| !origins.origins.is_empty());
    let finish = |headers: &mut HeaderMap| {
        if is_open {
            vary(headers);
        }
        if let Some(grant) = grant {
            grant.write(headers);
        }
    };
    match next.call(request).await {
        Ok(mut answer) => {
            finish(answer.headers_mut());
            Ok(answer)
        }
        Err(error) => {
            let mut answer = error.error_response();
            finish(answer.headers_mut());
            Err(InternalError::from_response(error, answer).into())
        }
    }
}

/// Answers preflights, whatever the path: what is there the request itself learns. One of an origin that is not known gets
/// an answer that allows nothing.
pub(super) async fn preflight<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let headers = request.headers();
    let is_preflight = request.method() == Method::OPTIONS
        && headers.contains_key(ORIGIN)
        && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    if !is_preflight {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let is_allowed = origins(&request).is_some_and(|origins| origins.grant(headers).is_some());
    let mut answer = HttpResponse::NoContent();
    if is_allowed {
        answer
            .insert_header((ACCESS_CONTROL_ALLOW_METHODS, METHODS))
            .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED))
            .insert_header((ACCESS_CONTROL_MAX_AGE, MAX_AGE_S));
    }
    Ok(request.into_response(answer.finish()).map_into_right_body())
}

fn origins(request: &ServiceRequest) -> Option<&Origins> {
    let state = request.app_data::<web::Data<State>>()?;
    Some(&state.origins)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn check(known: &[&str], credentials: bool, origin: &str, expected: Option<(&str, bool)>) {
        let known = known.iter().map(|origin| (*origin).to_owned()).collect();
        let request = TestRequest::default().insert_header((ORIGIN, origin));
        let request = request.to_http_request();
        let grant = Origins::new(known, credentials).grant(request.headers());
        let grant = grant.as_ref().map(|grant| {
            let origin = grant.origin.to_str().unwrap();
            (origin, grant.with_credentials)
        });
        assert_eq!(grant, expected, "{origin}");
    }

    #[test]
    fn a11_a16_an_origin_is_known_by_its_exact_text() {
        let viewer = "https://viewer.example";
        check(&[], false, viewer, None);
        check(&[viewer], false, viewer, Some((viewer, false)));
        check(&[viewer], true, viewer, Some((viewer, true)));
        for other in [
            "https://viewer.example.evil",
            "http://viewer.example",
            "https://viewer.example:8443",
            "null",
            "",
        ] {
            check(&[viewer], true, other, None);
        }
        check(&["*"], true, viewer, Some(("*", false)));
    }

    #[test]
    fn a11_answers_say_once_that_they_depend_on_the_origin() {
        let mut headers = HeaderMap::new();
        vary(&mut headers);
        vary(&mut headers);
        assert_eq!(headers.get_all(VARY).count(), 1);
        headers.insert(VARY, HeaderValue::from_static("Accept, origin"));
        vary(&mut headers);
        assert_eq!(headers.get_all(VARY).count(), 1);
    }
}
