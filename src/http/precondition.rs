//! Conditions on changes: `If-Match` with the `ETag` of what the caller has seen (RFC 9110 13.1.1, S17, sharing.md 14).
//!
//! A resource of `/api/v1` that can be changed has a version, counted up with each change; its tag is the version in
//! quotation marks.

use actix_web::HttpRequest;
use actix_web::http::header::IF_MATCH;

use crate::error::{Error, Kind, Result};

/// The tag of a version.
pub fn etag(version: u32) -> String {
    format!("\"{version}\"")
}

/// The versions that the caller of a change has seen; `None` for any.
///
/// A tag that cannot be ours matches no version. A weak one does not either: a change wants the strong comparison.
///
/// # Errors
/// `Kind::PreconditionRequired` without `If-Match`.
pub fn seen(request: &HttpRequest) -> Result<Option<Vec<u32>>> {
    let mut tags = request.headers().get_all(IF_MATCH).peekable();
    if tags.peek().is_none() {
        let detail = "send If-Match with the ETag of the version you have read";
        return Err(Error::new(Kind::PreconditionRequired, detail));
    }
    let mut versions = Vec::new();
    for tag in tags
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
    {
        if tag == "*" {
            return Ok(None);
        }
        let inside = tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"'));
        versions.extend(inside.and_then(|text| text.parse::<u32>().ok()));
    }
    Ok(Some(versions))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn check(tags: &[&str], expected: Option<&[u32]>) {
        let mut request = TestRequest::default();
        for tag in tags {
            request = request.append_header((IF_MATCH, *tag));
        }
        let seen = seen(&request.to_http_request()).unwrap();
        assert_eq!(seen.as_deref(), expected, "{tags:?}");
    }

    #[test]
    fn s17_if_match_names_versions() {
        check(&["\"3\""], Some(&[3]));
        check(&["\"3\", \"4\""], Some(&[3, 4]));
        check(&["\"3\"", "\"4\""], Some(&[3, 4]));
        check(&["*"], None);
        assert_eq!(etag(3), "\"3\"");
        for odd in [
            "W/\"3\"",
            "3",
            "\"x\"",
            "",
            "\"-1\"",
            "\"99999999999\"",
            "\"",
        ] {
            check(&[odd], Some(&[]));
        }
        let without = TestRequest::default().to_http_request();
        let refused = seen(&without).unwrap_err();
        assert_eq!(refused.kind(), Kind::PreconditionRequired);
    }
}
