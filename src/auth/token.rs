//! From a bearer string to verified claims, in the order of SH-2.2.
//!
//! Step 7, the deny list and the session epochs, needs tables that belong to the index (`index/identity.rs`). A [`Verified`]
//! carries what they are looked up by. Sender-constrained clients (step 9) are none of the kinds accepted here.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::collections::BTreeSet;

use jsonwebtoken::Algorithm;

use super::claims::{RawClaims, RawHeader, segment};
use super::issuer::{self, Ceiling, HeaderType, Issuer, Key};
use super::known::KnownSignatures;
use super::rejection::Rejection;
use super::scope::{ScopeSet, role_scopes};
use super::strength::STRONG_MAX_AGE_S;
use crate::model::{Clock, FacilityCode};

/// The `aud` of access tokens.
pub const AUDIENCE: &str = "kura";

/// The largest token, in bytes (SH-2.2 step 1).
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The longest `jti`, in bytes: it is looked up with every request.
pub const MAX_NAME_BYTES: usize = 1024;

/// How far the clocks of issuer and archive may differ, in seconds (SH-2.2 step 5).
pub(crate) const LEEWAY_S: i64 = 60;

/// The longest `sub`, in bytes: it becomes a column and a field of every log line (the limit of `sub` in
/// `OpenID` Connect Core 1.0, section 2).
const MAX_SUBJECT_BYTES: usize = 255;

/// Why the caller asks (claim `kura.pou`, SH-2.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// `TREAT`
    #[default]
    Treatment,
    /// `ETREAT`
    EmergencyTreatment,
    /// `HPAYMT`
    Payment,
    /// `HOPERAT`
    Operations,
    /// `PATADMIN`
    PatientAdministration,
    /// `BTG`
    BreakTheGlass,
}

impl Purpose {
    /// Reads the code on the wire.
    pub fn parse(code: &str) -> Option<Self> {
        Some(match code {
            "TREAT" => Self::Treatment,
            "ETREAT" => Self::EmergencyTreatment,
            "HPAYMT" => Self::Payment,
            "HOPERAT" => Self::Operations,
            "PATADMIN" => Self::PatientAdministration,
            "BTG" => Self::BreakTheGlass,
            _ => return None,
        })
    }

    /// The code on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Treatment => "TREAT",
            Self::EmergencyTreatment => "ETREAT",
            Self::Payment => "HPAYMT",
            Self::Operations => "HOPERAT",
            Self::PatientAdministration => "PATADMIN",
            Self::BreakTheGlass => "BTG",
        }
    }
}

/// What a token says, after every check that needs the token alone. Made by [`Authenticator::verify`] only.
#[derive(Clone, Debug)]
pub struct Verified {
    pub(super) issuer: String,
    pub(super) subject: String,
    pub(super) facility: FacilityCode,
    pub(super) scopes: ScopeSet,
    pub(super) roles: BTreeSet<String>,
    pub(super) purpose: Purpose,
    pub(super) patient: Option<String>,
    pub(super) client: Option<String>,
    pub(super) acr: Option<String>,
    pub(super) auth_time: Option<i64>,
    pub(super) mfa_age_s: Option<i64>,
    pub(super) strong_max_age_s: i64,
    pub(super) token_id: Option<String>,
    pub(super) issued_at_s: i64,
    pub(super) expires_at_s: i64,
}

impl Verified {
    /// `iss`.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `kura.fac`: the one facility the caller acts for.
    pub fn facility(&self) -> &FacilityCode {
        &self.facility
    }

    /// The effective scopes (SH-2.5).
    pub fn scopes(&self) -> ScopeSet {
        self.scopes
    }

    /// `kura.roles`.
    pub fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.iter().map(String::as_str)
    }

    /// `kura.pou`.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// `kura.patient`: the registration the token is restricted to.
    pub fn patient(&self) -> Option<&str> {
        self.patient.as_deref()
    }

    /// `acr`: how strongly the caller signed in.
    pub fn acr(&self) -> Option<&str> {
        self.acr.as_deref()
    }

    /// `auth_time`: when the caller signed in, in seconds since 1970.
    pub fn auth_time_s(&self) -> Option<i64> {
        self.auth_time
    }

    /// `kura.mfa_age`: how old the second factor was when the token was issued, in seconds.
    pub fn mfa_age_s(&self) -> Option<i64> {
        self.mfa_age_s
    }

    /// `jti`: what the deny list knows the token by.
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// `iat`, in seconds since 1970: what a session epoch is compared with.
    pub fn issued_at_s(&self) -> i64 {
        self.issued_at_s
    }

    /// `exp`, in seconds since 1970.
    pub fn expires_at_s(&self) -> i64 {
        self.expires_at_s
    }
}

