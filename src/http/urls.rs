//! Own URLs: the one function behind `RetrieveURL`, BulkDataURI, Content-Location, Location, Warning and Link (A30, A31).
//!
//! The base is configured, else told by a trusted proxy, else what the client called us. A base told by a client is its own
//! problem only as long as it is a base: nothing but a scheme, an authority and a plain path passes.
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{FORWARDED, HOST, HeaderName};
use actix_web::middleware::Next;
use actix_web::{HttpMessage as _, HttpRequest};
use serde::{Deserialize, Serialize};

use super::media_type::split;
use crate::dicom::query::Query;
use crate::error::{Error, Result};
use crate::model::{InstancePath, JobId, Level, SeriesPath, StudyPath};

/// The longest base, in bytes: it stands in the headers of every part (F23).
const LONGEST_BASE: usize = 255;

/// Where requests reach us, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    /// The public base, which wins over everything a request says.
    pub base: Option<Urls>,
    /// Whether all requests come through a proxy that sets `Forwarded` or `X-Forwarded-*`, and drops those of clients.
    pub behind_proxy: bool,
    /// How metadata link to bulk data.
    pub bulk_links: BulkLinks,
    /// Whether it is that of a legacy listener, which has MINT elsewhere and nothing else.
    pub is_legacy: bool,
}

/// How metadata link to bulk data (J41).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BulkLinks {
    /// By whole URLs.
    #[default]
    Absolute,
    /// By references that are resolved against the URL of the metadata (RFC 3986 5), for proxies that tell nothing.
    Relative,
}

/// The path of a request ended in so many slashes, which are taken off before it is routed (R30).
#[derive(Clone, Copy, Debug)]
struct TrailingSlashes(usize);

/// Notes the slashes at the end of a path, before they are taken off: relative references are resolved against the path that
/// the client knows.
pub(super) async fn note_slashes<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let path = request.path();
    let count = path.len().saturating_sub(path.trim_end_matches('/').len());
    if count > 0 {
        request.extensions_mut().insert(TrailingSlashes(count));
    }
    next.call(request).await
}

/// Whether the path of a request ended in a slash.
pub fn ends_in_slash(request: &HttpRequest) -> bool {
    request.extensions().get::<TrailingSlashes>().is_some()
}

/// What leads from the address of a request back to the resource beside which its path without a slash at its end lies: the
/// beginning of a relative reference. `None` where no client means what it asks.
pub fn up_from(request: &HttpRequest) -> Option<&'static str> {
    let slashes = request.extensions().get::<TrailingSlashes>().copied();
    match slashes.map_or(0, |TrailingSlashes(count)| count) {
        0 => Some(""),
        1 => Some("../"),
        _ => None,
    }
}

/// The URLs of our resources under one base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Urls {
    /// Scheme, authority and path prefix, without a slash at the end.
    base: String,
    /// Where MINT lies below it.
    mint: &'static str,
}

/// Where MINT lies for whoever brings a token.
const MINT: &str = "/mint";

/// Where its reference server has it: clients of old know no other path (MINT F05).
pub const LEGACY_MINT: &str = "/MINTServer";

impl Urls {
    /// The URLs under a configured base such as `https://pacs.example/vna`.
    ///
    /// # Errors
    /// `Kind::Invalid` if it is not `http` or `https`, an authority and a plain path.
    pub fn at(base: &str) -> Result<Self> {
        let parts = base
            .split_once("://")
            .map(|(scheme, rest)| (scheme, rest.split_at(rest.find('/').unwrap_or(rest.len()))));
        parts
            .and_then(|(scheme, (authority, prefix))| Self::of_parts(scheme, authority, prefix))
            .ok_or_else(|| {
                Error::invalid("the public base URL is http or https, a host, and perhaps a path")
            })
    }

    /// The URLs that the sender of `request` can use.
    pub fn of(request: &HttpRequest, address: &Address) -> Self {
        if let Some(base) = &address.base {
            return base.clone();
        }
        let own_scheme = if request.app_config().secure() {
            "https"
        } else {
            "http"
        };
        let host = header(request, &HOST)
            .map(str::to_owned)
            .or_else(|| request.uri().authority().map(ToString::to_string))
            .unwrap_or_default();
        let host = with_own_port(host, request.app_config().local_addr().port());
        let told = address.behind_proxy.then(|| Told::by(request));
        let told = told.unwrap_or_default();
        let scheme = told.scheme.unwrap_or(own_scheme);
        let prefix = told.prefix.unwrap_or_default();
        let urls = Self::of_parts(scheme, told.host.unwrap_or(&host), prefix)
            .or_else(|| Self::of_parts(own_scheme, &host, ""))
            .or_else(|| Self::of_parts(own_scheme, request.app_config().host(), ""))
            .unwrap_or_else(|| Self {
                base: format!("{own_scheme}://localhost"),
                mint: MINT,
            });
        let mint = if address.is_legacy { LEGACY_MINT } else { MINT };
        Self { mint, ..urls }
    }

