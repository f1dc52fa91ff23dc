//! JSON and XML leave as zstd or gzip where the caller takes that (dicomweb.md 12.2). Pixel data never do (C11, F27).

use std::future::poll_fn;
use std::pin::Pin;

use actix_http::encoding::Encoder;
use actix_web::Error;
use actix_web::body::{BodySize, BodyStream, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ContentEncoding, HeaderMap,
    HeaderValue, VARY,
};
use actix_web::middleware::Next;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt as _};

use super::digest;

/// What is not longer stays as it is (C10).
const LEAST_BYTES: usize = 1024;

/// What is told line by line while it becomes true waits for nothing.
const LINES: &str = "application/x-ndjson";

/// Compresses an answer of JSON or XML that is long enough and not compressed already, as stored metadata are.
pub(super) async fn answer<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse, Error> {
    let mut answer = next.call(request).await?.map_into_boxed_body();
    let coding = coding(answer.request().headers());
    let is_text = answer.status() == StatusCode::OK
        && !answer.headers().contains_key(CONTENT_ENCODING)
        // A digest is that of the bytes as they are.
        && !digest::is_promised(answer.response())
        && answer.headers().get(CONTENT_TYPE).is_some_and(|value| {
            let media_type = value.to_str().unwrap_or_default();
            let media_type = media_type.split(';').next().unwrap_or_default().trim();
            media_type.ends_with("json") && media_type != LINES || media_type.ends_with("xml")
        });
    if is_text && !tells_coding(answer.headers()) {
        let name = HeaderValue::from_static("Accept-Encoding");
        answer.headers_mut().append(VARY, name);
    }
    let Some(coding) = coding.filter(|_| is_text) else {
        return Ok(answer);
    };
    let (request, response) = answer.into_parts();
    let (response, body) = response.into_parts();
    let body = match begun(body).await {
        Begun::Short(bytes) => {
            let response = response.set_body(BoxBody::new(bytes));
            return Ok(ServiceResponse::new(request, response));
        }
        Begun::Long(body) => body,
    };
    let mut response = response.set_body(body);
    let varies: Vec<HeaderValue> = response.headers().get_all(VARY).cloned().collect();
    response.headers_mut().remove(CONTENT_LENGTH);
    let mut response =
        response.map_body(|head, body| Encoder::response(coding, head, body).boxed());
    // The encoder adds a line of its own to what is told already.
    response.headers_mut().remove(VARY);
    for line in varies {
        response.headers_mut().append(VARY, line);
    }
    Ok(ServiceResponse::new(request, response))
}

/// Whether an answer says that it depends on the coding that was asked for (C05).
fn tells_coding(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(VARY).filter_map(|line| line.to_str().ok());
    lines.any(|line| line.to_ascii_lowercase().contains("accept-encoding"))
}

/// A body of which the beginning was read.
enum Begun {
    /// All of it.
    Short(Bytes),
    /// More than is sent as it is.
    Long(BoxBody),
}

/// Reads as much of a body as tells whether it is worth it.
async fn begun(mut body: BoxBody) -> Begun {
    if let BodySize::Sized(len) = body.size()
        && len > LEAST_BYTES as u64
    {
        return Begun::Long(body);
    }
    let mut read = BytesMut::new();
    while read.len() <= LEAST_BYTES {
        let next = poll_fn(|context| Pin::new(&mut body).poll_next(context)).await;
        match next {
            None => return Begun::Short(read.freeze()),
            Some(Ok(piece)) => read.extend_from_slice(&piece),
            // It ends the answer where it happened (S34).
            Some(Err(error)) => {
                let pieces = [Ok(read.freeze()), Err(error)];
                return Begun::Long(BoxBody::new(BodyStream::new(stream::iter(pieces))));
            }
        }
    }
    let rest = stream::poll_fn(move |context| Pin::new(&mut body).poll_next(context));
    let whole = stream::iter([Ok(read.freeze())]).chain(rest);
    Begun::Long(BoxBody::new(BodyStream::new(whole)))
}

/// The coding that the caller likes best of those that are made: the greater weight, and zstd before gzip (RFC 9110 12.5.3).
fn coding(headers: &HeaderMap) -> Option<ContentEncoding> {
    let (zstd, gzip) = (weight(headers, "zstd"), weight(headers, "gzip"));
    if zstd > 0.0 && zstd >= gzip {
        Some(ContentEncoding::Zstd)
    } else if gzip > 0.0 {
        Some(ContentEncoding::Gzip)
    } else {
        None
    }
}

/// How much the caller likes a coding; 0 is not at all.
pub fn weight(headers: &HeaderMap, coding: &str) -> f32 {
    let values = headers.get_all(ACCEPT_ENCODING);
    let values = values.filter_map(|value| value.to_str().ok());
    let mut any = 0.0;
    for element in values.flat_map(|value| value.split(',')) {
        let mut parts = element.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let weight = parts
            .find_map(|part| part.strip_prefix("q="))
            .map_or(1.0, |weight| weight.parse().unwrap_or(0.0));
        if name.eq_ignore_ascii_case(coding) {
            return weight;
        }
        if name == "*" {
            any = weight;
        }
    }
    any
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn check(header: &str, expected: Option<ContentEncoding>) {
        let request = TestRequest::default().insert_header((ACCEPT_ENCODING, header));
        let found = coding(request.to_http_request().headers());
        assert_eq!(found, expected, "{header}");
    }

    #[test]
    fn c10_the_coding_is_the_one_the_caller_likes_best() {
        check("gzip, deflate, br, zstd", Some(ContentEncoding::Zstd));
        check("gzip, deflate, br", Some(ContentEncoding::Gzip));
        check("GZIP;q=0.5", Some(ContentEncoding::Gzip));
        check("zstd;q=0.5, gzip;q=0.8", Some(ContentEncoding::Gzip));
        check("zstd;q=0, gzip;q=0", None);
        check("*", Some(ContentEncoding::Zstd));
        check("*;q=0.5, zstd;q=0", Some(ContentEncoding::Gzip));
        check("gzip;q=x", None);
        check("identity", None);
        check("br, deflate", None);
        check("gzip;q=0.000, *;q=0", None);
        check("", None);
    }

    #[actix_web::test]
    async fn c10_a_short_body_is_told_from_a_long_one_whatever_its_pieces() {
        for (pieces, len) in [(vec![1024], 1024), (vec![1; 1024], 1024), (vec![], 0)] {
            match begun(body(&pieces)).await {
                Begun::Short(bytes) => assert_eq!(bytes.len(), len),
                Begun::Long(_) => panic!("{len} bytes are short"),
            }
        }
        for pieces in [vec![1025], vec![1; 1025], vec![1000, 1000, 1000]] {
            match begun(body(&pieces)).await {
                Begun::Short(_) => panic!("{} bytes are long", pieces.iter().sum::<usize>()),
                Begun::Long(body) => {
                    let whole = actix_web::body::to_bytes(body).await.unwrap();
                    assert_eq!(whole.len(), pieces.iter().sum::<usize>());
                }
            }
        }
    }

    fn body(pieces: &[usize]) -> BoxBody {
        let pieces: Vec<_> = pieces
            .iter()
            .map(|len| Ok::<_, Error>(Bytes::from(vec![b'x'; *len])))
            .collect();
        BoxBody::new(BodyStream::new(stream::iter(pieces)))
    }
}
