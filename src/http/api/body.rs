//! Small JSON bodies: read after the caller was let in, with an end, and without repeating them in an answer.

use actix_web::HttpRequest;
use actix_web::web::Payload;
use futures::StreamExt;
use serde::de::DeserializeOwned;

use crate::error::{Error, Kind, Result};
use crate::http::problem;

/// The longest body, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// Reads a body of `application/json`.
///
/// # Errors
/// `Kind::UnsupportedType` for another media type, `Kind::TooLarge` beyond 64 KiB, `Kind::Invalid` if it is not the JSON
/// that the operation takes.
pub(in crate::http) async fn json<T: DeserializeOwned>(
    request: &HttpRequest,
    mut body: Payload,
) -> Result<T> {
    let content_type = request.headers().get("content-type");
    let media_type = content_type
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim();
    if !media_type.eq_ignore_ascii_case("application/json") {
        let takes = vec!["application/json".to_owned()];
        return Err(problem::unsupported_type("the body is to be JSON", takes));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|e| Error::invalid("the body broke off").with_source(e))?;
        if bytes.len().saturating_add(chunk.len()) > MAX_BYTES {
            let detail = format!("the body is longer than {MAX_BYTES} bytes");
            return Err(Error::new(Kind::TooLarge, detail));
        }
        bytes.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&bytes).map_err(|e| {
        // What serde says may repeat a value, so only the place is told.
        let (line, column) = (e.line(), e.column());
        let detail = format!(
            "the body is not what this operation takes, from line {line}, column {column} on"
        );
        Error::invalid(detail).with_source(e)
    })
}
