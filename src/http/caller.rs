//! `Caller<S>`: whoever sent a request, made into an [`Access`] that was asked for the scope `S`.
//!
//! It is the first argument of every handler that touches patient data:
//!
//! - `Caller<DicomRead>` for a call that names no object (a search, a store, a list): without the scope 403, here.
//! - `Caller<OfObject<DicomRead>>` for a call that names one: the scope is asked for by the `Catalog`, after the object
//!   was found visible (SH-3.4).
//!
//! A handler gets at it through the [`Gate`] in the application's data. Only headers and the query are read, so a refused
//! upload never sends its body (T13, A22).

use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderMap;
use actix_web::{FromRequest, HttpMessage, HttpRequest, web};
use futures::future::LocalBoxFuture;

use super::credential::{Credential, SessionId, bearer, linked};
use super::urls::{Address, Urls};
use crate::auth::{
    Access, Authenticator, LinkKey, Rejection, Scope, ScopeName, ScopeSet, Verified,
};
use crate::error::{Error, Kind, Result};
use crate::index::Index;
use crate::model::FacilityCode;

/// What it takes to let somebody in: who is believed, who is not any more, and how links are signed.
#[derive(Clone, Debug)]
pub struct Gate {
    authenticator: Authenticator,
    index: Index,
    links: LinkKey,
    address: Address,
    /// Whom all who come are taken for, where nobody brings anything.
    taken_for: Option<Fixed>,
}

/// A facility and scopes that a listener has by configuration (MINT F05).
#[derive(Clone, Debug)]
pub(super) struct Fixed {
    pub(super) facility: FacilityCode,
    pub(super) scopes: ScopeSet,
}

impl Gate {
    /// A gate that believes what `authenticator` does and asks `index` anew with each request, so that a suspension holds
    /// from the next one on. `address` tells it whether its cookies are for https.
    pub fn new(
        authenticator: Authenticator,
        index: Index,
        links: LinkKey,
        address: Address,
    ) -> Self {
        Self {
            authenticator,
            index,
            links,
            address,
            taken_for: None,
        }
    }

    /// The same for a listener at `address` that asks for nothing: whatever a request brings, it is taken for `fixed`.
    #[must_use]
    pub(super) fn unasked(&self, fixed: Fixed, address: Address) -> Self {
        Self {
            address,
            taken_for: Some(fixed),
            ..self.clone()
        }
    }

    /// The gate of the application that answers `request`.
    pub(super) fn of(request: &HttpRequest) -> Result<Arc<Self>> {
        let gate = request.app_data::<web::Data<Self>>();
        gate.map(|gate| Arc::clone(gate))
            .ok_or_else(|| Error::new(Kind::Internal, "the application has no gate"))
    }

    /// The index that sessions and the deny list are in.
    pub(super) fn index(&self) -> &Index {
        &self.index
    }

    /// What signs links.
    pub(super) fn links(&self) -> &LinkKey {
        &self.links
    }

    /// Who is believed.
    pub(super) fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    /// The addresses as the sender of `request` sees them.
    pub(super) fn urls(&self, request: &HttpRequest) -> Urls {
        Urls::of(request, &self.address)
    }

    /// The right that the token of a request gives.
    ///
    /// # Errors
    /// As the extractor [`Caller`], without the scope.
    pub(super) async fn access(&self, headers: &HeaderMap) -> Result<Arc<Access>> {
        if let Some(fixed) = &self.taken_for {
            return Ok(self.admit_fixed(fixed).await?.access);
        }
        let admitted = self.admit_token(bearer(headers)?).await?;
        Ok(admitted.access)
    }

    /// Lets the sender of `request` in.
    ///
    /// # Errors
    /// `Kind::Unauthenticated` for the first check of SH-2.2 that fails, `Kind::Forbidden` for a change under a session
    /// without its CSRF header, `Kind::Unavailable` if the database does not answer.
    async fn let_in(&self, request: &HttpRequest) -> Result<Admitted> {
        if let Some(fixed) = &self.taken_for {
            return self.admit_fixed(fixed).await;
        }
        let base = self.urls(request);
        match Credential::of(request, &base)? {
            Credential::Bearer(token) => self.admit_token(token).await,
            Credential::Link(link) => {
                let now = self.authenticator.clock().now();
                let link = self.links.read(link, &linked(request), now)?;
                let verified = self.authenticator.resume(link.who)?;
                self.admit(verified, Some(link.epoch)).await
            }
            Credential::Session(id) => {
                let admitted = self.admit_session(&id).await?;
                id.check_unsafe(request)?;
                Ok(admitted)
            }
        }
    }

    /// Lets in who reaches a listener that asks for nothing. The facility is looked up each time, so that a suspension holds
    /// from the next request on.
    async fn admit_fixed(&self, fixed: &Fixed) -> Result<Admitted> {
        let facility = self.index.facility_by_code(&fixed.facility).await?;
        let facility = facility.ok_or(Rejection::NoSuchFacility)?;
        Ok(Admitted {
            access: Arc::new(Access::at_listener(fixed.scopes, facility)?),
            verified: None,
        })
    }