/// Checks tokens against the configured issuers.
#[derive(Clone, Debug)]
pub struct Authenticator {
    issuers: Vec<Issuer>,
    strong_max_age_s: i64,
    clock: Clock,
    known: KnownSignatures,
}

impl Authenticator {
    /// An authenticator that believes `issuers` and tells the time by `clock`.
    pub fn new(issuers: Vec<Issuer>, clock: Clock) -> Self {
        Self {
            issuers,
            strong_max_age_s: STRONG_MAX_AGE_S,
            clock,
            known: KnownSignatures::default(),
        }
    }

    /// The same with another age, in seconds, that a sign-in with two factors may have where one is asked for (SH-2.6).
    #[must_use]
    pub fn with_strong_max_age_s(self, strong_max_age_s: i64) -> Self {
        Self {
            strong_max_age_s,
            ..self
        }
    }

    /// Believes other issuers from now on.
    #[cfg(test)]
    pub(super) fn replace_issuers(&mut self, issuers: Vec<Issuer>) {
        self.issuers = issuers;
    }

    /// The clock that tokens are checked by.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) fn now_s(&self) -> i64 {
        self.clock.now().seconds()
    }

    pub(super) fn strong_max_age_s(&self) -> i64 {
        self.strong_max_age_s
    }

    /// The issuer of this name, to the letter.
    pub(super) fn issuer(&self, name: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.name == name)
    }

    /// Takes the characters after `Bearer ` and gives what the token says.
    ///
    /// # Errors
    /// The first check of SH-2.2 that fails.
    pub async fn verify(&self, bearer: &str) -> Result<Verified, Rejection> {
        let token = Segments::of(bearer)?;
        let header = read_header(token.header)?;
        let algorithm = issuer::algorithm(&header.alg).ok_or(Rejection::Algorithm)?;
        let claims: RawClaims = segment(token.claims).ok_or(Rejection::Claims)?;
        let issuer = self.issuer(&claims.iss).ok_or(Rejection::Issuer)?;
        if !issuer.algorithms.contains(&algorithm) {
            return Err(Rejection::Algorithm);
        }
        // The key decides the algorithm; the header's can only agree.
        let key = issuer
            .keys
            .find(header.kid.as_deref())
            .await
            .filter(|key| key.signs_with(algorithm))
            .ok_or(Rejection::Key)?;
        check_type(issuer.header_type, header.typ.as_deref(), &claims)?;
        let is_signed = self
            .known
            .holds(&key, bearer, || token.holds(&key, algorithm));
        if !is_signed {
            return Err(Rejection::Signature);
        }
        check_times(&claims, issuer.max_life_s, self.now_s())?;
        check_addressee(&claims, issuer)?;
        believe(claims, issuer, self.strong_max_age_s)
    }
}

/// The three segments of a compact token (RFC 7515 7.1).
pub(super) struct Segments<'a> {
    pub(super) header: &'a str,
    pub(super) claims: &'a str,
    signature: &'a str,
    /// The header and the claims with the dot between them.
    signed: &'a str,
}

impl<'a> Segments<'a> {
    pub(super) fn of(token: &'a str) -> Result<Self, Rejection> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Rejection::TooLong);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Rejection::Segments)?;
        let (header, claims) = signed.split_once('.').ok_or(Rejection::Segments)?;
        if claims.contains('.') {
            return Err(Rejection::Segments);
        }
        Ok(Self {
            header,
            claims,
            signature,
            signed,
        })
    }

    /// Whether `key` made the signature.
    pub(super) fn holds(&self, key: &Key, algorithm: Algorithm) -> bool {
        let signed = self.signed.as_bytes();
        let holds = jsonwebtoken::crypto::verify(self.signature, signed, &key.decoding, algorithm);
        matches!(holds, Ok(true))
    }
}

pub(super) fn read_header(text: &str) -> Result<RawHeader, Rejection> {
    let header: RawHeader = segment(text).ok_or(Rejection::Header)?;
    if header.brings_its_own_key() {
        return Err(Rejection::OwnKey);
    }
    Ok(header)
}

