//! Text that leaves the archive and comes back: nobody else reads it, and what comes back is what left.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::keys::LocalKey;
use crate::error::{Error, Result};

/// The longest text that is opened, in bytes.
const LONGEST: usize = 16 * 1024;

/// A key for texts of one purpose. Replicas that share the local key open each other's texts.
#[derive(Debug)]
pub struct Seal {
    key: RandomizedNonceKey,
}

impl Seal {
    /// The key for `purpose`, which follows from the local key and from nothing else.
    ///
    /// # Errors
    /// `Kind::Internal` if the local key does not sign.
    pub fn new(local: &LocalKey, purpose: &str) -> Result<Self> {
        let secret = local.secret(purpose)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, &secret)
            .map_err(|cause| Error::internal("a key cannot be made", cause))?;
        Ok(Self { key })
    }

    /// Seals a text. It is opened under the same `context` only, which is not part of it.
    ///
    /// # Errors
    /// `Kind::Internal` if there is no randomness.
    pub fn seal(&self, context: &str, text: &str) -> Result<String> {
        let mut bytes = text.as_bytes().to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(Aad::from(context.as_bytes()), &mut bytes)
            .map_err(|cause| Error::internal("a text cannot be sealed", cause))?;
        let sealed = [nonce.as_ref().as_slice(), &bytes].concat();
        Ok(URL_SAFE_NO_PAD.encode(sealed))
    }

    /// The text; `None` unless it was sealed here under the same context.
    pub fn open(&self, context: &str, sealed: &str) -> Option<String> {
        if sealed.len() > LONGEST {
            return None;
        }
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN)?;
        let mut bytes = rest.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self
            .key
            .open_in_place(nonce, Aad::from(context.as_bytes()), &mut bytes)
            .ok()?;
        String::from_utf8(opened.to_vec()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> LocalKey {
        let folder = tempfile::tempdir().unwrap();
        LocalKey::load_or_create(&folder.path().join("key.pem")).unwrap()
    }

    #[test]
    fn q98_what_comes_back_is_what_left() {
        let local = key();
        let seal = Seal::new(&local, "cursor").unwrap();
        let sealed = seal.seal("studies", "山田").unwrap();
        assert!(!sealed.contains("山田"));
        assert_eq!(seal.open("studies", &sealed).as_deref(), Some("山田"));
        assert_eq!(seal.open("series", &sealed), None);
        let replica = Seal::new(&local, "cursor").unwrap();
        assert_eq!(replica.open("studies", &sealed).as_deref(), Some("山田"));
        let other = Seal::new(&local, "link").unwrap();
        assert_eq!(other.open("studies", &sealed), None);
        let stranger = Seal::new(&key(), "cursor").unwrap();
        assert_eq!(stranger.open("studies", &sealed), None);
    }

    #[test]
    fn q98_no_bit_of_a_sealed_text_can_be_changed() {
        let seal = Seal::new(&key(), "cursor").unwrap();
        let sealed = seal.seal("", "place").unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for at in 0..bytes.len() * 8 {
            let mut forged = bytes.clone();
            forged[at / 8] ^= 1 << (at % 8);
            assert_eq!(seal.open("", &URL_SAFE_NO_PAD.encode(forged)), None);
        }
        for forged in ["", "x", "AAAA", "*", &"A".repeat(100_000)] {
            assert_eq!(seal.open("", forged), None);
        }
    }
}
