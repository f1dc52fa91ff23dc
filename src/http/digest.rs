//! Digests of what is sent, for those who ask for them (RFC 9530; MINT Z31).
//!
//! `Repr-Digest` is that of the whole representation, also of an answer that is a part of it. It stands before the bytes, so what
//! has no digest in the index is read once for it and once to be sent; nothing is read where the caller has it already.

use std::fmt;

use actix_web::body::BoxBody;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::future::{FutureExt as _, LocalBoxFuture};

use super::media_type::split;
use crate::error::Result;

/// The name of the header, in parts of a body too.
pub(super) const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// What asks for it.
pub(super) const WANT_REPR_DIGEST: HeaderName = HeaderName::from_static("want-repr-digest");

/// The length of a [`field`] in bytes.
pub(super) const FIELD_BYTES: u64 = 54;

/// Whether a caller wants the SHA-256 of what it gets: `Want-Repr-Digest: sha-256=N` with an N above 0, or without one. No other
/// algorithm is made, and a wish for one alone is passed over (RFC 9530 4).
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(WANT_REPR_DIGEST);
    let lines = lines.filter_map(|line| line.to_str().ok());
    let wishes = lines.flat_map(|line| split(line, ','));
    // Of a name that is there twice the last counts (RFC 9651 4.2.2).
    let mut is_wanted = false;
    for wish in wishes {
        let (wish, _) = wish.split_once(';').unwrap_or((wish, ""));
        let (name, weight) = wish.split_once('=').unwrap_or((wish, "1"));
        if name.trim() == "sha-256" {
            let weight = weight.trim().parse();
            is_wanted = weight.is_ok_and(|weight: u32| (1..=10).contains(&weight));
        }
    }
    is_wanted
}

/// The value of the header.
pub(super) fn field(digest: &[u8; 32]) -> String {
    format!("sha-256=:{}:", STANDARD.encode(digest))
}

/// A digest that is made once it is known that the body leaves.
struct Promised(LocalBoxFuture<'static, Result<[u8; 32]>>);

impl fmt::Debug for Promised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promised").finish_non_exhaustive()
    }
}

/// Says how the digest of the body of `response` is made. The body then leaves as the handler wrote it.
pub(super) fn promise(
    response: &mut HttpResponseBuilder,
    digest: impl Future<Output = Result<[u8; 32]>> + 'static,
) {
    let promised = Promised(digest.boxed_local());
    response.extensions_mut().insert(promised);
}

/// Whether a digest of the body was promised.
pub(super) fn is_promised(response: &HttpResponse<BoxBody>) -> bool {
    response.extensions().contains::<Promised>()
}

/// Makes the digest that was promised, if one was, and tells it.
///
/// # Errors
/// What the bytes cannot be read for.
pub(super) async fn keep(response: &mut HttpResponse<BoxBody>) -> Result<()> {
    let promised = response.extensions_mut().remove::<Promised>();
    if let Some(Promised(digest)) = promised
        && let Ok(value) = HeaderValue::try_from(field(&digest.await?))
    {
        response.headers_mut().insert(REPR_DIGEST, value);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn mint_z31_a_wish_is_read() {
        let check = |lines: &[&str], expected: bool| {
            let mut request = TestRequest::default();
            for line in lines {
                request = request.append_header(("Want-Repr-Digest", *line));
            }
            let request = request.to_http_request();
            assert_eq!(is_wanted(request.headers()), expected, "{lines:?}");
        };
        check(&["sha-256=10"], true);
        check(&["sha-512=3, sha-256=1"], true);
        check(&["sha-512=3", "sha-256"], true);
        check(&[" sha-256 = 5;x=1"], true);
        check(&["sha-256=1, sha-256=0"], false);
        for none in [
            "",
            "sha-512=9",
            "sha-256=0",
            "sha-256=-1",
            "sha-256=11",
            "sha-256=x",
            "SHA-256=1",
        ] {
            check(&[none], false);
        }
        check(&[], false);
    }

    #[test]
    fn every_field_has_the_same_length() {
        let fields = [[0; 32], [255; 32], [7; 32]].map(|digest| field(&digest));
        assert!(fields.iter().all(|it| it.len() as u64 == FIELD_BYTES));
        // RFC 9530, of `{"hello": "world"}` and a line end.
        let digest = crate::storage::digest::sha256(b"{\"hello\": \"world\"}\n");
        assert_eq!(
            field(&digest),
            "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
        );
    }
}
