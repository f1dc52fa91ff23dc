//! A facility: a legal or operational unit that owns studies (sharing.md 1).

use std::fmt;
use std::sync::Arc;

use super::{FacilityId, FacilityPolicy};

/// The short unique name of a facility, `[A-Z0-9]{2,16}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FacilityCode(Box<str>);

impl FacilityCode {
    /// Takes a code as written; `None` if it is not 2 to 16 capital letters and digits.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (2..=16).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        fits.then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FacilityCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FacilityCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a facility belongs to the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FacilityKind {
    /// Of the group.
    Member,
    /// An institution outside that reads what was disclosed to it.
    External,
}

impl FacilityKind {
    /// As the database and the command line write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::External => "external",
        }
    }

    /// Reads what `as_str` writes.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Member, Self::External]
            .into_iter()
            .find(|kind| kind.as_str() == text)
    }
}

/// Whether a facility may act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FacilityState {
    /// At work.
    Active,
    /// Locked out for now: its people see and store nothing.
    Suspended,
    /// Given up; what it disclosed stays disclosed.
    Closed,
}

impl FacilityState {
    /// As the database writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Closed => "closed",
        }
    }

    /// Reads what `as_str` writes.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::Closed]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// A facility as everybody may know it.
#[derive(Clone, Debug)]
pub struct Facility {
    /// Key.
    pub id: FacilityId,
    /// Short unique name.
    pub code: FacilityCode,
    /// Name for people.
    pub name: String,
    /// Of the group or outside.
    pub kind: FacilityKind,
    /// Whether it may act.
    pub state: FacilityState,
    /// What it takes and how much of it.
    pub policy: Arc<FacilityPolicy>,
}
