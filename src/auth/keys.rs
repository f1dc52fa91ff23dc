//! The archive's own signing key, for the embedded default where no identity provider is at hand (SH-2.1).
//!
//! Reading and making that key, and fetching those of identity providers (`fetch`), is the only I/O among the rules.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::issuer::{Ceiling, HeaderType, Issuer, KeySet, Keys, MayActFor, algorithms};
use super::token::AUDIENCE;
use crate::error::{BoxError, Error, Kind, Result};

/// The `iss` of tokens that the archive signs for itself.
pub const LOCAL_ISSUER: &str = "kura:local";

/// The longest life of a token of the local issuer, in seconds.
pub const LOCAL_MAX_LIFE_S: i64 = 12 * 3600;

/// The Ed25519 key of the local issuer.
#[derive(Clone, Debug)]
pub struct LocalKey {
    signing: EncodingKey,
    public: Jwk,
    kid: String,
}

impl LocalKey {
    /// Reads the key at `path` (PKCS#8 in PEM).
    ///
    /// # Errors
    /// `Kind::Invalid` if the file cannot be read, `Kind::Internal` if it holds no Ed25519 key.
    pub fn load(path: &Path) -> Result<Self> {
        let pem = std::fs::read(path).map_err(|cause| {
            let detail = "auth.signing_key names a file that cannot be read: copy the key of the first server there, \
                or make one with openssl genpkey -algorithm ed25519";
            Error::invalid(detail).with_source(cause)
        })?;
        Self::from_pem(&pem)
    }

    /// Reads the key at `path` (PKCS#8 in PEM), or makes one there, readable by its owner only.
    ///
    /// The file appears whole or not at all, and of two processes that start at once both use the key of the first.
    ///
    /// # Errors
    /// `Kind::Internal` if the file can be neither read nor made, or holds no Ed25519 key.
    pub fn load_or_create(path: &Path) -> Result<Self> {
        match std::fs::read(path) {
            Ok(pem) => Self::from_pem(&pem),
            Err(e) if e.kind() == ErrorKind::NotFound => {
                create(path).map_err(|e| Error::internal("the signing key cannot be made", e))?;
                let pem = std::fs::read(path).map_err(unreadable)?;
                Self::from_pem(&pem)
            }
            Err(e) => Err(unreadable(e)),
        }
    }

    fn from_pem(pem: &[u8]) -> Result<Self> {
        let signing = EncodingKey::from_ed_pem(pem).map_err(unreadable)?;
        let mut public = Jwk::from_encoding_key(&signing, Algorithm::EdDSA).map_err(unreadable)?;
        // RFC 7638: the name follows from the key, so that a new key never has the name of an old one.
        let kid = public
            .thumbprint(ThumbprintHash::SHA256)
            .map_err(unreadable)?;
        public.common.key_id = Some(kid.clone());
        public.common.public_key_use = Some(PublicKeyUse::Signature);
        Ok(Self {
            signing,
            public,
            kid,
        })
    }

    /// The public half as a JWKS, as other programs read it.
    pub fn jwks(&self) -> JwkSet {
        JwkSet {
            keys: vec![self.public.clone()],
        }
    }

    /// The local issuer with this key. It speaks for every facility: whoever can sign with a key in the data folder has
    /// the machine. It has no clients, so a token of it that names one is refused.
    pub fn issuer(&self) -> Issuer {
        Issuer {
            name: LOCAL_ISSUER.to_owned(),
            keys: Keys::Fixed(KeySet::from_jwks(&self.jwks())),
            algorithms: algorithms().map(|(_, algorithm)| algorithm).collect(),
            audience: AUDIENCE.to_owned(),
            facilities: MayActFor::Any,
            header_type: HeaderType::AtJwt,
            max_life_s: LOCAL_MAX_LIFE_S,
            ceiling: Ceiling::Everything,
            clients: Vec::new(),
        }
    }

    /// A secret text for one purpose, the same at every replica: an Ed25519 signature follows from its key and its message,
    /// and no token has a message with a space in it.
    ///
    /// # Errors
    /// `Kind::Internal` if the key does not sign.
    pub(super) fn mark(&self, purpose: &str) -> Result<String> {
        let message = format!("kura {purpose}");
        jsonwebtoken::crypto::sign(message.as_bytes(), &self.signing, Algorithm::EdDSA)
            .map_err(|e| Error::internal("the local key does not sign", e))
    }

