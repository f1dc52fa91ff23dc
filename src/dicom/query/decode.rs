//! A query string as names and values: cutting at `&` and `=`, percent-decoding (Q06, Q07).
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

use crate::error::{Error, Result};

/// What a plus sign in a query stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plus {
    /// A space, as forms and Python write it (Q07).
    Space,
    /// Itself: media types hold plus signs.
    Itself,
}

/// The names and values of a query string, not yet decoded. A name without `=` has an empty value.
pub fn pairs(raw_query: &str) -> impl Iterator<Item = (&str, &str)> {
    raw_query
        .trim_start_matches('?')
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// Decodes percent-encoded UTF-8.
///
/// # Errors
/// `Kind::Invalid` if it is not UTF-8, or a percent sign stands without two hexadecimal digits.
pub fn decode(raw: &str, plus: Plus) -> Result<String> {
    let mut bytes = Vec::with_capacity(raw.len());
    let mut rest = raw.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => escaped(rest.next(), rest.next())?,
            b'+' if plus == Plus::Space => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes)
        .map_err(|_| Error::invalid("the query is not UTF-8 once it is percent-decoded"))
}

fn escaped(high: Option<u8>, low: Option<u8>) -> Result<u8> {
    let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
    digit(high)
        .zip(digit(low))
        .and_then(|(high, low)| u8::try_from(high.checked_mul(16)?.checked_add(low)?).ok())
        .ok_or_else(|| {
            Error::invalid("a percent sign in the query stands without two hexadecimal digits")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, expected: Option<&str>) {
        assert_eq!(
            decode(raw, Plus::Space).ok().as_deref(),
            expected,
            "{raw:?}"
        );
    }

    #[test]
    fn q06_values_are_percent_decoded_as_utf8() {
        check("Sm%3Fth%5EJ%2A", Some("Sm?th^J*"));
        check("%E5%B1%B1%e7%94%b0", Some("山田"));
        check("山田", Some("山田"));
        check("%FF", None);
        check("%E5%B1", None);
        check("%", None);
        check("%4", None);
        check("%4G", None);
        check("%+1", None);
    }

    #[test]
    fn q07_a_plus_is_a_space_unless_it_is_asked_for() {
        check("John+Doe", Some("John Doe"));
        check("a%2Bb", Some("a+b"));
        assert_eq!(
            decode("application/dicom+json", Plus::Itself).unwrap(),
            "application/dicom+json"
        );
    }

    #[test]
    fn q12_a_query_of_nothing_has_no_pairs() {
        assert_eq!(pairs("").count(), 0);
        assert_eq!(pairs("?").count(), 0);
        assert_eq!(pairs("&&").count(), 0);
        let all: Vec<_> = pairs("a=1&b&c==&=d").collect();
        assert_eq!(all, [("a", "1"), ("b", ""), ("c", "="), ("", "d")]);
    }
}
