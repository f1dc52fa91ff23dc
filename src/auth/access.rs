//! `Access`: who asks, for which one facility, with which scopes, and what was touched.
//!
//! Made here only: of a person from a verified token, of a duty from the worker or the command line, of a legacy listener from
//! the configuration. Without one there is no
//! `Catalog`, without a `Catalog` no `Visible`, without a `Visible` no bytes (architecture.md 5).

use std::sync::{Arc, Mutex};

use super::rejection::Rejection;
use super::scope::{Scope, ScopeSet};
use super::strength::Strength;
use super::token::{Purpose, Verified};
use crate::error::{Error, Kind, Result};
use crate::model::{Class, ClassMask, Facility, FacilityId, FacilityState, OnConflict, Timestamp};

/// Why something was visible (sharing.md 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// The caller's own facility owns it.
    Own,
}

/// One line of the trail: what was handed out, and on which basis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touched {
    /// Study Instance UID.
    pub study: String,
    /// Why it was visible.
    pub basis: Basis,
}

/// A caller's right to ask.
#[derive(Debug)]
pub struct Access {
    subject: String,
    facility: Facility,
    scopes: ScopeSet,
    purpose: Purpose,
    strength: Strength,
    duty: Option<Duty>,
    trail: Mutex<Vec<Touched>>,
}

/// Leave to store into one facility; made by [`Access::may_store_into_own`] only.
#[derive(Clone, Debug)]
pub struct StoreGrant {
    facility: Facility,
    author: String,
}

impl StoreGrant {
    /// The facility that will own what is stored.
    pub fn facility(&self) -> &Facility {
        &self.facility
    }

    /// Who stores: the token's `sub`.
    pub fn author(&self) -> &str {
        &self.author
    }

    /// The same for an update, whose objects take the place of those that are there whatever the policy for stores says: what
    /// was there is kept as an earlier version (SH-11.5).
    #[must_use]
    pub fn replacing(mut self) -> Self {
        Arc::make_mut(&mut self.facility.policy).on_conflict = OnConflict::KeepBothVersions;
        self
    }
}

/// Leave to take objects of one facility out of sight, to bring them back, or to agree to that; made by
/// [`Access::may_remove_own`] only.
#[derive(Clone, Debug)]
pub struct RemoveGrant {
    facility: FacilityId,
    person: String,
}

impl RemoveGrant {
    /// The facility that owns what is removed.
    pub fn facility_id(&self) -> FacilityId {
        self.facility
    }

    /// Who acts: the token's `sub`.
    pub fn person(&self) -> &str {
        &self.person
    }
}

/// Leave to compare every row and every byte of one facility, whatever their state; made by [`Access::may_inspect_own`] only.
#[derive(Clone, Debug)]
pub struct InspectGrant {
    facility: Facility,
}

impl InspectGrant {
    /// The facility whose rows and bytes are compared.
    pub fn facility(&self) -> &Facility {
        &self.facility
    }
}

/// Work that is done for a facility without a person who asks for it. `tests/it/tidy` names the few places that may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Storing the samples of `kura demo`.
    Samples,
    /// Moving stored bytes to a better place; nothing is shown to anybody.
    Upkeep,
    /// Storing files from disk, `kura import`.
    Import,
    /// Handing the owner its files, `kura export`.
    Export,
    /// Comparing rows and bytes, `kura verify`.
    Verify,
    /// Recording packs that lie in the store, `kura reindex`.
    Reindex,
}

impl Access {
    /// The right to do `duty` for `facility`.
    pub fn on_duty(duty: Duty, facility: Facility) -> Self {
        let none = ScopeSet::default;
        let (name, scopes) = match duty {
            Duty::Samples => ("samples", none().with(Scope::DicomWrite)),
            Duty::Import => ("import", none().with(Scope::DicomWrite)),
            Duty::Reindex => ("reindex", none().with(Scope::DicomWrite)),
            Duty::Upkeep => ("upkeep", none()),
            Duty::Verify => ("verify", none()),
            Duty::Export => {
                let all = [Scope::DicomRead, Scope::ReportRead, Scope::DoseRead];
                ("export", all.into_iter().fold(none(), ScopeSet::with))
            }
        };
        Self {
            duty: Some(duty),
            strength: Strength::MACHINE,
            ..Self::of_person(format!("duty:{name}"), scopes, facility)
        }
    }