    /// A secret for one purpose, the same at every replica.
    ///
    /// # Errors
    /// `Kind::Internal` if the key does not sign.
    pub fn secret(&self, purpose: &str) -> Result<[u8; 32]> {
        Ok(Sha256::digest(self.mark(purpose)?).into())
    }

    /// Signs `claims` as an access token.
    ///
    /// # Errors
    /// `Kind::Internal` if the claims cannot be written as JSON.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String> {
        self.sign_as("at+jwt", claims)
    }

    /// Signs `claims` as a token of another kind, which its `typ` names (SH-2.1).
    pub(super) fn sign_as(&self, typ: &str, claims: &impl Serialize) -> Result<String> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(typ.to_owned());
        header.kid = Some(self.kid.clone());
        jsonwebtoken::encode(&header, claims, &self.signing)
            .map_err(|e| Error::internal("the token cannot be signed", e))
    }
}

fn unreadable(source: impl Into<BoxError>) -> Error {
    Error::new(Kind::Internal, "the signing key cannot be read").with_source(source)
}

/// Writes a fresh key beside `path` and links it there: a link never replaces what another process was faster to make,
/// and never shows half a file.
fn create(path: &Path) -> std::io::Result<()> {
    let pem = fresh_pem()?;
    let draft = path.with_extension(format!("{}.tmp", Uuid::new_v4().simple()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)?;
    let linked = file
        .write_all(pem.as_bytes())
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::hard_link(&draft, path));
    std::fs::remove_file(&draft)?;
    match linked {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
        Ok(()) | Err(_) => {}
    }
    // Without this the name of the key, and with it every token, could be gone after a power failure.
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn fresh_pem() -> std::io::Result<String> {
    let key = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new())
        .map_err(|_| std::io::Error::other("no randomness"))?;
    // 48 bytes, therefore one line of 64 characters (RFC 7468 section 2).
    let body = STANDARD.encode(key.as_ref());
    Ok(format!(
        "-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    // The private key of RFC 8410 10.3 and, in RFC 8037 A.1 and A.3, a key with its thumbprint.
    const RFC_8410: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";

    #[test]
    fn a_key_is_made_once_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signing.pem");
        let made = LocalKey::load_or_create(&path).unwrap();
        let read = LocalKey::load_or_create(&path).unwrap();
        assert_eq!(made.kid, read.kid);
        let permissions = std::fs::metadata(&path).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn processes_that_start_together_share_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signing.pem");
        let kids: std::collections::BTreeSet<String> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| LocalKey::load_or_create(&path).unwrap().kid))
                .collect();
            starts.into_iter().map(|s| s.join().unwrap()).collect()
        });
        assert_eq!(kids.len(), 1);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_that_is_named_is_read_and_never_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shared.pem");
        let missing = LocalKey::load(&path).unwrap_err();
        assert_eq!(missing.kind(), Kind::Invalid);
        assert!(!path.exists());
        let made = LocalKey::load_or_create(&path).unwrap();
        assert_eq!(LocalKey::load(&path).unwrap().kid, made.kid);
    }

    #[test]
    fn what_is_no_ed25519_key_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signing.pem");
        for content in ["", "no key", &RFC_8410.replace("MC4C", "MC4D")] {
            std::fs::write(&path, content).unwrap();
            let refused = LocalKey::load_or_create(&path).unwrap_err();
            assert_eq!(refused.kind(), Kind::Internal, "{content}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
        }
        let nowhere = folder.path().join("missing/signing.pem");
        assert!(LocalKey::load_or_create(&nowhere).is_err());
    }

    #[test]
    fn a_key_of_another_program_is_read_and_only_its_public_half_shown() {
        let key = LocalKey::from_pem(RFC_8410.as_bytes()).unwrap();
        let shown = serde_json::to_value(key.jwks()).unwrap();
        // The public key of RFC 8410 10.3 / 10.1, in base64url.
        let x = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE";
        assert_eq!(shown["keys"][0]["x"], x);
        assert_eq!(shown["keys"][0]["use"], "sig");
        assert!(shown["keys"][0].get("d").is_none());
        assert!(!format!("{key:?}").contains("MC4CAQ"));
    }
}
