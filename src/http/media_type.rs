//! Media types with parameters, read as clients write them (RFC 9110 8.3.1; dicomweb.md N06, N09, T01, T02).
//!
//! A strict parser refuses the slash of an unquoted `type=application/dicom`, which viewers and modalities send every day.
#![warn(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]

/// One media type, or one element of an `Accept` list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType {
    /// The main type in lower case; `*` in a range.
    pub main: String,
    /// The subtype in lower case; `*` in a range.
    pub sub: String,
    /// Parameters in the order written: names in lower case, values without quotes and otherwise as they are (N10).
    parameters: Vec<(String, String)>,
}

impl MediaType {
    /// Reads one media type; `None` if it is none, or a parameter has no value (N12).
    pub fn parse(text: &str) -> Option<Self> {
        let mut pieces = split(text, ';').into_iter();
        let (main, sub) = essence(pieces.next()?)?;
        let mut parameters = Vec::new();
        for piece in pieces {
            if !piece.trim().is_empty() {
                parameters.push(parameter(piece)?);
            }
        }
        Some(Self {
            main,
            sub,
            parameters,
        })
    }

    /// The value of a parameter, the first where it is given twice (N11). `name` is in lower case.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut named = self.parameters.iter().filter(|(other, _)| other == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// Whether this is `main/sub`.
    pub fn is(&self, main: &str, sub: &str) -> bool {
        self.main == main && self.sub == sub
    }
}

/// Main type and subtype in lower case.
pub(super) fn essence(text: &str) -> Option<(String, String)> {
    let is_token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
    };
    let (main, sub) = text.trim_matches([' ', '\t']).split_once('/')?;
    (is_token(main) && is_token(sub)).then(|| (main.to_ascii_lowercase(), sub.to_ascii_lowercase()))
}

fn parameter(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once('=')?;
    let value = value.trim_matches([' ', '\t']);
    let value = match value.strip_prefix('"') {
        Some(quoted) => unquoted(quoted.strip_suffix('"')?),
        None => value.to_owned(),
    };
    (!value.is_empty()).then(|| (name.trim().to_ascii_lowercase(), value))
}

/// The inside of a quoted string with its backslash escapes resolved.
fn unquoted(inside: &str) -> String {
    let mut plain = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(c) = chars.next() {
        plain.push(match c {
            '\\' => chars.next().unwrap_or('\\'),
            other => other,
        });
    }
    plain
}

/// Cuts at `separator` outside of quotes; a quote that is not closed takes in all the rest.
pub(super) fn split(text: &str, separator: char) -> Vec<&str> {
    let mut quoted = false;
    let mut escaped = false;
    let cuts = |c: char| {
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        } else {
            return c == separator && !quoted;
        }
        false
    };
    text.split(cuts).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, name: &str, expected: Option<&str>) {
        let media_type = MediaType::parse(text).expect(text);
        assert!(media_type.is("multipart", "related"), "{text}");
        assert_eq!(media_type.parameter(name), expected, "{text}");
    }

    #[test]
    fn n06_n09_t01_t02_quotes_spaces_order_and_case_do_not_matter() {
        let dicom = Some("application/dicom");
        for text in [
            "multipart/related; type=\"application/dicom\"; boundary=b",
            "multipart/related;type=application/dicom;boundary=\"b\"",
            "Multipart/Related ; boundary = b ; TYPE =  \"application/dicom\"  ",
            "multipart/related; boundary=b; transfer-syntax=1.2; type=application/dicom;",
            "multipart/related;; type=application/dicom; type=other/one; boundary=b",
        ] {
            check(text, "type", dicom);
            check(text, "boundary", Some("b"));
        }
    }

    #[test]
    fn what_quotes_hold_is_kept_as_it_is() {
        check("multipart/related; type=\" a/b \"", "type", Some(" a/b "));
        check(
            "multipart/related; boundary=\"a;b,c\\\"d\"",
            "boundary",
            Some("a;b,c\"d"),
        );
        check(
            "multipart/related; boundary=a'()+_,-./:=?",
            "boundary",
            Some("a'()+_,-./:=?"),
        );
    }

    #[test]
    fn n12_what_is_no_media_type_is_refused() {
        for text in [
            "toto",
            "",
            "/",
            "a/",
            "/b",
            "a/b; type=",
            "a/b; type",
            "a/b; type=\"x",
            "a b/c",
            "a/b/c",
            "a/b; type=\"x\"y",
            "画像/png",
            "a/b; q=\"\"",
        ] {
            assert_eq!(MediaType::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_media_type_or_none(text in ".*") {
            let _ = MediaType::parse(&text);
        }
    }
}
