//! `Caller<S>`: the access token of a request, made into an [`Access`] that was asked for the scope `S`.
//!
//! It is the first argument of every handler that touches patient data:
//!
//! - `Caller<DicomRead>` for a call that names no object (a search, a store, a list): without the scope 403, here.
//! - `Caller<OfObject<DicomRead>>` for a call that names one: the scope is asked for by the `Catalog`, after the object
//!   was found visible (SH-3.4).
//!
//! A handler gets at it through the [`Gate`] in the application's data. Only the header is read, so a refused upload never
//! sends its body (T13, A22).

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures::future::{BoxFuture, LocalBoxFuture};

use crate::auth::{Access, Authenticator, Rejection, Scope, ScopeName, Verified};
use crate::error::{Error, Kind, Result};
use crate::model::{Facility, FacilityCode};

/// Finds a facility by its code; `None` if there is none.
pub type FacilityLookup =
    Arc<dyn Fn(FacilityCode) -> BoxFuture<'static, Result<Option<Facility>>> + Send + Sync>;

/// What it takes to let somebody in: who is believed, and which facilities there are.
pub struct Gate {
    authenticator: Authenticator,
    facilities: FacilityLookup,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("authenticator", &self.authenticator)
            .finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate that believes what `authenticator` does and asks `facilities` anew for each request, so that a suspension
    /// holds from the next one on.
    pub fn new(authenticator: Authenticator, facilities: FacilityLookup) -> Self {
        Self {
            authenticator,
            facilities,
        }
    }

    /// The right that a verified token gives.
    ///
    /// # Errors
    /// `Kind::Unauthenticated` if the facility is unknown or not active, or the token asks for what is not offered; the
    /// look-up's own failures.
    async fn admit(&self, verified: &Verified) -> Result<Access> {
        let facility = (self.facilities)(verified.facility().clone()).await?;
        let facility = facility.ok_or(Rejection::NoSuchFacility)?;
        Ok(Access::from_verified(verified, facility)?)
    }
}

/// Somebody whose token was verified, with the scope `S` asked for at the right moment.
#[derive(Debug)]
pub struct Caller<S> {
    access: Arc<Access>,
    scope: PhantomData<S>,
}

impl<S> Caller<S> {
    /// The right itself, for a stream that outlives the handler.
    pub fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access)
    }
}

impl<S> Deref for Caller<S> {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.access
    }
}

impl<S: ScopeName + 'static> FromRequest for Caller<S> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let gate = request.app_data::<web::Data<Gate>>().cloned();
        let Some(gate) = gate else {
            let missing = Error::new(Kind::Internal, "the application has no gate");
            return Box::pin(async { Err(missing) });
        };
        let request = request.clone();
        let verified = bearer(request.headers()).and_then(|b| gate.authenticator.verify(b));
        Box::pin(async move {
            let access = Arc::new(gate.admit(&verified?).await?);
            // Whoever logs the request finds there what was handed out.
            request.extensions_mut().insert(Arc::clone(&access));
            if !S::OF_OBJECT {
                ask(&access, S::SCOPE)?;
            }
            Ok(Self {
                access,
                scope: PhantomData,
            })
        })
    }
}

/// Refuses a call that names no object and lacks its scope: 403, but on the administrative surface 404, so that nobody
/// else can map it (SH-2.5).
fn ask(access: &Access, scope: Scope) -> Result<()> {
    if access.allows(scope) {
        return Ok(());
    }
    if scope.is_administrative() && !access.is_administrative() {
        return Err(Error::not_found());
    }
    let detail = format!("the token lacks the scope {}", scope.as_str());
    Err(Error::new(Kind::Forbidden, detail))
}

