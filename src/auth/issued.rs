//! What the archive signs for itself beside access tokens: resource links (SH-2.7).
//!
//! A link names its caller, one path, the epoch of rights and an end; it proves nothing about what the caller may see, which
//! is asked when it is used. Its kind is its own (`typ`, `aud`), so it is no access token, and no access token is a link.

use serde::{Deserialize, Serialize};

use super::claims::segment;
use super::issuer::{self, KeySet};
use super::kept::Kept;
use super::keys::LocalKey;
use super::rejection::Rejection;
use super::token::{Segments, Verified, read_header};
use crate::error::Result;
use crate::model::Timestamp;

/// The longest life of a link, in seconds (SH-2.7).
pub const LINK_MAX_LIFE_S: i64 = 300;

const LINK_TYPE: &str = "kura-link+jwt";
const LINK_AUDIENCE: &str = "kura-link";

/// Signs links and reads them.
#[derive(Clone, Debug)]
pub struct LinkKey {
    signing: LocalKey,
    verifying: KeySet,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkClaims {
    aud: String,
    path: String,
    epoch: i64,
    exp: i64,
    who: Kept,
}

/// A link whose signature holds and which is for the path that was asked for, within its time.
#[derive(Debug)]
pub struct Link {
    /// The caller it names.
    pub who: Kept,
    /// The epoch of rights it was made in; it ends with that.
    pub epoch: i64,
}

impl LinkKey {
    /// Links signed with `key`.
    pub fn new(key: &LocalKey) -> Self {
        Self {
            signing: key.clone(),
            verifying: KeySet::from_jwks(&key.jwks()),
        }
    }

    /// A link for `verified` to `path`, and when it ends: after five minutes, or with the token if that is sooner. `path`
    /// is that of the request to come, as this server sees it.
    ///
    /// # Errors
    /// `Kind::Internal` if it cannot be signed.
    pub fn sign(
        &self,
        verified: &Verified,
        path: &str,
        epoch: i64,
        now: Timestamp,
    ) -> Result<(String, Timestamp)> {
        let exp = verified
            .expires_at_s
            .min(now.seconds().saturating_add(LINK_MAX_LIFE_S));
        let claims = LinkClaims {
            aud: LINK_AUDIENCE.to_owned(),
            path: path.to_owned(),
            epoch,
            exp,
            who: Kept::to_read(verified),
        };
        let link = self.signing.sign_as(LINK_TYPE, &claims)?;
        Ok((link, Timestamp(exp.saturating_mul(1_000_000))))
    }

    /// Reads a link that came with a request for `path`.
    ///
    /// # Errors
    /// The first check that fails.
    pub fn read(&self, link: &str, path: &str, now: Timestamp) -> Result<Link, Rejection> {
        let token = Segments::of(link)?;
        let header = read_header(token.header)?;
        let algorithm = issuer::algorithm(&header.alg).ok_or(Rejection::Algorithm)?;
        let key = self
            .verifying
            .find(header.kid.as_deref())
            .filter(|key| key.signs_with(algorithm))
            .ok_or(Rejection::Key)?;
        if header.typ.as_deref() != Some(LINK_TYPE) {
            return Err(Rejection::TokenType);
        }
        if !token.holds(key, algorithm) {
            return Err(Rejection::Signature);
        }
        let claims: LinkClaims = segment(token.claims).ok_or(Rejection::Claims)?;
        if claims.aud != LINK_AUDIENCE {
            return Err(Rejection::Audience);
        }
        if now.seconds() >= claims.exp {
            return Err(Rejection::Expired);
        }
        if claims.path != path {
            return Err(Rejection::OtherPath);
        }
        Ok(Link {
            who: claims.who,
            epoch: claims.epoch,
        })
    }
}
