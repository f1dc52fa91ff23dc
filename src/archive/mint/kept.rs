//! Documents that were made before, compressed: a viewer asks for the same one again and again (MINT M15, A05).
//!
//! The key names the study, its version and what of it the caller may read, so nothing in here can be out of date, and nobody is
//! given one whose study was not found visible just before.

use std::collections::{HashMap, VecDeque};
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
pub(super) struct Key {
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

/// Documents by what they are of. A clone is the same cache.
#[derive(Clone, Debug, Default)]
pub struct Documents(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    documents: HashMap<Key, Document>,
    /// Keys, the oldest first.
    order: VecDeque<Key>,
    bytes: usize,
}

impl Documents {
    pub(super) fn get(&self, key: &Key) -> Option<Document> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.documents.get(key).cloned()
    }

    /// Keeps one; the oldest go where there is no room.
    pub(super) fn put(&self, key: Key, document: &Document) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let len = document.gzip.len();
        if len > MAX_BYTES / 8 || kept.documents.contains_key(&key) {
            return;
        }
        kept.bytes += len;
        kept.documents.insert(key.clone(), document.clone());
        kept.order.push_back(key);
        while kept.bytes > MAX_BYTES
            && let Some(oldest) = kept.order.pop_front()
        {
            let gone = kept.documents.remove(&oldest);
            let len = gone.map_or(0, |document| document.gzip.len());
            kept.bytes = kept.bytes.saturating_sub(len);
        }
    }
}
