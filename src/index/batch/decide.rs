//! What becomes of each instance of a batch, by what is there (T21, T22, T36, T37).

use std::collections::HashMap;

use super::Candidate;
use super::known::{Held, Known};
use crate::index::record::{NewPack, Recorded};
use crate::model::{InstanceId, OnConflict, SopInstanceUid};

/// What becomes of one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) what: Recorded,
    /// The instance whose place it takes.
    pub(super) replaces: Option<InstanceId>,
}

impl Held {
    /// What would be held.
    pub(super) fn of(candidate: Candidate<'_>) -> Self {
        Self {
            id: None,
            study: candidate.study.clone(),
            series: candidate.series.clone(),
            digest: candidate.digest,
        }
    }
}

/// Decides about each instance of a pack, and remembers what it brings.
pub(super) fn decide(
    pack: &NewPack,
    known: &mut HashMap<SopInstanceUid, Known>,
    policy: OnConflict,
) -> Vec<Decided> {
    let mut decided = Vec::with_capacity(pack.instances.len());
    for new in &pack.instances {
        let held = Held::of(Candidate {
            study: &pack.study,
            series: &new.series,
            instance: &new.instance,
            digest: new.digest,
        });
        let one = match known.get(&new.instance) {
            Some(there) => judge(there, &held, policy),
            None => Decided {
                what: Recorded::New,
                replaces: None,
            },
        };
        if one.what.is_written() {
            known.insert(new.instance.clone(), Known::Live(held));
        }
        decided.push(one);
    }
    decided
}

/// Decides about an object whose UID is known.
pub(super) fn judge(known: &Known, new: &Held, policy: OnConflict) -> Decided {
    let refused = |what| Decided {
        what,
        replaces: None,
    };
    let there = match known {
        Known::InBin => return refused(Recorded::InBin),
        Known::Erased => return refused(Recorded::Erased),
        Known::Live(there) => there,
    };
    if there.is_same(new) {
        return refused(Recorded::AlreadyThere);
    }
    // Elsewhere it is another object under a UID that is taken, and no new version of this one.
    match (policy, there.id) {
        (OnConflict::Replace | OnConflict::KeepBothVersions, Some(id)) if there.is_beside(new) => {
            Decided {
                what: Recorded::Replaced,
                replaces: Some(id),
            }
        }
        _ => refused(Recorded::Conflict),
    }
}
