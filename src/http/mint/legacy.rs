//! The legacy listener (MINT F05): clients of old know neither TLS nor tokens, nor another path than `/MINTServer`. It has an
//! address of its own for one facility, and nothing but MINT lies there.
//!
//! Whom it serves is decided by where a connection comes from, so it guards against those who borrow a place in an allowed
//! network: pages in a browser there. They betray themselves by `Origin`, or, where a name of theirs was made to point here,
//! by a `Host` that is none of ours (docs/decisions/0033).

use std::iter;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HOST, ORIGIN};
use actix_web::middleware::{Next, NormalizePath, from_fn};
use actix_web::{App, ResponseError as _, web};
use ipnet::IpNet;
use utoipa_actix_web::AppExt as _;
use utoipa_actix_web::scope::scope;

use crate::auth::ScopeSet;
use crate::error::{Error, Kind, Result};
use crate::http::caller::{Fixed, Gate};
use crate::http::urls::{self, Address, LEGACY_MINT};
use crate::http::{Kura, compress, conditional, limits, log, methods, openapi, problem};
use crate::model::FacilityCode;

/// What an operator says about one such listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Legacy {
    /// The facility that everybody there acts for.
    pub facility: FacilityCode,
    /// The networks that connections may come from.
    pub networks: Vec<IpNet>,
    /// What everybody there may do.
    pub scopes: ScopeSet,
    /// Names that clients may call it by, in small letters; its addresses and `localhost` always do.
    pub names: Vec<String>,
}

impl Legacy {
    /// Whether a connection from `address` is taken.
    pub fn lets_in(&self, address: IpAddr) -> bool {
        // A socket for both families shows IPv4 as IPv6.
        let address = address.to_canonical();
        self.networks.iter().any(|net| net.contains(&address))
    }

    /// The gate that takes everybody for the facility.
    pub(in crate::http) fn gate(&self, gate: &Gate) -> Gate {
        let fixed = Fixed {
            facility: self.facility.clone(),
            scopes: self.scopes,
        };
        gate.unasked(fixed, Self::address())
    }

    /// Where it lies, as its callers see it: nobody stands between that could tell otherwise.
    pub(in crate::http) fn address() -> Address {
        Address {
            is_legacy: true,
            ..Address::default()
        }
    }

    /// Whether clients may call it by `authority`, which is a host and perhaps a port.
    fn is_called(&self, authority: &str) -> bool {
        let host = match authority.strip_prefix('[') {
            Some(literal) => {
                let literal = literal.split(']').next().unwrap_or_default();
                return literal.parse::<Ipv6Addr>().is_ok();
            }
            None => authority.split(':').next().unwrap_or_default(),
        };
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        host == "localhost" || host.parse::<IpAddr>().is_ok() || self.names.contains(&host)
    }

    /// Refuses what a page in a browser sends, and what was meant for another server.
    fn check(&self, request: &ServiceRequest) -> Result<()> {
        let headers = request.headers();
        if headers.contains_key(ORIGIN) {
            let detail = "pages of other origins are not served here";
            return Err(Error::new(Kind::Forbidden, detail));
        }
        let told = headers.get_all(HOST).map(|host| host.to_str().ok());
        let aimed = request.uri().authority().map(|it| Some(it.as_str()));
        let mut hosts = told.chain(aimed);
        if hosts.all(|host| host.is_some_and(|host| self.is_called(host))) {
            return Ok(());
        }
        let detail =
            "this server is not known by the name that was used: take its address, or set `names`";
        Err(Error::new(Kind::Forbidden, detail))
    }
}

/// The application of a legacy listener: MINT 1 and what lies beside it in a study, and no other route.
pub(in crate::http) fn app(
    state: Kura,
    gate: web::Data<Gate>,
    legacy: Arc<Legacy>,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    let (app, document) = App::new()
        .into_utoipa_app()
        .service(scope(LEGACY_MINT).configure(super::studies))
        .split_for_parts();
    let allowed = openapi::Allowed::of(&document, iter::once(LEGACY_MINT));
    let guard = from_fn(move |request, next| guarded(Arc::clone(&legacy), request, next));
    app.app_data(state)
        .app_data(gate)
        .app_data(web::Data::new(allowed))
        .default_service(web::to(openapi::no_such_route))
        .wrap(from_fn(compress::answer))
        .wrap(from_fn(conditional::answer))
        .wrap(from_fn(methods::answer))
        .wrap(NormalizePath::trim())
        .wrap(from_fn(urls::note_slashes))
        .wrap(guard)
        .wrap(from_fn(limits::keep))
        .wrap(from_fn(problem::finish))
        .wrap(from_fn(log::request))
}

async fn guarded<B: MessageBody + 'static>(
    legacy: Arc<Legacy>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    if let Err(error) = legacy.check(&request) {
        let refusal = error.error_response();
        return Ok(request.into_response(refusal).map_into_right_body());
    }
    Ok(next.call(request).await?.map_into_left_body())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;
    use crate::auth::Scope;

    fn legacy(networks: &[&str]) -> Legacy {
        Legacy {
            facility: FacilityCode::parse("F001").unwrap(),
            networks: networks.iter().map(|net| net.parse().unwrap()).collect(),
            scopes: ScopeSet::NONE.with(Scope::DicomRead),
            names: vec!["mint.example".to_owned()],
        }
    }

    #[test]
    fn mint_f05_a_connection_comes_from_a_network_or_is_not_taken() {
        let legacy = legacy(&["127.0.0.0/8", "10.1.0.0/16", "fd00::/64"]);
        let check = |address: &str, expected: bool| {
            assert_eq!(
                legacy.lets_in(address.parse().unwrap()),
                expected,
                "{address}"
            );
        };
        check("127.0.0.1", true);
        check("::ffff:127.0.0.1", true);
        check("::ffff:10.1.255.255", true);
        check("10.2.0.0", false);
        check("::1", false);
        check("fd00::1", true);
        check("fd00:0:0:1::1", false);
    }

    #[test]
    fn mint_f05_a_page_in_a_browser_is_refused() {
        let legacy = legacy(&[]);
        let check = |headers: &[(&str, &str)], expected: bool| {
            let mut request = TestRequest::get();
            for (name, value) in headers {
                request = request.append_header((*name, *value));
            }
            let found = legacy.check(&request.to_srv_request());
            assert_eq!(found.is_ok(), expected, "{headers:?}");
        };
        // HTTP/1.0 has no Host.
        check(&[], true);
        for host in [
            "127.0.0.1",
            "127.0.0.1:8082",
            "[::1]:8082",
            "localhost:1",
            "MINT.example:8082",
            "mint.example.",
        ] {
            check(&[("Host", host)], true);
            check(&[("Host", host), ("Origin", "null")], false);
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "mint.example.evil.example",
            "[evil]",
            "localhost.evil.example:80",
        ] {
            check(&[("Host", host)], false);
        }
        check(&[("Host", "localhost"), ("Host", "evil.example")], false);
    }
}
