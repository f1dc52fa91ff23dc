//! Sessions of the portal, and revocation (sharing.md 2.2 step 7, 2.7, 14).

use actix_web::http::header::CACHE_CONTROL;
use actix_web::{HttpRequest, HttpResponse, delete, post, web};
use serde::Deserialize;
use utoipa::ToSchema;

use super::body;
use crate::auth::AdminToken;
use crate::auth::Rejection;
use crate::auth::keys::LOCAL_MAX_LIFE_S;
use crate::auth::token::{LEEWAY_S, MAX_NAME_BYTES};
use crate::error::{Error, Kind, Result};
use crate::http::caller::{Caller, Gate};
use crate::http::credential::{CSRF, SessionId, bearer};
use crate::http::dicomweb::shapes::Refused;
use crate::index::identity::Verdict;
use crate::model::Timestamp;

/// Exchange an access token for a session.
///
/// The answer sets an HTTP-only cookie of this site that stands for the token, for as long as the token lives, and gives in
/// `X-Kura-CSRF` the value that every change under the session has to send in a header of the same name. Only
/// `Authorization` is read: a session makes no other.
#[utoipa::path(
    tag = "sign-in",
    operation_id = "createSession",
    responses(
        (status = 204, description = "signed in", headers(
            ("Set-Cookie" = String, description = "the session"),
            ("X-Kura-CSRF" = String, description = "to be sent with every change under the session")
        )),
        Refused
    ),
    security(("bearer" = []))
)]
#[post("/auth/session")]
pub(crate) async fn create_session(request: HttpRequest) -> Result<HttpResponse> {
    let gate = Gate::of(&request)?;
    let admitted = gate.admit_token(bearer(request.headers())?).await?;
    let id = SessionId::fresh()?;
    gate.index()
        .open_session(&id.digest(), admitted.verified()?)
        .await?;
    let now_s = gate.authenticator().clock().now().seconds();
    let life_s = admitted.verified()?.expires_at_s().saturating_sub(now_s);
    Ok(HttpResponse::NoContent()
        .cookie(id.cookie(&gate.urls(&request), life_s))
        .insert_header((CSRF, id.csrf()))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish())
}

/// End a session.
///
/// The cookie names it, and `X-Kura-CSRF` has to be its value; `Authorization` is not looked at.
#[utoipa::path(
    tag = "sign-in",
    operation_id = "deleteSession",
    params(("X-Kura-CSRF" = String, Header, description = "the value that the sign-in gave")),
    responses((status = 204, description = "signed out"), Refused),
    security(("session" = []))
)]
#[delete("/auth/session")]
pub(crate) async fn delete_session(request: HttpRequest) -> Result<HttpResponse> {
    let gate = Gate::of(&request)?;
    let urls = gate.urls(&request);
    let id = SessionId::of(&request, &urls).ok_or(Rejection::Absent)?;
    gate.admit_session(&id).await?;
    id.check_unsafe(&request)?;
    gate.index().close_session(&id.digest()).await?;
    Ok(HttpResponse::NoContent()
        .cookie(id.cookie(&urls, 0))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish())
}

/// What is taken back; each of them from the next request on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) enum Revocation {
    /// One access token, with the session and the links made from it.
    DenyToken(DeniedToken),
    /// Every token, session and link of a subject that there is now. It may sign in again.
    SignOut(Subject),
    /// The same, and no new one counts either.
    Suspend(Subject),
    /// A suspension is over. What was issued before stays refused.
    Unsuspend(Subject),
}

/// A token, by the claims it has.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeniedToken {
    /// `jti` of the token.
    jti: String,
    /// `exp` of the token, in seconds since 1970.
    exp: i64,
}

/// A subject, as its tokens name it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Subject {
    /// `iss` of its tokens.
    issuer: String,
    /// `sub` of its tokens.
    subject: String,
}

/// Take back a token, or all of a subject.
#[utoipa::path(
    tag = "sign-in",
    operation_id = "revoke",
    request_body = Revocation,
    responses((status = 204, description = "it counts no more"), Refused),
    security(("bearer" = []))
)]
#[post("/auth/revoke")]
pub(crate) async fn revoke(
    caller: Caller<AdminToken>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let gate = Gate::of(&request)?;
    let index = gate.index();
    let (what, of, verdict) = match body::json(&request, payload).await? {
        Revocation::DenyToken(token) => {
            let now = gate.authenticator().clock().now();
            index
                .deny_token(name(&token.jti)?, token.counts_until(now)?)
                .await?;
            tracing::info!(by = caller.subject(), jti = token.jti, "token denied");
            return Ok(HttpResponse::NoContent().finish());
        }
        Revocation::SignOut(subject) => ("signed out", subject, Verdict::SignedOut),
        Revocation::Suspend(subject) => ("suspended", subject, Verdict::Suspended),
        Revocation::Unsuspend(subject) => ("allowed again", subject, Verdict::Allowed),
    };
    let (issuer, subject) = (name(&of.issuer)?, name(&of.subject)?);
    index.judge_subject(issuer, subject, verdict).await?;
    tracing::info!(by = caller.subject(), issuer, subject, "subject {what}");
    Ok(HttpResponse::NoContent().finish())
}

impl DeniedToken {
    /// When no verifier accepts the token any more.
    fn counts_until(&self, now: Timestamp) -> Result<Timestamp> {
        let end_s = self.exp.saturating_add(LEEWAY_S);
        let wrong = |detail| Err(Error::new(Kind::Unprocessable, detail));
        if end_s <= now.seconds() {
            return wrong("the token has expired: there is nothing to take back");
        }
        if end_s.saturating_sub(now.seconds()) > LOCAL_MAX_LIFE_S + 2 * LEEWAY_S {
            return wrong("no token lives that long: exp is in seconds since 1970");
        }
        Ok(Timestamp(end_s.saturating_mul(1_000_000)))
    }
}

fn name(text: &str) -> Result<&str> {
    if text.is_empty() || text.len() > MAX_NAME_BYTES || text.chars().any(char::is_control) {
        let detail = "jti, issuer and subject are text of 1 to 1024 bytes, as in the token";
        return Err(Error::new(Kind::Unprocessable, detail));
    }
    Ok(text)
}
