//! Tokens forged by hand: signed by the key in the data folder, by another one, or not at all. Nothing here is the code
//! under test.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::server::token;

/// What a person of its own facility may do.
pub(super) const ALL: &str =
    "dicom.read dicom.write report.read dose.read dicom.correct dicom.delete dicom.delete.approve";

/// What a caller sends to be let in.
#[derive(Clone, Debug)]
pub(super) enum Credential {
    /// Nothing.
    None,
    /// `Authorization: Bearer …`.
    Bearer(String),
    /// A header of this name with this value, and no bearer token.
    Header(&'static str, String),
    /// The header twice.
    Twice(String),
    /// `?name=…` at the end of the path.
    Query(&'static str, String),
}

/// How a caller is to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It acts for the owner with every scope.
    Own,
    /// The same, but the sign-in was long ago or with one factor only (SH-2.6).
    Weak,
    /// It acts for another facility with every scope.
    Foreign,
    /// It acts for another facility without a scope.
    ForeignWithoutScopes,
    /// It acts for the owner without a scope.
    WithoutScopes,
    /// It brings no token where one is looked for.
    Unknown,
    /// Its token must not be believed.
    Refused,
}

/// One kind of caller.
#[derive(Clone, Debug)]
pub(super) struct Caller {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) credential: Credential,
}

/// Signs tokens as the archive does.
pub(super) struct Forge {
    key: Ed25519KeyPair,
    pem: String,
    header: Value,
    claims: Value,
    made: AtomicUsize,
}

