//! Validators and what follows from them: `ETag`, `Last-Modified`, 304, and byte ranges (dicomweb.md 12.1, 12.3).
//!
//! A handler says what its answer is made of, once it has found it visible: `conditional::made_of(&request, &stamp)`. The
//! layer [`answer`] does the rest. The tag covers the content, the request that chose a representation of it, and the
//! representation itself, so it is strong: equal tags are equal bytes.

use std::ops::Range;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{
    ACCEPT, ACCEPT_RANGES, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderValue, HttpDate, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED,
    RANGE,
};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpRequest, HttpResponse, HttpResponseBuilder, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::multipart::write::Boundary;
use super::ranges::{Cut, Wanted};
use super::{State, digest, problem};
use crate::archive::retrieve::ByteStream;
use crate::archive::stamp::Stamp;
use crate::model::Timestamp;

/// Of a digest, as many bytes are a tag.
const TAG_BYTES: usize = 16;

/// What the answer to a request is made of.
#[derive(Clone, Debug)]
struct MadeOf {
    /// Of the content, and of all that the request says about its form.
    digest: [u8; 32],
    stored_at: Option<Timestamp>,
}

/// Notes what the answer to `request` is made of.
pub fn made_of(request: &HttpRequest, stamp: &Stamp) {
    let mut hash = Sha256::new();
    hash.update(stamp.digest());
    // The same content may be decoded or drawn otherwise by another version.
    hash.update(env!("CARGO_PKG_VERSION"));
    for text in [request.match_info().as_str(), request.query_string()] {
        hash.update(text);
        hash.update(b"\0");
    }
    for value in request.headers().get_all(ACCEPT) {
        hash.update(value.as_bytes());
        hash.update(b"\0");
    }
    // Links in the answer begin with it.
    if let Some(state) = request.app_data::<web::Data<State>>() {
        hash.update(state.urls(request).base());
    }
    request.extensions_mut().insert(MadeOf {
        digest: hash.finalize().into(),
        stored_at: stamp.stored_at(),
    });
}

/// The boundary of an answer whose content was noted: the same for the same bytes, so that ranges of several answers fit
/// (F63), and known to nobody before it is sent, because it depends on a secret (F24). `None` where nothing was noted.
pub fn boundary(request: &HttpRequest) -> Option<Boundary> {
    let extensions = request.extensions();
    let made = extensions.get::<MadeOf>()?;
    let state = request.app_data::<web::Data<State>>()?;
    let mut hash = Sha256::new();
    hash.update(state.boundaries);
    hash.update(made.digest);
    let digest: [u8; 32] = hash.finalize().into();
    let (random, _) = digest.split_first_chunk::<16>()?;
    Some(Boundary::of(uuid::Uuid::from_bytes(*random)))
}

/// How a part of a body is opened without reading what stands before it.
type Open = Box<dyn Fn(Range<u64>) -> ByteStream>;

struct Seek(Open);

/// Says how a part of the body of `response` is opened; else it is cut out of the whole.
pub fn seekable(
    response: &mut HttpResponseBuilder,
    open: impl Fn(Range<u64>) -> ByteStream + 'static,
) {
    response.extensions_mut().insert(Seek(Box::new(open)));
}

/// Adds validators to what was found, answers 304 to those who have it, and cuts it to the range that was asked for.
pub(super) async fn answer<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse, Error> {
    let is_get = request.method() == Method::GET;
    let answer = next.call(request).await?.map_into_boxed_body();
    let is_found = matches!(
        answer.status(),
        StatusCode::OK | StatusCode::PARTIAL_CONTENT
    );
    if !is_get || !is_found {
        return Ok(answer);
    }
    let (request, mut response) = answer.into_parts();
    let made = request.extensions().get::<MadeOf>().cloned();
    if let Some(made) = &made {
        validate(made, response.headers_mut());
        if is_known(request.headers(), response.headers()) {
            return Ok(ServiceResponse::new(request, not_modified(&response)));
        }
    }
    let wanted = wanted(request.headers(), &response);
    if wanted != Wanted::Beyond
        && let Err(error) = digest::keep(&mut response).await
    {
        return Ok(ServiceResponse::new(
            request,
            HttpResponse::from_error(error),
        ));
    }
    let response = match wanted {
        Wanted::All => response,
        Wanted::Part(range) => part(response, range),
        Wanted::Beyond => {
            let len = sized(&response).unwrap_or(0);
            HttpResponse::from_error(problem::bad_range(len))
        }
    };
    Ok(ServiceResponse::new(request, response))
}