    /// The right to do for `facility` what `subject` asked for, with those of the scopes to read that they had when they asked.
    /// `tests/it/tidy` names the one place that may.
    pub fn on_errand(subject: &str, scopes: &str, facility: Facility) -> Self {
        let reading = [Scope::DicomRead, Scope::ReportRead, Scope::DoseRead];
        let all = reading.into_iter().fold(ScopeSet::NONE, ScopeSet::with);
        let scopes = ScopeSet::parse(scopes, false).intersection(all);
        Self {
            duty: Some(Duty::Export),
            strength: Strength::MACHINE,
            ..Self::of_person(subject.to_owned(), scopes, facility)
        }
    }

    /// The scopes to read of the caller, between spaces: what [`Access::on_errand`] takes.
    pub fn reading_scopes(&self) -> String {
        let reading = [Scope::DicomRead, Scope::ReportRead, Scope::DoseRead];
        let held = reading.into_iter().filter(|scope| self.allows(*scope));
        held.map(Scope::as_str).collect::<Vec<_>>().join(" ")
    }

    /// The right of a person or service whose token was verified, for `facility`.
    pub(crate) fn of_person(subject: String, scopes: ScopeSet, facility: Facility) -> Self {
        Self {
            subject,
            facility,
            scopes,
            purpose: Purpose::default(),
            strength: Strength::NONE,
            duty: None,
            trail: Mutex::default(),
        }
    }

    /// The right that a verified token gives for `facility`, which is the one it names.
    ///
    /// # Errors
    /// - `NoSuchFacility` if `facility` is another one or not active: its people see and store nothing, so they are told
    ///   at the door instead of being shown an empty archive.
    /// - `PatientContext` if the token is for one patient only. Such a token must not see more than that patient's
    ///   identity set (SH-2.3), and nothing here can narrow an answer to one.
    pub fn from_verified(verified: &Verified, facility: Facility) -> Result<Self, Rejection> {
        if *verified.facility() != facility.code || facility.state != FacilityState::Active {
            return Err(Rejection::NoSuchFacility);
        }
        if verified.patient().is_some() {
            return Err(Rejection::PatientContext);
        }
        Ok(Self {
            purpose: verified.purpose(),
            strength: verified.strength(),
            ..Self::of_person(verified.subject().to_owned(), verified.scopes(), facility)
        })
    }

    /// The right of whoever reaches the legacy listener of `facility`, which takes no token: the scopes are the operator's
    /// (MINT F05), and who it was nobody can tell.
    ///
    /// # Errors
    /// `NoSuchFacility` if the facility is not active, as with a token.
    pub fn at_listener(scopes: ScopeSet, facility: Facility) -> Result<Self, Rejection> {
        if facility.state != FacilityState::Active {
            return Err(Rejection::NoSuchFacility);
        }
        let subject = format!("legacy@{}", facility.code);
        Ok(Self::of_person(subject, scopes, facility))
    }

    /// Who asks: the token's `sub`.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// The one facility the caller acts for.
    pub fn facility(&self) -> &Facility {
        &self.facility
    }

    /// Key of the facility.
    pub fn facility_id(&self) -> FacilityId {
        self.facility.id
    }

    /// What for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// Refuses a caller who did not sign in with two factors lately: for the operations that sharing.md 14 marks with a
    /// dagger. It comes after the scope and the object were found, so that it tells nothing about either.
    ///
    /// # Errors
    /// `Kind::StepUp`.
    pub fn require_strong(&self, now: Timestamp) -> Result<()> {
        self.strength.require(now)
    }

    /// Whether the caller has any scope of the administrative surface, which is not there for anybody else (SH-2.5).
    pub fn is_administrative(&self) -> bool {
        self.scopes.is_administrative()
    }

    /// Whether the caller has `scope`.
    pub fn allows(&self, scope: Scope) -> bool {
        self.scopes.contains(scope)
    }

    /// The classes of own objects that the scopes do not allow to read (sharing.md 3.1, `scope_ok`).
    pub fn unread(&self) -> ClassMask {
        Class::ALL
            .into_iter()
            .filter(|class| !self.reads(*class))
            .fold(ClassMask::default(), ClassMask::with)
    }

