//! Why somebody is not let in: every check of SH-2.2 and 2.7 that can fail, and what little the caller learns of it.

use std::fmt;

use crate::error::{Error, Kind};

/// Why a token is refused: for the log only. The caller learns that it is refused, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// There is none in `Authorization`.
    Absent,
    /// `Authorization` is there twice.
    Repeated,
    /// More than 8 KiB.
    TooLong,
    /// Not three segments.
    Segments,
    /// The header is no JSON object with an algorithm.
    Header,
    /// The header brings a key or demands extensions.
    OwnKey,
    /// An algorithm that is not on the list.
    Algorithm,
    /// The payload lacks a claim, has one twice, or of another type.
    Claims,
    /// An issuer that is not configured.
    Issuer,
    /// A key that the issuer does not have, or that does not sign with this algorithm.
    Key,
    /// A token of another kind.
    TokenType,
    /// The signature does not hold.
    Signature,
    /// Past its end.
    Expired,
    /// Before its beginning.
    NotYetValid,
    /// It lives longer than its issuer may let it, or ends before it begins.
    Life,
    /// Meant for somebody else.
    Audience,
    /// Made for a client that is not registered.
    Client,
    /// A subject that is empty, too long, or holds control characters.
    Subject,
    /// The nested and the flat form of a claim differ.
    Ambiguous,
    /// A purpose of use that is none.
    Purpose,
    /// No facility, or something that cannot be a code.
    Facility,
    /// A facility its issuer may not speak for.
    NotBound,
    /// A facility that does not exist here, or is not active.
    NoSuchFacility,
    /// A token for one patient only; such tokens are not accepted.
    PatientContext,
    /// A token on the deny list.
    Denied,
    /// A token from before its subject was signed out everywhere.
    SignedOut,
    /// A subject that is suspended.
    Suspended,
    /// A session that is not there, or not any more.
    Session,
    /// A change asked for under a session without the header that only its own page can set.
    Unprotected,
    /// A link for another path.
    OtherPath,
    /// A link from before somebody's rights changed.
    OtherEpoch,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Absent => "no bearer token",
            Self::Repeated => "two Authorization headers",
            Self::TooLong => "token too long",
            Self::Segments => "not three segments",
            Self::Header => "header unreadable",
            Self::OwnKey => "header brings its own key",
            Self::Algorithm => "algorithm not allowed",
            Self::Claims => "claims unreadable",
            Self::Issuer => "issuer not configured",
            Self::Key => "no such key for this algorithm",
            Self::TokenType => "token of another kind",
            Self::Signature => "signature does not hold",
            Self::Expired => "expired",
            Self::NotYetValid => "not valid yet",
            Self::Life => "life longer than allowed",
            Self::Audience => "audience is not kura",
            Self::Client => "client not registered",
            Self::Subject => "subject unusable",
            Self::Ambiguous => "two forms of a claim differ",
            Self::Purpose => "purpose of use unknown",
            Self::Facility => "no facility named",
            Self::NotBound => "issuer may not speak for the facility",
            Self::NoSuchFacility => "facility unknown or not active",
            Self::PatientContext => "patient context not supported",
            Self::Denied => "token on the deny list",
            Self::SignedOut => "issued before its subject was signed out",
            Self::Suspended => "subject suspended",
            Self::Session => "no such session",
            Self::Unprotected => "no CSRF header, or that of another session",
            Self::OtherPath => "link for another path",
            Self::OtherEpoch => "link from before rights changed",
        })
    }
}

impl std::error::Error for Rejection {}

impl From<Rejection> for Error {
    fn from(rejection: Rejection) -> Self {
        // One detail for all of them but the absent one (SH-2.2): which check failed would help to get past it.
        // Who comes as far as this is signed in: nothing is told that helps to get there.
        if rejection == Rejection::Unprotected {
            let detail = "a change under a session needs its value in the header X-Kura-CSRF";
            return Self::new(Kind::Forbidden, detail).with_source(rejection);
        }
        let detail = if rejection == Rejection::Absent {
            "a bearer token is required"
        } else {
            "the bearer token is not accepted"
        };
        Self::new(Kind::Unauthenticated, detail).with_source(rejection)
    }
}