/// `ETag` and `Last-Modified` of an answer.
fn validate(made: &MadeOf, headers: &mut HeaderMap) {
    let mut hash = Sha256::new();
    hash.update(made.digest);
    for name in [CONTENT_TYPE, CONTENT_ENCODING] {
        if let Some(value) = headers.get(name) {
            // A boundary is no part of what is told apart.
            let value = value.as_bytes();
            let end = memchr::memmem::find(value, b"boundary=").unwrap_or(value.len());
            hash.update(value.get(..end).unwrap_or(value));
        }
        hash.update(b"\0");
    }
    let digest = hash.finalize();
    let tag = URL_SAFE_NO_PAD.encode(digest.get(..TAG_BYTES).unwrap_or(&digest));
    if let Ok(tag) = HeaderValue::try_from(format!("\"{tag}\"")) {
        headers.insert(ETAG, tag);
    }
    if let Some(date) = made.stored_at.map(http_date)
        && let Ok(date) = HeaderValue::try_from(date)
    {
        headers.insert(LAST_MODIFIED, date);
    }
}

/// An instant as HTTP writes it.
pub(super) fn http_date(at: Timestamp) -> String {
    let micros = u64::try_from(at.0).unwrap_or(0);
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_micros(micros);
    HttpDate::from(at).to_string()
}

/// Whether the caller has what would be sent (RFC 9110 13.2.2). A date counts only where no tag is given.
fn is_known(asked: &HeaderMap, told: &HeaderMap) -> bool {
    if asked.contains_key(IF_NONE_MATCH) {
        let tag = told.get(ETAG).and_then(|tag| tag.to_str().ok());
        return asked
            .get_all(IF_NONE_MATCH)
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|known| known.trim().trim_start_matches("W/"))
            .any(|known| known == "*" || Some(known) == tag);
    }
    let date = |headers: &HeaderMap, name| {
        let text = headers.get(name)?.to_str().ok()?;
        text.parse::<HttpDate>().ok()
    };
    match (date(asked, IF_MODIFIED_SINCE), date(told, LAST_MODIFIED)) {
        (Some(asked), Some(told)) => told <= asked,
        _ => false,
    }
}

/// 304: the headers that what is kept may need anew, without those of its body.
fn not_modified(response: &HttpResponse<BoxBody>) -> HttpResponse {
    let mut answer = HttpResponse::NotModified().finish();
    for (name, value) in response.headers() {
        let is_of_body = [
            CONTENT_TYPE,
            CONTENT_LENGTH,
            CONTENT_ENCODING,
            CONTENT_RANGE,
        ]
        .contains(name);
        if !is_of_body {
            answer.headers_mut().append(name.clone(), value.clone());
        }
    }
    answer
}

/// What of the answer is wanted. Only a body that offers ranges, has a known length and is not compressed has parts (C21).
fn wanted(asked: &HeaderMap, response: &HttpResponse<BoxBody>) -> Wanted {
    let told = response.headers();
    let Some(range) = asked.get(RANGE).and_then(|value| value.to_str().ok()) else {
        return Wanted::All;
    };
    let offers_ranges = response.status() == StatusCode::OK
        && told
            .get(ACCEPT_RANGES)
            .is_some_and(|unit| unit.as_bytes() == b"bytes")
        && !told.contains_key(CONTENT_ENCODING);
    match sized(response) {
        Some(len) if offers_ranges && is_still(asked, told) => Wanted::of(range, len),
        Some(_) | None => Wanted::All,
    }
}