    fn of_parts(scheme: &str, authority: &str, prefix: &str) -> Option<Self> {
        let prefix = prefix.trim_end_matches('/');
        let fits =
            matches!(scheme, "http" | "https") && is_authority(authority) && is_plain_path(prefix);
        let base = format!("{scheme}://{authority}{prefix}");
        let mint = MINT;
        (fits && base.len() <= LONGEST_BASE).then_some(Self { base, mint })
    }

    /// Whether the base is plain http on this machine, where no cookie can be `Secure`.
    pub fn is_plain_loopback(&self) -> bool {
        let Some(rest) = self.base.strip_prefix("http://") else {
            return false;
        };
        let authority = rest.split('/').next().unwrap_or_default();
        let host = match authority.strip_prefix('[') {
            Some(literal) => literal.split(']').next().unwrap_or_default(),
            None => authority.split(':').next().unwrap_or_default(),
        };
        let address = host.parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// The base, without a slash at the end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The DICOMweb root.
    pub fn root(&self) -> String {
        format!("{}/dicomweb", self.base)
    }

    /// The MINT root.
    pub fn mint(&self) -> String {
        format!("{}{}", self.base, self.mint)
    }

    /// A study.
    pub fn study(&self, at: &StudyPath) -> String {
        format!("{}/dicomweb/studies/{}", self.base, at.study)
    }

    /// A series.
    pub fn series(&self, at: &SeriesPath) -> String {
        format!(
            "{}/dicomweb/studies/{}/series/{}",
            self.base, at.study, at.series
        )
    }

    /// An instance.
    pub fn instance(&self, at: &InstancePath) -> String {
        format!(
            "{}/dicomweb/studies/{}/series/{}/instances/{}",
            self.base, at.study, at.series, at.instance
        )
    }

    /// Work that was asked for.
    pub fn operation(&self, id: JobId) -> String {
        format!("{}/dicomweb/operations/{id}", self.base)
    }

    /// The resource that a search is made at.
    pub fn search(&self, query: &Query) -> String {
        let level = match query.level {
            Level::Study => "studies",
            Level::Series => "series",
            Level::Instance => "instances",
        };
        match (query.study.clone(), query.series.clone()) {
            (Some(study), Some(series)) => {
                format!("{}/{level}", self.series(&SeriesPath { study, series }))
            }
            (Some(study), None) => format!("{}/{level}", self.study(&StudyPath { study })),
            (None, _) => format!("{}/{level}", self.root()),
        }
    }

    /// One frame of an instance, counted from 1 (F28).
    pub fn frame(&self, at: &InstancePath, frame_number: u32) -> String {
        format!("{}/frames/{frame_number}", self.instance(at))
    }

    /// A bulk value of an instance; `path` is the path of its element, made of tags and item numbers.
    pub fn bulkdata(&self, at: &InstancePath, path: &str) -> String {
        format!("{}/bulkdata/{path}", self.instance(at))
    }
}

/// What a proxy tells about the client's side of it.
#[derive(Debug, Default)]
struct Told<'a> {
    scheme: Option<&'a str>,
    host: Option<&'a str>,
    prefix: Option<&'a str>,
}

impl<'a> Told<'a> {
    /// `Forwarded` (RFC 7239), else `X-Forwarded-*`. The first element is the proxy next to the client.
    fn by(request: &'a HttpRequest) -> Self {
        let named = |name: &'static str| {
            let value = header(request, &HeaderName::from_static(name))?;
            value.split(',').next().map(str::trim)
        };
        let prefix = named("x-forwarded-prefix");
        let first =
            header(request, &FORWARDED).and_then(|value| split(value, ',').first().copied());
        let Some(element) = first else {
            return Self {
                scheme: named("x-forwarded-proto"),
                host: named("x-forwarded-host"),
                prefix,
            };
        };
        let parameter = |wanted: &str| {
            element.split(';').find_map(|pair| {
                let (name, value) = pair.split_once('=')?;
                let is_it = name.trim().eq_ignore_ascii_case(wanted);
                is_it.then(|| value.trim().trim_matches('"'))
            })
        };
        Self {
            scheme: parameter("proto"),
            host: parameter("host"),
            prefix,
        }
    }
}

fn header<'a>(request: &'a HttpRequest, name: &HeaderName) -> Option<&'a str> {
    request.headers().get(name)?.to_str().ok()
}

/// Whether a text is a host with perhaps a port, and nothing that could end the authority.
fn is_authority(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b))
}

/// Whether a text is empty or an absolute path without escapes, dots and double slashes.
fn is_plain_path(text: &str) -> bool {
    let is_step = |step: &str| {
        !step.is_empty()
            && step.bytes().any(|b| b != b'.')
            && step
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b".-_~".contains(&b))
    };
    text.is_empty()
        || text
            .strip_prefix('/')
            .is_some_and(|path| path.split('/').all(is_step))
}

