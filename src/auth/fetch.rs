//! Asking an identity provider for its keys, and believing as little as possible of what comes back.
//!
//! Together with the local key this is the only I/O among the rules. Addresses are https or on this machine, answers have
//! an end in bytes and in time, and a redirect never leaves the host it came from.

use std::fmt;
use std::time::Duration;

use jsonwebtoken::jwk::Jwk;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::issuer::KeySet;
use crate::error::{Error, Result};

/// The longest document, in bytes.
const MAX_BYTES: usize = 1024 * 1024;

const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// For one request with its whole answer; discovery and keys together stay below what a request waits.
const ANSWER_WITHIN: Duration = Duration::from_millis(3500);

const MAX_REDIRECTS: usize = 3;

/// What could not be had from an identity provider.
#[derive(Debug)]
pub enum FetchError {
    /// No answer.
    NoAnswer(reqwest::Error),
    /// An answer that is none of success.
    Status(u16),
    /// More than 1 MiB.
    TooLong,
    /// Not the JSON that it should be.
    Unreadable(serde_json::Error),
    /// A discovery document of another issuer (`OpenID` Connect Discovery 4.3).
    OtherIssuer(String),
    /// Keys at an address that is neither https nor on this machine.
    Address(String),
    /// A set without a key that can have signed a token.
    NoKeys,
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(error) => {
                // The cause says what happened: refused, no such host, a certificate that is not trusted.
                let mut cause: &dyn std::error::Error = error;
                while let Some(deeper) = cause.source() {
                    cause = deeper;
                }
                write!(f, "no answer: {cause}")
            }
            Self::Status(status) => write!(f, "it answered with status {status}"),
            Self::TooLong => write!(f, "its answer is longer than {MAX_BYTES} bytes"),
            Self::Unreadable(error) => write!(f, "its answer is not what was asked for: {error}"),
            Self::OtherIssuer(name) => write!(
                f,
                "its discovery document is that of the issuer {name:?}; set issuer to exactly what the tokens say"
            ),
            Self::Address(address) => {
                write!(
                    f,
                    "its keys are at {address:?}, which is neither https nor on this machine"
                )
            }
            Self::NoKeys => f.write_str("its set has no key that tokens can be signed with"),
        }
    }
}

impl std::error::Error for FetchError {}

/// How the keys of one issuer are fetched.
#[derive(Debug)]
pub(super) struct Fetch {
    issuer: String,
    jwks_uri: Option<Url>,
    client: Client,
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// Keys one by one, so that one of a kind that is not known here does not spoil the others.
#[derive(Deserialize)]
struct RawSet {
    keys: Vec<serde_json::Value>,
}

impl Fetch {
    pub(super) fn new(issuer: &str, jwks_uri: Option<&str>) -> Result<Self> {
        let wrong = |what: &str| {
            Error::invalid(format!(
                "{what} is an https address, or an http one on this machine"
            ))
        };
        let at = address(issuer).ok_or_else(|| wrong("issuer"))?;
        let jwks_uri = jwks_uri
            .map(|uri| address(uri).ok_or_else(|| wrong("jwks_uri")))
            .transpose()?;
        let is_here = is_loopback(jwks_uri.as_ref().unwrap_or(&at));
        let mut client = Client::builder()
            .user_agent(concat!("kura/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN)
            .redirect(Policy::custom(|attempt| {
                let stays = attempt
                    .previous()
                    .first()
                    .is_some_and(|first| first.origin() == attempt.url().origin());
                if stays && attempt.previous().len() <= MAX_REDIRECTS {
                    attempt.follow()
                } else {
                    attempt.error("a redirect to another host, or too many of them")
                }
            }));
        if is_here {
            client = client.no_proxy();
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            jwks_uri,
            client: client.build().map_err(|e| {
                Error::internal("the client for identity providers cannot be made", e)
            })?,
        })
    }

    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The keys as they are now.
    pub(super) async fn keys(&self) -> Result<KeySet, FetchError> {
        let at = match &self.jwks_uri {
            Some(uri) => uri.clone(),
            None => self.discover().await?,
        };
        let set: RawSet = self.get(at).await?;
        let keys: Vec<Jwk> = set
            .keys
            .into_iter()
            .filter_map(|key| serde_json::from_value(key).ok())
            .collect();
        let keys = KeySet::from_jwks(&jsonwebtoken::jwk::JwkSet { keys });
        if keys.len() == 0 {
            return Err(FetchError::NoKeys);
        }
        Ok(keys)
    }

    /// Where the keys are, from the discovery document (`OpenID` Connect Discovery 4).
    async fn discover(&self) -> Result<Url, FetchError> {
        let base = self.issuer.trim_end_matches('/');
        let at = format!("{base}/.well-known/openid-configuration");
        let at = address(&at).ok_or(FetchError::Address(at))?;
        let document: Discovery = self.get(at).await?;
        if document.issuer != self.issuer {
            return Err(FetchError::OtherIssuer(document.issuer));
        }
        address(&document.jwks_uri).ok_or(FetchError::Address(document.jwks_uri))
    }

    async fn get<T: DeserializeOwned>(&self, at: Url) -> Result<T, FetchError> {
        let request = self.client.get(at).header("accept", "application/json");
        let mut answer = request.send().await.map_err(FetchError::NoAnswer)?;
        if !answer.status().is_success() {
            return Err(FetchError::Status(answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(FetchError::NoAnswer)? {
            if body.len().saturating_add(chunk.len()) > MAX_BYTES {
                return Err(FetchError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(FetchError::Unreadable)
    }
}

/// Reads an address that keys may be fetched from.
pub fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_plain =
        url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let is_safe = match url.scheme() {
        "https" => url.has_host(),
        "http" => is_loopback(&url),
        _ => false,
    };
    (is_plain && is_safe).then_some(url)
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let literal = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || literal
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sh_2_2_4_keys_come_by_https_or_from_this_machine() {
        for good in [
            "https://idp.example.org/realms/group",
            "https://10.0.0.1:8443/",
            "http://localhost:8080/realms/x",
            "http://127.0.0.1",
            "http://127.8.8.8:1",
            "http://[::1]:9/",
        ] {
            assert!(address(good).is_some(), "{good}");
        }
        for bad in [
            "",
            "idp.example.org",
            "http://idp.example.org",
            "http://localhost.example.org",
            "http://127.0.0.1.example.org/",
            "http://10.0.0.1/",
            "https://user:word@idp.example.org/",
            "https://idp.example.org/#keys",
            "file:///etc/passwd",
            "ftp://localhost/",
        ] {
            assert!(address(bad).is_none(), "{bad}");
        }
    }
}