/// Whether the rest that is wanted is that of what the caller has (`If-Range`): the same tag, or the very date.
fn is_still(asked: &HeaderMap, told: &HeaderMap) -> bool {
    match asked.get(IF_RANGE) {
        None => true,
        Some(known) => [ETAG, LAST_MODIFIED]
            .iter()
            .any(|name| told.get(name) == Some(known)),
    }
}

fn sized(response: &HttpResponse<BoxBody>) -> Option<u64> {
    match response.body().size() {
        BodySize::Sized(len) => Some(len),
        BodySize::None | BodySize::Stream => None,
    }
}

/// 206 with the part `range` of an answer.
fn part(mut response: HttpResponse<BoxBody>, range: Range<u64>) -> HttpResponse {
    let len = sized(&response).unwrap_or(range.end);
    let seek = response.extensions_mut().remove::<Seek>();
    let mut response = response.map_body(|head, body| {
        head.status = StatusCode::PARTIAL_CONTENT;
        match seek {
            Some(Seek(open)) => {
                let part_len = range.end.saturating_sub(range.start);
                let stream = open(range.clone());
                BoxBody::new(actix_web::body::SizedStream::new(part_len, stream))
            }
            None => BoxBody::new(Cut::new(body, &range)),
        }
    });
    let headers = response.headers_mut();
    // The builder of the whole may have written its length.
    headers.remove(CONTENT_LENGTH);
    let last = range.end.saturating_sub(1);
    if let Ok(value) = HeaderValue::try_from(format!("bytes {}-{last}/{len}", range.start)) {
        headers.insert(CONTENT_RANGE, value);
    }
    let part_len = range.end.saturating_sub(range.start);
    if let Ok(value) = HeaderValue::try_from(part_len.to_string()) {
        headers.insert(CONTENT_LENGTH, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let name = actix_web::http::header::HeaderName::try_from(*name).unwrap();
            headers.append(name, HeaderValue::try_from(*value).unwrap());
        }
        headers
    }

    const DATE: &str = "Sun, 06 Nov 1994 08:49:37 GMT";

    #[test]
    fn s07_c01_c02_what_is_known_is_told_by_tag_and_else_by_date() {
        let told = headers(&[("etag", "\"a\""), ("last-modified", DATE)]);
        let check = |asked: &[(&str, &str)], expected: bool| {
            assert_eq!(is_known(&headers(asked), &told), expected, "{asked:?}");
        };
        check(&[("if-none-match", "\"a\"")], true);
        check(&[("if-none-match", "\"b\", W/\"a\"")], true);
        check(&[("if-none-match", "\"b\""), ("if-none-match", "*")], true);
        check(&[("if-none-match", "\"b\"")], false);
        check(&[("if-none-match", "a")], false);
        check(&[("if-none-match", "")], false);
        check(&[("if-modified-since", DATE)], true);
        check(
            &[("if-modified-since", "Sun, 06 Nov 1994 08:49:38 GMT")],
            true,
        );
        check(
            &[("if-modified-since", "Sun, 06 Nov 1994 08:49:36 GMT")],
            false,
        );
        check(&[("if-modified-since", "yesterday")], false);
        check(
            &[("if-none-match", "\"b\""), ("if-modified-since", DATE)],
            false,
        );
        check(&[], false);
    }

    #[test]
    fn c20_a_range_of_something_else_is_all_of_it() {
        let told = headers(&[("etag", "\"a\""), ("last-modified", DATE)]);
        let check = |known: &str, expected: bool| {
            let asked = headers(&[("if-range", known)]);
            assert_eq!(is_still(&asked, &told), expected, "{known}");
        };
        check("\"a\"", true);
        check(DATE, true);
        check("\"b\"", false);
        check("W/\"a\"", false);
        check("Sun, 06 Nov 1994 08:49:38 GMT", false);
    }
}
