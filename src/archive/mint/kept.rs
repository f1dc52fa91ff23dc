//! Documents that were made before, compressed: a viewer asks for the same one again and again (MINT M15, A05).
//!
//! The key names the study, its version and what of it the caller may read, so nothing in here can be out of date, and nobody is
//! given one whose study was not found visible just before.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

use super::document::{Content, Document};
use crate::auth::Access;
use crate::index::catalog::Brought;
use crate::index::mint::MintStudy;
use crate::model::{FacilityId, StudyId};

/// So many bytes of documents are kept; one of a thousand slices has some 50,000.
const MAX_BYTES: usize = 32 << 20;

/// What a document is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    study: StudyId,
    version: u64,
    change: Option<u64>,
    content: Content,
    reader: (FacilityId, i32),
}

impl Key {
    pub(super) fn of(
        study: &MintStudy,
        access: &Access,
        brought: Brought,
        content: Content,
    ) -> Self {
        Self {
            study: study.at.study,
            version: study.at.version,
            change: match brought {
                Brought::Whole => None,
                Brought::By(change) => Some(change),
            },
            content,
            reader: (access.facility_id(), access.unread().0),
        }
    }
}

/// Documents by what they are of.
pub type Documents = Kept<Key, Document>;

impl Default for Documents {
    fn default() -> Self {
        Self::of(MAX_BYTES)
    }
}

/// What was made before, by what it is of. A clone is the same.
#[derive(Clone, Debug)]
pub struct Kept<K, V>(Arc<Mutex<Entries<K, V>>>);

#[derive(Debug)]
struct Entries<K, V> {
    /// Each with its length in bytes.
    values: HashMap<K, (V, usize)>,
    /// Keys, the oldest first.
    order: VecDeque<K>,
    bytes: usize,
    most: usize,
}

impl<K: Clone + Eq + Hash, V: Clone> Kept<K, V> {
    /// Room for so many bytes.
    pub(super) fn of(most: usize) -> Self {
        Self(Arc::new(Mutex::new(Entries {
            values: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            most,
        })))
    }

    pub(super) fn get(&self, key: &K) -> Option<V> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.values.get(key).map(|(value, _)| value.clone())
    }

    /// Keeps a value of so many bytes; the oldest go where there is no room.
    pub(super) fn put(&self, key: K, value: &V, len: usize) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if len > kept.most / 4 || kept.values.contains_key(&key) {
            return;
        }
        kept.bytes += len;
        kept.values.insert(key.clone(), (value.clone(), len));
        kept.order.push_back(key);
        while kept.bytes > kept.most
            && let Some(oldest) = kept.order.pop_front()
        {
            let gone = kept.values.remove(&oldest);
            let len = gone.map_or(0, |(_, len)| len);
            kept.bytes = kept.bytes.saturating_sub(len);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_where_there_is_no_room() {
        let kept = Kept::of(100);
        for key in 0..5 {
            kept.put(key, &key, 25);
        }
        assert_eq!(
            [0, 1, 4].map(|key| kept.get(&key)),
            [None, Some(1), Some(4)]
        );
        kept.put(9, &9, 26);
        assert_eq!(kept.get(&9), None, "too large for all of it");
        kept.put(1, &7, 25);
        assert_eq!(kept.get(&1), Some(1), "what is there stays");
    }
}
