//! How strongly a caller signed in, and whether that is enough for what asks for it (SH-2.6).

use std::fmt;

use super::token::{LEEWAY_S, Verified};
use crate::error::{Error, Kind};
use crate::model::Timestamp;

/// The `acr` of a sign-in with two factors (SH-2.6).
pub const ACR_TWO_FACTORS: &str = "urn:kura:acr:2fa";

/// How old such a sign-in may be where one is asked for, unless configured otherwise, in seconds (SH-2.6).
pub const STRONG_MAX_AGE_S: i64 = 900;

impl Verified {
    /// How strongly the caller signed in, and until when that is enough for what asks for it (SH-2.6).
    pub fn strength(&self) -> Strength {
        let is_two_factor = self.acr.as_deref() == Some(ACR_TWO_FACTORS);
        // The age of the second factor is the closer statement; a sign-in may be older than it. One from the future is
        // a mistake or a lie, and counts as none.
        let since_s = match self.mfa_age_s {
            Some(age_s) => self.issued_at_s.checked_sub(age_s),
            None => self.auth_time,
        }
        .filter(|since_s| *since_s <= self.issued_at_s.saturating_add(LEEWAY_S));
        Strength {
            two_factors_at_s: since_s.filter(|_| is_two_factor),
            max_age_s: self.strong_max_age_s,
        }
    }
}

/// When the caller signed in with two factors, and how long that holds for the operations that ask for it (SH-2.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strength {
    two_factors_at_s: Option<i64>,
    max_age_s: i64,
}

impl Strength {
    /// That of the machine itself: whoever works on it needs no token.
    pub const MACHINE: Self = Self {
        two_factors_at_s: Some(i64::MAX),
        max_age_s: 0,
    };

    /// No second factor.
    pub const NONE: Self = Self {
        two_factors_at_s: None,
        max_age_s: 0,
    };

    /// Refuses a sign-in of one factor, and one that is too old.
    ///
    /// # Errors
    /// `Kind::StepUp`; its source says how old a sign-in may be.
    pub fn require(self, now: Timestamp) -> Result<(), Error> {
        let age_s = self
            .two_factors_at_s
            .map(|at_s| now.seconds().saturating_sub(at_s));
        if age_s.is_some_and(|age_s| age_s <= self.max_age_s) {
            return Ok(());
        }
        let detail = "this needs a sign-in with two factors that is not older than the archive allows: sign in again";
        let wanted = StrongerSignIn {
            max_age_s: self.max_age_s,
        };
        Err(Error::new(Kind::StepUp, detail).with_source(wanted))
    }
}

/// What a sign-in lacks: the source of a `Kind::StepUp`, from which the answer is made (RFC 9470).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrongerSignIn {
    /// How old a sign-in with two factors may be, in seconds.
    pub max_age_s: i64,
}

impl fmt::Display for StrongerSignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no second factor within {} s", self.max_age_s)
    }
}

impl std::error::Error for StrongerSignIn {}
