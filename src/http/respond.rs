//! Values and streams → responses with the right headers, and the shapes that the `OpenAPI` document names.

use actix_web::body::SizedStream;
use actix_web::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LOCATION, CONTENT_SECURITY_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use bytes::Bytes;
use futures::Stream;
use futures::stream::{self, StreamExt, TryStreamExt};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::conditional;
use super::multipart::write::{Boundary, PART_END};
use super::problem::VARY_BY;
use crate::archive::retrieve::ByteStream;
use crate::error::Result;
use crate::model::Timestamp;

/// An instant as `/api/v1` writes it (RFC 3339, UTC).
pub fn rfc3339(at: Timestamp) -> String {
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000);
    let text = at.ok().and_then(|at| at.format(&Rfc3339).ok());
    // Beyond the year 9999, which no instant of ours is.
    text.unwrap_or_default()
}

/// What every list says: it depends on the caller and on the moment (C03, A23).
pub fn list_headers(response: &mut HttpResponseBuilder) {
    response
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((VARY, VARY_BY));
}

/// What every object says: its caller may keep it, and asks for it again each time (C03, C05). Opened in a browser that has
/// a session it runs no script of its own, whatever media type a stored file claims for its document.
pub fn object_headers(response: &mut HttpResponseBuilder) {
    response
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"))
        .insert_header((CACHE_CONTROL, "private, no-cache"))
        .insert_header((VARY, VARY_BY))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
}

/// A body of known length. Its first bytes are waited for, so that a store which is away is told by the status (S24).
///
/// # Errors
/// What the first bytes fail with.
pub async fn sized(
    response: &mut HttpResponseBuilder,
    len: u64,
    mut bytes: ByteStream,
) -> Result<HttpResponse> {
    let first = bytes.try_next().await?;
    let bytes = stream::iter(first.map(Ok)).chain(bytes);
    Ok(response.no_chunking(len).body(SizedStream::new(len, bytes)))
}

/// A body of unknown length. Its first bytes are waited for, as of [`sized`].
///
/// # Errors
/// What the first bytes fail with.
pub async fn streamed(
    response: &mut HttpResponseBuilder,
    mut bytes: ByteStream,
) -> Result<HttpResponse> {
    let first = bytes.try_next().await?;
    Ok(response.streaming(stream::iter(first.map(Ok)).chain(bytes)))
}

/// What a body that was made in memory is sent in.
const PIECE_BYTES: usize = 64 << 10;

/// Bytes that were made in memory, as a stream, with their length.
pub fn in_pieces(bytes: Vec<u8>) -> (u64, ByteStream) {
    let len = bytes.len() as u64;
    let pieces = stream::unfold(Bytes::from(bytes), |mut left| {
        let piece = left.split_to(left.len().min(PIECE_BYTES));
        std::future::ready((!piece.is_empty()).then_some((Ok(piece), left)))
    });
    (len, pieces.boxed())
}

/// One part of a multipart answer.
pub struct Part {
    /// Its `Content-Type`, parameters included.
    pub content_type: String,
    /// Its address.
    pub location: String,
    /// Its length in bytes.
    pub len: u64,
    /// Its bytes.
    pub bytes: ByteStream,
}

impl std::fmt::Debug for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Part")
            .field("location", &self.location)
            .finish_non_exhaustive()
    }
}

/// An answer of one part alone, of which a range can be asked (C20).
///
/// # Errors
/// As [`sized`].
pub async fn single(response: &mut HttpResponseBuilder, part: Part) -> Result<HttpResponse> {
    response
        .content_type(part.content_type)
        .insert_header((ACCEPT_RANGES, "bytes"));
    if !part.location.is_empty() {
        response.insert_header((CONTENT_LOCATION, part.location));
    }
    sized(response, part.len, part.bytes).await
}

/// A multipart answer to `request` (7.2 of dicomweb.md); `root_type` is the media type of the parts.
///
/// # Errors
/// What the first part, or its first bytes, fail with.
pub async fn multipart(
    (request, response): (&HttpRequest, &mut HttpResponseBuilder),
    root_type: &str,
    parts: impl Stream<Item = Result<Part>> + Send + 'static,
) -> Result<HttpResponse> {
    let boundary = boundary(request);
    response.content_type(boundary.content_type(root_type));
    let parts = begun(parts).await?;
    Ok(response.streaming(message(boundary, parts)))
}

