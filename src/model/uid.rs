//! Unique identifiers (PS3.5 section 9), kept as stored.
//!
//! Archives hold UIDs that break the letter of the rule (leading zeros); what a path can name is taken and comes back as
//! exactly the text that came (dicomweb.md R32, T24).

use std::fmt;

/// The longest UID, in characters (PS3.5 9.1).
pub const MAX_UID_LEN: usize = 64;

/// Why a text is no UID that a path can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UidError {
    /// Nothing but padding.
    Empty,
    /// More than 64 characters.
    TooLong,
    /// A backslash: two values.
    TwoValues,
    /// Two dots in a row, or one at an end.
    EmptyComponent,
    /// A character that is neither digit nor dot.
    Character,
}

impl fmt::Display for UidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "is empty",
            Self::TooLong => "is longer than 64 characters",
            Self::TwoValues => "has two values",
            Self::EmptyComponent => "has an empty component",
            Self::Character => "has a character other than digits and dots",
        })
    }
}

impl std::error::Error for UidError {}

/// Checks `text` and gives it without its trailing padding (NUL or space).
fn check(text: &str) -> Result<&str, UidError> {
    let uid = text.trim_end_matches(['\0', ' ']);
    if uid.is_empty() {
        return Err(UidError::Empty);
    }
    if uid.contains('\\') {
        return Err(UidError::TwoValues);
    }
    if !uid.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
        return Err(UidError::Character);
    }
    if uid.len() > MAX_UID_LEN {
        return Err(UidError::TooLong);
    }
    if uid.split('.').any(str::is_empty) {
        return Err(UidError::EmptyComponent);
    }
    Ok(uid)
}

macro_rules! uid_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Box<str>);

        impl $name {
            /// Takes a text as stored or as named by a path; trailing padding is dropped.
            ///
            /// # Errors
            /// What is wrong with it, if no path can name it.
            pub fn parse(text: &str) -> Result<Self, UidError> {
                check(text).map(|uid| Self(uid.into()))
            }

            /// The exact text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

uid_newtype!(
    /// Study Instance UID (0020,000D).
    StudyUid
);
uid_newtype!(
    /// Series Instance UID (0020,000E).
    SeriesUid
);
uid_newtype!(
    /// SOP Instance UID (0008,0018).
    SopInstanceUid
);
uid_newtype!(
    /// SOP Class UID (0008,0016).
    SopClassUid
);

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str, why: UidError) {
        assert_eq!(StudyUid::parse(text), Err(why), "{text:?}");
    }

    #[test]
    fn a_uid_comes_back_as_the_text_that_came() {
        for text in ["1", "1.2.840.10008", "1.2.003.4", &"1".repeat(64)] {
            assert_eq!(StudyUid::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(StudyUid::parse("1.2.3\0").unwrap().as_str(), "1.2.3");
        assert_eq!(StudyUid::parse("1.2.3 ").unwrap().as_str(), "1.2.3");
    }

    #[test]
    fn what_no_path_can_name_is_refused() {
        refused("", UidError::Empty);
        refused("\0", UidError::Empty);
        refused(&"1".repeat(65), UidError::TooLong);
        refused("1.2\\1.3", UidError::TwoValues);
        refused("1..2", UidError::EmptyComponent);
        refused(".1", UidError::EmptyComponent);
        refused("1.", UidError::EmptyComponent);
        refused("1.2/3", UidError::Character);
        refused("../../x", UidError::Character);
        refused("1.2\0.3", UidError::Character);
        refused(" 1.2", UidError::Character);
        refused("１.２", UidError::Character);
    }
}
