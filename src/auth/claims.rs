//! The wire shapes of a token, as strangers send them: nothing here is believed yet.

#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

/// The JOSE header (RFC 7515 4.1).
#[derive(Debug, Deserialize)]
pub(super) struct RawHeader {
    pub(super) alg: String,
    pub(super) kid: Option<String>,
    pub(super) typ: Option<String>,
    #[serde(default)]
    jku: Present,
    #[serde(default)]
    jwk: Present,
    #[serde(default)]
    x5u: Present,
    #[serde(default)]
    x5c: Present,
    #[serde(default)]
    crit: Present,
}

impl RawHeader {
    /// Whether the header brings a key of its own or demands extensions: a token does not choose what it is checked with.
    pub(super) fn brings_its_own_key(&self) -> bool {
        [&self.jku, &self.jwk, &self.x5u, &self.x5c, &self.crit]
            .into_iter()
            .any(|field| field.0)
    }
}

/// The payload (RFC 7519 4.1, SH-2.3). Instants are whole seconds since 1970.
#[derive(Debug, Deserialize)]
pub(super) struct RawClaims {
    pub(super) iss: String,
    pub(super) sub: String,
    pub(super) aud: Audience,
    pub(super) exp: i64,
    pub(super) iat: i64,
    pub(super) nbf: Option<i64>,
    pub(super) jti: Option<String>,
    pub(super) azp: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) typ: Option<String>,
    #[serde(default)]
    pub(super) at_hash: Present,
    pub(super) scope: Option<String>,
    pub(super) acr: Option<String>,
    pub(super) auth_time: Option<i64>,
    #[serde(default)]
    pub(super) kura: RawKura,
    pub(super) kura_fac: Option<String>,
    pub(super) kura_roles: Option<BTreeSet<String>>,
}

/// The claim `kura`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct RawKura {
    pub(super) fac: Option<String>,
    pub(super) roles: Option<BTreeSet<String>>,
    pub(super) pou: Option<String>,
    pub(super) patient: Option<String>,
    pub(super) mfa_age: Option<i64>,
}

/// `aud`: one value or a list of them.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    pub(super) fn includes(&self, wanted: &str) -> bool {
        match self {
            Self::One(only) => only == wanted,
            Self::Many(all) => all.iter().any(|one| one == wanted),
        }
    }
}

/// Whether a field is there, with whatever value, `null` included.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Present(pub(super) bool);

impl<'de> Deserialize<'de> for Present {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self(true))
    }
}

/// Reads one segment: base64url without padding around a JSON object. A field that is there twice is an error, so that
/// no two readers of one token disagree about what it says.
pub(super) fn segment<T: DeserializeOwned>(text: &str) -> Option<T> {
    let json = URL_SAFE_NO_PAD.decode(text).ok()?;
    // A derived reader would take the fields from an array, too.
    if !json.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    serde_json::from_slice(&json).ok()
}