/// Tells an access token from ID tokens, refresh tokens and what the archive signs for other ends (SH-2.1).
fn check_type(
    expected: HeaderType,
    typ: Option<&str>,
    claims: &RawClaims,
) -> Result<(), Rejection> {
    // Media types compare without case, and `application/` may be left out (RFC 7515 4.1.9).
    let is = |name: &str| {
        let typ = typ.unwrap_or_default().to_ascii_lowercase();
        typ.strip_prefix("application/").unwrap_or(&typ) == name
    };
    let fits = match expected {
        HeaderType::AtJwt => is("at+jwt"),
        HeaderType::Jwt => {
            is("jwt")
                && claims.typ.as_deref().is_none_or(|typ| typ == "Bearer")
                && claims.scope.is_some()
                && !claims.at_hash.0
        }
    };
    fits.then_some(()).ok_or(Rejection::TokenType)
}

fn check_times(claims: &RawClaims, max_life_s: i64, now_s: i64) -> Result<(), Rejection> {
    if now_s >= claims.exp.saturating_add(LEEWAY_S) {
        return Err(Rejection::Expired);
    }
    let latest_begin = claims.nbf.unwrap_or(claims.iat).max(claims.iat);
    if now_s.saturating_add(LEEWAY_S) < latest_begin {
        return Err(Rejection::NotYetValid);
    }
    let life_s = claims.exp.checked_sub(claims.iat).ok_or(Rejection::Life)?;
    if !(1..=max_life_s).contains(&life_s) {
        return Err(Rejection::Life);
    }
    Ok(())
}

fn check_addressee(claims: &RawClaims, issuer: &Issuer) -> Result<(), Rejection> {
    if !claims.aud.includes(&issuer.audience) {
        return Err(Rejection::Audience);
    }
    let mut named = [&claims.azp, &claims.client_id].into_iter().flatten();
    if !named.all(|client| issuer.clients.contains(client)) {
        return Err(Rejection::Client);
    }
    Ok(())
}

fn believe(
    claims: RawClaims,
    issuer: &Issuer,
    strong_max_age_s: i64,
) -> Result<Verified, Rejection> {
    let sub = &claims.sub;
    if sub.is_empty() || sub.len() > MAX_SUBJECT_BYTES || sub.chars().any(char::is_control) {
        return Err(Rejection::Subject);
    }
    let named = claims.jti.as_ref();
    if named.is_some_and(|jti| jti.len() > MAX_NAME_BYTES || jti.chars().any(char::is_control)) {
        return Err(Rejection::Claims);
    }
    let code = one_form(claims.kura.fac, claims.kura_fac)?.ok_or(Rejection::Facility)?;
    let facility = FacilityCode::parse(&code).ok_or(Rejection::Facility)?;
    if !issuer.facilities.includes(&facility) {
        return Err(Rejection::NotBound);
    }
    let roles = one_form(claims.kura.roles, claims.kura_roles)?.unwrap_or_default();
    let purpose = match claims.kura.pou {
        Some(code) => Purpose::parse(&code).ok_or(Rejection::Purpose)?,
        None => Purpose::default(),
    };
    let asked = ScopeSet::parse(
        claims.scope.as_deref().unwrap_or_default(),
        claims.kura.patient.is_some(),
    );
    Ok(Verified {
        issuer: claims.iss,
        subject: claims.sub,
        facility,
        scopes: effective(asked, &roles, issuer.ceiling),
        roles,
        purpose,
        patient: claims.kura.patient,
        client: claims.azp.or(claims.client_id),
        acr: claims.acr,
        auth_time: claims.auth_time,
        mfa_age_s: claims.kura.mfa_age,
        strong_max_age_s,
        token_id: claims.jti,
        issued_at_s: claims.iat,
        expires_at_s: claims.exp,
    })
}

/// The nested form or the flat one (SH-2.3), which must agree where both are there.
fn one_form<T: PartialEq>(nested: Option<T>, flat: Option<T>) -> Result<Option<T>, Rejection> {
    match (nested, flat) {
        (Some(nested), Some(flat)) if nested != flat => Err(Rejection::Ambiguous),
        (nested, flat) => Ok(nested.or(flat)),
    }
}

/// What the token asks for, within what its roles give and its issuer can give (SH-2.5).
fn effective(asked: ScopeSet, roles: &BTreeSet<String>, ceiling: Ceiling) -> ScopeSet {
    let bundles = roles.iter().fold(ScopeSet::default(), |all, role| {
        all.union(role_scopes(role))
    });
    let within_roles = if roles.is_empty() {
        asked
    } else {
        asked.intersection(bundles)
    };
    match ceiling {
        Ceiling::Roles => within_roles.intersection(bundles),
        Ceiling::Everything | Ceiling::Only(_) => ceiling.limit(within_roles),
    }
}