/// The same parts once the first bytes of the first are there, so that a store which is away is told by the status (S24).
async fn begun(
    parts: impl Stream<Item = Result<Part>> + Send + 'static,
) -> Result<impl Stream<Item = Result<Part>> + Send + 'static> {
    let mut parts = parts.boxed();
    let mut first = parts.try_next().await?;
    if let Some(part) = &mut first {
        let bytes = part.bytes.try_next().await?;
        let rest = std::mem::replace(&mut part.bytes, stream::empty().boxed());
        part.bytes = stream::iter(bytes.map(Ok)).chain(rest).boxed();
    }
    Ok(stream::iter(first.map(Ok)).chain(parts))
}

/// A multipart answer to `request` whose length is known before its bytes are: of it a range can be asked too (F26, F63).
/// `heads` are type, length and address of each part.
///
/// # Errors
/// As [`sized`].
pub async fn measured(
    (request, response): (&HttpRequest, &mut HttpResponseBuilder),
    root_type: &str,
    heads: impl Iterator<Item = (impl AsRef<str>, u64, impl AsRef<str>)>,
    parts: impl Stream<Item = Result<Part>> + Send + 'static,
) -> Result<HttpResponse> {
    let boundary = boundary(request);
    response
        .content_type(boundary.content_type(root_type))
        .insert_header((ACCEPT_RANGES, "bytes"));
    let of_parts: u64 = heads
        .map(|(content_type, len, location)| {
            let head = boundary.part_header(content_type.as_ref(), len, Some(location.as_ref()));
            (head.len() + PART_END.len()) as u64 + len
        })
        .sum();
    let len = of_parts + boundary.end().len() as u64;
    let parts = begun(parts).await?;
    sized(response, len, message(boundary, parts).boxed()).await
}

/// Where the content of an answer was noted, its boundary follows from that: equal tags are equal bytes (C01).
fn boundary(request: &HttpRequest) -> Boundary {
    conditional::boundary(request).unwrap_or_else(|| Boundary::of(Uuid::new_v4()))
}

/// A multipart answer of one part, measured.
///
/// # Errors
/// As [`sized`].
pub async fn one_part(
    (request, response): (&HttpRequest, &mut HttpResponseBuilder),
    root_type: &str,
    part: Part,
) -> Result<HttpResponse> {
    let (content_type, location) = (part.content_type.clone(), part.location.clone());
    let heads = [(&*content_type, part.len, &*location)].into_iter();
    let parts = stream::iter([Ok(part)]);
    measured((request, response), root_type, heads, parts).await
}

/// The bytes of a multipart answer. They end with the first error.
fn message(
    boundary: Boundary,
    parts: impl Stream<Item = Result<Part>> + Send + 'static,
) -> impl Stream<Item = Result<Bytes>> + Send {
    let end = boundary.end();
    let bytes = parts.flat_map(move |part| match part {
        Ok(part) => {
            let head = boundary.part_header(&part.content_type, part.len, Some(&part.location));
            let (before, after) = (stream::iter([Ok(head)]), stream::iter([Ok(PART_END)]));
            before.chain(part.bytes).chain(after).boxed()
        }
        // The connection is cut and the last boundary never written, so that the caller sees it (S34).
        Err(error) => stream::iter([Err(error)]).boxed(),
    });
    let last = stream::iter([Ok::<Bytes, _>(end)]);
    until_error(bytes.chain(last))
}

/// A stream that ends with its first error.
fn until_error<T: Send, E: Send>(
    stream: impl Stream<Item = std::result::Result<T, E>> + Send,
) -> impl Stream<Item = std::result::Result<T, E>> + Send {
    stream.scan(false, |has_failed, item| {
        let is_over = std::mem::replace(has_failed, item.is_err());
        std::future::ready((!is_over).then_some(item))
    })
}