/// The Python dicomweb-client sends a Host without its port. On the machine itself nobody stands between, so the port is ours.
fn with_own_port(host: String, port: u16) -> String {
    if matches!(host.as_str(), "127.0.0.1" | "localhost" | "[::1]") {
        format!("{host}:{port}")
    } else {
        host
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::model::{SeriesUid, SopInstanceUid, StudyUid};

    fn check(headers: &[(&'static str, &str)], behind_proxy: bool, expected: &str) {
        let mut request = TestRequest::default();
        for header in headers {
            request = request.insert_header(*header);
        }
        let address = Address {
            base: None,
            behind_proxy,
            ..Address::default()
        };
        let urls = Urls::of(&request.to_http_request(), &address);
        assert_eq!(urls.base(), expected, "{headers:?}");
    }

    #[test]
    fn a30_on_the_machine_itself_a_host_without_port_gets_ours() {
        assert_eq!(
            with_own_port("127.0.0.1".to_owned(), 8080),
            "127.0.0.1:8080"
        );
        assert_eq!(
            with_own_port("localhost".to_owned(), 8080),
            "localhost:8080"
        );
        assert_eq!(
            with_own_port("localhost:80".to_owned(), 8080),
            "localhost:80"
        );
        assert_eq!(
            with_own_port("pacs.example".to_owned(), 8080),
            "pacs.example"
        );
    }

    #[test]
    fn a30_a_configured_base_wins() {
        let request = TestRequest::default().insert_header(("Host", "other"));
        let address = Address {
            base: Urls::at("https://pacs.example/vna/").ok(),
            behind_proxy: true,
            ..Address::default()
        };
        let urls = Urls::of(&request.to_http_request(), &address);
        assert_eq!(urls.root(), "https://pacs.example/vna/dicomweb");
    }

    #[test]
    fn a30_a_base_is_scheme_host_and_plain_path() {
        for base in ["http://a", "https://a.example:8443/x/y", "http://[::1]:80/"] {
            assert!(Urls::at(base).is_ok(), "{base}");
        }
        for base in [
            "",
            "a.example",
            "ftp://a",
            "http://",
            "http:///x",
            "http://a/x?y",
            "http://a/../b",
            "http://u@a",
            "http://a b",
            "http://a//b",
            "http://a/\"",
            "javascript://a",
            "http://あ",
        ] {
            assert!(Urls::at(base).is_err(), "{base}");
        }
    }

    #[test]
    fn a30_proxies_are_believed_only_when_trusted() {
        let forwarded = "for=1.2.3.4;proto=https;host=\"pacs.example:8443\", host=inner";
        let both = [("Host", "inner"), ("Forwarded", forwarded)];
        check(&both, true, "https://pacs.example:8443");
        check(&both, false, "http://inner");
        let x = [
            ("Host", "inner"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "pacs.example, inner"),
            ("X-Forwarded-Prefix", "/vna/"),
        ];
        check(&x, true, "https://pacs.example/vna");
        check(&x, false, "http://inner");
        check(&x[..2], true, "https://inner");
    }

    #[test]
    fn a30_else_the_host_of_the_request_if_it_is_one() {
        check(
            &[("Host", "127.0.0.1:8080")],
            false,
            "http://127.0.0.1:8080",
        );
        for host in ["a/b", "u@a", "a\"b", "", "a b", "a?b", "..."] {
            check(&[("Host", host)], false, "http://localhost:8080");
        }
        let proto = [("Host", "a"), ("X-Forwarded-Proto", "javascript")];
        check(&proto, true, "http://a");
    }

    #[test]
    fn a31_every_resource_stands_under_the_base() {
        let urls = Urls::at("http://h").unwrap();
        let study = StudyUid::parse("1.2").unwrap();
        let series = SeriesUid::parse("1.3").unwrap();
        let at = InstancePath {
            study: study.clone(),
            series: series.clone(),
            instance: SopInstanceUid::parse("1.4").unwrap(),
        };
        let instance = "http://h/dicomweb/studies/1.2/series/1.3/instances/1.4";
        assert_eq!(urls.instance(&at), instance);
        assert_eq!(urls.frame(&at, 3), format!("{instance}/frames/3"));
        assert_eq!(
            urls.bulkdata(&at, "7FE00010"),
            format!("{instance}/bulkdata/7FE00010")
        );
        assert_eq!(
            urls.series(&SeriesPath {
                study: study.clone(),
                series
            }),
            "http://h/dicomweb/studies/1.2/series/1.3"
        );
        assert_eq!(
            urls.study(&StudyPath { study }),
            "http://h/dicomweb/studies/1.2"
        );
    }
}