impl Forge {
    /// Reads the key of a data folder, and takes a real token of `facility` as the model of all others.
    pub(super) fn new(data: &Path, facility: &str) -> Self {
        let pem = std::fs::read_to_string(data.join("local-key.pem")).expect("the local key");
        let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let key = Ed25519KeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).expect("PKCS#8");
        let real = token(data, facility, ALL);
        let mut segments = real.split('.').map(|segment| {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(segment).unwrap()).unwrap_or(Value::Null)
        });
        let (header, claims) = (segments.next().unwrap(), segments.next().unwrap());
        let forge = Self {
            key,
            pem,
            header,
            claims,
            made: AtomicUsize::new(0),
        };
        assert_eq!(
            forge.token(&json!({})).split('.').nth(1).map(str::len),
            real.split('.').nth(1).map(str::len),
            "a real token looks like a forged one"
        );
        forge
    }

    /// Another number each time.
    pub(super) fn number(&self) -> usize {
        self.made.fetch_add(1, Ordering::SeqCst)
    }

    /// A good token of `facility` with `scope`.
    pub(super) fn of(&self, facility: &str, scope: &str) -> String {
        self.token(&json!({"scope": scope, "kura": {"fac": facility}}))
    }

    /// A well-signed token; `change` replaces claims, null takes one away.
    pub(super) fn token(&self, change: &Value) -> String {
        self.signed_by(&self.key, &json!({}), change)
    }

    fn signed_by(&self, key: &Ed25519KeyPair, header: &Value, change: &Value) -> String {
        let message = self.message(header, change);
        let signature = key.sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }

    fn message(&self, header: &Value, change: &Value) -> String {
        format!(
            "{}.{}",
            segment(&merged(&self.header, header)),
            segment(&merged(&self.claims, change))
        )
    }

    /// Signed with HMAC, the secret being something public.
    fn hmac(&self, secret: &[u8]) -> String {
        let message = self.message(&json!({"alg": "HS256"}), &json!({}));
        let tag = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, secret),
            message.as_bytes(),
        );
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()))
    }

    fn jwk(key: &Ed25519KeyPair) -> Value {
        let x = URL_SAFE_NO_PAD.encode(key.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "x": x})
    }

    /// Every kind of caller, for objects of `owner`.
    pub(super) fn callers(&self, owner: &str, foreign: &str) -> Vec<Caller> {
        let caller = |name, kind, credential| Caller {
            name,
            kind,
            credential,
        };
        let bearer = |name, kind, token| caller(name, kind, Credential::Bearer(token));
        let refused = |name, token| bearer(name, Kind::Refused, token);
        let with = |change: Value| self.token(&change);
        let iat = self.claims["iat"].as_i64().expect("an instant");
        let stranger_pkcs8 = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).unwrap();
        let stranger = Ed25519KeyPair::from_pkcs8(stranger_pkcs8.as_ref()).unwrap();
        let own = self.of(owner, ALL);
        let public = self.key.public_key().as_ref();
        let unsigned = self.message(&json!({"alg": "none"}), &json!({}));
        let (head, signature) = own.rsplit_once('.').unwrap();
        let swapped = self.message(&json!({}), &json!({"sub": "somebody else"}));
        assert_ne!(head, swapped);
        let jwk = json!({"jwk": Self::jwk(&stranger)});
        vec![
            bearer("own", Kind::Own, own.clone()),
            bearer(
                "signed in long ago",
                Kind::Weak,
                with(json!({"auth_time": iat - 3600})),
            ),
            bearer(
                "signed in with one factor",
                Kind::Weak,
                with(json!({"acr": null})),
            ),
            bearer("foreign", Kind::Foreign, self.of(foreign, ALL)),
            bearer(
                "foreign, scope-less",
                Kind::ForeignWithoutScopes,
                self.of(foreign, "openid"),
            ),
            bearer("scope-less", Kind::WithoutScopes, self.of(owner, "openid")),
            caller("no token", Kind::Unknown, Credential::None),
            caller(
                "in the query",
                Kind::Unknown,
                Credential::Query("access_token", own.clone()),
            ),
            caller(
                "in the query as token",
                Kind::Unknown,
                Credential::Query("token", own.clone()),
            ),
            caller(
                "in a cookie",
                Kind::Unknown,
                Credential::Header("cookie", format!("access_token={own}")),
            ),
            caller(
                "as basic",
                Kind::Unknown,
                Credential::Header("authorization", format!("Basic {own}")),
            ),
            caller("twice", Kind::Refused, Credential::Twice(own.clone())),
            refused(
                "expired",
                with(
                    json!({"iat": iat - 7200, "nbf": iat - 7200, "auth_time": iat - 7200, "exp": iat - 3600}),
                ),
            ),
            refused(
                "not yet valid",
                with(json!({"iat": iat + 3600, "nbf": iat + 3600, "exp": iat + 7200})),
            ),
            refused("lives too long", with(json!({"exp": iat + 13 * 3600}))),
            refused(
                "signed by another key",
                self.signed_by(&stranger, &json!({}), &json!({})),
            ),
            refused(
                "another key, without its name",
                self.signed_by(&stranger, &json!({"kid": null}), &json!({})),
            ),
            refused(
                "another key, brought along",
                self.signed_by(&stranger, &jwk, &json!({})),
            ),
            refused("alg none", format!("{unsigned}.")),
            refused(
                "alg none with a signature",
                format!("{unsigned}.{signature}"),
            ),
            refused("no signature", format!("{head}.")),
            refused(
                "other claims under its signature",
                format!("{swapped}.{signature}"),
            ),
            refused("HS256 with the public key", self.hmac(public)),
            refused(
                "HS256 with the public key in base64",
                self.hmac(URL_SAFE_NO_PAD.encode(public).as_bytes()),
            ),
            refused(
                "HS256 with the whole key file",
                self.hmac(self.pem.as_bytes()),
            ),
            refused("wrong audience", with(json!({"aud": "account"}))),
            refused("audience of an edge", with(json!({"aud": "kura-edge"}))),
            refused(
                "wrong issuer",
                with(json!({"iss": "https://idp.example.org/realms/group"})),
            ),
            refused("issuer with a slash", with(json!({"iss": "kura:local/"}))),
            refused(
                "a share session",
                self.signed_by(&self.key, &json!({"typ": "kura-share+jwt"}), &json!({})),
            ),
            refused(
                "an ID token",
                self.signed_by(&self.key, &json!({"typ": "JWT"}), &json!({})),
            ),
            refused("an unknown client", with(json!({"azp": "viewer-web"}))),
            refused(
                "a facility that is not there",
                with(json!({"kura": {"fac": "F999"}})),
            ),
            refused("no facility", with(json!({"kura": {}}))),
            refused("two facilities", with(json!({"kura_fac": foreign}))),
            refused(
                "for one patient only",
                with(json!({"kura": {"fac": owner, "patient": "P1"}})),
            ),
            refused("nonsense", "a.b.c".to_owned()),
        ]
    }
}

fn merged(base: &Value, change: &Value) -> Value {
    let mut out = base.clone();
    for (name, value) in change.as_object().unwrap() {
        if value.is_null() {
            out.as_object_mut().unwrap().remove(name);
        } else {
            out[name] = value.clone();
        }
    }
    out
}

fn segment(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

impl Credential {
    /// A request under this credential; `path` begins at the root of the server.
    pub(super) fn request(
        &self,
        server: &Server,
        method: reqwest::Method,
        path: &str,
    ) -> reqwest::RequestBuilder {
        let base = &server.base;
        let url = match self {
            Self::Query(name, token) => {
                let joint = if path.contains('?') { '&' } else { '?' };
                format!("{base}{path}{joint}{name}={token}")
            }
            Self::None | Self::Bearer(_) | Self::Header(..) | Self::Twice(_) => {
                format!("{base}{path}")
            }
        };
        let request = server.client.request(method, url);
        match self {
            Self::None | Self::Query(..) => request,
            Self::Bearer(token) => request.header("authorization", format!("Bearer {token}")),
            Self::Header(name, value) => request.header(*name, value),
            Self::Twice(token) => request
                .header("authorization", format!("Bearer {token}"))
                .header("authorization", format!("Bearer {token}")),
        }
    }
}