    fn reads(&self, class: Class) -> bool {
        match class {
            Class::Image | Class::PrKo | Class::Other => self.allows(Scope::DicomRead),
            Class::Sr | Class::Report => self.allows(Scope::ReportRead),
            Class::Dose => self.allows(Scope::DoseRead) || self.allows(Scope::DicomRead),
        }
    }

    /// Notes that something was handed out.
    pub fn note(&self, touched: Touched) {
        let mut trail = self
            .trail
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if !trail.contains(&touched) {
            trail.push(touched);
        }
    }

    /// What was handed out since the last call.
    pub fn take_trail(&self) -> Vec<Touched> {
        std::mem::take(
            &mut self
                .trail
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        )
    }

    /// Leave to compare rows and bytes of the facility: a duty, which no token gives.
    ///
    /// # Errors
    /// `Kind::Forbidden` for anybody but [`Duty::Verify`].
    pub fn may_inspect_own(&self) -> Result<InspectGrant> {
        if self.duty != Some(Duty::Verify) {
            return Err(Error::new(
                Kind::Forbidden,
                "comparing rows and bytes is a duty of the archive",
            ));
        }
        Ok(InspectGrant {
            facility: self.facility.clone(),
        })
    }

    /// Leave to store into the caller's own facility.
    ///
    /// # Errors
    /// `Kind::Forbidden` without `dicom.write`, or while the facility is not active.
    pub fn may_store_into_own(&self) -> Result<StoreGrant> {
        if !self.allows(Scope::DicomWrite) {
            return Err(Error::new(
                Kind::Forbidden,
                "the token lacks the scope dicom.write",
            ));
        }
        if self.facility.state != FacilityState::Active {
            return Err(Error::new(Kind::Forbidden, "the facility is not active"));
        }
        Ok(StoreGrant {
            facility: self.facility.clone(),
            author: self.subject.clone(),
        })
    }

    /// Leave to do what `scope` allows with own objects: `dicom.delete`, `dicom.delete.approve` or `dicom.correct`. It is
    /// asked for after the object was found visible (SH-3.4). To delete and to approve wants a fresh sign-in with two
    /// factors (SH-14); to reject, which `dicom.correct` allows, does not.
    ///
    /// # Errors
    /// `Kind::Forbidden` without the scope or while the facility is not active, `Kind::StepUp` for a sign-in that is too
    /// old or too weak.
    pub fn may_remove_own(&self, scope: Scope, now: Timestamp) -> Result<RemoveGrant> {
        if !self.allows(scope) {
            let detail = format!("the token lacks the scope {}", scope.as_str());
            return Err(Error::new(Kind::Forbidden, detail));
        }
        if self.facility.state != FacilityState::Active {
            return Err(Error::new(Kind::Forbidden, "the facility is not active"));
        }
        if scope != Scope::DicomCorrect {
            self.require_strong(now)?;
        }
        Ok(RemoveGrant {
            facility: self.facility.id,
            person: self.subject.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{FacilityCode, FacilityKind, FacilityPolicy};

    fn facility(state: FacilityState) -> Facility {
        Facility {
            id: FacilityId(uuid::Uuid::nil()),
            code: FacilityCode::parse("F001").unwrap(),
            name: String::new(),
            kind: FacilityKind::Member,
            state,
            policy: Arc::new(FacilityPolicy::default()),
        }
    }

    #[test]
    fn mint_f05_a_listener_gives_nothing_of_a_facility_that_is_not_active() {
        let check = |state, expected: bool| {
            let scopes = ScopeSet::NONE.with(Scope::DicomRead);
            let access = Access::at_listener(scopes, facility(state));
            assert_eq!(access.is_ok(), expected, "{state:?}");
        };
        check(FacilityState::Active, true);
        check(FacilityState::Suspended, false);
        check(FacilityState::Closed, false);
        let access = Access::at_listener(ScopeSet::ALL, facility(FacilityState::Active)).unwrap();
        assert_eq!(access.subject(), "legacy@F001");
        // Nobody signed in.
        assert!(access.require_strong(Timestamp(0)).is_err());
    }
}
