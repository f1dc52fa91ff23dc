//! SHA-256 while bytes pass by.

use std::fmt;
use std::pin::pin;

use bytes::Bytes;
use futures::stream::{Stream, TryStreamExt as _};
use sha2::{Digest as _, Sha256};

use crate::Result;

/// A SHA-256 in the making.
#[derive(Clone, Default)]
pub struct Digester(Sha256);

impl Digester {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all bytes that passed.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Digester").finish_non_exhaustive()
    }
}

/// The SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// The SHA-256 of bytes that pass by and are not held.
///
/// # Errors
/// What they cannot be read for.
pub async fn of_stream(bytes: impl Stream<Item = Result<Bytes>>) -> Result<[u8; 32]> {
    let mut bytes = pin!(bytes);
    let mut digester = Digester::default();
    while let Some(piece) = bytes.try_next().await? {
        digester.update(&piece);
    }
    Ok(digester.finish())
}

/// A digest as 64 lower-case hexadecimal digits.
pub fn to_hex(digest: &[u8; 32]) -> String {
    use fmt::Write as _;
    let mut text = String::with_capacity(64);
    for byte in digest {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").expect("a String takes any text");
    }
    text
}

/// Reads what [`to_hex`] writes; `None` for anything else.
pub fn from_hex(text: &str) -> Option<[u8; 32]> {
    let fits = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if !fits {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, place) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(place..place + 2)?, 16).ok()?;
    }
    Some(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    // FIPS 180-2, appendix B.1.
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn the_digest_does_not_depend_on_the_cuts() {
        let mut digester = Digester::default();
        digester.update(b"a");
        digester.update(b"");
        digester.update(b"bc");
        assert_eq!(to_hex(&digester.finish()), ABC);
        assert_eq!(to_hex(&sha256(b"abc")), ABC);
    }

    #[test]
    fn hexadecimal_comes_back_and_its_neighbours_are_refused() {
        assert_eq!(from_hex(ABC), Some(sha256(b"abc")));
        for text in [
            "",
            &ABC[1..],
            &ABC.to_uppercase(),
            &format!("{ABC}0"),
            &ABC.replace('b', "g"),
        ] {
            assert_eq!(from_hex(text), None, "{text}");
        }
        assert_eq!(from_hex(&"é".repeat(32)), None);
    }
}
