//! From a bearer string to verified claims, in the order of SH-2.2.
//!
//! Two steps need tables that belong to the index: the deny list and the session epochs of step 7. A [`Verified`] carries
//! what they are looked up by. Sender-constrained clients (step 9) are none of the kinds accepted here.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::collections::BTreeSet;
use std::fmt;

use super::claims::{RawClaims, RawHeader, segment};
use super::issuer::{self, Ceiling, HeaderType, Issuer};
use super::scope::{ScopeSet, role_scopes};
use crate::error::{Error, Kind};
use crate::model::{Clock, FacilityCode, Timestamp};

/// The `aud` of access tokens.
pub const AUDIENCE: &str = "kura";

/// The largest token, in bytes (SH-2.2 step 1).
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The `acr` of a sign-in with two factors (SH-2.6).
pub const ACR_TWO_FACTORS: &str = "urn:kura:acr:2fa";

/// How old such a sign-in may be where one is asked for, unless configured otherwise, in seconds (SH-2.6).
pub const STRONG_MAX_AGE_S: i64 = 900;

/// How far the clocks of issuer and archive may differ, in seconds (SH-2.2 step 5).
const LEEWAY_S: i64 = 60;

/// The longest `sub`, in bytes: it becomes a column and a field of every log line (the limit of `sub` in
/// `OpenID` Connect Core 1.0, section 2).
const MAX_SUBJECT_BYTES: usize = 255;

/// Why a token is refused: for the log only. The caller learns that it is refused, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// There is none in `Authorization`.
    Absent,
    /// `Authorization` is there twice.
    Repeated,
    /// More than 8 KiB.
    TooLong,
    /// Not three segments.
    Segments,
    /// The header is no JSON object with an algorithm.
    Header,
    /// The header brings a key or demands extensions.
    OwnKey,
    /// An algorithm that is not on the list.
    Algorithm,
    /// The payload lacks a claim, has one twice, or of another type.
    Claims,
    /// An issuer that is not configured.
    Issuer,
    /// A key that the issuer does not have, or that does not sign with this algorithm.
    Key,
    /// A token of another kind.
    TokenType,
    /// The signature does not hold.
    Signature,
    /// Past its end.
    Expired,
    /// Before its beginning.
    NotYetValid,
    /// It lives longer than its issuer may let it, or ends before it begins.
    Life,
    /// Meant for somebody else.
    Audience,
    /// Made for a client that is not registered.
    Client,
    /// A subject that is empty, too long, or holds control characters.
    Subject,
    /// The nested and the flat form of a claim differ.
    Ambiguous,
    /// A purpose of use that is none.
    Purpose,
    /// No facility, or something that cannot be a code.
    Facility,
    /// A facility its issuer may not speak for.
    NotBound,
    /// A facility that does not exist here, or is not active.
    NoSuchFacility,
    /// A token for one patient only; such tokens are not accepted.
    PatientContext,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "no bearer token",
            Self::Repeated => "two Authorization headers",
            Self::TooLong => "token too long",
            Self::Segments => "not three segments",
            Self::Header => "header unreadable",
            Self::OwnKey => "header brings its own key",
            Self::Algorithm => "algorithm not allowed",
            Self::Claims => "claims unreadable",
            Self::Issuer => "issuer not configured",
            Self::Key => "no such key for this algorithm",
            Self::TokenType => "token of another kind",
            Self::Signature => "signature does not hold",
            Self::Expired => "expired",
            Self::NotYetValid => "not valid yet",
            Self::Life => "life longer than allowed",
            Self::Audience => "audience is not kura",
            Self::Client => "client not registered",
            Self::Subject => "subject unusable",
            Self::Ambiguous => "two forms of a claim differ",
            Self::Purpose => "purpose of use unknown",
            Self::Facility => "no facility named",
            Self::NotBound => "issuer may not speak for the facility",
            Self::NoSuchFacility => "facility unknown or not active",
            Self::PatientContext => "patient context not supported",
        })
    }
}

impl std::error::Error for Rejection {}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        // One detail for all of them but the absent one (SH-2.2): which check failed would help to get past it.
        let detail = if rejection == Rejection::Absent {
            "a bearer token is required"
        } else {
            "the bearer token is not accepted"
        };
        Self::new(Kind::Unauthenticated, detail).with_source(rejection)
    }
}

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
}

/// What a token says, after every check that needs the token alone. Made by [`Authenticator::verify`] only.
#[derive(Clone, Debug)]
pub struct Verified {
    issuer: String,
    subject: String,
    facility: FacilityCode,
    scopes: ScopeSet,
    roles: BTreeSet<String>,
    purpose: Purpose,
    patient: Option<String>,
    acr: Option<String>,
    auth_time: Option<i64>,
    mfa_age_s: Option<i64>,
    strong_max_age_s: i64,
    token_id: Option<String>,
    issued_at_s: i64,
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

