//! What a request brings to be let in, and where it may stand (SH-2.7):
//!
//! 1. an access token in `Authorization`, and nowhere else (A21);
//! 2. on GET and HEAD a signed link, `?link=…`, good for that one path, or for the object that WADO-URI shows;
//! 3. the cookie of a session. A method that changes something then needs the header `X-Kura-CSRF` as well.
//!
//! The first of them that is there counts, and no other is looked at: what a page asks for by a header of its own never
//! depends on a cookie that the browser adds. Kinds do not mix: a token in a cookie is no session, a link in
//! `Authorization` is no token.

use actix_web::HttpRequest;
use actix_web::cookie::time::Duration;
use actix_web::cookie::{Cookie, SameSite};
use actix_web::http::Method;
use actix_web::http::header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::urls::Urls;
use crate::auth::Rejection;
use crate::dicom::query::decode::{Plus, decode, pairs};
use crate::error::{Error, Result};
use crate::model::SopInstanceUid;

/// The value that a session's own page sends with every change.
pub(super) const CSRF: HeaderName = HeaderName::from_static("x-kura-csrf");

/// The query parameter of a signed link.
pub(super) const LINK: &str = "link";

/// What a request brings.
#[derive(Debug)]
pub(super) enum Credential<'a> {
    /// An access token.
    Bearer(&'a str),
    /// A signed link.
    Link(&'a str),
    /// A session.
    Session(SessionId),
}

impl<'a> Credential<'a> {
    /// What `request` brings; `urls` tells which cookie is ours.
    pub(super) fn of(request: &'a HttpRequest, urls: &Urls) -> Result<Self, Rejection> {
        if request.headers().contains_key(AUTHORIZATION) {
            return bearer(request.headers()).map(Self::Bearer);
        }
        if matches!(*request.method(), Method::GET | Method::HEAD)
            && let Some(link) = link(request.query_string())?
        {
            return Ok(Self::Link(link));
        }
        SessionId::of(request, urls)
            .map(Self::Session)
            .ok_or(Rejection::Absent)
    }
}

/// The token of `Authorization: Bearer …`.
pub(super) fn bearer(headers: &HeaderMap) -> Result<&str, Rejection> {
    let mut values = headers.get_all(AUTHORIZATION);
    let value = values.next().ok_or(Rejection::Absent)?;
    if values.next().is_some() {
        return Err(Rejection::Repeated);
    }
    let text = value.to_str().map_err(|_| Rejection::Segments)?;
    match text.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Rejection::Absent),
    }
}

/// The link in a query string. Its characters need no escapes, so it is there as it was signed.
fn link(query: &str) -> Result<Option<&str>, Rejection> {
    let mut links = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| *name == LINK)
        .map(|(_, link)| link);
    let first = links.next();
    if links.next().is_some() {
        return Err(Rejection::Repeated);
    }
    Ok(first)
}

/// An object that WADO-URI shows, as a link names it: by its UID, so that the rest of the query is free.
pub(super) struct LinkedUri {
    /// Its SOP Instance UID.
    pub(super) object: SopInstanceUid,
}

/// Where WADO-URI answers.
const URI_PATHS: [&str; 2] = ["/dicomweb/wado", "/dicomweb"];

impl LinkedUri {
    /// That of a path with a query; `None` for what is no such request, or asks for the file: a link opens what is shown.
    pub(super) fn of_resource(resource: &str) -> Option<Self> {
        let (path, query) = resource.split_once('?')?;
        Self::of(path, query)
    }

    fn of(path: &str, query: &str) -> Option<Self> {
        if !URI_PATHS.contains(&path.trim_end_matches('/')) || query.contains('#') {
            return None;
        }
        let mut object = None;
        for (name, value) in pairs(query) {
            let value = decode(value, Plus::Space).ok()?;
            match name.to_ascii_lowercase().as_str() {
                "objectuid" if object.is_none() => {
                    object = Some(SopInstanceUid::parse(value.trim()).ok()?);
                }
                "objectuid" => return None,
                "contenttype" | "accept" if names_files(&value) => return None,
                _ => {}
            }
        }
        object.map(|object| Self { object })
    }

    /// What is signed.
    pub(super) fn signed(&self) -> String {
        format!("/dicomweb/wado?objectUID={}", self.object)
    }
}

/// What a link has to name for `request`.
pub(super) fn linked(request: &HttpRequest) -> String {
    let mut accepted = request.headers().get_all(ACCEPT);
    let uri = LinkedUri::of(request.path(), request.query_string());
    let uri = uri.filter(|_| accepted.all(|accept| !accept.to_str().is_ok_and(names_files)));
    uri.map_or_else(|| request.path().to_owned(), |uri| uri.signed())
}

/// Whether media types name DICOM files.
fn names_files(media_types: &str) -> bool {
    media_types.to_ascii_lowercase().contains("dicom")
}

/// The secret of a session: 256 random bits, which only the cookie holds.
pub(super) struct SessionId([u8; 32]);

impl std::fmt::Debug for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionId(…)")
    }
}

impl SessionId {
    /// A fresh one.
    ///
    /// # Errors
    /// `Kind::Internal` if the machine has no randomness.
    pub(super) fn fresh() -> Result<Self> {
        let mut id = [0; 32];
        aws_lc_rs::rand::fill(&mut id)
            .map_err(|e| Error::internal("the machine gives no random numbers", e))?;
        Ok(Self(id))
    }