    /// Lets in who brings an access token.
    pub(super) async fn admit_token(&self, token: &str) -> Result<Admitted> {
        let verified = self.authenticator.verify(token).await?;
        self.admit(verified, None).await
    }

    /// Lets in who has a session.
    pub(super) async fn admit_session(&self, id: &SessionId) -> Result<Admitted> {
        let kept = self.index.session(&id.digest()).await?;
        let verified = self.authenticator.resume(kept.ok_or(Rejection::Session)?)?;
        self.admit(verified, None).await
    }

    /// The right that verified claims give, if they still count; those of a link only while the epoch of rights is that of
    /// the link.
    async fn admit(&self, verified: Verified, epoch: Option<i64>) -> Result<Admitted> {
        let standing = self.index.standing(&verified).await?;
        if epoch.is_some_and(|epoch| epoch != standing.acl_epoch()) {
            return Err(Rejection::OtherEpoch.into());
        }
        let facility = standing.admits(&verified)?;
        Ok(Admitted {
            access: Arc::new(Access::from_verified(&verified, facility)?),
            verified: Some(Arc::new(verified)),
        })
    }
}

/// Somebody who was let in: the right, and the claims it was made from, if it was.
#[derive(Clone, Debug)]
pub(super) struct Admitted {
    access: Arc<Access>,
    verified: Option<Arc<Verified>>,
}

impl Admitted {
    /// The claims that the right was made from.
    ///
    /// # Errors
    /// `Kind::Forbidden` where there are none, because the right is a listener's.
    pub(super) fn verified(&self) -> Result<&Verified> {
        self.verified
            .as_deref()
            .ok_or_else(|| Error::new(Kind::Forbidden, "this needs a sign-in"))
    }
}

/// Somebody who was let in, with the scope `S` asked for at the right moment.
#[derive(Debug)]
pub struct Caller<S> {
    admitted: Admitted,
    scope: PhantomData<S>,
}

impl<S> Caller<S> {
    /// The right itself, for a stream that outlives the handler.
    pub fn access(&self) -> Arc<Access> {
        Arc::clone(&self.admitted.access)
    }

    /// The claims that the right was made from.
    ///
    /// # Errors
    /// `Kind::Forbidden` where there are none.
    pub fn verified(&self) -> Result<&Verified> {
        self.admitted.verified()
    }
}

impl<S> Deref for Caller<S> {
    type Target = Access;

    fn deref(&self) -> &Access {
        &self.admitted.access
    }
}

impl<S: ScopeName + 'static> FromRequest for Caller<S> {
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let admitted = Gate::of(&request)?.let_in(&request).await?;
            // Whoever logs the request finds there what was handed out.
            let access = Arc::clone(&admitted.access);
            request.extensions_mut().insert(access);
            if !S::OF_OBJECT {
                ask(&admitted.access, S::SCOPE)?;
            }
            Ok(Self {
                admitted,
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

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::test::{TestRequest, call_service, init_service};
    use actix_web::{App, HttpResponse};
    use serde_json::{Value, json};
    use tempfile::TempDir;

    use super::*;
    use crate::auth::{DicomRead, DicomWrite, LocalKey, OfObject};
    use crate::model::{Clock, FacilityCode, FacilityKind, Timestamp};

    const NOW_S: i64 = 1_767_225_600;

    struct AuditReadAll;

    impl ScopeName for AuditReadAll {
        const SCOPE: Scope = Scope::AuditReadAll;
    }

    async fn gate(folder: &TempDir, key: &LocalKey) -> web::Data<Gate> {
        let clock = Clock::fixed(Timestamp(NOW_S * 1_000_000));
        let url = format!("sqlite://{}/kura.db?mode=rwc", folder.path().display());
        let index = Index::open(&url, clock.clone()).await.unwrap();
        index.migrate().await.unwrap();
        let code = FacilityCode::parse("F012").unwrap();
        let added = index.add_facility(&code, "", FacilityKind::Member, &[]);
        added.await.unwrap();
        let authenticator = Authenticator::new(vec![key.issuer()], clock);
        let address = Address::default();
        web::Data::new(Gate::new(authenticator, index, LinkKey::new(key), address))
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
        let claims = json!({
            "iss": "kura:local", "aud": "kura", "sub": "hanako", "iat": NOW_S, "exp": NOW_S + 60,
            "scope": scope, "kura": {"fac": facility, "patient": patient}
        });
        let token = key.sign(&claims).unwrap();
        let app = App::new()
            .app_data(gate(&folder, &key).await)
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
        assert_eq!(status("F999", "dicom.read", "/search", BEARER).await, 401);
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
