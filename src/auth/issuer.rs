//! Who may speak for whom: the issuers of tokens, the keys they sign with, and the facilities they vouch for (SH-2.2).

use std::sync::Arc;

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use sha2::{Digest as _, Sha256};

use super::provider::Provider;
use super::scope::ScopeSet;
use crate::model::FacilityCode;

/// The algorithms a token may be signed with. All are asymmetric: with HMAC, whoever can verify could also sign.
const ALGORITHMS: &[(&str, Algorithm)] = &[
    ("ES256", Algorithm::ES256),
    ("EdDSA", Algorithm::EdDSA),
    ("PS256", Algorithm::PS256),
    ("RS256", Algorithm::RS256),
];

/// The algorithms a token may be signed with (SH-2.2 step 2).
pub fn algorithms() -> impl Iterator<Item = (&'static str, Algorithm)> {
    ALGORITHMS.iter().copied()
}

/// Reads the name of an algorithm that a token may be signed with; `None` for `none`, HMAC and everything else.
pub fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, algorithm)| *algorithm)
}

/// An issuer of access tokens.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The exact `iss`: compared byte for byte, never normalised.
    pub name: String,
    /// What it signs with.
    pub keys: Keys,
    /// The algorithms that its tokens may be signed with, of those that any token may be.
    pub algorithms: Vec<Algorithm>,
    /// The `aud` of its access tokens.
    pub audience: String,
    /// The facilities it may speak for.
    pub facilities: MayActFor,
    /// How its access tokens are marked.
    pub header_type: HeaderType,
    /// The longest `exp - iat`, in seconds.
    pub max_life_s: i64,
    /// The most a token of it can allow.
    pub ceiling: Ceiling,
    /// The registered clients. A token that names a client (`azp`, `client_id`) must name one of these.
    pub clients: Vec<String>,
}

/// The facilities that an issuer may speak for, so that the sign-in of one facility cannot make tokens for its neighbor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MayActFor {
    /// All of them.
    Any,
    /// These.
    Only(Vec<FacilityCode>),
}

impl MayActFor {
    /// Whether `code` is among them.
    pub fn includes(&self, code: &FacilityCode) -> bool {
        match self {
            Self::Any => true,
            Self::Only(codes) => codes.contains(code),
        }
    }
}

/// What an issuer writes into the header's `typ` (SH-2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderType {
    /// `at+jwt` (RFC 9068).
    AtJwt,
    /// Plain `JWT`; the payload has to tell an access token from an ID token.
    Jwt,
}

/// The most that tokens of an issuer can allow (SH-2.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ceiling {
    /// Whatever the token says.
    Everything,
    /// What a role can give: a token without a role has no scope.
    Roles,
    /// These at most.
    Only(ScopeSet),
}

impl Ceiling {
    /// What is left of `scopes` that the roles of a token, if it needs any, have given already.
    pub(super) fn limit(self, scopes: ScopeSet) -> ScopeSet {
        match self {
            Self::Everything | Self::Roles => scopes,
            Self::Only(limit) => scopes.intersection(limit),
        }
    }
}

/// Where the keys of an issuer are.
#[derive(Clone, Debug)]
pub enum Keys {
    /// Here, and they stay the same.
    Fixed(KeySet),
    /// At an identity provider.
    Of(Arc<Provider>),
}

impl Keys {
    /// The key named `kid`; without a name, the only key there is.
    pub(super) async fn find(&self, kid: Option<&str>) -> Option<Key> {
        match self {
            Self::Fixed(set) => set.find(kid).cloned(),
            Self::Of(provider) => provider.find(kid).await,
        }
    }
}

/// A set of keys.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Vec<Key>);

#[derive(Clone, Debug)]
pub(super) struct Key {
    kid: Option<String>,
    /// SHA-256 of all that its set says of it.
    digest: [u8; 32],
    /// What the key itself can have signed. A token's `alg` chooses among these and never beyond.
    algorithms: Vec<Algorithm>,
    pub(super) decoding: DecodingKey,
}

impl Key {
    pub(super) fn is_named(&self, kid: Option<&str>) -> bool {
        kid.is_some() && self.kid.as_deref() == kid
    }

    /// What tells it from every other key.
    pub(super) fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    pub(super) fn signs_with(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }
}