/// The token of `Authorization: Bearer …`. No other place is looked at: not the query string, not a cookie (SH-2.7, A21).
fn bearer(headers: &HeaderMap) -> Result<&str, Rejection> {
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

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpResponse};
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::auth::{DicomRead, DicomWrite, LocalKey, OfObject};
    use crate::model::{Clock, FacilityId, FacilityKind, FacilityState, Timestamp};

    const NOW_S: i64 = 1_767_225_600;

    struct AuditReadAll;

    impl ScopeName for AuditReadAll {
        const SCOPE: Scope = Scope::AuditReadAll;
    }

    fn gate(key: &LocalKey, clock: &Clock) -> web::Data<Gate> {
        let facilities: FacilityLookup = Arc::new(|code: FacilityCode| {
            let state = match code.as_str() {
                "F012" => Some(FacilityState::Active),
                "F020" => Some(FacilityState::Suspended),
                "F021" => Some(FacilityState::Closed),
                _ => None,
            };
            let facility = state.map(|state| Facility {
                id: FacilityId(Uuid::nil()),
                name: String::new(),
                kind: FacilityKind::Member,
                code,
                state,
                policy: Arc::default(),
            });
            Box::pin(async move { Ok(facility) })
        });
        let authenticator = Authenticator::new(vec![key.issuer()], clock.clone());
        web::Data::new(Gate::new(authenticator, facilities))
    }

    async fn who<S>(caller: Caller<S>) -> HttpResponse {
        HttpResponse::Ok().body(caller.subject().to_owned())
    }

    /// The status of a call with these headers, in which `TOKEN` stands for a token with this facility and scope.
    async fn status(
        facility: &str,
        scope: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> StatusCode {
        answer(facility, &Value::Null, scope, path, headers).await
    }

    async fn answer(
        facility: &str,
        patient: &Value,
        scope: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> StatusCode {
        let folder = tempfile::tempdir().unwrap();
        let key = LocalKey::load_or_create(&folder.path().join("key.pem")).unwrap();
        let clock = Clock::fixed(Timestamp(NOW_S * 1_000_000));
        let claims = json!({
            "iss": "kura:local", "aud": "kura", "sub": "hanako", "iat": NOW_S, "exp": NOW_S + 60,
            "scope": scope, "kura": {"fac": facility, "patient": patient}
        });
        let token = key.sign(&claims).unwrap();
        let app = App::new()
            .app_data(gate(&key, &clock))
            .route("/search", web::get().to(who::<DicomRead>))
            .route("/store", web::get().to(who::<DicomWrite>))
            .route("/object", web::get().to(who::<OfObject<DicomRead>>))
            .route("/audit", web::get().to(who::<AuditReadAll>));
        let app = init_service(app).await;
        let mut request = TestRequest::get().uri(&path.replace("TOKEN", &token));
        for (name, value) in headers {
            request = request.append_header((*name, value.replace("TOKEN", &token)));
        }
        call_service(&app, request.to_request()).await.status()
    }

    const BEARER: &[(&str, &str)] = &[("Authorization", "Bearer TOKEN")];

    #[actix_web::test]
    async fn a_verified_token_of_an_active_facility_gets_in() {
        assert_eq!(status("F012", "dicom.read", "/search", BEARER).await, 200);
        let small = &[("authorization", "bearer  TOKEN")];
        assert_eq!(status("F012", "dicom.read", "/search", small).await, 200);
        for facility in ["F020", "F021", "F999"] {
            assert_eq!(
                status(facility, "dicom.read", "/search", BEARER).await,
                401,
                "{facility}"
            );
        }
    }

    #[actix_web::test]
    async fn a_token_for_one_patient_is_refused_while_nothing_can_hold_it_to_that_patient() {
        for scope in ["dicom.read", "patient/ImagingStudy.rs"] {
            let found = answer("F012", &json!("12345"), scope, "/search", BEARER).await;
            assert_eq!(found, 401, "{scope}");
        }
        let without = status("F012", "patient/ImagingStudy.rs", "/search", BEARER).await;
        assert_eq!(without, 403);
    }

    #[actix_web::test]
    async fn a4_a_token_is_read_from_the_header_only() {
        for path in [
            "/search?access_token=TOKEN",
            "/search?token=TOKEN",
            "/search?Authorization=Bearer+TOKEN",
        ] {
            assert_eq!(status("F012", "dicom.read", path, &[]).await, 401, "{path}");
        }
        for headers in [
            [("Cookie", "access_token=TOKEN")],
            [("Authorization", "Basic TOKEN")],
            [("Authorization", "TOKEN")],
            [("Authorization", "Bearer")],
            [("Authorization", "Bearer TOKEN TOKEN")],
            [("Authorization", "Bearer 鍵")],
        ] {
            assert_eq!(
                status("F012", "dicom.read", "/search", &headers).await,
                401,
                "{headers:?}"
            );
        }
        let twice = [BEARER[0], BEARER[0]];
        assert_eq!(status("F012", "dicom.read", "/search", &twice).await, 401);
    }

    #[actix_web::test]
    async fn sh_3_4_a_missing_scope_is_403_where_no_object_is_named() {
        assert_eq!(status("F012", "report.read", "/search", BEARER).await, 403);
        assert_eq!(status("F012", "dicom.read", "/store", BEARER).await, 403);
        assert_eq!(status("F012", "dicom.write", "/store", BEARER).await, 200);
        assert_eq!(status("F012", "report.read", "/object", BEARER).await, 200);
    }

    #[actix_web::test]
    async fn sh_2_5_the_administrative_surface_is_not_there_for_others() {
        assert_eq!(
            status("F012", "audit.read.all", "/audit", BEARER).await,
            200
        );
        assert_eq!(
            status("F012", "audit.read.own", "/audit", BEARER).await,
            403
        );
        assert_eq!(status("F012", "dicom.read", "/audit", BEARER).await, 404);
    }
}
