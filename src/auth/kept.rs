//! What is kept of a verified token where the token itself is not: in the row of a session, and in a signed link.
//!
//! Taken out again it is checked against the configuration of now: an issuer that is gone, or may not speak for the
//! facility any more, takes its sessions and links with it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::rejection::Rejection;
use super::scope::{Scope, ScopeSet};
use super::token::{Authenticator, Purpose, Verified};
use crate::model::FacilityCode;

/// The scopes that a link carries on: it is for reading one thing.
const READING: ScopeSet = ScopeSet::NONE
    .with(Scope::DicomRead)
    .with(Scope::ReportRead)
    .with(Scope::DoseRead);

/// The claims of a token that was verified once. The names are those of the token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    iss: String,
    sub: String,
    fac: String,
    /// The effective scopes, not those that were asked for.
    scope: String,
    pou: String,
    iat: i64,
    exp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    azp: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    roles: BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patient: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mfa_age: Option<i64>,
}

impl Kept {
    /// All that a session needs.
    pub fn whole(verified: &Verified) -> Self {
        Self {
            roles: verified.roles.clone(),
            acr: verified.acr.clone(),
            auth_time: verified.auth_time,
            mfa_age: verified.mfa_age_s,
            ..Self::for_reading(verified, verified.scopes)
        }
    }

    /// What a link needs: who, for which facility, and the scopes that read. It is never a strong sign-in.
    pub(super) fn to_read(verified: &Verified) -> Self {
        Self::for_reading(verified, verified.scopes.intersection(READING))
    }

    fn for_reading(verified: &Verified, scopes: ScopeSet) -> Self {
        Self {
            iss: verified.issuer.clone(),
            sub: verified.subject.clone(),
            fac: verified.facility.as_str().to_owned(),
            scope: scopes.to_claim(),
            pou: verified.purpose.as_str().to_owned(),
            iat: verified.issued_at_s,
            exp: verified.expires_at_s,
            jti: verified.token_id.clone(),
            azp: verified.client.clone(),
            roles: BTreeSet::new(),
            patient: verified.patient.clone(),
            acr: None,
            auth_time: None,
            mfa_age: None,
        }
    }
}

impl Authenticator {
    /// Takes up again what was kept of a token, as long as that token would live.
    ///
    /// # Errors
    /// `Expired` from the token's `exp` on, without leeway; `Issuer`, `Client` and `NotBound` if the configuration has
    /// changed; `Claims` if it cannot be read.
    pub fn resume(&self, kept: Kept) -> Result<Verified, Rejection> {
        let issuer = self.issuer(&kept.iss).ok_or(Rejection::Issuer)?;
        if self.now_s() >= kept.exp {
            return Err(Rejection::Expired);
        }
        if kept
            .azp
            .as_ref()
            .is_some_and(|client| !issuer.clients.contains(client))
        {
            return Err(Rejection::Client);
        }
        let facility = FacilityCode::parse(&kept.fac).ok_or(Rejection::Claims)?;
        if !issuer.facilities.includes(&facility) {
            return Err(Rejection::NotBound);
        }
        Ok(Verified {
            issuer: kept.iss,
            subject: kept.sub,
            facility,
            scopes: issuer.ceiling.limit(ScopeSet::parse(&kept.scope, true)),
            roles: kept.roles,
            purpose: Purpose::parse(&kept.pou).ok_or(Rejection::Claims)?,
            patient: kept.patient,
            client: kept.azp,
            acr: kept.acr,
            auth_time: kept.auth_time,
            mfa_age_s: kept.mfa_age,
            strong_max_age_s: self.strong_max_age_s(),
            token_id: kept.jti,
            issued_at_s: kept.iat,
            expires_at_s: kept.exp,
        })
    }
}
