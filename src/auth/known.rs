//! Signatures that were checked before. That a key made a signature stays true, so it need not be computed anew with each
//! request of a token; whether the key still counts, and all that the token says, is asked each time as if it were the first.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::issuer::Key;

/// Signatures that are remembered at least: those of the callers of a few minutes. Twice as many at most, of 32 bytes each.
const REMEMBERED: usize = 4096;

/// What holds, by digest: of the key and of every byte of the token. A clone is the same.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownSignatures(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    newer: HashSet<[u8; 32]>,
    /// Goes when the newer ones are as many as may be.
    older: HashSet<[u8; 32]>,
}

impl KnownSignatures {
    /// Whether `key` signed `token`, as `check` says or has said before. A token that it did not sign is checked each time.
    pub(super) fn holds(&self, key: &Key, token: &str, check: impl FnOnce() -> bool) -> bool {
        let name = name(key, token);
        if self.with(|known| known.newer.contains(&name) || known.older.contains(&name)) {
            return true;
        }
        let holds = check();
        if holds {
            self.with(|known| known.add(name));
        }
        holds
    }

    fn with<T>(&self, then: impl FnOnce(&mut Known) -> T) -> T {
        then(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    fn add(&mut self, name: [u8; 32]) {
        if self.newer.len() >= REMEMBERED {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(name);
    }
}

/// The key's digest has one length, so that no two pairs have one name. The token names its algorithm.
fn name(key: &Key, token: &str) -> [u8; 32] {
    let hash = Sha256::new().chain_update(key.digest());
    hash.chain_update(token).finalize().into()
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;
    use crate::auth::issuer::KeySet;
    use crate::auth::{Authenticator, LocalKey, Rejection};
    use crate::model::{Clock, Timestamp};

    fn key(kid: &str) -> Key {
        let jwks = format!(
            r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"{kid}"}}]}}"#
        );
        let set = KeySet::from_jwks(&serde_json::from_str(&jwks).unwrap());
        set.find(Some(kid)).unwrap().clone()
    }

    #[test]
    fn only_what_held_is_remembered_and_only_for_its_key() {
        let known = KnownSignatures::default();
        let (a, b) = (key("a"), key("b"));
        assert!(!known.holds(&a, "x.y.z", || false));
        assert!(known.holds(&a, "x.y.z", || true));
        assert!(known.holds(&a, "x.y.z", || false));
        assert!(!known.holds(&b, "x.y.z", || false));
        assert!(!known.holds(&a, "x.y.Z", || false));
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let known = KnownSignatures::default();
        let key = key("a");
        for token in 0..REMEMBERED * 3 {
            assert!(known.holds(&key, &token.to_string(), || true));
        }
        let kept = known.with(|known| known.newer.len() + known.older.len());
        assert_eq!(kept, REMEMBERED * 2);
        assert!(!known.holds(&key, "0", || false));
        assert!(known.holds(&key, &(REMEMBERED * 2).to_string(), || false));
    }

    /// A token of a local key, and who believes it: until it expires, and while the key is that of its issuer.
    #[test]
    fn sh_2_2_a_known_signature_makes_no_token_last_longer_than_before() {
        const NOW_S: i64 = 1_767_225_600;
        let folder = tempfile::tempdir().unwrap();
        let local = LocalKey::load_or_create(&folder.path().join("a.pem")).unwrap();
        let other = LocalKey::load_or_create(&folder.path().join("b.pem")).unwrap();
        let claims = serde_json::json!({
            "iss": "kura:local", "aud": "kura", "sub": "hanako", "iat": NOW_S, "exp": NOW_S + 600,
            "scope": "dicom.read", "kura": {"fac": "F012"}
        });
        let token = local.sign(&claims).unwrap();
        let clock = Clock::fixed(Timestamp(NOW_S * 1_000_000));
        let mut authenticator = Authenticator::new(vec![local.issuer()], clock.clone());
        let verify = |by: &Authenticator, token: &str| {
            let answer = by.verify(token).now_or_never().unwrap();
            answer.map(|_| ())
        };
        for _ in 0..2 {
            assert_eq!(verify(&authenticator, &token), Ok(()));
        }
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let forged = format!("{signed}.{}", signature.to_lowercase());
        for _ in 0..2 {
            assert_eq!(verify(&authenticator, &forged), Err(Rejection::Signature));
        }
        clock.advance_s(659);
        assert_eq!(verify(&authenticator, &token), Ok(()));
        clock.advance_s(1);
        assert_eq!(verify(&authenticator, &token), Err(Rejection::Expired));
        clock.advance_s(-600);
        assert_eq!(verify(&authenticator, &token), Ok(()));
        // The keys are changed; what was known stays.
        authenticator.replace_issuers(vec![other.issuer()]);
        assert_eq!(verify(&authenticator, &token), Err(Rejection::Key));
    }
}