    /// That of the cookie, if there is one that can be one.
    pub(super) fn of(request: &HttpRequest, urls: &Urls) -> Option<Self> {
        let cookie = request.cookie(cookie_name(urls))?;
        let id = URL_SAFE_NO_PAD.decode(cookie.value()).ok()?;
        id.try_into().ok().map(Self)
    }

    /// What the database knows it by.
    pub(super) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0).into()
    }

    /// The value of `X-Kura-CSRF`. It follows from the id and does not tell it, so there is nothing more to keep.
    pub(super) fn csrf(&self) -> String {
        let value = Sha256::new()
            .chain_update(b"kura csrf\0")
            .chain_update(self.0)
            .finalize();
        URL_SAFE_NO_PAD.encode(value)
    }

    /// Refuses a request that may change something and was not made by the session's own page.
    ///
    /// # Errors
    /// `Kind::Forbidden`.
    pub(super) fn check_unsafe(&self, request: &HttpRequest) -> Result<(), Rejection> {
        if request.method().is_safe() {
            return Ok(());
        }
        let mut given = request.headers().get_all(CSRF);
        let (first, second) = (given.next(), given.next());
        let expected = self.csrf();
        let is_it = first.is_some_and(|value| {
            verify_slices_are_equal(value.as_bytes(), expected.as_bytes()).is_ok()
        });
        if is_it && second.is_none() {
            return Ok(());
        }
        Err(Rejection::Unprotected)
    }

    /// The cookie that holds it for `life_s` seconds; without seconds left, the one that takes it back.
    pub(super) fn cookie(&self, urls: &Urls, life_s: i64) -> Cookie<'static> {
        let value = if life_s > 0 {
            URL_SAFE_NO_PAD.encode(self.0)
        } else {
            String::new()
        };
        Cookie::build(cookie_name(urls), value)
            .path("/")
            .http_only(true)
            .same_site(SameSite::Strict)
            .secure(!urls.is_plain_loopback())
            .max_age(Duration::seconds(life_s.max(0)))
            .finish()
    }
}

/// With `__Host-` the browser itself refuses a cookie that another host of the domain, or plain http, tries to plant.
/// It asks for `Secure`, which is not to be had on plain http.
fn cookie_name(urls: &Urls) -> &'static str {
    if urls.is_plain_loopback() {
        "kura-session"
    } else {
        "__Host-kura-session"
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn sh_2_7_the_cookie_is_for_this_host_and_this_site_and_no_script() {
        let id = SessionId::fresh().unwrap();
        let https = Urls::at("https://kura.example.org/vna").unwrap();
        let cookie = id.cookie(&https, 600).to_string();
        let (pair, attributes) = cookie.split_once("; ").unwrap();
        let mut attributes: Vec<&str> = attributes.split("; ").collect();
        attributes.sort_unstable();
        assert_eq!(
            attributes,
            [
                "HttpOnly",
                "Max-Age=600",
                "Path=/",
                "SameSite=Strict",
                "Secure"
            ]
        );
        assert!(pair.starts_with("__Host-kura-session="), "{pair}");
        for (base, is_secure) in [
            ("http://127.0.0.1:8080", false),
            ("http://localhost", false),
            ("http://[::1]:80", false),
            ("http://kura.example.org", true),
            ("http://localhost.example.org", true),
            ("https://localhost", true),
        ] {
            let cookie = id.cookie(&Urls::at(base).unwrap(), 600).to_string();
            assert_eq!(cookie.contains("Secure"), is_secure, "{base}");
            assert_eq!(cookie.starts_with("__Host-"), is_secure, "{base}");
        }
        let taken_back = id.cookie(&https, 0).to_string();
        assert!(
            taken_back.starts_with("__Host-kura-session=;"),
            "{taken_back}"
        );
        assert!(taken_back.contains("Max-Age=0"), "{taken_back}");
    }

    #[test]
    fn sh_2_7_a_session_is_read_from_its_own_cookie_only() {
        let id = SessionId::fresh().unwrap();
        let urls = Urls::at("http://localhost").unwrap();
        let value = URL_SAFE_NO_PAD.encode(id.0);
        let check = |cookie: &str, expected: bool| {
            let request = TestRequest::default().insert_header(("cookie", cookie));
            let found = SessionId::of(&request.to_http_request(), &urls);
            assert_eq!(found.is_some(), expected, "{cookie}");
        };
        check(&format!("kura-session={value}"), true);
        check(&format!("a=b; kura-session={value}; c=d"), true);
        check(&format!("__Host-kura-session={value}"), false);
        check(&format!("KURA-SESSION={value}"), false);
        for other in ["", "x", &value[1..], &format!("{value}AAAA"), "a.b.c"] {
            check(&format!("kura-session={other}"), false);
        }
    }

    #[test]
    fn sh_2_7_a_change_needs_the_value_of_its_own_session() {
        let (id, other) = (SessionId::fresh().unwrap(), SessionId::fresh().unwrap());
        let check = |method: Method, values: &[&str], expected: bool| {
            let mut request = TestRequest::default().method(method.clone());
            for value in values {
                request = request.append_header((CSRF, *value));
            }
            let answer = id.check_unsafe(&request.to_http_request());
            assert_eq!(answer.is_ok(), expected, "{method} {values:?}");
        };
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            check(method.clone(), &[&id.csrf()], true);
            check(method.clone(), &[], false);
            check(method.clone(), &[""], false);
            check(method.clone(), &[&other.csrf()], false);
            check(method.clone(), &[&id.csrf(), &id.csrf()], false);
            check(method, &[&URL_SAFE_NO_PAD.encode(id.0)], false);
        }
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            check(method, &[], true);
        }
    }
}