    /// How strongly the caller signed in, and until when that is enough for what asks for it (SH-2.6).
    pub fn strength(&self) -> Strength {
        let is_two_factor = self.acr.as_deref() == Some(ACR_TWO_FACTORS);
        // The age of the second factor is the closer statement; a sign-in may be older than it. One from the future is
        // a mistake or a lie, and counts as none.
        let since_s = match self.mfa_age_s {
            Some(age_s) => self.issued_at_s.checked_sub(age_s),
            None => self.auth_time,
        }
        .filter(|since_s| *since_s <= self.issued_at_s.saturating_add(LEEWAY_S));
        Strength {
            two_factors_at_s: since_s.filter(|_| is_two_factor),
            max_age_s: self.strong_max_age_s,
        }
    }

    /// `jti`: what the deny list knows the token by.
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// `iat`, in seconds since 1970: what a session epoch is compared with.
    pub fn issued_at_s(&self) -> i64 {
        self.issued_at_s
    }
}

/// When the caller signed in with two factors, and how long that holds for the operations that ask for it (SH-2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strength {
    two_factors_at_s: Option<i64>,
    max_age_s: i64,
}

impl Strength {
    /// That of the machine itself: whoever works on it needs no token.
    pub const MACHINE: Self = Self {
        two_factors_at_s: Some(i64::MAX),
        max_age_s: 0,
    };

    /// No second factor.
    pub const NONE: Self = Self {
        two_factors_at_s: None,
        max_age_s: 0,
    };

    /// Refuses a sign-in of one factor, and one that is too old.
    ///
    /// # Errors
    /// `Kind::StepUp`; its source says how old a sign-in may be.
    pub fn require(self, now: Timestamp) -> Result<(), Error> {
        let age_s = self
            .two_factors_at_s
            .map(|at_s| now.seconds().saturating_sub(at_s));
        if age_s.is_some_and(|age_s| age_s <= self.max_age_s) {
            return Ok(());
        }
        let detail = "this needs a sign-in with two factors that is not older than the archive allows: sign in again";
        let wanted = StrongerSignIn {
            max_age_s: self.max_age_s,
        };
        Err(Error::new(Kind::StepUp, detail).with_source(wanted))
    }
}

/// What a sign-in lacks: the source of a `Kind::StepUp`, from which the answer is made (RFC 9470).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrongerSignIn {
    /// How old a sign-in with two factors may be, in seconds.
    pub max_age_s: i64,
}

impl fmt::Display for StrongerSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no second factor within {} s", self.max_age_s)
    }
}

impl std::error::Error for StrongerSignIn {}

/// Checks tokens against the configured issuers.
#[derive(Clone, Debug)]
pub struct Authenticator {
    issuers: Vec<Issuer>,
    strong_max_age_s: i64,
    clock: Clock,
}

impl Authenticator {
    /// An authenticator that believes `issuers` and tells the time by `clock`.
    pub fn new(issuers: Vec<Issuer>, clock: Clock) -> Self {
        Self {
            issuers,
            strong_max_age_s: STRONG_MAX_AGE_S,
            clock,
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

    /// Takes the characters after `Bearer ` and gives what the token says.
    ///
    /// # Errors
    /// The first check of SH-2.2 that fails.
    pub fn verify(&self, bearer: &str) -> Result<Verified, Rejection> {
        let token = Segments::of(bearer)?;
        let header = read_header(token.header)?;
        let algorithm = issuer::algorithm(&header.alg).ok_or(Rejection::Algorithm)?;
        let claims: RawClaims = segment(token.claims).ok_or(Rejection::Claims)?;
        let issuer = self
            .issuers
            .iter()
            .find(|issuer| issuer.name == claims.iss)
            .ok_or(Rejection::Issuer)?;
        // The key decides the algorithm; the header's can only agree.
        let key = issuer
            .keys
            .find(header.kid.as_deref())
            .filter(|key| key.signs_with(algorithm))
            .ok_or(Rejection::Key)?;
        check_type(issuer.header_type, header.typ.as_deref(), &claims)?;
        let signed = token.signed.as_bytes();
        let holds = jsonwebtoken::crypto::verify(token.signature, signed, &key.decoding, algorithm);
        if !matches!(holds, Ok(true)) {
            return Err(Rejection::Signature);
        }
        check_times(&claims, issuer.max_life_s, self.clock.now().seconds())?;
        check_addressee(&claims, issuer)?;
        believe(claims, issuer, self.strong_max_age_s)
    }
}

/// The three segments of a compact token (RFC 7515 7.1).
struct Segments<'a> {
    header: &'a str,
    claims: &'a str,
    signature: &'a str,
    /// The header and the claims with the dot between them.
    signed: &'a str,
}

impl<'a> Segments<'a> {
    fn of(token: &'a str) -> Result<Self, Rejection> {
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
}

fn read_header(text: &str) -> Result<RawHeader, Rejection> {
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
    if !claims.aud.includes(AUDIENCE) {
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
        acr: claims.acr,
        auth_time: claims.auth_time,
        mfa_age_s: claims.kura.mfa_age,
        strong_max_age_s,
        token_id: claims.jti,
        issued_at_s: claims.iat,
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
        Ceiling::Everything => within_roles,
        Ceiling::Roles => within_roles.intersection(bundles),
        Ceiling::Only(limit) => within_roles.intersection(limit),
    }
}
