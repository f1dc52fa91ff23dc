//! The one error type of the crate: what a caller can do about a failure, what may be shown of it, and what only the log sees.
//!
//! Expected outcomes are values, not errors: an absent object that may be absent is an `Option`, a refused instance is an
//! `Outcome`. `Err` means that this request cannot be answered as asked.

use std::borrow::Cow;
use std::fmt;

/// The source of an error: for the log, never for an answer.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about a failure. The whole vocabulary: `http/problem.rs` maps it to statuses, `cli` to exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is malformed; sending it again will not help.
    Invalid,
    /// Well-formed, but it cannot be acted upon.
    Unprocessable,
    /// No token, or none that is accepted.
    Unauthenticated,
    /// A stronger or fresher sign-in is needed.
    StepUp,
    /// The object is visible, or none is named, and the scope is missing (sharing.md 3.4).
    Forbidden,
    /// Not here, or not for this caller: one and the same.
    NotFound,
    /// Deleted, and the caller may know it.
    Gone,
    /// In conflict with what is stored.
    Conflict,
    /// A condition of the request does not hold.
    Precondition,
    /// The request must carry a condition.
    PreconditionRequired,
    /// More than the limit.
    TooLarge,
    /// The media type of the request body is not one that is read here.
    UnsupportedType,
    /// None of the representations the caller accepts can be made.
    NotAcceptable,
    /// The byte range lies outside of the representation.
    BadRange,
    /// Too many requests.
    TooMany,
    /// A resource that is not offered.
    NotImplemented,
    /// The bytes are on their way from a slow tier.
    Recalling,
    /// The database or the store is away for now; try again.
    Unavailable,
    /// No room left.
    Full,
    /// A defect of ours.
    Internal,
}

/// A failure: its kind, a fragment that is safe to show, and its cause for the log.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    detail: Cow<'static, str>,
    source: Option<BoxError>,
}

impl Error {
    /// A failure of `kind`. `detail` is a fragment without capital and full stop that names the thing and the fix, and
    /// holds no patient data, path or SQL.
    pub fn new(kind: Kind, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            source: None,
        }
    }

    /// The same failure with its cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// `Kind::Invalid`.
    pub fn invalid(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Invalid, detail)
    }

    /// What is not there and what is not the caller's: one line of code makes both (sharing.md 3.4).
    pub fn not_found() -> Self {
        Self::new(Kind::NotFound, "no such resource")
    }

    /// `Kind::Internal` with its cause.
    pub fn internal(detail: impl Into<Cow<'static, str>>, source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Internal, detail).with_source(source)
    }

    /// `Kind::Unavailable` with its cause.
    pub fn unavailable(detail: impl Into<Cow<'static, str>>, source: impl Into<BoxError>) -> Self {
        Self::new(Kind::Unavailable, detail).with_source(source)
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What may be shown.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

/// An error and what caused it, outermost first, in one line for the log.
pub fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut at = error.source();
    while let Some(cause) = at {
        let text = cause.to_string();
        // Many errors repeat their cause in their own words.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        at = cause.source();
    }
    line.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_stand_in_one_line_and_once() {
        let inner = Error::new(Kind::Full, "no room\nleft");
        let outer = Error::unavailable("the store did not take the bytes", inner);
        assert_eq!(
            causes(&outer),
            "the store did not take the bytes: no room left"
        );
        let again = Error::internal("a", Error::internal("b: c", Error::new(Kind::Full, "c")));
        assert_eq!(causes(&again), "a: b: c");
    }
}