impl KeySet {
    /// Takes the usable keys of a set. Keys that are not for signatures, of an unknown type or curve, symmetric, or bound
    /// to another algorithm are skipped: providers publish them beside the others.
    pub fn from_jwks(set: &JwkSet) -> Self {
        Self(set.keys.iter().filter_map(usable).collect())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The keys whose names `newer` does not have.
    pub(super) fn into_keys_not_in(self, newer: &Self) -> Vec<Key> {
        let is_gone = |key: &Key| {
            let mut there = newer.0.iter().map(|other| &other.kid);
            key.kid.is_some() && !there.any(|kid| *kid == key.kid)
        };
        self.0.into_iter().filter(is_gone).collect()
    }

    /// The key named `kid`; without a name, the only key of the set.
    pub(super) fn find(&self, kid: Option<&str>) -> Option<&Key> {
        match (kid, self.0.as_slice()) {
            (Some(kid), keys) => keys.iter().find(|key| key.kid.as_deref() == Some(kid)),
            (None, [only]) => Some(only),
            (None, _) => None,
        }
    }
}

fn usable(jwk: &Jwk) -> Option<Key> {
    let common = &jwk.common;
    let for_signatures = matches!(common.public_key_use, None | Some(PublicKeyUse::Signature))
        && common
            .key_operations
            .as_ref()
            .is_none_or(|operations| operations.contains(&KeyOperations::Verify));
    let mut algorithms = by_type(&jwk.algorithm);
    if let Some(declared) = common.key_algorithm {
        algorithms.retain(|algorithm| KeyAlgorithm::from(*algorithm) == declared);
    }
    if !for_signatures || algorithms.is_empty() {
        return None;
    }
    Some(Key {
        kid: common.key_id.clone(),
        digest: Sha256::digest(serde_json::to_vec(jwk).ok()?).into(),
        algorithms,
        decoding: DecodingKey::from_jwk(jwk).ok()?,
    })
}

/// What a key of this type can have signed; nothing for types and curves that no token of ours is signed with.
fn by_type(parameters: &AlgorithmParameters) -> Vec<Algorithm> {
    if let AlgorithmParameters::RSA(_) = parameters {
        return vec![Algorithm::RS256, Algorithm::PS256];
    }
    if let AlgorithmParameters::EllipticCurve(key) = parameters
        && key.curve == EllipticCurve::P256
    {
        return vec![Algorithm::ES256];
    }
    if let AlgorithmParameters::OctetKeyPair(key) = parameters
        && key.curve == EllipticCurve::Ed25519
    {
        return vec![Algorithm::EdDSA];
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The public keys of RFC 7517 A.1 (P-256, RSA) and RFC 8037 A.2 (Ed25519).
    const P256: &str = r#""kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#;
    const ED: &str =
        r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

    fn check(jwk: &str, expected: Option<Algorithm>) {
        let set = serde_json::from_str(&format!(r#"{{"keys":[{{{jwk}}}]}}"#)).unwrap();
        let keys = KeySet::from_jwks(&set);
        let found = keys.find(None).map(|key| key.algorithms.clone());
        assert_eq!(found, expected.map(|algorithm| vec![algorithm]), "{jwk}");
    }

    #[test]
    fn keys_that_cannot_have_signed_a_token_are_skipped() {
        check(ED, Some(Algorithm::EdDSA));
        check(P256, Some(Algorithm::ES256));
        check(
            &format!(r#"{ED},"use":"sig","alg":"EdDSA""#),
            Some(Algorithm::EdDSA),
        );
        check(&format!(r#"{ED},"use":"enc""#), None);
        check(&format!(r#"{ED},"alg":"ES256""#), None);
        check(&format!(r#"{ED},"key_ops":["encrypt"]"#), None);
        check(r#""kty":"oct","k":"c2VjcmV0","alg":"HS256""#, None);
        check(&P256.replace("P-256", "P-384"), None);
    }

    #[test]
    fn a_missing_kid_matches_a_set_of_one_only() {
        let one = format!(r#"{{{ED},"kid":"a"}}"#);
        let two = format!(r#"{{{P256},"kid":"b"}}"#);
        let set = |keys: &str| {
            KeySet::from_jwks(&serde_json::from_str(&format!(r#"{{"keys":[{keys}]}}"#)).unwrap())
        };
        assert!(set(&one).find(None).is_some());
        assert!(set(&one).find(Some("a")).is_some());
        assert!(set(&one).find(Some("b")).is_none());
        let both = set(&format!("{one},{two}"));
        assert!(both.find(None).is_none());
        assert!(both.find(Some("b")).is_some());
        assert!(set("").find(None).is_none());
    }
}
